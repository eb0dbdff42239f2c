"""In what condition the sound of a file is: silent, clipped, of a wrong scale; and a checksum of what can be heard."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

FULL_SCALE = 1 - 2**-15
"""The largest sample of 16 bits; larger ones are at full scale or beyond."""
CLIPPED_SHARE = 0.01
"""Loud masters hold a sample in a thousand at full scale. As many as this are heard as distortion."""
LARGEST = 2.0
"""Samples beyond it (6 dB over full scale) are no mere overshoot."""
QUIETEST = 2**-15
"""A step of 16 bits: what never exceeds it is silence with dither."""


class Condition:
    """Listens to the blocks of a file as they are decoded.

    Attributes
    ----------
    samples, nonfinite, clipped : int
        How many there were (each channel's counted), how many of them NaN or infinite, how many at full scale.
    peak, mono_peak : float
        The largest magnitude, of the finite samples and of the mean of the channels.
    """

    def __init__(self, samplerate: int) -> None:
        self.samples = self.nonfinite = self.clipped = 0
        self.peak = self.mono_peak = 0.0
        self._digest = hashlib.sha256(str(samplerate).encode())
        self._begun = False
        self._zeros = 0  # at the end so far

    def hear(self, block: NDArray[np.float32]) -> None:
        """Take note of the next samples.

        Parameters
        ----------
        block : ndarray of float32, shape (frames, channels)
            As `AudioReader.blocks` gives them.
        """
        finite = np.isfinite(block)
        self.samples += block.size
        lacking = block.size - int(np.count_nonzero(finite))
        if lacking:
            self.nonfinite += lacking
            block = np.where(finite, block, np.float32(0))
        magnitude = np.abs(block)
        self.clipped += int(np.count_nonzero(magnitude >= FULL_SCALE))
        self.peak = max(self.peak, float(magnitude.max(initial=0)))
        mono = block.mean(axis=1, dtype=np.float64).astype(np.float32)
        self.mono_peak = max(self.mono_peak, float(np.abs(mono).max(initial=0)))
        self._digest_of(mono)

    def _digest_of(self, mono: NDArray[np.float32]) -> None:
        """Silence before the first and after the last sample that is not 0 does not count."""
        loud = np.flatnonzero(mono)
        if not len(loud):
            self._zeros += len(mono) * self._begun
            return
        first, last = int(loud[0]), int(loud[-1])
        if self._begun:
            self._digest.update(bytes(4 * self._zeros))
            first = 0
        self._begun = True
        self._digest.update((mono[first : last + 1] + np.float32(0)).tobytes())  # -0 is 0
        self._zeros = len(mono) - last - 1

    @property
    def sha256(self) -> str:
        """Checksum of the mean of the channels: the same for copies in other containers, and with other titles."""
        return self._digest.hexdigest()

    @property
    def nothing(self) -> str | None:
        """Why there is nothing to hear, in words; None where there is something."""
        if self.samples and self.nonfinite == self.samples:
            return "every sample is NaN or infinite"
        if self.peak <= QUIETEST:
            return "silent" if not self.nonfinite else "silent, but for NaN and infinite samples"
        if self.mono_peak <= QUIETEST:
            return "its channels cancel each other (one is the other upside down), so that their mean is silent"
        return None

    def notes(self) -> tuple[str, ...]:
        """What a user should know of it, in words."""
        notes = []
        if self.nothing is not None:
            notes.append(self.nothing)
        if self.peak > LARGEST:
            notes.append(f"samples of up to {self.peak:,.0f} times full scale: not scaled to -1..1")
        elif self.clipped > CLIPPED_SHARE * self.samples:
            notes.append(f"clipped: {100 * self.clipped / self.samples:.0f} % of its samples are at full scale")
        if 0 < self.nonfinite < self.samples:
            notes.append(f"{self.nonfinite} NaN or infinite samples were replaced by 0")
        return tuple(notes)
