"""Files of sound, as a stream of float32 blocks.

What a file is, its content says, never its name. libsndfile reads WAV, RF64, W64, AIFF, AU, CAF and Ogg (Vorbis, Opus,
FLAC); FFmpeg reads all else, and whatever libsndfile refuses.

- MP3, AAC and other lossy codecs go through FFmpeg and are rounded to 16 bits, because that is what musicnn heard in
  2019: `ffmpeg -f s16le`, without dither, the encoder's start padding skipped. The samples are equal to the bit.
- FLAC is the same to the bit in both, but libsndfile stops for good at the first damaged frame, and FFmpeg goes on
  behind it. So FFmpeg comes first there, and libsndfile reads what FFmpeg refuses.
- Several files behind each other (Ogg, FLAC, MP4, WAV, AIFF, or of different kinds) are each read by themselves, and
  heard as one.
- Tags in front (ID3v2 with its pictures, APE) hide from FFmpeg what follows: it is given the bytes behind them.
- A header that says less than there is, is put right on the way; the file stays as it is.
- libsndfile is kept away from MP3: its decoder writes to stderr, and takes noise for music.
"""

from __future__ import annotations

import glob
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streamtag.decoding.chain import ChainReader
from streamtag.decoding.drm import mp4_without_index
from streamtag.decoding.ffmpeg import FFmpegReader
from streamtag.decoding.headers import as_it_is
from streamtag.decoding.kinds import HEAD, beginning, kind_of
from streamtag.decoding.links import links
from streamtag.decoding.mistaken import HEAD as MISTAKEN_HEAD
from streamtag.decoding.mistaken import mistaken
from streamtag.decoding.ogg import ogg_ends
from streamtag.decoding.part import Part
from streamtag.decoding.reader import AudioReader, RefusedError
from streamtag.decoding.regular import irregular
from streamtag.decoding.sndfile import SndfileReader
from streamtag.errors import AudioFileError

CHUNKED = {"WAV", "RF64", "BW64", "AIFF", "W64", "AU", "CAF", "AVI"}
"""Whose headers are compared with what there is."""
LIBSNDFILES = {"WAV", "RF64", "BW64", "AIFF", "W64", "AU", "CAF", "Ogg", "FLAC"}


def open_audio(path: str | Path) -> AudioReader:
    """Open a file of sound.

    Its first samples are decoded here, so a file with nothing to hear in it is refused here, not halfway.

    Raises
    ------
    AudioFileError
        For whatever cannot be read, with the reason.
    """
    path = Path(path)
    _check_regular(path)
    with _opening(path):
        return _open(Part(path))


def _open(part: Part) -> AudioReader:
    try:
        parts, kind, note = _links(part)
        if len(parts) > 1:
            return ChainReader(part, parts, _open)
    except RefusedError as error:
        raise AudioFileError(part.path, str(error)) from None
    part = parts[0]
    multiplexed = kind == "Ogg" and ogg_ends(part)[0]
    first = "libsndfile" if kind in LIBSNDFILES - {"FLAC"} and not part.patches and not multiplexed else "FFmpeg"
    reader = _first_that_reads(part, kind, first)
    if note and (part.patches or reader.library == "libsndfile"):  # FFmpeg notices by itself where it ends early
        reader.troubles.append(note)
    return reader


def _links(part: Part) -> tuple[list[Part], str | None, str | None]:
    """Each file in a file, as it is to be read; kind of the last one, and what to tell of it."""
    found: list[Part] = []
    while True:
        with part.open() as file:
            start = beginning(file)
            file.seek(start)
            kind = kind_of(file.read(HEAD))
        part = Part(part.path, part.start + start, part.stop)
        parts, note = as_it_is(part) if kind in CHUNKED else (links(part, kind), None)
        if len(parts) == 1:
            return [*found, *parts], kind, note
        found += parts[:-1]
        part = parts[-1]  # which may be of another kind, and hold more


def _check_regular(path: Path) -> None:
    """Refuse what is no file with something in it, before it is opened: a pipe would be waited for, for ever.

    Raises
    ------
    AudioFileError
        No such file, a folder, a pipe, a device or a socket, or an empty file.
    """
    with _opening(path):
        status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise AudioFileError(path, "a folder without files of sound that can be listed")
    if (other := irregular(status.st_mode)) is not None:
        raise AudioFileError(path, other)
    if not status.st_size:
        raise AudioFileError(path, "empty file")


def _first_that_reads(part: Part, kind: str | None, first: str) -> AudioReader:
    """Open it with the library that reads it; the one that is named is asked first."""
    attempts: list[tuple[type[AudioReader], Part]] = [(FFmpegReader, part)]
    if kind in LIBSNDFILES:
        attempts.insert(0 if first == "libsndfile" else 1, (SndfileReader, part))
    if part.start and part.stop is None:
        attempts.append((FFmpegReader, Part(part.path)))  # what was taken for tags may be none
    reasons: list[tuple[str, RefusedError]] = []
    for reader, what in attempts:
        try:
            return reader(what)
        except RefusedError as error:
            reasons.append((reader.library, error))
    if (instead := _instead(part, kind)) is not None:
        raise AudioFileError(part.path, instead)
    for _, refusal in reversed(reasons):
        if refusal.plain:
            raise AudioFileError(part.path, str(refusal))
    if kind not in LIBSNDFILES:
        raise AudioFileError(part.path, "not audio that libsndfile or FFmpeg can read")
    said = "; ".join(dict.fromkeys(f"{library}: {error}" for library, error in reasons))
    raise AudioFileError(part.path, f"begins as {kind}, but is damaged or of an unknown kind ({said})")


def _instead(part: Part, kind: str | None) -> str | None:
    """What is there in place of sound, in words, if that is known."""
    with part.open() as file:
        if kind == "MP4":
            return mp4_without_index(file)
        if kind in LIBSNDFILES or (what := mistaken(file.read(MISTAKEN_HEAD))) is None:
            return None
        return f"no sound in it: it is {what}"


@contextmanager
def _opening(path: Path) -> Iterator[None]:
    """Say why a file cannot be opened."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        pattern = glob.has_magic(str(path))
        link = path.is_symlink() and "a link to what is not there"
        raise AudioFileError(path, link or ("no file matches this pattern" if pattern else "no such file")) from None
    except PermissionError:
        raise AudioFileError(path, "no permission to read it") from None
    except (OSError, ValueError) as error:  # such as a name that is too long, or with a null in it
        raise AudioFileError(path, f"cannot be opened ({getattr(error, 'strerror', None) or error})") from None
