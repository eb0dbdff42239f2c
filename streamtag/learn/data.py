"""What to learn from: a folder of class folders, or a table of paths and labels."""

from __future__ import annotations

import ast
import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from streamtag.decoding.find import find_audio
from streamtag.errors import HeadError

PATH_COLUMNS = ("path", "file", "filename", "file_name")
LABEL_COLUMNS = ("label", "labels", "class", "classes", "tag", "tags", "genre")
GROUP_COLUMNS = ("group", "artist", "album", "artist_id", "album_id")
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
    """

    clips: tuple[Clip, ...]
    labels: tuple[str, ...]
    exclusive: bool

    def only(self, clips: Sequence[Clip]) -> Labelled:
        """The same classes with some of the clips."""
        return Labelled(tuple(clips), self.labels, self.exclusive)


def read_labelled(data: str | Path) -> Labelled:
    """Read what to learn from.

    Parameters
    ----------
    data : str or Path
        A folder with a folder of files for each class (files deeper down count too); or a .csv or .tsv file of path,
        label and, if wanted, group, with or without a heading. Several labels of a file: separated by `|` or `;`, as a
        list in brackets, or on several lines. Paths are taken from the table's folder.

    Returns
    -------
    Labelled
        The clips and their classes.

    Raises
    ------
    HeadError
        Nothing there, not readable, or one class alone.
    """
    data = Path(data)
    if data.is_dir():
        clips = _of_folders(data)
    elif data.is_file():
        clips = _of_table(data)
    else:
        raise HeadError(f"{data}: no such folder or table; see `streamtag learn --help` for what it may be")
    exclusive = all(len(clip.labels) == 1 for clip in clips)
    names = {label for clip in clips for label in clip.labels}
    if not exclusive:  # `none` is then the absence of all others
        names -= {NONE}
        clips = [Clip(clip.path, tuple(x for x in clip.labels if x != NONE), clip.group) for clip in clips]
    labels = tuple(sorted(names, key=lambda name: (name == NONE, name.casefold(), name)))
    if not clips:
        raise HeadError(f"{data}: no audio files in it")
    if len(labels) < 2 and exclusive:
        raise HeadError(
            f"{data}: one class alone ({', '.join(labels)}): nothing can be told from anything. Add a second class; "
            f"a folder called {NONE}, with what is not meant, will do"
        )
    return Labelled(tuple(clips), labels, exclusive)


def _of_folders(data: Path) -> list[Clip]:
    folders = sorted(path for path in data.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not folders:
        raise HeadError(f"{data}: has no folders in it; expected a folder of files for each class")
    found = {folder: [path for path in find_audio([folder]) if not path.is_dir()] for folder in folders}
    return [Clip(path, (folder.name,)) for folder, paths in found.items() for path in paths]


def _of_table(table: Path) -> list[Clip]:
    try:
        text = table.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise HeadError(f"{table}: not readable as a table of text ({error})") from error
    tab = table.suffix.lower() == ".tsv" or "\t" in text.partition("\n")[0]
    rows = [row for row in csv.reader(text.splitlines(), delimiter="\t" if tab else ",") if any(row)]
    path_at, label_at, group_at, rows = _columns(rows)
    merged: dict[Path, tuple[dict[str, None], str | None]] = {}
    for number, row in enumerate(rows, 1):
        if len(row) <= max(path_at, label_at):
            raise HeadError(f"{table}: line {number} of the files has no label: {','.join(row)[:80]!r}")
        path = table.parent / row[path_at].strip()
        group = row[group_at].strip() or None if group_at is not None and len(row) > group_at else None
        labels, _ = merged.setdefault(path, ({}, group))
        labels.update(dict.fromkeys(parse_labels(row[label_at])))
    return [Clip(path, tuple(labels), group) for path, (labels, group) in merged.items()]


def _columns(rows: list[list[str]]) -> tuple[int, int, int | None, list[list[str]]]:
    """Where path, label and group are, and the rows without their heading."""
    head = [name.strip().lower() for name in rows[0]] if rows else []
    paths, labels, groups = (_first(head, known) for known in (PATH_COLUMNS, LABEL_COLUMNS, GROUP_COLUMNS))
    if paths is not None and labels is not None:
        return paths, labels, groups, rows[1:]
    return 0, 1, 2, rows


def _first(head: list[str], known: Iterable[str]) -> int | None:
    return next((head.index(name) for name in known if name in head), None)


def parse_labels(text: str) -> tuple[str, ...]:
    """`drop`, `drop|vocals`, `drop; vocals` or `['drop', 'vocals']` to labels; empty for none."""
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        try:
            items = ast.literal_eval(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            items = text[1:-1].split(",")
        return tuple(str(item).strip() for item in items if str(item).strip())
    return tuple(part.strip() for part in re.split(r"[|;]", text) if part.strip())
