"""What a network's predictions for the validation set are worth: the published cost, and the areas by track."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import NDArray

from streamtag.errors import DataError
from streamtag.labelled.scores import score
from streamtag.train.patches import patch_batches
from streamtag.train.store import Store
from streamtag.train.truth import Truth

Logits = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Patches, float32 (n, frames, mels), to logits, float32 (n, tags)."""


@dataclass(frozen=True, slots=True)
class Validation:
    """Of one epoch.

    Attributes
    ----------
    cost : float
        Mean over batches, as published (a smaller last one counts as much as a full one), weight decay included.
    roc_auc, pr_auc : float
        Macro-averaged over the tags, of the means by track. NaN where no tag can be measured.
    """

    cost: float
    roc_auc: float
    pr_auc: float


def validate(
    logits: Logits, store: Store, truth: Truth, frames: int, batch_size: int, decay: float = 0.0
) -> Validation:
    """Predict all patches side by side of the validation set.

    Parameters
    ----------
    logits : callable
        The network, as it is when nobody trains it.
    store : Store
        The spectrograms.
    truth : Truth
        The tracks and their tags.
    frames, batch_size : int
        Frames of a patch, and patches of a batch.
    decay : float
        What weight decay adds to the cost.

    Returns
    -------
    Validation
        What it is worth.

    Raises
    ------
    DataError
        A track that is not in the store, or a damaged one.
    """
    costs = []
    sums = np.zeros(truth.targets.shape)
    counts = np.zeros(len(truth.ids))
    batches = patch_batches(store, truth.ids, frames, batch_size)
    with closing(batches):
        for x, rows in batches:
            z = logits(x).astype(np.float64)
            costs.append(cross_entropy(z, truth.targets[rows]))
            np.add.at(sums, rows, 1 / (1 + np.exp(-z)))
            np.add.at(counts, rows, 1)
    heard = counts > 0
    means = sums[heard] / counts[heard, np.newaxis]
    try:
        areas = score(truth.labels, truth.targets[heard] > 0.5, means)
    except DataError:  # of a few tracks, all or none may have each tag
        return Validation(float(np.mean(costs)) + decay, nan, nan)
    return Validation(float(np.mean(costs)) + decay, areas.roc_auc, areas.pr_auc)


def cross_entropy(logits: NDArray[np.float64], targets: NDArray[np.float32]) -> float:
    """Mean over patches and tags of the sigmoid's cross-entropy: max(z, 0) - z y + log(1 + exp(-|z|))."""
    losses = np.maximum(logits, 0) - logits * targets + np.log1p(np.exp(-np.abs(logits)))
    return float(losses.mean())
