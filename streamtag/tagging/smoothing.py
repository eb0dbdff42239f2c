"""From the scores of single windows to what a show can follow: smoothing, on/off with hysteresis, top N."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streamtag.dsp.params import is_number, is_whole
from streamtag.errors import OptionError
from streamtag.results import best_tags
from streamtag.tagging.order import SteadyOrder

HYSTERESIS = 0.8
"""A tag that is on goes off below this share of its threshold;"""
STEADY_HYSTERESIS = 0.6
"""below this one where scores are quick to follow: what flickers is switched once."""


NOTHING = 1e-4
"""Scores that fall below this are 0."""


Switched = tuple[tuple[str, bool], ...]
"""Tags that crossed their threshold, as (tag, is on now)."""


def check_top(top: int) -> None:
    """Refuse a number of tags to name that makes no sense.

    Raises
    ------
    OptionError
        Less than 1, or no whole number.
    """
    if not is_whole(top) or top < 1:
        raise OptionError(f"top {top!r}: expected a whole number of tags, at least 1")


def check_threshold(threshold: float) -> None:
    """Refuse a threshold that no score or every score reaches.

    Raises
    ------
    OptionError
        0 or less, or more than 1.
    """
    if not (is_number(threshold) and 0 < threshold <= 1):
        raise OptionError(f"threshold {threshold!r}: expected more than 0 and at most 1")


class Rolling:
    """Rolling scores of one stream.

    Parameters
    ----------
    labels : sequence of str
        The tags.
    top : int
        How many are named, best first.
    smooth : float
        Time constant in seconds of an exponential average (63 % of a step after this long); 0 for none.
    threshold : float
        Score at which a tag switches on; it switches off below 0.8 times that.
    steady : bool
        Whether it switches off below 0.6 times that, and the tags named keep their order until the lead is clear (see
        `SteadyOrder`).

    Raises
    ------
    OptionError
        A value out of range.
    """

    def __init__(
        self,
        labels: Sequence[str],
        *,
        top: int = 5,
        smooth: float = 1.0,
        threshold: float = 0.2,
        steady: bool = False,
    ) -> None:
        check_top(top)
        check_threshold(threshold)
        if not (is_number(smooth) and smooth >= 0):
            raise OptionError(f"smooth {smooth!r} s: expected 0 or more seconds")
        self.labels = tuple(labels)
        self.top = top
        self.smooth = smooth
        self.threshold: float | NDArray[np.float32] = threshold
        """One for all tags, or one for each."""
        self._hysteresis = STEADY_HYSTERESIS if steady else HYSTERESIS
        self._order = SteadyOrder() if steady else None
        self._margin = 1.0
        self.reset()

    def reset(self) -> None:
        """Reset: the next scores are taken as they are, and all tags are off."""
        self.scores: NDArray[np.float32] | None = None
        self.on = np.zeros(len(self.labels), bool)
        if self._order is not None:
            self._order.reset()

    def update(
        self, raw: NDArray[np.float32], seconds: float, smooth: float | None = None, margin: float = 1.0
    ) -> Switched:
        """Take the scores of the next window.

        Parameters
        ----------
        raw : ndarray of float32, shape (tags,)
            The network's scores for this window.
        seconds : float
            Time since the window before, skipped ones included.
        smooth : float or None
            Time constant for this window; None for the usual one.
        margin : float
            See `SteadyOrder.update`.

        Returns
        -------
        tuple of tuple of (str, bool)
            The tags that switched, as (tag, is on now). `scores` is the new average.
        """
        smooth = self.smooth if smooth is None else smooth
        self._margin = margin
        if self.scores is None or smooth == 0:
            self.scores = raw
        else:
            keep = np.float32(math.exp(-seconds / smooth))
            self.scores = raw + keep * (self.scores - raw)
        on = self.scores >= np.where(self.on, self._hysteresis * self.threshold, self.threshold)
        switched = tuple((self.labels[i], bool(on[i])) for i in np.flatnonzero(on != self.on))
        self.on = on
        return switched

    def rest(self, seconds: float) -> Switched:
        """Take time in which nothing is heard: scores fall to 0 as they would for a model that is sure of nothing.

        Parameters
        ----------
        seconds : float
            Time since the window before; infinite to release everything at once.

        Returns
        -------
        tuple of tuple of (str, bool)
            The tags that switched, as (tag, is on now).
        """
        if self.smooth == 0 and math.isinf(seconds):
            seconds = 0.0
        switched = self.update(np.zeros(len(self.labels), np.float32), seconds)
        assert self.scores is not None
        if self.scores.max(initial=0) < NOTHING:
            self.scores = np.zeros(len(self.labels), np.float32)
        return switched

    def best(self) -> tuple[tuple[str, float], ...]:
        """The top tags and their scores, best first; none where all scores are 0, as in silence."""
        if self.scores is None or not self.scores.any():
            if self._order is not None:
                self._order.reset()
            return ()
        if self._order is not None:
            order = self._order.update(self.scores, self.top, self._margin)
            return tuple((self.labels[i], float(self.scores[i])) for i in order)
        return best_tags(self.labels, self.scores, self.top)
