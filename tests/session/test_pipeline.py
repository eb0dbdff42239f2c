"""Events in, frames out: without a source, without a thread, on a clock that the test holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from streamtag.results import TagFrame
from streamtag.session.commands import Pause, Reset, Resume, SetThreshold, SetTop
from streamtag.session.events import Back, Ended, Event, Gone, Lost, NewStream, Samples
from streamtag.session.pipeline import Pipeline
from tests.support.sessions import HOP_SAMPLES, RATE, SOUND, last_sample, make_tagger, windows_in


class Stopped:
    """Where the frames' time lies to a clock that began at 100."""

    def times(self, at: float) -> tuple[float, float]:
        return 100 + at, 100.01 + at

    def now(self) -> float:
        return 7.0


class Played:
    """A pipeline, and what it gave."""

    def __init__(self, **options: Any) -> None:
        self.frames: list[TagFrame] = []
        self.tagger = make_tagger(**options)
        self.pipeline = Pipeline(self.tagger, Stopped(), self.frames.append)

    def state(self) -> str:
        return self.pipeline.state.value

    def play(self, *events: Event) -> list[TagFrame]:
        """The frames that these events bring, each predicted before the next event."""
        before = len(self.frames)
        for event in events:
            self.pipeline.handle(event)
            while self.pipeline.predict():
                pass
        return self.frames[before:]


def sound(begin: int, end: int, rate: int = RATE) -> list[Event]:
    """Samples, a hop at a time."""
    return [Samples(SOUND[at : min(end, at + HOP_SAMPLES)], rate) for at in range(begin, end, HOP_SAMPLES)]


def test_samples_become_the_frames_of_the_tagger_with_their_times() -> None:
    frames = Played().play(*sound(0, RATE))
    expected = make_tagger().push(SOUND[:RATE], RATE)
    assert len(frames) == len(expected) == windows_in(RATE)
    for frame, wanted in zip(frames, expected, strict=True):
        np.testing.assert_array_equal(frame.raw, wanted.raw)
        assert (frame.captured, frame.arrived) == pytest.approx((100 + frame.time, 100.01 + frame.time))


def test_what_was_lost_stands_for_its_time() -> None:
    played = Played()
    played.play(*sound(0, RATE), Lost(1600, RATE))
    (*_, last) = played.play(*sound(RATE, 2 * RATE))
    silent = np.concatenate((SOUND[:RATE], np.zeros(1600, np.float32), SOUND[RATE : 2 * RATE]))
    np.testing.assert_array_equal(last.raw, make_tagger().push(silent, RATE)[-1].raw)
    assert played.tagger.hops_lost > 0


def test_an_input_that_goes_and_begins_anew_at_another_rate() -> None:
    played = Played(threshold=0.05)
    (*_, heard) = played.play(*sound(0, RATE))
    assert heard.on
    assert played.state() == "running"
    (gone,) = played.play(Gone(1.5))
    assert (gone.time, gone.on, gone.gated) == (1.5, frozenset(), True)
    assert played.state() == "recovering"
    assert played.play(Back()) == []
    assert played.state() == "running"
    frames = played.play(NewStream(48_000, 96_000), *sound(0, 48_000, 48_000))
    assert frames[0].time > 3
    assert frames[-1].time == pytest.approx(4, abs=0.1)


def test_the_end_gives_what_is_left_and_a_failure_does_not() -> None:
    played = Played()
    assert played.play(Samples(SOUND[:2000], RATE)) == []
    (only,) = played.play(Ended())
    assert only.index == 0
    assert played.pipeline.ended == Ended()
    failed = Played()
    error = OSError("unplugged")
    assert failed.play(Samples(SOUND[:2000], RATE), Ended(error)) == []
    assert failed.pipeline.ended == Ended(error)


def test_commands_are_events_like_others() -> None:
    played = Played(threshold=0.05)
    played.play(*sound(0, RATE))
    assert played.play(Pause(), *sound(RATE, 2 * RATE)) == []
    assert played.state() == "paused"
    resumed = played.play(Resume(), SetTop(2), SetThreshold(1.0), *sound(2 * RATE, 3 * RATE))
    assert {len(frame.top) for frame in resumed} == {2}
    assert not resumed[-1].on
    (reset,) = played.play(Reset())
    assert (reset.time, reset.gated) == (7.0, True), "at this moment, not at the end of a window"


def test_nothing_is_predicted_where_nothing_is_due() -> None:
    played = Played()
    assert played.pipeline.idle
    assert not played.pipeline.predict()
    played.pipeline.handle(Samples(SOUND[: last_sample(0)], RATE))
    assert not played.pipeline.idle
    assert played.pipeline.predict()
    assert played.pipeline.idle
