"""Samples to log-mel frames: against librosa, against the plain reference, and as a stream."""

from __future__ import annotations

import functools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamtag.errors import FeedError, OptionError
from streamtag.melstream import Frames, MelStream, mel_filterbank
from tests.support import naive

# librosa's dependencies, not ours
third_party = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
NAN, INF = np.nan, np.inf


@functools.cache
def music(samples, seed=1):
    """Something like music: chords whose level and pitch change, over noise; -0.9..0.9. Read-only, shared."""
    random = np.random.default_rng(seed)
    t = np.arange(samples) / 16_000
    y = 0.02 * random.standard_normal(samples)
    for pitch in (55, 440, 550, 660, 3000, 7300):
        y += np.sin(2 * np.pi * pitch * t * (1 + 0.05 * np.sin(t))) * (0.5 + 0.5 * np.sin(3 * t + pitch)) / 8
    y = np.clip(y, -0.9, 0.9).astype(np.float32)
    y.flags.writeable = False
    return y


@functools.cache
def stream_for(rate, channels, centered):
    return MelStream(rate, channels, centered=centered)


def run(stream, samples, sizes=()):
    """All frames of a new stream of `samples`, pushed in chunks of `sizes` over and over, or at once."""
    stream.reset()
    parts, at, turn = [], 0, 0
    while at < len(samples):
        size = sizes[turn % len(sizes)] if sum(sizes) else len(samples)
        parts.append(stream.push(samples[at : at + size]))
        at, turn = at + size, turn + 1
    return joined([*parts, stream.flush()])


