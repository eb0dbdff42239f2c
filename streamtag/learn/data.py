"""What to learn from: a folder of class folders, or a table of paths and labels."""

from __future__ import annotations

import ast
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from streamtag.decoding.find import EXTENSIONS, find_audio
from streamtag.decoding.regular import unopenable
from streamtag.errors import HeadError
from streamtag.learn.tables import Row, Table, read_table

PATH_COLUMNS = ("path", "file", "filename", "file_name", "filepath", "file_path", "audio", "audio_path", "mp3_path")
LABEL_COLUMNS = ("label", "labels", "class", "classes", "tag", "tags", "genre", "genres")
SEVERAL = ("labels", "classes", "tags", "genres")
GROUP_COLUMNS = ("group", "artist", "album", "artist_id", "album_id")
ID_COLUMNS = ("", "id", "clip_id", "track_id")
"""Columns that number the rows; the first is what spreadsheets and pandas write without a name."""
TRUE = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}
INVISIBLE = dict.fromkeys(map(ord, "\xad\u200b\u200e\u200f\u2060\ufeff"))
"""What text brings along unseen: soft hyphens, marks of direction, byte-order marks."""
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
    HeadError
        Nothing there, not readable, or one class alone.
    """
    data = Path(data)
    what = unopenable(data)
    if what == "no such file":
        raise HeadError(f"{data}: no such folder or table; see `streamtag learn --help` for what it may be")
    folder = os.path.isdir(data)  # noqa: PTH112 - Path.is_dir raises for some names
    clips, notes = _of_folders(data) if folder else _of_table(data)
    exclusive = all(len(clip.labels) == 1 for clip in clips)
    names = {label for clip in clips for label in clip.labels}
    if not exclusive:  # `none` is then the absence of all others
        names -= {NONE}
        clips = [Clip(clip.path, tuple(x for x in clip.labels if x != NONE), clip.group) for clip in clips]
    labels = tuple(sorted(names, key=lambda name: (name == NONE, name.casefold(), name)))
    if not clips:
        raise HeadError("; ".join((f"{data}: no audio files in it", *notes)))
    if len(labels) < 2 and exclusive:
        aside = "".join(f" ({note})" for note in notes)
        raise HeadError(
            f"{data}: one class alone ({', '.join(labels)}): nothing can be told from anything. Add a second class; "
            f"a folder called {NONE}, with what is not meant, will do{aside}"
        )
    return Labelled(tuple(clips), labels, exclusive, tuple(notes))


# --- folders ------------------------------------------------------------------------------------------------------


def _of_folders(data: Path) -> tuple[list[Clip], list[str]]:
    try:
        inside = sorted(path for path in data.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise HeadError(f"{data}: cannot be listed: {error.strerror or error}") from error
    folders = [path for path in inside if path.is_dir()]
    if not folders:
        raise HeadError(f"{data}: has no folders in it; expected a folder of files for each class")
    clips: list[Clip] = []
    notes: list[str] = []
    others: list[Path] = []
    for folder in folders:
        found = find_audio([folder])
        beside = _others(folder, found)
        if found == [folder]:  # nothing was found
            notes.append(f"{folder.name}: {_nothing_in(folder, beside)}, so it is no class")
        else:
            clips += [Clip(path, (_label(folder.name),)) for path in found]
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


# --- tables -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where things are in a row.

    `more`: whether cells beyond the heading are further labels; `flags`: names of columns of 0 and 1 instead of labels.
    """

    path: int
    label: int
    group: int | None
    width: int
    heading: bool
    more: bool
    flags: tuple[tuple[int, str], ...] = ()


def _of_table(path: Path) -> tuple[list[Clip], list[str]]:
    table = read_table(path, (*PATH_COLUMNS, *LABEL_COLUMNS, *GROUP_COLUMNS))
    notes = [table.note] if table.note else []
    if not table.rows:
        return [], notes
    columns = _columns(table)
    merged: dict[Path, tuple[dict[str, None], str | None]] = {}
    bare: list[int] = []  # lines of files without a label
    added: list[str] = []  # files that further lines give further labels
    for row in table.rows[columns.heading :]:
        name, labels, group = _read_row(path, row, columns)
        if not labels:
            bare.append(row.line)
        known, _ = merged.setdefault(_resolved(path.parent, name), ({}, group))
        if known and not known.keys() >= set(labels):
            added.append(f"line {row.line} of {path} gives {name} another label than an earlier line")
        known.update(dict.fromkeys(labels))
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


