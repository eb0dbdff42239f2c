"""The command `train run`, as users run it, on the backends of Keras that are here."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from streamtag.inference.networks.catalogue import find_spec
from tests.support.stores import store_of

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

TWO_DEVICES = {"KERAS_BACKEND": "jax", "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with spectrograms and two tables: an odd number of tracks, loud ones and quiet ones."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    arrays = {f"{number}": (number % 2) * rng.random((200, 96)).astype(np.float32) for number in range(21)}
    store_of(folder / "store", arrays)
    for name, numbers in (("train", range(15)), ("validation", range(15, 21))):
        lines = ["id,label", *(f"{number},{('quiet', 'loud')[number % 2]}" for number in numbers)]
        (folder / f"{name}.csv").write_text("\n".join(lines))
    return folder


def run(data: Path, out: Path, env: Mapping[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    tables = ["--truth", str(data / "train.csv"), "--validation", str(data / "validation.csv")]
    command = ["train", "run", str(data / "store"), *tables, "--out", str(out), "--model", "0", "--batch-size", "4"]
    return subprocess.run(
        [sys.executable, "-m", "streamtag", *command, *options],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize(
    "env", [{}, {"KERAS_BACKEND": "jax"}, TWO_DEVICES], ids=["tensorflow", "jax", "jax, two devices"]
)
def test_a_run_on_another_backend_is_a_run(data: Path, tmp_path: Path, env: dict[str, str]) -> None:
    out = tmp_path / "my.safetensors"
    done = run(data, out, env, "--epochs", "3")
    assert done.returncode == 0, done.stderr
    assert len(done.stderr.splitlines()) == 1, "no chatter of libraries"
    assert f"Keras on {env.get('KERAS_BACKEND', 'tensorflow')} ({'2 x ' if 'XLA_FLAGS' in env else ''}" in done.stderr
    assert len(done.stdout.splitlines()) == 5
    assert f"written to {out}. Play it: streamtag live --model {out}" in done.stdout
    assert find_spec(str(out)).labels == ("loud", "quiet")
    if env == TWO_DEVICES:  # one goes on as two do; TensorFlow's runs do in test_run
        assert "already" not in run(data, out, env, "--epochs", "4", "--resume").stderr


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--model", "vgg"], 2, "Did you mean vgg"),
        (["--from", "MTT_vgg"], 2, "has an architecture already: leave --model 0 out"),
        (["--window", "0.1"], 2, "needs patches of 56 frames"),
        (["--labels", "nothing.txt"], 1, "no such file of labels"),
        (["--resume"], 1, "there is nothing to resume"),
        (["--learning-rate", "0"], 2, "expected a number above 0"),
    ],
)
def test_what_cannot_be_is_told(data: Path, tmp_path: Path, options: list[str], status: int, said: str) -> None:
    done = run(data, tmp_path / "my.safetensors", {}, *options)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == status
