"""A sink that is told less often than the engine judges, so that receivers are not flooded."""

from __future__ import annotations

from dataclasses import replace

from streamtag.errors import OptionError
from streamtag.frames import Stats, TagFrame
from streamtag.sinks import SessionInfo, Sink


class Throttled:
    """Passes on a sink's frames at no more than a given rate; the switches of those left out go with the next one.

    The rate is kept in time of the audio, so that the same audio gives the same frames.

    Parameters
    ----------
    sink : what is told.
    rate : frames a second, at the most.

    Raises
    ------
    OptionError : a rate of 0 or less.
    """

    def __init__(self, sink: Sink, rate: float) -> None:
        if not rate > 0:
            raise OptionError(f"a rate of {rate:g} results a second: more than 0 is wanted")
        self.name = sink.name
        self._sink = sink
        self._interval = 1 / rate
        self._next = 0.0
        self._switched: dict[str, bool] = {}

    @property
    def drops(self) -> int:
        """Messages that the sink lost; frames left out for the rate are not among them."""
        return self._sink.drops

    @property
    def trouble(self) -> str | None:
        """What is wrong with the sink at present; None if it says nothing."""
        trouble: str | None = getattr(self._sink, "trouble", None)
        return trouble

    @property
    def stuck(self) -> bool:
        """Whether the sink was left behind in a blocked call."""
        return bool(getattr(self._sink, "stuck", False))

    def open(self, info: SessionInfo) -> None:
        """Open the sink."""
        # half a hop of grace: a rate that the hops almost meet is met by them
        self._grace = info.hop / 2
        self._sink.open(info)

    def frame(self, frame: TagFrame) -> None:
        """Pass a frame on, if it is time for one."""
        for tag, on in frame.switched:
            # on and off again in between is no switch
            if self._switched.pop(tag, on) == on:
                self._switched[tag] = on
        due = self._next
        if frame.time + self._grace < due:
            return
        # from when it was due, so that rounding to hops does not lower the rate; afresh after a gap
        self._next = self._interval + (due if frame.time - due < self._interval else frame.time)
        self._sink.frame(replace(frame, switched=tuple(self._switched.items())))
        self._switched = {}

    def status(self, stats: Stats) -> None:
        """Pass the counters on."""
        self._sink.status(stats)

    def close(self) -> None:
        """Close the sink."""
        self._sink.close()
