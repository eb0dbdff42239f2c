"""Files of sound, as a stream of float32 blocks.

What a file is, its content says, never its name. libsndfile reads WAV, RF64, W64, AIFF, AU, CAF and Ogg (Vorbis, Opus,
FLAC); FFmpeg reads all else, and whatever libsndfile refuses.

- MP3, AAC and other lossy codecs go through FFmpeg and are rounded to 16 bits, because that is what musicnn heard in
  2019: `ffmpeg -f s16le`, without dither, the encoder's start padding skipped. The samples are equal to the bit.
- FLAC is the same to the bit in both, but libsndfile stops for good at the first damaged frame, and FFmpeg goes on
  behind it. So FFmpeg comes first there, and libsndfile reads what FFmpeg refuses.
- Several files behind each other (Ogg, FLAC, MP4, WAV, AIFF) are each read by themselves, and heard as one.
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
from streamtag.decoding.ffmpeg import FFmpegReader
from streamtag.decoding.headers import as_it_is
from streamtag.decoding.links import links
from streamtag.decoding.ogg import ogg_ends
from streamtag.decoding.part import Part, PartFile
from streamtag.decoding.reader import AudioReader, RefusedError
from streamtag.decoding.regular import irregular
from streamtag.decoding.sndfile import SndfileReader
from streamtag.errors import AudioFileError

MOST_TAGS = 100
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
    check_regular(path)
    with _opening(path):
        return _open(Part(path))


def _open(part: Part) -> AudioReader:
    with part.open() as file:
        start = _behind_tags(file)
        kind, first = _recognise(file, start)
    part = Part(part.path, part.start + start, part.stop)
    parts, note = links(part, kind), None
    if len(parts) == 1 and first == "libsndfile" and kind != "Ogg":
        parts, note = as_it_is(part)
    if len(parts) > 1:
        try:
            return ChainReader(part, parts, _open)
        except RefusedError as error:
            raise AudioFileError(part.path, str(error)) from None
    multiplexed = kind == "Ogg" and ogg_ends(part)[0]
    reader = _first_that_reads(parts[0], kind, "FFmpeg" if parts[0].patches or multiplexed else first)
    if note and (parts[0].patches or reader.library == "libsndfile"):  # FFmpeg notices by itself where it ends early
        reader.troubles.append(note)
    return reader


def check_regular(path: Path) -> None:
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
    for _, refusal in reversed(reasons):
        if refusal.plain:
            raise AudioFileError(part.path, str(refusal))
    if kind not in LIBSNDFILES:
        raise AudioFileError(part.path, "not audio that libsndfile or FFmpeg can read")
    said = "; ".join(dict.fromkeys(f"{library}: {error}" for library, error in reasons))
    raise AudioFileError(part.path, f"begins as {kind}, but is damaged or of an unknown kind ({said})")


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


def _behind_tags(file: PartFile) -> int:
    """Where the sound begins: behind tags of MP3 (ID3v2, with cover art) or APE, which are met before anything."""
    start = 0
    for _ in range(MOST_TAGS):
        file.seek(start)
        head = file.read(32)
        if head.startswith(b"ID3") and len(head) == 32:
            size = sum(byte % 128 << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
            start += 10 + size + (10 if head[5] & 0x10 else 0)
        elif head.startswith(b"APETAGEX") and len(head) == 32 and head[23] & 0x20:
            start += 32 + int.from_bytes(head[12:16], "little")
        else:
            return start if head else 0  # a size that leads out of the file is none
    return 0


def _recognise(file: PartFile, start: int) -> tuple[str | None, str]:
    """Format that the first bytes name, and which library goes first."""
    file.seek(start)
    head = file.read(16)
    for begins, kind in ((b"RIFF", "WAV"), (b"RIFX", "WAV"), (b"RF64", "RF64"), (b"BW64", "BW64"), (b"FORM", "AIFF")):
        if head.startswith(begins) and head[8:12] in (b"WAVE", b"AIFF", b"AIFC"):
            return kind, "libsndfile"
    for begins, kind in (
        (b"riff\x2e\x91\xcf\x11", "W64"),
        (b".snd", "AU"),
        (b"dns.", "AU"),
        (b"caff", "CAF"),
        (b"OggS", "Ogg"),
    ):
        if head.startswith(begins):
            return kind, "libsndfile"
    if head[4:8] == b"ftyp":
        return "MP4", "FFmpeg"
    return ("FLAC", "FFmpeg") if head.startswith(b"fLaC") else (None, "FFmpeg")
