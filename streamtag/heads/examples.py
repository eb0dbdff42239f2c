"""What a head was learned from, kept in its file: enough to learn it again, with a correction, on any machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamtag.errors import HeadError
from streamtag.results import Value

ROWS_BYTES = 1 << 19
"""Of rows as float16, at the most: 1310 of the 200 numbers of an embedding. Beyond that they are thinned out."""
MOST_CORRECTED = 1000
"""Windows of corrections that are kept, the newest."""
PREFIX = "examples."
"""Before the names of the arrays in a file."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TrainingSet(Value):
    """Rows of features and what is true of them.

    Attributes
    ----------
    rows : ndarray of float16, shape (n, features)
        Features that the head learned from, a file or window a row; then those of corrections, oldest first.
    targets : ndarray of bool, shape (n, classes)
        Which classes are true of each row.
    groups : ndarray of int32, shape (n,)
        Rows of one number are left out together when probabilities are calibrated; those of corrections are negative,
        and are always learned from.
    """

    rows: NDArray[np.float16]
    targets: NDArray[np.bool_]
    groups: NDArray[np.int32]

    def __repr__(self) -> str:
        return f"TrainingSet({len(self.rows)} rows, {int(self.are_corrections.sum())} of them corrections)"

    @property
    def are_corrections(self) -> NDArray[np.bool_]:
        """Which rows are windows that were corrected, shape (n,)."""
        return np.asarray(self.groups < 0)

    @classmethod
    def of(cls, rows: NDArray[np.floating[Any]], targets: NDArray[np.bool_], groups: NDArray[np.intp]) -> TrainingSet:
        """Keep what a head learns from, thinned out evenly where they are too many.

        Parameters
        ----------
        rows : ndarray of float, shape (n, features)
            See `TrainingSet`.
        targets : ndarray of bool, shape (n, classes)
            See `TrainingSet`.
        groups : ndarray of int, shape (n,)
            See `TrainingSet`; 0 and above.

        Returns
        -------
        TrainingSet
            A copy of at least one row of each class.
        """
        most = max(1, ROWS_BYTES // (2 * rows.shape[1]))
        if len(rows) > most:
            by_class = np.lexsort(targets.T)
            even = by_class[np.linspace(0, len(rows) - 1, most).round().astype(int)]
            one_of_each = targets.argmax(axis=0)
            kept = np.union1d(even, one_of_each)
            rows, targets, groups = rows[kept], targets[kept], groups[kept]
        return cls(_half(rows), targets.copy(), groups.astype(np.int32))

    def corrected(self, rows: NDArray[np.floating[Any]], targets: NDArray[np.bool_]) -> TrainingSet:
        """These and a correction; of windows that were corrected before, the newest word holds.

        Parameters
        ----------
        rows : ndarray of float, shape (n, features)
            Features of the corrected windows.
        targets : ndarray of bool, shape (n, classes)
            What is true of each.

        Returns
        -------
        TrainingSet
            All of them.
        """
        new = _half(rows)
        again = {row.tobytes() for row in new}
        kept = np.array(
            [group >= 0 or row.tobytes() not in again for row, group in zip(self.rows, self.groups, strict=True)]
        )
        corrections = np.flatnonzero(kept & self.are_corrections)
        kept[corrections[: max(0, len(corrections) + len(new) - MOST_CORRECTED)]] = False
        number = min(0, int(self.groups.min(initial=0))) - 1
        return TrainingSet(
            np.concatenate((self.rows[kept], new)),
            np.concatenate((self.targets[kept], targets)),
            np.concatenate((self.groups[kept], np.full(len(new), number, np.int32))),
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """As arrays for a file."""
        return {
            f"{PREFIX}rows": self.rows,
            f"{PREFIX}targets": self.targets.astype(np.uint8),
            f"{PREFIX}groups": self.groups,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], features: int, classes: int) -> TrainingSet | None:
        """Out of a file's arrays, checked; None where it has none.

        Parameters
        ----------
        arrays : mapping of {str: ndarray}
            All arrays that begin with `PREFIX`.
        features, classes : int
            How wide they must be.

        Returns
        -------
        TrainingSet or None
            The examples.

        Raises
        ------
        HeadError
            Other arrays, or of other shapes and types.
        """
        if not arrays:
            return None
        rows, targets, groups = (arrays.get(f"{PREFIX}{name}") for name in ("rows", "targets", "groups"))
        if rows is None or targets is None or groups is None or len(arrays) > 3:
            raise HeadError(f"examples of an unknown kind: {', '.join(sorted(arrays))}")
        n = len(rows) if rows.ndim else 0
        types = [array.dtype.name for array in (rows, targets, groups)]
        sound = (
            types == ["float16", "uint8", "int32"]
            and (rows.shape, targets.shape, groups.shape) == ((n, features), (n, classes), (n,))
            and bool(np.isfinite(rows).all())
            and bool((targets <= 1).all())
        )
        if not sound:
            raise HeadError("examples of a shape or type that does not fit")
        return cls(rows, targets.astype(bool), groups)


def _half(rows: NDArray[np.floating[Any]]) -> NDArray[np.float16]:
    """As float16, three digits: what is beyond it, which no network gives, as its largest."""
    largest = float(np.finfo(np.float16).max)
    return np.asarray(np.clip(rows, -largest, largest), np.float16)
