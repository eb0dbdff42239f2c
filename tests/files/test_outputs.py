"""Places to write, tried before any work."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from streamtag.errors import OptionError, SinkError
from streamtag.files.outputs import check_output, check_outputs, replacing
from tests.support.waiting import lacking


def test_what_can_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    check_output(tmp_path / "new.npz", [tmp_path / "missing.wav"])
    assert not list(tmp_path.iterdir())
    (tmp_path / "old.npz").write_text("old")
    check_output(tmp_path / "old.npz", [tmp_path])
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_places_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for target, message in (
        (tmp_path, "it is a folder"),
        (tmp_path / "nowhere" / "a", "does not exist"),
        (tmp_path / "file" / "a", "does not exist"),
        (Path("/dev/null"), r"not a regular file \(a device\)"),
    ):
        with pytest.raises(OptionError, match=message):
            check_output(target)
    with pytest.raises(SinkError, match="too long"):
        check_output(tmp_path / ("x" * 252 + ".npz"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        with pytest.raises(OptionError, match="a socket"):
            check_output(tmp_path / "s")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with a name here")
def test_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OptionError, match="a pipe"):
        check_output(tmp_path / "pipe")


def test_an_input_is_not_overwritten_by_whatever_name(tmp_path: Path) -> None:
    song = tmp_path / "song.wav"
    song.write_text("sound")
    (tmp_path / "link").symlink_to(song)
    (tmp_path / "hard").hardlink_to(song)
    for name in ("song.wav", "link", "hard", "./song.wav"):
        with pytest.raises(OptionError, match="it is read, too"):
            check_output(tmp_path / name, [tmp_path / "other", song])
    assert song.read_text() == "sound"


def test_two_outputs_of_one_place(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--out and --report both name"):
        check_outputs([("--out", tmp_path / "a"), ("--plot", None), ("--report", tmp_path / "." / "a")])


@pytest.mark.skipif(not getattr(os, "geteuid", int)(), reason="root may write anywhere, and Windows has no modes")
def test_what_is_read_only_is_said(tmp_path: Path) -> None:
    (tmp_path / "old.npz").touch(mode=0o444)
    with pytest.raises(SinkError, match="read-only"):
        check_output(tmp_path / "old.npz")
    tmp_path.chmod(0o555)
    with pytest.raises(SinkError, match="Permission denied"):
        check_output(tmp_path / "new.npz")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="nothing can be mounted there")
@pytest.mark.parametrize("options", ["ro", "size=16k"])
def test_disks_that_are_full_or_read_only(tmp_path: Path, options: str) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "none", str(disk)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        lacking("no small disk can be mounted here")
    try:
        if options != "ro":
            (disk / "else").write_bytes(bytes(16 << 10))
        with pytest.raises(SinkError, match="Read-only file system" if options == "ro" else "No space left"):
            check_output(disk / "a.npz")
        assert [path.name for path in disk.iterdir()] == (["else"] if options != "ro" else [])
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_what_is_written_beside_overwrites_nothing_and_has_room_for_any_name(tmp_path: Path) -> None:
    other = tmp_path / "set.npz.partial"
    other.write_text("mine")
    for target in (tmp_path / "set.npz", tmp_path / ("x" * 251 + ".npz")):
        check_output(target)
        with replacing(target) as file:
            file.write(b"new")
        assert target.read_bytes() == b"new"
    assert other.read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 3


def test_a_pipe_to_append_to_needs_a_reader(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OptionError, match="nobody reads this pipe"):
        check_output(pipe, appended=True)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        check_output(pipe, appended=True)
    finally:
        os.close(reader)
