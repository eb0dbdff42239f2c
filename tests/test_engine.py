"""The live session, pumped by hand and by its thread, with a source that is a script and a judge that is arithmetic."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from pythonosc.udp_client import SimpleUDPClient

import streamtag
from streamtag.dsp.params import FRAME_SECONDS, LevelOption
from streamtag.engine import Session
from streamtag.errors import DeviceError, OptionError, SinkError, StreamtagError
from streamtag.inference.networks.specs import SPECS
from streamtag.osc.control import ControlPort
from streamtag.realtime.callback import NONFINITE, OVERFLOWS
from streamtag.results import ENDED, TRANSITIONS, State, Stats, TagFrame
from streamtag.session.listeners import WAITING_FRAMES
from streamtag.session.loop import STATUS_SECONDS
from streamtag.session.pipeline import TOLERATED_BACKLOG_SECONDS
from streamtag.sinks.background import Background
from streamtag.sinks.throttled import Throttled
from streamtag.sources.file import FileSource
from streamtag.tagging.tagger import Tagger
from tests.support.program import START_SECONDS
from tests.support.sessions import (
    FRAME,
    HOP,
    HOP_SAMPLES,
    RATE,
    SOUND,
    WINDOW,
    Clock,
    Judge,
    Recorder,
    ScriptedSession,
    ScriptedSource,
    few,
    last_sample,
    make_session,
    make_tagger,
    pump,
    windows_in,
)
from tests.support.waiting import wait_until


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


def end_by_hand(session: ScriptedSession) -> None:
    """What the thread does when the source has ended."""
    session.source.end()
    pump(session)
    session.stop()


def assert_all_accounted(session: ScriptedSession) -> None:
    """At the end: every sample came in or was lost; every hop that passed is in one of the four."""
    stats, tagger = session.stats, session.tagger
    assert stats.samples_captured == stats.samples_in + stats.samples_lost
    passed = tagger.next_index
    assert stats.hops + stats.hops_gated + stats.hops_skipped + stats.hops_lost == passed
    assert tagger.due == 0, "none is left that was not counted"


def wait_for_hops(session: ScriptedSession, count: int, what: str) -> None:
    wait_until(lambda: session.stats.hops >= count, what)


def deliver_slowly(session: ScriptedSession, windows: int) -> None:
    """Deliver so many windows one by one, each judged before the next: nothing is skipped."""
    for window in range(windows):
        wanted = session.stats.hops + 1
        session.source.deliver(last_sample(0) if session.source.position == 0 else round(session.tagger.hop * RATE))
        wait_for_hops(session, wanted, f"window {window}")


def assert_same(one: TagFrame, other: TagFrame) -> None:
    for field in fields(TagFrame):
        if field.name not in ("captured", "arrived", "predicted"):
            np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name), err_msg=field.name)


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("streamtag")]
    assert not left


# --- by hand ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@few
@given(st.lists(st.integers(0, HOP_SAMPLES), min_size=20, max_size=60))
def test_frames_are_those_of_the_tagger_however_sound_comes(blocks: list[int]) -> None:
    sink = Recorder()
    session = make_session(sink)
    session.prepare()
    for block in blocks:
        session.source.deliver(block)
        while session.step():
            pass
    session.stop()
    expected = make_tagger().push(SOUND[: sum(blocks)], RATE)
    assert len(sink.frames) == len(expected) == windows_in(sum(blocks))
    for frame, wanted in zip(sink.frames, expected, strict=True):
        assert_same(frame, wanted)


def test_a_step_with_nothing_to_do_says_so() -> None:
    session = make_session()
    session.prepare()
    assert not session.step()
    session.source.deliver(1)
    assert session.step()
    assert not session.step()


def test_all_but_the_newest_window_are_given_up_when_behind() -> None:
    sink = Recorder()
    session = make_session(sink)
    session.prepare()
    session.source.deliver(last_sample(9))
    assert session.step()
    assert [frame.index for frame in sink.frames] == [9]
    assert (session.stats.hops, session.stats.hops_skipped) == (1, 9)
    assert sink.frames[0].time == pytest.approx(last_sample(9) / RATE)
    np.testing.assert_array_equal(sink.frames[0].raw, make_tagger().push(SOUND[: last_sample(9)], RATE)[9].raw)


@pytest.mark.slow
@few
@given(st.lists(st.integers(0, 3 * RATE // 2), min_size=1, max_size=8))
def test_every_window_is_either_judged_or_counted_as_skipped(blocks: list[int]) -> None:
    sink = Recorder()
    session = make_session(sink)
    session.prepare()
    for block in blocks:
        session.source.deliver(block)
        session.step()
        left = session.tagger.due
        assert session.stats.hops + session.stats.hops_skipped + left == windows_in(session.tagger.samples_in)
        assert left <= 1
    session.source.end()
    pump(session)
    existed = windows_in(sum(blocks))
    indices = [frame.index for frame in sink.frames]
    assert indices == sorted(set(indices))
    if existed:
        assert session.stats.hops + session.stats.hops_skipped == existed
        assert indices[-1] == existed - 1
    session.stop()


def test_a_burst_of_the_sound_card_is_judged_late_rather_than_skipped() -> None:
    sink = Recorder()
    session = make_session(sink, hop=1)
    session.prepare()
    session.source.deliver(last_sample(0, 1))
    session.step()
    burst = int(TOLERATED_BACKLOG_SECONDS / FRAME_SECONDS)
    assert burst == 6
    session.source.deliver(burst * FRAME)
    while session.step():
        pass
    assert [frame.index for frame in sink.frames] == list(range(1 + burst))
    assert session.stats.hops_skipped == 0
    session.source.deliver((burst + 1) * FRAME)
    while session.step():
        pass
    assert (sink.frames[-1].index, session.stats.hops_skipped) == (2 * burst + 1, burst)


def test_a_judge_slower_than_the_hop_gets_no_burst() -> None:
    session = make_session(judge=Judge(cost=0.03), hop=1)
    session.prepare()
    session.source.deliver(last_sample(0, 1))
    session.step()
    for _ in range(12):
        session.source.deliver(FRAME)
        session.step()
    assert session.stats.hops_skipped == 0
    session.source.deliver(3 * FRAME)
    session.step()
    assert session.stats.hops_skipped == 2


def test_latency_runs_from_the_capture_of_the_newest_sample() -> None:
    sink = Recorder()
    session = make_session(sink)
    session.prepare()
    now = time.monotonic()
    session.source.deliver(last_sample(0) + 100, captured=now - 0.5)
    before = time.monotonic()
    session.step()
    after = time.monotonic()
    session.source.deliver(HOP_SAMPLES, captured=now - 0.25)
    session.step()
    first, second = sink.frames
    assert first.captured is not None
    assert first.predicted is not None
    assert first.captured == pytest.approx(now - 0.5 - 100 / RATE, abs=1e-6)
    assert second.captured == pytest.approx(now - 0.25 - 100 / RATE, abs=1e-6)
    assert before <= first.predicted <= after
    assert first.latency_ms == pytest.approx(1e3 * (first.predicted - first.captured))
    assert first.latency_ms > 500
    assert session.stats.latency_p99 == pytest.approx(first.latency_ms, rel=0.03)


def test_a_file_shorter_than_a_window_gives_one_frame_at_its_end() -> None:
    sink = Recorder()
    session = make_session(sink)
    session.prepare()
    session.source.deliver(2000)
    while session.step():
        pass
    assert not sink.frames
    session.source.end()
    pump(session)
    assert len(sink.frames) == 1
    assert sink.frames[0].index == 0
    assert 0 <= sink.frames[0].latency_ms < 5000, "the window ends after the file; its latency is still the file's"


def test_nothing_at_all_gives_no_frame() -> None:
    sink = Recorder()
    session = make_session(sink)
    session.prepare()
    session.source.end()
    pump(session)
    assert not sink.frames
    assert session.stats.latency_p50 == 0


def test_statuses_come_at_each_change_and_each_second(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = Recorder()
    session = make_session(sink)
    now = time.monotonic()
    monkeypatch.setattr("streamtag.session.loop.time.monotonic", lambda: now)
    session.prepare()
    assert [stats.state for stats in sink.states] == [State.RUNNING]
    session.step()
    assert len(sink.states) == 1
    now += STATUS_SECONDS + 0.1
    session.step()
    assert [stats.state for stats in sink.states] == [State.RUNNING] * 2
    session.step()
    assert len(sink.states) == 2


def test_counters_agree_with_what_happened() -> None:
    sink = Recorder()
    sink.drops = 7
    session = make_session(sink)
    session.prepare()
    capacity = session.source.ring.capacity
    session.source.deliver(capacity + 123)  # into an empty ring: 123 find no room
    session.source.ring.memory[OVERFLOWS] += 2
    session.source.ring.memory[NONFINITE] += 3
    session.step()
    stats = session.stats
    assert (stats.samples_in, stats.samples_lost, stats.overflows, stats.nonfinite) == (capacity, 123, 2, 3)
    assert stats.seconds == capacity / RATE
    assert (stats.hops, stats.hops + stats.hops_skipped) == (1, windows_in(capacity))
    assert stats.sink_drops == {"recorder": 7}
    assert stats.state is State.RUNNING


def test_a_sink_is_told_what_it_will_hear() -> None:
    sink = Recorder()
    make_session(sink).prepare()
    info = sink.info
    assert info is not None
    assert (info.model, info.labels) == ("MSD_musicnn", SPECS["MSD_musicnn"].labels)
    assert (info.embedding_size, info.source, info.samplerate, info.engine) == (200, "script", RATE, "full patch")
    assert (info.hop, info.window) == pytest.approx((HOP * 0.016, WINDOW * 0.016))


# --- requests -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@few
@given(before=st.integers(0, 20), during=st.integers(0, 30), after=st.integers(1, 20))
def test_pausing_leaves_windows_out_and_those_after_are_exact(before: int, during: int, after: int) -> None:
    sink = Recorder()
    session = make_session(sink, smooth=0.5)
    session.prepare()
    for number in range(before + during + after):
        if number == before:
            session.pause()
        if number == before + during:
            session.resume()
        pump(session)  # what is asked for soon after something else is carried out a moment later
        session.source.deliver(last_sample(0) if number == 0 else HOP_SAMPLES)
        pump(session)
        assert session.stats.state is (State.PAUSED if before <= number < before + during else State.RUNNING)
    everything = make_tagger().push(SOUND[: last_sample(before + during + after - 1)], RATE)
    indices = [frame.index for frame in sink.frames]
    assert indices == [*range(before), *range(before + during, before + during + after)]
    for frame in sink.frames:
        np.testing.assert_array_equal(frame.raw, everything[frame.index].raw)
    assert session.stats.hops_gated == during
    assert not any(frame.gated for frame in sink.frames)
    end_by_hand(session)
    assert_all_accounted(session)


def test_a_session_that_ends_while_paused_says_no_more() -> None:
    sink = Recorder()
    session = make_session(sink)
    session.prepare()
    session.pause()
    session.source.deliver(2000)  # less than a window, which would be repeated
    pump(session)
    end_by_hand(session)
    assert not sink.frames
    assert_all_accounted(session)


def test_reset_lets_go_and_begins_with_silence(clock: Clock) -> None:
    sink = Recorder()
    session = make_session(sink, threshold=0.05)
    session.prepare()
    clock.play(session, 1.0)
    last = sink.frames[-1]
    assert last.on
    clock.wait(session, 0.0131)
    session.reset()
    pump(session)
    gone = sink.frames[-1]
    assert gone.gated
    assert gone.time == pytest.approx(1.0131), "at the moment it was asked for"
    assert {label for label, _ in gone.switched} == last.on
    assert not gone.on
    assert not gone.scores.any()
    clock.play(session, 1.0)
    frames = [frame for frame in sink.frames if not frame.gated]
    assert [frame.index for frame in frames] == list(range(len(frames)))
    new = frames[last.index + 1]
    assert new.raw.max() < last.raw.max() / 2, "most of its window is silence"
    np.testing.assert_array_equal(new.scores, new.raw)
    everything = make_tagger().push(SOUND[: 2 * RATE], RATE)
    np.testing.assert_array_equal(frames[-1].raw, everything[-1].raw)
    end_by_hand(session)
    assert_all_accounted(session)


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(0.064, 0.016), (0.032, 0.32), (0.512, 0.064), (0.064, 1.0)])
def test_a_new_hop_is_taken_on_and_every_window_accounted_for(before: float, after: float, clock: Clock) -> None:
    sink = Recorder()
    session = ScriptedSession(ScriptedSource(), Tagger(window=0.32, hop=before, smooth=0), [sink])
    session.prepare()
    clock.play(session, 1.5, block=256)
    session.set_hop(after)
    clock.play(session, 2.5, block=256)
    assert session.tagger.hop == pytest.approx(after, abs=0.0081)
    exact = {round(frame.time, 3): frame.raw for frame in Tagger(window=0.32, hop=0.016).push(SOUND[: 4 * RATE], RATE)}
    for frame in sink.frames:
        np.testing.assert_allclose(frame.raw, exact[round(frame.time, 3)], atol=1e-5)
    late = [frame.time for frame in sink.frames if frame.time > 3]
    np.testing.assert_allclose(np.diff(late), session.tagger.hop, atol=1e-9)
    end_by_hand(session)
    assert_all_accounted(session)


def test_windows_that_were_due_when_the_hop_changes_are_counted() -> None:
    sink = Recorder()
    session = ScriptedSession(ScriptedSource(), Tagger(window=0.32, hop=0.016), [sink])
    session.prepare()
    session.source.deliver(last_sample(5, 1))
    session.step()
    assert session.tagger.due == 5
    session.set_hop(0.064)
    session.source.deliver(RATE)
    pump(session)
    assert session.stats.hops_skipped >= 5
    end_by_hand(session)
    assert_all_accounted(session)


def test_what_is_on_its_way_at_the_end_is_counted() -> None:
    """Also in a ring that was not read yet."""
    session = make_session()
    session.prepare()
    session.source.deliver(last_sample(3))
    session.source.come_back()
    session.source.deliver(last_sample(2))
    session.stop()
    assert session.stats.samples_in == last_sample(3) + last_sample(2)
    assert session.stats.hops == 0
    assert_all_accounted(session)


def test_what_cannot_be_is_refused_where_it_is_asked_for() -> None:
    session = ScriptedSession(ScriptedSource(), Tagger(window=0.32))
    refused: list[tuple[Callable[[Any], None], Any]] = [
        *((session.set_hop, bad) for bad in (0, -1, float("nan"), float("inf"), 3601, "1", None)),
        *((session.set_top, bad) for bad in (0, -1, 51, 2.5, "5")),
        *((session.set_threshold, bad) for bad in (0, 1.01, float("nan"), "0.2")),
        (make_session().set_hop, 0.1),  # whose predictor was given
    ]
    for change, bad in refused:
        with pytest.raises(OptionError):
            change(bad)
    assert not session.requests_waiting


# --- the input goes and comes back --------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [RATE, 48_000, 44_100])
def test_an_input_that_goes_and_comes_back_leaves_a_gap_of_its_length(rate: int, clock: Clock) -> None:
    sink = Recorder()
    session = make_session(sink, threshold=0.05)
    session.prepare()
    began = clock.now
    clock.play(session, 1.0)
    assert sink.frames[-1].on
    on = sink.frames[-1].on
    session.source.go()
    clock.wait(session, 0.5)
    assert (session.stats.state, session.stats.trouble) == (State.RECOVERING, "unplugged")
    gone = sink.frames[-1]
    assert (gone.gated, gone.on, bool(gone.scores.any())) == (True, frozenset(), False)
    assert {label for label, _ in gone.switched} == on
    assert gone.time == pytest.approx(1.5), "so long after the last sample"
    assert session.stats.gate_closed
    told = len(sink.frames)
    clock.wait(session, 4.2)
    assert len(sink.frames) == told, "once is enough"
    session.source.come_back(rate)
    clock.wait(session, 0.05)
    assert session.stats.gaps == 0, "its length is known with the first sample"
    clock.play(session, 2.0, block=rate // 20)
    assert (session.stats.state, session.stats.trouble, session.stats.gaps) == (State.RUNNING, None, 1)
    assert session.stats.gap_seconds == pytest.approx(0.5 + 4.2 + 0.05)
    judged = [frame for frame in sink.frames if not frame.gated]
    assert judged[-1].time > 7.6
    for frame in judged:
        assert frame.time == pytest.approx((last_sample(frame.index)) / RATE)
        assert frame.captured is not None
        assert frame.arrived is not None
        assert frame.predicted is not None
        # to a sample where a rate does not divide 16 ms
        assert began + frame.time == pytest.approx(frame.captured, abs=1 / rate if rate == 44_100 else 1e-6)
        assert frame.captured <= frame.arrived + 1e-6
        assert frame.arrived <= frame.predicted + 1e-6
    assert session.stats.hops_lost > 60
    end_by_hand(session)
    assert_all_accounted(session)
    assert session.stats.samples_captured == RATE + 2 * rate


def test_what_was_heard_before_a_gap_is_judged_before_it() -> None:
    sink = Recorder()
    session = make_session(sink, hop=1)
    session.prepare()
    session.source.deliver(last_sample(5, 1))
    session.source.go()
    session.source.come_back()
    session.source.deliver(RATE)
    pump(session)
    assert [frame.index for frame in sink.frames][:6] == list(range(6))
    end_by_hand(session)
    assert_all_accounted(session)


def test_an_input_that_was_never_there_leaves_no_gap(clock: Clock) -> None:
    """A device that has to be opened twice before its first sample: time begins with that."""
    sink = Recorder()
    session = make_session(sink)
    session.prepare()
    session.source.go()
    clock.wait(session, 3.0)
    assert session.stats.state is State.RECOVERING
    session.source.come_back(48_000)
    clock.play(session, 1.0)
    judged = [frame for frame in sink.frames if not frame.gated]
    assert judged[0].time == pytest.approx(last_sample(0) / RATE)
    assert (session.stats.gaps, session.stats.gap_seconds) == (0, 0)
    end_by_hand(session)
    assert_all_accounted(session)


def test_an_input_that_goes_while_paused_is_let_go_of_at_once(clock: Clock) -> None:
    sink = Recorder()
    session = make_session(sink, threshold=0.05)
    session.prepare()
    clock.play(session, 1.0)
    session.pause()
    pump(session)
    told = len(sink.frames)
    session.source.go()
    clock.wait(session, 1.0)
    assert session.stats.state is State.RECOVERING
    assert len(sink.frames) == told + 1, "a light that was on would stay on"
    assert not sink.frames[-1].on
    session.resume()
    clock.wait(session, 1.0)
    assert len(sink.frames) == told + 1


# --- states -------------------------------------------------------------------------------------------------------

ALL_PAIRS = list(itertools.product(State, State))


@pytest.mark.parametrize(("before", "after"), ALL_PAIRS)
def test_only_what_the_table_says_may_follow(before: State, after: State) -> None:
    if after in TRANSITIONS[before]:
        assert before.to(after) is after
    else:
        with pytest.raises(StreamtagError, match=f"{before.value} cannot become {after.value}"):
            before.to(after)


def be(session: ScriptedSession, state: State) -> None:
    """Bring a session on its thread into a state."""
    source = session.source
    if state is State.PAUSED:
        session.pause()
    if state is State.RUNNING:
        session.resume()
    if state is State.RECOVERING:
        source.go()
    elif source.recovering and state not in ENDED:
        source.come_back()
    if state is State.FINISHED:
        source.end()
    if state is State.FAILED:
        source.end(DeviceError("unplugged for good"))
    wait_until(lambda: session.stats.state is state, f"the session to be {state.value}")


LIVING = (State.RUNNING, State.RECOVERING, State.PAUSED)


@pytest.mark.parametrize(
    ("before", "after"),
    [(before, after) for before, after in ALL_PAIRS if before in LIVING and after in TRANSITIONS[before]],
)
def test_what_may_follow_does(before: State, after: State) -> None:
    sink = Recorder()
    session = make_session(sink)
    session.start()
    be(session, before)
    be(session, after)
    session.stop()
    assert sink.states[0].state is State.RUNNING
    passed = [state for state, _ in itertools.groupby(stats.state for stats in sink.states)]
    assert passed[-2:] == [before, after] if after in ENDED else passed[-3:] == [before, after, State.FINISHED]


# --- on its thread ------------------------------------------------------------------------------------------------


def test_a_session_runs_to_the_end_of_its_source() -> None:
    log: list[str] = []
    one, two = Recorder("one", log=log), Recorder("two", log=log)
    session = make_session(one, two, source=ScriptedSource(log=log))
    with session:
        deliver_slowly(session, 5)
        session.source.deliver(HOP_SAMPLES)
        session.source.end()
        assert session.wait(10)
    assert [frame.index for frame in one.frames] == list(range(6))
    assert two.frames == one.frames
    assert [stats.state for stats in one.states][:1] == [State.RUNNING]
    assert [stats.state for stats in one.states][-1] == State.FINISHED
    assert one.states[-1].hops == 6
    opened, ended = ["one opened", "two opened", "source started"], ["source stopped", "one closed", "two closed"]
    assert log == opened + ended
    assert session.stats.state is State.FINISHED


def test_iterating_gives_every_frame_and_ends_with_the_source() -> None:
    session = make_session()
    heard: list[int] = []

    def listen() -> None:
        heard.extend(frame.index for frame in session)

    with session:
        listener = threading.Thread(target=listen)
        listener.start()
        wait_until(lambda: session.listening, "the listener")
        deliver_slowly(session, 10)
        session.source.end()
        listener.join(10)
        assert not listener.is_alive()
    assert heard == list(range(10))
    assert session.stats.frame_drops == 0


@pytest.mark.slow
def test_frames_that_a_late_caller_misses_are_counted() -> None:
    session = make_session(hop=1)
    first: list[TagFrame] = []
    frames = iter(session)
    with session:
        listener = threading.Thread(target=lambda: first.append(next(frames)))
        listener.start()
        wait_until(lambda: session.listening, "the listener")
        deliver_slowly(session, 1)
        listener.join(10)
        deliver_slowly(session, WAITING_FRAMES + 30)
        session.source.end()
        rest = list(frames)
    assert first[0].index == 0
    assert [frame.index for frame in rest] == list(range(31, WAITING_FRAMES + 31))
    assert session.stats.frame_drops == 30


def test_stopping_ends_the_iteration_and_drops_what_was_not_judged() -> None:
    session = make_session()
    with session:
        threading.Timer(0.05, session.stop).start()
        assert list(session) == []
    assert session.stats.state is State.FINISHED


def test_stop_may_come_twice_or_before_the_start() -> None:
    session = make_session()
    session.stop()
    session = make_session()
    session.start()
    session.stop()
    session.stop()
    assert session.wait(1)
    assert session.source.log == ["source started", "source stopped"]


def test_wait_gives_up_in_time() -> None:
    with make_session() as session:
        began = time.monotonic()
        assert not session.wait(0.05)
        assert 0.04 < time.monotonic() - began < 30


def test_a_signal_that_ends_the_waiting_does_not_end_the_flushing() -> None:
    class ComeAwayError(Exception):
        pass

    def interrupt(*_: object) -> None:
        raise ComeAwayError

    class Slow(Recorder):
        def close(self) -> None:
            time.sleep(0.3)
            super().close()

    sink = Slow()
    session = make_session(sink)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        session.start()
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(ComeAwayError):
            session.wait(10)
    finally:
        signal.signal(signal.SIGALRM, before)
        session.stop()
    assert sink.log == ["recorder opened", "recorder closed"]


# --- errors -------------------------------------------------------------------------------------------------------


def test_a_source_that_cannot_start_closes_what_was_opened() -> None:
    log: list[str] = []
    source = ScriptedSource(DeviceError("in use"), log)
    session = make_session(Recorder("one", log=log), Recorder("two", log=log), source=source)
    with pytest.raises(DeviceError, match="in use"), session:
        pytest.fail("must not start")
    assert log == ["one opened", "two opened", "source stopped", "one closed", "two closed"]


def test_a_sink_that_cannot_open_closes_those_before_it_only() -> None:
    log: list[str] = []
    sinks = Recorder("one", log=log), Recorder("two", ["open"], log), Recorder("three", log=log)
    session = make_session(*sinks, source=ScriptedSource(log=log))
    with pytest.raises(SinkError, match="two failed at open"):
        session.start()
    assert log == ["one opened", "source stopped", "one closed"]
    assert session.wait(1), "after a start that failed there is nothing to wait for"


def fail_in_source() -> tuple[ScriptedSession, type[Exception], str]:
    return make_session(Recorder()), DeviceError, "unplugged"


def fail_in_judge() -> tuple[ScriptedSession, type[Exception], str]:
    return make_session(Recorder(), judge=Judge(fails_at=2)), RuntimeError, "the judge is ill"


class FaultyPort(ControlPort):
    def handle(self, packet: bytes, sender: str, controls: object) -> None:
        raise RuntimeError("a fault of ours")


def fail_in_control() -> tuple[ScriptedSession, type[Exception], str]:
    return make_session(Recorder(), control=FaultyPort("127.0.0.1", 0)), RuntimeError, "a fault of ours"


def provoke(session: ScriptedSession) -> None:
    """Let whatever is to fail do so."""
    session.source.deliver(last_sample(0))
    wait_until(lambda: session.stats.hops or session.stats.state is State.FAILED, "the first window")
    session.source.deliver(HOP_SAMPLES)
    if session.control is not None:
        tell(session, "/streamtag/top", 3)
    else:  # if the judge has failed before, nobody asks the source any more
        session.source.end(DeviceError("unplugged"))


FAILURES = pytest.mark.parametrize("failing", [fail_in_source, fail_in_judge, fail_in_control])


@FAILURES
def test_the_first_error_is_raised_where_the_caller_waits(failing) -> None:
    session, kind, message = failing()
    session.start()
    provoke(session)
    with pytest.raises(kind, match=message):
        session.wait(10)
    good = session.sinks[-1]
    assert isinstance(good, Recorder)
    assert session.stats.state is State.FAILED
    assert session.source.log == ["source started", "source stopped"]
    assert good.log == [f"{good.name} opened", f"{good.name} closed"]
    assert [stats.state for stats in good.states] == [State.RUNNING, State.FAILED]


@FAILURES
def test_the_first_error_is_raised_where_the_caller_iterates(failing) -> None:
    session, kind, message = failing()
    session.start()
    threading.Thread(target=provoke, args=(session,)).start()
    with pytest.raises(kind, match=message):
        list(session)


@FAILURES
def test_the_first_error_is_raised_where_the_caller_leaves(failing) -> None:
    session, kind, message = failing()

    def body() -> None:
        with session:
            provoke(session)
            wait_until(lambda: session.stats.state is State.FAILED, "the failure")

    with pytest.raises(kind, match=message):
        body()


def test_the_callers_own_error_is_not_covered_by_the_sessions() -> None:
    session = make_session(judge=Judge(fails_at=1))

    def body() -> None:
        with session:
            session.source.deliver(last_sample(0))
            wait_until(lambda: session.stats.state is State.FAILED, "the failure")
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        body()


def test_sinks_are_closed_even_if_one_of_them_fails_to() -> None:
    log: list[str] = []
    sinks = Recorder("one", ["close"], log), Recorder("two", ["close"], log), Recorder("three", log=log)
    session = make_session(*sinks, source=ScriptedSource(log=log))
    session.start()
    session.source.end()
    with pytest.raises(SinkError, match="one failed at close"):
        session.wait(10)
    assert log[-4:] == ["source stopped", "one closed", "two closed", "three closed"]


def test_the_first_error_is_kept_when_closing_fails_too() -> None:
    session = make_session(Recorder("bad", ["close", "failed"]), judge=Judge(fails_at=1))
    session.start()
    session.source.deliver(last_sample(0))
    with pytest.raises(RuntimeError, match="the judge is ill"):
        session.wait(10)


def test_a_sink_that_fails_at_the_last_status_is_heard_of() -> None:
    session = make_session(Recorder("bad", ["finished"]))
    session.start()
    session.source.end()
    with pytest.raises(SinkError, match="bad failed at finished"):
        session.wait(10)


def test_what_came_before_a_source_failed_is_judged() -> None:
    sink = Recorder()
    session = make_session(sink)
    session.start()
    session.source.deliver(last_sample(0))
    session.source.end(DeviceError("unplugged"))
    with pytest.raises(DeviceError):
        session.wait(10)
    assert [frame.index for frame in sink.frames] == [0]


# --- sinks that fail ----------------------------------------------------------------------------------------------


class Leaver(Recorder):
    """A reader that goes away at its second frame."""

    def frame(self, frame: TagFrame) -> None:
        if self.frames:
            raise BrokenPipeError(32, "Broken pipe")
        super().frame(frame)


def test_a_sink_that_fails_is_called_again_and_heard_of_at_the_end() -> None:
    class Wavering(Recorder):
        def frame(self, frame: TagFrame) -> None:
            super().frame(frame)
            if frame.index in (1, 2):
                raise SinkError(f"no frame {frame.index}")

    bad, good = Wavering("bad"), Recorder("good")
    session = make_session(bad, good)
    session.start()
    deliver_slowly(session, 5)
    stats = session.stats
    assert stats.state is State.RUNNING
    assert stats.sink_drops == {"bad": 2, "good": 0}
    assert stats.sink_errors == {"bad": "SinkError: no frame 1"}
    assert not session.wait(0)
    session.source.end()
    with pytest.raises(SinkError, match="no frame 1"):
        session.wait(10)
    assert session.stats.state is State.FINISHED
    assert [frame.index for frame in bad.frames] == [frame.index for frame in good.frames] == list(range(5))
    assert [stats.state for stats in bad.states][-1] is State.FINISHED


@pytest.mark.parametrize("way", ["leaves", "iterates"])
def test_the_first_error_of_a_sink_is_raised_at_the_end_where_the_caller_is(way: str) -> None:
    session = make_session(Recorder("bad", ["frame"]))

    def body() -> None:
        with session:
            session.source.deliver(last_sample(0))
            wait_until(lambda: session.stats.sink_drops["bad"], "the failure")
            session.source.end()
            if way == "iterates":
                list(session)

    with pytest.raises(SinkError, match="bad failed at frame"):
        body()
    assert session.stats.state is State.FINISHED


def test_an_error_of_the_session_comes_before_one_of_a_sink() -> None:
    session = make_session(Recorder("bad", ["frame"]), judge=Judge(fails_at=2))
    session.start()
    provoke(session)
    with pytest.raises(RuntimeError, match="the judge is ill"):
        session.wait(10)


def test_a_reader_who_leaves_is_left_out_and_the_others_go_on() -> None:
    gone, good = Leaver("gone"), Recorder("good")
    session = make_session(gone, good)
    session.start()
    deliver_slowly(session, 5)
    session.source.end()
    with pytest.raises(BrokenPipeError):
        session.wait(10)
    assert session.stats.state is State.FINISHED
    assert (len(gone.frames), len(good.frames)) == (1, 5)
    assert [stats.state for stats in gone.states] == [State.RUNNING]
    assert gone.log[-1] == "gone closed"


def test_without_a_reader_left_the_session_ends() -> None:
    session = make_session(Leaver("one"), Leaver("two"))
    session.start()
    session.source.deliver(last_sample(0))
    wait_until(lambda: session.stats.hops, "the first window")
    session.source.deliver(HOP_SAMPLES)
    with pytest.raises(BrokenPipeError):
        session.wait(10)
    assert session.stats.state is State.FAILED
    assert session.source.log == ["source started", "source stopped"]


def test_with_somebody_who_iterates_left_it_goes_on() -> None:
    session = make_session(Leaver("one"))
    session.start()
    heard: list[TagFrame] = []
    caller = threading.Thread(target=lambda: heard.extend(itertools.islice(session, 5)))
    caller.start()
    wait_until(lambda: session.listening, "the caller")
    deliver_slowly(session, 5)
    caller.join(10)
    assert len(heard) == 5
    session.stop()
    with pytest.raises(BrokenPipeError):
        session.wait()


@pytest.mark.parametrize(
    ("sinks", "said"),
    [
        (Recorder(), "is no list: a list of sinks is expected, for example [OscSink('127.0.0.1', 9000)]"),
        (["127.0.0.1:9000"], "'127.0.0.1:9000' is no sink, for it has no name, open, close"),
        ([object()], "is no sink"),
    ],
)
def test_what_is_no_sink_is_refused_at_once(sinks: Any, said: str) -> None:
    with pytest.raises(OptionError) as caught:
        Session(ScriptedSource(), make_tagger(), sinks)
    assert said in str(caught.value)


# --- a desk -------------------------------------------------------------------------------------------------------


def tell(session: ScriptedSession, address: str, *values: float) -> None:
    """Send one message to the control port."""
    assert session.control is not None
    desk = SimpleUDPClient(*session.control.address)
    with desk:
        desk.send_message(address, values or [])


def test_a_desk_steers_a_session() -> None:
    sink = Recorder()
    session = ScriptedSession(
        ScriptedSource(), Tagger(window=0.32, hop=0.064, top=5), [sink], control=ControlPort("127.0.0.1", 0)
    )

    def told(address: str, *values: float) -> None:
        before = session.stats.control_commands
        tell(session, address, *values)
        wait_until(
            lambda: session.stats.control_commands > before and not session.requests_waiting, str((address, *values))
        )

    def refused(address: str, value: float, number: int) -> None:
        tell(session, address, value)
        wait_until(lambda: session.stats.control_ignored == number, f"{(address, value)} to be refused")

    def next_frame() -> TagFrame:
        before = len(sink.frames)
        session.source.deliver(round(session.tagger.hop * RATE))
        wait_until(lambda: len(sink.frames) > before, "a frame")
        return sink.frames[-1]

    with session:
        session.source.deliver(last_sample(0))
        wait_until(lambda: sink.frames, "the first frame")
        assert len(next_frame().top) == 5
        told("/streamtag/top", 3)
        assert len(next_frame().top) == 3
        told("/streamtag/threshold", 1e-4)
        assert len(next_frame().on) > 5
        told("/streamtag/hop", 0.128)
        one, other = next_frame(), next_frame()
        assert other.time - one.time == pytest.approx(0.128)
        told("/streamtag/pause")
        wait_until(lambda: session.stats.state is State.PAUSED, "the pause")
        told("/streamtag/resume")
        wait_until(lambda: session.stats.state is State.RUNNING, "the end of the pause")
        told("/streamtag/reset")
        wait_until(lambda: sink.frames[-1].gated, "all to be let go of")
        for number, bad in enumerate([("top", 51), ("top", 0), ("hop", 0), ("threshold", 2), ("volume", 1)], start=1):
            refused(f"/streamtag/{bad[0]}", bad[1], number)
        assert session.stats.control_commands == 6
        assert next_frame().index == other.index + 1
    assert session.stats.state is State.FINISHED
    assert_all_accounted(session)


def test_a_desk_cannot_end_a_session_whose_evaluator_was_given() -> None:
    session = make_session(control=ControlPort("127.0.0.1", 0))
    with session:
        tell(session, "/streamtag/hop", 0.1)
        wait_until(lambda: session.stats.control_ignored, "the refusal")
        deliver_slowly(session, 2)
    assert session.stats.state is State.FINISHED


def test_a_port_that_is_taken_closes_what_was_opened() -> None:
    taken = ControlPort("127.0.0.1", 0)
    taken.open(make_session())
    sink = Recorder()
    session = make_session(sink, control=ControlPort(*taken.address))
    try:
        with pytest.raises(StreamtagError, match="cannot listen for OSC"):
            session.start()
    finally:
        taken.close()
    assert sink.log == ["recorder opened", "recorder closed"]


# --- misuse -------------------------------------------------------------------------------------------------------


def test_a_session_is_started_once() -> None:
    session = make_session(Recorder())
    with session:
        with pytest.raises(StreamtagError, match="started before"):
            session.start()
        deliver_slowly(session, 2)
        assert session.stats.state is State.RUNNING, "the show goes on"
    with pytest.raises(StreamtagError, match="started before: make another"):
        session.start()


def test_a_tagger_serves_one_session_at_a_time() -> None:
    tagger = make_tagger()
    first, second = Session(ScriptedSource(), tagger), Session(ScriptedSource(), tagger)
    with first:
        with pytest.raises(StreamtagError, match="a tagger of its own"):
            second.start()
        assert first.stats.state is State.RUNNING
    second.stop()
    with Session(ScriptedSource(), tagger) as third:
        assert third.stats.state is State.RUNNING


def test_a_tagger_that_has_served_a_session_begins_anew() -> None:
    tagger = make_tagger()

    def frames_of() -> list[TagFrame]:
        source = ScriptedSource()
        source.deliver(RATE)
        source.end()
        with Session(source, tagger, [recorder := Recorder()]) as session:
            session.wait(60)
        return recorder.frames

    first, again = frames_of(), frames_of()
    assert first
    assert [(frame.time, frame.top) for frame in first] == [(frame.time, frame.top) for frame in again]


@pytest.mark.parametrize("what", ["source", "control port"])
def test_so_do_a_source_and_a_control_port(what: str) -> None:
    source, port = ScriptedSource(), ControlPort("127.0.0.1", 0)
    with Session(source, make_tagger(), control=port) as first:
        other = Session(source if what == "source" else ScriptedSource(), make_tagger(), control=port)
        with pytest.raises(StreamtagError, match=f"this {what} serves a session that runs: give each session a {what}"):
            other.start()
        assert first.stats.state is State.RUNNING


def test_sinks_and_a_control_port_serve_one_session_after_another() -> None:
    sinks = [Throttled(Background(recorder := Recorder()), 10), Background(Recorder())]
    port = ControlPort("127.0.0.1", 0)

    def serve() -> Stats:
        recorder.frames.clear()
        session = ScriptedSession(ScriptedSource(), make_tagger(), sinks, control=port)
        with session:
            deliver_slowly(session, 1)
            wait_until(lambda: recorder.frames, "frames")
            desk = SimpleUDPClient(*port.address)
            with desk:
                desk.send_message("/streamtag/pause", [])
            wait_until(lambda: session.stats.state is State.PAUSED, "the pause")
        return session.stats

    first, second = serve(), serve()
    assert (first.sink_errors, second.sink_errors) == ({}, {})


def test_a_file_is_played_once(music: Path) -> None:
    source = FileSource(music)
    with Session(source, make_tagger()):
        pass
    with pytest.raises(StreamtagError, match="played before: make another"):
        Session(source, make_tagger()).start()


def test_a_session_is_ended_once_whichever_threads_end_it() -> None:
    """A signal may come between a thread's beginning and its being known to have begun."""
    log: list[str] = []
    session = make_session(Recorder(log=log), source=ScriptedSource(log=log))
    session.prepare()
    loop = session._loop
    loop.stopping.set()
    enders = [threading.Thread(target=loop.run if place % 2 else loop.finish) for place in range(8)]
    for ender in enders:
        ender.start()
    for ender in enders:
        ender.join(60)
    assert log == ["recorder opened", "source started", "source stopped", "recorder closed"]
    assert session.stats.state is State.FINISHED
    session.wait()


