"""Tables of text as people have them: any usual encoding, separator and end of line, with the number of each line."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from streamtag.decoding.find import EXTENSIONS
from streamtag.decoding.regular import unopenable
from streamtag.errors import DataError

SEPARATORS = "\t,;|"
LARGEST_TABLE = 1 << 28
"""Bytes. What is longer is no list of files."""
_BYTE_ORDER_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
MOST_TOLD = 20
"""Wrong lines named at once."""
NO_TEXT = "not a table of text, but a file of another kind"
Quoting = Literal[0, 3]  # csv.QUOTE_MINIMAL, csv.QUOTE_NONE
_SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the number of its line (of the first, where it has several), and its cells without outer blanks."""

    line: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table as text.

    Attributes
    ----------
    path : Path
        Where it was read.
    rows : tuple of Row
        All that are not blank, the heading too.
    separator : str
        What stood between cells.
    note : str or None
        What a user should know of how it was read.
    """

    path: Path
    rows: tuple[Row, ...]
    separator: str
    note: str | None


class Mistakes:
    """Wrong lines of a file, told together: whoever mends one at a time has to start again as often.

    Parameters
    ----------
    path : Path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._told: list[str] = []
        self._count = 0

    def add(self, line: int, what: str) -> None:
        """Note what is wrong with a line, in words that go on from its number."""
        self._count += 1
        if self._count <= MOST_TOLD:
            self._told.append(f"{self._path}: line {line} {what}")

    def check(self) -> None:
        """Raise if there were any.

        Raises
        ------
        DataError
            With a line for each, and how many there are beyond `MOST_TOLD`.
        """
        if not self._count:
            return
        more = self._count - len(self._told)
        raise DataError("\n".join([*self._told, *([f"{self._path}: and {more} more wrong lines"] if more else [])]))


def read_table(path: Path, headings: Iterable[str]) -> Table:
    """Read a table.

    Parameters
    ----------
    path : Path
        The file.
    headings : iterable of str
        Names of columns, lower case, by which a heading is recognised.

    Returns
    -------
    Table
        Its rows.

    Raises
    ------
    DataError
        Not a regular file, no text, or quotes that do not end.
    """
    text, note = read_text(path)
    start = 0
    separator = None
    if named := re.match(r"sep=(.)(?:\r\n|\n|\r)", text):  # Excel's own line
        text, separator, start = text[named.end() :], named[1], 1
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = separator or _separator(first, frozenset(headings))
    try:
        try:
            rows = _rows(text, separator, start, csv.QUOTE_MINIMAL)
        except _SplitError:
            if separator != "\t":
                raise
            rows = _rows(text, separator, start, csv.QUOTE_NONE)  # between tabs, a quote may be a letter like others
    except _SplitError as error:
        raise DataError(f"{path}: {error}") from None
    return Table(path, tuple(rows), separator, note)


def read_text(path: Path) -> tuple[str, str | None]:
    """The text of a file, and what a user should know of its encoding.

    By its byte-order mark; else UTF-8, else UTF-16 where every other byte is 0, else Windows-1252, which is said.

    Raises
    ------
    DataError
        Not a regular file, or no text.
    """
    if (why := unopenable(path)) is not None:
        raise DataError(f"{path}: {why}; expected a table of text")
    try:
        if path.stat().st_size > LARGEST_TABLE:
            raise DataError(f"{path}: larger than any table of files ({LARGEST_TABLE >> 20} MiB)")
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    if data.startswith(_SPREADSHEETS):
        raise DataError(f"{path}: a spreadsheet or an archive, not text: save it as CSV (UTF-8), and give that")
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)), None)
    if encoding is None and b"\0" in data[:4096]:
        high, low = data[0:4096:2].count(0), data[1:4096:2].count(0)
        if 4 * (high + low) < len(data[:4096]):
            raise DataError(f"{path}: {NO_TEXT}")
        encoding = "utf-16-be" if high > low else "utf-16-le"
    try:
        text, note = data.decode(encoding or "utf-8"), None
    except UnicodeDecodeError as error:
        if encoding is not None:
            raise DataError(
                f"{path}: not text, or {encoding.upper()} that is damaged ({error.reason} at byte {error.start})"
            ) from None
        text, note = _windows(path, data, error.start)
    if "\0" in text or any(mark in text[:4096] for mark in "\x01\x02\x03\x04\x05\x06"):
        raise DataError(f"{path}: {NO_TEXT}")
    return text, note


def lines_of(text: str) -> list[str]:
    """The lines of a text, as an editor numbers them: `str.splitlines` also splits at separators of Unicode's."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _windows(path: Path, data: bytes, start: int) -> tuple[str, str]:
    number = data.count(b"\n", 0, start) + 1
    begin, end = data.rfind(b"\n", 0, start) + 1, data.find(b"\n", start)
    line = data[begin : end if end >= 0 else None]
    try:
        text, shown = data.decode("cp1252"), line.decode("cp1252").strip()
    except UnicodeDecodeError:
        raise DataError(
            f"{path}: line {number} is neither UTF-8 nor Windows-1252: {line[:60]!r}; save the table as UTF-8"
        ) from None
    return text, (
        f"{path}: not UTF-8, so read as Windows-1252. If that is wrong for line {number}, save the table as UTF-8: "
        f"{shown[:80]}"
    )


def _separator(first: str, headings: frozenset[str]) -> str:
    """What separates the cells of a first line: what makes a heading of it, or a path of its first cell."""
    found = [mark for mark in SEPARATORS if mark in first]
    split = {mark: [cell.strip(' "').lower() for cell in first.split(mark)] for mark in found}
    named = {mark: len(headings.intersection(cells)) for mark, cells in split.items()}
    if found and max(named.values()) >= 2:
        return max(found, key=named.__getitem__)
    paths = (mark for mark in found if PurePosixPath(split[mark][0]).suffix in EXTENSIONS)
    return next(paths, found[0] if found else ",")


class _SplitError(Exception):
    """A quote that does not end, or text behind one that did."""


def _rows(text: str, separator: str, start: int, quoting: Quoting) -> list[Row]:
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, quoting=quoting, strict=True, skipinitialspace=True
    )
    rows: list[Row] = []
    line = start + 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append(Row(line, tuple(cell.strip() for cell in cells)))
            line = start + reader.line_num + 1
    except csv.Error as error:
        raise _SplitError(
            f'line {line} cannot be split ({error}): where a cell begins with ", it must end with one, '
            'and one that is meant is written ""'
        ) from None
    return rows
