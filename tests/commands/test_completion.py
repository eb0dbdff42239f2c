"""What the shell offers after <Tab>: the program itself answers, as Typer's completion scripts ask it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from streamtag.inference.networks.specs import SPECS
from tests.support.program import START_SECONDS


def offered(*words: str, folder: Path) -> list[str]:
    """What is offered for the last of these words."""
    asked = {"COMP_WORDS": " ".join(("streamtag", *words)), "COMP_CWORD": str(len(words))}
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv[0] = 'streamtag'; from streamtag.__main__ import main; main()"],
        env={**os.environ, **asked, "_STREAMTAG_COMPLETE": "complete_bash", "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=True,
    )
    return done.stdout.split("\n")[:-1]


@pytest.mark.slow
@pytest.mark.parametrize("command", [("live",), ("file",), ("features",), ("learn",), ("evaluate",)])
def test_models_are_offered(command: tuple[str, ...], tmp_path: Path) -> None:
    assert offered(*command, "--model", "M", folder=tmp_path) == list(SPECS)
    assert offered(*command, "--model", "MTT_v", folder=tmp_path) == ["MTT_vgg"]


@pytest.mark.slow
def test_heads_and_folders_that_may_hold_some_are_offered(tmp_path: Path) -> None:
    for name in ("drop.head", "droning.wav"):
        (tmp_path / name).touch()
    (tmp_path / "drums").mkdir()
    (tmp_path / "drums" / "kick.head").touch()
    assert offered("live", "--head", "dr", folder=tmp_path) == ["drop.head", "drums/"]
    assert offered("file", "--head", "drums/", folder=tmp_path) == ["drums/kick.head"]
    assert not any(offered("file", "--head", "nowhere/", folder=tmp_path))
