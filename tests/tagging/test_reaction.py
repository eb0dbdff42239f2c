"""Scores that react: through the whole path, on the demo clip, whose music changes at 8, 16 and 24 s."""

from __future__ import annotations

import functools
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

import streamtag
from streamtag.errors import OptionError
from streamtag.inference.factory import make_predictor
from streamtag.results import TagFrame
from streamtag.tagging.reaction import SHORT_FRAMES
from streamtag.tagging.tagger import Tagger

RATE = 44_100
CHANGES = (8.0, 16.0, 24.0)
LEAST = 0.2
"""A tag that changes by as much counts."""


@functools.cache
def song() -> np.ndarray:
    sound, rate = soundfile.read(
        Path(streamtag.__file__).with_name("demo") / "demo.ogg", dtype="float32", always_2d=True
    )
    assert rate == RATE
    return np.ascontiguousarray(sound.mean(axis=1), np.float32)


def part(begin: float, end: float) -> np.ndarray:
    return song()[round(begin * RATE) : round(end * RATE)]


def tagger(**options: Any) -> Tagger:
    return Tagger("MTT_musicnn", **{"hop": 0.064, "level": "auto", **options})


@functools.cache
def heard(react: str) -> tuple[TagFrame, ...]:
    return tuple(tagger(react=react).push(song(), RATE))


def half_way(frames: tuple[TagFrame, ...]) -> list[float]:
    """Seconds from each change to where each tag that changes is past the middle between its levels, for good."""
    times = np.array([frame.time for frame in frames])
    raw, scores = (np.stack([getattr(frame, name) for frame in frames]) for name in ("raw", "scores"))
    found = []
    for at in CHANGES:
        before = raw[(times > at - 1) & (times <= at)].mean(axis=0)
        after = raw[(times > at + 3) & (times <= at + 7)].mean(axis=0)
        until = (times > at) & (times < at + 7)
        for tag in np.flatnonzero(np.abs(after - before) >= LEAST):
            beyond = (scores[until, tag] > (before + after)[tag] / 2) == (after > before)[tag]
            found.append(float(times[until][np.flatnonzero(~beyond)[-1]] - at) if not beyond.all() else 0.0)
    return found


@pytest.mark.slow
def test_scores_follow_a_change_sooner_the_quicker_they_are_asked_to() -> None:
    median = {react: float(np.median(half_way(heard(react)))) for react in ("off", "calm", "normal", "quick")}
    assert median["quick"] <= median["normal"] <= median["calm"] < median["off"] - 0.8, median
    assert median["normal"] < 1.2


def test_what_the_network_says_is_the_same() -> None:
    for one, other in zip(heard("off"), heard("normal"), strict=True):
        np.testing.assert_array_equal(one.raw, other.raw)
        np.testing.assert_array_equal(one.embedding, other.embedding)
        assert one.time == other.time


def test_sections_are_found_where_they_begin_and_nowhere_else() -> None:
    begins = [frame.time - frame.section for frame in heard("normal") if frame.section is not None]
    assert begins == pytest.approx(CHANGES, abs=0.7)


def test_change_is_great_at_changes_and_small_while_the_music_goes_on() -> None:
    values = {frame.time: frame.change for frame in heard("normal")}
    assert all(value is not None and 0 <= value <= 1 for value in values.values())
    for at in CHANGES:
        near = [value for time, value in values.items() if at < time < at + 1.5 and value is not None]
        far = [value for time, value in values.items() if at + 3 < time < at + 7.5 and value is not None]
        assert max(near) > 3 * float(np.median(far))
        assert max(near) > 0.2
    assert all(frame.change is None and frame.section is None for frame in heard("off"))


@pytest.mark.slow
@settings(deadline=None, max_examples=8)
@given(cuts=st.lists(st.integers(1, 4 * RATE), min_size=1, max_size=12))
def test_chunks_change_nothing(cuts: list[int]) -> None:
    music = part(5, 13)
    options: dict[str, Any] = {"react": "normal", "hop": 0.128, "gate": -60.0}
    whole = tagger(**options).push(music, RATE)
    pieces = tagger(**options)
    found = []
    for block in np.split(music, sorted(cut for cut in set(cuts) if cut < len(music))):
        found += pieces.push(block, RATE)
    assert found == whole


