"""Files of sound, as a stream of float32 blocks.

What a file is, its content says, never its name. libsndfile reads WAV, RF64, W64, AIFF, AU, CAF and Ogg (Vorbis, Opus,
FLAC); FFmpeg reads all else, and whatever libsndfile refuses.

- MP3, AAC and other lossy codecs go through FFmpeg and are rounded to 16 bits, because that is what musicnn heard in
  2019: `ffmpeg -f s16le`, without dither, the encoder's start padding skipped. The samples are equal to the bit.
- FLAC is the same to the bit in both, but libsndfile stops for good at the first damaged frame, and FFmpeg goes on
  behind it. So FFmpeg comes first there, and libsndfile reads what FFmpeg refuses.
- libsndfile reads the first of several chained Ogg streams only. FFmpeg reads them all.
- libsndfile is kept away from MP3: its decoder writes to stderr, and takes noise for music.
"""

from __future__ import annotations

import glob
import os
import stat
from pathlib import Path

from streamtag.decoding.ffmpeg import FFmpegReader
from streamtag.decoding.reader import AudioReader, RefusedError
from streamtag.decoding.regular import irregular
from streamtag.decoding.sndfile import SndfileReader, ogg_ends
from streamtag.errors import AudioFileError


def open_audio(path: str | Path) -> AudioReader:
    """Open a file of sound.

    Its first samples are decoded here, so a file with nothing to hear in it is refused here, not halfway.

    Raises
    ------
    AudioFileError
        For whatever cannot be read, with the reason.
    """
    path = Path(path)
    kind, first = _recognise(path)
    readers: list[type[AudioReader]] = [FFmpegReader]
    if kind:
        readers = [SndfileReader, FFmpegReader] if first == "libsndfile" else [FFmpegReader, SndfileReader]
    reasons: list[RefusedError] = []
    for reader in readers:
        try:
            return reader(path)
        except RefusedError as error:
            reasons.append(error)
    for refusal in reversed(reasons):
        if refusal.plain:
            raise AudioFileError(path, str(refusal))
    if not kind:
        raise AudioFileError(path, "not audio that libsndfile or FFmpeg can read")
    said = "; ".join(f"{reader.library}: {error}" for reader, error in zip(readers, reasons, strict=True))
    raise AudioFileError(path, f"begins as {kind}, but is damaged or of an unknown kind ({said})")


def _recognise(path: Path) -> tuple[str | None, str]:
    """Format that the first bytes name, if libsndfile reads it; and which library goes first."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise AudioFileError(path, "a folder without files of sound that can be listed")
        if (other := irregular(status.st_mode)) is not None:
            raise AudioFileError(path, other)
        if not status.st_size:
            raise AudioFileError(path, "empty file")
        with path.open("rb") as file:
            head = file.read(16)
            while head.startswith(b"ID3") and len(head) == 16:  # tags, also before FLAC
                size = sum(byte % 128 << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
                file.seek(size + 10 - 16, os.SEEK_CUR)
                head = file.read(16)
    except (FileNotFoundError, NotADirectoryError):
        pattern = glob.has_magic(str(path))
        raise AudioFileError(path, "no file matches this pattern" if pattern else "no such file") from None
    except PermissionError:
        raise AudioFileError(path, "no permission to read it") from None
    except (OSError, ValueError) as error:  # such as a name that is too long, or with a null in it
        raise AudioFileError(path, f"cannot be opened ({getattr(error, 'strerror', None) or error})") from None
    for start, kind in ((b"RIFF", "WAV"), (b"RIFX", "WAV"), (b"RF64", "RF64"), (b"FORM", "AIFF")):
        if head.startswith(start) and head[8:12] in (b"WAVE", b"AIFF", b"AIFC"):
            return kind, "libsndfile"
    for start, kind in ((b"riff\x2e\x91\xcf\x11", "W64"), (b".snd", "AU"), (b"dns.", "AU"), (b"caff", "CAF")):
        if head.startswith(start):
            return kind, "libsndfile"
    if head.startswith(b"OggS"):
        return "Ogg", "FFmpeg" if ogg_ends(path)[0] else "libsndfile"
    return ("FLAC", "FFmpeg") if head.startswith(b"fLaC") else (None, "FFmpeg")
