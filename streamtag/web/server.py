"""The server: pages and figures by HTTP, results over WebSockets, on one port and one thread of its own.

Built on `websockets`, whose server answers plain requests, too. Each viewer has a task that sends the newest frame and
waits until it is taken; what comes meanwhile takes that frame's place. So a viewer that never reads costs what its
socket's buffer holds, delays nobody, and is dropped after a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Collection
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve

from streamtag._system.threads import start_whole
from streamtag.errors import SinkError
from streamtag.web.answers import STREAM, Answers
from streamtag.web.connections import Connection
from streamtag.web.hub import Hub
from streamtag.web.hubs import Hubs
from streamtag.web.oscquery import host_info
from streamtag.web.viewing import listen, view

MOST_BYTES = 1024
"""Of a message from a viewer."""
BUFFERED_BYTES = 1 << 15
"""What waits for a viewer in this process, besides what its socket takes."""
OPEN_SECONDS = 5.0
"""For a request to come in and its answer to be taken."""
PING_SECONDS = 15.0
CLOSE_SECONDS = 1.0
TROUBLE_SECONDS = 5.0
Address = tuple[str, int]
log = logging.getLogger("streamtag.web")
log.addHandler(logging.NullHandler())  # viewers that break off are no news
log.propagate = False


class WebServer:
    """Serves sessions, from `start` to `stop`.

    Parameters
    ----------
    host : str
        Address or name to listen on.
    port : int
        Port, 0 for any that is free.
    allow : collection of str
        Origins of other pages that may open the stream.
    hub : Hub
        The first session; `add` adds others.
    control : tuple of (str, int) or None
        Where commands are heard, if they are.

    Attributes
    ----------
    error : BaseException or None
        What ended the server, or the first mistake of ours.
    served : Server or None
        What listens.
    """

    def __init__(self, host: str, port: int, allow: Collection[str], hub: Hub, control: Address | None) -> None:
        self.host, self.port = host, port
        self._hubs = Hubs(commands=control is not None)
        self._hubs.add(hub)
        self.error: BaseException | None = None
        self.served: Server | None = None
        self._troubled: tuple[float, str] | None = None  # when, and how
        self._answers = Answers(self._hubs, host, allow)
        self._control = control
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="streamtag-web", daemon=True)
        self._ready = threading.Event()
        self._end: asyncio.Event | None = None

    def start(self) -> None:
        """Listen.

        Raises
        ------
        SinkError
            The port is taken, or is not this user's to take, or there is no such address.
        """
        start_whole(self._thread)
        self._ready.wait()
        if self.error is not None:
            raise SinkError(_refused(self.host, self.port, self.error)) from self.error

    def call(self, work: Callable[[], None]) -> None:
        """Have something done on the server's thread; nothing once it has ended."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(work)

    def add(self, hub: Hub) -> None:
        """Serve another session, too."""
        self.call(lambda: self._hubs.add(hub))

    def stop(self) -> None:
        """End all connections and the thread."""
        if self._end is not None:
            self.call(self._end.set)
        if self._thread.ident is not None:
            self._thread.join(3 * CLOSE_SECONDS)

    @property
    def trouble(self) -> str | None:
        """What is wrong at present, or has been within the last seconds."""
        if self.error is not None:
            return f"fails: {type(self.error).__name__}: {self.error}"
        troubled = self._troubled
        if troubled is None or time.monotonic() - troubled[0] > TROUBLE_SECONDS:
            return None
        return troubled[1]

    @property
    def stuck(self) -> bool:
        """Whether the thread goes on."""
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            with asyncio.Runner() as runner:
                self._loop = runner.get_loop()
                self._loop.set_exception_handler(self._note)
                runner.run(self._serve())
        except BaseException as error:  # told by whoever waits for `_ready`, or by the sink
            self.error = self.error or error
        finally:
            self._ready.set()

    def _note(self, _: asyncio.AbstractEventLoop, told: dict[str, Any]) -> None:
        """What asyncio cannot raise to anybody, and else prints: no file is left for one more connection."""
        error = told.get("exception")
        if isinstance(error, Exception) and not isinstance(error, OSError):
            self.error = self.error or error
        self._troubled = time.monotonic(), f"a viewer is turned away: {error or told['message']}"

    async def _serve(self) -> None:
        self._end = asyncio.Event()
        server = await serve(
            self._serve_one,
            self.host,
            self.port,
            process_request=lambda _, request: self._answers.to(request),
            compression=None,  # costs more processor than it saves network, for each viewer
            open_timeout=OPEN_SECONDS,
            max_size=MOST_BYTES,
            write_limit=BUFFERED_BYTES,
            ping_interval=PING_SECONDS,
            ping_timeout=PING_SECONDS,
            close_timeout=CLOSE_SECONDS,
            logger=log,
            server_header=None,
            create_connection=Connection,
        )
        self.served, self.port = server, _port_of(server)
        self._answers.about = host_info(self.port, self._control)
        self._ready.set()
        await self._end.wait()
        server.close()
        await asyncio.wait([asyncio.ensure_future(server.wait_closed())], timeout=2 * CLOSE_SECONDS)

    async def _serve_one(self, connection: ServerConnection) -> None:
        """The stream, or OSCQuery."""
        assert connection.request is not None
        looks = view if urlsplit(connection.request.path).path == STREAM else listen
        await looks(connection, self._hubs)


def _port_of(server: Server) -> int:
    return int(next(iter(server.sockets)).getsockname()[1])


def _refused(host: str, port: int, error: BaseException) -> str:
    if isinstance(error, PermissionError):
        reason = "only root may listen below 1024; choose another port"
    elif isinstance(error, OSError) and "in use" in f"{error}":
        reason = "another program listens there; choose another port"
    elif isinstance(error, OSError):
        reason = error.strerror or str(error)
    else:  # UnicodeError, ValueError, OverflowError: of names that cannot be looked up, ports that cannot be
        reason = f"cannot be listened on ({error}); give an address of this machine and a port up to 65535"
    return f"--web {host}:{port}: {reason}"
