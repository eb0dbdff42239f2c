"""A receiver that is known by the name it announces, and followed where it goes."""

from __future__ import annotations

from streamtag.discovery.browsing import Browser, Receiver
from streamtag.discovery.network import require
from streamtag.osc.destination import FIRST_WAIT_SECONDS, Destination


class AnnouncedDestination:
    """Sends datagrams to whoever announces a name (`_osc._udp`), as `Destination` does to a host and port.

    One that is announced no more is sent to as before: a network that loses a packet in ten loses announcements, too.
    Everything here belongs to the thread that calls; only `trouble` and `drops` may be read from others.

    Parameters
    ----------
    name : str
        The receiver's name, whatever its case, or a part that no other has.

    Raises
    ------
    MissingExtraError
        Without the extra `discover`.
    """

    def __init__(self, name: str) -> None:
        require(f"a receiver by its name ({name!r})")
        self._name = name
        self._browser: Browser | None = None
        self._receiver: Receiver | None = None
        self._destination: Destination | None = None
        self._drops = self._arrivals = 0  # of those that it was before, and where it was nowhere

    @property
    def drops(self) -> int:
        """Datagrams that were refused or could not be sent; while nobody has the name, one for each call of `ready`."""
        return self._drops + (0 if self._destination is None else self._destination.drops)

    @property
    def arrivals(self) -> int:
        """How often somebody may have begun to listen."""
        return self._arrivals + (0 if self._destination is None else self._destination.arrivals)

    @property
    def trouble(self) -> str | None:
        """What is wrong at present, in words; None if nothing is known to be."""
        destination, browser = self._destination, self._browser
        if destination is not None:
            return destination.trouble
        if browser is None:
            return None
        return browser.trouble or (
            "nobody announces this name (`streamtag receivers` lists who does); an address is written HOST:PORT"
        )

    def open(self) -> None:
        """Look for the name; if that takes longer than a second, it goes on in the background."""
        self._browser = Browser()
        self._browser.open()
        self._browser.changed.wait(FIRST_WAIT_SECONDS)
        self._follow()

    def ready(self) -> bool:
        """Whether there is a socket; if not, that is counted."""
        self._follow()
        if self._destination is None:
            self._drops += 1
            return False
        return self._destination.ready()

    def send(self, datagram: bytes | bytearray) -> None:
        """Send one datagram, if there is a socket."""
        if self._destination is not None:
            self._destination.send(datagram)

    def close(self) -> None:
        """Release all."""
        if self._browser is not None:
            self._browser.close()
        self._leave()
        self._browser = self._receiver = None

    def _follow(self) -> None:
        """Go to where the name is now."""
        if self._browser is None or not self._browser.changed.is_set():
            return
        self._browser.changed.clear()  # first, so that what comes from here on is looked at
        found = self._browser.find(self._name)
        where = None if self._receiver is None else (self._receiver.host, self._receiver.port)
        if found is None or (found.host, found.port) == where:
            return
        self._leave()
        self._receiver, self._destination = found, Destination(found.host, found.port)
        self._destination.open()

    def _leave(self) -> None:
        destination, self._destination = self._destination, None
        if destination is not None:
            self._drops += destination.drops
            self._arrivals += destination.arrivals
            destination.close()
