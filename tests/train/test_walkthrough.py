"""docs/train.md, run as it is written, from clips to a model that plays live."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from streamtag.inference.networks.catalogue import find_spec
from streamtag.train.store import Store
from streamtag.train.truth import read_truth

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]

ROOT = Path(__file__).parents[2]
TAGS = ("bass", "drums", "pad", "whistle")
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "docs" / "train.md").read_text(), re.MULTILINE | re.DOTALL)
Shell = Callable[[str], "subprocess.CompletedProcess[str]"]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Runs a block of the page in a folder of its own."""
    (tmp_path / "scripts").symlink_to(ROOT / "scripts")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, command in (("python", ""), ("streamtag", " -m streamtag")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{command} "$@"\n')
        (programs / name).chmod(0o755)
    env = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}

    def run(block: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["sh", "-e", "-c", block], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=900
        )
        assert done.returncode == 0, done.stderr
        return done

    return run


def test_from_clips_to_a_model_that_plays(shell: Shell, tmp_path: Path) -> None:
    clips, prepare, split, further, new, evaluate, play = BLOCKS
    for block in (clips, prepare, split):
        assert shell(block).stderr == ""
    store = Store.open(tmp_path / "data")
    assert len(store.ids) == 60
    assert {store.frames(name) for name in store.ids} == {501}
    parts = [read_truth(tmp_path / "music" / f"{name}.csv", TAGS) for name in ("train", "validation", "test")]
    assert sorted(name for part in parts for name in part.ids) == sorted(store.ids)
    for part in parts:
        assert part.targets.any(axis=0).all()
        assert not part.targets.all(axis=0).any()

    for block, model in ((further, "my"), (new, "new")):
        assert f"written to {model}.safetensors" in shell(block).stdout
        assert find_spec(str(tmp_path / f"{model}.safetensors")).labels == TAGS
        score = re.search(r"these \d+ tracks, .*? tags +([\d.]+)", shell(evaluate.replace("my", model)).stdout)
        assert score is not None
        assert float(score[1]) >= 0.95, model

    heard = shell(play).stdout
    assert all(tag in heard for tag in TAGS)
