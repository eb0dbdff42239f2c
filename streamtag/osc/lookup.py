"""The addresses that a name stands for, looked up on a thread of its own: that can take many seconds."""

from __future__ import annotations

import ipaddress
import socket
import threading
from typing import Any

from streamtag._system.threads import start_whole
from streamtag.osc.peer import Peer, words

MOST_ADDRESSES = 4
"""How many addresses of one name are tried."""


class Lookup:
    """One look-up of a name, with a socket for each address that a route leads to.

    Until `finished` all belongs to that thread, and from then on to the one that began it, which takes the sockets or
    abandons the look-up. Abandoned before, the thread closes what it makes.

    Parameters
    ----------
    host : str
        A name or an IP address.
    port : int
        Which port there.

    Attributes
    ----------
    finished : threading.Event
        Whether the rest may be read.
    peers : list of Peer
        In the order in which they are to be tried; empty if there is none.
    addresses : list
        All that the name stands for.
    trouble : str or None
        Why there are no peers.
    """

    def __init__(self, host: str, port: int) -> None:
        self.finished = threading.Event()
        self.peers: list[Peer] = []
        self.addresses: list[Any] = []
        self.trouble: str | None = None
        self._host, self._port = host, port
        self._lock = threading.Lock()  # over `_abandoned`, and `peers` until `finished`
        self._abandoned = False
        try:
            start_whole(threading.Thread(target=self._run, name="streamtag-resolve", daemon=True))
        except RuntimeError as error:  # no thread is to be had, at present
            self.trouble = str(error)
            self.finished.set()

    def abandon(self) -> None:
        """Close the sockets, be they there or still to come."""
        with self._lock:
            self._abandoned = True
            for peer in self.peers:
                peer.close()

    def _run(self) -> None:
        try:
            self._connect(_found(self._host, self._port))
        except socket.gaierror as error:
            self.trouble = f"cannot be resolved: {error.strerror}"
        except OSError as error:
            self.trouble = words(error)
        except Exception as error:  # a name or port that is none: other types for each
            self.trouble = f"cannot be resolved: {error}"
        self.finished.set()

    def _connect(self, found: list[tuple[Any, ...]]) -> None:
        """Connect to each address that a route leads to."""
        self.addresses = [address for *_, address in found]
        first: OSError | None = None
        for family, kind, protocol, _, address in found:
            try:
                made = Peer(family, kind, protocol, address)
            except OSError as error:
                first = first or error
                continue
            with self._lock:
                if self._abandoned:
                    made.close()
                else:
                    self.peers.append(made)
        if first is not None and not self.peers:
            raise first


def in_order(family: int) -> int:
    """A key to sort by: IPv4 comes first, since that is where most receivers of OSC listen, and many nowhere else."""
    return int(family != socket.AF_INET)


def is_address(host: str) -> bool:
    """Whether a host is an IP address, and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _found(host: str, port: int) -> list[tuple[Any, ...]]:
    """Where to connect to, as getaddrinfo says it."""
    if host.rstrip(".").lower() == "localhost":
        # what it means is laid down (RFC 6761), and systems that know but one of the two are many
        found = [(socket.AF_INET, ("127.0.0.1", port)), (socket.AF_INET6, ("::1", port, 0, 0))]
        return [(family, socket.SOCK_DGRAM, 0, "", address) for family, address in found]
    listed = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    return sorted(listed, key=lambda entry: in_order(entry[0]))[:MOST_ADDRESSES]
