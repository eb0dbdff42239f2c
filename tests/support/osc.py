"""A receiver of OSC on a socket."""

from __future__ import annotations

import socket
from typing import Any

from pythonosc.osc_packet import OscPacket

Message = tuple[str, str, tuple[Any, ...]]
"""Address, type tags, arguments."""


def parsed(datagram: bytes) -> list[Message]:
    """Every message in a datagram, with its type tags as they were sent."""
    found: list[Message] = []
    for timed in OscPacket(datagram).messages:
        raw = timed.message.dgram
        start = raw.index(b",")
        tags = raw[start + 1 : raw.index(b"\0", start)].decode()
        found.append((timed.message.address, tags, tuple(timed.message.params)))
    return found


class Receiver:
    """A UDP socket that reads OSC."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, port))
        self.socket.settimeout(2)
        self.port = self.socket.getsockname()[1]

    def datagrams(self) -> list[bytes]:
        """All that has come: what is sent on this machine is there when `send` returns."""
        found = []
        self.socket.settimeout(0.05)
        try:
            while True:
                found.append(self.socket.recv(65536))
        except TimeoutError:
            return found

    def messages(self) -> list[Message]:
        return [item for datagram in self.datagrams() for item in parsed(datagram)]