def _columns(table: Table) -> _Columns:
    first = table.rows[0]
    head = [cell.lower() for cell in first.cells]
    path, label, group = (_first(head, known) for known in (PATH_COLUMNS, LABEL_COLUMNS, GROUP_COLUMNS))
    width = len(head)
    if path is not None and label is not None:
        more = label == width - 1 and (table.separator == "\t" or head[label] in SEVERAL)
        return _Columns(path, label, group, width, heading=True, more=more)
    if path is not None and (flags := _flags(table, {path, group})):
        return _Columns(path, max(flags)[0], group, width, heading=True, more=False, flags=flags)
    if not any(map(_names_sound, first.cells)):
        seen = f"{table.path}: line {first.line} looks like a heading ({', '.join(first.cells)[:80]})"
        if path is not None or label is not None:
            lacking, names = ("labels", LABEL_COLUMNS) if label is None else ("paths", PATH_COLUMNS)
            raise HeadError(f"{seen} without a column of {lacking}: call it one of {', '.join(names)}")
        if any(any(map(_names_sound, row.cells)) for row in table.rows[1:]):
            raise HeadError(f"{seen} whose names are not known: call the columns path and label (and group)")
    elif not _names_sound(first.cells[0]):
        raise HeadError(
            f"{table.path}: line {first.line}: {first.cells[0][:40]!r} is no file of sound, but a cell behind it is; "
            "expected path, label and, if wanted, group, or a heading that says what is where"
        )
    return _Columns(0, 1, 2, 3, heading=False, more=False)


def _flags(table: Table, taken: set[int | None]) -> tuple[tuple[int, str], ...]:
    """Columns of 0 and 1, if that is what all columns are that say neither what nor whose a row is."""
    head, *body = (row.cells for row in table.rows)
    wanted = [
        at for at, name in enumerate(head) if at not in taken and name.lower() not in (*PATH_COLUMNS, *ID_COLUMNS)
    ]
    sound = all(len(cells) <= at or cells[at].lower() in TRUE for cells in body for at in wanted)
    return tuple((at, _label(head[at])) for at in wanted) if sound and body else ()


def _first(head: list[str], known: Iterable[str]) -> int | None:
    return next((head.index(name) for name in known if name in head), None)


def _names_sound(cell: str) -> bool:
    return PurePath(cell).suffix.lower() in EXTENSIONS


def _read_row(table: Path, row: Row, columns: _Columns) -> tuple[str, tuple[str, ...], str | None]:
    """Path, labels and group of a row."""
    cells, where = row.cells, f"{table}: line {row.line}"
    if len(cells) <= max(columns.path, columns.label):
        raise HeadError(f"{where} has no label: {' '.join(cells)[:80]!r}; expected path, label and, if wanted, group")
    if not cells[columns.path]:
        raise HeadError(f"{where} has no path: {' '.join(cells)[:80]!r}")
    given = [cells[columns.label]]
    if columns.more:
        given += cells[columns.width :]
        if given[0].startswith("["):  # a list whose commas were taken for the table's
            given = [", ".join(given)]
    elif any(cells[columns.width :]):
        wanted = f"the heading has {columns.width}" if columns.heading else "path, label and group are 3"
        raise HeadError(
            f"{where} has {len(cells)} cells, and {wanted}: a path or label with the separator in it is put in quotes, "
            "several labels are joined by |"
        )
    if columns.flags:
        labels = tuple(label for at, label in columns.flags if TRUE[cells[at].lower()])
    else:
        labels = tuple(dict.fromkeys(label for cell in given for label in parse_labels(cell)))
    group = cells[columns.group] or None if columns.group is not None and len(cells) > columns.group else None
    return cells[columns.path], labels, group


def _resolved(folder: Path, name: str) -> Path:
    """Where a path in a table leads; one that Windows wrote, here too."""
    path = folder / name
    return path if "\\" not in name or os.path.lexists(path) else folder / name.replace("\\", "/")


def parse_labels(text: str) -> tuple[str, ...]:
    """`drop`, `drop|vocals`, `drop; vocals` or `['drop', 'vocals']` to labels; empty for none."""
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        try:
            items = ast.literal_eval(re.sub(r"(['\"])\s+(?=['\"])", r"\1, ", text))  # NumPy writes no commas
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            items = text[1:-1].split(",")
    else:
        items = re.split(r"[|;]", text)
    return tuple(label for item in items if (label := _label(str(item))))


def _label(text: str) -> str:
    """A label as it is seen: composed, with plain single blanks and nothing invisible. Else two would look the same."""
    return unicodedata.normalize("NFC", " ".join(text.translate(INVISIBLE).split()))
