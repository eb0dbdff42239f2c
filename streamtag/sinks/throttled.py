"""A sink that receives frames less often than the engine predicts, so that receivers are not flooded."""

from __future__ import annotations

from dataclasses import replace

from streamtag.errors import OptionError
from streamtag.results import TagFrame
from streamtag.sinks.base import SessionInfo, Sink, Wrapper


class Throttled(Wrapper):
    """Passes on a sink's frames at no more than a given rate; what happened in those left out goes with the next one.

    That is switches, the greatest change, a new section. The rate is kept in time of the audio, so that the same audio
    gives the same frames. When the network comes to rest (silence, or the input is gone), the first such frame is
    passed on at once: it may be the last for a while.

    Parameters
    ----------
    sink : Sink
        Receives the frames that are passed on.
    rate : float
        Frames a second, at the most.

    Raises
    ------
    OptionError
        A rate of 0 or less.
    """

    def __init__(self, sink: Sink, rate: float) -> None:
        if not rate > 0:
            raise OptionError(f"a rate of {rate:g} results a second: expected more than 0")
        super().__init__(sink)
        self._interval = 1 / rate

    def open(self, info: SessionInfo) -> None:
        """Open the sink, whose time then begins at 0."""
        # half a hop of grace: a rate that the hops almost meet is met by them
        self._grace = info.hop / 2
        self._next = 0.0
        self._rested = False
        self._switched: dict[str, bool] = {}
        self._of_heads: dict[str, dict[str, bool]] = {}
        self._change: float | None = None
        self._section: float | None = None
        super().open(info)

    def frame(self, frame: TagFrame) -> None:
        """Pass a frame on, if it is time for one."""
        _remember(self._switched, frame.switched)
        for head in frame.heads:
            _remember(self._of_heads.setdefault(head.name, {}), head.switched)
        if frame.change is not None:
            self._change = max(frame.change, self._change or 0.0)
        self._section = frame.section if frame.section is not None else self._section
        urgent, self._rested = frame.gated and not self._rested, frame.gated
        due = self._next
        early = frame.time + self._grace < due
        if early and not urgent:
            return
        # from when it was due, so that rounding to hops does not change the rate; afresh after a gap
        kept = not early and frame.time - due < self._interval
        self._next = self._interval + (due if kept else frame.time)
        heads = tuple(replace(head, switched=tuple(self._of_heads[head.name].items())) for head in frame.heads)
        self._sink.frame(
            replace(
                frame,
                switched=tuple(self._switched.items()),
                heads=heads,
                change=self._change,
                section=self._section,
            )
        )
        self._switched, self._of_heads, self._change, self._section = {}, {}, None, None


def _remember(switched: dict[str, bool], more: tuple[tuple[str, bool], ...]) -> None:
    for tag, on in more:
        # on and off again in between is no switch
        if switched.pop(tag, on) == on:
            switched[tag] = on
