"""What a library knows, written into its files: which words, into which files, and how to take it back."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from streamtag.decoding.content import content_sha256
from streamtag.errors import AudioFileError, DataError
from streamtag.files.outputs import writing
from streamtag.library.known import Known
from streamtag.library.metadata import FIELDS, Field, read_fields, write_fields
from streamtag.library.places import is_address
from streamtag.library.rows import File, Row, path_of, table_of, text_of
from streamtag.library.store import Store

Existing = Literal["keep", "add", "replace"]
GENRES = frozenset(
    {
        *("rock", "pop", "alternative", "indie", "electronic", "dance", "alternative rock", "jazz", "metal", "soul"),
        *("classic rock", "indie rock", "electronica", "folk", "punk", "blues", "hard rock", "ambient", "experimental"),
        *("hip-hop", "country", "easy listening", "funk", "electro", "heavy metal", "progressive rock", "rnb", "house"),
        *("indie pop", "techno", "classical", "classic", "opera", "new age", "choral"),
    }
)
"""Of the published models' tags those that name a genre,"""
MOODS = frozenset(
    {
        *("beautiful", "chillout", "mellow", "chill", "party", "sexy", "catchy", "sad", "happy"),
        *("slow", "fast", "loud", "quiet", "soft", "weird"),
    }
)
"""and a mood; players, voices, instruments and years are neither."""
ROWS = 64
"""Of a part that says what files are after they were written."""


@dataclass(frozen=True, slots=True)
class Words:
    """Which tags become words of which field.

    Attributes
    ----------
    genre, mood : frozenset of str
        The tags, in small letters.
    threshold : float
        Mean from which a tag is written.
    most : int
        Words of a field, at the most.
    existing : {'keep', 'add', 'replace'}
        What becomes of words that are there.
    """

    genre: frozenset[str] = GENRES
    mood: frozenset[str] = MOODS
    threshold: float = 0.3
    most: int = 3
    existing: Existing = "keep"

    def of(self, scores: Mapping[str, float], there: Mapping[Field, Sequence[str]]) -> dict[Field, list[str]]:
        """What is to be written: fields that change, with all their words."""
        ranked = sorted((tag for tag in scores if scores[tag] >= self.threshold), key=lambda tag: -scores[tag])
        changes: dict[Field, list[str]] = {}
        for field in FIELDS:
            wanted = [tag for tag in ranked if tag.lower() in getattr(self, field)][: self.most]
            old = list(there[field])
            if not wanted or (old and self.existing == "keep"):
                continue
            if self.existing == "add":
                known = {word.lower() for word in old}
                wanted = old + [tag for tag in wanted if tag.lower() not in known]
            if wanted != old:
                changes[field] = wanted
        return changes


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be written into a file.

    Attributes
    ----------
    path : str
        The file.
    before, after : dict of {str: list of str}
        Of the fields that change.
    """

    path: str
    before: dict[Field, list[str]]
    after: dict[Field, list[str]]


def planned(tracks: Iterable[tuple[str, Mapping[str, float]]], words: Words) -> Iterator[Change | AudioFileError]:
    """What would be written into files, by path and scores; a file that cannot be is given as its error."""
    for path, scores in tracks:
        if is_address(path):
            yield AudioFileError(path, "is not on this machine: words are written into its own files only")
            continue
        try:
            there = read_fields(path)
        except AudioFileError as error:
            yield error
            continue
        except OSError as error:
            yield AudioFileError(path, f"cannot be read: {error.strerror or error}")
            continue
        if after := words.of(scores, there):
            yield Change(path, {field: there[field] for field in after}, after)


class UndoList:
    """A file of what was written, line by line, each before its file is touched.

    Parameters
    ----------
    path : Path
        The file; made when the first line comes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def new(cls, store: Store) -> UndoList:
        """A new one, in the library; here, if that lies elsewhere."""
        return cls((store.folder.path or Path()) / f"undo-{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}.jsonl")

    def add(self, change: Change) -> None:
        """Note one (errors: SinkError)."""
        line = {"path": text_of(change.path), "before": change.before, "after": change.after}
        with writing(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def read(self) -> list[Change]:
        """What was written, the last first: as changes that take it back (errors: DataError)."""
        found = []
        try:
            for line in self.path.read_text(encoding="utf-8").splitlines():
                given: dict[str, Any] = json.loads(line)
                found.append(Change(path_of(given["path"]), given["after"], given["before"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{self.path} is no list that streamtag wrote ({error})") from error
        return found[::-1]


def write_changes(
    changes: Iterable[Change], store: Store, undo: UndoList | None = None
) -> Iterator[Change | AudioFileError]:
    """Write changes, each whole or not at all; the library knows the files as they are then.

    A file whose fields are not as a change says (any more) is left alone.

    Parameters
    ----------
    changes : iterable of Change
        What is to be written.
    store : Store
        The library: its rows of these files say what the files are after it, so that they are not heard again.
    undo : UndoList or None
        Where it is noted before.

    Yields
    ------
    Change or AudioFileError
        What was done, or why not.
    """
    known = Known(store)
    rows: list[Row] = []

    def keep() -> None:
        if rows:
            store.write(table_of(rows, store.settings))
            rows.clear()

    try:
        for change in changes:
            if (done := _written(change, known, undo, rows)) is not None:
                yield done
            if len(rows) >= ROWS:
                keep()
    finally:
        keep()


def _written(change: Change, known: Known, undo: UndoList | None, rows: list[Row]) -> Change | AudioFileError | None:
    """The change, once it is made; why it is not; None for what is so already, as a change that had failed."""
    try:
        there = read_fields(change.path)
        if all(there[field] == words for field, words in change.after.items()):
            return None
        if any(there[field] != words for field, words in change.before.items()):
            raise AudioFileError(change.path, "says something else by now: left as it is")
        row = known.of_file(_file(change.path))
        if undo is not None:
            undo.add(change)
        write_fields(change.path, change.after)
        if row is not None:
            sha256 = content_sha256(Path(change.path))
            rows.append(replace(row, file=_file(change.path), sha256=sha256).now())
    except AudioFileError as error:
        return error
    except OSError as error:
        return AudioFileError(change.path, f"cannot be written: {error.strerror or error}")
    return change


def _file(path: str) -> File:
    status = Path(path).stat()
    return File(path, status.st_size, status.st_mtime_ns)
