"""Open Sound Control: packets, the sender, the control port."""
