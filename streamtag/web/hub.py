"""Who looks, and what waits for each of them: the newest frame, and no other."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from streamtag.results import Stats
from streamtag.sinks.base import SessionInfo
from streamtag.web.messages import Encoded, Past, Wish, status_message


@dataclass(slots=True, eq=False)
class Viewer:
    """One who looks at the stream."""

    wish: Wish
    changed: asyncio.Event
    due: float = 0.0
    status: str | None = None
    frame: Encoded | None = None


class Hub:
    """What is known of the session, and who is told. On the server's thread."""

    def __init__(self) -> None:
        self.info: SessionInfo | None = None
        self.stats: Stats | None = None
        self.past = Past()
        self.viewers: set[Viewer] = set()
        self.conflated = 0

    def publish(self, encoded: Encoded) -> None:
        """Give a frame to all for whom it is time."""
        for viewer in self.viewers:
            if encoded.time < viewer.due - 1e-3:
                continue
            if viewer.frame is not None:
                self.conflated += 1
            kept = encoded.time - viewer.due < viewer.wish.interval
            viewer.due = viewer.wish.interval + (viewer.due if kept else encoded.time)
            viewer.frame = encoded
            viewer.changed.set()

    def tell(self, stats: Stats) -> None:
        """Give the state to all."""
        self.stats = stats
        if self.info is None or not self.viewers:
            return
        text = status_message(stats, self.info)
        for viewer in self.viewers:
            viewer.status = text
            viewer.changed.set()
