"""Samples to tags with the real MSD_musicnn, by both engines."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamtag.errors import FeedError, OptionError, UnknownModelError
from streamtag.evaluator import make_evaluator
from streamtag.melstream import MelStream
from streamtag.tagger import Tagger, hop_frames

ENGINES = ["sliding", "tensorflow"]
both_engines = pytest.mark.parametrize("engine", ENGINES)
HOP = 0.256
"""16 frames."""


@functools.cache
def music(seconds, rate=16_000, seed=1):
    """Chords that change, a beat, some noise; float32 (n,), read-only."""
    random = np.random.default_rng(seed)
    t = np.arange(int(seconds * rate)) / rate
    y = 0.3 * random.standard_normal(len(t)) * np.exp(-8 * (t % 0.5))
    for pitch in (110, 220, 277, 330, 1760):
        y += 0.12 * np.sin(2 * np.pi * pitch * t * (1 + 0.25 * (t // 1 % 3))) * (0.6 + 0.4 * np.sin(2 * t + pitch))
    y = np.clip(y, -1, 1).astype(np.float32)
    y.flags.writeable = False
    return y


@functools.cache
def shared_tagger(engine, **options):
    return Tagger("MSD_musicnn", engine=engine, **{"hop": HOP, **options})


def tag(tagger, samples, rate=16_000, sizes=()):
    """All results of a new stream, pushed in chunks of `sizes` over and over, or at once."""
    tagger.reset()
    results, at, turn = [], 0, 0
    while at < len(samples):
        size = sizes[turn % len(sizes)] if sum(sizes) else len(samples)
        results += tagger.push(samples[at : at + size], rate)
        at, turn = at + size, turn + 1
    return results + tagger.flush()


def assert_same_results(results, expected, tolerance):
    assert [(frame.index, frame.time) for frame in results] == [(frame.index, frame.time) for frame in expected]
    for frame, other in zip(results, expected, strict=True):
        np.testing.assert_allclose(frame.raw, other.raw, rtol=0, atol=tolerance)
        np.testing.assert_allclose(frame.scores, other.scores, rtol=0, atol=tolerance)
        np.testing.assert_allclose(frame.embedding, other.embedding, rtol=0, atol=10 * tolerance)
        assert frame.level_dbfs == pytest.approx(other.level_dbfs, abs=1e-9)


# --- the stream -------------------------------------------------------------------------------------------------------


@both_engines
@pytest.mark.parametrize("sizes", [(160, 0, 1), (4000,), (40_000, 3), (77_777,)])
def test_chunks_change_nothing(engine, sizes):
    """To the bit by the sliding engine; a backend may sum a batch in another order."""
    tagger, x = shared_tagger(engine), music(5.5)
    once = tag(tagger, x)
    assert len(once) == (5 * 16_000 + 8000 - 512 - 186 * 256) // (16 * 256) + 1
    chunked = tag(tagger, x, sizes=sizes)
    assert_same_results(chunked, once, 0 if engine == "sliding" else 1e-6)
    if engine == "sliding":
        assert [frame.top for frame in chunked] == [frame.top for frame in once]
        assert [frame.switched for frame in chunked] == [frame.switched for frame in once]


@given(sizes=st.lists(st.integers(0, 30_000), min_size=1, max_size=8))
@settings(max_examples=15, deadline=None)
def test_chunks_of_stereo_at_44100_change_no_bit(sizes):
    x = np.stack([music(4, 44_100), music(4, 44_100, seed=2)], axis=1)
    x = (x * 32767).astype(np.int16)
    tagger = shared_tagger("sliding")
    assert_same_results(tag(tagger, x, 44_100, sizes), tag(tagger, x, 44_100), 0)


def test_both_engines_say_the_same():
    x = music(5.5)
    sliding, whole = (tag(shared_tagger(engine), x) for engine in ENGINES)
    assert_same_results(sliding, whole, 1e-5)
    assert np.ptp([frame.raw for frame in whole], axis=0).max() > 0.01  # the music changes, and is heard to


@both_engines
@pytest.mark.parametrize("centered", [True, False])
def test_each_result_is_the_networks_verdict_on_its_patch(engine, centered):
    x = music(5.5)
    stream = MelStream(16_000, centered=centered)
    logmel = np.concatenate([stream.push(x).logmel, stream.flush().logmel])
    results = tag(shared_tagger(engine, centered=centered), x)
    assert len(results) == (len(logmel) - 187) // 16 + 1
    network = make_evaluator("MSD_musicnn", 187, 1, "tensorflow")
    for frame in results[::3]:
        network.reset()
        network.push(logmel[16 * frame.index : 16 * frame.index + 187])
        judged = network.take(1)
        np.testing.assert_allclose(frame.raw, judged.taggram[0], rtol=0, atol=1e-5)
        np.testing.assert_allclose(frame.embedding, judged.embedding[0], rtol=0, atol=1e-4)


def test_centred_and_live_frames_differ_by_half_a_window():
    """So that a file's tags are musicnn's, while a live stream waits for nothing that could not be had."""
    centred, live = (shared_tagger("sliding", centered=centered) for centered in (True, False))
    one, other = tag(centred, music(5.5)), tag(live, music(5.5))
    assert one[0].time == pytest.approx((186 * 256 + 256) / 16_000)
    assert other[0].time == pytest.approx((186 * 256 + 512) / 16_000)
    assert np.abs(one[0].raw - other[0].raw).max() > 1e-4
    # the centred frame 16, the first of result 1, is what a live stream that begins at 15 * 256 hears first
    later = tag(live, music(5.5)[15 * 256 :])
    np.testing.assert_allclose(one[1].raw, later[0].raw, rtol=0, atol=1e-6)


@pytest.mark.parametrize("centered", [True, False])
def test_time_is_that_of_the_newest_sample_heard(centered):
    """Live, a result comes with exactly that sample."""
    tagger = shared_tagger("sliding", centered=centered)
    tagger.reset()
    x, taken = music(4), 0
    for size in [47_000] + [8] * 2125:
        for frame in tagger.push(x[taken : taken + size], 16_000):
            assert frame.time == pytest.approx((16 * frame.index + 186) * 0.016 + (0.016 if centered else 0.032))
            newest = round(frame.time * 16_000)
            assert taken < newest <= taken + size
            assert newest <= tagger.samples_in
        taken += size
    assert tagger.samples_in == len(x)
    assert frame.index == 3


def test_counters():
    tagger = Tagger(hop=HOP)
    assert (tagger.samples_in, tagger.frames_in, tagger.nonfinite, tagger.due) == (0, 0, 0, 0)
    assert tagger.hop == pytest.approx(0.256)
    assert tagger.window == pytest.approx(187 * 0.016)
    assert len(tagger.labels) == 50
    assert tagger.spec.name == "MSD_musicnn"
    assert tagger.engine == "sliding"
    x = np.stack([music(4), music(4)], axis=1).copy()
    x[5] = np.nan
    assert tagger.feed(x, 16_000) == tagger.due == 4
    assert tagger.samples_in == 64_000
    assert tagger.frames_in == (64_000 - 512) // 256 + 1
    assert tagger.nonfinite == 2
    tagger.reset()
    assert (tagger.samples_in, tagger.frames_in, tagger.nonfinite, tagger.due) == (0, 0, 0, 0)


def test_step_judges_one_and_results_all():
    tagger = shared_tagger("sliding")
    tagger.reset()
    tagger.feed(music(5.5), 16_000)
    assert tagger.due == 10
    assert [frame.index for frame in tagger.step()] == [0]
    assert [frame.index for frame in tagger.step(3)] == [1, 2, 3]
    assert [frame.index for frame in tagger.results(4)] == [4, 5, 6, 7, 8, 9]
    assert tagger.due == 0


@both_engines
def test_nothing_due_is_no_result(engine):
    tagger = shared_tagger(engine)
    tagger.reset()
    assert tagger.step() == []
    assert list(tagger.results()) == []
    assert tagger.push(music(1), 16_000) == []
    assert tagger.step(5) == []


def test_reset_starts_a_new_stream_of_any_format():
    tagger = shared_tagger("sliding")
    expected = tag(Tagger(hop=HOP), music(4))
    tag(tagger, np.zeros((150_000, 2), np.int16), 44_100)
    results = tag(tagger, music(4))
    assert_same_results(results, expected, 0)
    assert [frame.switched for frame in results] == [frame.switched for frame in expected]


@pytest.mark.parametrize(("rate", "channels"), [(48_000, 1), (16_000, 2)])
def test_refuses_another_format_until_reset(rate, channels):
    tagger = shared_tagger("sliding")
    tagger.reset()
    tagger.feed(music(1), 16_000)
    with pytest.raises(FeedError, match=f"{rate} Hz with {channels} channels after 16000 Hz with 1: .*reset"):
        tagger.feed(np.zeros((100, channels), np.float32), rate)
    assert tagger.samples_in == 16_000
    tagger.reset()
    tagger.feed(np.zeros((100, channels), np.float32), rate)


@pytest.mark.parametrize("shape", [(), (10, 2, 2), (10, 33)])
def test_refuses_what_are_no_samples(shape):
    with pytest.raises(FeedError):
        Tagger(hop=HOP).feed(np.zeros(shape, np.float32), 16_000)


def test_after_flush_comes_only_reset():
    tagger = shared_tagger("sliding")
    tag(tagger, music(4))
    assert tagger.flush() == []
    with pytest.raises(FeedError, match="reset"):
        tagger.push(music(1), 16_000)


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_lookahead_is_the_resamplers_and_starts_no_stream(rate):
    tagger = Tagger(hop=HOP)
    assert tagger.lookahead(rate) == MelStream(rate).latency / rate
    tagger.feed(np.zeros((100, 2), np.float32), 22_050)  # any format is still free
    assert tagger.lookahead(rate) == MelStream(rate).latency / rate


# --- rolling ----------------------------------------------------------------------------------------------------------


def smoothed(results, smooth):
    """Rolling scores from raw ones and their indices, in float64."""
    scores = [results[0].raw.astype(np.float64)]
    for before, frame in itertools.pairwise(results):
        keep = math.exp(-(frame.index - before.index) * HOP / smooth)
        scores.append(keep * scores[-1] + (1 - keep) * frame.raw)
    return np.array(scores)


def test_scores_are_smoothed_over_seconds():
    results = tag(shared_tagger("sliding", smooth=0.7), music(5.5))
    np.testing.assert_allclose([frame.scores for frame in results], smoothed(results, 0.7), atol=1e-6)


@both_engines
def test_skipped_results_count_in_the_index_and_in_the_smoothing(engine):
    tagger = shared_tagger(engine, smooth=0.7)
    everything = tag(tagger, music(5.5))
    tagger.reset()
    tagger.feed(music(5.5), 16_000)
    results = tagger.step(2)
    tagger.skip(3)
    results += tagger.step(1)
    tagger.skip(1)
    results += tagger.flush()
    assert [frame.index for frame in results] == [0, 1, 5, 7, 8, 9]
    for frame in results:
        alike = everything[frame.index]
        np.testing.assert_allclose(frame.raw, alike.raw, rtol=0, atol=1e-6)
        assert (frame.time, frame.level_dbfs) == (alike.time, alike.level_dbfs)
    np.testing.assert_allclose([frame.scores for frame in results], smoothed(results, 0.7), atol=1e-6)


def test_top_and_on_follow_the_rolling_scores():
    tagger = shared_tagger("sliding", top=7, smooth=0.5, threshold=0.1)
    on = set()
    for frame in tag(tagger, music(5.5)):
        order = frame.scores.argsort()[::-1][:7]
        assert frame.top == tuple((tagger.labels[i], float(frame.scores[i])) for i in order)
        for label, is_on in frame.switched:
            assert (label in on) != is_on
            (on.add if is_on else on.remove)(label)
        assert frame.on == on
    assert on


def test_what_leaves_cannot_be_changed():
    frame = tag(shared_tagger("sliding"), music(4))[0]
    for array in (frame.raw, frame.scores, frame.embedding):
        assert array.dtype == np.float32
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        frame.index = 1


def test_results_keep_their_values_while_the_stream_goes_on():
    tagger = shared_tagger("sliding")
    tagger.reset()
    kept = [(frame, frame.raw.copy(), frame.scores.copy()) for frame in tagger.push(music(4), 16_000)]
    tagger.push(music(4, seed=2), 16_000)
    for frame, raw, scores in kept:
        np.testing.assert_array_equal(frame.raw, raw)
        np.testing.assert_array_equal(frame.scores, scores)
    assert (frame.captured, frame.judged, frame.latency_ms) == (None, None, 0.0)


# --- level ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("amplitude", "dbfs"), [(1.0, -3.0103), (0.5, -9.0309), (1e-3, -63.0103)])
@pytest.mark.parametrize("centered", [True, False])
def test_level_of_a_sine(amplitude, dbfs, centered):
    sine = amplitude * np.sin(2 * np.pi * 1000 * np.arange(64_000) / 16_000)
    for frame in tag(shared_tagger("sliding", centered=centered), sine):
        assert frame.level_dbfs == pytest.approx(dbfs, abs=0.01)


def test_level_of_silence_is_the_floor():
    assert {frame.level_dbfs for frame in tag(shared_tagger("sliding"), np.zeros(64_000, np.int16))} == {-120.0}


def test_level_is_that_of_the_newest_hop_of_the_mix():
    """Silence, then full scale in one channel of two: half the amplitude."""
    x = np.zeros((64_000, 2), np.float32)
    loud_from = 512 + (186 + 16) * 256  # the newest sample of result 1
    x[loud_from:, 0] = 1
    levels = [frame.level_dbfs for frame in tag(shared_tagger("sliding"), x)]
    assert levels[:2] == [-120.0, -120.0]
    assert levels[2] == pytest.approx(20 * np.log10(0.5), abs=1e-6)


@pytest.mark.parametrize("hop", [0.016, 0.064, 4.0])
def test_level_over_hops_of_any_length(hop):
    x = music(8)
    tagger = Tagger(hop=hop)
    frames = round(hop / 0.016)
    for frame in tag(tagger, x)[:: max(1, 16 // frames)]:
        end = 512 + (frames * frame.index + 186) * 256
        newest = x[end - 256 * min(frames, 187) : end].astype(np.float64)
        assert frame.level_dbfs == pytest.approx(10 * np.log10(np.mean(newest**2)), abs=1e-4)


# --- less than a window -----------------------------------------------------------------------------------------------


@both_engines
@pytest.mark.parametrize("seconds", [0.1, 1.0, 2.9])
def test_a_short_stream_is_repeated_to_one_window(engine, seconds):
    x = music(3)[: int(seconds * 16_000)]
    tagger = shared_tagger(engine, centered=True)
    results = tag(tagger, x)
    assert [frame.index for frame in results] == [0]

    stream = MelStream(16_000, centered=True)
    logmel = np.concatenate([stream.push(x).logmel, stream.flush().logmel])
    network = make_evaluator("MSD_musicnn", 187, 1, "tensorflow")
    network.reset()
    network.push(logmel[np.arange(187) % len(logmel)])
    np.testing.assert_allclose(results[0].raw, network.take(1).taggram[0], rtol=0, atol=1e-5)


def test_the_level_of_a_short_stream_is_that_of_its_end():
    x = np.zeros(16_000, np.float32)
    x[8000:] = 0.5
    assert tag(shared_tagger("sliding"), x)[0].level_dbfs == pytest.approx(20 * np.log10(0.5), abs=1e-6)


def test_a_short_stream_need_not_be_repeated():
    tagger = shared_tagger("sliding")
    tagger.reset()
    tagger.push(music(1), 16_000)
    assert tagger.flush(repeat_short=False) == []


@pytest.mark.parametrize("samples", [0, 100])
def test_a_stream_without_a_single_frame_gives_nothing(samples):
    tagger = shared_tagger("sliding")
    tagger.reset()
    assert tagger.flush() == []
    tagger.reset()
    tagger.push(music(1)[:samples], 16_000)
    assert tagger.flush() == []


def test_the_rest_of_a_long_stream_is_not_repeated():
    assert [frame.index for frame in tag(shared_tagger("sliding"), music(3.1))] == [0]


# --- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "frames"), [(0.016, 1), (0.064, 4), (0.02, 1), (0.03, 2), (1.0, 62), (3.0, 188), (0.0081, 1)]
)
def test_hops_are_rounded_to_whole_frames(seconds, frames):
    assert hop_frames(seconds) == frames


@pytest.mark.parametrize("seconds", [0.0, 0.007, -1.0, math.inf, math.nan])
def test_refuses_hops_below_a_frame(seconds):
    with pytest.raises(OptionError, match=f"a hop of {seconds:g} s"):
        Tagger(hop=seconds)


@pytest.mark.parametrize("seconds", [0.0, 0.001, -3.0])
def test_refuses_windows_below_a_frame(seconds):
    with pytest.raises(OptionError, match=f"{seconds:g} s"):
        Tagger(window=seconds)


@pytest.mark.parametrize("seconds", [math.inf, math.nan])
def test_refuses_windows_that_are_no_number(seconds):
    with pytest.raises(OptionError, match=f"{seconds:g} s"):
        Tagger(window=seconds)


def test_refuses_what_does_not_exist_or_does_not_fit():
    with pytest.raises(UnknownModelError, match="Did you mean MSD_musicnn"):
        Tagger("MSD_musicn")
    with pytest.raises(OptionError, match="3 s only"):
        Tagger("MSD_vgg", window=2)
    with pytest.raises(OptionError, match="sliding"):
        Tagger("MSD_vgg", engine="sliding")
    with pytest.raises(OptionError, match="'cuda'"):
        Tagger(engine="cuda")
    with pytest.raises(OptionError, match="top 0"):
        Tagger(top=0)


def test_a_window_of_its_own():
    tagger = Tagger(window=1.0, hop=0.5)
    results = tag(tagger, music(3))
    assert tagger.window == pytest.approx(62 * 0.016)
    assert len(results) == ((48_000 - 512) // 256 + 1 - 62) // 31 + 1
    assert results[0].time == pytest.approx((61 * 256 + 512) / 16_000)


def test_an_evaluator_of_ones_own_does_the_work():
    evaluator = make_evaluator("MTT_musicnn", 62, 10)
    tagger = Tagger("this is not looked at", evaluator=evaluator)
    assert tagger.spec.name == "MTT_musicnn"
    assert tagger.hop == pytest.approx(0.16)
    assert len(tag(tagger, music(3))) == ((48_000 - 512) // 256 + 1 - 62) // 10 + 1


# --- what is imported when --------------------------------------------------------------------------------------------

HEAVY = ("tensorflow", "keras", "numba", "sounddevice", "soundfile", "av", "pythonosc", "rich")


def imported_by(code):
    """Which of the heavy modules a fresh interpreter has imported after `code`."""
    program = f"import sys\n{code}\nprint(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    return subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()


def test_importing_streamtag_imports_nothing_heavy():
    assert imported_by("import streamtag") == []
    assert imported_by("import streamtag; dir(streamtag); streamtag.__version__; streamtag.TagFrame") == []
    assert imported_by("import numba") == ["numba"]  # it can fail


def test_tagging_with_the_sliding_engine_needs_no_tensorflow():
    code = "import numpy, streamtag; print(len(streamtag.Tagger().push(numpy.zeros(48000), 16000)), file=sys.stderr)"
    assert imported_by(code) == ["numba"]
