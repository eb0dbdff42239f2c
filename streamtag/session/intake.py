"""From a source's rings to events: losses and gaps in their place, and the time of every sample."""

from __future__ import annotations

import time
from fractions import Fraction

from streamtag.dsp.params import SAMPLE_RATE
from streamtag.dsp.resampler import lookahead
from streamtag.ringbuffer import Counters, RingBuffer
from streamtag.session.events import Back, Ended, Gone, Heard, Lost, NewStream, Samples
from streamtag.sources.base import Source

SHORTEST_GAP_SECONDS = 0.05
"""The silence that a stream's last frames need in order to be finished."""
JITTER_SECONDS = 0.05
"""Blocks come so regularly that what is later was held up."""
FOLLOWED_SHARE = 0.01
"""Of each block's deviation: a sound card's drift is followed, single blocks are not."""


class Intake:
    """Follows a source from ring to ring. For the engine thread; the counters may be read from any.

    Parameters
    ----------
    source : Source
        What is read.
    heard_rate : int
        Hz at which the model hears.

    Attributes
    ----------
    gone : bool
        Whether the input is gone, and `Gone` was given.
    gaps : int
        How often the input was gone and came back.
    gap_seconds : float
        How long it was gone altogether.
    """

    def __init__(self, source: Source, heard_rate: int = SAMPLE_RATE) -> None:
        self._source = source
        self._heard_rate = heard_rate
        # counters of the rings before this one, and this one: replaced together, for those who read from other threads
        self._counted: tuple[Counters, RingBuffer] = Counters(), source.ring
        self._lookahead = lookahead(source.ring.samplerate, heard_rate)
        self._offset: float | None = None  # `time.monotonic()` where the frames' time is 0, by when samples come
        self._awaiting_gap = False
        self._over = False  # whether the end was told
        self._origin = Fraction(0)  # where, in seconds of the frames' time, the ring's first sample lies
        self.gone = False
        self.gaps = 0
        self.gap_seconds = 0.0

    @property
    def counters(self) -> Counters:
        """Of all rings so far."""
        before, ring = self._counted
        return before.plus(ring.counters)

    @property
    def gone_seconds(self) -> float:
        """For how long nothing has come; 0 if nothing ever has."""
        return 0.0 if self._offset is None else max(0.0, self.now() - self._heard)

    @property
    def waiting(self) -> bool:
        """Whether samples wait in the rings."""
        ring: RingBuffer | None = self._ring
        while ring is not None and not ring.waiting:
            ring = ring.successor
        return ring is not None

    def take(self, *, idle: bool = True) -> list[Heard]:
        """What has come since the last time.

        Parameters
        ----------
        idle : bool
            Whether all that was heard so far is done with. Only then another stream begins, or the end is told.

        Returns
        -------
        list
            Events, oldest first; perhaps none.
        """
        # both looked at first: what the ring holds is then complete
        over, following = self._source.finished, self._ring.successor
        events = self._follow_source()
        heard = self._read()
        while idle and not heard and following is not None:
            self._change(following)
            following = self._ring.successor
            heard = self._read()
        if idle and not heard and over and not self._over and self._ring.successor is None:
            self._over = True
            heard.append(Ended(self._source.error))
        return events + heard

    def drain(self) -> list[Heard]:
        """All that the source, which has been stopped, has left."""
        heard = self._read()
        while self._ring.successor is not None:
            self._change(self._ring.successor)
            heard += self._read()
        return heard

    def settle(self) -> None:
        """The session ends; if the input is gone, that is a gap, too."""
        if (self.gone or self._awaiting_gap) and (seconds := self.gone_seconds):
            self.gaps += 1
            self.gap_seconds += seconds
        self.gone = False

    def times(self, at: float) -> tuple[float, float]:
        """Capture and arrival time (`time.monotonic()`) of what is heard at `at` (seconds of the frames' time).

        What lies after the newest sample (a short file is repeated to length) is given that sample's times.
        """
        ring = self._ring
        position = min((at - float(self._origin)) * ring.samplerate, ring.read_position)
        # it is here once what the resampler needs beyond it is
        needed = min(position + self._lookahead, ring.read_position)
        return ring.captured_at(position), ring.arrived_at(needed)

    def now(self) -> float:
        """Seconds of the frames' time at this moment, also where nothing comes."""
        return self._heard if self._offset is None else max(self._heard, time.monotonic() - self._offset)

    @property
    def _ring(self) -> RingBuffer:
        return self._counted[1]

    @property
    def _heard(self) -> float:
        """Seconds of the frames' time up to the newest sample that was read."""
        return float(self._origin + Fraction(self._ring.read_position, self._ring.samplerate))

    def _follow_source(self) -> list[Heard]:
        """Say so when the input goes or comes back; it goes when all that it left has been read."""
        gone = self._source.recovering is not None and not self.waiting
        if gone is self.gone:
            return []
        self.gone = gone
        return [Gone(self.now()) if gone else Back()]

    def _read(self) -> list[Heard]:
        ring = self._ring
        events: list[Heard] = []
        pieces = ring.read()
        for piece in pieces:
            if self._awaiting_gap:
                events += self._close_gap(ring)
            if piece.lost:
                events.append(Lost(piece.lost, ring.samplerate))
            events.append(Samples(piece.samples, ring.samplerate))
        if ring.last_arrival is not None and pieces:
            self._follow_clock(ring.last_arrival)
        return events

    def _follow_clock(self, arrival: float) -> None:
        """Learn how the frames' time lies to the clock, from a block's arrival time."""
        offset = arrival - self._heard
        if self._offset is None or offset < self._offset - JITTER_SECONDS:  # nothing comes before its time
            self._offset = offset
        elif offset < self._offset + JITTER_SECONDS:
            self._offset += FOLLOWED_SHARE * (offset - self._offset)
        # else it arrived in a burst after a stall, or something was lost before it: the next gap sets that right

    def _change(self, ring: RingBuffer) -> None:
        """Go on with another ring: a gap has begun, whose length its first block will tell."""
        before, old = self._counted
        self._origin += Fraction(old.read_position, old.samplerate)
        self._counted = before.plus(old.counters), ring
        self._lookahead = lookahead(ring.samplerate, self._heard_rate)
        self._awaiting_gap = True

    def _close_gap(self, ring: RingBuffer) -> list[Heard]:
        """The first samples after a gap: it lasted from the last before to the first of these."""
        self._awaiting_gap = False
        if self._offset is None:  # nothing was heard before: time begins here
            return []
        # by arrival times: the sound system's own word is not to be trusted at the beginning of a stream
        seconds = max(SHORTEST_GAP_SECONDS, ring.first_arrival - self._offset - float(self._origin))
        gap = round(seconds * ring.samplerate)
        self._origin += Fraction(gap, ring.samplerate)
        self.gaps += 1
        self.gap_seconds += gap / ring.samplerate
        return [NewStream(ring.samplerate, gap)]
