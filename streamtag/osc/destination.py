"""A UDP socket to a host whose name, network and receiver may come and go; nothing of that waits or raises."""

from __future__ import annotations

import ipaddress
import math
import socket
import threading
import time
from typing import Any

FIRST_WAIT_SECONDS = 1.0
"""How long `open` waits for the name, so that in the normal case the first frames are not lost."""
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 5.0
"""Between attempts; doubled from the first to the longest."""
LOOKUP_SECONDS = 30.0
"""How often a name that works is looked up again: its address may have changed."""
RETURNED_SECONDS = 2.0
"""How long a datagram that came back tells of the present: machines return them now and then, not each of them."""


class Destination:
    """Sends datagrams to a host and port, as well as the network allows.

    Names are looked up on threads of their own (`_Attempt`), since that can take many seconds; there is never more than
    one. Everything here belongs to the thread that calls; only `trouble` and `drops` may be read from others.

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
    """

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.drops = 0
        self._named = not _is_address(host)
        self._socket: socket.socket | None = None
        self._peer: Any = None  # the socket's, as getaddrinfo gave it
        self._attempt: _Attempt | None = None
        self._trouble: str | None = None
        self._failing = False  # no datagram has gone out since one could not
        self._returned = "", -math.inf  # why a datagram came back, and when
        self._pause = FIRST_PAUSE_SECONDS
        self._due = math.inf  # when to look up and connect (again)

    @property
    def trouble(self) -> str | None:
        """What is wrong at present, in words; None if nothing is known to be."""
        why, when = self._returned
        return self._trouble or (why if time.monotonic() - when < RETURNED_SECONDS else None)

    def open(self) -> None:
        """Look up and connect; if that takes longer than a second, it goes on in the background."""
        self._failing, self._pause = False, FIRST_PAUSE_SECONDS
        self._trouble = "is still being looked up"
        self._attempt = _Attempt(self.host, self.port)
        self._attempt.finished.wait(FIRST_WAIT_SECONDS)
        self._advance()

    def ready(self) -> bool:
        """Whether there is a socket; if not, that is counted. Connects and looks up, in the background, when due."""
        self._advance()
        if self._socket is None:
            self.drops += 1
        return self._socket is not None

    def send(self, datagram: bytes | bytearray) -> None:
        """Send one datagram, if there is a socket."""
        if self._socket is None:
            return
        error = _sent(self._socket, datagram)
        if error is not None and not isinstance(error, BlockingIOError):
            # this may report an earlier datagram, and the present one was not sent: once more
            again = _sent(self._socket, datagram)
            if again is None:
                self.drops += 1
                refused = isinstance(error, ConnectionRefusedError)
                self._returned = ("nobody listens there" if refused else _words(error)), time.monotonic()
            error = again
        if error is not None:
            self.drops += 1
            if not isinstance(error, (BlockingIOError, ConnectionRefusedError)):
                self._trouble = _words(error)
                if not self._failing:
                    self._failing = True
                    self._plan()
        elif self._failing:
            self._failing, self._trouble = False, None
            self._plan()

    def close(self) -> None:
        """Release the socket, and the one that an attempt may still bring."""
        if self._attempt is not None:
            self._attempt.abandon()
            self._attempt = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._due = math.inf

    def _advance(self) -> None:
        """Take over what an attempt has brought; begin one when it is time."""
        if self._attempt is not None:
            if self._attempt.finished.is_set():
                attempt, self._attempt = self._attempt, None
                self._take(attempt)
        elif time.monotonic() >= self._due:
            self._attempt = _Attempt(self.host, self.port)

    def _take(self, attempt: _Attempt) -> None:
        works = self._socket is not None and not self._failing
        if attempt.socket is None:
            if not works:  # else the name is not found at present, but its last address still does
                self._trouble = attempt.trouble
        elif works and self._peer in attempt.addresses:
            attempt.socket.close()
        else:
            # where sending failed, the same address gets a new socket, too: a connected one keeps the source address
            # that it began with, and so outlives its network
            if self._socket is not None:
                self._socket.close()
            self._socket, self._peer = attempt.socket, attempt.peer
            if not self._failing:
                self._trouble = None
        self._plan()

    def _plan(self) -> None:
        """Say when to connect again."""
        now = time.monotonic()
        if self._socket is not None and not self._failing:
            self._pause = FIRST_PAUSE_SECONDS
            self._due = now + LOOKUP_SECONDS if self._named else math.inf
        else:
            self._due = now + self._pause
            self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)


class _Attempt:
    """One look-up and connection, on a thread of its own.

    Until `finished` all belongs to that thread, and from then on to the one that began it, which takes the socket or
    abandons the attempt. Abandoned before, the thread closes what it makes.

    Attributes
    ----------
    finished : threading.Event
        Whether the rest may be read.
    socket : socket.socket or None
        Connected and non-blocking; None if that could not be.
    peer : object
        What it is connected to.
    addresses : list
        All that the name stands for.
    trouble : str or None
        Why there is no socket.
    """

    def __init__(self, host: str, port: int) -> None:
        self.finished = threading.Event()
        self.socket: socket.socket | None = None
        self.peer: Any = None
        self.addresses: list[Any] = []
        self.trouble: str | None = None
        self._host, self._port = host, port
        self._lock = threading.Lock()  # over `_abandoned`, and `socket` until `finished`
        self._abandoned = False
        try:
            threading.Thread(target=self._run, name="streamtag-resolve", daemon=True).start()
        except RuntimeError as error:  # no thread is to be had, at present
            self.trouble = str(error)
            self.finished.set()

    def abandon(self) -> None:
        """Close the socket, be it there or still to come."""
        with self._lock:
            self._abandoned = True
            if self.socket is not None:
                self.socket.close()

    def _run(self) -> None:
        try:
            self._connect(socket.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM))
        except socket.gaierror as error:
            self.trouble = f"cannot be resolved: {error.strerror}"
        except OSError as error:
            self.trouble = _words(error)
        except Exception as error:  # a name or port that is none: other types for each
            self.trouble = f"cannot be resolved: {error}"
        self.finished.set()

    def _connect(self, found: list[tuple[Any, ...]]) -> None:
        """Connect to the first address that a route leads to."""
        self.addresses = [address for *_, address in found]
        error: OSError | None = None
        for family, kind, protocol, _, address in found:
            try:
                made = _connected(family, kind, protocol, address)
            except OSError as this:
                error = error or this
                continue
            with self._lock:
                if self._abandoned:
                    made.close()
                else:
                    self.socket, self.peer = made, address
            return
        if error is not None:
            raise error


def _connected(family: int, kind: int, protocol: int, address: Any) -> socket.socket:
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        made.setblocking(False)
        # connected, so that the system reports a port where nobody listens
        made.connect(address)
    except BaseException:
        made.close()
        raise
    return made


def _sent(to: socket.socket, datagram: bytes | bytearray) -> OSError | None:
    """Send; what came in between, if anything."""
    try:
        to.send(datagram)
    except OSError as error:
        return error
    return None


def _words(error: OSError) -> str:
    return error.strerror or str(error)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
