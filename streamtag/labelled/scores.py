"""ROC-AUC and PR-AUC, by scikit-learn, as musicnn-training computes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from streamtag.errors import DataError

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TagScores:
    """One tag: files that have it, and the two areas (None where all or none of the files have it)."""

    tag: str
    files: int
    roc_auc: float | None
    pr_auc: float | None


@dataclass(frozen=True, slots=True)
class Scores:
    """How predictions compare with the truth.

    Attributes
    ----------
    files : int
        How many were compared.
    unmatched : tuple of (int, int)
        Predictions without truth, and truth without predictions.
    roc_auc, pr_auc : float
        Macro-averaged over the tags that some, and not all, of the files have.
    tags : tuple of TagScores
        The areas of each tag.
    """

    files: int
    unmatched: tuple[int, int]
    roc_auc: float
    pr_auc: float
    tags: tuple[TagScores, ...]


def score(tags: Sequence[str], true: NDArray[np.bool_], scores: Values, unmatched: tuple[int, int] = (0, 0)) -> Scores:
    """The areas.

    Parameters
    ----------
    tags : sequence of str
        Names of the columns.
    true : ndarray of bool, shape (files, tags)
        Which tags are true of each file.
    scores : ndarray of float64, shape (files, tags)
        As predicted.
    unmatched : tuple of (int, int)
        See `Scores`.

    Returns
    -------
    Scores
        The areas, over all tags and of each.

    Raises
    ------
    DataError
        No tag that some, and not all, of the files have; or scores that are no numbers.
    """
    if not np.isfinite(scores).all():
        raise DataError("the predictions hold NaN or infinite scores")
    each = []
    for k, tag in enumerate(tags):
        column, count = true[:, k], int(true[:, k].sum())
        areas: tuple[float | None, float | None] = (None, None)
        if 0 < count < len(column):
            areas = (
                float(roc_auc_score(column, scores[:, k])),
                float(average_precision_score(column, scores[:, k])),
            )
        each.append(TagScores(tag, count, *areas))
    roc = [one.roc_auc for one in each if one.roc_auc is not None]
    precision = [one.pr_auc for one in each if one.pr_auc is not None]
    if not roc:
        raise DataError("no tag is on some of the files and not on others: there is nothing to measure")
    return Scores(len(true), unmatched, float(np.mean(roc)), float(np.mean(precision)), tuple(each))