def test_the_short_window_is_that_of_a_tagger_of_its_own() -> None:
    """After a change only it counts: scores are then a mean of what a tagger with windows of 1 s says."""
    alone = tagger(window=SHORT_FRAMES * 0.016, smooth=0).push(part(0, 12), RATE)
    low, high = (np.stack([frame.raw for frame in alone if 8 < frame.time < 9.6]) for _ in range(2))
    beside = [frame.scores for frame in heard("quick") if 9.0 < frame.time < 9.5]
    settled = [frame.scores for frame in heard("quick") if frame.time <= 8][-1]
    for scores in beside:
        assert (scores <= np.maximum(high.max(axis=0), settled) + 1e-6).all()
        assert (scores >= np.minimum(low.min(axis=0), settled) - 1e-6).all()


def test_after_rest_the_first_scores_are_there_at_once() -> None:
    quiet = np.zeros(5 * RATE, np.float32)
    frames = tagger(react="normal", gate=-60.0).push(np.concatenate((part(0, 6), quiet, part(16, 24))), RATE)
    rested = [frame for frame in frames if frame.gated]
    assert rested
    assert all(frame.change is None for frame in rested)
    plain = tagger(gate=-60.0).push(np.concatenate((part(0, 6), quiet, part(16, 24))), RATE)
    back = [frame.time for frame in frames if frame.time > 11.2 and frame.on]
    assert back[0] < next(frame.time for frame in plain if frame.time > 11.2 and frame.on) - 0.3


@pytest.mark.slow
@pytest.mark.parametrize("action", ["skip", "gap", "long gap", "reset_history", "reset", "hop", "lose"])
def test_it_goes_on_whatever_happens(action: str) -> None:
    subject = tagger(react="normal")
    before = subject.push(part(2, 8), RATE)
    match action:
        case "skip":
            subject.feed(part(8, 10), RATE)
            subject.skip(subject.due)
        case "gap":
            subject.gap(0.5)
        case "long gap":
            subject.gap(100.0)
        case "reset_history":
            subject.reset_history()
        case "reset":
            subject.reset()
        case "hop":
            subject.set_hop(0.032)
        case "lose":
            subject.lose(3000, RATE)
    frames = subject.push(part(16, 23.5), RATE)
    assert len(frames) > 60
    assert len(before) > 30
    for frame in frames:
        assert np.isfinite(frame.scores).all()
        assert frame.change is None or 0 <= frame.change <= 1
    calm = [frame for frame in frames if frame.time > frames[-1].time - 3]
    assert np.median([frame.change for frame in calm if frame.change is not None]) < 0.3


@pytest.mark.parametrize(
    ("model", "window", "given"), [("MTT_vgg", 3.0, False), ("MTT_musicnn", 1.5, False), ("MTT_musicnn", 3.0, True)]
)
def test_where_there_is_no_short_window_smoothing_is_plain(model: str, window: float, given: bool) -> None:
    options: dict[str, Any] = {"hop": 0.512, "window": window, "react": "quick"}
    if given:
        options["predictor"] = make_predictor(model, 187, 32)
    frames = Tagger(model, **options).push(part(6, 12), RATE)
    plain = Tagger(model, hop=0.512, window=window, smooth=0.3).push(part(6, 12), RATE)
    assert frames
    for one, other in zip(frames, plain, strict=True):
        np.testing.assert_array_equal(one.scores, other.scores)
        assert one.change is None


def test_it_is_steady() -> None:
    """On music that goes on, names change places less often."""

    def changes(frames: tuple[TagFrame, ...]) -> int:
        names = [[tag for tag, _ in frame.top] for frame in frames if frame.time % 8 > 4]
        return sum(one != other for one, other in itertools.pairwise(names))

    assert 0 < changes(heard("normal")) < 0.7 * changes(heard("off"))


def test_refuses_another_way() -> None:
    with pytest.raises(OptionError, match="react 'fast': expected off, calm, normal, quick"):
        tagger(react="fast")