def test_a_source_serves_one_session_at_a_time() -> None:
    log: list[str] = []
    source = ScriptedSource(log=log)
    first, second = make_session(source=source), make_session(source=source)
    with first:
        with pytest.raises(StreamtagError, match="a source of its own"):
            second.start()
        second.stop()
        assert log == ["source started"], "and whoever could not start stops nothing of the other's"
        deliver_slowly(first, 2)
    assert log == ["source started", "source stopped"]


@pytest.mark.parametrize("way", [SystemExit(3), KeyboardInterrupt()])
def test_whatever_a_sink_raises_when_it_is_closed_the_session_ends(way: BaseException) -> None:
    class Leaving(Recorder):
        def close(self) -> None:
            super().close()
            raise way

    log: list[str] = []
    session = make_session(Leaving("one", log=log), Recorder("two", log=log))
    session.start()
    session.stop()
    assert log == ["one opened", "two opened", "one closed", "two closed"]
    with pytest.raises(type(way)):
        session.wait(10)


@pytest.mark.slow
def test_a_session_that_nobody_holds_any_more_ends() -> None:
    log: list[str] = []
    source = ScriptedSource(log=log)
    session = make_session(Recorder(log=log), source=source)
    session.start()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        del session
        gc.collect()
    assert [str(warning.message) for warning in told] == ["a session was dropped without stop(), and ended"]
    wait_until(lambda: log == ["recorder opened", "source started", "source stopped", "recorder closed"], "the end")
    wait_until(lambda: not any(t.name == "streamtag-engine" for t in threading.enumerate()), "the thread to end")


