"""What every decoder of files gives: an open file as a stream of float32 blocks."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from streamtag.dsp.params import MAX_CHANNELS, MAX_SAMPLERATE, MIN_SAMPLERATE
from streamtag.errors import AudioFileError

Array = NDArray[np.float32]


class RefusedError(Exception):
    """Why one decoder does not read a file; `plain` when that is the whole story."""

    def __init__(self, reason: str, plain: bool = False) -> None:
        super().__init__(reason)
        self.plain = plain


class AudioReader:
    """An open file of sound, read once from its start to its end. Made by `open_audio`; a context manager.

    Attributes
    ----------
    path : Path
        The file.
    samplerate : int
        Rate in Hz.
    channels : int
        How many.
    duration : float or None
        Seconds as the header says, or None. For a progress bar and no more: headers lie.
    decoder : str
        Which library and which codec, human-readable.
    note : str or None
        None, or what is off about the file. Complete when `blocks` has ended.
    """

    samplerate: int
    channels: int
    duration: float | None = None
    decoder: str
    note: str | None = None
    library: ClassVar[str]

    def __init__(self, path: Path) -> None:
        self.path = path
        self._closed = False
        self._pieces = self._decode()
        try:
            self._open()
            first = next(self._pieces, None)
            if first is None:
                raise RefusedError(self.note or "holds no samples", plain=True)
            if not MIN_SAMPLERATE <= self.samplerate <= MAX_SAMPLERATE:
                raise AudioFileError(path, f"its sample rate, {self.samplerate} Hz, is outside of 1 to 384 kHz")
            if not 1 <= self.channels <= MAX_CHANNELS:
                raise AudioFileError(path, f"has {self.channels} channels; 1 to {MAX_CHANNELS} can be read")
        except BaseException:
            self.close()
            raise
        self._rest: Iterator[Array] = itertools.chain([first], self._pieces)

    def blocks(self, frames: int = 65_536) -> Iterator[Array]:
        """Yield all samples, in order; once.

        Parameters
        ----------
        frames : int
            The length of a block. The last one may be shorter.

        Yields
        ------
        ndarray of float32, shape (frames, channels)
            C-contiguous; full scale is 1.
        """
        if frames < 1:
            raise ValueError(f"a block needs at least 1 frame, not {frames}")
        if self._closed:
            raise ValueError(f"{self.path} is closed")
        waiting: list[Array] = []
        count = 0
        for piece in self._rest:
            waiting.append(piece)
            count += len(piece)
            if count >= frames:
                joined = waiting[0] if len(waiting) == 1 else np.concatenate(waiting)
                whole = count - count % frames
                for start in range(0, whole, frames):
                    yield joined[start : start + frames]
                waiting, count = [joined[whole:]], count - whole
        if count:
            yield np.concatenate(waiting)

    def close(self) -> None:
        """Close the file. Twice is no error."""
        self._closed = True
        self._pieces.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> None:
        raise NotImplementedError

    def _decode(self) -> Generator[Array]:
        raise NotImplementedError

    def _add_note(self, text: str) -> None:
        self.note = f"{self.note}; {text}" if self.note else text

    def _note_length(self, read: float, promised: float, slack: float = 0.001) -> None:
        if promised - read > slack:
            self._add_note(f"ends early or has gaps: {read:.2f} s can be read of the {promised:.2f} s in its header")
