"""The resampler against resampy 0.2.2's own loop, against today's resampy, and as a stream."""

from __future__ import annotations

import functools
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamtag.dsp.resampler import Resampler, to_float32
from streamtag.errors import FeedError, OptionError
from tests.support import naive

USUAL = [8000, 11025, 22050, 32000, 44100, 48000, 88200, 96000, 192000]
ODD = [6000, 9600, 44056, 47999]
RATES = USUAL + ODD


@functools.cache
def noise(samples, seed=1):
    """White noise in -1..1: the hardest signal for a resampler. Read-only, shared."""
    x = np.random.default_rng(seed).uniform(-1, 1, samples).astype(np.float32)
    x.flags.writeable = False
    return x


@functools.cache
def resampler_for(rate):
    """Made once for many examples of one test: its tables take time at odd rates."""
    return Resampler(rate)


def resample(x, rate, sizes=()):
    """The whole stream, pushed in chunks of `sizes` (over and over), or at once."""
    resampler = resampler_for(rate)
    resampler.reset()
    return np.concatenate([*push(resampler, x, sizes), resampler.flush()])


def push(resampler, x, sizes=()):
    parts, at, turn = [], 0, 0
    while at < len(x):
        size = sizes[turn % len(sizes)] if sum(sizes) else len(x)
        parts.append(resampler.push(x[at : at + size]))
        at, turn = at + size, turn + 1
    return parts


# --- against resampy --------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("rate", RATES)
def test_is_the_loop_of_resampy_0_2_2(rate):
    # 47999 Hz meets a sample of the input only once in a second.
    x = noise(48_500 if rate == 47999 else 12_000)
    y, expected = resample(x, rate), naive.resampy(x.astype(np.float64), rate)
    assert len(y) == len(expected)
    # What is left is float32: coefficients and sums of up to 1600 products.
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [9600, 11025, 22050, 44100, 88200, 47999])
def test_rounds_whole_positions_down_where_resampy_does(rate):
    """The decision itself: at these outputs the other choice is far outside what float32 explains."""
    x = noise(48_500 if rate == 47999 else 12_000)
    ratio = naive.TARGET / rate
    table, delta = naive.kaiser_best(ratio)
    count = int(len(x) * ratio)
    time = naive.times(rate, count)
    exact = np.arange(count) * rate // naive.TARGET
    below = np.flatnonzero(naive.whole(rate, count) & (time < exact))
    assert len(below), "no whole position is rounded down here: the test would prove nothing"
    y = resample(x, rate)[below]
    rounded = [naive.resampy_output(x, int(time[k]), time[k] - int(time[k]), ratio, table, delta) for k in below]
    unrounded = [naive.resampy_output(x, exact[k], 0.0, ratio, table, delta) for k in below]
    np.testing.assert_allclose(y, rounded, rtol=0, atol=1e-6)
    if min(1.0, ratio) * 512 % 1:  # only where resampy cuts its steps to whole table entries
        assert np.max(np.abs(y - unrounded)) > 1e-5


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::numba.core.errors.NumbaWarning")
@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 96000])
def test_is_todays_resampy_given_the_old_filter(rate):
    """Resampy 0.4 with 0.2's `kaiser_best` spelled out.

    It multiplies where 0.2 added up the time, so that the two may take the two sides of a whole sample: there, with
    steps rounded to whole table entries, the algorithm itself jumps (by 1.5e-3 on this noise; by nothing where the
    steps are whole). Everywhere else only float32 separates us.
    """
    import resampy
    import scipy.signal

    x = noise(12_000)
    theirs = resampy.resample(
        x.astype(np.float64),
        rate,
        naive.TARGET,
        filter="sinc_window",
        num_zeros=64,
        precision=9,
        rolloff=0.9475937167399596,
        window=functools.partial(scipy.signal.windows.kaiser, beta=14.769656459379492),
    )
    ours = resample(x, rate)[: len(theirs)]
    tie = naive.whole(rate, len(theirs))
    np.testing.assert_allclose(ours[~tie], theirs[~tie], rtol=0, atol=1e-6)
    jumps = min(1.0, naive.TARGET / rate) * 512 % 1 and rate % naive.TARGET
    np.testing.assert_allclose(ours[tie], theirs[tie], rtol=0, atol=3e-3 if jumps else 1e-6)


