"""Connections, bounded: how many there are, and what waits in each."""

from __future__ import annotations

import asyncio
import socket

from websockets.asyncio.server import ServerConnection

MOST_CONNECTIONS = 128
"""Of any kind: a process may have 1024 files and sockets open, or 256, and the session needs some, too."""
SOCKET_BYTES = 1 << 16
"""What waits in the system for one that is slow. Linux would let it grow to 4 MB, which are minutes of old frames."""


class Connection(ServerConnection):
    """A connection, ended at once if there are too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it."""
        super().connection_made(transport)
        if len(self.server.handler_tasks) > MOST_CONNECTIONS:
            self.transport.abort()
            return
        plain: socket.socket = transport.get_extra_info("socket")
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
