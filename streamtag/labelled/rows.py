"""The rows of a table of clips: which column is what, and what each row says of which file."""

from __future__ import annotations

import ast
import os
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath

from streamtag.decoding.find import EXTENSIONS
from streamtag.errors import DataError
from streamtag.labelled.tables import Mistakes, Row, Table, read_table

PATH_COLUMNS = ("path", "file", "filename", "file_name", "filepath", "file_path", "audio", "audio_path", "mp3_path")
LABEL_COLUMNS = ("label", "labels", "class", "classes", "tag", "tags", "genre", "genres")
SEVERAL = ("labels", "classes", "tags", "genres")
GROUP_COLUMNS = ("group", "artist", "album", "artist_id", "album_id")
ID_COLUMNS = ("id", "clip_id", "track_id")
UNNAMED = ""
"""How spreadsheets and pandas call the column that numbers the rows."""
TRUE = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}
INVISIBLE = dict.fromkeys(map(ord, "\xad\u200b\u200e\u200f\u2060\ufeff"))
"""What text brings along unseen: soft hyphens, marks of direction, byte-order marks."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What one row says.

    Attributes
    ----------
    line : int
        Number of its (first) line.
    id : str
        What the row is called by; its path, where the table has no ids.
    path : str
        As written; empty in a table of ids and labels.
    labels : tuple of str
        Those that are true; none where the row has none.
    group : str or None
        An artist, an album; None where the table does not say.
    """

    line: int
    id: str
    path: str
    labels: tuple[str, ...]
    group: str | None


@dataclass(frozen=True, slots=True)
class Columns:
    """Where things are in a row.

    Attributes
    ----------
    id, path, label, group : int or None
        Index of each column; None: there is none. There is an id or a path.
    width : int
        Cells of the heading, or that a row without heading may have.
    heading : bool
        Whether the first row is one.
    more : bool
        Whether cells beyond the heading are further labels.
    flags : tuple of (int, str)
        Columns of 0 and 1, and the label that each stands for, in a table without a column of labels.
    """

    id: int | None
    path: int | None
    label: int | None
    group: int | None
    width: int
    heading: bool
    more: bool = False
    flags: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ClipTable:
    """A table of clips.

    Attributes
    ----------
    entries : tuple of Entry
        One for each row.
    flags : tuple of str
        The labels, in the order of their columns, of a table with a column of 0 and 1 for each; else empty.
    notes : tuple of str
        What a user should know of how it was read.
    """

    entries: tuple[Entry, ...]
    flags: tuple[str, ...]
    notes: tuple[str, ...]


def read_clip_table(path: Path, *, need_path: bool = True, need_label: bool = True) -> ClipTable:
    """Read a table of clips.

    Parameters
    ----------
    path : Path
        The table.
    need_path, need_label : bool
        What each row must have. Where no path is needed, an id will do; where no label is needed, rows without a
        heading may be id and path.

    Returns
    -------
    ClipTable
        What the rows say; no entries where there are none.

    Raises
    ------
    DataError
        Not readable, no such columns, or wrong rows, which are all named.
    """
    table = read_table(path, (*ID_COLUMNS, *PATH_COLUMNS, *LABEL_COLUMNS, *GROUP_COLUMNS))
    notes = (table.note,) if table.note else ()
    if not table.rows:
        return ClipTable((), (), notes)
    columns = _columns(table, need_path, need_label)
    entries: list[Entry] = []
    mistakes = Mistakes(path)
    for row in table.rows[columns.heading :]:
        try:
            entries.append(_entry(row, columns, need_path))
        except _WrongRowError as error:
            mistakes.add(row.line, str(error))
    mistakes.check()
    return ClipTable(tuple(entries), tuple(label for _, label in columns.flags), notes)


