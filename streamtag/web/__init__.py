"""What a browser sees: a page, an overlay, and the same results as JSON over a WebSocket, on one port."""
