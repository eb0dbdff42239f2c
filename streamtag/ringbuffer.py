"""Samples from the audio thread to the engine thread: one writer, one reader, no locks.

The writer owns the write index and the loss counters, the reader owns the read index; each only reads the other's.
The writer puts samples first and the index last, so that the reader never sees samples that are not there yet.
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from streamtag.errors import OptionError

Array = NDArray[np.float32]


class RingBuffer:
    """Mono float32 samples between two threads.

    Parameters
    ----------
    samplerate : Hz.
    seconds : how much may wait in it; rounded up to a power of two of samples.

    Attributes
    ----------
    lost : samples that found no room, by exact number.
    overflows : times the sound system said that it lost samples itself.
    nonfinite : NaN and infinite values that were replaced by 0.
    """

    def __init__(self, samplerate: int, seconds: float = 10.0) -> None:
        wanted = int(seconds * samplerate)
        if wanted < 1:
            raise OptionError(f"a ring of {seconds:g} s at {samplerate} Hz holds no sample")
        self.samplerate = samplerate
        # zeros written, not only asked for: a page touched for the first time on the audio thread costs milliseconds
        self._data: Array = np.full(1 << (wanted - 1).bit_length(), 0, np.float32)
        self._mask = len(self._data) - 1
        self._written = 0
        self._read = 0
        self._stamp = (0, time.monotonic())  # so many samples written, the newest captured then
        self.lost = 0
        self.overflows = 0
        self.nonfinite = 0

    @property
    def capacity(self) -> int:
        """Samples that fit."""
        return len(self._data)

    @property
    def written(self) -> int:
        """Samples taken in so far, lost ones not among them."""
        return self._written

    @property
    def waiting(self) -> int:
        """Samples written and not read."""
        return self._written - self._read

    def write(self, mono: Array, captured: float) -> None:
        """Put samples in (writer only). What finds no room is dropped from the end of `mono`, and counted.

        Parameters
        ----------
        mono : float32 (n,), the writer's; copied.
        captured : when its last sample was captured, seconds of `time.monotonic()`.
        """
        room = self.capacity - (self._written - self._read)
        taken = min(len(mono), room)
        start = self._written & self._mask
        first = min(taken, self.capacity - start)
        self._data[start : start + first] = mono[:first]
        self._data[: taken - first] = mono[first:taken]
        self._stamp = (self._written + taken, captured - (len(mono) - taken) / self.samplerate)
        self.lost += len(mono) - taken
        self._written += taken

    def read(self) -> Array:
        """Take all samples that wait (reader only). The array is the reader's."""
        written = self._written
        count = written - self._read
        start = self._read & self._mask
        first = min(count, self.capacity - start)
        samples = np.concatenate((self._data[start : start + first], self._data[: count - first]))
        self._read = written
        return samples

    def captured_at(self, sample: float) -> float:
        """When a sample was captured (reader only), by its number since the start; seconds of `time.monotonic()`."""
        written, captured = self._stamp
        return captured - (written - sample) / self.samplerate
