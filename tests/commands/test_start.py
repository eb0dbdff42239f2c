"""The first start on a machine: what there is to wait for is told, and how far it is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from streamtag._compile.cache import SUFFIX, cache_folder, kept_kernels
from streamtag._compile.progress import COMPILING, KERNELS
from streamtag.inference.networks.architectures import find_architecture
from streamtag.inference.networks.weights import write_model
from tests.support.own_models import ORIGIN, random_weights

pytestmark = pytest.mark.slow
LIVE = ["-m", "streamtag", "live", "--input", "demo", "--duration", "0.1", "--format", "text"]
PROGRESS = re.compile(re.escape(COMPILING) + r": (\d+) of (\d+)")
QUICKLY = {"NUMBA_OPT": "1"}
"""What is told does not depend on how good the code is."""
CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@pytest.fixture(scope="module")
def cold(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A machine on which nothing has been compiled."""
    return {**os.environ, **QUICKLY, "NUMBA_CACHE_DIR": str(tmp_path_factory.mktemp("cold"))}


@pytest.fixture
def lukewarm(compiled: None, tmp_path: Path) -> dict[str, str]:
    """A machine on which all but one kernel are compiled."""
    folder = tmp_path / cache_folder().name
    folder.mkdir()
    for kernel in kept_kernels():
        if not kernel.name.startswith("sum_bands"):
            shutil.copy(kernel, folder)
    return {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}


def on_terminal(arguments: list[str], env: dict[str, str]) -> str:
    """What a command shows on stderr, a terminal of 100 columns."""
    import pty

    ours, theirs = pty.openpty()
    env = {**env, "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=theirs, env=env)
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
    os.close(ours)
    assert process.wait(60) == 0, shown
    return CONTROL.sub("", shown.decode())


def test_without_a_terminal_lines_tell_how_far_it_is(cold: dict[str, str], tmp_path: Path, music: Path) -> None:
    features = ["features", str(music), "--model", "MSD_vgg", "--no-cache", "--out", str(tmp_path / "f.npz")]
    command = [sys.executable, "-m", "streamtag", *features]
    done = subprocess.run(command, capture_output=True, text=True, env=cold, timeout=300)
    assert done.returncode == 0, done.stderr
    steps = [PROGRESS.fullmatch(line) for line in done.stderr.splitlines()]
    assert all(steps)
    ready = [int(step[1]) for step in steps if step]
    assert ready[0] == 0  # before the wait
    assert ready == sorted(ready)
    assert {int(step[2]) for step in steps if step} == {KERNELS["vgg"]}

    live = [sys.executable, *LIVE, "--model", "MSD_vgg"]  # and what only that needs
    first, again = (subprocess.run(live, capture_output=True, text=True, env=cold, timeout=300) for _ in range(2))
    assert first.returncode == 0, first.stderr
    kept = len(list(Path(cold["NUMBA_CACHE_DIR"]).rglob(f"*{SUFFIX}")))
    assert kept + 2 == KERNELS["vgg"]  # only a device needs the callback and what it calls at the end
    assert "compiling" not in again.stderr
    assert "s heard" in again.stderr


def test_on_a_terminal_a_line_counts(cold: dict[str, str]) -> None:
    shown = on_terminal([*LIVE, "--model", "MSD_musicnn"], cold)
    ready = [int(step[1]) for step in PROGRESS.finditer(shown)]
    assert ready == sorted(ready)
    assert len(set(ready)) > 10
    assert {int(step[2]) for step in PROGRESS.finditer(shown)} == {KERNELS["musicnn"]}
    assert KERNELS["musicnn"] - 8 <= ready[-1] < KERNELS["musicnn"]
    assert "compiling" not in on_terminal([*LIVE, "--model", "MSD_musicnn"], cold)


@pytest.mark.parametrize("family", ["attention", "autopool"])
def test_those_of_other_architectures_are_counted_too(tmp_path: Path, family: str) -> None:
    weights = random_weights(find_architecture(family).spec(("a", "b")))
    model = tmp_path / "my.safetensors"
    write_model(model, weights.spec, weights.tensors, {"model": "my", **ORIGIN})
    shown = on_terminal(
        [*LIVE, "--model", str(model)], {**os.environ, "NUMBA_OPT": "0", "NUMBA_CACHE_DIR": str(tmp_path)}
    )
    ready = [int(step[1]) for step in PROGRESS.finditer(shown)]
    assert {int(step[2]) for step in PROGRESS.finditer(shown)} == {KERNELS[family]}
    assert KERNELS[family] - 8 <= ready[-1] < KERNELS[family]


PUSH = """
import numpy, streamtag
tagger = streamtag.Tagger("MSD_vgg")
print(sum(1 for frame in tagger.push(numpy.zeros(4 * 16_000, "float32"), 16_000)))
"""


def test_in_python_one_line_is_logged(lukewarm: dict[str, str]) -> None:
    command = [sys.executable, "-c", PUSH]
    first, again = (
        subprocess.run(command, capture_output=True, text=True, env=lukewarm, timeout=300, check=True) for _ in range(2)
    )
    assert first.stderr == f"streamtag: {COMPILING}\n"
    assert again.stderr == ""
    assert int(first.stdout) == int(again.stdout) > 0
