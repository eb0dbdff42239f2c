"""The resampler that the published models were trained behind: resampy 0.2's `kaiser_best`, as a stream.

resampy walks a table of a Kaiser-windowed sinc, in steps that it rounds down to whole table entries. Its output
positions are rational (every 441/160 samples from 44.1 to 16 kHz), so only `phases` different sets of coefficients
ever occur: they are made once, and each output is one dot product.

Positions are counted in integers: they never drift. resampy adds up a float64 time register instead, which sometimes
lands just below a whole sample; because of the rounded steps, it then uses other coefficients (a difference of
about 1e-3 of full scale on full-scale noise). The same register is kept here for that one decision, and for no other.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from streamtag.dsp.params import MAX_SAMPLERATE, MIN_SAMPLERATE, SAMPLE_RATE
from streamtag.errors import FeedError, OptionError

# resampy 0.2.2's kaiser_best (resampy 0.4 changed them).
ZERO_CROSSINGS = 64
STEPS = 512
"""Table entries a zero crossing (precision 9)."""
ROLLOFF = 0.9475937167399596
BETA = 14.769656459379492

FULL_SCALE: dict[type[np.generic], tuple[int, int]] = {
    np.uint8: (128, 128),
    np.int16: (0, 2**15),
    np.int32: (0, 2**31),
}
"""Zero and full scale of the integer types that samples come in."""

if TYPE_CHECKING:
    from streamtag.dsp.polyphase import Bank

Array = NDArray[np.float32]


def kaiser_best() -> NDArray[np.float64]:
    """Right half of the windowed sinc: (ZERO_CROSSINGS * STEPS + 1,), the peak first.

    Source: Smith, "Digital Audio Resampling", ccrma.stanford.edu/~jos/resample; resampy.filters.sinc_window.
    """
    size = ZERO_CROSSINGS * STEPS
    sinc = ROLLOFF * np.sinc(ROLLOFF * np.linspace(0, ZERO_CROSSINGS, size + 1))
    right: NDArray[np.float64] = np.kaiser(2 * size + 1, BETA)[size:] * sinc
    return right


def _wing(fraction: float, scale: float, table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coefficients on one side, nearest sample first, for a sample `fraction` of a (scaled) sample away."""
    step = int(scale * STEPS)
    offset, eta = divmod(fraction * STEPS, 1.0)
    at = int(offset) + step * np.arange((table.size - int(offset)) // step)
    slope = np.append(np.diff(table), 0.0)
    coefficients: NDArray[np.float64] = table[at] + eta * slope[at]
    return coefficients


@lru_cache(maxsize=4)
def polyphase(rate: int, target: int = SAMPLE_RATE) -> tuple[Array, int]:
    """Coefficients for every phase from `rate` to `target` Hz.

    Returns
    -------
    taps : ndarray of float32, shape (phases + 1, width)
        Row r serves positions n + r / phases; the last row serves a position n that was rounded to just below n.
    left : int
        Taps before sample n.
    """
    phases = target // gcd(rate, target)
    scale = min(1.0, target / rate)
    table = kaiser_best() * scale
    most = table.size // int(scale * STEPS) + 1
    left, width = most, 2 * most + 1
    taps = np.zeros((phases + 1, width), np.float32)
    for row in range(phases + 1):
        below = row == phases  # position n - 1 + (almost 1)
        fraction = scale if below else scale * (row / phases)
        before, after = _wing(fraction, scale, table), _wing(scale - fraction, scale, table)
        centre = left - below
        taps[row, centre - len(before) + 1 : centre + 1] = before[::-1]
        taps[row, centre + 1 : centre + 1 + len(after)] = after
    taps.flags.writeable = False  # it is shared
    return taps, left


class Resampler:
    """A mono stream to another rate.

    Owns its history; the arrays that it returns are the caller's.

    Parameters
    ----------
    rate : int
        Hz of the input, a whole number.
    target : int
        Hz of what is given, 16 kHz where no other is asked for.

    Raises
    ------
    OptionError
        A rate outside 1 to 384 kHz.
    """

    def __init__(self, rate: int, target: int = SAMPLE_RATE) -> None:
        if not MIN_SAMPLERATE <= rate <= MAX_SAMPLERATE:
            raise OptionError(
                f"a sample rate of {rate:g} Hz: rates from {MIN_SAMPLERATE} to {MAX_SAMPLERATE} Hz can be used"
            )
        self.rate, self.target = rate, target
        divisor = gcd(rate, target)
        self._phases, self._step = target // divisor, rate // divisor
        self._taps, self._left = (np.ones((1, 1), np.float32), 0) if rate == target else polyphase(rate, target)
        self.reset()

    @property
    def lookahead(self) -> int:
        """Input samples after an output's position that it needs; the resampler's latency."""
        return int(self._taps.shape[1]) - 1 - self._left

    def reset(self) -> None:
        """Start a new stream."""
        self._history: Array = np.zeros(self._left, np.float32)
        self._begin = self._next = 0  # of a period: the first sample that it needs, in the history; the next output
        self._clock = np.array([0.0, 1.0 / (self.target / self.rate), self._left], np.float64)
        self.samples_in = 0
        self.samples_out = 0

    def push(self, x: Array) -> Array:
        """Resample the next samples.

        Parameters
        ----------
        x : ndarray of float32, shape (n,)
            The samples; any n from 0, finite.

        Returns
        -------
        ndarray of float32, shape (m,)
            All that can be known so far, at the other rate.
        """
        self.samples_in += len(x)
        y = x.copy() if self.rate == self.target else self._advance(x)
        self.samples_out += len(y)
        return y

    def flush(self) -> Array:
        """The rest, as if silence followed, to the length that librosa 0.7 gives.

        resampy computes ``int(n * ratio)`` samples and librosa pads with zeros to ``ceil(n * ratio)``.
        """
        if self.rate == self.target:
            return np.empty(0, np.float32)
        ratio = self.target / self.rate
        computed, wanted = int(self.samples_in * ratio), int(np.ceil(self.samples_in * ratio))
        rest = np.zeros(max(0, wanted - self.samples_out), np.float32)
        tail = self._advance(np.zeros(self._taps.shape[1] + self.rate // self.target + 1, np.float32))
        count = max(0, min(len(tail), computed - self.samples_out))
        rest[:count] = tail[:count]
        self.samples_out += len(rest)
        return rest

    def _advance(self, x: Array) -> Array:
        from streamtag.dsp.polyphase import ORIGIN, resample, round_down

        bank = bank_for(self.rate, self.target)
        end = len(self._history) + len(x)
        buffer = np.concatenate((self._history, x, np.zeros(bank.tiles.shape[1], np.float32)))
        # output n needs samples from begin + n * step / phases, rounded down, on
        most = (end - self._taps.shape[1] - self._begin) * self._phases + self._phases - 1
        first, last = self._next, max(self._next, most // self._step + 1)
        y = np.empty(-(-last // bank.outputs) * bank.outputs, np.float32)
        resample(buffer, self._begin, bank.step, bank.tiles, bank.starts, first, last, y)
        whole = (self._step, self._phases, self._taps[-1], self._left)
        round_down(buffer, self._begin, *whole, first, last, self._clock, y)
        # keep what the next output's tile needs, and count from there
        periods, self._next = divmod(last, bank.outputs)
        self._begin += periods * bank.step
        gone = min(self._begin + int(bank.starts[self._next // bank.tiles.shape[2]]), end)
        self._history = buffer[gone:end].copy()
        self._begin -= gone
        self._clock[ORIGIN] -= gone
        return y[first:last]


@lru_cache(maxsize=4)
def bank_for(rate: int, target: int = SAMPLE_RATE) -> Bank:
    """The coefficients from `rate` to `target` Hz, as the kernels want them."""
    from streamtag.dsp.polyphase import make_bank

    return make_bank(polyphase(rate, target)[0][:-1], rate // gcd(rate, target))


@lru_cache(maxsize=8)
def lookahead(rate: int, target: int = SAMPLE_RATE) -> int:
    """Input samples after an output's position that it needs, for an input of `rate` Hz (see `Resampler`)."""
    return Resampler(rate, target).lookahead


def to_float32(samples: NDArray[np.generic]) -> Array:
    """Samples of any usual type as float32 in -1..1 (int16 / 32768, int32 / 2**31, uint8 centred at 128).

    Raises
    ------
    FeedError
        Another type.
    """
    if samples.dtype == np.float32:
        return samples.astype(np.float32, copy=False)
    if samples.dtype.kind == "f":
        with np.errstate(over="ignore"):  # becomes inf, which is replaced and counted later
            return samples.astype(np.float32)
    if samples.dtype.type in FULL_SCALE:
        offset, scale = FULL_SCALE[samples.dtype.type]
        scaled: Array = (samples.astype(np.float32) - np.float32(offset)) / np.float32(scale)
        return scaled
    raise FeedError(f"samples of type {samples.dtype}: give int16, int32 or floating point")
