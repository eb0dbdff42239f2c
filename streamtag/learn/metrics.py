"""How good a head is, from probabilities for files that it had not learned from. The metrics are scikit-learn's."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, confusion_matrix, log_loss, precision_recall_fscore_support

from streamtag.heads.head import Array

BINS = 10

Truth = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """One class: files that hold it, those that were tested, and of these recall and precision (None: none tested)."""

    label: str
    files: int
    tested: int
    recall: float | None
    precision: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of files left out.

    Attributes
    ----------
    tested : int
        Files that were left out once and predicted.
    accuracy : float
        Share of files whose likeliest class is right (one class a file), or of labels that are right.
    chance : float
        Accuracy of always predicting the most frequent class (or, for each label, what is more frequent).
    window_accuracy : float
        The same for single windows, which is what live hears before smoothing.
    macro_precision : float
        Mean over classes of the average precision (area under precision and recall).
    log_loss : float
        Mean of -log of the probability given to the truth.
    calibration_error : float
        Expected calibration error: by how much stated probabilities miss the share that is right, in ten bins; of the
        likeliest class (one class a file), or of all labels.
    confidence : float
        Mean probability of the likeliest class (one class a file), or of the side taken for each label.
    classes : tuple of ClassFigures
        Figures of each class.
    confusion : tuple of tuple of int or None
        Files of class (row) predicted as class (column); None with several labels a file.
    """

    tested: int
    accuracy: float
    chance: float
    window_accuracy: float
    macro_precision: float
    log_loss: float
    calibration_error: float
    confidence: float
    classes: tuple[ClassFigures, ...]
    confusion: tuple[tuple[int, ...], ...] | None

    def as_json(self) -> dict[str, Any]:
        """As values that JSON knows."""
        return asdict(self)


def figures(
    labels: tuple[str, ...], targets: Truth, chances: Array, window_accuracy: float, exclusive: bool
) -> Figures:
    """Compare probabilities with the truth.

    Parameters
    ----------
    labels : tuple of str
        The classes.
    targets : ndarray of bool, shape (files, classes)
        What is true.
    chances : ndarray of float64, shape (files, classes)
        Probabilities; NaN in all classes of a file that was not left out.
    window_accuracy : float
        See `Figures`.
    exclusive : bool
        Whether exactly one class is true of each file.

    Returns
    -------
    Figures
        Figures of the files that were left out.
    """
    answered = ~np.isnan(chances).any(axis=1)
    true, stated = targets[answered], chances[answered]
    said = _said(stated, exclusive)
    precision, recall, _, _ = precision_recall_fscore_support(true, said, average=None, zero_division=0)
    classes = tuple(
        ClassFigures(
            label,
            int(targets[:, k].sum()),
            int(true[:, k].sum()),
            float(recall[k]) if true[:, k].any() else None,
            float(precision[k]) if said[:, k].any() else None,
        )
        for k, label in enumerate(labels)
    )
    known = true.any(axis=0)
    if exclusive:
        confidence, right = stated.max(axis=1), true[np.arange(len(true)), stated.argmax(axis=1)]
        accuracy, chance = float(right.mean()), float(true.mean(axis=0).max())
        loss = float(log_loss(true.argmax(axis=1), stated, labels=np.arange(len(labels))))
        confusion = confusion_matrix(true.argmax(axis=1), stated.argmax(axis=1), labels=np.arange(len(labels)))
    else:
        confidence, right = np.maximum(stated, 1 - stated).ravel(), (said == true).ravel()
        share = true.mean(axis=0)
        accuracy, chance = float(right.mean()), float(np.maximum(share, 1 - share).mean())
        loss = float(log_loss(true.ravel(), stated.ravel(), labels=[False, True]))
        confusion = None
    return Figures(
        tested=len(true),
        accuracy=accuracy,
        chance=chance,
        window_accuracy=window_accuracy,
        macro_precision=float(average_precision_score(true[:, known], stated[:, known], average="macro")),
        log_loss=loss,
        calibration_error=calibration_error(confidence, right),
        confidence=float(confidence.mean()),
        classes=classes,
        confusion=None if confusion is None else tuple(tuple(map(int, row)) for row in confusion),
    )


def right_share(targets: Truth, chances: Array, exclusive: bool) -> Array:
    """For each row: whether the likeliest class is true (one class a file), or the share of labels that are right."""
    share: Array = (_said(chances, exclusive) & targets).any(axis=1).astype(float)
    return share if exclusive else (_said(chances, exclusive) == targets).mean(axis=1)


def calibration_error(confidence: Array, right: Truth) -> float:
    """Expected calibration error (Naeini et al., 2015), in ten bins of equal width.

    Parameters
    ----------
    confidence : ndarray of float64, shape (n,)
        The probability that was stated.
    right : ndarray of bool, shape (n,)
        Whether it was so.

    Returns
    -------
    float
        By how much stated probabilities miss the share that is right.
    """
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, confidence - right, minlength=BINS)
    return float(np.abs(gaps).sum() / max(1, len(confidence)))


def _said(chances: Array, exclusive: bool) -> Truth:
    if exclusive:
        return np.asarray(np.arange(chances.shape[1]) == chances.argmax(axis=1)[:, None])
    return np.asarray(chances >= 0.5)
