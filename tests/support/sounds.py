"""Log-mel frames of sounds, made without any audio: float32 (frames, 96), 0 to about 6."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
BANDS = np.arange(96)


def log_mel(power: np.ndarray) -> Array:
    """Compress mel power as musicnn does."""
    return np.log10(10_000 * power + 1).astype(np.float32)


def music(frames: int, seed: int = 0) -> Array:
    """Notes with harmonics that decay, drums every 31 frames, and a floor of noise."""
    rng = np.random.default_rng(seed)
    power = rng.exponential(1e-4, (frames, 96))
    for onset in range(-40, frames, 12):
        length = int(rng.integers(10, 80))
        decay = np.exp(-np.arange(length) / rng.uniform(5, 40))
        lowest = rng.uniform(2, 40)
        for harmonic in range(1, 7):
            shape = np.exp(-0.5 * ((BANDS - lowest - 12 * np.log2(harmonic)) / 1.2) ** 2) / harmonic**2
            first = max(onset, 0)
            last = max(first, min(onset + length, frames))
            power[first:last] += rng.exponential(3) * np.outer(decay[first - onset : last - onset], shape)
    for onset in range(0, frames, 31):
        power[onset : onset + 4] += rng.exponential(0.5, (len(power[onset : onset + 4]), 96))
    return log_mel(power)


def silence(frames: int) -> Array:
    """Nothing at all."""
    return np.zeros((frames, 96), np.float32)


def noise(frames: int) -> Array:
    """White noise at full scale."""
    return log_mel(np.random.default_rng(1).gamma(2, 15, (frames, 96)))


def tone(frames: int) -> Array:
    """A steady tone of 1 kHz: two bands."""
    power = np.full((frames, 96), 1e-9)
    power[:, 26], power[:, 27] = 150.0, 90.0
    return log_mel(power)
