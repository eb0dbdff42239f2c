"""Genre and mood in the files themselves, where players look: ID3v2.4, Vorbis comments, MP4, APEv2.

A file is never written to: a copy of it beside is, and takes its place only if every packet of its sound is the same.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import av
import mutagen
import mutagen.easyid3
import mutagen.easymp4
import mutagen.id3
from av.error import FFmpegError

from streamtag.errors import AudioFileError

Field = Literal["genre", "mood"]
FIELDS: tuple[Field, ...] = ("genre", "mood")
FRAMES = {"genre": "TCON", "mood": "TMOO"}
"""ID3v2.4's names."""

mutagen.easymp4.EasyMP4Tags.RegisterFreeformKey("mood", "MOOD")  # as Picard and MP3Tag have it


def read_fields(path: str | Path) -> dict[Field, list[str]]:
    """What a file says of itself.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    dict of {str: list of str}
        By ``genre`` and ``mood``; empty lists for nothing.

    Raises
    ------
    AudioFileError
        A file that has no place for such words, or whose place cannot be read.
    """
    opened = _open(path)
    return {field: _get(opened, field) for field in FIELDS}


def write_fields(path: str | Path, fields: dict[Field, list[str]]) -> None:
    """Write fields of a file; an empty list takes one away.

    Parameters
    ----------
    path : str or Path
        The file; what a link leads to.
    fields : dict of {str: list of str}
        What is to be said.

    Raises
    ------
    AudioFileError
        It cannot be written, or its sound would not be the same: it is as it was then.
    """
    real = Path(os.path.realpath(path))
    copy = real.with_name(f".streamtag-{os.getpid()}{real.suffix}")
    try:
        shutil.copy2(real, copy)
        opened = _open(copy)
        for field, values in fields.items():
            _set(opened, field, values)
        opened.save()
        before = sound_of(real)
        try:
            after = sound_of(copy)
        except AudioFileError:
            after = ""
        if before != after:
            raise AudioFileError(path, "its sound would not be the same with these words: left as it is")
        with copy.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(copy, real)  # noqa: PTH105 - as in the line above
    except mutagen.MutagenError as error:
        raise AudioFileError(path, f"cannot be written to ({str(error) or type(error).__name__})") from error
    except OSError as error:
        raise AudioFileError(path, f"cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            copy.unlink(missing_ok=True)


def sound_of(path: str | Path) -> str:
    """Checksum of every packet of a file's sound, as it is stored: the same if only words in it differ."""
    digest = hashlib.sha256()
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            for packet in container.demux(container.streams.audio[0]):
                if packet.size:
                    digest.update(packet.size.to_bytes(8, "little"))
                    digest.update(bytes(packet))
    except (FFmpegError, IndexError) as error:
        raise AudioFileError(path, f"its sound cannot be compared ({error})") from error
    return digest.hexdigest()


def _open(path: str | Path) -> Any:
    try:
        opened = mutagen.File(str(path), easy=True)
    except mutagen.MutagenError as error:
        raise AudioFileError(path, f"its metadata cannot be read ({str(error) or type(error).__name__})") from error
    if opened is None:
        raise AudioFileError(path, "has no place for genre and mood")
    if opened.tags is None:
        try:
            opened.add_tags()
        except (mutagen.MutagenError, AttributeError) as error:
            raise AudioFileError(path, "has no place for genre and mood") from error
    return opened


def _get(opened: Any, field: Field) -> list[str]:
    tags = opened.tags
    if isinstance(tags, mutagen.id3.ID3):  # of WAV and AIFF: mutagen has no easy names for these
        frame = tags.get(FRAMES[field])
        return [] if frame is None else [str(text) for text in (frame.genres if field == "genre" else frame.text)]
    with suppress(KeyError):
        return [str(value) for value in tags[field]]
    return []


def _set(opened: Any, field: Field, values: Sequence[str]) -> None:
    tags = opened.tags
    if isinstance(tags, mutagen.id3.ID3):
        tags.delall(FRAMES[field])
        if values:
            tags.add(getattr(mutagen.id3, FRAMES[field])(encoding=3, text=list(values)))
    elif values:
        tags[field] = list(values)
    else:
        with suppress(KeyError):
            del tags[field]
