"""The server: pages and figures by HTTP, results over WebSockets, on one port and one thread of its own.

Built on `websockets`, whose server answers plain requests, too. Each viewer has a task that sends the newest frame and
waits until it is taken; what comes meanwhile takes that frame's place. So a viewer that never reads costs what its
socket's buffer holds, and delays nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import http
import json
import logging
import threading
import time
from collections.abc import Collection
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.http11 import Request, Response

from streamtag._system.threads import start_whole
from streamtag.errors import OptionError, SinkError
from streamtag.results import ENDED, State
from streamtag.web.guard import host_allowed, origin_allowed, own_names
from streamtag.web.hub import Hub, Viewer
from streamtag.web.messages import hello, parse_wish, status_message
from streamtag.web.metrics import CONTENT_TYPE, metrics

STREAM = "/v1/stream"
MOST_VIEWERS = 64
MOST_CONNECTIONS = 2 * MOST_VIEWERS
"""Of any kind: a process may have 1024 files and sockets open, or 256, and the session needs some, too."""
OPEN_SECONDS = 5.0
"""Within which a connection has to say what it wants."""
MOST_BYTES, MOST_MESSAGES = 1024, 100
"""Of a message from a viewer, and how many; what they say has no effect."""
BUFFERED_BYTES = 1 << 15
"""What waits for a viewer in this process, besides what its socket takes."""
PING_SECONDS = 15.0
CLOSE_SECONDS = 1.0
TROUBLE_SECONDS = 5.0
PAGES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/taggram.js": ("taggram.js", "text/javascript; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
SAFE = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
log = logging.getLogger("streamtag.web")
log.addHandler(logging.NullHandler())  # viewers that break off are no news
log.propagate = False


class _Connection(ServerConnection):
    """A connection, ended at once if there are too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it."""
        super().connection_made(transport)
        if len(self.server.handler_tasks) > MOST_CONNECTIONS:
            self.transport.abort()


class WebServer:
    """Serves one session, from `start` to `stop`.

    Parameters
    ----------
    host : str
        Address or name to listen on.
    port : int
        Port, 0 for any that is free.
    allow : collection of str
        Origins of other pages that may open the stream.
    """

    def __init__(self, host: str, port: int, allow: Collection[str]) -> None:
        self.host, self.port = host, port
        self._allow = frozenset(allow)
        self._names = own_names(host)
        self.hub = Hub()
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="streamtag-web", daemon=True)
        self._ready = threading.Event()
        self._error: Exception | None = None
        self._troubled: tuple[float, str] | None = None
        self._end: asyncio.Event | None = None
        self.served: Server | None = None

    def start(self) -> None:
        """Listen.

        Raises
        ------
        SinkError
            The port is taken, or is not this user's to take, or there is no such address.
        """
        start_whole(self._thread)
        self._ready.wait()
        if self._error is not None:
            raise SinkError(_refused(self.host, self.port, self._error)) from self._error

    @property
    def trouble(self) -> str | None:
        """What is wrong at present, or has been within the last seconds."""
        if self._error is not None:
            return f"has ended: {self._error}"
        troubled = self._troubled
        if troubled is None or time.monotonic() - troubled[0] > TROUBLE_SECONDS:
            return None
        return troubled[1]

    def call(self, work: object, *arguments: object) -> None:
        """Have something done on the server's thread; nothing once it has ended."""
        try:
            self.loop.call_soon_threadsafe(work, *arguments)  # type: ignore[arg-type]
        except RuntimeError:  # the loop is closed
            return

    def stop(self) -> None:
        """End all connections and the thread."""
        if self._end is not None:
            self.call(self._end.set)
        if self._thread.ident is not None:
            self._thread.join(3 * CLOSE_SECONDS)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
                runner.run(self._serve())
        except Exception as error:  # whatever a name, a port, a system is wrong with: said, and not by a traceback
            self._error = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._end = asyncio.Event()
        self.loop.set_exception_handler(self._note)
        server = await serve(
            self._view,
            self.host,
            self.port,
            process_request=self._answer,
            create_connection=_Connection,
            open_timeout=OPEN_SECONDS,
            compression=None,  # costs more processor than it saves network, for each viewer
            max_size=MOST_BYTES,
            write_limit=BUFFERED_BYTES,
            ping_interval=PING_SECONDS,
            ping_timeout=PING_SECONDS,
            close_timeout=CLOSE_SECONDS,
            logger=log,
            server_header=None,
        )
        self.served, self.port = server, _port_of(server)
        self._ready.set()
        await self._end.wait()
        server.close()
        await asyncio.wait([asyncio.ensure_future(server.wait_closed())], timeout=2 * CLOSE_SECONDS)

    def _note(self, _: asyncio.AbstractEventLoop, told: dict[str, Any]) -> None:
        """What asyncio cannot raise to anybody, and else prints: no file is left for one more connection."""
        error = told.get("exception")
        self._troubled = time.monotonic(), f"a viewer is turned away: {error or told['message']}"

    async def _view(self, connection: ServerConnection) -> None:
        """Send one viewer what is new, until it leaves."""
        hub = self.hub
        assert connection.request is not None
        viewer = Viewer(parse_wish(connection.request.path), asyncio.Event())
        hub.viewers.add(viewer)
        left = asyncio.ensure_future(_left(connection))
        left.add_done_callback(lambda _: viewer.changed.set())
        try:
            if hub.info is not None:
                await connection.send(hello(hub.info))
                if hub.stats is not None:
                    await connection.send(status_message(hub.stats, hub.info))
            while not left.done():
                await viewer.changed.wait()
                viewer.changed.clear()
                (status, viewer.status), (frame, viewer.frame) = (viewer.status, None), (viewer.frame, None)
                if status is not None:
                    await connection.send(status)
                if frame is not None:
                    await connection.send(frame.text(viewer.wish.fields))
        except ConnectionClosed:
            pass
        finally:
            left.cancel()
            hub.viewers.discard(viewer)

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """What a request gets; None: it becomes a WebSocket."""
        host, path = request.headers.get("Host"), urlsplit(request.path).path
        if not host_allowed(host, self._names):
            return _text(http.HTTPStatus.FORBIDDEN, f"not by the name {host!r}: use an address, or localhost\n")
        if path == STREAM:
            return self._admit(request, host)
        if path in PAGES:
            name, kind = PAGES[path]
            return _response(http.HTTPStatus.OK, kind, _page(name))
        if path == "/v1/past":
            return _response(http.HTTPStatus.OK, "application/json", self.hub.past.text().encode())
        if path == "/healthz":
            return self._health()
        if path == "/metrics":
            hub = self.hub
            text = metrics(hub.stats, hub.info, len(hub.viewers), hub.conflated)
            return _response(http.HTTPStatus.OK, CONTENT_TYPE, text.encode())
        return _text(http.HTTPStatus.NOT_FOUND, f"there is nothing at {path[:100]!r}\n")

    def _admit(self, request: Request, host: str | None) -> Response | None:
        origin = request.headers.get("Origin")
        if not origin_allowed(origin, host, self._allow):
            return _text(http.HTTPStatus.FORBIDDEN, f"not for pages of {origin!r}: start with --web-allow {origin}\n")
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return _text(http.HTTPStatus.UPGRADE_REQUIRED, "this is a WebSocket: open it with ws://\n")
        if len(self.hub.viewers) >= MOST_VIEWERS:
            return _text(http.HTTPStatus.SERVICE_UNAVAILABLE, f"{MOST_VIEWERS} look already\n")
        try:
            parse_wish(request.path)
        except (OptionError, ValueError) as error:
            return _text(http.HTTPStatus.BAD_REQUEST, f"{error}\n")
        return None

    def _health(self) -> Response:
        """200 while it hears; 503 while it does not."""
        stats = self.hub.stats
        state = State.STARTING if stats is None else stats.state
        good = state not in ENDED and state is not State.RECOVERING
        status = http.HTTPStatus.OK if good else http.HTTPStatus.SERVICE_UNAVAILABLE
        said = {"state": state.value, "trouble": None if stats is None else stats.trouble}
        return _response(status, "application/json", json.dumps(said).encode() + b"\n")


