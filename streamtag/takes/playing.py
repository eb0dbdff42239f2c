"""A take sent again, at the pace at which it came."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from streamtag.results import ENDED, State, Stats, TagFrame
from streamtag.session.outlet import Outlet
from streamtag.sinks.base import Sink
from streamtag.takes.file import Take
from streamtag.takes.parts import stamped


class Replay:
    """Gives the sinks what they were given when the take was made: frames, counters, and the end.

    Parameters
    ----------
    take : Take
        What is sent.
    sinks : sequence of Sink
        Where it goes.
    start : float
        Seconds into the take at which it begins.
    loop : bool
        Whether it begins again at its end.

    Attributes
    ----------
    frames : int
        Sent so far.
    """

    def __init__(self, take: Take, sinks: Sequence[Sink], *, start: float = 0.0, loop: bool = False) -> None:
        self.take = take
        self.frames = 0
        self.outlet = Outlet(sinks)
        self._start, self._loop = start, loop
        self._last: Stats | None = None
        self._seam = True  # the next frame does not follow the one sent before
        self._shift = 0, 0.0  # of index and time
        self._sent: tuple[int, float] | None = None
        self._on: dict[str, frozenset[str]] = {}  # what was last sent as being on: of the model (""), of heads by name

    def run(self, wait: Callable[[float], bool]) -> None:
        """Send all of it.

        Parameters
        ----------
        wait : callable
            Takes the moment until which to wait (of `time.monotonic`); False ends it there.

        Raises
        ------
        SinkError
            A sink that cannot be opened.
        DataError
            A part of the take that cannot be read.
        BrokenPipeError
            Whoever reads has left, and there is no other output.
        """
        try:
            self.outlet.open(replace(self.take.info, source=f"take {self.take.path.name}"))
            while self._once(wait) and self._loop and self.frames:
                pass
        finally:
            self._end()
            self.outlet.close()

    def _once(self, wait: Callable[[float], bool]) -> bool:
        """From the start to the end. Returns whether it came so far."""
        began = time.monotonic() - self._start
        self._seam = True
        for at, said in self.take:
            if at < self._start:
                continue
            if not wait(began + at):
                return False
            if isinstance(said, TagFrame):
                self.outlet.frame(stamped(self._following(said), time.monotonic()))
                self.frames += 1
            elif said.state not in ENDED:  # the end of the take is not that of the replay
                self._last = replace(said, sink_drops=self.outlet.drops, sink_trouble=self.outlet.trouble)
                self.outlet.status(self._last)
        return True

    def _following(self, frame: TagFrame) -> TagFrame:
        """A frame that follows the one sent before, also at a start in between and where the take begins again.

        Its time goes on, for sinks keep their rate by it; and it switches whatever differs.
        """
        if self._seam:
            self._seam = False
            if self._sent is not None:
                last_index, last_time = self._sent
                self._shift = last_index + 1 - frame.index, last_time + self.take.info.hop - frame.time
        index, moment = self._sent = frame.index + self._shift[0], frame.time + self._shift[1]
        heads = tuple(replace(head, switched=self._differing(head.name, head.on)) for head in frame.heads)
        switched = self._differing("", frame.on)
        return replace(frame, index=index, time=moment, switched=switched, heads=heads)

    def _differing(self, group: str, on: frozenset[str]) -> tuple[tuple[str, bool], ...]:
        before, self._on[group] = self._on.get(group, frozenset()), on
        return (*((tag, False) for tag in sorted(before - on)), *((tag, True) for tag in sorted(on - before)))

    def _end(self) -> None:
        if self._last is not None:
            self.outlet.status(replace(self._last, state=State.FINISHED))
