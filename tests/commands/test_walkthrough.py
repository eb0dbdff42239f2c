"""docs/learn.md, run as it is written, by a new user with two terminals."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.ports import free_udp_port
from tests.support.program import Running
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def test_from_clips_to_a_light_cue(tmp_path: Path, start: Callable[..., Running]) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "docs" / "learn.md").read_text(), re.MULTILINE | re.DOTALL)
    make, learn, try_it, react, play, _ = blocks  # the last corrects what plays: tests/session/test_corrections.py
    port = str(free_udp_port())  # a receiver of the user's may have the one in the document
    assert "9000" in play
    react, play = f"{react.strip()} --port {port}", play.replace("9000", port)
    for name in ("scripts", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, command in (("python", ""), ("streamtag", " -m streamtag")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{command} "$@"\n')
        (programs / name).chmod(0o755)
    env = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}

    def run(block: str) -> str:
        done = subprocess.run(
            ["sh", "-e", "-c", block], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

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
