"""Outputs that fail while a session runs: told at once, for as long as it is so; lines go on where they can."""

from __future__ import annotations

import io
import json
import os
import resource
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from streamtag.results import State, Stats, TagFrame
from streamtag.sinks.background import Background
from streamtag.sinks.base import BaseSink, HeadInfo, distinct_names, troubles
from streamtag.sinks.lines import JsonLines, TextLines
from streamtag.sinks.throttled import Throttled
from tests.support.values import INFO, make_frame, make_head, make_stats
from tests.support.waiting import wait_until

# --- files --------------------------------------------------------------------------------------------------------


def lines(path: Path) -> list[float]:
    """The times of the JSON lines in a file; fails at one that is torn, or a hole."""
    return [json.loads(line)["t"] for line in path.read_text().splitlines()]


def test_a_full_disk_is_trouble_until_there_is_room(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with (tmp_path / "lines").open("w") as stream:
        sink = Throttled(Background(JsonLines(stream)), 1000)
        sink.open(INFO)
        sink.frame(make_frame(0))
        wait_until(lambda: (tmp_path / "lines").stat().st_size, "the first line")
        assert sink.trouble is None
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
        try:
            sink.frame(make_frame(1))
            wait_until(lambda: sink.trouble, "the trouble")
            assert sink.trouble == "cannot be written: File too large"
            assert sink.drops == 1
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        sink.frame(make_frame(2))
        wait_until(lambda: sink.trouble is None, "the end of the trouble")
        with pytest.raises(Exception, match="1 line is missing"):
            sink.close()
    assert lines(tmp_path / "lines") == [3.008, 3.136]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here to stand for a full disk")
def test_a_disk_that_is_full_from_the_start_is_told_with_the_first_line() -> None:
    with Path("/dev/full").open("w") as stream:
        sink = TextLines(stream)
        sink.open(INFO)
        sink.frame(make_frame())
        assert sink.trouble == "cannot be written: No space left on device"


def test_a_file_that_was_removed_is_told(tmp_path: Path) -> None:
    target = tmp_path / "lines"
    with target.open("w") as stream:
        sink = JsonLines(stream)
        sink.open(INFO)
        sink.frame(make_frame())
        target.rename(tmp_path / "lines.1")
        sink.frame(make_frame(1))
        assert sink.trouble is None, "it is there under another name"
        assert len(lines(tmp_path / "lines.1")) == 2
        (tmp_path / "lines.1").unlink()
        sink.frame(make_frame(2))
        assert sink.trouble == "the file was removed: what is written to it is lost"
        sink.close()


@pytest.mark.parametrize("mode", ["w", "a"])
def test_a_file_that_was_emptied_goes_on_without_a_hole(tmp_path: Path, mode: str) -> None:
    target = tmp_path / "lines"
    with target.open(mode) as stream:
        sink = JsonLines(stream)
        sink.open(INFO)
        for index in range(3):
            sink.frame(make_frame(index))
        os.truncate(target, 0)  # as logrotate does after it has copied (copytruncate)
        for index in range(3, 5):
            sink.frame(make_frame(index))
        sink.close()
    assert lines(target) == [3.2, 3.264]


@pytest.mark.parametrize(("encoding", "written"), [("cp1252", "\\u0440\\u043e\\u043a 0.50"), ("utf-8", "рок 0.50")])
def test_a_tag_that_the_encoding_cannot_take_is_written_in_another_way(
    tmp_path: Path, encoding: str, written: str
) -> None:
    with (tmp_path / "lines").open("w", encoding=encoding) as stream:
        sink = TextLines(stream)
        sink.open(INFO)
        sink.frame(make_frame(top=(("рок", 0.5),)))
        sink.close()
    assert (tmp_path / "lines").read_text(encoding).endswith(f"dBFS  {written}\n")


# --- pipes --------------------------------------------------------------------------------------------------------


@pytest.fixture
def pipe() -> Iterator[tuple[int, Background]]:
    """Where a pipe is read, and what writes to it."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        sink = Background(JsonLines(stream, embeddings=True), waiting=4)
        sink.open(INFO)
        yield reading, sink


def test_a_slow_reader_is_trouble_until_it_has_caught_up(pipe: tuple[int, Background]) -> None:
    reading, sink = pipe
    told = 0
    while sink.trouble is None:
        sink.frame(make_frame(told))
        told += 1
    assert sink.trouble == "is too slow: the oldest of what waits is dropped"
    assert sink.drops == 1

    def caught_up() -> bool:
        os.read(reading, 65536)
        return sink.trouble is None

    wait_until(caught_up, "the reader to catch up")
    os.close(reading)
    sink.close()


def test_a_reader_who_has_left_is_trouble_for_good(pipe: tuple[int, Background]) -> None:
    reading, sink = pipe
    os.close(reading)
    sink.frame(make_frame())
    wait_until(lambda: sink.trouble, "the trouble")
    assert sink.trouble == "its reader has left"
    with pytest.raises(BrokenPipeError):
        sink.close()
    assert sink.trouble == "its reader has left"


class Moody(BaseSink):
    name = "moody"
    bad = True

    def frame(self, frame: TagFrame) -> None:
        if self.bad:
            raise ValueError("moody")

    def status(self, stats: Stats) -> None:
        pass


def test_a_sink_that_raises_in_the_background_is_trouble_until_it_does_not() -> None:
    moody = Moody()
    sink = Background(moody)
    sink.open(INFO)
    sink.frame(make_frame())
    wait_until(lambda: sink.trouble, "the trouble")
    sink.status(make_stats())
    assert sink.trouble == "fails: ValueError: moody"
    moody.bad = False
    sink.frame(make_frame())
    wait_until(lambda: sink.trouble is None, "the end of it")
    with pytest.raises(ValueError, match="moody"):
        sink.close()


def test_what_is_wrong_is_listed_by_distinct_names() -> None:
    sinks = [Moody(), Moody(), Moody()]
    assert distinct_names(sinks) == ["moody", "moody (2)", "moody (3)"]
    assert troubles(make_stats(), "Scarlett") == []
    stats = make_stats(trouble="unplugged", sink_trouble={"osc show:1": "nobody listens there"})
    assert troubles(stats, "Scarlett") == ["Scarlett: unplugged", "osc show:1: nobody listens there"]


# --- what JSON lines say of the session ---------------------------------------------------------------------------


def said(*told: TagFrame | Stats) -> list[dict]:
    stream = io.StringIO()
    sink = JsonLines(stream, embeddings=True)
    sink.open(replace(INFO, heads=(HeadInfo("mood", ("calm", "wild")),)))
    for item in told:
        if isinstance(item, Stats):
            sink.status(item)
        else:
            sink.frame(item)
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_each_json_line_says_what_is_on() -> None:
    frame = make_frame(on=frozenset({"rock", "pop"}), heads=(make_head(), make_head("place", on=frozenset())))
    (line,) = said(frame)
    assert line["on"] == ["pop", "rock"]
    assert line["heads_on"] == {"mood": ["calm"], "place": []}


def test_the_state_goes_with_the_next_json_line() -> None:
    lines = said(make_frame(0), make_stats(sink_trouble={"osc a:1": "nobody listens there"}), *map(make_frame, (1, 2)))
    assert ["status" in line for line in lines] == [False, True, False]
    assert lines[1]["t"] == 3.072
    assert lines[1]["status"] == {
        "state": "running",
        "level_dbfs": -20.0,
        "trouble": ["osc a:1: nobody listens there"],
        "samples_lost": 12,
        "overflows": 3,
        "hops_skipped": 4,
        "gaps": 0,
        "gap_seconds": 0.0,
        "load": 0.42,
    }


@pytest.mark.parametrize("state", [State.RECOVERING, State.PAUSED, State.FAILED])
def test_a_state_without_hops_has_json_lines_of_its_own(state: State) -> None:
    gone = make_stats(state=state, trouble="unplugged")
    first, again, third = said(make_frame(5), gone, gone)
    assert again["status"]["state"] == state.value
    assert again["status"]["trouble"] == ["Scarlett: unplugged"]
    assert again == third
    del again["status"]
    assert again == {name: value for name, value in first.items() if name not in ("captured", "sent", "embedding")}
    (line,) = said(gone)
    assert (line["t"], line["top"], line["on"], line["level_dbfs"], line["latency_ms"]) == (0.0, [], [], -120.0, 0.0)


def test_silence_names_no_tag() -> None:
    stream = io.StringIO()
    sink = TextLines(stream)
    nothing = make_head(top=(), on=frozenset())
    for frame in (
        make_frame(gated=True, top=(), heads=(nothing,)),
        make_frame(gated=True, top=(("rock", 0.0049), ("pop", 0.001))),
        make_frame(gated=True, top=(("rock", 0.0051), ("pop", 0.001))),
        make_frame(top=(("rock", 0.004),)),
    ):
        sink.frame(frame)
    assert [line.partition("dBFS  ")[2] for line in stream.getvalue().splitlines()] == [
        "silence  | mood: silence",
        "silence",
        "rock 0.01",
        "rock 0.00",
    ]
    assert [(line["top"], line["heads"]) for line in said(make_frame(top=(), heads=(nothing,)))] == [([], {"mood": []})]
