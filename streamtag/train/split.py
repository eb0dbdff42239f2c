"""A ground truth in parts: to train, to validate and to test, with as much of each tag as of the others.

Iterative stratification (Sechidis, Tsoumakas and Vlahavas, On the Stratification of Multi-Label Data, 2011), of groups:
what is of one artist stays together.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamtag.errors import DataError, OptionError
from streamtag.files.outputs import replacing
from streamtag.labelled.data import NONE
from streamtag.train.truth import Truth

PARTS = ("train", "validation", "test")


def split(truth: Truth, shares: Sequence[float], seed: int) -> list[Truth]:
    """Split a ground truth.

    Parameters
    ----------
    truth : Truth
        What is split. Tracks of one group stay together; one without a group is one of its own.
    shares : sequence of float
        Of the tracks, for each part; they sum to 1. A part of 0 is empty.
    seed : int
        Of what is drawn.

    Returns
    -------
    list of Truth
        The parts, each in the order of the whole.

    Raises
    ------
    OptionError
        Shares that are none.
    """
    if min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
        raise OptionError(f"parts of {', '.join(f'{share:g}' for share in shares)}: expected shares that sum to 1")
    groups = truth.groups or ("",) * len(truth.ids)
    names = [f"group {group}" if group else f"track {row}" for row, group in enumerate(groups)]
    units = {name: unit for unit, name in enumerate(dict.fromkeys(names))}
    unit_of = np.array([units[name] for name in names], np.intp)
    holds = np.zeros((len(units), truth.targets.shape[1] + 1))  # tracks with each tag, and behind them all
    np.add.at(holds, unit_of, np.column_stack([truth.targets > 0, np.ones(len(names))]))
    part_of = _assigned(holds, np.asarray(shares, float), np.random.default_rng(seed))
    return [truth.at(np.flatnonzero(part_of[unit_of] == part)) for part in range(len(shares))]


def _assigned(holds: NDArray[np.float64], shares: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.intp]:
    """The part of each unit: again and again those of the rarest tag, each to the part that lacks most of it."""
    lacking = shares[:, None] * holds.sum(axis=0)
    part_of = np.full(len(holds), -1, np.intp)
    left = holds.sum(axis=0)
    while (part_of < 0).any():
        wanted = np.flatnonzero(left[:-1] > 0)
        tag = int(wanted[np.argmin(left[wanted])]) if len(wanted) else -1  # behind all tags: the tracks that have none
        units = np.flatnonzero((part_of < 0) & (holds[:, tag] > 0))
        units = rng.permutation(units)
        for unit in units[np.argsort(-holds[units, tag], kind="stable")]:
            short_of = lacking[:, tag]
            best = np.flatnonzero((short_of == short_of.max()) & (shares > 0))
            best = best if len(best) else np.flatnonzero(shares > 0)
            part = int(best[np.argmax(lacking[best, -1])])
            part_of[unit] = part
            lacking[part] -= holds[unit]
            left -= holds[unit]
    return part_of


def write_part(path: Path, truth: Truth) -> None:
    """Write a ground truth as a table that `read_truth` reads: id, tags and, if there are any, groups.

    Parameters
    ----------
    path : Path
        Where, as CSV.
    truth : Truth
        Of 0 and 1.

    Raises
    ------
    DataError
        Shares between 0 and 1, which such a table cannot say.
    SinkError
        If it cannot be written.
    """
    if not np.isin(truth.targets, (0, 1)).all():
        raise DataError(
            "the ground truth holds values between 0 and 1: split its lines yourself, they stay as they are"
        )
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["id", "tags", "group"] if truth.groups else ["id", "tags"])
    for row, (name, targets) in enumerate(zip(truth.ids, truth.targets, strict=True)):
        on = [label for label, value in zip(truth.labels, targets.tolist(), strict=True) if value]
        rows.writerow([name, _cell(on), *([truth.groups[row]] if truth.groups else [])])
    with replacing(path) as file:
        file.write(text.getvalue().encode("utf-8", "surrogateescape"))


def _cell(labels: Sequence[str]) -> str:
    """Labels as `parse_labels` reads them, whatever letters are in them."""
    if any(mark in label for label in labels for mark in "|;[]"):
        return repr(list(labels))
    return "|".join(labels) or NONE
