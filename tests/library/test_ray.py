"""On a Ray cluster, a real one on this machine: the same rows, also when workers are killed."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.libraries import rows, tagged, write_music, written
from tests.support.program import Running, run_cli
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="workers are found by /proc"),
    pytest.mark.skipif(sys.version_info >= (3, 14), reason="Ray's wheels end at 3.13"),
]


def ears() -> list[int]:
    """The processes of actors that this test started."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                if process.joinpath("cmdline").read_bytes().startswith(b"ray::StreamtagEar"):
                    found.append(int(process.name))
            except OSError:  # it has just ended
                pass
    return found


def test_the_same_rows_with_workers_killed_on_the_way(tmp_path: Path, start: Callable[..., Running]) -> None:
    music, out = write_music(tmp_path / "music", 24, 60), tmp_path / "store"
    shutil.copy(music / "1.wav", music / "copy.wav")
    tagged(music, tmp_path / "alone")
    running = start("library", "tag", music, "--out", out, "--ray", "auto", "--jobs", 2, env={"RAY_TMPDIR": "/tmp"})
    wait_until(lambda: len(ears()) == 2 or running.process.poll() is not None, "the cluster", 120)
    wait_until(lambda: (out / "claims").exists() or running.process.poll() is not None, "work to begin", 180)
    for worker in ears()[:1]:
        os.kill(worker, signal.SIGKILL)
    ended = running.end(200)
    assert ended.status == 1, ended.stderr  # broken.mp3
    assert "note: 1 worker died on the way, and started anew" in ended.stderr
    assert ended.stdout.startswith(f"{out}: 24 tagged, 1 copies of others, 1 could not be heard\n"), ended.stderr
    assert rows(out) == rows(tmp_path / "alone")
    assert written(out) == 26
    wait_until(lambda: not ears(), "the cluster's end")


def test_no_cluster_is_said(tmp_path: Path) -> None:
    music = write_music(tmp_path / "music", 1)
    done = run_cli("library", "tag", music, "--out", tmp_path / "store", "--ray", "127.0.0.1:1")
    assert done.status == 1
    assert "--ray 127.0.0.1:1: no Ray cluster there" in done.message
