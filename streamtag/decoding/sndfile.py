"""Files through libsndfile. The only importer of soundfile."""

from __future__ import annotations

import os
import re
from collections.abc import Generator
from pathlib import Path
from typing import Any, BinaryIO

import soundfile

from streamtag.decoding.reader import Array, AudioReader, RefusedError

PIECE = 65_536
"""Frames that libsndfile is asked for at once."""

FORMATS = {"WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC", "OGG"}


class SndfileReader(AudioReader):
    """libsndfile, through soundfile."""

    library = "libsndfile"
    _source: BinaryIO | None = None
    _file: Any = None

    def _open(self) -> None:
        try:
            self._source = self.path.open("rb")
            # Without its name: soundfile takes *.raw for headerless. (On Windows, libraries do not share descriptors.)
            source = str(self.path) if os.name == "nt" else self._source.fileno()
            self._file = file = soundfile.SoundFile(source, closefd=False)
        except soundfile.LibsndfileError as error:
            raise RefusedError(error.error_string.rstrip(".")) from None
        except (RuntimeError, TypeError, OSError) as error:
            raise RefusedError(str(error)) from None
        if file.format not in FORMATS or file.subtype.startswith("MPEG"):
            raise RefusedError(f"{file.subtype} in {file.format} is left to FFmpeg")
        # soundfile seeks after each read of what can be sought: behind a gap, that repeats samples.
        file.seekable = lambda: False
        self.samplerate, self.channels = file.samplerate, file.channels
        self.duration = file.frames / file.samplerate if 0 <= file.frames < 2**60 and file.samplerate else None
        self.decoder = f"libsndfile, {file.subtype} in {file.format}"
        # Of a file that was cut, libsndfile counts what is left, and says so in its log only.
        sizes = re.findall(r"(?:data|SSND|Data Size|riff|Riff size)\s*: (\d+) \(should be (\d+)\)", file.extra_info)
        for claimed, there in ((int(claimed), int(there)) for claimed, there in sizes):
            unknown = (claimed + 2**13) % 2**31 < 2**13  # what recorders write that do not know the length yet
            if self.duration and there and not unknown:
                self._note_length(self.duration, self.duration * claimed / there)
        if file.format == "OGG" and not ogg_ends(self.path)[1]:
            self._add_note("ends early: the last Ogg page is missing")

    def _decode(self) -> Generator[Array]:
        read = 0
        while True:
            try:
                piece: Array = self._file.read(PIECE, dtype="float32", always_2d=True)
            except (soundfile.SoundFileRuntimeError, OSError) as error:
                self._add_note(f"damaged after {read / self.samplerate:.2f} s: {error}")
                return
            if not len(piece):
                break
            read += len(piece)
            yield piece
        if read and self.duration:
            self._note_length(read / self.samplerate, self.duration)

    def close(self) -> None:
        super().close()
        if self._file is not None:
            self._file.close()
        if self._source is not None:
            self._source.close()


def ogg_ends(path: Path) -> tuple[bool, bool]:
    """Whether the last page is of another stream than the first, and whether it is whole and marked as the last."""
    with path.open("rb") as file:
        serial = file.read(18)[14:]
        file.seek(max(0, path.stat().st_size - 2**17))  # a page has 65,307 bytes at the most
        tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    if not page.startswith(b"OggS") or len(page) < 27:
        return False, False
    size = 27 + page[26] + sum(page[27 : 27 + page[26]])
    return page[14:18] != serial, bool(page[5] & 4) and len(page) >= size