AT_EXIT = """
import streamtag
from streamtag.sinks.base import BaseSink

class Printing(BaseSink):
    name = "printing"

    def close(self):
        print("closed", flush=True)

session = streamtag.live(input="demo", hop=0.064, sinks=[Printing()])
session.start()
"""


@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
def test_a_session_that_runs_when_the_program_ends_is_ended_in_order() -> None:
    done = subprocess.run([sys.executable, "-c", AT_EXIT], capture_output=True, text=True, timeout=START_SECONDS)
    assert (done.returncode, done.stdout, done.stderr) == (0, "closed\n", "")


HELD_AT_EXIT = """
import threading
import streamtag
import streamtag.engine
from streamtag.sinks.base import BaseSink

class Held(BaseSink):
    name = "held"

    def frame(self, frame):
        held.set()
        threading.Event().wait()

held = threading.Event()
streamtag.engine.LEAVING_SECONDS = 0.5
session = streamtag.live(input="demo", hop=0.064, sinks=[Held()])
session.start()
held.wait()
print("leaves", flush=True)
"""


@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
def test_a_sink_that_never_returns_does_not_hold_the_end_of_the_program() -> None:
    told = [sys.executable, "-W", "always", "-c", HELD_AT_EXIT]
    done = subprocess.run(told, capture_output=True, text=True, timeout=START_SECONDS)
    assert (done.returncode, done.stdout) == (0, "leaves\n")
    assert "a session did not end: one of its sinks does not return" in done.stderr


