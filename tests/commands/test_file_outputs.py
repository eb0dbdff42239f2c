"""`streamtag file`: what it writes is tried before the work, and what goes wrong with one output spares the others."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.support.program import START_SECONDS, Running, run_cli
from tests.support.waiting import lacking


@pytest.fixture
def song(tmp_path: Path, music: Path) -> Path:
    path = tmp_path / "songs" / "a.wav"
    path.parent.mkdir()
    samples, rate = soundfile.read(music, frames=4 * 44_100)
    soundfile.write(path, samples, rate)
    return path


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "none", str(disk)]
    if not hasattr(os, "geteuid") or os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        lacking("no small disk can be mounted here")
    (disk / "else").write_bytes(bytes(16 << 10))
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


OUTPUTS = ["--save", "--taggram", "--embeddings"]


@pytest.mark.parametrize("option", OUTPUTS)
def test_an_output_that_is_an_input_is_refused_before_anything_is_touched(
    song: Path, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = song.read_bytes()
    named = song.rename(song.with_suffix(".npz"))  # content decides, so this is a song
    (song.parent / "hard.npz").hardlink_to(named)
    (song.parent / "soft.npz").symlink_to(named)
    monkeypatch.chdir(song.parent)
    for target in (named, song.parent / "hard.npz", song.parent / "soft.npz", "a.npz", "../songs/a.npz"):
        outcome = run_cli("file", named, option, target)
        assert outcome.status == 2
        assert outcome.stdout == ""
        assert f"cannot write {target}: it is read, too" in outcome.message
        assert named.read_bytes() == whole
    assert len(list(song.parent.iterdir())) == 3


@pytest.mark.parametrize("option", OUTPUTS)
def test_places_where_nothing_can_be_written_are_said_before_the_work(song: Path, option: str, full_disk: Path) -> None:
    folder = song.parent / "folder.npz"
    folder.mkdir()
    for target, said in (
        (folder, "it is a folder"),
        (song.parent / "none" / "x.npz", "does not exist"),
        (song / "x.npz", "does not exist"),
        (full_disk / "x.npz", "No space left on device"),
        (song.parent / ("x" * 300 + ".npz"), "too long"),
    ):
        outcome = run_cli("file", song, option, target)
        assert outcome.status in (1, 2)
        assert outcome.stdout == ""  # before any work
        assert outcome.message.startswith(f"streamtag: cannot write {target}: ")
        assert said in outcome.message
    assert [path.name for path in full_disk.iterdir()] == ["else"]


def test_two_outputs_of_one_place(song: Path) -> None:
    link = song.parent / "link.npz"
    link.symlink_to(song.parent / "x.npz")
    outcome = run_cli("file", song, "--taggram", song.parent / "x.npz", "--embeddings", link)
    assert outcome.status == 2
    assert "--taggram and --embeddings both name" in outcome.message


def test_when_one_output_fails_the_others_are_written(
    song: Path, full_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = song.with_name("b.wav")
    other.write_bytes(song.read_bytes())
    (full_disk / "else").write_bytes(b"")  # room, until the work has begun
    taggram, embeddings = full_disk / "t.npz", song.parent / "e.npz"
    from streamtag.files.batch import Batch

    keep = Batch._keep

    def fill(batch: Batch, *arguments: object) -> None:
        (full_disk / "else").write_bytes(bytes(12 << 10))
        keep(batch, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Batch, "_keep", fill)
    outcome = run_cli("file", song, other, "--hop", 0.016, "--taggram", taggram, "--embeddings", embeddings)
    assert outcome.status == 1
    assert outcome.message == f"streamtag: cannot write {taggram}: No space left on device"
    assert outcome.stdout.count("Hz") == 2
    with np.load(embeddings) as kept:
        assert len(kept["files"]) == 2
    assert [path.name for path in full_disk.iterdir()] == ["else"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here to stand for a full disk")
def test_lines_that_cannot_be_saved_are_told_once_and_the_rest_is_done(song: Path) -> None:
    other = song.with_name("b.wav")
    other.write_bytes(song.read_bytes())
    outcome = run_cli("file", song, other, "--save", "/dev/full", "--taggram", song.parent / "t.npz")
    assert outcome.status == 1
    assert outcome.message == "streamtag: cannot write /dev/full: No space left on device"
    assert outcome.stdout.count("Hz") == 2
    with np.load(song.parent / "t.npz") as kept:
        assert len(kept["files"]) == 2


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here to stand for a full disk")
def test_a_full_stdout_spares_what_is_saved(song: Path) -> None:
    other = song.with_name("b.wav")
    other.write_bytes(song.read_bytes())
    saved = song.parent / "out.tags"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "streamtag", "file", song, other, "--save", saved],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=START_SECONDS,
        )
    assert done.returncode == 1
    assert done.stderr == "streamtag: cannot write to stdout: No space left on device\n"
    assert len(saved.read_text().splitlines()) == 2


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_what_never_ends_is_refused_at_once(song: Path) -> None:
    pipe = song.parent / "pipe.wav"
    os.mkfifo(pipe)
    outcome = run_cli("file", pipe, "/dev/zero", song.parent.parent, song)
    assert outcome.status == 1
    assert "pipe.wav: not a regular file (a pipe)" in outcome.message
    assert "/dev/zero: not a regular file (a device)" in outcome.message
    assert outcome.stdout.count("Hz") == 1


@pytest.mark.slow
def test_ctrl_c_does_not_wait_for_a_library(start: Callable[..., Running], song: Path) -> None:
    stuck = song.with_name("stuck.wav")
    junk = (b"JUNK" + bytes(4)) * 2**20
    with stuck.open("wb") as file:  # libraries go through it chunk by chunk, for minutes
        file.write(b"RIFF" + struct.pack("<I", 12 * len(junk)) + b"WAVE")
        for _ in range(12):
            file.write(junk)
    running = start("file", song, stuck, "--jobs", 1, "--format", "json", "--save", song.parent / "out.tags")
    running.wait_for_lines(1)
    running.process.send_signal(signal.SIGINT)
    outcome = running.end(15)
    assert outcome.status == 130
    assert "Traceback" not in outcome.stderr
    assert len((song.parent / "out.tags").read_text().splitlines()) == 1
