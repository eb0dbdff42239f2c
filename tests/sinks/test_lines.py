"""Lines where they cannot be written, for now: a pipe that nobody reads, a full disk. None is ever torn."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from streamtag.errors import SinkError
from streamtag.sinks.background import Background
from streamtag.sinks.lines import JsonLines, TextLines
from streamtag.sinks.writer import LineWriter
from tests.support.values import INFO, make_frame
from tests.support.waiting import lacking, wait_until


@pytest.fixture
def pipe() -> Iterator[tuple[int, IO[str]]]:
    """Where a pipe is read, and the stream that is written."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream:
        yield reader, stream
    with contextlib.suppress(OSError):  # a test may have closed it
        os.close(reader)


def read(descriptor: int) -> bytes:
    """All that is there now."""
    os.set_blocking(descriptor, False)
    found = b""
    try:
        while more := os.read(descriptor, 65536):
            found += more
    except BlockingIOError:
        return found
    return found


def indices(text: str) -> list[int]:
    """The frames that these JSON lines are of; fails at a line that is torn."""
    assert text.endswith("\n") or not text
    return [round((json.loads(line)["t"] - 3.008) / 0.064) for line in text.splitlines()]


# 0.1 kB, which a pipe takes as a whole or not at all; and 5 kB, which it takes in parts
@pytest.mark.slow
@pytest.mark.parametrize("numbers", [0, 500])
def test_a_blocked_pipe_loses_whole_lines_by_exact_count(pipe: tuple[int, IO[str]], numbers: int) -> None:
    reader, stream = pipe
    sink = Background(JsonLines(stream, embeddings=numbers > 0), waiting=8)
    sink.open(INFO)
    embedding = np.random.default_rng(5).normal(size=numbers)
    told = 0

    def tell() -> None:
        nonlocal told
        sink.frame(make_frame(told, embedding=embedding))
        told += 1

    def taken() -> bool:
        """Whether all is written; after 2 s it never will be."""
        until = time.monotonic() + 2
        while sink._frames and time.monotonic() < until:
            time.sleep(0.0005)
        return not sink._frames

    while taken():
        tell()
    for _ in range(1000):
        tell()
    sink.close()
    assert sink.stuck
    missing = sink.drops
    assert missing == 1000 + 2, "those, the one that waited, and the one that it is stuck with"
    text = b""

    def ended() -> bool:
        nonlocal text
        text += read(reader)
        return not sink.stuck

    wait_until(ended, "the thread that was left behind")
    text += read(reader)
    written = indices(text.decode())
    assert written == list(range(told - missing + 1))
    assert len(written) + sink.drops == told
    assert sink.drops == missing - 1, "the line that it was stuck with has been written now"


def test_a_pipe_that_does_not_block_takes_no_part_of_a_line(pipe: tuple[int, IO[str]]) -> None:
    reader, stream = pipe
    os.set_blocking(stream.fileno(), False)
    sink = JsonLines(stream, embeddings=True)
    sink.open(INFO)
    embedding = np.random.default_rng(5).normal(size=500)
    text = b""
    for index in range(100):
        sink.frame(make_frame(index, embedding=embedding))
        if index % 20 == 19:
            text += read(reader)
    text += read(reader)
    assert not text.endswith(b"\n"), "a line was begun"
    with pytest.raises(SinkError) as caught:
        sink.close()
    text += read(reader)
    written = indices(text.decode())
    assert 40 < len(written) < 95
    assert len(written) + sink.drops == 100
    assert str(caught.value).endswith(f": Resource temporarily unavailable; {sink.drops} lines are missing")
    sink.close()


def test_a_reader_who_has_left_is_told_at_once(pipe: tuple[int, IO[str]]) -> None:
    reader, stream = pipe
    sink = TextLines(stream)
    sink.open(INFO)
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        sink.frame(make_frame())
    assert sink.drops == 0
    sink.close()


AT_THE_END = """
import sys
sys.path.insert(0, sys.argv[1])
from tests.support.values import INFO, make_frame
from streamtag.sinks.background import Background
from streamtag.sinks.lines import TextLines

print("before")
sink = Background(TextLines(sys.stdout), waiting=3000)
sink.open(INFO)
for index in range(3000):
    sink.frame(make_frame(index))
sink.close()
print(sink.stuck, file=sys.stderr)
"""


@pytest.mark.slow
def test_a_program_whose_output_nobody_reads_ends_in_peace(pipe: tuple[int, IO[str]]) -> None:
    reader, stream = pipe
    script = [sys.executable, "-c", AT_THE_END, str(Path(__file__).parents[2])]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    ended = subprocess.run(script, stdout=stream, stderr=subprocess.PIPE, text=True, timeout=120, env=buffered)
    assert (ended.returncode, ended.stderr) == (0, "True\n")
    assert read(reader).startswith(b"before\n    3.01 s  ")


