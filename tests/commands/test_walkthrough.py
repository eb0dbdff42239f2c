"""docs/learn.md, run as it is written, by a new user with two terminals."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.ports import free_udp_port
from tests.support.program import Running
from tests.support.waiting import wait_until
from tests.support.walkthrough import Shell, blocks_of

pytestmark = pytest.mark.slow


def test_from_clips_to_a_light_cue(tmp_path: Path, start: Callable[..., Running]) -> None:
    # the last block corrects what plays: tests/session/test_corrections.py
    make, learn, try_it, react, play, _ = blocks_of("learn.md")
    port = str(free_udp_port())  # a receiver of the user's may have the one in the document
    assert "9000" in play
    react, play = f"{react.strip()} --port {port}", play.replace("9000", port)
    shell = Shell(tmp_path, "scripts", "examples")
    env = shell.env

    def run(block: str) -> str:
        return shell(block).stdout

    run(make)
    said = run(learn)
    assert "expected calibration error" in said
    assert "written: cues.html" in said
    assert re.search(r"cues: (drop|breakdown) ", run(try_it))
    cue = subprocess.Popen(["sh", "-c", f"exec {react}"], cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True)
    try:
        terminal = Running(cue)
        terminal.wait_for_lines(1)
        shown = run(play)
        assert "| cues: drop" in shown.splitlines()[-1]
        wait_until(lambda: "LIGHTS FULL\n" in terminal.lines, "the cue")
    finally:
        cue.terminate()
        cue.wait(10)
        assert cue.stdout is not None
        cue.stdout.close()
