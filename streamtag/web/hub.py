"""Who looks, and what is new for each: the newest frame, whatever became of the one before."""

from __future__ import annotations

import asyncio
import time

from streamtag.osc.nodes import Heard
from streamtag.results import Stats, TagFrame
from streamtag.sinks.base import SessionInfo
from streamtag.web.messages import Encoded, Past, Wish, status_message


class Viewer:
    """One who looks at the stream.

    Parameters
    ----------
    wish : Wish
        What is wanted.

    Attributes
    ----------
    changed : asyncio.Event
        Whether there is something new.
    """

    def __init__(self, wish: Wish) -> None:
        self.wish = wish
        self.changed = asyncio.Event()
        self._due = 0.0
        self._rested = False
        self._status: str | None = None
        self._frame: tuple[Encoded, float | None, float | None] | None = None
        self._change: float | None = None  # of frames that were left out
        self._section: float | None = None

    def offer(self, encoded: Encoded) -> bool:
        """Keep a frame, if it is time for one. Returns whether it takes the place of one that was not taken.

        What happened in those left out goes with the next one: the greatest change, a new section. The first of a rest
        is always kept: it may be the last for a while.
        """
        frame = encoded.frame
        self._remember(frame.change, frame.section)
        urgent, self._rested = frame.gated and not self._rested, frame.gated
        early = frame.time < self._due - 1e-3
        if early and not urgent:
            return False
        kept = not early and frame.time - self._due < self.wish.interval
        self._due = self.wish.interval + (self._due if kept else frame.time)
        replaced = self._frame
        if replaced is not None:
            self._remember(*replaced[1:])
        self._frame = (encoded, self._change, self._section)
        self._change = self._section = None
        self.changed.set()
        return replaced is not None

    def _remember(self, change: float | None, section: float | None) -> None:
        if change is not None:
            self._change = max(change, self._change or 0.0)
        self._section = section if self._section is None else self._section

    def tell(self, status: str) -> None:
        """Keep the state."""
        self._status = status
        self.changed.set()

    def take(self) -> list[str]:
        """The messages that are due: state, then frame."""
        self.changed.clear()
        status, self._status = self._status, None
        kept, self._frame = self._frame, None
        found = [] if status is None else [status]
        if kept is not None:
            encoded, change, section = kept
            found.append(encoded.text(self.wish.fields, change, section))
        return found


class Hub:
    """What is known of a session, and who is told. For the server's thread.

    Parameters
    ----------
    info : SessionInfo
        The session.

    Attributes
    ----------
    stats : Stats or None
        Its counters, as last told.
    frame : TagFrame or None
        The newest.
    told : float
        When that was, in seconds of `time.monotonic()`; of the beginning before.
    past : Past
        The last minutes.
    viewers : set of Viewer
        Who looks at the stream now.
    conflated : int
        Frames that were replaced by newer ones before a viewer had taken them.
    """

    def __init__(self, info: SessionInfo) -> None:
        self.info = info
        self.stats: Stats | None = None
        self.frame: TagFrame | None = None
        self.told = time.monotonic()
        self.past = Past()
        self.viewers: set[Viewer] = set()
        self.conflated = 0

    @property
    def heard(self) -> Heard:
        """What was last told, for who asks for single addresses."""
        return Heard(self.frame, self.stats)

    def greet(self, viewer: Viewer) -> None:
        """Add one, and give what was last told."""
        self.viewers.add(viewer)
        if self.stats is not None:
            viewer.tell(status_message(self.stats, self.info))
        if self.frame is not None:
            viewer.offer(Encoded(self.frame, self.info.labels))

    def publish(self, frame: TagFrame) -> None:
        """Give a frame to all for whom it is time."""
        self.frame = frame
        self.past.add(frame)
        encoded = Encoded(frame, self.info.labels)
        for viewer in self.viewers:
            self.conflated += viewer.offer(encoded)

    def tell(self, stats: Stats) -> None:
        """Give the state to all."""
        self.stats, self.told = stats, time.monotonic()
        if self.viewers:
            text = status_message(stats, self.info)
            for viewer in self.viewers:
                viewer.tell(text)
