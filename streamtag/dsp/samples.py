"""What people push, as an array of samples and a rate: accepted, or refused with the remedy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamtag.dsp.params import MAX_CHANNELS, MAX_SAMPLERATE, MIN_SAMPLERATE
from streamtag.dsp.resampler import FULL_SCALE
from streamtag.errors import FeedError, OptionError

LOUDEST = 64.0
"""36 dB above full scale. Music in float goes a little beyond 1; integers that were only converted go far."""


def whole_rate(samplerate: Any) -> int:
    """A sample rate as an int; libraries give floats, too (sounddevice's `stream.samplerate`).

    Parameters
    ----------
    samplerate : int or float
        Hz.

    Returns
    -------
    int
        The same.

    Raises
    ------
    OptionError
        What is no whole number, or out of range.
    """
    try:
        rate = float(samplerate)
    except (TypeError, ValueError, OverflowError):
        raise OptionError(f"a sample rate of {samplerate!r}: expected a number of Hz, for example 44100") from None
    if not rate.is_integer():
        raise OptionError(f"a sample rate of {rate:g} Hz: only whole numbers of Hz can be used")
    if not MIN_SAMPLERATE <= rate <= MAX_SAMPLERATE:
        raise OptionError(
            f"a sample rate of {rate:.0f} Hz: rates from {MIN_SAMPLERATE} to {MAX_SAMPLERATE} Hz can be used"
        )
    return int(rate)


def as_array(samples: Any) -> NDArray[Any]:
    """What holds samples, as an array: lists, tensors on the CPU, tables and buffers, too.

    Parameters
    ----------
    samples : array_like
        Floating point, int16, int32 or uint8.

    Returns
    -------
    ndarray
        The same samples, of the same type; not a copy where they are an array.

    Raises
    ------
    FeedError
        No array, or one of another type.
    """
    given = type(samples).__name__
    try:
        array = np.asarray(samples)
    except Exception as error:  # of whatever library the object is
        raise FeedError(f"samples of type {given} are no array: {error}") from error
    if _is_raw(samples, array):
        raise FeedError(
            f"samples of type {given} are bytes of some type: say of which; for example numpy.frombuffer(..., 'int16')"
        )
    if array.dtype.kind != "f" and array.dtype.type not in FULL_SCALE:
        raise FeedError(f"samples of type {given}{_dtype(array)}: give an array of int16, int32 or floating point")
    return array


def _is_raw(samples: Any, array: NDArray[Any]) -> bool:
    """Whether these are bytes, of which NumPy makes a text or numbers of 8 bits, whatever they stand for."""
    if hasattr(samples, "dtype") or isinstance(samples, list | tuple):
        return False
    return array.dtype.kind == "S" or (array.ndim > 0 and array.itemsize == 1)


def as_samples(samples: Any) -> NDArray[Any]:
    """Samples as an array that can be heard as sound.

    Parameters
    ----------
    samples : array_like, shape (n,) or (n, channels)
        Float (-1..1), int16, int32 or uint8.

    Returns
    -------
    ndarray
        The same samples (see `as_array`).

    Raises
    ------
    FeedError
        What is no sound, lies the other way round, or is of another scale.
    """
    array = as_array(samples)
    if array.ndim not in (1, 2):
        raise FeedError(f"samples of shape {array.shape}: expected (n,) or (n, channels)")
    if array.ndim == 2 and array.shape[1] > MAX_CHANNELS:
        if array.shape[0] <= MAX_CHANNELS:
            raise FeedError(f"samples of shape {array.shape}: expected (n, channels); give samples.T")
        raise FeedError(f"{array.shape[1]} channels: 1 to {MAX_CHANNELS} can be used")
    if array.dtype.kind == "f" and array.size:
        _check_scale(array)
    return array


def _check_scale(array: NDArray[Any]) -> None:
    with np.errstate(invalid="ignore"):
        loudest = max(float(np.fmax.reduce(array, axis=None)), -float(np.fmin.reduce(array, axis=None)))
    if LOUDEST < loudest <= 2.0**31:  # beyond that it is damage, which is replaced and counted
        divisor = "32768" if loudest <= 2.0**15 else "2**31"
        raise FeedError(
            f"samples up to {loudest:.0f}: floating point is expected in -1..1; divide by {divisor}, or give integers"
        )


def _dtype(array: NDArray[Any]) -> str:
    return "" if array.dtype.kind == "O" else f" ({array.dtype})"
