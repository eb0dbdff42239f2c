"""The resampler's kernels against plain NumPy; `test_resampler` has the filter, the stream and the lengths."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamtag._compile.simd import LANES
from streamtag.dsp.polyphase import MANY, SOME, make_bank, resample, round_down
from tests.support import naive

pytestmark = pytest.mark.kernels
KINDS = [(160, 441, 37), (1, 3, 21), (2, 1, 9), (320, 441, 9), (5, 7, 1), (3, 2, 16), (1, 24, 50), (2000, 47, 3)]
"""Phases, step, width."""


def noise(*shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def resampled(x, taps, step, first, last, at=0):
    """What the kernel writes from `first` on and before `last`; NaN around it."""
    bank = make_bank(taps, step)
    y = np.full(-(-last // bank.outputs) * bank.outputs, np.nan, np.float32)
    padded = np.concatenate((x, np.zeros(bank.tiles.shape[1], np.float32)))
    resample(padded, at, bank.step, bank.tiles, bank.starts, first, last, y)
    return y[first:last]


def test_a_bank_has_each_outputs_coefficients_in_a_lane():
    for phases, step, width in KINDS:
        taps = noise(phases, width)
        bank = make_bank(taps, step)
        assert bank.outputs % phases == bank.outputs % LANES == 0
        assert bank.step * phases == bank.outputs * step
        for n in range(0, bank.outputs, 7):
            place = n * step // phases - bank.starts[n // LANES]
            lane = bank.tiles[n // LANES, :, n % LANES]
            np.testing.assert_array_equal(lane[place : place + width], taps[n * step % phases])
            assert np.count_nonzero(lane) == np.count_nonzero(taps[n * step % phases])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("periods", [1, SOME, SOME + 2, MANY, MANY + SOME + 1])
def test_resample_is_its_twin(kind, periods):
    phases, step, width = kind
    taps = noise(phases, width)
    period = make_bank(taps, step).outputs
    first, last = min(5, period - 1), period * periods - min(3, period - 1)
    x = noise(last * step // phases + width)
    expected = naive.resample(x, 0, taps, step, first, last)
    np.testing.assert_allclose(resampled(x, taps, step, first, last), expected, rtol=1e-5, atol=3e-5)


@given(st.integers(0, 700), st.integers(1, 3000), st.sampled_from([(160, 441, 37), (2, 1, 9), (5, 7, 1)]))
@settings(deadline=None, max_examples=60)
def test_an_output_is_the_same_to_the_bit_whichever_are_asked_for_with_it(first, count, kind):
    phases, step, width = kind
    taps, x = noise(phases, width), noise(3700 * step // phases + width)
    whole = resampled(x, taps, step, 0, 3700)
    np.testing.assert_array_equal(resampled(x, taps, step, first, first + count), whole[first : first + count])


def test_nothing_before_the_first_tile_is_read_nor_after_what_the_last_needs():
    taps, step = noise(160, 37), 441
    bank = make_bank(taps, step)
    first, last = 3 * LANES + 2, 300
    end = (last - 1) * step // 160 + 37
    x = noise(end + bank.tiles.shape[1])
    x[: bank.starts[3]], x[end:] = np.nan, 0
    y = np.empty(2 * bank.outputs, np.float32)
    resample(x, 0, bank.step, bank.tiles, bank.starts, first, last, y)
    assert np.all(np.isfinite(y[first:last]))


@pytest.mark.parametrize("late", [0.0, -1e-9, 1e-9])
@pytest.mark.parametrize(("phases", "step"), [(160, 441), (1, 3), (5, 8)])
def test_round_down_is_its_twin(phases, step, late):
    """Whole positions only, and only those that the clock puts below; the clock adds up as resampy's does."""
    width, left, first, last = 9, 4, 3, 400
    x, below, y = noise(last * step // phases + width + 2), noise(width, seed=2), noise(last, seed=3)
    clock = np.array([first * step / phases + late, 1.0 / (phases / step), left + 2.0])
    expected, moved = naive.round_down(x, 2, step, phases, below, left, first, last, clock, y)
    below.flags.writeable = False
    round_down(x, 2, step, phases, below, left, first, last, clock, y)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(clock, moved)
    assert late >= 0 or np.any(y[first:] != noise(last, seed=3)[first:])
