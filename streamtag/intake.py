"""From a source's rings into the tagger: losses and gaps in their place, and the time of every sample."""

from __future__ import annotations

import time

from streamtag.ringbuffer import RingBuffer
from streamtag.sources import Source
from streamtag.tagger import Tagger

SHORTEST_GAP_SECONDS = 0.05
"""The silence that a stream's last frames need in order to be finished."""


class Intake:
    """Follows a source from ring to ring. For the engine thread; the counters may be read from any.

    Parameters
    ----------
    source : read from.
    tagger : fed.

    Attributes
    ----------
    gaps, gap_seconds : how often the input was gone and came back, and for how long altogether.
    """

    def __init__(self, source: Source, tagger: Tagger) -> None:
        self._source = source
        self._tagger = tagger
        self._ring = source.ring
        self._lookahead = tagger.lookahead(source.ring.samplerate) * source.ring.samplerate  # samples
        self._before: tuple[int, ...] = (0, 0, 0, 0, 0)  # counters of the rings before this one
        self._last_arrival: float | None = None
        self._awaiting_gap = False
        self._origin = 0.0  # where, in the frames' time, the ring's first sample lies
        self.gaps = 0
        self.gap_seconds = 0.0

    @property
    def captured(self) -> int:
        """Samples that the source delivered."""
        return self._before[0] + self._ring.offered

    @property
    def lost(self) -> int:
        """Samples that found no room."""
        return self._before[1] + self._ring.lost

    @property
    def overflows(self) -> int:
        """Losses that the sound system reported."""
        return self._before[2] + self._ring.overflows

    @property
    def nonfinite(self) -> int:
        """Values that were no samples."""
        return self._before[3] + self._ring.nonfinite

    @property
    def clock_jumps(self) -> int:
        """Times a device's clock jumped."""
        return self._before[4] + self._ring.clock_jumps

    @property
    def waiting(self) -> bool:
        """Whether samples wait in the ring."""
        return self._ring.waiting > 0

    def take(self) -> bool:
        """Feed the tagger with what waits. Returns whether there was anything.

        Stops before a gap while windows are due: they were heard before it.
        """
        ring = self._ring
        took = self._read(ring)
        if self._source.ring is not ring and not self._tagger.due and not ring.waiting:
            self._change(self._source.ring)
        return took

    def drain(self) -> None:
        """Feed the tagger with all that the source has left; nothing more will come."""
        while self._read(self._ring) or self._source.ring is not self._ring:
            if self._source.ring is not self._ring and not self._ring.waiting:
                self._change(self._source.ring)

    def times(self, at: float) -> tuple[float, float]:
        """When what is heard at `at` (seconds of the frames' time) was captured, and when it came: `time.monotonic()`.

        What lies after the newest sample (a short file is repeated to length) is given that sample's times.
        """
        ring = self._ring
        position = min((at - self._origin) * ring.samplerate, ring.read_position)
        # it is here once what the resampler needs beyond it is
        needed = min(position + self._lookahead, ring.read_position)
        return ring.captured_at(position), ring.arrived_at(needed)

    def now(self) -> float:
        """Seconds of the frames' time at this moment, also where nothing comes."""
        heard = self._origin + self._ring.read_position / self._ring.samplerate
        arrival = self._last_arrival if self._awaiting_gap else self._ring.last_arrival
        return heard if arrival is None else heard + max(0.0, time.monotonic() - arrival)

    def _read(self, ring: RingBuffer) -> bool:
        pieces = ring.read()
        for piece in pieces:
            if self._awaiting_gap:
                self._close_gap(ring)
            if piece.lost:
                self._tagger.gap(piece.lost / ring.samplerate)
            self._tagger.feed(piece.samples, ring.samplerate)
        return bool(pieces)

    def _change(self, ring: RingBuffer) -> None:
        """Go on with another ring: a gap has begun, whose length its first block will tell."""
        old = self._ring
        if old.read_position:
            self._last_arrival = old.last_arrival
            self._origin += old.read_position / old.samplerate
        counted = (old.offered, old.lost, old.overflows, old.nonfinite, old.clock_jumps)
        self._before = tuple(sum(pair) for pair in zip(self._before, counted, strict=True))
        self._ring = ring
        self._lookahead = self._tagger.lookahead(ring.samplerate) * ring.samplerate
        self._awaiting_gap = True

    def _close_gap(self, ring: RingBuffer) -> None:
        """The first samples after a gap: it lasted from the last before to the first of these."""
        self._awaiting_gap = False
        self.gaps += 1
        if self._last_arrival is None:  # nothing was heard before
            return
        # by when they came: the sound system's own word is not to be trusted at the beginning of a stream
        seconds = max(SHORTEST_GAP_SECONDS, ring.first_arrival - self._last_arrival)
        self._tagger.gap(seconds, new_stream=True)
        self._origin += seconds
        self.gap_seconds += seconds
