"""Which tracks there are, and where: musicnn-training's index, tables and folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from streamtag.decoding.regular import unopenable
from streamtag.errors import DataError, OptionError
from streamtag.labelled.data import of_folders
from streamtag.labelled.rows import read_clip_table, resolved
from streamtag.labelled.tables import Mistakes


@dataclass(frozen=True, slots=True)
class Track:
    """A track: what it is called in all tables, and its file."""

    id: str
    path: Path


@dataclass(frozen=True, slots=True)
class Index:
    """Tracks, in the order of the file and each once, and what a user should know of how they were read."""

    tracks: tuple[Track, ...]
    notes: tuple[str, ...] = ()


def read_index(index: str | Path, audio: str | Path | None = None) -> Index:
    """Read which tracks there are.

    Parameters
    ----------
    index : str or Path
        One of these:

        - musicnn-training's file: lines of id TAB path.
        - A table with a heading that has paths and, if wanted, ids (else the path as written is the id); labels are not
          looked at.
        - A folder of class folders; ids are paths from there, with ``/``.
    audio : str, Path or None
        The folder from which paths are meant; None: the folder of the table.

    Returns
    -------
    Index
        The tracks.

    Raises
    ------
    DataError
        Not readable, empty, one id for two files, or wrong lines, which are all named.
    OptionError
        A folder of class folders, and another for its paths.
    """
    index = Path(index)
    if index.is_dir():
        if audio is not None:
            raise OptionError(f"--audio {audio}: {index} is a folder of files by itself; --audio is for tables")
        clips, notes = of_folders(index)
        tracks = tuple(Track(clip.path.relative_to(index).as_posix(), clip.path) for clip in clips)
        return _found(index, tracks, tuple(notes))
    if (why := unopenable(index)) is not None:
        raise DataError(f"{index}: {why}; expected an index: id TAB path, a table with paths, or a folder of classes")
    folder = index.parent if audio is None else Path(audio)
    if not folder.is_dir():
        raise OptionError(f"--audio {folder}: no such folder")
    table = read_clip_table(index, need_label=False)
    known: dict[str, tuple[int, str]] = {}
    mistakes = Mistakes(index)
    for entry in table.entries:
        line, path = known.setdefault(entry.id, (entry.line, entry.path))
        if path != entry.path:
            mistakes.add(
                entry.line, f"calls {entry.path!r} {entry.id}, as line {line} calls {path!r}; an id is one file's"
            )
    mistakes.check()
    tracks = tuple(Track(name, resolved(folder, path)) for name, (_, path) in known.items())
    return _found(index, tracks, table.notes)


def _found(index: Path, tracks: tuple[Track, ...], notes: tuple[str, ...]) -> Index:
    if not tracks:
        raise DataError("; ".join((f"{index}: no tracks in it", *notes)))
    return Index(tracks, notes)
