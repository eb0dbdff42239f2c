"""`streamtag live` as a user runs it."""

from __future__ import annotations

import itertools
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from streamtag.inference.networks.specs import SPECS
from tests.support.program import START_SECONDS, LiveRun, Running, run_cli, summary
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

Start = Callable[..., Running]
TEXT = re.compile(r" *[\d.]+ s +-?[\d.]+ dBFS(  [\w\- ]+ \d\.\d\d){5}")


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory, music: Path) -> Path:
    """One second of music."""
    path = tmp_path_factory.mktemp("sound") / "one second.wav"
    samples, rate = soundfile.read(music, frames=44_100)
    soundfile.write(path, samples, rate)
    return path


# --- runs ---------------------------------------------------------------------------------------------------------


def test_json_lines_for_as_long_as_asked(live_run: LiveRun) -> None:
    outcome = live_run.outcome
    assert outcome.status == 0
    counted = summary(outcome.message.splitlines()[-1])
    lines = outcome.json
    assert counted["hops"] + counted["skipped"] == pytest.approx((5 - 3) / 0.016, abs=20)
    assert counted["seconds"] == pytest.approx(5, abs=0.3)
    assert counted["lost"] == counted["overflows"] == 0
    assert 0 < counted["p50"] <= counted["p99"]
    for line in lines:
        about = {"t", "top", "on", "level_dbfs", "gain_db", "latency_ms", "captured", "sent", "embedding"}
        about |= {"calibrated", "music", "change", "xyz"}
        assert set(line) - {"status", "section"} == about
        assert all(0 <= line[name] <= 1 for name in ("music", "change"))
        assert all(-1 < value < 1 for value in line["xyz"])
        assert all(0 <= place <= 1 for _, place in line["calibrated"])
        assert 0 < line["sent"] - line["captured"] < 5
        assert len(line["embedding"]) == 200
        assert len(line["top"]) == 5
        assert {tag for tag, _ in line["top"]} <= set(SPECS["MSD_musicnn"].labels)
        scores = [score for _, score in line["top"]]
        assert all(0 <= later <= 1.35 * sooner + 0.016 for sooner, later in itertools.pairwise(scores)), "steady order"
        assert scores[0] <= 1
        assert -60 < line["level_dbfs"] < 0
        assert 0 < line["latency_ms"] < 5000
    times = [line["t"] for line in lines]
    assert times[0] == 3.008
    assert 10 < len(times) <= 30 * (times[-1] - times[0]) + 1, "30 results a second at the most, as by default"
    assert min(np.diff(times)) >= 0.016
    assert len(outcome.told) == 1, "nothing but the summary"


def test_ctrl_c_ends_it_with_everything_flushed(start: Start) -> None:
    running = start("live", "--input", "demo", "--hop", "0.032", "--rate", "100", "--smooth", "0")
    running.wait_for_lines(5)
    running.process.send_signal(signal.SIGINT)
    outcome = running.end(10)
    assert outcome.status == 130
    lines = outcome.stdout.splitlines()
    assert all(TEXT.fullmatch(line) for line in lines), lines
    assert summary(outcome.message.splitlines()[-1])["hops"] == len(lines)


def test_on_a_terminal_there_is_a_view_and_sigterm_ends_it(start: Start) -> None:
    ours, theirs = pty.openpty()  # ours holds both ends until all is read: the last words would be lost otherwise
    shown = b""
    told = False
    try:
        running = start("live", "--input", "demo", "--model", "MTT_musicnn", stdout=theirs, env={"TERM": "xterm"})
        until = time.monotonic() + START_SECONDS
        while running.process.poll() is None or select.select([ours], [], [], 0)[0]:
            assert time.monotonic() < until, shown
            if select.select([ours], [], [], 0.1)[0]:
                shown += os.read(ours, 65536)
                if re.search(rb" 0\.\d\d\b", shown) and not told:  # a score; the level is shown before
                    told = True
                    running.process.terminate()
                    until = min(until, time.monotonic() + 10)
        outcome = running.end(10)
    finally:
        os.close(ours)
        os.close(theirs)
    assert outcome.status == 143
    text = shown.decode()
    assert "finished" in text, "the last picture shows how it ended"
    assert "\x1b[?25h" in text.rpartition("\x1b[?25l")[2], "the cursor is shown again"
    assert summary(outcome.message.splitlines()[-1])["hops"] > 0