def _columns(table: Table, need_path: bool, need_label: bool) -> Columns:
    first = table.rows[0]
    head = [cell.lower() for cell in first.cells]
    path, label, group, name = (
        _first(head, known) for known in (PATH_COLUMNS, LABEL_COLUMNS, GROUP_COLUMNS, ID_COLUMNS)
    )
    width = len(head)
    if (named := path if need_path else _either(name, path)) is not None:
        if label is not None:
            more = label == width - 1 and (table.separator == "\t" or head[label] in SEVERAL)
            return Columns(name, path, label, group, width, heading=True, more=more)
        flags = _flags(table, {name, path, group})
        if flags or not need_label:
            return Columns(name, path, max(flags)[0] if flags else None, group, width, heading=True, flags=flags)
    sound = [_names_sound(cell) for cell in first.cells]
    if not any(sound):
        seen = f"{table.path}: line {first.line} looks like a heading ({', '.join(first.cells)[:80]})"
        if named is not None or label is not None:
            keys = PATH_COLUMNS if need_path else (*ID_COLUMNS, *PATH_COLUMNS)
            lacking = f"{'paths' if need_path else 'ids or paths'}: call it one of {', '.join(keys)}"
            if label is None:
                lacking = f"labels: call it one of {', '.join(LABEL_COLUMNS)}; or have a column of 0 and 1 for each"
            raise DataError(f"{seen} without a column of {lacking}")
        if not (need_path and need_label) or any(any(map(_names_sound, row.cells)) for row in table.rows[1:]):
            raise DataError(f"{seen} whose names are not known: {_wanted(need_path, need_label)}")
    elif not sound[0]:
        if not need_label and len(sound) == 2:
            return Columns(0, 1, None, None, 2, heading=False)
        raise DataError(
            f"{table.path}: line {first.line}: {first.cells[0][:40]!r} is no file of sound, but a cell behind it is; "
            f"expected {'' if need_label else 'id and path, or '}path, label and, if wanted, group, or a heading that "
            "says what is where"
        )
    return Columns(None, 0, 1 if need_label or len(sound) > 1 else None, 2, 3, heading=False)


def _wanted(need_path: bool, need_label: bool) -> str:
    if not need_label:
        return "call the columns id and path"
    return f"call the columns {'path' if need_path else 'id (or path)'} and label (and group)"


def _either(one: int | None, other: int | None) -> int | None:
    return other if one is None else one


def _flags(table: Table, taken: set[int | None]) -> tuple[tuple[int, str], ...]:
    """Columns of 0 and 1, if that is what most cells are of all columns that say neither what nor whose a row is."""
    head, *body = (row.cells for row in table.rows)
    known = (UNNAMED, *ID_COLUMNS, *PATH_COLUMNS)
    wanted = [at for at, name in enumerate(head) if at not in taken and name.lower() not in known]
    columns = [[cells[at].lower() in TRUE for cells in body if at < len(cells)] for at in wanted]
    sound = all(2 * sum(column) > len(column) for column in columns)
    return tuple((at, tidy(head[at])) for at in wanted) if sound and body else ()


def _first(head: list[str], known: Iterable[str]) -> int | None:
    return next((head.index(name) for name in known if name in head), None)


def _names_sound(cell: str) -> bool:
    return PurePath(cell).suffix.lower() in EXTENSIONS


class _WrongRowError(Exception):
    """What is wrong with a row."""


def _entry(row: Row, columns: Columns, need_path: bool) -> Entry:
    cells, said = row.cells, " ".join(row.cells)[:80]

    def cell(at: int | None) -> str:
        return cells[at] if at is not None and at < len(cells) else ""

    path, name = cell(columns.path), cell(columns.id)
    if not path and (need_path or columns.id is None):
        raise _WrongRowError(f"has no path: {said!r}")
    if not name and columns.id is not None:
        raise _WrongRowError(f"has no id: {said!r}")
    return Entry(row.line, name or path, path, _labels(row, columns, said), cell(columns.group) or None)


def _labels(row: Row, columns: Columns, said: str) -> tuple[str, ...]:
    cells = row.cells
    if columns.label is not None and columns.label >= len(cells):
        raise _WrongRowError(f"has no label: {said!r}; expected path, label and, if wanted, group")
    given = [] if columns.label is None else [cells[columns.label]]
    if columns.more:
        given += cells[columns.width :]
        if given[0].startswith("["):  # a list whose commas were taken for the table's
            given = [", ".join(given)]
    elif any(cells[columns.width :]):
        wanted = "path, label and group are 3" if columns.label is not None else "id and path are 2"
        wanted = f"the heading has {columns.width}" if columns.heading else wanted
        raise _WrongRowError(
            f"has {len(cells)} cells, and {wanted}: a path or label with the separator in it is put in quotes, several "
            "labels are joined by |"
        )
    if not columns.flags:
        return tuple(dict.fromkeys(label for cell in given for label in parse_labels(cell)))
    for at, label in columns.flags:
        if cells[at].lower() not in TRUE:
            raise _WrongRowError(f"has {cells[at][:40]!r} in the column {label}; expected 0 or 1")
    return tuple(label for at, label in columns.flags if TRUE[cells[at].lower()])


def resolved(folder: Path, name: str) -> Path:
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
    return tuple(label for item in items if (label := tidy(str(item))))


def tidy(text: str) -> str:
    """A label as it is seen: composed, with plain single blanks and nothing invisible. Else two would look the same."""
    return unicodedata.normalize("NFC", " ".join(text.translate(INVISIBLE).split()))
