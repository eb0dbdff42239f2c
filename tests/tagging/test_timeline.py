"""The time of the music across gaps: what a tagger says is what it says of the same music with silence in the gaps."""

from __future__ import annotations

import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamtag.dsp.params import N_MELS
from streamtag.results import TagFrame
from streamtag.tagging.tagger import Tagger
from streamtag.tagging.timeline import SHORT_GAP_SECONDS, Timeline
from tests.support.sessions import HOP, SOUND, WINDOW, make_tagger

RATES = pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
few = settings(max_examples=30, deadline=None, derandomize=True)
Event = tuple[str, int]


def sound(rate: int, seconds: float = 8, channels: int = 1) -> np.ndarray:
    """Noise that gets louder and softer."""
    random = np.random.default_rng(rate + channels)
    loudness = 0.15 + 0.1 * np.sin(np.arange(int(seconds * rate)) / rate * 5)
    noise = random.standard_normal((int(seconds * rate), channels)) * loudness[:, None]
    return (noise[:, 0] if channels == 1 else noise).astype(np.float32)


def play(tagger: Tagger, events: list[Event], rate: int, chunk: int, *, as_zeros: bool = False) -> list[TagFrame]:
    """Push so many samples (in chunks), let so many pass (as a gap, or as zeros), and so on."""
    source, at, frames = sound(rate), 0, []
    for kind, samples in events:
        if kind == "sound":
            piece = source[at : at + samples]
            for start in range(0, len(piece), chunk):
                frames += tagger.push(piece[start : start + chunk], rate)
            at += samples
        elif as_zeros:
            frames += tagger.push(np.zeros(samples, np.float32), rate)
        else:
            tagger.gap(samples / rate)
    return frames


def assert_same(one: TagFrame, other: TagFrame) -> None:
    assert (one.index, one.time, one.level_dbfs) == (other.index, other.time, other.level_dbfs)
    np.testing.assert_array_equal(one.raw, other.raw)
    np.testing.assert_array_equal(one.embedding, other.embedding)


def assert_on_the_grid(frames: list[TagFrame], hop: int = HOP, window: int = WINDOW) -> None:
    for frame in frames:
        assert frame.time == pytest.approx(((frame.index * hop + window - 1) * 256 + 512) / 16_000, abs=1e-9)


