"""What to learn from: a folder of class folders, or a table of paths and labels."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from streamtag.decoding.find import EXTENSIONS, find_audio
from streamtag.decoding.regular import unopenable
from streamtag.errors import DataError
from streamtag.labelled.rows import read_clip_table, resolved, tidy

NONE = "none"
"""In a table with several labels a file: none of them."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A file, and what is true of it.

    Attributes
    ----------
    path : Path
        The file.
    labels : tuple of str
        One or several; none at all for background in a table with several labels a file.
    group : str or None
        An artist, an album: what must not be learned from and tested on at once. None: the file alone.
    """

    path: Path
    labels: tuple[str, ...]
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Labelled:
    """Clips to learn from.

    Attributes
    ----------
    clips : tuple of Clip
        The files, in order.
    labels : tuple of str
        The classes, sorted; `none` last.
    exclusive : bool
        Whether exactly one class is true of each clip.
    notes : tuple of str
        What a user should know of how it was read, and of what was left aside.
    """

    clips: tuple[Clip, ...]
    labels: tuple[str, ...]
    exclusive: bool
    notes: tuple[str, ...] = ()

    def only(self, clips: Sequence[Clip]) -> Labelled:
        """The same classes with some of the clips."""
        return Labelled(tuple(clips), self.labels, self.exclusive, self.notes)


def read_labelled(data: str | Path) -> Labelled:
    """Read what to learn from.

    Parameters
    ----------
    data : str or Path
        A folder with a folder of files for each class (files deeper down count too); or a table of path, label and, if
        wanted, group, with or without a heading, separated by tabs, commas, semicolons or `|`. Several labels of a
        file: separated by `|` or `;`, as a list in brackets, in further cells at the end of the line (below a heading
        that ends in labels), on several lines, or as a column of 0 and 1 for each label. Paths are taken from the
        table's folder.

    Returns
    -------
    Labelled
        The clips and their classes.

    Raises
    ------
    DataError
        Nothing there, not readable, or one class alone.
    """
    data = Path(data)
    what = unopenable(data)
    if what == "no such file":
        raise DataError(f"{data}: no such folder or table; see `streamtag learn --help` for what it may be")
    folder = os.path.isdir(data)  # noqa: PTH112 - Path.is_dir raises for some names
    clips, notes = of_folders(data) if folder else _of_table(data)
    exclusive = all(len(clip.labels) == 1 for clip in clips)
    names = {label for clip in clips for label in clip.labels}
    if not exclusive:  # `none` is then the absence of all others
        names -= {NONE}
        clips = [Clip(clip.path, tuple(x for x in clip.labels if x != NONE), clip.group) for clip in clips]
    labels = tuple(sorted(names, key=lambda name: (name == NONE, name.casefold(), name)))
    if not clips:
        raise DataError("; ".join((f"{data}: no audio files in it", *notes)))
    if len(labels) < 2 and exclusive:
        aside = "".join(f" ({note})" for note in notes)
        raise DataError(
            f"{data}: one class alone ({', '.join(labels)}): nothing can be told from anything. Add a second class; "
            f"a folder called {NONE}, with what is not meant, will do{aside}"
        )
    return Labelled(tuple(clips), labels, exclusive, tuple(notes))


# --- folders ------------------------------------------------------------------------------------------------------


def of_folders(data: Path) -> tuple[list[Clip], list[str]]:
    """The clips of a folder of class folders, in order, and what a user should know.

    Raises
    ------
    DataError
        It cannot be listed, or has no folders in it.
    """
    try:
        inside = sorted(path for path in data.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"{data}: cannot be listed: {error.strerror or error}") from error
    folders = [path for path in inside if path.is_dir()]
    if not folders:
        raise DataError(f"{data}: has no folders in it; expected a folder of files for each class")
    clips: list[Clip] = []
    notes: list[str] = []
    others: list[Path] = []
    for folder in folders:
        found = find_audio([folder])
        beside = _others(folder, found)
        if found == [folder]:  # nothing was found
            notes.append(f"{folder.name}: {_nothing_in(folder, beside)}, so it is no class")
        else:
            clips += [Clip(path, (tidy(folder.name),)) for path in found]
            others += beside
    if stray := [path for path in inside if path.suffix.lower() in EXTENSIONS and not path.is_dir()]:
        notes.append(f"in no class folder, and so left aside: {stray[0].name}{_and_more(len(stray) - 1)}")
    if others:
        notes.append(f"left aside in the class folders: {_counted(others)}")
    return clips, notes


def _others(folder: Path, found: Sequence[Path]) -> list[Path]:
    """Files in a folder that were not found to be sound by their names; hidden ones are not counted."""
    heard = set(found)
    paths: list[Path] = []
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths += [path for name in files if not name.startswith(".") and (path := Path(where, name)) not in heard]
    return paths


def _nothing_in(folder: Path, others: Sequence[Path]) -> str:
    try:
        with os.scandir(folder):
            return f"no files of sound in it, but {_counted(others)}" if others else "empty"
    except OSError as error:
        return f"cannot be listed ({error.strerror or error})"


def _counted(paths: Sequence[Path]) -> str:
    """`3 files of other types (.txt 2, .jpg 1)`."""
    kinds = Counter(path.suffix.lower() or "no ending" for path in paths)
    most = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{kind} {count}" for kind, count in most[:5]] + ["..."] * (len(most) > 5)
    return f"{len(paths)} file{'s' if len(paths) != 1 else ''} of other types ({', '.join(shown)})"


def _and_more(count: int) -> str:
    return f" and {count} more" if count else ""


# --- tables ----------------------------------------------------------------------------------------------------------


def _of_table(path: Path) -> tuple[list[Clip], list[str]]:
    table = read_clip_table(path)
    notes = list(table.notes)
    merged: dict[Path, tuple[dict[str, None], str | None]] = {}
    bare: list[int] = []  # lines of files without a label
    added: list[str] = []  # files that further lines give further labels
    for entry in table.entries:
        if not entry.labels:
            bare.append(entry.line)
        known, _ = merged.setdefault(resolved(path.parent, entry.path), ({}, entry.group))
        if known and not known.keys() >= set(entry.labels):
            added.append(f"line {entry.line} of {path} gives {entry.path} another label than an earlier line")
        known.update(dict.fromkeys(entry.labels))
    clips = [Clip(where, tuple(labels), group) for where, (labels, group) in merged.items()]
    if added:
        notes.append(
            f"{added[0]}{_and_more(len(added) - 1)}: all are taken to be true, so each class is judged for itself"
        )
    if bare and all(len(clip.labels) < 2 for clip in clips):
        notes.append(
            f"line {bare[0]}{_and_more(len(bare) - 1)} of {path} without a label: taken for none of the classes, so "
            f"each class is judged for itself; write {NONE} as their label to have exactly one class a file"
        )
    return clips, notes
