"""A slow sink (a pipe, a terminal, a file) on a thread of its own, so that it delays nobody."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from streamtag.frames import Stats, TagFrame
from streamtag.sinks import SessionInfo, Sink

CLOSE_SECONDS = 2.0
"""How long the end of a session waits for a sink that is stuck."""


class Background:
    """Runs a sink on its own thread behind a bounded queue; the oldest frame is dropped when it is full.

    An error of the sink surfaces at the next call, and so in the session's caller.

    Parameters
    ----------
    sink : called on the new thread only.
    waiting : frames that may wait.
    count_drops : False for a display, which wants the newest and loses nothing by missing the others.
    """

    def __init__(self, sink: Sink, *, waiting: int = 256, count_drops: bool = True) -> None:
        self.name = sink.name
        self.drops = 0
        self._sink = sink
        self._frames: deque[Callable[[], None]] = deque()
        self._status: Callable[[], None] | None = None
        self._waiting = waiting
        self._count_drops = count_drops
        self._changed = threading.Condition()
        self._closing = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"streamtag-{sink.name}", daemon=True)

    def open(self, info: SessionInfo) -> None:
        """Open the sink, on the caller's thread, and start its own."""
        self._sink.open(info)
        self._thread.start()

    def frame(self, frame: TagFrame) -> None:
        """Queue a frame."""
        with self._changed:
            self._raise()
            if len(self._frames) == self._waiting:
                self._frames.popleft()
                self.drops += self._count_drops
            self._frames.append(lambda: self._sink.frame(frame))
            self._changed.notify()

    def status(self, stats: Stats) -> None:
        """Queue the counters; newer ones replace those that still wait."""
        with self._changed:
            self._raise()
            self._status = lambda: self._sink.status(stats)
            self._changed.notify()

    def close(self) -> None:
        """Let the sink write what waits, for 2 s at the most, and close it."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(CLOSE_SECONDS)
            if self._thread.is_alive():  # stuck in a write: what waits is lost
                self.drops += len(self._frames)
        self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _run(self) -> None:
        try:
            while (work := self._next()) is not None:
                work()
            self._sink.close()
        except BaseException as error:  # raised at the next call
            self._error = error

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while True:
                if self._frames:
                    return self._frames.popleft()
                if self._status is not None:
                    work, self._status = self._status, None
                    return work
                if self._closing:
                    return None
                self._changed.wait()
