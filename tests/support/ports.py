"""Ports that nobody uses."""

from __future__ import annotations

import contextlib
import random
import socket


def free_udp_port() -> int:
    """A port where nobody listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def free_tcp_port() -> int:
    """A port where nobody listens.

    Not one that the system gives to those who connect: whoever asks such a port, again and again, whether somebody
    listens yet may in the end be connected to itself, and then nobody else can listen there.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
