"""How loud what comes in is, from its first block on; and what its samples give away of a fault."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamtag.results import SILENCE_DBFS, dbfs

SECONDS = 0.3
"""Time constant of the level: that of meters between VU (0.3 s, IEC 60268-17) and peak."""
FULL_SCALE = 1 - 2.0**-15
"""The greatest int16, as a float."""
MAD_PEAK = 4.0
"""12 dB above full scale. What was mixed in floating point goes a little beyond 1; another format goes far."""


class Level:
    """Level and peaks of the samples of a session. The engine thread feeds it; attributes may be read from any.

    Attributes
    ----------
    dbfs : float
        Level of late, in dBFS (RMS of the mono mix, 0 = full scale); -120 for silence and before the first block.
    samples : int
        How many came.
    clipped : int
        How many of them lie at full scale or beyond.
    mad : int
        How many lie so far beyond it that they are of another format.
    peak : float
        The greatest of them, as a multiple of full scale.
    silent_seconds : float
        For how long there has been nothing but exact zeros, from the first sample on; 0 once there was another.
    """

    def __init__(self) -> None:
        self.dbfs = SILENCE_DBFS
        self.samples = 0
        self.clipped = 0
        self.mad = 0
        self.peak = 0.0
        self.silent_seconds = 0.0
        self._mean_square: float | None = None

    def feed(self, samples: NDArray[np.float32], samplerate: int) -> None:
        """Take the next samples, mono and finite."""
        count = len(samples)
        if not count:
            return
        size = np.abs(samples)
        loudest = float(size.max())
        seconds = count / samplerate
        if loudest >= FULL_SCALE:
            self.clipped += int(np.count_nonzero(size >= FULL_SCALE))
            self.mad += int(np.count_nonzero(size > MAD_PEAK))
        if not self.peak and not loudest:
            self.silent_seconds += seconds
        else:
            self.silent_seconds = 0.0
        self.peak = max(self.peak, loudest)
        self.samples += count
        mean_square = float(np.mean(np.square(samples, dtype=np.float64)))
        if self._mean_square is None:
            self._mean_square = mean_square
        else:
            self._mean_square += (mean_square - self._mean_square) * -np.expm1(-seconds / SECONDS)
        self.dbfs = dbfs(self._mean_square)
