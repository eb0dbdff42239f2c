"""Scores on each tag's own scale: how unusual a score is among real music.

The networks give each tag a score with a range of its own. In music at large *rock* is often at 0.4, *sad* never at
0.05, and a fader that follows *sad* would not move. A calibration knows the distribution of each tag's rolling score
over reference music, and says where in it a score lies: 0.5 is the usual, 0.95 is reached one twentieth of the time.

The distributions are kept as quantiles, and a score between two of them is interpolated linearly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamtag.dsp.params import is_number
from streamtag.errors import OptionError
from streamtag.results import Value

Array = NDArray[np.float32]
LEVELS = np.concatenate(
    [[0, 0.005, 0.01, 0.02], np.arange(1, 18) * 0.05, [0.875, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99, 0.995, 1]]
).round(3)
"""Which quantiles are kept: the upper tail is where tags are told apart."""


TINY = 1e-12
"""Less than scores differ by: of several quantiles that are the same score, the lowest is meant."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Calibration(Value):
    """The distribution of each tag's rolling score over reference music.

    Attributes
    ----------
    model : str
        The model whose scores these are.
    model_sha256 : str
        Checksum of that model's weights.
    window_frames : int
        Frames of the windows that were heard.
    smooth : float
        Time constant of the rolling scores in seconds.
    level : {'auto', 'off'}
        Whether the music was brought to the level that the models know.
    levels : ndarray of float32, shape (n,)
        Which quantiles: rising from 0 to 1.
    quantiles : ndarray of float32, shape (n, tags)
        The score at each of them; no column falls.
    facts : mapping of {str: object}
        What was heard, and how: JSON values only.
    """

    model: str
    model_sha256: str
    window_frames: int
    smooth: float
    level: str
    levels: Array
    quantiles: Array
    facts: Mapping[str, Any] = field(default_factory=dict)
    _starts: NDArray[np.float64] = field(init=False)
    _curve: NDArray[np.float64] = field(init=False)
    _heights: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        # All tags' curves one after the other, as one that a single interpolation can follow. Each begins below any
        # score and ends above, so that no score falls between two tags.
        tags = self.quantiles.shape[1]
        starts = 4.0 * np.arange(tags)
        ends = np.full((tags, 1), 1.5)
        curve = np.hstack([-ends, self.quantiles.T.astype(np.float64), ends]) + starts[:, None]
        heights = np.concatenate([[0], self.levels, [1]])
        object.__setattr__(self, "_starts", starts)
        object.__setattr__(self, "_curve", curve.ravel())
        object.__setattr__(self, "_heights", np.tile(heights, tags))

    def __repr__(self) -> str:
        return f"Calibration({self.model!r}: {self.facts.get('hours', 0):.1f} h of music)"

    def only(self, columns: NDArray[np.intp]) -> Calibration:
        """The same for some of the tags, by their numbers."""
        return replace(self, quantiles=self.quantiles[:, columns])

    def calibrated(self, scores: Array) -> Array:
        """Where scores lie among those of the reference music.

        Parameters
        ----------
        scores : ndarray of float32, shape (tags,)
            Rolling scores.

        Returns
        -------
        ndarray of float32, shape (tags,)
            0 (as low as ever in the reference) to 1 (as high as ever). Of a score that is itself a good part of the
            reference, such as 0, the lower end of that part.
        """
        return np.interp(scores - TINY + self._starts, self._curve, self._heights).astype(np.float32)

    def scores_at(self, level: float) -> Array:
        """The rolling score of each tag at a place in its distribution: the inverse of `calibrated`.

        Parameters
        ----------
        level : float
            0 to 1.

        Returns
        -------
        ndarray of float32, shape (tags,)
            The scores.
        """
        return np.array([np.interp(level, self.levels, column) for column in self.quantiles.T], np.float32)


def place(threshold: float | str) -> float | None:
    """What a threshold as a percentage means: ``95%`` is 0.95 on each tag's own scale. None: a score is meant.

    Raises
    ------
    OptionError
        Neither a number nor a percentage between 0 and 100.
    """
    if not isinstance(threshold, str):
        return None
    text = threshold.strip()
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        value = math.nan
    if text.endswith("%") and is_number(value) and 0 < value < 100:
        return value / 100
    raise OptionError(
        f"threshold {threshold!r}: expected a score, for example 0.2, or a percentage of each tag's own scale, "
        "above 0% and below 100%, for example 95%"
    )


def quantiles(groups: Sequence[NDArray[np.floating[Any]]], shares: Sequence[float] | None = None) -> Array:
    """Quantiles at `LEVELS` of the scores of several groups, however large each is.

    Parameters
    ----------
    groups : sequence of ndarray, each of shape (n, tags)
        Rolling scores; a group is a file, or all files of a source.
    shares : sequence of float or None
        How much each group counts; None: all the same.

    Returns
    -------
    ndarray of float32, shape (levels, tags)
        The quantiles.
    """
    counts = [1.0] * len(groups) if shares is None else shares
    weight = np.concatenate(
        [np.full(len(group), share / len(group)) for group, share in zip(groups, counts, strict=True)]
    )
    scores = np.concatenate(groups).astype(np.float64)
    columns = []
    for column in scores.T:
        order = np.argsort(column, kind="stable")
        placed = np.cumsum(weight[order])
        middle = (placed - weight[order] / 2) / placed[-1]
        columns.append(np.interp(LEVELS, middle, column[order]))
    return np.maximum.accumulate(np.array(columns, np.float32).T, axis=0)