@pytest.mark.parametrize("rate", [8000, 44100, 96000])
def test_impulse_response_is_the_table(rate):
    """An impulse gives back the filter's peak, roll-off and gain."""
    x = np.zeros(20_000, np.float32)
    at = rate // 10
    x[at] = 1
    y = resample(x, rate)
    scale = min(1.0, naive.TARGET / rate)
    assert np.argmax(y) == naive.TARGET // 10
    assert y[naive.TARGET // 10] == pytest.approx(0.9475937167399596 * scale, rel=1e-6)
    reach = math.ceil(64 / scale * naive.TARGET / rate)
    assert np.all(y[: naive.TARGET // 10 - reach - 1] == 0)
    assert np.all(y[naive.TARGET // 10 + reach + 2 :] == 0)


# --- lengths ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@given(rate=st.sampled_from(RATES), samples=st.integers(0, 2000))
@settings(max_examples=150, deadline=None)
def test_length_is_librosas(rate, samples):
    """int(n * ratio) samples are computed and padded with zeros to ceil(n * ratio)."""
    y = resample(noise(2000)[:samples], rate)
    computed, wanted = int(samples * (16_000 / rate)), math.ceil(samples * (16_000 / rate))
    assert len(y) == wanted
    assert np.all(y[:computed] != 0)  # noise: a computed output is never exactly 0
    assert np.all(y[computed:] == 0)


@pytest.mark.parametrize(
    ("rate", "samples", "length"),
    [(44100, 0, 0), (44100, 1, 1), (44100, 2, 1), (44100, 3, 2), (8000, 1, 2), (6000, 1, 3)],
)
def test_length_of_the_shortest(rate, samples, length):
    assert len(resample(noise(samples), rate)) == length


def test_counts_what_came_and_went():
    resampler = resampler_for(44100)
    resampler.reset()
    out = sum(map(len, push(resampler, noise(5000), (0, 7, 1000))))
    assert resampler.samples_in == 5000
    assert resampler.samples_out == out
    assert resampler.samples_out + len(resampler.flush()) == math.ceil(5000 * 16_000 / 44_100)
    assert resampler.samples_out == math.ceil(5000 * 16_000 / 44_100)


# --- as a stream ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@given(rate=st.sampled_from([*RATES, 16000]), sizes=st.lists(st.integers(0, 700), min_size=1, max_size=12))
@settings(max_examples=120, deadline=None)
def test_chunks_change_no_bit(rate, sizes):
    x = noise(6000)
    np.testing.assert_array_equal(resample(x, rate, sizes), resample(x, rate))


@pytest.mark.parametrize("rate", [*RATES, 16000])
def test_single_samples_and_empty_chunks_change_no_bit(rate):
    x = noise(2500)
    np.testing.assert_array_equal(resample(x, rate, (1, 0)), resample(x, rate))


@pytest.mark.parametrize("rate", [9600, 11025, 12800, 19200, 44100, 105_000])
def test_chunks_change_no_bit_where_positions_are_rounded_down(rate):
    """Long enough for many whole positions; at some of these rates resampy's register is one bit below the sample."""
    x = noise(100_000)
    once = resample(x, rate)
    for sizes in ((480,), (1,) * 50 + (3000,), (33_333,)):
        np.testing.assert_array_equal(resample(x, rate, sizes), once)


@pytest.mark.parametrize("rate", [*RATES, 16000])
def test_an_output_needs_its_lookahead_and_no_more(rate):
    resampler = resampler_for(rate)
    resampler.reset()
    x = noise(4000)
    given_after = np.cumsum([len(part) for part in push(resampler, x, (1,))])
    positions = np.arange(given_after[-1]) * rate // naive.TARGET
    # Output k comes with the sample `lookahead` after its position, not before and not later.
    np.testing.assert_array_equal(
        np.searchsorted(given_after, np.arange(given_after[-1]), "right"), positions + resampler.lookahead
    )


@pytest.mark.slow
@pytest.mark.parametrize("rate", [*RATES, 16000])
@pytest.mark.parametrize("changed", [1000, 1777])
def test_samples_beyond_the_lookahead_change_nothing(rate, changed):
    """Causality: what is already given does not depend on what comes later. And the lookahead is not idle."""
    x, other = noise(4000), noise(4000).copy()
    other[changed:] = noise(4000, seed=2)[changed:]
    lookahead = resampler_for(rate).lookahead
    y, z = resample(x, rate), resample(other, rate)
    safe = np.arange(len(y)) * rate // naive.TARGET + lookahead < changed
    np.testing.assert_array_equal(y[safe], z[safe])
    first_changed = np.flatnonzero(y != z)[0] * rate // naive.TARGET
    assert first_changed < changed or lookahead == 0


def test_lookahead_at_44100_is_4_milliseconds():
    assert resampler_for(44100).lookahead / 44100 == pytest.approx(0.0041, abs=1e-4)


@pytest.mark.parametrize("rate", [44100, 48000, 16000])
def test_reset_starts_a_new_stream(rate):
    x = noise(3000)
    fresh = resample(x, rate)
    resampler = resampler_for(rate)
    resampler.push(noise(777, seed=3))
    resampler.reset()
    assert (resampler.samples_in, resampler.samples_out) == (0, 0)
    np.testing.assert_array_equal(np.concatenate([resampler.push(x), resampler.flush()]), fresh)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [22050, 44100, 44056])
def test_ten_minutes_do_not_drift(rate):
    """Positions after ten minutes, against exact integers.

    resampy's own register has drifted by then: what is compared is the filter at the exact rational position.
    Whole positions are left out, because there the register decides (and is tested above).
    """
    resampler = resampler_for(rate)
    resampler.reset()
    second = np.zeros(rate, np.float32)
    length = sum(len(resampler.push(second)) for _ in range(600))
    tail = noise(4000)
    y = resampler.push(tail)
    first_needed = 600 * rate - resampler.lookahead  # the next output's position is the first from here on
    assert length == -(-first_needed * naive.TARGET // rate)

    ratio = naive.TARGET / rate
    table, delta = naive.kaiser_best(ratio)
    x = np.concatenate((np.zeros(1000), tail))
    checked = 0
    for k in range(0, len(y), 7):
        whole, rest = divmod((length + k) * rate, naive.TARGET)
        at = whole - 600 * rate + 1000
        if rest and at + resampler.lookahead < len(x):
            expected = naive.resampy_output(x, at, rest / naive.TARGET, ratio, table, delta)
            assert y[k] == pytest.approx(expected, abs=1e-6)
            checked += 1
    assert checked > 150


@pytest.mark.parametrize("samples", [0, 1, 1000])
def test_16_khz_passes_through_untouched(samples):
    resampler = Resampler(16000)
    x = noise(samples).copy()
    y = resampler.push(x)
    np.testing.assert_array_equal(y, x)
    assert resampler.lookahead == 0
    assert len(resampler.flush()) == 0
    x[:] = 9  # what was given is the caller's, not a view of what was taken
    np.testing.assert_array_equal(y, noise(samples))


@pytest.mark.parametrize("rate", [-44100, 0, 999, 384_001, 10**9])
def test_refuses_rates_out_of_range(rate):
    with pytest.raises(OptionError, match=re.escape(f"{rate:g} Hz")):
        Resampler(rate)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [1000, 384_000])
def test_takes_the_rates_at_the_ends(rate):
    x = noise(9600)
    y = resample(x, rate, (1000,))
    np.testing.assert_allclose(y, naive.resampy(x.astype(np.float64), rate), rtol=0, atol=1e-6)


# --- sample types -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        (np.int16, [-32768, -1, 0, 16384, 32767], [-1, -1 / 32768, 0, 0.5, 32767 / 32768]),
        (np.int32, [-(2**31), 0, 2**30, 2**31 - 1], [-1, 0, 0.5, 1]),  # 2**31 - 1 is nearest to 2**31 in float32
        (np.uint8, [0, 64, 128, 255], [-1, -0.5, 0, 127 / 128]),
        (np.float64, [-1.5, 0.1, 1e-300, 1e300, np.nan], [-1.5, np.float32(0.1), 0, np.inf, np.nan]),
        (np.float32, [-1.5, 0.25, np.inf, np.nan], [-1.5, 0.25, np.inf, np.nan]),
        (np.float16, [-1, 0.5, np.inf], [-1, 0.5, np.inf]),
    ],
)
def test_to_float32(dtype, values, expected):
    converted = to_float32(np.array(values, dtype))
    assert converted.dtype == np.float32
    np.testing.assert_array_equal(converted, np.array(expected, np.float32))


def test_to_float32_keeps_the_shape_and_takes_nothing():
    assert to_float32(np.zeros((0, 2), np.int16)).shape == (0, 2)
    assert to_float32(np.zeros((3, 2), np.int32)).shape == (3, 2)


def test_to_float32_understands_big_endian():
    np.testing.assert_array_equal(to_float32(np.array([16384], ">i2")), np.array([0.5], np.float32))
    big = to_float32(np.array([0.25], ">f4"))
    assert big.dtype.isnative
    np.testing.assert_array_equal(big, np.array([0.25], np.float32))


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.uint32, np.int64, np.uint64, bool, complex, "U1", object])
def test_to_float32_refuses_other_types(dtype):
    with pytest.raises(FeedError, match=r"samples of type .*: give int16"):
        to_float32(np.zeros(2, dtype))