def test_a_full_disk_costs_lines_until_there_is_room(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        lacking("no small disk can be mounted here")
    try:
        filler = disk / "filler"
        filler.write_bytes(bytes(40_000))
        with (disk / "lines").open("w") as stream:
            sink = Background(JsonLines(stream), waiting=1000)
            sink.open(INFO)
            for index in range(300):
                sink.frame(make_frame(index))
            wait_until(lambda: not sink._frames, "all to be tried")
            assert sink.drops > 100
            filler.unlink()
            for index in range(300, 350):
                sink.frame(make_frame(index))
            with pytest.raises(SinkError) as caught:
                sink.close()
        assert str(caught.value) == (
            f"cannot write to {disk / 'lines'}: No space left on device; {sink.drops} lines are missing"
        )
        written = indices((disk / "lines").read_text())
        assert len(written) + sink.drops == 350
        assert written[-50:] == list(range(300, 350))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_file_at_its_largest_is_as_a_full_disk(tmp_path: Path) -> None:
    target = tmp_path / "lines"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with target.open("w") as stream:
        sink = JsonLines(stream)
        sink.open(INFO)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        try:
            for index in range(20):
                sink.frame(make_frame(index))
            assert target.stat().st_size == 1000, "in the midst of a line"
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        sink.frame(make_frame(20))
        with pytest.raises(SinkError, match=rf"lines: File too large; {sink.drops} lines are missing$"):
            sink.close()
    written = indices(target.read_text())
    assert written[-1] == 20
    assert written[:-1] == list(range(20 - sink.drops))


def test_a_line_whose_rest_never_finds_room_is_missing(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with (tmp_path / "lines").open("w") as stream:
        writer = LineWriter(stream)
        writer.open()
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
        try:
            writer.write("1234567")
            writer.write("90")
            assert writer.drops == 0
            writer.write("not begun")
            assert writer.drops == 1
            with pytest.raises(SinkError, match="2 lines are missing"):
                writer.close()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / "lines").read_text() == "1234567\n90"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here to stand for a full disk")
def test_a_disk_that_stays_full_is_told_at_the_end() -> None:
    with Path("/dev/full").open("w") as stream:
        sink = Background(TextLines(stream))
        sink.open(INFO)
        sink.frame(make_frame())
        with pytest.raises(SinkError, match="cannot write to /dev/full: No space left on device; 1 line is missing"):
            sink.close()
        assert (sink.drops, sink.errors) == (1, 1)


def test_what_was_printed_before_comes_before(tmp_path: Path) -> None:
    with (tmp_path / "lines").open("w", encoding="latin-1") as stream:
        stream.write("before\n")
        sink = TextLines(stream)
        sink.open(INFO)
        sink.frame(make_frame(top=(("fête", 1.0),)))
        sink.close()
        stream.write("after\n")
    before, line, after = (tmp_path / "lines").read_text("latin-1").splitlines()
    assert (before, after) == ("before", "after")
    assert line.endswith("fête 1.00")


def test_streams_that_are_no_plain_files_are_written_their_own_way(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "lines.gz", "wt") as stream:
        sink = JsonLines(stream)
        sink.open(INFO)
        sink.frame(make_frame(4))
        sink.close()
    with gzip.open(tmp_path / "lines.gz", "rt") as stream:
        assert indices(stream.read()) == [4]


def test_a_closed_stream_is_not_written_to_by_its_number(tmp_path: Path) -> None:
    with (tmp_path / "lines").open("w") as stream:
        sink = TextLines(stream)
        sink.open(INFO)
    with (tmp_path / "another").open("w"), pytest.raises(ValueError, match="closed file"):
        sink.frame(make_frame())
    assert (tmp_path / "another").read_text() == ""


class Full(io.StringIO):
    """A stream of someone's own, with no room."""

    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_stream_of_ones_own_that_fails_is_told_at_the_end() -> None:
    sink = TextLines(Full())
    sink.open(INFO)
    sink.frame(make_frame())
    sink.frame(make_frame())
    with pytest.raises(SinkError, match="cannot write to the output: No space left on device; 2 lines are missing"):
        sink.close()


# --- what they say ------------------------------------------------------------------------------------------------


def text_of(**changes: object) -> str:
    stream = io.StringIO()
    lines = TextLines(stream)
    lines.open(INFO)
    lines.frame(make_frame(**changes))  # type: ignore[arg-type] # by name
    lines.close()
    return stream.getvalue()


def test_a_line_says_where_there_is_no_music() -> None:
    assert text_of(music=0.9).rstrip().endswith("pop 0.05")
    assert text_of(music=0.12, top=(), on=frozenset()).rstrip().endswith("dBFS  no music (0.12)")
    falling = text_of(music=0.3, top=(("rock", 0.1), ("pop", 0.001)), on=frozenset())
    assert falling.rstrip().endswith("rock 0.10  no music (0.30)")
    assert text_of(music=0.0, top=(), on=frozenset(), gated=True).rstrip().endswith("dBFS  silence")


def test_json_names_the_tags_that_are_highest_on_their_own_scales() -> None:
    stream = io.StringIO()
    lines = JsonLines(stream)
    lines.open(INFO)
    lines.frame(make_frame(music=0.98765, calibrated=np.linspace(1, 0, 50, dtype=np.float32)))
    lines.frame(make_frame(1))
    lines.frame(make_frame(2, top=(), calibrated=np.zeros(50, np.float32)))
    lines.close()
    told, plain, resting = map(json.loads, stream.getvalue().splitlines())
    assert resting["calibrated"] == resting["top"] == []
    assert [tag for tag, _ in told["calibrated"]] == list(INFO.labels[:3])
    assert told["calibrated"][0][1] == 1
    assert told["music"] == 0.988
    assert told["top"] == plain["top"]
    assert "calibrated" not in plain
    assert "music" not in plain
