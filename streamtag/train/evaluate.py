"""How good networks are on a test set, as musicnn-training computes it: means of patches by track, then areas by tag.

Several networks are an ensemble: the mean of a track is over the patches of all of them at once. A network with shorter
patches has more of them, and weighs more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from streamtag._system.progress import progress
from streamtag.errors import DataError
from streamtag.labelled.scores import Scores, score
from streamtag.train.patches import patch_batches
from streamtag.train.store import Store
from streamtag.train.truth import Truth

Predict = Callable[[NDArray[np.float32]], NDArray[Any]]
"""Patches, float32 (n, frames, mels), to probabilities, (n, labels)."""
FloatT = TypeVar("FloatT", bound=np.floating[Any])
BATCH = 64
"""As published; it decides nothing but memory."""


@dataclass(frozen=True, slots=True)
class Model:
    """A network to be evaluated.

    Attributes
    ----------
    name : str
        How it is called.
    predict : callable
        See `Predict`.
    patch_frames : int
        Frames of its patches.
    labels : tuple of str
        Its tags, in the order of what it predicts.
    """

    name: str
    predict: Predict
    patch_frames: int
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How good one or several networks are.

    Attributes
    ----------
    models : tuple of str
        Their names; of several, it is the ensemble that was evaluated.
    scores : Scores
        The areas, over all tags and of each.
    patches : int
        How many were predicted, of all models.
    absent : tuple of str
        Tracks of the ground truth that the store does not have, left out.
    short : tuple of str
        Tracks shorter than a patch that gave none, left out.
    """

    models: tuple[str, ...]
    scores: Scores
    patches: int
    absent: tuple[str, ...]
    short: tuple[str, ...]

    @property
    def unmeasured(self) -> tuple[str, ...]:
        """Tags that none or all of the tracks have: they have no areas, and are not in the means."""
        return tuple(tag.tag for tag in self.scores.tags if tag.roc_auc is None)


def evaluate(
    models: Sequence[Model],
    store: Store,
    truth: Truth,
    *,
    batch_size: int = BATCH,
    pad_short: bool = True,
    console: Console | None = None,
) -> Evaluation:
    """Predict all patches side by side of all tracks, and compare.

    Parameters
    ----------
    models : sequence of Model
        One, or several as an ensemble; all with the same tags.
    store : Store
        The spectrograms.
    truth : Truth
        The test set: 0 or 1 for each of these tags.
    batch_size : int
        Patches predicted at a time.
    pad_short : bool
        Whether a track shorter than a patch is repeated to one; False: it is left out (published: it is a crash).
    console : Console or None
        Where progress is shown.

    Returns
    -------
    Evaluation
        The figures.

    Raises
    ------
    DataError
        Models or a truth with other tags, no tracks in the store, no tag that can be measured, or a truth between 0
        and 1.
    """
    _check(models, truth)
    there, absent = truth.within(store)
    owners, predictions = [], []
    with progress(console, "evaluating", len(models) * len(there.ids)) as steps:
        for model in models:
            done = 0
            batches = patch_batches(store, there.ids, model.patch_frames, batch_size, pad_short=pad_short)
            with closing(batches):
                for x, rows in batches:
                    predictions.append(np.asarray(model.predict(x)))
                    owners.append(rows)
                    steps.advance(int(rows[-1]) - done)
                    done = int(rows[-1])
            steps.advance(len(there.ids) - done)
    if not owners:
        raise DataError(f"{store.folder}: all {len(there.ids)} tracks are shorter than a patch: nothing to measure")
    said, owner = np.concatenate(predictions), np.concatenate(owners)
    means = track_means(range(len(there.ids)), owner.tolist(), said)
    answered = np.isin(np.arange(len(means)), owner)
    short = tuple(name for name, has in zip(there.ids, answered.tolist(), strict=True) if not has)
    scores = score(truth.labels, there.targets[answered] == 1, means[answered].astype(np.float64))
    return Evaluation(tuple(model.name for model in models), scores, len(said), absent, short)


def track_means(
    ids: Sequence[str] | Sequence[int], patch_ids: Sequence[str] | Sequence[int], predictions: NDArray[FloatT]
) -> NDArray[FloatT]:
    """The mean of each track's patches.

    Parameters
    ----------
    ids : sequence of str or int
        The tracks, in any order; one that is there twice gets its mean twice.
    patch_ids : sequence of str or int
        Whose each patch is. Those of a track need not be together.
    predictions : ndarray of float, shape (patches, labels)
        Of each patch, of one model or, one behind the other, of several.

    Returns
    -------
    ndarray of float, shape (tracks, labels)
        Added up in the type of the predictions, as published: where many tracks have nearly the same mean, its last bit
        decides about their order. NaN for a track without patches.
    """
    row_of = {name: row for row, name in enumerate(dict.fromkeys(patch_ids))}
    rows = np.array([row_of[name] for name in patch_ids], np.intp)
    sums = np.zeros((len(row_of) + 1, predictions.shape[1]), predictions.dtype)
    np.add.at(sums, rows, predictions)
    counts = np.bincount(rows, minlength=len(sums)).astype(predictions.dtype)[:, None]
    means: NDArray[FloatT] = np.empty_like(sums)
    with np.errstate(invalid="ignore"):  # behind the last track: 0 / 0, for those that have no patch
        np.divide(sums, counts, out=means)
    return means[[row_of.get(name, len(row_of)) for name in ids]]


def _check(models: Sequence[Model], truth: Truth) -> None:
    for model in models:
        if model.labels != truth.labels:
            theirs, ours = set(model.labels) - set(truth.labels), set(truth.labels) - set(model.labels)
            differ = [*sorted(theirs), *sorted(ours)]
            what = f"they differ in {', '.join(differ[:5])}" if differ else "the order differs"
            raise DataError(
                f"{model.name} has {len(model.labels)} tags and the ground truth {len(truth.labels)}, and {what}: all "
                "models and the truth must have the same"
            )
    if not np.isin(truth.targets, (0, 1)).all():
        raise DataError("the ground truth holds values between 0 and 1: an area needs tags that are true or are not")
