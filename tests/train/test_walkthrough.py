"""docs/train.md, run as it is written, from clips to tables and spectrograms that fit each other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from streamtag.train.store import Store
from streamtag.train.truth import read_truth

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TAGS = ("bass", "drums", "pad", "whistle")


def test_from_clips_to_spectrograms_and_tables(tmp_path: Path) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "docs" / "train.md").read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "scripts").symlink_to(ROOT / "scripts")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, command in (("python", ""), ("streamtag", " -m streamtag")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{command} "$@"\n')
        (programs / name).chmod(0o755)
    env = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    for block in blocks[:3]:
        done = subprocess.run(
            ["sh", "-e", "-c", block], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300
        )
        assert (done.returncode, done.stderr) == (0, "")
    store = Store.open(tmp_path / "data")
    assert len(store.ids) == 60
    assert {store.frames(name) for name in store.ids} == {501}
    parts = [read_truth(tmp_path / "music" / f"{name}.csv", TAGS) for name in ("train", "validation", "test")]
    assert sorted(name for part in parts for name in part.ids) == sorted(store.ids)
    for part in parts:
        assert part.targets.any(axis=0).all()
        assert not part.targets.all(axis=0).any()
