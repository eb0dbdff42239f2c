"""What every decoder of files gives: an open file as a stream of float32 blocks."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator
from contextlib import closing
from types import TracebackType
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from streamtag.decoding.disguise import Disguise
from streamtag.decoding.heard import Heard
from streamtag.decoding.part import Part
from streamtag.dsp.params import MAX_CHANNELS, MAX_SAMPLERATE, MIN_SAMPLERATE
from streamtag.errors import AudioFileError

Array = NDArray[np.float32]
ENDS_EARLY = "ends early or has gaps: {:.2f} s can be read of the {:.2f} s in its header"
OPENING = 65_536
"""Frames that are decoded when a file is opened, so that what cannot be heard is refused there."""


class RefusedError(Exception):
    """Why one decoder does not read a file; `plain` when that is the whole story."""

    def __init__(self, reason: str, plain: bool = False) -> None:
        super().__init__(reason)
        self.plain = plain


class AudioReader:
    """An open file of sound, read once from its start to its end. Made by `open_audio`; a context manager.

    Parameters
    ----------
    part : Part
        The file, or what of it is to be read.

    Attributes
    ----------
    part : Part
        What is read.
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
    troubles : list of str
        What went wrong in decoding. Complete when `blocks` has ended.
    """

    samplerate: int
    channels: int
    duration: float | None = None
    decoder: str
    library: ClassVar[str]

    def __init__(self, part: Part) -> None:
        self.part = part
        self.path = path = part.path
        self.troubles: list[str] = []
        self._closed = False
        self._heard = Heard()
        self._ended = False
        self._pieces = self._watched()
        try:
            self._open()
            first = list(itertools.islice(self._pieces, 1))
            if not first:
                raise RefusedError(self.note or "holds no samples", plain=True)
            if not MIN_SAMPLERATE <= self.samplerate <= MAX_SAMPLERATE:
                raise AudioFileError(path, f"its sample rate, {self.samplerate} Hz, is outside of 1 to 384 kHz")
            if not 1 <= self.channels <= MAX_CHANNELS:
                raise AudioFileError(path, f"has {self.channels} channels; 1 to {MAX_CHANNELS} can be read")
            while sum(map(len, first)) < OPENING and (more := next(self._pieces, None)) is not None:
                first.append(more)
        except BaseException:
            self.close()
            raise
        self._rest: Iterator[Array] = itertools.chain(first, self._pieces)

    @property
    def note(self) -> str | None:
        """None, or what is off about the file. Complete when `blocks` has ended."""
        return "; ".join([*self.troubles, *(self._heard.notes if self._ended else [])]) or None

    @property
    def silence(self) -> str | None:
        """None, or why there is nothing to hear in it, in words. Complete when `blocks` has ended."""
        return self._heard.silence

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
        for piece in self._unpacked():
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

    def _unpacked(self) -> Iterator[Array]:
        try:
            yield from self._rest
        except RefusedError as error:
            raise AudioFileError(self.path, str(error)) from None

    def _watched(self) -> Generator[Array]:
        """What is decoded, looked at as it goes by."""
        disguise = Disguise()
        with closing(self._decode()) as pieces:
            for piece in filter(len, pieces):
                self._heard.hear(piece)
                _refuse(disguise.look(piece))
                yield piece
        if not disguise.settled:
            _refuse(disguise.end())
        self._ended = True

    def _open(self) -> None:
        raise NotImplementedError

    def _decode(self) -> Generator[Array]:
        raise NotImplementedError

    def _add_note(self, text: str) -> None:
        self.troubles.append(text)

    def _note_length(self, read: float, promised: float, slack: float = 0.001) -> None:
        if promised - read > slack:
            self._add_note(ENDS_EARLY.format(read, promised))


def _refuse(codec: str | None) -> None:
    if codec is not None:
        raise RefusedError(
            f"its samples are no sound: they are {codec}, stored as if they were samples (a surround CD, or a digital "
            "output that was recorded), and noise as they stand. Decode them first, for example with FFmpeg",
            plain=True,
        )
