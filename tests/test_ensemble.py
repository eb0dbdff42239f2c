"""Several sessions at once: their frames are those of each alone, one that fails harms no other, names are told."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from streamtag import Ensemble, JsonLines, OscSink, live
from streamtag.engine import Session
from streamtag.ensemble import Together
from streamtag.errors import OptionError, StreamtagError
from streamtag.osc.control import ControlPort, carry_out
from streamtag.osc.sink import message
from streamtag.results import State, TagFrame
from streamtag.sinks.base import BaseSink, SessionInfo
from tests.support.osc import Receiver
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow
QUICK: Any = {"window": 1, "hop": 0.064, "calibration": None, "music": "off"}


class Kept(BaseSink):
    """Keeps what it is told."""

    name = "kept"

    def __init__(self) -> None:
        self.info: SessionInfo | None = None
        self.frames: list[TagFrame] = []
        self.states: list[State] = []
        self.threads: set[str] = set()

    def open(self, info: SessionInfo) -> None:
        self.info = info

    def frame(self, frame: TagFrame) -> None:
        self.frames.append(frame)
        self.threads.add(threading.current_thread().name)

    def status(self, stats: Any) -> None:
        self.states.append(stats.state)


@pytest.fixture
def second(music: Path, tmp_path: Path) -> Path:
    """Two seconds of music."""
    import soundfile

    samples, rate = soundfile.read(music, frames=2 * 44_100)
    soundfile.write(tmp_path / "second.wav", samples, rate)
    return tmp_path / "second.wav"


def heard(path: Path, *sinks: Any, **options: Any) -> Session:
    return live("MTT_musicnn", path, sinks, **QUICK, **options)


def test_each_hears_what_it_hears_alone(second: Path) -> None:
    alone = Kept()
    with heard(second, alone) as session:
        session.wait()
    kept = {name: Kept() for name in "abcd"}
    with Ensemble({name: heard(second, sink) for name, sink in kept.items()}, threads=2) as ensemble:
        assert ensemble.wait(60)
    for name, sink in kept.items():
        assert sink.info is not None
        assert sink.info.input == name
        assert sink.states[-1] is State.FINISHED
        assert len(sink.frames) == len(alone.frames)
        for frame, expected in zip(sink.frames, alone.frames, strict=True):
            np.testing.assert_array_equal(frame.raw, expected.raw)
    assert set().union(*(sink.threads for sink in kept.values())) <= {"streamtag-engine-1", "streamtag-engine-2"}
    assert ensemble.stats["a"].hops == len(alone.frames)


def test_one_that_fails_ends_alone_and_its_error_comes_at_the_end(
    second: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> list[TagFrame]:
        raise RuntimeError("broken")

    failing, others = Kept(), Kept()
    ensemble = Ensemble({"broken": heard(second, failing, loop=True), "well": heard(second, others, loop=True)})
    ensemble.start()
    try:
        wait_until(lambda: len(failing.frames) > 3 and len(others.frames) > 3, "frames of both")
        monkeypatch.setattr(ensemble["broken"].tagger, "step", fail)
        wait_until(lambda: ensemble["broken"].stats.state is State.FAILED, "the end of one")
        before = len(others.frames)
        wait_until(lambda: len(others.frames) > before + 10, "that the other goes on")
        assert ensemble.stats["broken"].trouble == "broken"
        assert not ensemble.wait(0)
    finally:
        ensemble.stop()
    with pytest.raises(RuntimeError, match="broken"):
        ensemble.wait()


def test_one_can_be_stopped_from_its_own_sink_and_from_outside(second: Path) -> None:
    class Stopping(Kept):
        session: Session

        def frame(self, frame: TagFrame) -> None:
            super().frame(frame)
            self.session.stop()

    stopping, other = Stopping(), Kept()
    stopping.session = heard(second, stopping, loop=True)
    with Ensemble({"one": stopping.session, "two": heard(second, other, loop=True)}) as ensemble:
        wait_until(lambda: ensemble.stats["one"].state is State.FINISHED, "its end")
        assert len(stopping.frames) == 1
        wait_until(lambda: len(other.frames) > 3, "frames of the other")
        ensemble["two"].stop()
        assert other.states[-1] is State.FINISHED
        assert ensemble.wait(10)


def test_what_cannot_be_opened_closes_all_also_what_was_not_begun(second: Path) -> None:
    class Refusing(Kept):
        def open(self, info: SessionInfo) -> None:
            raise StreamtagError("no")

    sessions = {"a": heard(second), "b": heard(second, Refusing()), "c": heard(second)}
    control = ControlPort("127.0.0.1", 0)
    ensemble = Ensemble(sessions, control=control)
    with pytest.raises(StreamtagError, match="no"):
        ensemble.start()
    assert all(session._loop.ended.is_set() for session in sessions.values())
    assert ensemble.wait(0), "there is nothing to wait for"
    assert not [each for each in threading.enumerate() if each.name.startswith("streamtag")]


def test_what_runs_already_is_left_alone(second: Path) -> None:
    kept = Kept()
    with heard(second, kept, loop=True) as running:
        with pytest.raises(StreamtagError, match="was started before"):
            Ensemble({"new": (new := heard(second)), "old": running}).start()
        new.stop()
        before = len(kept.frames)
        wait_until(lambda: len(kept.frames) > before + 3, "that it goes on")
    with Ensemble({"a": heard(second, again := Kept(), loop=True)}) as ensemble:
        with pytest.raises(StreamtagError, match="was started before"):
            ensemble.start()
        before = len(again.frames)
        wait_until(lambda: len(again.frames) > before + 3, "that it goes on")


def test_a_sink_may_stop_all_on_the_one_thread_that_there_is(second: Path) -> None:
    class StoppingAll(Kept):
        ensemble: Ensemble

        def frame(self, frame: TagFrame) -> None:
            super().frame(frame)
            self.ensemble["other"].stop()
            self.ensemble.stop()

    sink, other = StoppingAll(), Kept()
    sink.ensemble = Ensemble(
        {"one": heard(second, sink, loop=True), "other": heard(second, other, loop=True)}, threads=1
    )
    sink.ensemble.start()
    assert sink.ensemble.wait(60)
    assert sink.states[-1] is other.states[-1] is State.FINISHED


@pytest.mark.parametrize("names", [[], ["a b"], ["ä"], [""], ["x" * 33], ["a", "A"]])
def test_names_that_cannot_be(names: list[str]) -> None:
    with pytest.raises(OptionError):
        Ensemble(dict.fromkeys(names, SimpleNamespace()))  # type: ignore[arg-type]


def test_osc_and_json_say_which_input(second: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import json
    import sys

    receiver = Receiver()
    sessions = {
        name: heard(second, OscSink("127.0.0.1", receiver.port), JsonLines(sys.stdout)) for name in ("a", "b-2")
    }
    with Ensemble(sessions) as ensemble:
        ensemble.wait(60)
    addresses = {address for address, *_ in receiver.messages()}
    assert {"/streamtag/in/a/frame", "/streamtag/in/b-2/tag/guitar", "/streamtag/in/b-2/status"} <= addresses
    assert all(address.startswith(("/streamtag/in/a/", "/streamtag/in/b-2/")) for address in addresses)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["input"] for line in lines} == {"a", "b-2"}
    receiver.socket.close()


def test_a_desk_steers_all_or_one(second: Path) -> None:
    sessions = {"a": heard(second, loop=True), "b": heard(second, loop=True)}
    control = ControlPort("127.0.0.1", 0)
    with Ensemble(sessions, control=control) as ensemble:
        together = Together(ensemble.sessions)
        assert carry_out(message("/streamtag/in/a/pause").dgram, together)
        wait_until(lambda: ensemble.stats["a"].state is State.PAUSED, "the pause of one")
        assert ensemble.stats["b"].state is State.RUNNING
        carry_out(message("/streamtag/pause").dgram, together)
        wait_until(lambda: ensemble.stats["b"].state is State.PAUSED, "the pause of all")
        for wrong in ("/streamtag/in/c/pause", "/streamtag/in/a/nothing", "/streamtag/correct", "/streamtag/in/a"):
            with pytest.raises(OptionError):
                carry_out(message(wrong, "rock").dgram, together)
    with pytest.raises(OptionError, match="one input here"):
        carry_out(message("/streamtag/in/a/pause").dgram, sessions["a"])


def test_waiting_ends_in_time(second: Path) -> None:
    with Ensemble({"a": heard(second, loop=True)}) as ensemble:
        began = time.monotonic()
        assert not ensemble.wait(0.2)
        assert time.monotonic() - began >= 0.2
