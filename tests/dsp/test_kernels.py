"""Each kernel against its plain NumPy twin. Also run with NUMBA_DISABLE_JIT=1, so sizes are small."""

from __future__ import annotations

import numpy as np
import pytest

from streamtag.dsp import kernels
from streamtag.dsp.filters import Filters, band_settings
from streamtag.dsp.front_end import MEL_POWER, MUSICNN
from tests.support import naive

pytestmark = pytest.mark.kernels
NAN, INF = np.nan, np.inf


def noise(*shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


# --- mix_down ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2, 3, 8, 32])
@pytest.mark.parametrize("samples", [0, 1, 65])
def test_mix_down_is_its_twin(samples, channels):
    block = noise(samples, channels)
    block[::7, 0] = NAN
    block[3::11, channels - 1] = -INF
    mono = np.full(samples, 9, np.float32)
    replaced = kernels.mix_down(block, mono)
    expected, count = naive.mix_down(block)
    np.testing.assert_array_equal(mono, expected)
    assert replaced == count


def test_mix_down_takes_arrays_that_cannot_be_written_to():
    block, mono = noise(9, 2), np.empty(9, np.float32)
    block.flags.writeable = False
    assert kernels.mix_down(block, mono) == 0
    np.testing.assert_array_equal(mono, naive.mix_down(block)[0])


@pytest.mark.parametrize(
    ("row", "mean", "replaced"),
    [
        ([1, 3], 2, 0),
        ([NAN, 3], 1.5, 1),
        ([INF, -INF], 0, 2),
        ([NAN, NAN], 0, 2),
        ([1e15, 1e15], 1e15, 0),
        ([2e15, 4], 2, 1),
        ([3.4e38, 3.4e38], 0, 2),  # finite, but their sum is not
        ([-3.4e38, 4], 2, 1),
        ([1e-45, 0], 0, 0),  # below the smallest float32 once halved
    ],
)
def test_mix_down_replaces_what_is_no_sample(row, mean, replaced):
    mono = np.empty(1, np.float32)
    assert kernels.mix_down(np.array([row], np.float32), mono) == replaced
    assert mono[0] == np.float32(mean)


# --- what was decoded -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2, 8])
@pytest.mark.parametrize("bad", [None, NAN, INF, -3e38])
def test_extremes_is_its_twin(channels, bad):
    block = noise(65, channels)
    if bad is not None:
        block[::7, 0] = bad
    block.flags.writeable = False
    least, most = np.empty((2, channels + 1), np.float32)
    none = kernels.extremes(block, least, most)
    expected_least, expected_most, count = naive.extremes(block)
    np.testing.assert_array_equal((least, most), (expected_least, expected_most))
    assert none == count


def test_round_to_16_bits_is_its_twin():
    plane = np.concatenate((noise(1000), [NAN, INF, -INF, 1, -1, 0.99999, 0.5 / 2**15, 1.5 / 2**15])).astype(np.float32)
    out = np.full((len(plane), 3), 9, np.float32)
    plane.flags.writeable = False
    kernels.round_to_16_bits(plane, out, 1)
    np.testing.assert_array_equal(out[:, 1], naive.round_to_16_bits(plane))
    assert np.all(out[:, [0, 2]] == 9)


# --- frames -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [0, 1, 5])
@pytest.mark.parametrize("hop", [1, 8, 16])
def test_window_frames_is_its_twin(frames, hop):
    y, window = noise(16 + 5 * hop), noise(16, seed=3).astype(np.float64)
    windowed = np.empty((frames, 16))
    kernels.window_frames(y, hop, window, windowed)
    np.testing.assert_array_equal(windowed, naive.window_frames(y, hop, window, frames))


def test_window_frames_passes_bad_values_on():
    y = noise(32)
    y[9], y[20] = NAN, INF
    windowed = np.empty((3, 16))
    kernels.window_frames(y, 8, np.ones(16), windowed)
    np.testing.assert_array_equal(windowed, naive.window_frames(y, 8, np.ones(16), 3))
    assert np.isnan(windowed[0, 9])
    assert np.isinf(windowed[2, 4])


def packed(filters: np.ndarray) -> Filters:
    """A dense filterbank as the kernel takes it: first bins, offsets, weights."""
    support = [np.flatnonzero(row) for row in filters]
    spans = [row[band[0] : band[-1] + 1] for row, band in zip(filters, support, strict=True)]
    offset = np.cumsum([0, *map(len, spans)]).astype(np.int64)
    return Filters(np.array([band[0] for band in support], np.int64), offset, np.concatenate(spans))


def spectra_of(frames, scale=1.0):
    real, imaginary = np.random.default_rng(4).standard_normal((2, frames, 257)) * scale
    return real + 1j * imaginary


@pytest.mark.parametrize("frames", [0, 1, 3])
@pytest.mark.parametrize("scale", [0.0, 1e-8, 1.0, 1e15])
def test_log_mel_is_its_twin(frames, scale):
    filters = naive.mel_filterbank()
    logmel = np.full((frames, 96), 9, np.float32)
    gain = np.array([1.0, 63.1, 0.01])[:frames]
    kernels.sum_bands(spectra_of(frames, scale), *packed(filters), band_settings(MUSICNN), gain, logmel)
    np.testing.assert_allclose(logmel, naive.log_mel(spectra_of(frames, scale), filters, gain), rtol=1e-6)
    assert np.all(np.isfinite(logmel))


@pytest.mark.parametrize("scale", [0.0, 1e-8, 1.0, 1e15])
def test_mel_power_is_its_twin(scale):
    filters = naive.mel_filterbank()
    mel = np.full((3, 96), 9, np.float32)
    gain = np.array([1.0, 63.1, 0.01])
    kernels.sum_bands(spectra_of(3, scale), *packed(filters), band_settings(MEL_POWER), gain, mel)
    np.testing.assert_allclose(mel, naive.mel_power(spectra_of(3, scale), filters, gain), rtol=1e-6)


@pytest.mark.parametrize("bad", [NAN, INF])
def test_log_mel_passes_bad_values_on_and_keeps_them_to_their_bins(bad):
    filters = naive.mel_filterbank()
    spectra = spectra_of(2)
    spectra[1, 100] = bad
    logmel = np.empty((2, 96), np.float32)
    kernels.sum_bands(spectra, *packed(filters), band_settings(MUSICNN), np.ones(2), logmel)
    hit = np.zeros((2, 96), bool)
    hit[1] = filters[:, 100] > 0
    np.testing.assert_array_equal(~np.isfinite(logmel), hit)
    np.testing.assert_allclose(logmel[~hit], naive.log_mel(spectra_of(2), filters)[~hit], rtol=1e-6)


@pytest.mark.parametrize("hops", [0, 1, 4])
@pytest.mark.parametrize("start", [0, 5])
def test_mean_squares_is_its_twin(hops, start):
    y = noise(45)
    squares = np.full(hops, 9, np.float32)
    kernels.mean_squares(y, start, 10, squares)
    np.testing.assert_allclose(squares, naive.mean_squares(y, start, 10, hops), rtol=1e-6)


def test_mean_squares_of_bad_and_of_loud_values():
    y = np.zeros(12, np.float32)
    y[1], y[5], y[8:] = NAN, INF, 1e15
    squares = np.empty(3, np.float32)
    kernels.mean_squares(y, 0, 4, squares)
    assert np.isnan(squares[0])
    assert squares[1] == INF
    np.testing.assert_allclose(squares[2], 1e30, rtol=1e-6)


SETTINGS = np.array([1e-7, 0.3, 0.98, 0.02, 0.01, 1e4])


@pytest.mark.parametrize("state", [(0.0, 0.0, 0.0), (0.0, 0.0, 7.0), (0.2, 0.6, 3.0)])
@pytest.mark.parametrize("blocks", [0, 1, 90])
def test_follow_level_is_its_twin(blocks, state):
    power = (10 ** np.random.default_rng(blocks).uniform(-10, 1, blocks)).astype(np.float32)
    power[::7] = 0
    got, after = np.full(blocks, np.nan), np.array(state)
    kernels.follow_level(power, SETTINGS, after, got)
    gains, expected = naive.follow_level(power, SETTINGS, np.array(state))
    np.testing.assert_allclose(got, gains, rtol=1e-9)
    np.testing.assert_allclose(after, expected, rtol=1e-9)


def test_follow_level_after_a_silence_of_any_length():
    after, gain = np.array([0.2, 0.6, 1e12]), np.empty(1)
    kernels.follow_level(np.array([0.01], np.float32), SETTINGS, after, gain)
    np.testing.assert_allclose(gain, 2, rtol=1e-6)
