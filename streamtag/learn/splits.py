"""Splits by file, never by patch; files of one artist or album stay on one side."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

Rows = NDArray[np.intp]


def can_be_left_out(targets: NDArray[np.bool_], groups: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Rows whose every class is also in another group: they can be left out, and the class is still known.

    Parameters
    ----------
    targets : ndarray of bool, shape (rows, classes)
        Which classes are true of each row.
    groups : ndarray of intp, shape (rows,)
        Number of each row's group.

    Returns
    -------
    ndarray of bool, shape (rows,)
        Whether the row can be left out.
    """
    lonely = np.array([len(np.unique(groups[column])) < 2 for column in targets.T], bool)
    return np.logical_not(targets[:, lonely].any(axis=1))


def folds(targets: NDArray[np.bool_], groups: NDArray[np.intp], count: int, seed: int) -> list[tuple[Rows, Rows]]:
    """Pairs of (rows to learn from, rows to test on). Classes of one group only are always learned and never tested.

    Parameters
    ----------
    targets : ndarray of bool, shape (rows, classes)
        Which classes are true of each row.
    groups : ndarray of intp, shape (rows,)
        Number of each row's group: rows of one group stay together.
    count : int
        How many, at the most.
    seed : int
        The shuffle's seed.

    Returns
    -------
    list of tuple of (ndarray of intp, ndarray of intp)
        The pairs; an empty list where there are too few groups to leave any out.
    """
    rows = np.flatnonzero(can_be_left_out(targets, groups))
    always = np.setdiff1d(np.arange(len(groups)), rows)
    count = min(count, len(np.unique(groups[rows])))
    if count < 2:
        return []
    exclusive = bool((targets.sum(axis=1) == 1).all())
    if exclusive:
        classes = targets[rows].argmax(axis=1)
        count = max(2, min(count, int(np.bincount(classes).max())))
        splitter: StratifiedGroupKFold | GroupKFold = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    else:
        classes = np.zeros(len(rows), int)
        splitter = GroupKFold(count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # a class with fewer files than there are folds is in some of them only, and that is well
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        parts = list(splitter.split(rows, classes, groups[rows]))
    return [(np.concatenate((rows[learn], always)), rows[test]) for learn, test in parts if len(learn) and len(test)]