# --- forks --------------------------------------------------------------------------------------------------------

FORK = """
import os, sys, time
import streamtag
from streamtag.results import State

def wait_for(hops):
    while session.stats.hops < hops:
        assert not session.wait(0.01)

def refused(call):
    try:
        call()
    except streamtag.StreamtagError as error:
        return "fork" in str(error)
    return False

with streamtag.live(input="demo", hop=0.064) as session:
    wait_for(3)
    for _ in range(5):  # the engine's thread may hold any lock when a fork comes
        child = os.fork()
        if not child:
            assert refused(session.wait) and refused(lambda: next(iter(session)))
            session.stop()
            session.__exit__(None, None, None)
            print("child", session.stats.state.value)
            sys.exit(0)
        _, status = os.waitpid(child, 0)
        assert status == 0, status
    wait_for(session.stats.hops + 5)
assert session.stats.samples_lost == 0, session.stats
assert session.stats.state is State.FINISHED, session.stats
print("parent", session.stats.samples_captured == session.stats.samples_in)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.usefixtures("compiled")
def test_a_fork_leaves_the_session_to_the_parent() -> None:
    done = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, timeout=START_SECONDS)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.splitlines() == [*5 * ["child running"], "parent True"]


# --- the real thing -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [None, "off"])
@pytest.mark.slow
def test_live_tags_a_file_as_the_tagger_does(tmp_path: Path, level: LevelOption | None) -> None:
    path = tmp_path / "short.wav"
    samples = SOUND[: round(3.3 * RATE)]
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    with streamtag.live("MTT_musicnn", input=str(path), top=3, smooth=0, level=level, music="off") as session:
        frames = list(session)
    expected = streamtag.Tagger("MTT_musicnn", top=3, smooth=0, level=level or "auto").push(samples, RATE)
    assert session.stats.hops == len(expected) - session.stats.hops_skipped
    by_index = {frame.index: frame for frame in expected}
    for frame in frames:
        np.testing.assert_allclose(frame.raw, by_index[frame.index].raw, atol=1e-5)
        assert len(frame.top) == 3
        assert 0 < frame.latency_ms < 5000
    assert frames[-1].index == len(expected) - 1


def test_live_refuses_at_once_what_cannot_be() -> None:
    with pytest.raises(streamtag.ModelError, match="no model is called 'MSD'"):
        streamtag.live("MSD", input="demo")
    with pytest.raises(streamtag.AudioFileError, match=r"no/such\.wav: no such file"):
        streamtag.live(input="no/such.wav")
    with pytest.raises(OptionError, match="channel 3"):
        streamtag.live(input="demo", channels=(1, 3))
    assert not list(itertools.islice((t for t in threading.enumerate() if t.name.startswith("streamtag")), 1))


# --- from the options -------------------------------------------------------------------------------------------------


def test_a_session_that_was_never_started_closes_its_source(music: Path) -> None:
    session = streamtag.live(input="demo")
    assert isinstance(session.source, streamtag.FileSource)
    reader = session.source._reader
    assert not reader._closed
    session.stop()
    assert reader._closed
    session.stop()


def test_a_source_is_stopped_once() -> None:
    class Counting(ScriptedSource):
        stops = 0

        def stop(self) -> None:
            self.stops += 1
            super().stop()

    source = Counting()
    session = make_session(Recorder(), source=source)
    with session:
        source.deliver(last_sample(0))
    session.stop()
    assert source.stops == 1


def test_what_is_wrong_with_the_input_is_said_before_the_network_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*given: object, **more: object) -> None:
        raise AssertionError("the network was built first")

    monkeypatch.setattr("streamtag.tagging.tagger.make_predictor", never)
    with pytest.raises(streamtag.AudioFileError, match="no such file"):
        streamtag.live(input="no/such.wav")


def test_options_are_one_value_for_all_and_single_ones_come_on_top() -> None:
    options = streamtag.TaggingOptions(hop=0.064, top=3)
    assert streamtag.Tagger(options=options).hop == 0.064
    assert streamtag.Tagger("MTT_musicnn", options=options, hop=0.128).hop == 0.128
    with pytest.raises(OptionError, match="no option is called hopp"):
        streamtag.Tagger(hopp=0.1)  # type: ignore[call-arg]  # what a type checker would not let pass
    with pytest.raises(OptionError, match="gate"):
        streamtag.TaggingOptions(gate=float("nan"))


@pytest.mark.slow
def test_frames_come_to_asyncio_too_and_the_first_error() -> None:
    async def listen(session: Session) -> list[int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.01)

        ticking = asyncio.create_task(tick())
        heard = [frame.index async for frame in session]
        ticking.cancel()
        assert ticks > 3, "other tasks go on meanwhile"
        return heard

    with streamtag.live("MTT_musicnn", "demo", window=1, hop=0.25, music="off", calibration=None) as session:
        threading.Timer(2.0, session.stop).start()
        heard = asyncio.run(listen(session))
    assert heard == sorted(heard)
    assert heard

    async def take_one(session: Session) -> None:
        async for _ in session:
            return

    with streamtag.live("MTT_musicnn", "demo", window=1, hop=0.25, music="off", calibration=None) as session:
        asyncio.run(take_one(session))
    idle = streamtag.live("MTT_musicnn", "demo")
    with pytest.raises(StreamtagError, match="was not started"):
        asyncio.run(take_one(idle))
    idle.stop()
