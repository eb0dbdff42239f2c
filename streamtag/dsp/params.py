"""The numbers that define the pipeline: rates, frames and limits."""

from __future__ import annotations

import math
import operator
from typing import Any, Literal, get_args

from streamtag.errors import OptionError

SAMPLE_RATE = 16_000
"""Hz; what every published model was trained on."""
N_FFT = 512
HOP_LENGTH = 256
"""Samples at 16 kHz between two frames: 16 ms."""
N_MELS = 96
FRAME_SECONDS = HOP_LENGTH / SAMPLE_RATE
PATCH_FRAMES = 187
"""Frames in the 3 seconds that the models were trained on."""

MAX_CHANNELS = 32
MIN_SAMPLERATE, MAX_SAMPLERATE = 1_000, 384_000
"""Hz of the input."""
MAX_SAMPLE = 1e15
"""Beyond this a value is as little a sample as an infinity is: its sums and squares would overflow float32."""
MAX_HOP_SECONDS = 3600.0

LevelOption = Literal["auto", "off"]
"""auto: at the level that the models know (see `Leveller`); off: as it comes, which gives the published numbers."""


def check_level(level: Any) -> None:
    """Refuse what is no level.

    Raises
    ------
    OptionError
        Neither auto nor off.
    """
    if level not in get_args(LevelOption):
        raise OptionError(f"level {level!r}: expected {' or '.join(get_args(LevelOption))}")


def is_number(value: Any) -> bool:
    """Whether this is a number, and finite; for what comes from callers."""
    try:
        return math.isfinite(value)
    except (TypeError, OverflowError):
        return False


def is_whole(value: Any) -> bool:
    """Whether this is a whole number, of a type that can have no others."""
    try:
        operator.index(value)
    except TypeError:
        return False
    return True