def test_a_reader_that_leaves_ends_it_quietly(start: Start) -> None:
    running = start("live", "--input", "demo", "--loop", "--format", "json", stdout=subprocess.PIPE)
    running.process.stdin = None
    running.wait_for_lines(1)
    first = running.lines[0]
    # the reading end closed, as `| head -1` does
    assert running.process.stdout is not None
    read_end = running.process.stdout.fileno()
    os.dup2(os.open(os.devnull, os.O_RDONLY), read_end)
    outcome = running.end(15)
    assert outcome.status == 0
    assert json.loads(first)["t"] > 0
    summary(outcome.message.splitlines()[-1])


@pytest.mark.usefixtures("compiled")
def test_a_pipe_that_was_left_not_to_wait_is_waited_for() -> None:
    """Whoever shares a pipe or terminal may have set it so; a reader who is slow is not a full disk."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    quick = ["--window", "1", "--rate", "100", "--format", "json", "--embeddings", "--duration", "4"]
    program = [sys.executable, "-m", "streamtag", "live", "--input", "demo", *quick]
    with subprocess.Popen(program, stdout=writing, stderr=subprocess.PIPE, text=True) as process:
        os.close(writing)
        assert select.select([reading], [], [], START_SECONDS)[0]
        time.sleep(2)  # of what it writes, a pipe holds a good part of a second
        with os.fdopen(reading) as lines:
            read = [json.loads(line) for line in lines]
        assert process.stderr is not None
        said = process.stderr.read()
    assert (process.returncode, "cannot" in said) == (0, False), said
    assert len(read) > 20


def test_a_short_file_from_a_program_without_stdin_or_stdout(second: Path) -> None:
    code = (
        "import os, sys; os.close(0); os.close(1); "
        "os.execv(sys.executable, [sys.executable, '-m', 'streamtag', 'live', *sys.argv[1:]])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--input", str(second)], stderr=subprocess.PIPE, text=True, timeout=START_SECONDS
    )
    assert done.returncode == 0, done.stderr
    assert summary(done.stderr.splitlines()[-1])["hops"] == 1


# --- in this process ----------------------------------------------------------------------------------------------


def test_a_file_is_played_to_its_end_and_a_short_one_gives_one_line(second: Path) -> None:
    outcome = run_cli("live", "--input", second, "--format", "json", "--top", 2, "--threshold", 1)
    assert outcome.status == 0, outcome.stderr
    (line,) = outcome.json
    assert len(line["top"]) == 2
    assert 0 <= line["latency_ms"] < 5000
    counted = summary(outcome.message.splitlines()[-1])
    assert (counted["hops"], counted["seconds"]) == (1, 1.0)


def test_a_loop_goes_on_until_the_duration_is_over(second: Path) -> None:
    outcome = run_cli(
        *("live", "--input", second, "--loop", "--window", 1.5, "--duration", 2.5, "--channels", 2, "--hop", 0.1)
    )
    assert outcome.status == 0, outcome.stderr
    counted = summary(outcome.message.splitlines()[-1])
    assert counted["seconds"] == pytest.approx(2.5, abs=0.2)
    assert counted["hops"] + counted["skipped"] == pytest.approx((2.5 - 1.5) / 0.096, abs=3)
    assert len(outcome.stdout.splitlines()) == counted["hops"]  # 10 a second: less than the rate


def test_no_time_at_all(second: Path) -> None:
    outcome = run_cli("live", "--input", second, "--duration", 0)
    assert (outcome.status, outcome.stdout) == (0, "")
    summary(outcome.message.splitlines()[-1])


def test_silence_is_no_problem(tmp_path: Path) -> None:
    path = tmp_path / "silence.wav"
    soundfile.write(path, np.zeros((20_000, 2)), 16_000)
    outcome = run_cli("live", "--input", path, "--format", "json", "--window", 1, "--hop", 0.2)
    assert outcome.status == 0, outcome.stderr
    assert {line["level_dbfs"] for line in outcome.json} == {-120.0}


WRONG = [
    (2, ["--model", "MSD_musicn"], "no model is called 'MSD_musicn'. Did you mean MSD_musicnn"),
    (2, ["--model", "zzz"], "The models are MTT_musicnn, MSD_musicnn, MSD_musicnn_big, MTT_vgg, MSD_vgg"),
    (1, ["--model", "MSD_musicnn_big"], "streamtag models import PATH"),
    (2, ["--model", "MSD_vgg", "--window", "2"], "MSD_vgg takes patches of 3 s only"),
    (1, ["--input", "no/such.wav"], "no/such.wav: no such file"),
    (1, ["--input", "missing.flac"], "missing.flac: no such file"),
    (1, ["--input", "."], ".: a folder"),
    (2, ["--channels", "3"], "demo.ogg has 2 channels; channel 3 was asked for"),
    (2, ["--channels", "0"], "--channels '0'"),
    (2, ["--channels", "1;2"], "--channels '1;2'"),
    (2, ["--channels", ""], "--channels ''"),
    (2, ["--hop", "0"], "hop of 0 s"),
    (2, ["--hop", "-1"], "hop of -1 s"),
    (2, ["--hop", "nan"], "nan"),
    (2, ["--hop", "fast"], "'--hop'"),
    (2, ["--window", "0"], "patch of 0 s"),
    (2, ["--window", "nan"], "nan"),
    (2, ["--window", "inf"], "inf"),
    (2, ["--threshold", "2"], "threshold 2"),
    (2, ["--threshold", "0"], "threshold 0"),
    (2, ["--rate", "0"], "rate of 0"),
    (2, ["--rate", "-3"], "rate of -3"),
    (2, ["--rate", "nan"], "nan"),
    (2, ["--engine", "magic"], "magic"),
    (2, ["--smooth", "inf"], "smooth inf"),
    (2, ["--smooth", "-1"], "--smooth"),
    (2, ["--top", "0"], "--top"),
    (2, ["--duration", "-1"], "--duration"),
    (2, ["--duration", "inf"], "inf"),
    (2, ["--format", "xml"], "xml"),
    (2, ["--embeddings"], "--format json"),
    (2, ["--osc", "localhost"], "'localhost': expected HOST:PORT"),
    (2, ["--osc", "localhost:99999"], "'localhost:99999'"),
    (2, ["--gate", "loud"], "--gate 'loud'"),
    (2, ["--gate", "nan"], "--gate 'nan'"),
    (2, ["--gate", "60"], "--gate '60': expected a level in dBFS, below 0, for example -60; or off"),
    (2, ["--gate", "1e9"], "--gate '1e9'"),
    (2, ["--gate", "0"], "--gate '0'"),
    (2, ["--osc-in", "here"], "'here'"),
    (2, ["--osc-in", "99999"], "'99999'"),
    (2, ["--callback", "magic"], "magic"),
    (2, ["--bogus"], "--bogus"),
]


@pytest.mark.parametrize(("status", "arguments", "said"), WRONG, ids=[" ".join(case[1]) for case in WRONG])
def test_what_cannot_be_is_said_in_one_message_that_names_it(
    status: int, arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    source = [] if "--input" in arguments else ["--input", "demo"]
    before = set(threading.enumerate())
    outcome = run_cli("live", *source, *arguments)
    assert outcome.status == status, outcome
    assert said in outcome.message
    assert outcome.stdout == ""
    usage = "Usage:" in outcome.message
    assert usage or len(outcome.message.splitlines()) == 1, outcome.message
    assert usage or outcome.message.startswith("streamtag: ")
    ours = {thread for thread in threading.enumerate() if thread.name.startswith("streamtag")} - before
    wait_until(lambda: not any(thread.is_alive() for thread in ours), "threads to end")


def test_memory_running_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: object, **more: object) -> None:
        raise MemoryError

    monkeypatch.setattr("streamtag.opening.open_source", fail)
    outcome = run_cli("live", "--input", "demo")
    assert (outcome.status, outcome.message) == (1, "streamtag: out of memory")


# --- help ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "example"),
    [
        ([], "streamtag live --input demo"),
        (["live"], "streamtag live --osc 127.0.0.1:9000"),
        (["file"], "streamtag file song.mp3 --save out.tags"),
        (["devices"], None),
        (["models"], None),
        (["models", "import"], "streamtag models import musicnn-0.1.0-py3-none-any.whl"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_help_explains_and_shows_an_example(
    command: list[str], example: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    for option in ("--help", "-h"):
        outcome = run_cli(*command, option)
        assert outcome.status == 0
        assert "Usage:" in outcome.stdout
        assert outcome.stderr == ""
        if example:
            assert example in outcome.stdout


def test_without_a_command_there_is_help_and_the_version_can_be_asked_for() -> None:
    import streamtag

    assert "Usage:" in run_cli().stdout
    version = run_cli("--version")
    assert (version.status, version.stdout) == (0, f"streamtag {streamtag.__version__}\n")
    unknown = run_cli("listen")
    assert unknown.status == 2
    assert "listen" in unknown.message


def test_a_file_that_ends_early_is_said_to(music: Path, tmp_path: Path) -> None:
    """What the decoder finds off about a file that is played comes before the summary."""
    cut = tmp_path / "cut.ogg"
    cut.write_bytes(music.read_bytes()[:60_000])
    outcome = run_cli("live", "--input", cut, "--format", "text", "--hop", "0.5")
    assert outcome.status == 0
    assert "note: cut.ogg: ends early" in outcome.message
