"""Where a new output begins that is put on a trained network: at the logistic regression of its embeddings.

A random output would send large gradients into layers that are good already. This one is what `streamtag learn` would
begin with, too; what follows can only go further.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import closing

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from streamtag.train.patches import patch_batches
from streamtag.train.store import Store
from streamtag.train.truth import Truth
from streamtag.train.validation import cross_entropy

Array = NDArray[np.float64]
Embed = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Patches, float32 (n, frames, mels), to what the output sees, float32 (n, units)."""
STRENGTHS = (0.001, 0.01, 0.1, 1.0)
"""Of the regression (its C); the one with the least cost on the validation set is taken."""
MOST_PATCHES = 20_000
"""That are looked at: enough for a few thousand weights."""
STEPS = 500


def first_head(
    embed: Embed, store: Store, train: Truth, validation: Truth, frames: int, batch_size: int, balance: bool
) -> tuple[Array, Array]:
    """Kernel and bias of an output for new tags.

    Parameters
    ----------
    embed : callable
        The network before its output.
    store : Store
        The spectrograms.
    train, validation : Truth
        What is learned from, and what decides how strongly.
    frames, batch_size : int
        Frames of a patch, and patches embedded at a time.
    balance : bool
        Whether rare tags count more.

    Returns
    -------
    kernel : ndarray of float64, shape (units, tags)
        Weights.
    bias : ndarray of float64, shape (tags,)
        Where no track, or each, has a tag, its share alone.

    Raises
    ------
    DataError
        A track that is not in the store, or a damaged one.
    """
    x, y = _embedded(embed, store, train, frames, batch_size)
    x_val, y_val = _embedded(embed, store, validation, frames, batch_size)
    scaler = StandardScaler().fit(x)
    found = [_regression(scaler.transform(x), y, strength, balance) for strength in STRENGTHS]
    costs = [cross_entropy(scaler.transform(x_val) @ kernel + bias, y_val) for kernel, bias in found]
    kernel, bias = found[int(np.argmin(costs))]
    kernel = kernel / scaler.scale_[:, np.newaxis]
    return kernel, bias - scaler.mean_ @ kernel


def _regression(x: Array, y: NDArray[np.float32], strength: float, balance: bool) -> tuple[Array, Array]:
    """One regression for each tag."""
    kernel, bias = np.zeros((x.shape[1], y.shape[1])), np.zeros(y.shape[1])
    for tag in range(y.shape[1]):
        true = y[:, tag] > 0.5
        if true.all() or not true.any():
            share = np.clip(true.mean(), 0.5 / len(true), 1 - 0.5 / len(true))
            bias[tag] = np.log(share / (1 - share))
            continue
        regression = LogisticRegression(C=strength, max_iter=STEPS, class_weight="balanced" if balance else None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # it is where training begins, not where it ends
            regression.fit(x, true)
        kernel[:, tag], bias[tag] = regression.coef_[0], regression.intercept_[0]
    return kernel, bias


def _embedded(
    embed: Embed, store: Store, truth: Truth, frames: int, batch_size: int
) -> tuple[Array, NDArray[np.float32]]:
    """Embeddings of patches side by side, and what is true of them."""
    truth = truth.at(np.random.default_rng(0).permutation(len(truth.ids)))  # a table may have one class after the other
    embeddings, rows, count = [], [], 0
    batches = patch_batches(store, truth.ids, frames, batch_size)
    with closing(batches):
        for x, tracks in batches:
            embeddings.append(embed(x).astype(np.float64))
            rows.append(tracks)
            count += len(x)
            if count >= MOST_PATCHES:
                break
    return np.concatenate(embeddings), truth.targets[np.concatenate(rows)]
