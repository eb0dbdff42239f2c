"""Which tags are true of which track: musicnn-training's lists, tables and folders, as one matrix."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Container, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamtag.decoding.regular import unopenable
from streamtag.errors import DataError
from streamtag.labelled.data import NONE, of_folders
from streamtag.labelled.rows import read_clip_table
from streamtag.labelled.tables import Mistakes, lines_of, read_text

Targets = NDArray[np.float32]
MOST_LABELS = 100_000
_LISTED = re.compile(r"[^\t\n]*\t\s*\[\s*[-+.\d\]]")
"""How a line of id and list of numbers begins."""


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """A ground truth.

    Attributes
    ----------
    ids : tuple of str
        The tracks, in the order of the file; each once.
    labels : tuple of str
        Names of the tags.
    targets : ndarray of float32, shape (tracks, labels)
        How true each tag is of each track: 0 or 1, or a share between.
    groups : tuple of str or None
        An artist or album for each track, empty where the file does not say; None if it never does.
    notes : tuple of str
        What a user should know of how it was read.
    """

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    targets: Targets
    groups: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()

    def at(self, rows: Sequence[int] | NDArray[np.intp]) -> Truth:
        """The same of some tracks: those at these rows, in their order."""
        return replace(
            self,
            ids=tuple(self.ids[row] for row in rows),
            targets=self.targets[np.asarray(rows, np.intp)],
            groups=None if self.groups is None else tuple(self.groups[row] for row in rows),
        )

    def within(self, known: Container[str]) -> tuple[Truth, tuple[str, ...]]:
        """The tracks that are known elsewhere, and the ids of those that are not."""
        rows = [row for row, name in enumerate(self.ids) if name in known]
        return self.at(rows), tuple(name for name in self.ids if name not in known)


def read_truth(path: str | Path, labels: Sequence[str] | None = None) -> Truth:
    """Read a ground truth.

    Parameters
    ----------
    path : str or Path
        One of these:

        - musicnn-training's file: lines of id TAB list of numbers, one for each label. Nothing is executed. As there,
          the last of several lines of one id holds; it is told.
        - A table with a heading: an id or a path (which then is the id), and labels as for `streamtag learn`.
        - A folder of class folders; ids are paths from there, with ``/``.
    labels : sequence of str or None
        Names and order of the tags. None: lists are of ``tag 1``, ``tag 2`` ..., columns of 0 and 1 are as in the
        table, and names are sorted. `none` is no tag, but says that there is none.

    Returns
    -------
    Truth
        What it says.

    Raises
    ------
    DataError
        Not readable, empty, of other labels than those given, or with wrong lines, which are all named.
    """
    path = Path(path)
    if path.is_dir():
        return _of_folder(path, labels)
    if (why := unopenable(path)) is not None:
        raise DataError(
            f"{path}: {why}; expected a ground truth: id TAB list of numbers, a table, or a folder of classes"
        )
    text, note = read_text(path)
    first = next((line for line in lines_of(text) if line.strip()), "")
    truth = _of_lists(path, text, labels) if _LISTED.match(first) else _of_table(path, labels)
    return replace(truth, notes=(note, *truth.notes)) if note and note not in truth.notes else truth


# --- musicnn-training's lists -------------------------------------------------------------------------------------


def _of_lists(path: Path, text: str, labels: Sequence[str] | None) -> Truth:
    rows: dict[str, list[float]] = {}
    twice: list[int] = []  # lines
    mistakes = Mistakes(path)
    width = len(labels) if labels is not None else None
    for number, line in enumerate(lines_of(text), 1):
        if not line.strip():
            continue
        name, _, items = line.partition("\t")
        name = name.strip()
        try:
            values = _numbers(items.strip())
            if not name:
                raise ValueError("has no id before its list")
            if len(values) != (width := width or len(values)):
                first = "there are that many labels" if labels is not None else "the first line has"
                raise ValueError(f"has {len(values)} numbers; expected {width}, as {first}")
        except ValueError as error:
            mistakes.add(number, str(error))
            continue
        if name in rows:
            twice.append(number)
        rows[name] = values
    mistakes.check()
    notes: tuple[str, ...] = ()
    if twice:
        more = f" and {len(twice) - 1} more lines" if len(twice) > 1 else ""
        notes = (f"line {twice[0]}{more} of {path} give ids anew: the last line of each holds, and each counts once",)
    names = tuple(labels) if labels is not None else tuple(f"tag {column}" for column in range(1, (width or 0) + 1))
    return Truth(tuple(rows), names, np.array(list(rows.values()), np.float32), notes=notes)


def _numbers(text: str) -> list[float]:
    """A list of numbers from 0 to 1 (errors: ValueError, what is wrong in words that go on from the line's number)."""
    expected = "expected id TAB list of numbers from 0 to 1"
    if not (text.startswith("[") and text.endswith("]")):
        raise ValueError(f"is {text[:40]!r} behind its id; {expected}" if text else f"is an id alone; {expected}")
    items = text[1:-1].split(",")
    if not items[-1].strip():
        del items[-1]
    if not 0 < len(items) <= MOST_LABELS:
        raise ValueError(f"has a list of {len(items)}; {expected}, 1 to {MOST_LABELS} of them")
    values = []
    for item in items:
        try:
            value = float(item)
        except ValueError:
            raise ValueError(f"has {item.strip()[:40]!r} in its list; {expected}") from None
        if not 0 <= value <= 1:  # false for NaN
            raise ValueError(f"has {item.strip()[:40]} in its list; {expected}")
        values.append(value)
    return values


# --- tables and folders -------------------------------------------------------------------------------------------


def _of_table(path: Path, labels: Sequence[str] | None) -> Truth:
    table = read_clip_table(path, need_path=False)
    flags = tuple(label for label in table.flags if label != NONE)
    if twice := [label for label, count in Counter(flags).items() if count > 1]:
        raise DataError(f"{path}: has two columns called {_listed(twice)}")
    on: dict[str, dict[str, None]] = {}
    groups: dict[str, str] = {}
    mistakes = Mistakes(path)
    for entry in table.entries:
        known = set(entry.labels) - {NONE} if labels is None else set(labels)
        if strange := [label for label in entry.labels if label not in known and label != NONE]:
            mistakes.add(entry.line, f"has the label {_listed(strange)}; {_expected(labels or ())}")
        on.setdefault(entry.id, {}).update(dict.fromkeys(entry.labels))
        groups.setdefault(entry.id, entry.group or "")
    mistakes.check()
    truth = _of_names(path, list(on.items()), labels or flags or None)
    grouped = tuple(groups.values()) if any(groups.values()) else None
    return replace(truth, groups=grouped, notes=table.notes)


def _of_folder(folder: Path, labels: Sequence[str] | None) -> Truth:
    clips, notes = of_folders(folder)
    pairs = [(clip.path.relative_to(folder).as_posix(), clip.labels) for clip in clips]
    if labels is not None and (strange := sorted({name for _, on in pairs for name in on} - {*labels, NONE})):
        raise DataError(f"{folder}: has folders called {_listed(strange)}; {_expected(labels)}")
    return replace(_of_names(folder, pairs, labels), notes=tuple(notes))


def _of_names(path: Path, pairs: Sequence[tuple[str, Collection[str]]], labels: Sequence[str] | None) -> Truth:
    """From ids and the labels that are true of each."""
    seen = {label for _, on in pairs for label in on} - {NONE}
    names = tuple(labels) if labels is not None else tuple(sorted(seen, key=lambda name: (name.casefold(), name)))
    if not pairs or not names:
        raise DataError(f"{path}: no {'tracks' if not pairs else 'labels'} in it")
    column = {label: at for at, label in enumerate(names)}
    targets = np.zeros((len(pairs), len(names)), np.float32)
    for row, (_, on) in enumerate(pairs):
        targets[row, [column[label] for label in on if label != NONE]] = 1
    return Truth(tuple(name for name, _ in pairs), names, targets)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:5])) + (" and others" if len(names) > 5 else "")


def _expected(labels: Sequence[str]) -> str:
    return f"expected {', '.join(labels[:8])}{' ...' if len(labels) > 8 else ''}, or {NONE}"
