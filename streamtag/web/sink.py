"""Results for browsers, as a sink: the session's thread hands a frame over, and that is all it does."""

from __future__ import annotations

from collections.abc import Collection

from streamtag.results import Stats, TagFrame
from streamtag.sinks.base import BaseSink, SessionInfo
from streamtag.web.guard import parse_origin
from streamtag.web.messages import Encoded
from streamtag.web.server import WebServer


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

    Raises
    ------
    OptionError
        What is no origin.
    """

    name = "web"

    def __init__(self, host: str = "127.0.0.1", port: int = 8765, allow: Collection[str] = ()) -> None:
        self.host, self.port = host, port
        self._asked = port
        self._allow = [parse_origin(origin) for origin in allow]
        self._server: WebServer | None = None
        self._labels: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """Where the page is, for a browser on this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{self.port}/"

    @property
    def trouble(self) -> str | None:
        """What is wrong at present, in words; None if nothing is known to be."""
        return None if self._server is None else self._server.trouble

    @property
    def keeps_running(self) -> bool:
        """A session goes on for the sake of those who may look."""
        return True

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
        self._labels = info.labels
        server = WebServer(self.host, self._asked, self._allow)
        server.hub.info = info
        server.start()
        self._server, self.port = server, server.port

    def frame(self, frame: TagFrame) -> None:
        """Hand a frame over."""
        server = self._server
        if server is not None:
            server.call(_publish, server, Encoded(frame, self._labels), frame)

    def status(self, stats: Stats) -> None:
        """Hand the counters over."""
        if self._server is not None:
            self._server.call(self._server.hub.tell, stats)

    def close(self) -> None:
        """End all connections."""
        server, self._server = self._server, None
        if server is not None:
            server.stop()


def _publish(server: WebServer, encoded: Encoded, frame: TagFrame) -> None:
    server.hub.past.add(frame)
    server.hub.publish(encoded)