def assert_all_accounted(tagger: Tagger, frames: list[TagFrame], skipped: int = 0) -> None:
    """Each window up to the newest frame was given, skipped or lost, and none of them twice."""
    indices = [frame.index for frame in frames]
    assert indices == sorted(set(indices))
    windows = max(0, (tagger.frames_in - tagger._windows.length) // tagger._windows.hop + 1)
    assert len(frames) + skipped + tagger.hops_lost + tagger.due == windows


def gaps(most: int, rate: int) -> st.SearchStrategy[list[Event]]:
    """Sound and gaps in any order; gaps of up to `most` samples."""
    sounds = st.tuples(st.just("sound"), st.integers(0, rate))
    silences = st.tuples(st.just("gap"), st.one_of(st.integers(0, 2000), st.integers(0, most)))
    return st.lists(st.one_of(sounds, silences), min_size=1, max_size=7)


# --- chunks ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@few
@given(data=st.data(), rate=st.sampled_from([16_000, 44_100, 48_000]), chunk=st.integers(50, 9000))
def test_chunks_change_no_bit_across_gaps(data: st.DataObject, rate: int, chunk: int) -> None:
    events = data.draw(gaps(5 * rate, rate))
    once, parted = make_tagger(), make_tagger()
    frames = play(once, events, rate, 10**9)
    again = play(parted, events, rate, chunk)
    assert [frame.index for frame in frames] == [frame.index for frame in again]
    for frame, other in zip(frames, again, strict=True):
        assert_same(frame, other)
        np.testing.assert_array_equal(frame.scores, other.scores)
        assert (frame.top, frame.switched, frame.on) == (other.top, other.switched, other.on)
    assert (once.hops_lost, once.samples_in) == (parted.hops_lost, parted.samples_in)


@pytest.mark.parametrize("model", ["MSD_musicnn", "MSD_vgg"])
def test_chunks_change_no_bit_across_gaps_in_the_sliding_engines(model: str) -> None:
    events = [("sound", 70_000), ("gap", 5000), ("sound", 10_000), ("gap", 40_000), ("sound", 40_000)]
    tagger = Tagger(model, hop=0.256)
    once = play(tagger, events, 16_000, 10**9)
    tagger.reset()
    parted = play(tagger, events, 16_000, 777)
    assert len(once) > 12
    for frame, other in zip(once, parted, strict=True):
        assert_same(frame, other)


# --- short gaps -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@few
@given(data=st.data(), rate=st.sampled_from([16_000, 44_100, 48_000]))
def test_short_gaps_within_a_stream_are_zeros_to_the_bit(data: st.DataObject, rate: int) -> None:
    events = [("sound", rate // 2), *data.draw(gaps(int(SHORT_GAP_SECONDS * rate), rate))]
    with_gaps, with_zeros = make_tagger(), make_tagger()
    frames = play(with_gaps, events, rate, 10**9)
    everything = {frame.index: frame for frame in play(with_zeros, events, rate, 10**9, as_zeros=True)}
    for frame in frames:
        assert_same(frame, everything[frame.index])
    assert_all_accounted(with_gaps, frames)
    assert with_gaps.frames_in == with_zeros.frames_in
    assert with_gaps.samples_in == sum(samples for kind, samples in events if kind == "sound")


@RATES
def test_a_gap_shorter_than_a_hop_loses_no_window(rate: int) -> None:
    events = [("sound", rate), ("gap", rate // 20), ("sound", rate)]
    tagger = make_tagger()
    frames = play(tagger, events, rate, 10**9)
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert tagger.hops_lost == 0


# --- long gaps ------------------------------------------------------------------------------------------------------


@RATES
@pytest.mark.parametrize("samples_more", [0, 1, 101, 256, 383])
def test_after_a_long_gap_all_is_as_after_so_much_silence(rate: int, samples_more: int) -> None:
    """To the bit where frames of 16 ms begin on whole samples; at 44.1 kHz to the half sample that remains."""
    gap = round(7.3 * rate) + samples_more
    events = [("sound", rate + 77), ("gap", gap), ("sound", 2 * rate)]
    tagger, silent = make_tagger(), make_tagger()
    frames = play(tagger, events, rate, 10**9)
    everything = {frame.index: frame for frame in play(silent, events, rate, 10**9, as_zeros=True)}
    assert_on_the_grid(frames)
    assert_all_accounted(tagger, frames)
    assert tagger.frames_in == pytest.approx(silent.frames_in, abs=rate == 44_100)
    after = [frame for frame in frames if frame.time > 1 + gap / rate]
    assert len(after) > 25
    for frame in after:
        other = everything[frame.index]
        assert (frame.index, frame.time) == (other.index, other.time)
        if rate == 44_100:  # half a sample is 11 us: next to nothing of a hop, and far more than rounding
            np.testing.assert_allclose(frame.raw, other.raw, atol=2e-3)
            assert frame.level_dbfs == pytest.approx(other.level_dbfs, abs=0.1)
        else:
            np.testing.assert_array_equal(frame.raw, other.raw)
            np.testing.assert_array_equal(frame.embedding, other.embedding)
            assert frame.level_dbfs == other.level_dbfs


@pytest.mark.slow
@few
@given(first=st.integers(0, 3 * 16_000), gap=st.integers(16_001, 20 * 16_000), short=st.integers(0, 16_000))
def test_long_and_short_gaps_in_a_row_are_their_sum(first: int, gap: int, short: int) -> None:
    events = [("sound", first), ("gap", gap), ("gap", short), ("sound", 20_000), ("gap", short), ("sound", 20_000)]
    tagger, silent = make_tagger(), make_tagger()
    frames = play(tagger, events, 16_000, 10**9)
    everything = {frame.index: frame for frame in play(silent, events, 16_000, 10**9, as_zeros=True)}
    assert tagger.frames_in == silent.frames_in
    for frame in frames:
        assert_same(frame, everything[frame.index])
    assert_all_accounted(tagger, frames)


@RATES
@pytest.mark.parametrize("more", [13, 52, 120, 190])
def test_music_at_both_ends_of_a_gap_lies_where_it_was_to_the_sample(rate: int, more: int) -> None:
    """Clicks in silence, and the frames that hear them; wherever in a frame the gap begins and ends."""
    before = np.zeros((8000 + more) * rate // 16_000, np.float32)
    before[-1] = 1
    frames_of = {}
    for as_gap in (True, False):
        line = Timeline()
        made = [line.push(before, rate)]
        if as_gap:
            made.append(line.end())
            silent = line.begin_after(Fraction(round(2.345 * rate), rate))
            line.silence(silent)
            made.append(np.zeros((silent, N_MELS), np.float32))
        else:
            made.append(line.push(np.zeros(round(2.345 * rate), np.float32), rate))
        click = np.zeros(rate, np.float32)
        click[0] = click[4321] = 1
        made.append(line.push(click, rate))
        frames_of[as_gap] = np.concatenate(made)
        assert line.frames == len(frames_of[as_gap])
        assert line.now == pytest.approx((len(before) + round(2.345 * rate) + rate) / rate, abs=0.5 / rate + 1e-9)
    count = min(map(len, frames_of.values()))
    by_gap, by_zeros = (np.flatnonzero(frames_of[as_gap][:count].max(axis=1) > 0.05) for as_gap in (True, False))
    np.testing.assert_array_equal(by_gap, by_zeros)
    tolerance = 0.02 if rate == 44_100 else 0  # half a sample, at the edge of a window
    np.testing.assert_allclose(frames_of[True][:count], frames_of[False][:count], rtol=0, atol=tolerance)


@pytest.mark.parametrize("hours", [1, 8])
def test_hours_are_let_pass_without_being_lived_through(hours: int) -> None:
    tagger = make_tagger()
    play(tagger, [("sound", 20_000)], 16_000, 10**9)
    tracemalloc.start()
    tagger.gap(3600.0 * hours)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 300_000, "as silence that was heard this would be 86 MB an hour"
    (frame, *_) = frames = tagger.push(SOUND[:20_000], 16_000)
    assert_on_the_grid(frames)
    assert 0 <= frame.time - (20_000 / 16_000 + 3600 * hours) < 0.064 + 0.032
    assert_all_accounted(tagger, [*make_tagger().push(SOUND[:20_000], 16_000), *frames])


def test_a_window_of_the_sliding_engine_after_a_gap_is_that_after_silence() -> None:
    events = [("sound", 60_000), ("gap", 7 * 16_000), ("sound", 80_000)]
    tagger = Tagger(hop=0.256)
    frames = play(tagger, events, 16_000, 10**9)
    silent = Tagger(hop=0.256)
    everything = {frame.index: frame for frame in play(silent, events, 16_000, 10**9, as_zeros=True)}
    assert_on_the_grid(frames, 16, 187)
    assert_all_accounted(tagger, frames)
    assert len(frames) > 15
    for frame in frames:
        other = everything[frame.index]
        assert (frame.time, frame.level_dbfs) == (other.time, other.level_dbfs)
        np.testing.assert_allclose(frame.raw, other.raw, rtol=0, atol=1e-6)


@pytest.mark.slow
@few
@given(hop=st.sampled_from([1, 3, 20, 31, 150]), gap=st.floats(0.05, 40), before=st.integers(0, 40_000))
def test_every_window_is_accounted_for_whatever_the_hop(hop: int, gap: float, before: int) -> None:
    tagger = make_tagger(hop=hop)
    frames = tagger.push(SOUND[:before], 16_000)
    tagger.gap(gap, new_stream=True)
    tagger.feed(SOUND[:50_000], 16_000)
    skipped = min(2, tagger.due)
    tagger.skip(skipped)
    frames += tagger.results()
    assert_on_the_grid(frames, hop)
    assert_all_accounted(tagger, frames, skipped)


# --- other streams --------------------------------------------------------------------------------------------------


def test_after_a_gap_the_stream_may_be_another() -> None:
    tagger = make_tagger()
    frames = tagger.push(sound(44_100, 2, 2), 44_100)
    tagger.gap(3.0, new_stream=True)
    frames += tagger.push(sound(48_000, 2), 48_000)
    tagger.gap(0.5, new_stream=True)
    frames += tagger.push(sound(16_000, 2, 2), 16_000)
    assert_on_the_grid(frames)
    assert_all_accounted(tagger, frames)
    assert tagger.samples_in == 2 * (44_100 + 48_000 + 16_000)
    assert tagger.seconds_in == pytest.approx(6)
    assert tagger.frames_in == pytest.approx((9.5 - 0.032) / 0.016, abs=1.5)
    alone = make_tagger()
    alone.gap(7.5, new_stream=True)  # when the last of them begins
    last = {frame.index: frame for frame in frames}
    after = [frame for frame in alone.push(sound(16_000, 2, 2), 16_000) if frame.time > 7.5 + tagger.window]
    assert len(after) > 20
    for frame in after:
        assert_same(last[frame.index], frame)


def test_a_gap_may_come_before_any_sample() -> None:
    tagger, silent = make_tagger(), make_tagger()
    tagger.gap(0.7)
    tagger.gap(2.3)
    frames = tagger.push(SOUND[:30_000], 16_000)
    everything = {
        frame.index: frame for frame in silent.push(np.append(np.zeros(48_000, np.float32), SOUND[:30_000]), 16_000)
    }
    assert tagger.frames_in == silent.frames_in
    assert frames
    for frame in frames:
        assert_same(frame, everything[frame.index])
    assert_all_accounted(tagger, frames)


def test_values_that_are_no_samples_are_counted_across_streams() -> None:
    tagger = make_tagger()
    for rate in (16_000, 16_000, 48_000):
        tagger.feed(np.full(10, np.nan, np.float32), rate)
        tagger.gap(2, new_stream=True)
    assert tagger.nonfinite == 30


def test_levels_are_kept_for_no_longer_than_they_are_asked_for() -> None:
    tagger = make_tagger()
    for _ in range(200):
        tagger.feed(SOUND[:16_000], 16_000)
        tagger.skip(tagger.due)
    assert len(tagger._timeline._power) < 100
