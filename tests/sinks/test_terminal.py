"""The live view: what it shows, and how it behaves on real terminals."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest
from rich.console import Console

from streamtag.results import State, Stats, TagFrame
from streamtag.sinks.base import BaseSink, HeadInfo, SessionInfo, Sink
from streamtag.sinks.lines import TextLines
from streamtag.sinks.terminal import BAR_CELLS, TerminalView, bar
from tests.support.screen import STREAMTAG, Terminal
from tests.support.values import INFO, make_frame, make_head, make_stats

HEADING = "streamtag  MSD_musicnn"


def drawn(*told: TagFrame | Stats, others: Sequence[Sink] = (), info: SessionInfo = INFO) -> str:
    """What a terminal of 100 columns shows in the end."""
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100, height=40, color_system=None)
    view = TerminalView(console, list(others))
    view.open(info)
    for item in told:
        if isinstance(item, TagFrame):
            view.frame(item)
        else:
            view.status(item)
    view.close()
    return screen.getvalue().rpartition(HEADING)[2]


class Named(BaseSink):
    def __init__(self, name: str) -> None:
        self.name = name

    def frame(self, frame: TagFrame) -> None:
        pass


def test_the_view_shows_what_is_heard_and_how_well() -> None:
    shown = drawn(make_frame(), make_stats())
    rock = next(line for line in shown.splitlines() if line.startswith("rock"))
    assert "█" * 13 in rock
    assert "█" * 15 not in rock
    assert "0.43" in rock
    for part in (
        "Scarlett, 48000 Hz",
        "female vocalists",
        "-18.2 dBFS",
        "running 1:23",
        "- hops/s",
        "latency 31 ms (p99 47)",
        "load 42 %",
        "lost samples 12",
        "overflows 3",
        "skipped hops 4",
        "gaps 0",
    ):
        assert part in shown
    assert "resting" not in shown
    assert "commands ignored" not in shown


def test_the_view_shows_the_whole_of_the_frames_top_and_no_more() -> None:
    top = tuple((label, 0.5) for label in INFO.labels[:12])
    shown = drawn(make_frame(top=top))
    rows = [line for line in shown.splitlines() if line.rstrip().endswith("0.50")]
    assert [row[: row.index("█")].strip() for row in rows] == list(INFO.labels[:12])
    assert INFO.labels[12] not in shown


def test_the_view_shows_the_heads_under_their_names() -> None:
    shown = drawn(make_frame(heads=(make_head(),)), info=replace(INFO, heads=(HeadInfo("mood", ("calm", "wild")),)))
    lines = [line.strip() for line in shown.splitlines()]
    assert [line.split()[0] for line in lines[lines.index("mood") :][:3]] == ["mood", "calm", "wild"]


def test_the_view_shows_the_state_and_why_the_input_is_gone() -> None:
    gone = make_stats(state=State.RECOVERING, trouble="stopped: unplugged", gaps=2, gap_seconds=3.25)
    shown = drawn(make_frame(), gone)
    for part in ("recovering 1:26", "Scarlett: stopped: unplugged", "gaps (3 s) 2"):
        assert part in shown
    back = drawn(make_frame(), gone, make_stats(gaps=3, gap_seconds=9.0, gate_closed=True, control_ignored=6))
    for part in ("running, resting 1:32", "gaps (9 s) 3", "commands ignored: 6"):
        assert part in back
    assert "unplugged" not in back
    assert "paused 1:23" in drawn(make_stats(state=State.PAUSED, gate_closed=True))


def test_the_view_shows_what_is_wrong_with_the_other_sinks() -> None:
    others = tuple(map(Named, ("osc 127.0.0.1:9000", "osc show.local:1", "set.jsonl", "fine")))
    stats = make_stats(
        sink_drops={"osc 127.0.0.1:9000": 5, "set.jsonl": 2},
        sink_trouble={"osc show.local:1": "Network is unreachable"},
        sink_errors={"set.jsonl": "OSError: disk full", "osc show.local:1": "of the past"},
    )
    lines = [line.strip() for line in drawn(make_frame(), stats, others=others).splitlines()]
    assert [line for line in lines if line.startswith("→")] == [
        "→ osc 127.0.0.1:9000, 5 not taken",
        "→ osc show.local:1, Network is unreachable",
        "→ set.jsonl, 2 not taken, OSError: disk full",
        "→ fine",
    ]


def test_before_the_first_window_the_view_says_what_it_waits_for() -> None:
    shown = drawn(make_stats(hops=0))
    assert "the first tags come after 3 s" in shown
    assert "latency -" in shown


def test_the_gain_stands_beside_the_level_where_there_is_one() -> None:
    assert "-18.2 dBFS  gain +12.5 dB" in drawn(make_frame(gain_db=12.46))
    assert "+" not in drawn(make_frame())


def test_the_view_survives_silence_and_clipping() -> None:
    assert "silence" in drawn(make_frame(level_dbfs=-120.0, top=(("rock", 0.0),)))
    assert "█" * BAR_CELLS in drawn(make_frame(level_dbfs=2.0, top=(("rock", 1.0),)))


def test_the_view_redraws_ten_times_a_second_at_the_most() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100, color_system=None)
    view = TerminalView(console, [])
    view.open(INFO)
    before = screen.getvalue().count(HEADING)
    began = time.monotonic()
    for index in range(500):
        view.frame(make_frame(index))
    spent = time.monotonic() - began
    pictures = screen.getvalue().count(HEADING) - before
    assert 1 <= pictures <= 1 + spent * 10
    view.close()


@pytest.mark.parametrize(
    ("share", "cells"), [(0, 0), (1, 32), (0.5, 16), (-1, 0), (7, 32), (1 / 32, 1), (1 / 64, 0.5), (1 / 256, 1 / 8)]
)
def test_a_bar_is_right_to_the_eighth_of_a_cell(share: float, cells: float) -> None:
    drawn = bar(share)
    whole = drawn.count("█")
    rest = drawn[whole:]
    assert whole + (" ▏▎▍▌▋▊▉".index(rest) / 8 if rest else 0) == cells
    assert len(drawn) <= BAR_CELLS


# --- where there is little room -----------------------------------------------------------------------------------


def shown_on(columns: int, lines: int, *told: TagFrame | Stats, encoding: str = "utf-8") -> list[str]:
    """The rows that a terminal of this size and encoding shows, as it gets them."""
    written = io.BytesIO()
    screen = io.TextIOWrapper(written, encoding, errors="strict", write_through=True)
    console = Console(file=screen, force_terminal=True, width=columns, height=lines, color_system=None)
    view = TerminalView(console, [Named("osc fine:1"), Named("osc bad:1")])
    view.open(INFO)
    for item in told[:-1]:
        view.frame(item) if isinstance(item, TagFrame) else view.status(item)
    view._drawn = 0.0
    written.truncate(0)
    last = told[-1]
    view.frame(last) if isinstance(last, TagFrame) else view.status(last)
    text = re.sub(r"\x1b\[[0-9?]*[A-Za-z]|\r", "", written.getvalue().decode(encoding).lstrip("\0"))
    return text.split("\n")


TROUBLED = make_stats(sink_trouble={"osc bad:1": "nobody listens there"})


@pytest.mark.parametrize("columns", [20, 80])
@pytest.mark.parametrize("lines", [1, 2, 3, 5, 10, 24])
def test_the_state_is_what_stays_where_there_is_little_room(columns: int, lines: int) -> None:
    rows = shown_on(columns, lines, make_frame(), TROUBLED)
    assert len(rows) <= lines
    assert max(map(len, rows)) <= columns
    assert sum(row.startswith("running 1:23") for row in rows) == 1
    if lines >= 5:
        assert any("osc bad:1" in row for row in rows), "what is wrong comes next"


def test_tags_are_cut_from_the_last() -> None:
    top = tuple((label, 0.5) for label in INFO.labels[:20])
    rows = shown_on(80, 12, make_frame(top=top), TROUBLED)
    assert len(rows) == 11
    named = [row.split()[0] for row in rows if row.rstrip().endswith("0.50")]
    assert named == [label.split()[0] for label in INFO.labels[: len(named)]]
    assert named
    assert not any("osc fine:1" in row for row in rows), "what is well goes before the tags"
    assert any(row.startswith("streamtag") for row in rows)


def test_the_picture_is_as_high_in_silence_and_names_no_tag() -> None:
    loud = shown_on(80, 24, TROUBLED, make_frame())
    silent = shown_on(80, 24, TROUBLED, make_frame(), make_frame(1, top=(), gated=True))
    assert len(loud) == len(silent)
    assert [row.strip() for row in silent[2:5]] == ["–", "–", "–"]
    assert not any(row.startswith(INFO.labels) for row in silent)


@pytest.mark.parametrize(
    ("encoding", "bar", "arrow"), [("utf-8", "█", "→"), ("cp1252", "#", "->"), ("ascii", "#", "->")]
)
@pytest.mark.parametrize("columns", [20, 50])
def test_what_the_encoding_lacks_is_drawn_in_another_way(encoding: str, bar: str, arrow: str, columns: int) -> None:
    rows = shown_on(columns, 24, make_frame(top=(("rock", 0.9), ("рок", 0.3))), TROUBLED, encoding=encoding)
    assert max(map(len, rows)) <= columns
    assert any(row.startswith(f"{arrow} osc bad:1") for row in rows)
    if columns > 20:
        assert bar * 4 in next(row for row in rows if row.startswith("rock"))


def test_names_cannot_steer_the_terminal() -> None:
    evil = "a\nb\x1b[2Jc\x9b3J\u202e"
    view_of = replace(INFO, source=evil, heads=(HeadInfo(evil, (evil,)),))
    head = make_head(evil, top=((evil, 0.5),))
    shown = drawn(make_frame(heads=(head,)), make_stats(trouble=evil), info=view_of)
    assert "a b [2Jc 3J" in shown
    assert "\x9b" not in shown
    assert "\u202e" not in shown
    assert "\x1b[2J" not in shown
    lines = io.StringIO()
    TextLines(lines).frame(make_frame(heads=(head,)))
    assert lines.getvalue().count("\n") == 1
    assert "\x1b" not in lines.getvalue()


@pytest.mark.parametrize(("columns", "lines"), [(1, 1), (2, 30), (7, 7)])
def test_a_terminal_may_be_absurdly_small(columns: int, lines: int) -> None:
    rows = shown_on(columns, lines, make_frame(), TROUBLED)
    assert len(rows) <= lines
    assert max(map(len, rows)) <= columns


def test_the_rate_is_the_one_that_was_measured() -> None:
    screen = io.StringIO()
    view = TerminalView(Console(file=screen, force_terminal=True, width=100, color_system=None), [])
    view.open(INFO)
    around = [time.monotonic()]
    view.status(make_stats(hops=100))
    around.append(time.monotonic())
    time.sleep(0.2)
    around.append(time.monotonic())
    view.status(make_stats(hops=102))
    around.append(time.monotonic())
    (said,) = re.findall(r"([0-9.]+) hops/s", screen.getvalue())
    assert 2 / (around[3] - around[0]) - 0.05 <= float(said) <= 2 / (around[2] - around[1]) + 0.05
    assert float(said) < 1 / INFO.hop


# --- on real terminals --------------------------------------------------------------------------------------------


@pytest.fixture
def terminal(compiled: None) -> Iterator[Callable[..., Terminal]]:
    terminals: list[Terminal] = []

    def begin(lines: int = 24, columns: int = 80, **environment: str) -> Terminal:
        terminals.append(Terminal(lines, columns, **environment))
        return terminals[-1]

    yield begin
    for terminal in terminals:
        terminal.close()


DEMO = f"{STREAMTAG} live --input demo --loop --window 1"


def state(terminal: Terminal) -> list[str]:
    return [line for line in terminal.lines if re.match(r"running (, resting )?\d+:\d\d", line)]


@pytest.mark.slow
def test_ctrl_z_leaves_the_terminal_to_the_shell_and_fg_draws_below(terminal: Callable[..., Terminal]) -> None:
    screen = terminal(60, 100)
    screen.type(f"{DEMO}\r")
    screen.wait_for(lambda: state(screen) and screen.count(" dBFS"), "the view")
    assert screen.cursor_hidden
    screen.type("\x1a")
    screen.wait_for(lambda: screen.count("Stopped"), "the shell")
    screen.wait_for(lambda: not screen.cursor_hidden, "the cursor")
    screen.type("echo what the shell says\r")
    screen.wait_for(lambda: "what the shell says" in screen.lines, "its answer")
    before = screen.lines
    screen.type("fg\r")
    screen.wait_for(lambda: len(state(screen)) == 2, "a second picture")
    second = state(screen)[1]
    screen.wait_for(lambda: state(screen)[1] != second, "it to be drawn again")
    assert screen.lines[: len(before) - 1] == before[:-1], "what stood there stands there"
    assert screen.cursor_hidden
    screen.type("\x03")
    screen.wait_for(lambda: screen.count(" s heard: "), "the summary")
    screen.wait_for(lambda: not screen.cursor_hidden, "the cursor")


@pytest.mark.slow
def test_ctrl_z_at_the_start_leaves_the_cursor(terminal: Callable[..., Terminal]) -> None:
    screen = terminal()
    screen.type(f"{DEMO}\r")
    screen.wait_for(lambda: screen.cursor_hidden, "the spinner")
    screen.type("\x1a")
    screen.wait_for(lambda: screen.count("Stopped"), "the shell")
    screen.wait_for(lambda: not screen.cursor_hidden, "the cursor")
    screen.type("fg\r")
    screen.wait_for(lambda: state(screen), "the view")


@pytest.mark.slow
def test_in_the_background_nothing_is_drawn(terminal: Callable[..., Terminal]) -> None:
    screen = terminal(40, 100)
    screen.type(f"{DEMO} --duration 4 2> /dev/null &\r")
    screen.wait_for(lambda: screen.count("[1]"), "the shell")
    screen.type("wait; echo it has ended\r")
    screen.wait_for(lambda: "it has ended" in screen.lines, "its end")
    assert not screen.count("hops/s")
    assert not screen.cursor_hidden


@pytest.mark.slow
def test_a_terminal_of_another_size_gets_a_picture_that_fits(terminal: Callable[..., Terminal]) -> None:
    screen = terminal(24, 90)
    screen.type(f"clear; {DEMO}\r")
    screen.wait_for(lambda: state(screen) and screen.count(" dBFS"), "the view")
    for lines, columns in ((10, 90), (10, 40), (5, 20), (3, 20), (24, 90), (12, 60)):
        screen.resize(lines, columns)
        before = state(screen)
        screen.wait_for(lambda before=before: state(screen) not in ([], before), "a new picture")  # type: ignore[misc]
        assert len(state(screen)) == 1, screen.lines
        assert screen.count("streamtag  MSD") <= 1, screen.lines
        assert screen.count("level  ") <= 1, screen.lines


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dumb", "unknown", ""])
def test_a_terminal_on_which_nothing_can_be_drawn_gets_lines(terminal: Callable[..., Terminal], kind: str) -> None:
    screen = terminal(40, 120, TERM=kind)
    screen.type(f"{DEMO} --duration 2\r")
    screen.wait_for(lambda: screen.count(" s heard: "), "the summary")
    assert screen.count(" dBFS  ") > 5


@pytest.mark.slow
def test_no_color_is_a_view_without_colours(compiled: None) -> None:
    code = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"
    options = ["-m", "streamtag", "live", "--input", "demo", "--window", "1", "--duration", "2"]
    for environment, coloured in (({"NO_COLOR": "1"}, False), ({"FORCE_COLOR": "1"}, True)):
        ended = subprocess.run(
            [sys.executable, "-c", code, sys.executable, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env={**os.environ, "TERM": "xterm", **environment},
            timeout=120,
        )
        assert b"hops/s" in ended.stdout
        assert (re.search(rb"\x1b\[[0-9;]*3[0-7]m", ended.stdout) is not None) is coloured


@pytest.mark.slow
def test_no_colour_makes_a_terminal_of_a_pipe(compiled: None) -> None:
    options = ["live", "--input", "demo", "--window", "1", "--duration", "2"]
    ended = subprocess.run(
        [sys.executable, "-m", "streamtag", *options],
        capture_output=True,
        env={**os.environ, "TERM": "xterm-256color", "FORCE_COLOR": "1", "TTY_COMPATIBLE": "1"},
        timeout=120,
    )
    assert ended.returncode == 0
    assert ended.stdout.count(b" dBFS  ") > 5
    assert b"\x1b" not in ended.stdout
    assert not re.search(rb"\x1b\[[?0-9]*[A-HJKhl]", ended.stderr), "no cursor is moved"
