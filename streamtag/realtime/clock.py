"""When samples were captured: a sound card's clock seen from ours, its drift followed and its jitter smoothed."""

from __future__ import annotations

import math

BANDWIDTH_HZ = 0.1
"""How quickly the clock follows: jitter of single blocks is averaged over seconds, drift is much slower."""
FAR_SECONDS = 0.05
"""A block that is stamped this far from where it was expected is not jitter."""
PATIENCE_SECONDS = 0.25
"""If all blocks are far off for this long, samples were lost elsewhere or a clock was set: begin anew from there."""
ANCHOR_SECONDS = 1 / BANDWIDTH_HZ
"""For so long, and as long again, it is watched before its drift is told."""
MOST_DRIFT = 1e-3
"""Sound cards are within 100 ppm of their rate; what would be more is a disturbance, and not followed."""


class SampleClock:
    """Maps the number of a sample to the time of its capture.

    A delay-locked loop of second order over the time stamps of blocks, which begins as a plain average. Source: F.
    Adriaensen, "Using a DLL to filter time" (Linux Audio Conference 2005).

    Parameters
    ----------
    samplerate : int
        Hz, nominal.

    Attributes
    ----------
    period : float
        Seconds of a sample, as measured.
    jumps : int
        Times the clock began anew.
    """

    def __init__(self, samplerate: int) -> None:
        self._nominal = 1 / samplerate
        self.period = self._nominal
        self.jumps = 0
        self._position: float | None = None
        self._time = 0.0
        self._followed = 0.0  # seconds since it began
        self._astray = 0.0  # seconds for which blocks were far off
        self._anchor: tuple[int, float] | None = None  # where it was when it had settled

    def begin_anew(self) -> None:
        """Take the next stamp as it is; what was learned of the drift stays."""
        self._position = self._anchor = None

    def update(self, position: int, captured: float) -> None:
        """Take a stamp: sample number `position` was captured at `captured` (seconds)."""
        if self._position is None:
            self._position, self._time, self._followed, self._astray = position, captured, 0.0, 0.0
            return
        samples = position - self._position
        if samples <= 0:
            return
        elapsed = samples * self._nominal
        expected = self.at(position)
        error = captured - expected
        self._position = position
        if abs(error) > FAR_SECONDS:
            self._time = expected
            self._astray += elapsed
            if self._astray > PATIENCE_SECONDS:
                self.jumps += 1
                self._time, self._followed, self._astray, self._anchor = captured, 0.0, 0.0, None
            return
        self._astray = 0.0
        self._followed += elapsed
        # the width of an average at first, the loop's own later
        omega = 2 * math.pi * max(BANDWIDTH_HZ, min(1.0, 1 / (2 * math.pi * self._followed)))
        step = min(omega * elapsed, 0.5)
        self._time = expected + min(math.sqrt(2) * step, 1.0) * error
        if self._followed > ANCHOR_SECONDS:  # a slope from less is noise
            drift = (self.period - self._nominal) / self._nominal + step * step * error / elapsed
            self.period = self._nominal * (1 + min(max(drift, -MOST_DRIFT), MOST_DRIFT))
            self._anchor = self._anchor or (position, self._time)

    def at(self, position: float) -> float:
        """Seconds at which a sample was captured, or will be."""
        if self._position is None:
            raise ValueError("no stamp has come")
        return self._time + (position - self._position) * self.period

    @property
    def ppm(self) -> float | None:
        """How much faster than ours it runs, in parts per million, on the whole; None before it was seen for 20 s."""
        if self._anchor is None or self._position is None:
            return None
        samples, seconds = self._position - self._anchor[0], self._time - self._anchor[1]
        return 1e6 * (samples * self._nominal / seconds - 1) if seconds > ANCHOR_SECONDS else None

    @property
    def is_set(self) -> bool:
        """Whether any stamp has come."""
        return self._position is not None
