"""From numbers that waver to what a cue can follow: thresholds with hysteresis, debounce and hold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Generic, TypeVar

Standing = TypeVar("Standing")
GRACE = 1e-6
"""Seconds: times of frames are sums of hops, and rounding is to delay nothing by one."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """Where a number switches.

    Attributes
    ----------
    at : float
        The threshold.
    hysteresis : float
        How far the number has to come back from it to switch off.
    above : bool
        Whether it is on at and above the threshold; else at and below.
    """

    at: float
    hysteresis: float
    above: bool = True

    def crossed(self, value: float, on: bool) -> bool:
        """Whether it is on now.

        Parameters
        ----------
        value : float
            The number.
        on : bool
            Whether it was on before.

        Returns
        -------
        bool
            Whether it is.
        """
        margin = self.hysteresis if on else 0.0
        return value >= self.at - margin if self.above else value <= self.at + margin


class Steady(Generic[Standing]):
    """A value that takes over another once that has stood for a while, and is then kept for a while.

    Parameters
    ----------
    value : bool or str
        What it is at first.
    debounce : float
        Seconds for which another value has to stand without a break.
    hold : float
        Seconds for which a value that is not False or empty is kept at least.

    Attributes
    ----------
    value : bool or str
        What it is now.
    """

    def __init__(self, value: Standing, debounce: float, hold: float) -> None:
        self.value = value
        self._debounce, self._hold = debounce, hold
        self._wanted, self._wanted_since = value, -math.inf
        self._since = -math.inf

    def update(self, wanted: Standing, time: float) -> Standing:
        """Take what it would be without waiting, at a time in seconds; gives what it is."""
        if wanted != self._wanted:
            self._wanted, self._wanted_since = wanted, time
        stands = time - self._wanted_since >= self._debounce - GRACE
        kept = bool(self.value) and time - self._since < self._hold - GRACE
        if wanted != self.value and stands and not kept:
            self.value, self._since = wanted, time
        return self.value
