"""The Numba kernels of the path from samples to frames.

They take arrays, fill the caller's arrays, release the GIL, allocate nothing and check nothing: their callers do.
Each has a plain NumPy twin in tests/support/naive.py. Signatures are given, so that compiling happens at import, once,
and is kept (see `streamtag._compile.jit`); `streamtag.melstream` imports this file only when a stream is made.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from streamtag._compile.jit import kernel
from streamtag.dsp.params import MAX_SAMPLE

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@kernel("int64(Array(float32, 2, 'C', readonly=True), float32[::1])")  # np.frombuffer gives what cannot be written to
def mix_down(block: F32, mono: F32) -> int:
    """Mean of the channels; NaN and what is beyond `MAX_SAMPLE` become 0. Returns how many were replaced."""
    samples, channels = block.shape
    replaced = 0
    for i in range(samples):
        total = np.float32(0)
        for c in range(channels):
            value = block[i, c]
            if abs(value) <= MAX_SAMPLE:  # false for NaN
                total += value
            else:
                replaced += 1
        mono[i] = total / np.float32(channels)
    return replaced


@kernel("int64(Array(float32, 2, 'C', readonly=True), float32[::1], float32[::1])")
def extremes(block: F32, least: F32, most: F32) -> int:
    """Least and greatest of each channel and, last, of their mean; what is no sample counts as 0. Returns how many."""
    samples, channels = block.shape
    none = 0
    for c in range(channels + 1):
        least[c], most[c] = np.inf, -np.inf
    for i in range(samples):
        total = np.float32(0)
        for c in range(channels):
            value = np.float32(block[i, c])
            if not abs(value) <= MAX_SAMPLE:  # NaN, too
                value = np.float32(0)
                none += 1
            total += value
            if value < least[c]:
                least[c] = value
            if value > most[c]:
                most[c] = value
        mean = total / np.float32(channels)
        if mean < least[channels]:
            least[channels] = mean
        if mean > most[channels]:
            most[channels] = mean
    return none


@kernel("void(Array(float32, 1, 'C', readonly=True), float32[:, ::1], int64)")
def round_to_16_bits(plane: F32, out: F32, channel: int) -> None:
    """One channel, to the nearest of the 65,536 numbers that 16 bits hold; NaN stays."""
    for i in range(plane.size):
        value = np.rint(plane[i] * np.float32(2**15))
        if value > np.float32(2**15 - 1):
            value = np.float32(2**15 - 1)
        if value < np.float32(-(2**15)):
            value = np.float32(-(2**15))
        out[i, channel] = value / np.float32(2**15)


@kernel("void(float32[::1], int64, float64[::1], float64[:, ::1])")
def window_frames(y: F32, hop: int, window: F64, windowed: F64) -> None:
    """Frames of y, `hop` samples apart, times the window: windowed[f] = y[f * hop:][:n_fft] * window."""
    frames, n_fft = windowed.shape
    for f in range(frames):
        for i in range(n_fft):
            windowed[f, i] = y[f * hop + i] * window[i]


# What is where in the settings of `sum_bands`, and which logarithm.
MAGNITUDE, LOGARITHM, FACTOR, MULTIPLY, OFFSET, FLOOR, MEAN, STD = range(8)
NO_LOG, LOG10, LN = range(3)


@kernel("void(complex128[:, ::1], int64[::1], int64[::1], float64[::1], float64[::1], float64[::1], float32[:, ::1])")
def sum_bands(
    spectra: NDArray[np.complex128], first: I64, offset: I64, weights: F64, settings: F64, gain: F64, bands: F32
) -> None:
    """Power or magnitude of each bin, summed up in bands, and their logarithm; gains are of power.

    ``(FACTOR * log(max(MULTIPLY * (gain * band) + OFFSET, FLOOR)) - MEAN) / STD``, as `FrontEnd` has it: what is left
    out there is 0 or 1 here, which changes no bit. Band m has weights[offset[m]:offset[m + 1]], from bin first[m] on.
    """
    frames, count = bands.shape
    for f in range(frames):
        loud = math.sqrt(gain[f]) if settings[MAGNITUDE] else gain[f]
        for m in range(count):
            band = 0.0
            for k in range(offset[m + 1] - offset[m]):
                value = spectra[f, first[m] + k]
                power = value.real * value.real + value.imag * value.imag
                band += weights[offset[m] + k] * (math.sqrt(power) if settings[MAGNITUDE] else power)
            band = settings[MULTIPLY] * (loud * band) + settings[OFFSET]
            if band < settings[FLOOR]:
                band = settings[FLOOR]
            if settings[LOGARITHM] == LOG10:
                band = math.log10(band)
            elif settings[LOGARITHM] == LN:
                band = math.log(band)
            bands[f, m] = (settings[FACTOR] * band - settings[MEAN]) / settings[STD]


@kernel("void(float32[::1], int64, int64, float32[::1])")
def mean_squares(y: F32, start: int, hop: int, power: F32) -> None:
    """Mean square of consecutive hops of y, the first from `start`."""
    for f in range(power.size):
        total = 0.0
        for i in range(start + f * hop, start + (f + 1) * hop):
            total += np.float64(y[i]) * np.float64(y[i])
        power[f] = total / hop


# What is where in the state of `follow_level`: what is heard of late, the weight of all that is in it, at most 1 and 0
# before anything is, and the quiet blocks since; and in its settings.
LOUDNESS, WEIGHT, QUIET = range(3)
QUIETEST, EXPONENT, KEEP, TARGET, SMALLEST, LARGEST = range(6)


@kernel("void(float32[::1], float64[::1], float64[::1], float64[::1])")
def follow_level(power: F32, settings: F64, state: F64, gain: F64) -> None:
    """The gain that brings each block to a target, by the exponential mean of power ** exponent up to it.

    It is a mean from the first block on: of n blocks the oldest counts keep ** (n - 1). Quiet blocks do not move it,
    but time passes in them too: what was heard before them counts less after them. Before it there is no gain (1).
    What is louder than the smallest gain answers to counts as just so loud, or one click would be heard for long.

    Parameters
    ----------
    power : ndarray of float32, shape (blocks,)
        Mean square of each block.
    settings : ndarray of float64, shape (6,)
        QUIETEST power that is heard; EXPONENT; KEEP; TARGET power; SMALLEST and LARGEST gain of power.
    state : ndarray of float64, shape (3,)
        LOUDNESS, WEIGHT, QUIET; advanced.
    gain : ndarray of float64, shape (blocks,)
        The gain of power at each block.
    """
    keep, exponent = settings[KEEP], settings[EXPONENT]
    for f in range(power.size):
        if power[f] >= settings[QUIETEST]:
            weight = state[WEIGHT] * keep ** (state[QUIET] + 1) + (1.0 - keep)
            heard = min(np.float64(power[f]), settings[TARGET] / settings[SMALLEST]) ** exponent
            state[LOUDNESS] += (heard - state[LOUDNESS]) * ((1.0 - keep) / weight)
            state[WEIGHT] = weight
            state[QUIET] = 0.0
        else:
            state[QUIET] += 1.0
        gain[f] = 1.0
        if state[WEIGHT] > 0:
            wanted = settings[TARGET] / state[LOUDNESS] ** (1.0 / exponent)
            gain[f] = min(max(wanted, settings[SMALLEST]), settings[LARGEST])
