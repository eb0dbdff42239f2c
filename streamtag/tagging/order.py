"""The top tags in an order that can be read: places change hands only where the lead is clear.

Ten times a second, two scores that are about equal overtake each other again and again. Here a newcomer has to beat the
last of those named by a margin, and a name the one above it by a larger one. Just after a change there are no margins:
what is played now is to be on top. Measured in docs/tags.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ENTER = (1.15, 0.005)
"""A newcomer's score has to exceed this many times that of the last one named, plus this;"""
PASS = (1.35, 0.015)
"""the same to pass the one above."""


class SteadyOrder:
    """Which tags are named, and in which order."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget who was named: the next scores are ranked as they are."""
        self._named: list[int] = []

    def update(self, scores: NDArray[np.float32], count: int, margin: float = 1.0) -> list[int]:
        """Take the next scores.

        Parameters
        ----------
        scores : ndarray of float32, shape (tags,)
            The rolling scores.
        count : int
            How many are named.
        margin : float
            How much of the margins counts, 0..1.

        Returns
        -------
        list of int
            Numbers of the tags that are named, first to last.
        """
        ranked: list[int] = scores.argsort()[::-1].tolist()
        count = min(count, len(ranked))
        values: list[float] = scores.tolist()
        named = self._named
        if len(named) != count:  # the first, or another number of them is wanted
            named = ranked[:count]
        for newcomer in ranked[:count]:
            last = min(named, key=values.__getitem__)
            if newcomer not in named and _beats(values[newcomer], values[last], ENTER, margin):
                named[named.index(last)] = newcomer
        for end in range(1, count):  # each rises as far as its lead carries it
            place = end
            while place and _beats(values[named[place]], values[named[place - 1]], PASS, margin):
                named[place - 1], named[place] = named[place], named[place - 1]
                place -= 1
        self._named = named
        return list(named)


def _beats(score: float, other: float, lead: tuple[float, float], margin: float) -> bool:
    factor, more = lead
    return score > other + margin * ((factor - 1) * other + more)