async def _left(connection: ServerConnection) -> None:
    """Wait until a viewer leaves. What it says is thrown away; one that says much is shown out."""
    said = 0
    with contextlib.suppress(ConnectionClosed):
        async for _ in connection:
            said += 1
            if said > MOST_MESSAGES:
                await connection.close(CloseCode.POLICY_VIOLATION, "viewers only look")


@functools.cache
def _page(name: str) -> bytes:
    return (files("streamtag.web") / "page" / name).read_bytes()


def _port_of(server: Server) -> int:
    return int(next(iter(server.sockets)).getsockname()[1])


def _text(status: http.HTTPStatus, text: str) -> Response:
    return _response(status, "text/plain; charset=utf-8", text.encode())


def _response(status: http.HTTPStatus, kind: str, body: bytes) -> Response:
    headers = Headers({"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close", **SAFE})
    return Response(status.value, status.phrase, headers, body)


def _refused(host: str, port: int, error: Exception) -> str:
    if isinstance(error, PermissionError):
        reason = "only root may listen below 1024; choose another port"
    elif isinstance(error, OSError) and "in use" in f"{error}":
        reason = "another program listens there; choose another port"
    elif isinstance(error, OSError):
        reason = error.strerror or str(error)
    else:  # UnicodeError, ValueError, OverflowError: of names that cannot be looked up, ports that cannot be
        reason = f"cannot be listened on ({error}); give an address of this machine and a port up to 65535"
    return f"--web {host}:{port}: {reason}"
