"""Files of recorded sound, read as the networks hear them: one channel at 16 kHz."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

from bench.made_sounds import RATE, Sound

LONGEST = 20.0
"""Seconds that are read of a file, unless told otherwise."""


def files(root: Path, pattern: str, without: Sequence[str] = ()) -> list[Path]:
    """Files of sound."""
    return [
        path
        for path in sorted(root.glob(pattern), key=str)
        if path.suffix.lower() in {".wav", ".ogg", ".oga", ".mp3", ".flac"}
        and not any(part in str(path.relative_to(root)).lower() for part in without)
    ]


def piece(path: Path, start: float = 0.0, seconds: float = LONGEST) -> Sound:
    """A part of a file at 16 kHz."""
    rate = soundfile.info(path).samplerate
    sound, _ = soundfile.read(path, frames=round(seconds * rate), start=round(start * rate), always_2d=True)
    mono, common = sound.mean(axis=1), gcd(rate, RATE)
    return np.asarray(mono if rate == RATE else resample_poly(mono, RATE // common, rate // common), np.float64)
