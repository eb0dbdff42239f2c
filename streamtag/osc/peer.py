"""One address of a receiver: a connected UDP socket, and what is known of what became of its datagrams.

UDP answers nobody. But where no one listens, the machine says so (ICMP), and a connected socket reports that: within
the same machine at once, from others after a while and not for each datagram.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import time
from typing import Any

QUIET_SECONDS = 5.0
"""How long nothing may come back from another machine until that is over: some return one datagram in seconds."""
QUIET_DATAGRAMS = 2
"""The same within this machine, in datagrams: a busy system may report one no sooner than at the next."""


NO_ROOM = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS, errno.ENOMEM})
"""What is wrong with the moment, and not with the way there."""


class Peer:
    """A socket that is connected to one address.

    Parameters
    ----------
    family, kind, protocol : int
        As getaddrinfo gives them.
    address : object
        As getaddrinfo gives it.

    Attributes
    ----------
    address : object
        Where datagrams go.
    trouble : str or None
        Why datagrams come back, or cannot be sent; None if nothing is known to be wrong.
    failing : bool
        Whether the last one could not be sent at all: a new socket may be able to.
    returned : int
        Datagrams that were sent and then came back.
    """

    def __init__(self, family: int, kind: int, protocol: int, address: Any) -> None:
        self.address = address
        self.trouble: str | None = None
        self.failing = False
        self.returned = 0
        self._last_return = 0.0
        self._since_return = 0  # datagrams
        self._socket = _connected(family, kind, protocol, address)
        self._here = self._is_here()

    def send(self, datagram: bytes | bytearray) -> bool:
        """Send one datagram. Returns whether it is on its way: it has not come back at once, that is."""
        error = self._try(datagram)
        if error is not None and error.errno not in NO_ROOM:
            # this may report an earlier one, and the present one was not sent: once more
            again = self._try(datagram)
            if again is None:
                self.returned += 1
                self._came_back(error)
            error = again
        if error is not None and error.errno in NO_ROOM:
            return False
        if error is not None:
            self.failing, self.trouble = True, words(error)
            return False
        if (error := self._reported()) is not None:
            self.failing = False
            self._came_back(error)
            return False
        self._is_on_its_way()
        return True

    def expect(self, trouble: str | None) -> None:
        """Take over the trouble of another socket until a datagram has gone out."""
        self.failing, self.trouble = trouble is not None, trouble

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _try(self, datagram: bytes | bytearray) -> OSError | None:
        try:
            self._socket.send(datagram)
        except OSError as error:
            return error
        return None

    def _reported(self) -> OSError | None:
        """What the system says of a datagram that was sent. Windows says it here and nowhere else."""
        try:
            self._socket.recv(1)  # a receiver that answers was not asked anything
        except BlockingIOError:
            return None
        except OSError as error:
            return None if error.errno == errno.EMSGSIZE else error  # more than a byte of answer, on Windows
        return None

    def _came_back(self, error: OSError) -> None:
        refused = isinstance(error, ConnectionRefusedError | ConnectionResetError)
        self.trouble = "nobody listens there" if refused else words(error)
        self._last_return, self._since_return = time.monotonic(), 0

    def _is_on_its_way(self) -> None:
        if self.trouble is None:
            return
        self._since_return += 1
        if self._here:
            quiet = self._since_return >= QUIET_DATAGRAMS
        else:
            quiet = time.monotonic() - self._last_return >= QUIET_SECONDS
        if self.failing or quiet:
            self.failing, self.trouble = False, None

    def _is_here(self) -> bool:
        own, other = self._socket.getsockname()[0], self._socket.getpeername()[0]
        return bool(own == other or ipaddress.ip_address(other.partition("%")[0]).is_loopback)


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


def words(error: OSError) -> str:
    """What an error says, without its number."""
    return error.strerror or str(error)
