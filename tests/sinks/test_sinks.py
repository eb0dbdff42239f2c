"""Sinks: on a thread of their own, as lines, and on a terminal."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from streamtag.errors import OptionError
from streamtag.results import Stats, TagFrame
from streamtag.sinks.background import CLOSE_SECONDS, Background
from streamtag.sinks.base import SessionInfo
from streamtag.sinks.lines import JsonLines, TextLines
from streamtag.sinks.throttled import Throttled
from tests.support.values import INFO, make_frame, make_head, make_stats
from tests.support.waiting import wait_until


class Gate:
    """A sink that blocks in `frame` until it is let go."""

    name = "gate"

    def __init__(self, error: Exception | None = None) -> None:
        self.drops = 0
        self.open_for = threading.Event()
        self.arrived = threading.Event()
        self.done: list[object] = []
        self.thread: threading.Thread | None = None
        self._error = error

    def open(self, info: SessionInfo) -> None:
        self.done.append(info)

    def frame(self, frame: TagFrame) -> None:
        self.thread = threading.current_thread()
        self.arrived.set()
        self.open_for.wait(30)
        if self._error:
            raise self._error
        self.done.append(frame.index)

    def status(self, stats: Stats) -> None:
        self.done.append(stats)

    def close(self) -> None:
        self.done.append("closed")


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open_for.set()


# --- on a thread of its own ---------------------------------------------------------------------------------------


def test_what_is_told_arrives_in_order_on_another_thread(gate: Gate) -> None:
    gate.open_for.set()
    sink = Background(gate)
    sink.open(INFO)
    for index in range(5):
        sink.frame(make_frame(index))
    sink.close()
    assert gate.done == [INFO, 0, 1, 2, 3, 4, "closed"]
    assert gate.thread is not threading.current_thread()
    assert sink.drops == 0
    assert sink.name == "gate"


def test_a_blocked_sink_delays_nobody_and_loses_the_oldest_by_exact_count(gate: Gate) -> None:
    sink = Background(gate, waiting=4)
    sink.open(INFO)
    sink.frame(make_frame(0))
    gate.arrived.wait(10)
    for index in range(1, 101):  # while it is blocked: whoever waited for it would wait for ever
        sink.frame(make_frame(index))
        sink.status(make_stats(hops=index))
    assert sink.drops == 96
    gate.open_for.set()
    sink.close()
    assert [item for item in gate.done if isinstance(item, int)] == [0, 97, 98, 99, 100]
    assert [item.hops for item in gate.done if isinstance(item, Stats)] == [100], "only the newest status is kept"
    assert gate.done[-1] == "closed"


def test_a_display_loses_nothing_by_missing_frames(gate: Gate) -> None:
    sink = Background(gate, waiting=1, count_drops=False)
    sink.open(INFO)
    sink.frame(make_frame(0))
    gate.arrived.wait(10)
    for index in range(1, 10):
        sink.frame(make_frame(index))
    gate.open_for.set()
    sink.close()
    assert [item for item in gate.done if isinstance(item, int)] == [0, 9]
    assert sink.drops == 0


class Failing(Gate):
    """A sink that fails at some frames, and at the end if asked to."""

    def __init__(self, fails: dict[int, BaseException], at_the_end: Exception | None = None) -> None:
        super().__init__()
        self._fails, self._at_the_end = fails, at_the_end

    def frame(self, frame: TagFrame) -> None:
        if frame.index in self._fails:
            raise self._fails[frame.index]
        self.done.append(frame.index)

    def close(self) -> None:
        super().close()
        if self._at_the_end:
            raise self._at_the_end


def test_an_error_costs_its_frame_alone_and_the_first_surfaces_once_at_the_end() -> None:
    first = OSError("first")
    gate = Failing({1: first, 3: ValueError("second")}, OSError("at the end"))
    sink = Background(gate)
    sink.open(INFO)
    for index in range(6):
        sink.frame(make_frame(index))
    sink.status(make_stats())
    with pytest.raises(OSError, match="first"):
        sink.close()
    assert [item for item in gate.done if isinstance(item, int)] == [0, 2, 4, 5]
    assert gate.done[-1] == "closed"
    assert (sink.drops, sink.errors, sink.first_error) == (2, 3, first)
    sink.close()


def test_an_error_at_a_status_or_at_the_end_surfaces_there_too(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "status", lambda stats: 1 / 0)
    sink = Background(gate)
    sink.open(INFO)
    sink.status(make_stats())
    with pytest.raises(ZeroDivisionError):
        sink.close()
    assert gate.done == [INFO, "closed"]

    sink = Background(Failing({}, OSError("at the end")))
    sink.open(INFO)
    with pytest.raises(OSError, match="at the end"):
        sink.close()
    assert (sink.drops, sink.errors) == (0, 1)


@pytest.mark.parametrize("call", ["frame", "status", "close"])
def test_a_reader_who_has_left_ends_it_and_surfaces_once_at_the_next_call(call: str) -> None:
    gate = Failing({2: BrokenPipeError("gone")})
    sink = Background(gate)
    with sink._changed:  # so that all of them wait when the thread comes to the first
        sink.open(INFO)
        for index in range(5):
            sink.frame(make_frame(index))
    wait_until(lambda: gate.done[-1] == "closed", "the sink to be closed")
    assert sink.drops == 3
    with pytest.raises(BrokenPipeError, match="gone"):
        {"frame": lambda: sink.frame(make_frame(5)), "status": lambda: sink.status(make_stats()), "close": sink.close}[
            call
        ]()
    sink.frame(make_frame(6))
    sink.status(make_stats())
    sink.close()
    assert gate.done == [INFO, 0, 1, "closed"]
    assert sink.drops == (5 if call == "frame" else 4), "what was told to nobody is counted, too"


@pytest.mark.slow
def test_the_end_waits_two_seconds_for_a_stuck_sink_and_counts_what_is_lost(gate: Gate) -> None:
    sink = Background(gate)
    sink.open(INFO)
    for index in range(4):
        sink.frame(make_frame(index))
    gate.arrived.wait(10)
    assert not sink.stuck
    assert sink.drops == 0
    began = time.monotonic()
    sink.close()
    assert CLOSE_SECONDS == 2
    assert 1.9 < time.monotonic() - began < 20
    assert sink.stuck
    assert sink.drops == 4, "the one that it is stuck with, too"
    gate.open_for.set()
    sink._thread.join(10)
    assert not sink.stuck
    assert gate.done == [INFO, 0, "closed"]
    assert sink.drops == 3, "what was counted as lost is not written after all"


@pytest.mark.slow
def test_a_sink_that_is_stuck_at_its_end_has_lost_nothing(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "frame", lambda frame: None)
    monkeypatch.setattr(gate, "close", lambda: gate.open_for.wait(30))
    sink = Background(gate)
    sink.open(INFO)
    sink.frame(make_frame())
    sink.close()
    assert sink.stuck
    assert sink.drops == 0


@pytest.mark.slow
def test_a_sink_that_fails_after_it_was_stuck_is_counted_once(gate: Gate) -> None:
    gate._error = OSError("disk full")
    sink = Background(gate)
    sink.open(INFO)
    sink.frame(make_frame())
    gate.arrived.wait(10)
    sink.close()
    assert sink.drops == 1
    gate.open_for.set()
    sink._thread.join(10)
    assert sink.drops == 1
    assert sink.errors == 1


def test_what_wraps_a_sink_says_what_the_sink_says(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    for wrapped in (Background(gate), Throttled(gate, 10), Throttled(Background(gate), 10)):
        assert (wrapped.drops, wrapped.trouble, wrapped.stuck) == (0, None, False)
    gate.drops = 7
    monkeypatch.setattr(gate, "trouble", "unreachable", raising=False)
    monkeypatch.setattr(gate, "stuck", True, raising=False)
    for wrapped in (Background(gate), Throttled(gate, 10), Throttled(Background(gate), 10)):
        assert (wrapped.drops, wrapped.trouble) == (7, "unreachable")
    assert Throttled(gate, 10).stuck


def test_closing_what_was_never_opened_is_no_error(gate: Gate) -> None:
    Background(gate).close()
    assert gate.done == []


# --- less often ---------------------------------------------------------------------------------------------------


def test_a_throttled_sink_is_told_at_its_rate_and_of_every_lasting_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    heard: list[TagFrame] = []
    monkeypatch.setattr(gate, "frame", heard.append)
    sink = Throttled(gate, 10)
    sink.open(replace(INFO, hop=0.016))
    switches = {
        2: (("rock", True), ("pop", True)),
        3: (("pop", False),),
        4: (("jazz", True),),
        8: (("rock", False),),
    }
    for index in range(626):
        sink.frame(make_frame(index, time=3.008 + 0.016 * index, switched=switches.get(index, ())))
    times = [frame.time for frame in heard]
    assert len(heard) == pytest.approx(101, abs=1), "10 s of them"
    assert max(np.abs(np.diff(times) - 0.1)) <= 0.0161
    assert (heard[0].index, heard[0].switched) == (0, ())
    assert dict(heard[1].switched) == {"rock": True, "jazz": True}
    assert dict(heard[2].switched) == {"rock": False}
    assert not any(frame.switched for frame in heard[3:])
    sink.status(make_stats())
    sink.close()
    assert gate.done[-1] == "closed"
    assert (sink.name, sink.drops) == ("gate", 0)


def test_the_first_frame_at_rest_passes_at_once_and_only_that(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    heard: list[TagFrame] = []
    monkeypatch.setattr(gate, "frame", heard.append)
    sink = Throttled(gate, 1)
    sink.open(replace(INFO, hop=0.1))
    resting = {*range(13, 16), *range(32, 60)}  # 13: shortly after one was passed on; twice
    for index in range(60):
        switched = (("rock", False),) if index == 13 else ()
        sink.frame(make_frame(index, time=10 + 0.1 * index, gated=index in resting, switched=switched))
    assert [frame.index for frame in heard] == [0, 10, 13, 23, 32, 42, 52]
    assert [frame.gated for frame in heard] == [index in resting for index in (0, 10, 13, 23, 32, 42, 52)]
    assert heard[2].switched == (("rock", False),)


def test_a_throttled_sink_is_told_of_every_lasting_switch_of_each_head(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    heard: list[TagFrame] = []
    monkeypatch.setattr(gate, "frame", heard.append)
    sink = Throttled(gate, 1)
    sink.open(replace(INFO, hop=0.1))
    moods = {1: (("calm", True), ("wild", True)), 2: (("wild", False),), 12: (("calm", False),)}
    places = {3: (("calm", True),)}  # another head's class of the same name
    for index in range(31):
        heads = (make_head("mood", switched=moods.get(index, ())), make_head("place", switched=places.get(index, ())))
        sink.frame(make_frame(index, time=10 + 0.1 * index, heads=heads))
    assert [frame.index for frame in heard] == [0, 10, 20, 30]
    assert [[dict(head.switched) for head in frame.heads] for frame in heard] == [
        [{}, {}],
        [{"calm": True}, {"calm": True}],
        [{"calm": False}, {}],
        [{}, {}],
    ]
    assert not any(frame.switched for frame in heard)


def test_a_rate_above_the_hops_loses_none_and_a_gap_is_not_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    heard: list[int] = []
    monkeypatch.setattr(gate, "frame", lambda frame: heard.append(frame.index))
    sink = Throttled(gate, 15)
    sink.open(INFO)  # 15.6 hops a second
    for index in range(30):
        sink.frame(make_frame(index))
    sink.frame(make_frame(30, time=60.0))
    sink.frame(make_frame(31, time=60.016))
    assert len(heard) >= 29
    assert heard[-1] == 30
    for rate in (0, -1, float("nan")):
        with pytest.raises(OptionError, match="rate of"):
            Throttled(gate, rate)


# --- lines --------------------------------------------------------------------------------------------------------


class CountingStream(io.StringIO):
    flushed = 0

    def flush(self) -> None:
        self.flushed += 1
        super().flush()


def test_text_lines() -> None:
    stream = CountingStream()
    sink = TextLines(stream)
    sink.open(INFO)
    before = stream.flushed
    sink.frame(make_frame())
    assert stream.flushed == before + 1, "a line is not kept back"
    sink.status(make_stats())
    sink.frame(make_frame(2000, level_dbfs=-120.0, top=(("House", 1.0),)))
    sink.close()
    assert stream.getvalue() == (
        "    3.01 s   -18.2 dBFS  rock 0.43  female vocalists 0.30  pop 0.05\n  131.01 s  -120.0 dBFS  House 1.00\n"
    )


def test_json_lines() -> None:
    stream = CountingStream()
    sink = JsonLines(stream)
    sink.open(INFO)
    before = stream.flushed
    sink.frame(make_frame())
    assert stream.flushed == before + 1
    sink.close()
    (line,) = stream.getvalue().splitlines()
    said = json.loads(line)
    del said["captured"], said["sent"]
    assert said == {
        "t": 3.008,
        "top": [["rock", 0.4322], ["female vocalists", 0.3], ["pop", 0.05]],
        "on": ["rock"],
        "level_dbfs": -18.2,
        "latency_ms": 31.4,
    }


def test_json_lines_say_when_on_the_clock_of_other_machines() -> None:
    stream = io.StringIO()
    before, captured = time.time(), time.monotonic()
    JsonLines(stream).frame(make_frame(captured=captured - 5))
    after = time.time()
    line = json.loads(stream.getvalue())
    assert before - 1e-6 <= line["sent"] <= after + 1e-6
    assert line["captured"] == pytest.approx(before - 5, abs=1e-3)


def test_json_lines_say_when_the_network_rested() -> None:
    stream = io.StringIO()
    sink = JsonLines(stream)
    sink.frame(make_frame())
    sink.frame(make_frame(1, gated=True))
    asked, rested = map(json.loads, stream.getvalue().splitlines())
    assert "rested" not in asked
    assert rested["rested"] is True


def test_json_lines_say_the_gain_where_there_is_one() -> None:
    stream = io.StringIO()
    sink = JsonLines(stream)
    sink.frame(make_frame())
    sink.frame(make_frame(1, gain_db=12.46))
    plain, raised = map(json.loads, stream.getvalue().splitlines())
    assert "gain_db" not in plain
    assert raised["gain_db"] == 12.5


def test_json_lines_with_the_embedding() -> None:
    stream = io.StringIO()
    sink = JsonLines(stream, embeddings=True)
    frame = make_frame()
    sink.frame(frame)
    line = json.loads(stream.getvalue())
    assert set(line) == {"t", "top", "on", "level_dbfs", "latency_ms", "captured", "sent", "embedding"}
    np.testing.assert_allclose(line["embedding"], frame.embedding, atol=5e-7)


def test_json_stays_json_without_a_clock_and_in_silence() -> None:
    stream = io.StringIO()
    JsonLines(stream).frame(make_frame(captured=None, predicted=None, level_dbfs=-120.0, top=(), on=frozenset()))
    silence = {"t": 3.008, "top": [], "on": [], "level_dbfs": -120.0, "latency_ms": 0.0}
    assert json.loads(stream.getvalue()) == silence
