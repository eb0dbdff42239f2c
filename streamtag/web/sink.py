"""Results for browsers, as a sink: the session's thread hands a frame over, and that is all it does."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Sequence

from streamtag.discovery.announcing import Announcement, Service
from streamtag.discovery.network import OSC, OSCQUERY, require
from streamtag.osc.control import ControlPort
from streamtag.results import Stats, TagFrame
from streamtag.sinks.base import BaseSink, SessionInfo
from streamtag.web.guard import parse_origin
from streamtag.web.hub import Hub
from streamtag.web.server import WebServer

MOST_WAITING = 64
"""Frames that may wait for the server's thread, a second of them; after that the oldest is dropped and counted."""


class _Port:
    """The port that the sinks of several sessions share: listened on from the first that opens to the last that closes.

    Parameters
    ----------
    host, port : str, int
        Where to listen.
    allow : sequence of str
        Origins.
    control : ControlPort or None
        Where commands are heard.
    announce : bool
        Whether to be announced.
    """

    def __init__(self, host: str, port: int, allow: Sequence[str], control: ControlPort | None, announce: bool) -> None:
        self.host, self.port = host, port
        self._asked = port
        self._allow = allow
        self._control = control
        self._announce = announce
        self._open = 0
        self._lock = threading.Lock()  # sessions open and close on threads of their own
        self.server: WebServer | None = None
        self.announcement: Announcement | None = None

    def open(self, hub: Hub) -> WebServer:
        """Listen, or show one more."""
        with self._lock:
            if self._open and self.server is not None:
                self.server.add(hub)
            else:
                self._listen(hub)
            self._open += 1
            assert self.server is not None
            return self.server

    def close(self) -> None:
        """One is shown no more; the last one ends all connections."""
        with self._lock:
            self._open -= 1
            if not self._open and self.server is not None:
                if self.announcement is not None:
                    self.announcement.close()
                self.server.stop()

    @property
    def closed(self) -> bool:
        """Whether all have closed."""
        return not self._open

    def _listen(self, hub: Hub) -> None:
        control = None if self._control is None else self._control.address
        server = WebServer(self.host, self._asked, self._allow, hub, control)
        server.start()
        self.server, self.port = server, server.port
        if self._announce:
            services = [Service(OSCQUERY, self.host, self.port)]
            if control is not None:
                services.append(Service(OSC, *control))
            self.announcement = Announcement(services)
            self.announcement.open()


class WebSink(BaseSink):
    """Serves a page, an overlay and a stream of JSON on one port: see docs/web.md.

    Viewers read; nothing that they send has any effect. One that is slow gets the newest frame when it is ready for
    it, and delays nobody.

    Parameters
    ----------
    host : str
        Address of this machine to listen on; 0.0.0.0 for all of its networks.
    port : int
        Port; 0 for one that is free, which `port` then is.
    allow : collection of str
        Origins of pages from elsewhere that may open the stream, for example ``https://hydra.ojack.xyz``.
    control : ControlPort or None
        Where the session hears commands: OSCQuery then tells which there are.
    announce : bool
        Announce the page's port, and that of `control`, in the networks of this machine (needs the extra `discover`).
        What only this machine reaches is not announced.

    Raises
    ------
    OptionError
        What is no origin.
    MissingExtraError
        To be announced without the extra `discover`.
    """

    name = "web"

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 8765,
        allow: Collection[str] = (),
        *,
        control: ControlPort | None = None,
        announce: bool = False,
    ) -> None:
        if announce:
            require("to be announced in the network")
        self._share(_Port(host, port, [parse_origin(origin) for origin in allow], control, announce))

    def _share(self, port: _Port) -> None:
        self._port = port
        self._hub: Hub | None = None
        self._server: WebServer | None = None
        self._waiting: deque[Callable[[Hub], None]] = deque(maxlen=MOST_WAITING)
        self._awake = False  # the server has been told that something waits
        self._drops = 0
        self._closed = False

    def beside(self) -> WebSink:
        """Another sink for another session (one of an `Ensemble`), which is shown on the same port by its name."""
        other = WebSink.__new__(WebSink)
        other._share(self._port)
        return other

    @property
    def host(self) -> str:
        """Where it listens."""
        return self._port.host

    @property
    def port(self) -> int:
        """The port; once it listens, the one that it was given."""
        return self._port.port

    @property
    def url(self) -> str:
        """Where the page is, for a browser on this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{self.port}/"

    @property
    def drops(self) -> int:
        """Frames that the server's thread, held up, did not come to. What slow viewers do without is in /metrics."""
        return self._drops

    @property
    def trouble(self) -> str | None:
        """What is wrong at present, in words; None if nothing is known to be."""
        told = (told.trouble for told in (self._server, self._port.announcement) if told is not None)
        return next(filter(None, told), None)

    @property
    def first_error(self) -> BaseException | None:
        """The first exception on the server's thread."""
        return None if self._server is None else self._server.error

    @property
    def stuck(self) -> bool:
        """Whether the server's thread has not ended in time."""
        return self._server is not None and self._port.closed and self._server.stuck

    def open(self, info: SessionInfo) -> None:
        """Listen.

        Parameters
        ----------
        info : SessionInfo
            The session.

        Raises
        ------
        SinkError
            The port cannot be had.
        """
        hub = Hub(info)
        self._server = self._port.open(hub)
        self._hub = hub
        self._waiting.clear()
        self._awake = self._closed = False

    def frame(self, frame: TagFrame) -> None:
        """Hand a frame over."""
        self._hand_over(lambda hub: hub.publish(frame))

    def status(self, stats: Stats) -> None:
        """Hand the counters over."""
        self._hand_over(lambda hub: hub.tell(stats))

    def close(self) -> None:
        """Show it no more; with the last session all connections end."""
        if self._server is not None and not self._closed:
            self._closed = True
            self._port.close()

    def _hand_over(self, tell: Callable[[Hub], None]) -> None:
        if self._server is None or self._closed:
            return
        self._drops += len(self._waiting) == MOST_WAITING
        self._waiting.append(tell)
        if not self._awake:
            self._awake = True
            self._server.call(self._take)

    def _take(self) -> None:
        """On the server's thread: all that waits."""
        self._awake = False  # first, so that what comes from here on wakes it again
        assert self._server is not None
        assert self._hub is not None
        try:
            while self._waiting:
                self._waiting.popleft()(self._hub)
        except BaseException:  # what waits behind it does not wait for the next frame
            self._server.call(self._take)
            raise
