"""Files through libsndfile. The only importer of soundfile."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any, BinaryIO, cast

import soundfile

from streamtag.decoding.ogg import ogg_ends
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
            self._file = file = soundfile.SoundFile(self._source_of(), closefd=False)
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
        if file.format == "OGG" and not ogg_ends(self.part)[1]:
            self._add_note("ends early: the last Ogg page is missing")

    def _source_of(self) -> str | int | BinaryIO:
        if not self.part.is_whole:
            self._source = cast(BinaryIO, self.part.open())
            return self._source
        # Without its name: soundfile takes *.raw for headerless. (On Windows, libraries do not share descriptors.)
        self._source = self.path.open("rb")
        return str(self.path) if os.name == "nt" else self._source.fileno()

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
