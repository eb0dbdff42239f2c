"""Samples to tags with the real MSD_musicnn, by both engines."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamtag.dsp.front_end import MUSICNN
from streamtag.dsp.resampler import lookahead
from streamtag.errors import FeedError, HeadError, OptionError, UnknownModelError
from streamtag.inference.factory import make_predictor
from streamtag.melstream import MelStream
from streamtag.tagging.tagger import GATE_SECONDS, Tagger
from tests.support.sessions import HOP as HOP_FRAMES
from tests.support.sessions import SOUND, WINDOW, make_tagger
from tests.support.values import make_stats

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


@pytest.mark.slow
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


@pytest.mark.slow
@given(sizes=st.lists(st.integers(0, 30_000), min_size=1, max_size=8))
@settings(max_examples=15, deadline=None)
def test_chunks_of_stereo_at_44100_change_no_bit(sizes):
    x = np.stack([music(4, 44_100), music(4, 44_100, seed=2)], axis=1)
    x = (x * 32767).astype(np.int16)
    tagger = shared_tagger("sliding")
    assert_same_results(tag(tagger, x, 44_100, sizes), tag(tagger, x, 44_100), 0)


@pytest.mark.tensorflow
def test_both_engines_say_the_same():
    x = music(5.5)
    sliding, whole = (tag(shared_tagger(engine), x) for engine in ENGINES)
    assert_same_results(sliding, whole, 1e-5)
    assert np.ptp([frame.raw for frame in whole], axis=0).max() > 0.01  # the music changes, and is heard to


@pytest.mark.slow
@both_engines
@pytest.mark.parametrize("centered", [True, False])
def test_each_result_is_the_networks_verdict_on_its_patch(engine, centered):
    x = music(5.5)
    stream = MelStream(16_000, centered=centered)
    logmel = np.concatenate([stream.push(x).logmel, stream.flush().logmel])
    results = tag(shared_tagger(engine, centered=centered), x)
    assert len(results) == (len(logmel) - 187) // 16 + 1
    network = make_predictor("MSD_musicnn", 187, 1, "tensorflow")
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
    with pytest.warns(DeprecationWarning, match="MelStream"):
        assert tagger.lookahead(rate) == MelStream(rate).lookahead / rate == lookahead(rate) / rate
    tagger.feed(np.zeros((100, 2), np.float32), 22_050)  # any format is still free


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
    on: set[str] = set()
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
    assert (frame.captured, frame.predicted, frame.latency_ms) == (None, None, 0.0)


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


@pytest.mark.tensorflow
@both_engines
@pytest.mark.parametrize("seconds", [0.1, 1.0, 2.9])
def test_a_short_stream_is_repeated_to_one_window(engine, seconds):
    x = music(3)[: int(seconds * 16_000)]
    tagger = shared_tagger(engine, centered=True)
    results = tag(tagger, x)
    assert [frame.index for frame in results] == [0]

    stream = MelStream(16_000, centered=True)
    logmel = np.concatenate([stream.push(x).logmel, stream.flush().logmel])
    network = make_predictor("MSD_musicnn", 187, 1, "tensorflow")
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
    assert MUSICNN.hop_frames(seconds) == frames


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
    with pytest.raises(OptionError, match="'cuda'"):
        Tagger(engine="cuda")  # type: ignore[arg-type] # refused is what no type checker would let pass
    with pytest.raises(OptionError, match="top 0"):
        Tagger(top=0)


NO_NUMBERS = ["0.5", None, [1], math.nan, math.inf, 10**400]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *((name, value) for name in ("window", "smooth", "threshold", "hop", "gate") for value in NO_NUMBERS),
        *(("top", value) for value in (2.5, "5", None, math.nan)),
        *(("heads", value) for value in (5, "cues.head", ["cues.head"])),
    ],
)
def test_refuses_values_of_another_kind_and_names_the_option(option, value):
    if value is None and option in ("window", "hop", "gate"):  # that is what they are by default
        return
    expected = {"window": "expected a number of seconds", "heads": "is no head: give what"}.get(option, option)
    with pytest.raises(HeadError if option == "heads" else OptionError, match=expected):
        Tagger(**{option: value})


@pytest.mark.parametrize("name", [None, 5, ["MSD_musicnn"]])
def test_a_model_is_chosen_by_its_name(name):
    with pytest.raises(UnknownModelError, match=r"by its name, not by a \w+: MTT_musicnn, "):
        make_predictor(name, 187, 4)


def test_what_is_skipped_is_due():
    tagger = Tagger(window=1.0, hop=0.5)
    whole = tag(tagger, music(4))
    tagger.reset()
    tagger.feed(music(4), 16_000)
    for windows in (-3, 0, 1, 1000):
        tagger.skip(windows)
    assert tagger.due == 0
    assert tagger.next_index == len(whole)
    tagger.feed(music(4), 16_000)
    assert len(list(tagger.results(0))) == tagger.next_index - len(whole) > 0


@pytest.mark.parametrize("seconds", [-1.0, "1", *NO_NUMBERS])
@pytest.mark.parametrize("new_stream", [False, True])
def test_a_gap_has_a_length(seconds, new_stream):
    tagger = make_tagger()
    tagger.push(SOUND[:9000], 16_000)
    with pytest.raises(OptionError, match="expected 0 or more seconds"):
        tagger.gap(seconds, new_stream=new_stream)
    assert tagger.push(SOUND[9000:18_000], 16_000)


def test_a_window_of_its_own():
    tagger = Tagger(window=1.0, hop=0.5)
    results = tag(tagger, music(3))
    assert tagger.window == pytest.approx(62 * 0.016)
    assert len(results) == ((48_000 - 512) // 256 + 1 - 62) // 31 + 1
    assert results[0].time == pytest.approx((61 * 256 + 512) / 16_000)


def test_an_evaluator_of_ones_own_does_the_work():
    predictor = make_predictor("MTT_musicnn", 62, 10)
    tagger = Tagger("this is not looked at", predictor=predictor)
    assert tagger.spec.name == "MTT_musicnn"
    assert tagger.hop == pytest.approx(0.16)
    assert len(tag(tagger, music(3))) == ((48_000 - 512) // 256 + 1 - 62) // 10 + 1


# --- the gate ---------------------------------------------------------------------------------------------------------

few = settings(max_examples=25, deadline=None, derandomize=True)
LOUDNESS = st.lists(
    st.tuples(st.sampled_from([0.0, 3e-4, 2e-3, 0.1]), st.integers(100, 40_000)), min_size=1, max_size=6
)
"""Amplitudes (nothing, below the gate, above it, music) and for how many samples."""


def of_loudness(pieces):
    noise = np.random.default_rng(3).standard_normal(sum(samples for _, samples in pieces))
    return np.float32(noise * np.repeat([amplitude for amplitude, _ in pieces], [samples for _, samples in pieces]))


def heard_within_a_second(x, frame, window, gate):
    """Whether a frame of the second before the end of a window (62.5 frames) was loud, said without any state."""
    power = MelStream(16_000).push(x).power
    end = frame.index * HOP_FRAMES + window
    return (power[max(0, end - 1 - int(GATE_SECONDS / 0.016)) : end] >= 10 ** (gate / 10)).any()


@pytest.mark.slow
@few
@given(pieces=LOUDNESS, chunk=st.integers(100, 5000))
def test_the_gate_is_open_while_a_frame_of_the_last_second_was_loud(pieces, chunk):
    x, gated, free = of_loudness(pieces), make_tagger(gate=-60), make_tagger()
    frames, everything = gated.push(x, 16_000), free.push(x, 16_000)
    assert [(frame.index, frame.time, frame.level_dbfs) for frame in frames] == [
        (frame.index, frame.time, frame.level_dbfs) for frame in everything
    ]
    for frame, other in zip(frames, everything, strict=True):
        assert frame.gated != heard_within_a_second(x, frame, WINDOW, -60)
        if frame.gated:
            assert not frame.raw.any()
            assert not frame.embedding.any()
        else:
            np.testing.assert_array_equal(frame.raw, other.raw)
            np.testing.assert_array_equal(frame.embedding, other.embedding)
    assert gated.hops_gated == sum(frame.gated for frame in frames)
    gated.reset()
    assert gated.hops_gated == 0
    parted = [frame for at in range(0, len(x), chunk) for frame in gated.push(x[at : at + chunk], 16_000)]
    assert_same_results(parted, frames, 0)
    assert [frame.gated for frame in parted] == [frame.gated for frame in frames]
    assert [(frame.switched, frame.on) for frame in parted] == [(frame.switched, frame.on) for frame in frames]


@pytest.mark.parametrize("model", ["MSD_musicnn", "MSD_vgg"])
def test_the_first_window_after_rest_is_exact_in_the_sliding_engines(model):
    x = np.concatenate((music(4), np.zeros(4 * 16_000, np.float32), music(1)))
    frames, everything = (Tagger(model, hop=0.128, gate=gate).push(x, 16_000) for gate in (-60, None))
    rested = [frame.gated for frame in frames]
    opened = rested.index(False, rested.index(True))
    assert 10 < sum(rested) < len(rested) - 10
    assert frames[opened].time - 8 <= 0.128 + 0.016, "the first window in which a frame is loud"
    for frame, other in zip(frames, everything, strict=True):
        if not frame.gated:
            np.testing.assert_array_equal(frame.raw, other.raw)
    assert not any(frame.gated for frame in everything)


def test_a_gate_that_never_closes_changes_nothing():
    x = music(5.5)
    gated, free = tag(Tagger(hop=HOP, gate=-100), x), tag(shared_tagger("sliding"), x)
    assert_same_results(gated, free, 0)
    assert [frame.switched for frame in gated] == [frame.switched for frame in free]
    assert not any(frame.gated for frame in gated)


@pytest.mark.parametrize("smooth", [0, 0.5])
def test_scores_fall_to_nothing_at_rest_and_all_is_switched_off(smooth):
    tagger = make_tagger(gate=-60, smooth=smooth, threshold=0.05)
    frames = tagger.push(np.concatenate((SOUND[:16_000], np.zeros(10 * 16_000, np.float32))), 16_000)
    first = next(i for i, frame in enumerate(frames) if frame.gated)
    assert frames[first - 1].on if smooth else any(frame.on for frame in frames)
    for before, frame in itertools.pairwise(frames[first - 1 :]):
        assert (frame.scores <= before.scores).all()
        if smooth and frame.scores.any():
            np.testing.assert_allclose(frame.scores, before.scores * np.exp(-tagger.hop / smooth), rtol=1e-5)
    assert not frames[-1].scores.any()
    assert not frames[-1].on
    switched = [change for frame in frames for change in frame.switched]
    assert {label for label, on in switched if on} == {label for label, on in switched if not on}
    assert all(score == 0 for _, score in frames[-1].top)


def test_silence_from_the_start_is_rest():
    tagger = make_tagger(gate=-60)
    frames = tagger.push(np.zeros(32_000, np.float32), 16_000)
    assert frames
    assert all(frame.gated and not frame.scores.any() for frame in frames)


def test_a_gap_is_silence_to_the_gate():
    tagger = make_tagger(gate=-60)
    assert not any(frame.gated for frame in tagger.push(SOUND[:16_000], 16_000))
    tagger.gap(7.0)
    frames = tagger.push(np.zeros(16_000, np.float32), 16_000)
    assert all(frame.gated for frame in frames)
    frames += tagger.push(SOUND[:1000], 16_000)
    assert not frames[-1].gated


@pytest.mark.parametrize("gate", [math.inf, -math.inf, math.nan])
def test_refuses_a_gate_that_is_no_level(gate):
    with pytest.raises(OptionError, match=f"gate {gate:g} dBFS"):
        Tagger(gate=gate)


# --- changed while it plays -------------------------------------------------------------------------------------------

FIRST_END = (186 * 256 + 512) / 16_000
"""Seconds to the end of the first window."""


@functools.cache
def every_window(model):
    """What a tagger says of 9 s of music at each frame of 16 ms, by time in whole frames."""
    return {round(frame.time / 0.016): frame.raw for frame in Tagger(model, hop=0.016).push(music(9), 16_000)}


@pytest.mark.slow
@pytest.mark.parametrize("model", ["MSD_musicnn", "MSD_vgg"])
@pytest.mark.parametrize(("before", "after"), [(0.064, 0.256), (0.512, 0.048), (0.256, 0.016), (0.128, 4.0)])
def test_a_new_hop_counts_from_the_last_result(model, before, after):
    x, tagger = music(9), Tagger(model, hop=before)
    fed = (3 * MUSICNN.hop_frames(before) + 186) * 256 + 512 + 100  # the fourth result has just come
    frames = tagger.push(x[:fed], 16_000)
    tagger.set_hop(after)
    assert tagger.hop == pytest.approx(after, abs=0.008)
    later = [frame for at in range(fed, len(x), 500) for frame in tagger.push(x[at : at + 500], 16_000)]
    assert later[0].time - frames[-1].time == pytest.approx(tagger.hop)
    for one, other in itertools.pairwise(later):
        assert other.time - one.time == pytest.approx(tagger.hop)
    assert [frame.index for frame in frames + later] == list(range(len(frames + later)))
    for frame in later:
        np.testing.assert_allclose(frame.raw, every_window(model)[round(frame.time / 0.016)], rtol=0, atol=1e-5)
        level = 10 * np.log10(
            np.mean(x[round((frame.time - min(after, 2.992)) * 16_000) : round(frame.time * 16_000)] ** 2)
        )
        assert frame.level_dbfs == pytest.approx(level, abs=0.5)


def test_a_hop_that_is_changed_again_and_again_still_counts_from_the_last_result():
    tagger = Tagger(hop=0.064)
    last = tagger.push(music(4), 16_000)[-1]
    for seconds in (10, 0.5, 100, 0.256):
        tagger.set_hop(seconds)
    (frame, *_) = tagger.push(music(4), 16_000)
    assert frame.index == last.index + 1
    assert frame.time - last.time == pytest.approx(0.256)


@pytest.mark.parametrize("fed", [0, 20_000, 48_100])
def test_a_hop_changed_before_the_first_result_does_not_move_it(fed):
    x, tagger = music(9), Tagger(hop=0.256)
    tagger.feed(x[:fed], 16_000)
    tagger.set_hop(0.064)
    tagger.set_hop(0.128)
    frames = tagger.push(x[fed:], 16_000)
    assert [frame.time for frame in frames[:2]] == pytest.approx([FIRST_END, FIRST_END + 0.128])
    assert frames[0].index == 0
    np.testing.assert_allclose(frames[1].raw, every_window("MSD_musicnn")[round(frames[1].time / 0.016)], atol=1e-5)


def test_a_result_that_the_new_hop_would_long_have_given_comes_at_once():
    tagger = Tagger(hop=2.0)
    x = music(9)
    last = tagger.push(x[: 6 * 16_000], 16_000)[-1]
    assert last.time < 5.1
    tagger.set_hop(0.064)
    (frame,) = tagger.push(x[:0], 16_000)
    assert frame.index == last.index + 1
    assert frame.time == pytest.approx(((tagger.frames_in - 1) * 256 + 512) / 16_000)
    np.testing.assert_allclose(frame.raw, every_window("MSD_musicnn")[round(frame.time / 0.016)], atol=1e-5)


def test_a_gap_before_the_first_window_of_a_long_hop_is_in_its_place():
    tagger = Tagger(hop=0.064)
    last = tagger.push(music(4), 16_000)[-1]
    tagger.set_hop(6.0)
    tagger.gap(20.0)
    frames = tagger.push(music(9), 16_000)
    for frame in frames:
        assert (frame.time - last.time) / 6.0 == pytest.approx(frame.index - last.index)
    assert len(frames) + tagger.hops_lost == frames[-1].index - last.index == 4


@pytest.mark.parametrize("seconds", [0, 0.007, -1, math.nan, math.inf, 3601])
def test_refuses_to_change_to_a_hop_that_cannot_be(seconds):
    tagger = shared_tagger("sliding")
    with pytest.raises(OptionError, match=f"a hop of {seconds:g} s"):
        tagger.set_hop(seconds)
    assert tagger.hop == pytest.approx(HOP)


def test_refuses_to_change_the_hop_of_an_evaluator_that_was_given():
    tagger = make_tagger()
    for change in (tagger.set_hop, tagger.check_hop):
        with pytest.raises(OptionError, match="given its predictor"):
            change(0.1)


@few
@given(fed=st.integers(0, 40_000), taken=st.integers(0, 40), more=st.integers(0, 20_000))
def test_after_forgetting_windows_hear_silence_where_there_was_sound(fed, taken, more):
    """However many were due: their number and time stay."""
    tagger = make_tagger(smooth=0.5)
    tagger.feed(SOUND[:fed], 16_000)
    before = tagger.step(taken)
    tagger.reset_history()
    frames = tagger.push(SOUND[fed : fed + more], 16_000)
    logmel = MelStream(16_000).push(SOUND[: fed + more]).logmel.copy()
    forgotten = max(0, (fed - 512) // 256 + 1)
    logmel[:forgotten] = 0
    windows = max(0, (len(logmel) - WINDOW) // HOP_FRAMES + 1)
    assert [frame.index for frame in before + frames] == list(range(windows))
    for frame in frames:
        start = frame.index * HOP_FRAMES
        np.testing.assert_array_equal(frame.raw, np.float32(logmel[start : start + WINDOW].mean(axis=0)[:50] / 6))
        assert frame.time == pytest.approx(((start + WINDOW - 1) * 256 + 512) / 16_000)
    if frames:
        np.testing.assert_array_equal(frames[0].scores, frames[0].raw)
        assert frames[0].on == {label for label, on in frames[0].switched if on}


@pytest.mark.parametrize("smooth", [0, 0.7])
def test_letting_go_takes_all_to_nothing_at_once(smooth):
    tagger = make_tagger(smooth=smooth, threshold=0.05)
    last = tagger.push(SOUND[:8000], 16_000)[-1]
    assert last.on
    frame = tagger.release_all(12.5)
    assert (frame.index, frame.time, frame.gated, frame.level_dbfs) == (last.index, 12.5, True, -120)
    assert set(frame.switched) == {(label, False) for label in last.on}
    assert not frame.on
    assert not frame.scores.any()
    assert not frame.raw.any()
    (again, *_) = tagger.push(SOUND[8000:9100], 16_000)
    assert again.index == last.index + 1
    keep = math.exp(-tagger.hop / smooth) if smooth else 0
    np.testing.assert_allclose(again.scores, (1 - keep) * again.raw, rtol=1e-5)


def test_there_may_be_nothing_to_let_go_of():
    frame = make_tagger().release_all(0.0)
    assert (frame.index, frame.switched, frame.on) == (0, (), frozenset())


def test_top_and_threshold_change_from_the_next_result_on():
    tagger, other = (make_tagger(top=3, threshold=0.9, smooth=0) for _ in range(2))
    first = tagger.push(SOUND[:8000], 16_000)[-1]
    other.push(SOUND[:8000], 16_000)
    assert (len(first.top), first.on) == (3, frozenset())
    tagger.set_top(7)
    tagger.set_threshold(0.05)
    (frame,), (unchanged,) = (one.push(SOUND[8000:9000], 16_000) for one in (tagger, other))
    assert frame.top[:3] == unchanged.top
    assert len(frame.top) == 7
    assert frame.on == {label for label, score in zip(tagger.labels, frame.scores, strict=True) if score >= 0.05}
    assert frame.on
    refused: list[tuple[Callable[[Any], None], float]] = [
        (tagger.set_top, 0),
        (tagger.set_threshold, 0),
        (tagger.set_threshold, math.nan),
    ]
    for change, bad in refused:
        with pytest.raises(OptionError):
            change(bad)
    assert len(tagger.push(SOUND[9000:10_100], 16_000)[-1].top) == 7


# --- what is imported when --------------------------------------------------------------------------------------------

HEAVY = ("tensorflow", "keras", "numba", "sounddevice", "soundfile", "av", "pythonosc", "rich")


def imported_by(code):
    """Which of the heavy modules a fresh interpreter has imported after `code`."""
    program = f"import sys\n{code}\nprint(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    return subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()


@pytest.mark.slow
def test_importing_streamtag_imports_nothing_heavy():
    assert imported_by("import streamtag") == []
    assert imported_by("import streamtag; dir(streamtag); streamtag.__version__; streamtag.TagFrame") == []
    assert imported_by("import numba") == ["numba"]  # it can fail


@pytest.mark.slow
def test_tagging_with_the_sliding_engine_needs_no_tensorflow():
    code = "import numpy, streamtag; print(len(streamtag.Tagger().push(numpy.zeros(48000), 16000)), file=sys.stderr)"
    assert imported_by(code) == ["numba"]


def test_former_names_still_work_for_one_release_and_say_so() -> None:
    frame = make_tagger().push(SOUND, 16_000)[0]
    for old, new in (("rested", "gated"), ("judged", "predicted")):
        with pytest.warns(DeprecationWarning, match=new):
            assert getattr(frame, old) == getattr(frame, new)
    stats = make_stats()
    for old, new in (("hops_rested", "hops_gated"), ("resting", "gate_closed")):
        with pytest.warns(DeprecationWarning, match=new):
            assert getattr(stats, old) == getattr(stats, new)
    tagger = make_tagger()
    with pytest.warns(DeprecationWarning, match="release_all"):
        assert tagger.let_go(0.0).gated
    with pytest.warns(DeprecationWarning, match="reset_history"):
        tagger.forget()
    predictor = make_predictor("MTT_musicnn", 62, 10)
    with pytest.warns(DeprecationWarning, match="predictor"):
        assert Tagger(evaluator=predictor).window == 62 * 0.016