def joined(parts):
    return Frames(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def mel_of(samples, *, rate=16_000, centered=False):
    return run(stream_for(rate, 1, centered), samples).logmel


def assert_same_frames(a, b):
    np.testing.assert_array_equal(a.logmel, b.logmel)
    np.testing.assert_array_equal(a.power, b.power)


def power_of(logmel):
    """Mel power from log10(10000 * mel + 1)."""
    return np.expm1(logmel.astype(np.float64) * np.log(10)) / 10_000


# --- the numbers ------------------------------------------------------------------------------------------------------


@third_party
def test_filterbank_is_librosas():
    import librosa

    theirs = librosa.filters.mel(sr=16_000, n_fft=512, n_mels=96, dtype=np.float64)
    np.testing.assert_allclose(mel_filterbank(), theirs, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(mel_filterbank(), naive.mel_filterbank(), rtol=1e-9, atol=1e-15)


@pytest.mark.slow
@third_party
@pytest.mark.parametrize("centered", [True, False])
@pytest.mark.parametrize("gain", [1.0, 1e-2, 1e-5])
def test_is_librosas_melspectrogram(centered, gain):
    import librosa

    y = music(40_000) * np.float32(gain)
    theirs = librosa.feature.melspectrogram(
        y=y.astype(np.float64),
        sr=16_000,
        n_fft=512,
        hop_length=256,
        n_mels=96,
        power=2.0,
        center=centered,
        pad_mode="reflect",
        dtype=np.float64,
    ).T
    ours = mel_of(y, centered=centered)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, np.log10(10_000 * theirs + 1), rtol=0, atol=1e-6)
    # below, the 1 in the logarithm leaves too few of a float64's digits to get the power back
    told = theirs > 1e-14
    assert np.mean(told) > 0.9
    np.testing.assert_allclose(power_of(ours)[told], theirs[told], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("centered", [True, False])
@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000, 96000])
def test_is_the_reference_behind_the_reference_resampler(rate, centered):
    x = np.random.default_rng(5).uniform(-1, 1, rate // 2 + 11).astype(np.float32)
    ours = mel_of(x, rate=rate, centered=centered)
    reference = naive.log_mel_frames(naive.resampy(x.astype(np.float64), rate), centered)
    assert ours.shape == reference.shape
    # The resampled signal is float32, as musicnn's was: 1e-7 of full scale is a noise floor in quiet bands.
    np.testing.assert_allclose(ours, reference, rtol=0, atol=2e-5)


@pytest.mark.parametrize("samples", [0, 1, 2, 100, 255, 256, 257, 258, 511, 512, 513, 767, 768, 769, 5000])
@pytest.mark.parametrize("centered", [True, False])
def test_short_signals_are_the_reference(samples, centered):
    """Down to one sample, which NumPy's reflection repeats."""
    y = music(5000)[:samples]
    ours = mel_of(y, centered=centered)
    count = (1 + samples // 256 if samples else 0) if centered else max(0, (samples - 512) // 256 + 1)
    assert ours.shape == (count, 96)
    assert ours.dtype == np.float32
    if count:
        np.testing.assert_allclose(ours, naive.log_mel_frames(y, centered), rtol=0, atol=1e-6)


@pytest.mark.slow
@given(samples=st.integers(0, 60_000), rate=st.sampled_from([8000, 11025, 16000, 44100, 48000, 44056]))
@settings(max_examples=80, deadline=None)
def test_number_of_frames(samples, rate):
    x = music(60_000)[:samples]
    length = int(np.ceil(samples * (16_000 / rate)))
    assert len(mel_of(x, rate=rate, centered=True)) == (1 + length // 256 if samples else 0)
    assert len(mel_of(x, rate=rate)) == max(0, (length - 512) // 256 + 1)


def test_three_seconds_are_188_centred_frames():
    """A patch of musicnn is 187 of them: the one more is cut off there."""
    assert len(mel_of(music(48_000), centered=True)) == 188


@pytest.mark.parametrize("centered", [True, False])
def test_power_is_the_mean_square_of_the_newest_hop_of_each_frame(centered):
    y = music(5000)
    power = run(stream_for(16_000, 1, centered), y).power
    expected = np.mean(naive.frames(y.astype(np.float64), centered)[:, 256:] ** 2, axis=1)
    assert power.dtype == np.float32
    np.testing.assert_allclose(power, expected, rtol=1e-6)


def test_silence_is_exactly_zero():
    frames = run(stream_for(44_100, 1, False), np.zeros(10_000, np.int16))
    assert len(frames.logmel) > 10
    assert not frames.logmel.any()
    assert not frames.power.any()


# --- channels and types -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2, 5, 32])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.int32])
def test_the_mean_of_the_channels_is_heard(channels, dtype):
    random = np.random.default_rng(6)
    if np.issubdtype(dtype, np.integer):
        info = np.iinfo(dtype)
        samples = random.integers(info.min, info.max, (3000, channels), dtype=dtype, endpoint=True)
        floats = samples.astype(np.float64) / -float(info.min)
    else:
        samples = random.uniform(-1, 1, (3000, channels)).astype(dtype)
        floats = samples.astype(np.float64)
    ours = run(stream_for(16_000, channels, False), samples).logmel
    np.testing.assert_allclose(ours, naive.log_mel_frames(floats.mean(axis=1), False), rtol=0, atol=1e-5)


def test_a_single_channel_may_come_flat_or_as_a_column():
    y, stream = music(3000), stream_for(16_000, 1, False)
    assert_same_frames(run(stream, y), run(stream, y[:, None]))


def test_strided_read_only_and_reversed_arrays_are_taken():
    stereo = np.stack([music(3000), music(3000, seed=2)])
    stream = stream_for(16_000, 2, False)
    expected = run(stream, np.ascontiguousarray(stereo.T))
    assert_same_frames(run(stream, stereo.T), expected)
    assert_same_frames(run(stream, np.ascontiguousarray(stereo.T[::-1])[::-1]), expected)


def test_what_is_given_is_the_callers():
    stream = stream_for(16_000, 1, False)
    stream.reset()
    samples = music(3000).copy()
    first = stream.push(samples)
    kept = Frames(*(array.copy() for array in first))
    samples[:] = NAN
    rest = stream.push(music(6000)[3000:])
    assert_same_frames(first, kept)
    assert_same_frames(joined([first, rest]), run(stream, music(6000)))
    first.logmel[:] = 0  # writable


# --- bad samples ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("centered", [True, False])
@pytest.mark.parametrize("bad", [NAN, INF, -INF, 3.4e38, -3.4e38])
def test_bad_samples_are_zeros_and_are_counted(rate, centered, bad):
    good = np.stack([music(6000), music(6000, seed=2)], axis=1)
    broken, zeroed = good.copy(), good.copy()
    broken[1000:1040, 0], zeroed[1000:1040, 0] = bad, 0
    broken[[0, 3000, 5999]], zeroed[[0, 3000, 5999]] = bad, 0
    stream = stream_for(rate, 2, centered)
    expected = run(stream, zeroed)
    assert stream.nonfinite == 0
    with np.errstate(all="raise"):
        assert_same_frames(run(stream, broken, (0, 1, 999)), expected)
    assert stream.nonfinite == 40 + 3 * 2


def test_doubles_beyond_float32_are_bad_samples():
    samples = music(3000).astype(np.float64)
    samples[7] = 1e300
    stream = stream_for(16_000, 1, False)
    frames = run(stream, samples)
    assert stream.nonfinite == 1
    assert np.isfinite(frames.logmel).all()


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("value", [40_000.0, 2**31, 1e15, -1e15])
def test_the_loudest_samples_give_finite_frames(rate, value):
    frames = run(stream_for(rate, 2, False), np.full((5000, 2), value, np.float32))
    assert stream_for(rate, 2, False).nonfinite == 0
    assert np.isfinite(frames.logmel).all()
    assert np.isfinite(frames.power).all()


@pytest.mark.parametrize("shape", [(), (10, 1), (10, 3), (2, 10), (10, 2, 1), (10,)])
def test_refuses_other_shapes(shape):
    stream = MelStream(44_100, 2)
    with pytest.raises(FeedError, match=r"expected \(n, 2\)"):
        stream.push(np.zeros(shape, np.float32))
    assert stream.samples_in == 0


@pytest.mark.parametrize("dtype", [np.int64, np.uint16, complex, bool, object])
def test_refuses_other_types_and_goes_on(dtype):
    stream = stream_for(16_000, 1, False)
    expected = run(stream, music(3000))
    stream.reset()
    first = stream.push(music(3000)[:1000])
    with pytest.raises(FeedError, match="samples of type"):
        stream.push(np.zeros(700, dtype))
    assert_same_frames(joined([first, stream.push(music(3000)[1000:])]), expected)


@pytest.mark.parametrize("channels", [-1, 0, 33])
def test_refuses_other_numbers_of_channels(channels):
    with pytest.raises(FeedError, match=f"{channels} channels: 1 to 32"):
        MelStream(44_100, channels)


@pytest.mark.parametrize("rate", [0, 999, 400_000])
def test_refuses_other_rates(rate):
    with pytest.raises(OptionError, match="rates from 1000 to 384000 Hz"):
        MelStream(rate)


# --- as a stream ------------------------------------------------------------------------------------------------------

STREAMS = st.tuples(
    st.sampled_from([8000, 11025, 16000, 44100, 48000, 96000]),
    st.sampled_from([1, 2, 6]),
    st.booleans(),
    st.sampled_from([np.float32, np.float64, np.int16, np.int32]),
)


@pytest.mark.slow
@given(kind=STREAMS, sizes=st.lists(st.integers(0, 4000), min_size=1, max_size=10), samples=st.integers(0, 20_000))
@settings(max_examples=120, deadline=None)
def test_chunks_change_no_bit(kind, sizes, samples):
    rate, channels, centered, dtype = kind
    block = np.stack([music(20_000, seed)[:samples] for seed in range(1, channels + 1)], axis=1)
    if np.issubdtype(dtype, np.integer):
        block = block * np.iinfo(dtype).max
    block = block.astype(dtype)
    stream = stream_for(rate, channels, centered)
    once = run(stream, block)
    assert_same_frames(run(stream, block, sizes), once)
    assert stream.samples_in == samples
    assert stream.frames_out == len(once.logmel)


@pytest.mark.parametrize("centered", [True, False])
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_single_samples_and_empty_chunks_change_no_bit(rate, centered):
    stream = stream_for(rate, 1, centered)
    assert_same_frames(run(stream, music(4000), (1, 0)), run(stream, music(4000)))


@pytest.mark.parametrize("centered", [True, False])
def test_more_frames_than_a_block_change_no_bit(centered):
    stream = stream_for(16_000, 1, centered)
    y = music(100_000)
    assert_same_frames(run(stream, y, (256,)), run(stream, y))


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100, 48000, 96000])
def test_a_frame_comes_with_the_last_sample_that_it_needs(rate):
    """`latency` is that of the last sample of a frame: neither more nor less."""
    stream = stream_for(rate, 1, False)
    stream.reset()
    came = []
    for taken, sample in enumerate(music(60_000)[: rate // 8], start=1):
        came += [taken] * len(stream.push(np.array([sample])).logmel)
    assert len(came) >= 6
    last = (256 * np.arange(len(came)) + 511) * rate // 16_000
    np.testing.assert_array_equal(came, last + stream.lookahead + 1)


@pytest.mark.parametrize("centered", [True, False])
@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_later_samples_do_not_change_earlier_frames(rate, centered):
    changed = rate // 2
    a = music(60_000)[:rate].copy()
    b = a.copy()
    b[changed:] = music(60_000, seed=2)[changed:rate]
    stream = stream_for(rate, 1, centered)
    one, other = run(stream, a), run(stream, b)
    first = 256 * np.arange(len(one.logmel)) - 256 * centered
    safe = (first + 511) * rate // 16_000 + stream.lookahead < changed
    assert 20 < safe.sum() < len(safe) - 20
    np.testing.assert_array_equal(one.logmel[safe], other.logmel[safe])
    assert np.all(np.any(one.logmel != other.logmel, axis=1)[~safe][1:])


def test_frames_come_as_soon_as_they_can_in_centred_streams_too():
    stream = stream_for(16_000, 1, True)
    stream.reset()
    counts = [len(stream.push(music(60_000)[n : n + 256]).logmel) for n in range(0, 2560, 256)]
    assert counts == [0, 2, 1, 1, 1, 1, 1, 1, 1, 1]  # the reflection at the start needs one sample more than 256
    assert len(stream.flush().logmel) == 1


@pytest.mark.parametrize("centered", [True, False])
def test_reset_starts_a_new_stream(centered):
    stream = stream_for(44_100, 1, centered)
    expected = run(MelStream(44_100, centered=centered), music(9000))
    stream.reset()
    stream.push(np.full(5001, NAN))
    stream.reset()
    assert (stream.samples_in, stream.frames_out, stream.nonfinite) == (0, 0, 0)
    assert_same_frames(run(stream, music(9000)), expected)


@pytest.mark.parametrize("centered", [True, False])
@pytest.mark.parametrize("samples", [0, 100, 3000])
def test_after_the_end_nothing_comes_and_nothing_goes(centered, samples):
    stream = stream_for(16_000, 1, centered)
    run(stream, music(3000)[:samples])
    again = stream.flush()
    assert again.logmel.shape == (0, 96)
    assert again.power.shape == (0,)
    with pytest.raises(FeedError, match="call reset"):
        stream.push(music(3000))
    stream.reset()
    stream.push(music(3000))


def test_two_streams_do_not_touch_each_other():
    a, b = MelStream(44_100), MelStream(44_100)
    y = music(12_000)
    parts = []
    for start in range(0, 12_000, 1000):
        parts.append(a.push(y[start : start + 1000]))
        b.push(-y[start : start + 777])
    assert_same_frames(joined([*parts, a.flush()]), run(stream_for(44_100, 1, False), y))


@pytest.mark.parametrize("centered", [True, False])
def test_a_long_stream_does_not_grow(centered):
    stream = stream_for(44_100, 2, centered)
    stream.reset()
    block = np.stack([music(4410), music(4410)], axis=1)

    def push(blocks):
        for _ in range(blocks):
            stream.push(block)

    push(50)
    tracemalloc.start()
    try:
        push(10)
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        push(600)  # a minute
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 20_000
    assert peak - before < 500_000
