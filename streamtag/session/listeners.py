"""Frames for callers who iterate over a session: a bounded queue each, and what a late one missed is counted."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from streamtag.results import TagFrame

WAITING_FRAMES = 256
"""Frames kept for a caller who iterates and is late."""


class Listener:
    """The frames that wait for one caller."""

    def __init__(self) -> None:
        self.frames: deque[TagFrame] = deque(maxlen=WAITING_FRAMES)


class Listeners:
    """All callers who iterate. The engine thread publishes, any thread may listen.

    Attributes
    ----------
    drops : int
        Frames that a caller came too late for.
    """

    def __init__(self) -> None:
        self.drops = 0
        self._changed = threading.Condition()
        self._all: list[Listener] = []
        self._ended = False

    def __len__(self) -> int:
        """How many listen now."""
        return len(self._all)

    @contextmanager
    def listening(self) -> Iterator[Listener]:
        """Frames from now on go to the listener, too."""
        listener = Listener()
        with self._changed:
            self._all.append(listener)
        try:
            yield listener
        finally:
            with self._changed:
                self._all.remove(listener)

    def next(self, listener: Listener, seconds: float | None = None) -> TagFrame | None:
        """Wait for the next frame, up to so many seconds; None when there is none by then, or all were given."""
        with self._changed:
            self._changed.wait_for(lambda: listener.frames or self._ended, seconds)
            return listener.frames.popleft() if listener.frames else None

    def over(self, listener: Listener) -> bool:
        """Whether the session has ended and all frames were given."""
        with self._changed:
            return self._ended and not listener.frames

    def publish(self, frame: TagFrame) -> None:
        """Give a frame to all."""
        with self._changed:
            for listener in self._all:
                self.drops += len(listener.frames) == WAITING_FRAMES
                listener.frames.append(frame)
            self._changed.notify_all()

    def end(self) -> None:
        """Say that no more frames will come."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
