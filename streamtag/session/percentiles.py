"""Percentiles of a stream of durations, in constant memory."""

from __future__ import annotations

import math

import numpy as np

LOWEST_MS, HIGHEST_MS = 0.01, 100_000.0
RATIO = 1.02
"""Width of a bin: a percentile is right within 1 %."""


class Percentiles:
    """Counts durations in logarithmic bins from 10 us to 100 s; what lies beyond counts as the nearest."""

    def __init__(self) -> None:
        self._counts = np.zeros(1 + math.ceil(math.log(HIGHEST_MS / LOWEST_MS, RATIO)), np.int64)

    def add(self, milliseconds: float) -> None:
        """Count one duration."""
        clipped = min(max(milliseconds, LOWEST_MS), HIGHEST_MS)
        self._counts[int(math.log(clipped / LOWEST_MS, RATIO))] += 1

    def at(self, percent: float) -> float:
        """Milliseconds that `percent` of the durations do not exceed; 0 if there are none."""
        total = int(self._counts.sum())
        if not total:
            return 0.0
        wanted = max(1, math.ceil(total * percent / 100))
        position = int(np.searchsorted(np.cumsum(self._counts), wanted))
        return float(LOWEST_MS * RATIO ** (position + 0.5))
