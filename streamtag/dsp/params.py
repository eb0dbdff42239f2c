"""The numbers that define the pipeline: rates, frames, limits, and seconds counted in frames."""

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


def frames_in(seconds: float) -> int:
    """Frames of a patch that is `seconds` long, as musicnn counts them.

    librosa 0.7's ``time_to_frames(seconds, sr=16000, hop_length=256, n_fft=512) + 1``:
    ``floor((int(seconds * 16000) - 256) / 256) + 1``, so that 3 seconds are 187 frames.

    Raises
    ------
    OptionError
        Shorter than one frame.
    """
    frames = frames_between(seconds) + 1
    if frames < 1:
        raise OptionError(f"a patch of {seconds:g} s is shorter than one frame (0.016 s)")
    return frames


def frames_between(seconds: float) -> int:
    """Frames between two patches whose starts are `seconds` apart, as musicnn counts them (its `input_overlap`).

    Raises
    ------
    OptionError
        Not a number, or infinite.
    """
    if not is_number(seconds):
        raise OptionError(f"{seconds!r} s: expected a number of seconds")
    return (int(seconds * SAMPLE_RATE) - N_FFT // 2) // HOP_LENGTH


def hop_frames(seconds: float) -> int:
    """Seconds to the nearest whole number of frames.

    Raises
    ------
    OptionError
        Shorter than a frame, or longer than an hour.
    """
    if not is_number(seconds):
        raise OptionError(f"a hop of {seconds!r} s: expected a number of seconds")
    if seconds > MAX_HOP_SECONDS:
        raise OptionError(f"a hop of {seconds:g} s: expected at most {MAX_HOP_SECONDS:g} s")
    frames = round(seconds / FRAME_SECONDS)
    if frames < 1:
        raise OptionError(f"a hop of {seconds:g} s: expected at least one frame ({FRAME_SECONDS:g} s)")
    return frames
