"""A UDP destination whose name, network and receiver may come and go; nothing of that waits or raises."""

from __future__ import annotations

import math
import socket
import time

from streamtag.osc.lookup import Lookup, in_order, is_address
from streamtag.osc.peer import Peer

FIRST_WAIT_SECONDS = 1.0
"""How long `open` waits for the name, so that in the normal case the first frames are not lost."""
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 5.0
"""Between attempts; doubled from the first to the longest."""
LOOKUP_SECONDS = 30.0
"""How often a name that works is looked up again: its address may have changed."""


class Destination:
    """Sends datagrams to a host and port, as well as the network allows.

    A name may stand for several addresses. A datagram goes to the first of them, and, as long as that one returns what
    it gets, to the next as well: whoever listens at one of them is heard from the first datagram on, and nobody who
    listens at all of them is told things twice for long.

    There is never more than one look-up (see `Lookup`). Everything here belongs to the thread that calls; only
    `trouble` and `drops` may be read from others.

    Parameters
    ----------
    host : str
        Where to: a name or an IP address.
    port : int
        Which port there.

    Attributes
    ----------
    drops : int
        Datagrams that were refused or could not be sent; where there is no socket, one for each call of `ready`.
    arrivals : int
        How often somebody may have begun to listen: an address is new, or its trouble is over.
    """

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.drops = 0
        self.arrivals = 0
        self._named = not is_address(host)
        self._peers: tuple[Peer, ...] = ()
        self._lookup: Lookup | None = None
        self._trouble: str | None = None  # of the look-up
        self._failing = False  # a peer may need a new socket
        self._pause = FIRST_PAUSE_SECONDS
        self._due = math.inf  # when to look up and connect (again)

    @property
    def trouble(self) -> str | None:
        """What is wrong at present, in words; None if nothing is known to be."""
        peers = self._peers
        if not peers:
            return self._trouble
        said = [peer.trouble for peer in peers]
        return said[0] if all(said) else None

    def open(self) -> None:
        """Look up and connect; if that takes longer than a second, it goes on in the background."""
        self._failing, self._pause = False, FIRST_PAUSE_SECONDS
        self._trouble = "is still being looked up"
        self._lookup = Lookup(self.host, self.port)
        self._lookup.finished.wait(FIRST_WAIT_SECONDS)
        self._advance()

    def ready(self) -> bool:
        """Whether there is a socket; if not, that is counted. Connects and looks up, in the background, when due."""
        self._advance()
        if not self._peers:
            self.drops += 1
        return bool(self._peers)

    def send(self, datagram: bytes | bytearray) -> None:
        """Send one datagram, if there is a socket."""
        sent = False
        for place, peer in enumerate(self._peers):
            doubted, returned = peer.trouble is not None, peer.returned
            sent = peer.send(datagram) or sent
            # an earlier one has come back now: whether any other address has got it depends on what was known then
            if peer.returned > returned and (not doubted or place == len(self._peers) - 1):
                self.drops += 1
            if peer.trouble is None:
                self.arrivals += doubted
                break
        self.drops += bool(self._peers) and not sent
        failing = any(peer.failing for peer in self._peers)
        if failing is not self._failing:
            self._failing = failing
            self._plan()

    def close(self) -> None:
        """Release the sockets, and those that a look-up may still bring."""
        if self._lookup is not None:
            self._lookup.abandon()
            self._lookup = None
        peers, self._peers = self._peers, ()
        for peer in peers:
            peer.close()
        self._trouble, self._due = None, math.inf

    def _advance(self) -> None:
        """Take over what a look-up has brought; begin one when it is time."""
        if self._lookup is not None:
            if self._lookup.finished.is_set():
                lookup, self._lookup = self._lookup, None
                self._take(lookup)
        elif time.monotonic() >= self._due:
            self._lookup = Lookup(self.host, self.port)

    def _take(self, lookup: Lookup) -> None:
        """Replace what is no longer right; without new addresses, the last ones may still do."""
        self._trouble = lookup.trouble
        if lookup.peers:
            # where sending failed, the same address gets a new socket, too: a connected one keeps the source address
            # that it began with, and so outlives its network
            kept = [peer for peer in self._peers if peer.address in lookup.addresses and not peer.failing]
            old = [peer for peer in self._peers if peer not in kept]
            known = [peer.address for peer in kept]
            new = [peer for peer in lookup.peers if peer.address not in known]
            for peer in new:
                peer.expect(next((each.trouble for each in old if each.address == peer.address), None))
            if any(peer.trouble is None for peer in new):
                self.arrivals += 1
            for peer in (*old, *(peer for peer in lookup.peers if peer not in new)):
                peer.close()
            self._peers = tuple(sorted((*kept, *new), key=lambda peer: in_order(_family(peer))))
            self._failing = any(peer.failing for peer in self._peers)
        self._plan()

    def _plan(self) -> None:
        """Say when to connect again."""
        now = time.monotonic()
        if self._peers and not self._failing:
            self._pause = FIRST_PAUSE_SECONDS
            self._due = now + LOOKUP_SECONDS if self._named else math.inf
        else:
            self._due = now + self._pause
            self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)


def _family(peer: Peer) -> int:
    return socket.AF_INET if len(peer.address) == 2 else socket.AF_INET6
