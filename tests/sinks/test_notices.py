"""What a person must know is told at once, when it is over, and rarely in between."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from streamtag.results import State
from streamtag.sinks.notices import BURST, BURST_SECONDS, FIRST_REPEAT_SECONDS, Notices
from tests.support.ports import free_udp_port
from tests.support.program import Running
from tests.support.values import INFO, make_stats
from tests.support.waiting import wait_until


class Told:
    """A sink and the lines that it wrote, on a clock that is set by hand."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        patch.setattr(time, "monotonic", lambda: self.now)
        self.lines: list[str] = []
        self.sink = Notices(self.lines.append)
        self.sink.open(INFO)

    def after(self, seconds: float, **changes: Any) -> list[str]:
        """The lines that a status this much later brings."""
        self.now += seconds
        before = len(self.lines)
        self.sink.status(make_stats(**changes))
        return self.lines[before:]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    return Told(monkeypatch)


GONE = {"trouble": "unplugged; waiting for it", "state": State.RECOVERING}


def test_an_input_that_goes_and_comes_back(told: Told) -> None:
    assert told.after(1) == []
    assert told.after(1, **GONE) == [f"note: {INFO.source}: unplugged; waiting for it"]
    assert told.after(1, **GONE) == []
    assert told.after(13) == [f"note: {INFO.source}: is back after 14 s"]
    assert told.after(1) == []


def test_receivers_and_warnings_each_by_name(told: Told) -> None:
    wrong = {"osc a:1": "nobody listens there", "osc b:2": "no route"}
    zeros = {"zeros": "muted?"}
    assert told.after(1, sink_trouble=wrong, warnings=zeros) == [
        f"note: {INFO.source}: muted?",
        "note: osc a:1: nobody listens there",
        "note: osc b:2: no route",
    ]
    wrong = {"osc b:2": "no address"}
    assert told.after(2, sink_trouble=wrong, warnings=zeros) == ["note: osc a:1: works again after 2 s"], "no news of b"
    assert told.after(1, sink_trouble=wrong) == [f"note: {INFO.source}: is heard now after 3 s"]


@pytest.mark.slow
def test_what_lasts_is_repeated_more_and_more_rarely(told: Told) -> None:
    lines = [line for _ in range(24 * 3600) for line in told.after(1, **GONE)]
    assert 5 < len(lines) < 35
    assert "(for 60 s now)" in lines[1]
    assert lines[0] == f"note: {INFO.source}: unplugged; waiting for it"
    assert told.after(FIRST_REPEAT_SECONDS / 2, **GONE) == []


def test_what_comes_and_goes_does_not_flood(told: Told) -> None:
    lines = [line for turn in range(600) for line in told.after(0.5, **(GONE if turn % 2 else {}))]
    assert len(lines) <= BURST * (300 / BURST_SECONDS + 1)
    assert any(re.search(r"\(\d+ more notes were left out\)", line) for line in lines)


def test_commands_that_are_ignored_are_told_once_a_minute_at_the_most(told: Told) -> None:
    lines = [
        line
        for second in range(120)
        for line in told.after(1, control_ignored=10 * second, control_last_ignored="/streamtag/hop: not OSC")
    ]
    assert lines == [
        "note: commands ignored: 10, the last: /streamtag/hop: not OSC",
        "note: commands ignored: 610, the last: /streamtag/hop: not OSC",
    ]
    assert told.after(600, control_ignored=610) == []


def test_the_end_is_no_news(told: Told) -> None:
    told.after(1, **GONE)
    assert told.after(1, state=State.FINISHED, trouble="unplugged; waiting for it") == []


@pytest.mark.usefixtures("compiled")
def test_the_program_tells_while_it_happens(start: Callable[..., Running], tmp_path: Path) -> None:
    path = tmp_path / "muted.wav"
    soundfile.write(path, np.zeros(60 * 16_000, np.int16), 16_000)
    deaf = f"127.0.0.1:{free_udp_port()}"
    running = start("live", "--input", str(path), "--format", "json", "--rate", "1", "--osc", deaf)
    wait_until(lambda: any("nobody listens" in line for line in running.errors), "the receiver to be missed", 60)
    wait_until(lambda: any("nothing but exact zeros so far" in line for line in running.errors), "the zeros", 60)
    assert running.process.poll() is None, "not only at the end"
    assert sum("exact zeros" in line for line in running.errors) == 1
    running.wait_for_lines(1)
    assert '"level_dbfs": -120.0' in running.lines[0]
