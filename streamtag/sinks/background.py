"""A slow sink (a pipe, a terminal, a file) on a thread of its own, so that it delays nobody."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from streamtag._system.threads import start_whole
from streamtag.results import Stats, TagFrame
from streamtag.sinks.base import SessionInfo, Sink, Wrapper

CLOSE_SECONDS = 2.0
"""How long the end of a session waits for a sink that is stuck."""


class Background(Wrapper):
    """Runs a sink on its own thread behind a bounded queue; the oldest frame is dropped when it is full.

    An error of the sink costs what it was given, no more: it is given the next frame, and the first error surfaces at
    the end. Only when its reader has left for good (BrokenPipeError) that ends it, and surfaces at the next call.

    The queue, the counters and the errors are shared, under one lock; the sink belongs to the new thread.

    Parameters
    ----------
    sink : Sink
        Called on the new thread only, but for `open`, `drops` and `trouble`.
    waiting : int
        Frames that may wait.
    count_drops : bool
        False for a display, which wants the newest and loses nothing by missing the others.

    Attributes
    ----------
    errors : int
        Exceptions of the sink.
    """

    def __init__(self, sink: Sink, *, waiting: int = 256, count_drops: bool = True) -> None:
        super().__init__(sink)
        self.errors = 0
        self._first_error: BaseException | None = None
        self._frames: deque[Callable[[], None]] = deque()
        self._status: Callable[[], None] | None = None
        self._waiting = waiting
        self._count_drops = count_drops
        self._lost = 0
        self._changed = threading.Condition()
        self._begin()

    def _begin(self) -> None:
        """Be ready for a session."""
        self._in_frame = False  # the sink has been given a frame, and has not taken it yet
        self._closing = False
        self._left_behind = False
        self._over = False  # nobody takes anything any more
        self._to_raise: BaseException | None = None  # at the next call if it is over, else at the end
        self._failing: dict[bool, str] = {}  # by whether it was a frame: what the sink raised at the last one
        self._behind = False  # frames were dropped since it last had taken all of them
        self._thread = threading.Thread(target=self._run, name=f"streamtag-{self.name}", daemon=True)

    @property
    def drops(self) -> int:
        """What found no room or failed, what a stuck sink was left with, and what the sink itself lost."""
        with self._changed:
            stuck_with = self._count_drops and self._in_frame and self.stuck
            return self._lost + stuck_with + self._sink.drops

    @property
    def trouble(self) -> str | None:
        """What is wrong with the sink at present: in its own words; or it raises, is too slow, or was left."""
        if self._behind and not self._over:
            return "is too slow: the oldest of what waits is dropped"
        return next(iter(self._failing.copy().values()), None) or super().trouble

    @property
    def stuck(self) -> bool:
        """Whether `close` had to leave the sink behind in a call that has not come back since."""
        return self._left_behind and self._thread.is_alive()

    @property
    def first_error(self) -> BaseException | None:
        """The first exception of the sink."""
        return self._first_error

    def open(self, info: SessionInfo) -> None:
        """Open the sink, on the caller's thread, and start its own."""
        self._sink.open(info)
        if self._thread.ident is not None and not self._thread.is_alive():  # of a session before
            self._begin()
        start_whole(self._thread)

    def frame(self, frame: TagFrame) -> None:
        """Queue a frame."""
        with self._changed:
            if self._over:
                self._lose(1)
                self._raise()
                return
            if len(self._frames) == self._waiting:
                self._frames.popleft()
                self._lose(1)
                self._behind = self._count_drops
            self._frames.append(lambda: self._sink.frame(frame))
            self._changed.notify()

    def status(self, stats: Stats) -> None:
        """Queue the counters; newer ones replace those that still wait."""
        with self._changed:
            if self._over:
                self._raise()
                return
            self._status = lambda: self._sink.status(stats)
            self._changed.notify()

    def close(self) -> None:
        """Let the sink write what waits, for 2 s at the most, and close it.

        Raises
        ------
        Exception
            The sink's first error, if it was not raised yet.
        """
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(CLOSE_SECONDS)
            with self._changed:
                self._left_behind = self._thread.is_alive()
                self._lose_waiting()  # there are none but with a sink that is stuck
        self._raise()

    def _raise(self) -> None:
        error, self._to_raise = self._to_raise, None
        if error is not None:
            raise error

    def _lose(self, count: int) -> None:
        self._lost += count * self._count_drops

    def _lose_waiting(self) -> None:
        self._lose(len(self._frames))
        self._frames.clear()
        self._status = None

    def _run(self) -> None:
        while (work := self._next()) is not None:
            try:
                work()
            except BaseException as error:
                with self._changed:
                    self._lose(1)
                    self._keep(error)
                    self._failing[self._in_frame] = _words(error)
                    if isinstance(error, BrokenPipeError) or not isinstance(error, Exception):
                        self._over, self._to_raise = True, error
                        self._lose_waiting()
            else:
                self._failing.pop(self._in_frame, None)
        try:
            self._sink.close()
        except BaseException as error:
            with self._changed:
                self._keep(error)

    def _keep(self, error: BaseException) -> None:
        self.errors += 1
        if self._first_error is None:
            self._first_error = self._to_raise = error

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            self._in_frame = False
            while not self._over:
                if self._frames:
                    self._in_frame = True
                    return self._frames.popleft()
                self._behind = False
                if self._status is not None:
                    work, self._status = self._status, None
                    return work
                if self._closing:
                    break
                self._changed.wait()
            return None


def _words(error: BaseException) -> str:
    return "its reader has left" if isinstance(error, BrokenPipeError) else f"fails: {type(error).__name__}: {error}"
