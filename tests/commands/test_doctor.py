"""`streamtag doctor`: complete, pasteable, and never a failure of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import streamtag
from tests.support.program import run_cli

HEADINGS = ["streamtag:", "processor:", "sound:", "kernels:", "models:", "network:"]


def test_a_report_has_all_sections_and_no_home() -> None:
    outcome = run_cli("doctor", "--osc", "localhost:9000", "--osc", "no.such.host.invalid:9000")
    assert (outcome.status, outcome.stderr) == (0, "")
    lines = outcome.stdout.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == HEADINGS
    assert f"  streamtag {streamtag.__version__}, Python " in outcome.stdout
    assert "numba " in outcome.stdout
    assert "float32 in a register" in outcome.stdout
    assert "  MSD_musicnn: " in outcome.stdout
    assert "  MSD_musicnn_big: not installed" in lines
    assert "  localhost:9000: 127.0.0.1" in outcome.stdout or "::1" in outcome.stdout
    assert "  no.such.host.invalid:9000: cannot be resolved: " in outcome.stdout
    home = str(Path.home())
    assert home == "/" or home not in outcome.stdout


def test_what_is_broken_is_a_line_of_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise RuntimeError("a damaged disk")

    monkeypatch.setattr("streamtag.inference.networks.catalogue.find_weights", fail)
    outcome = run_cli("doctor")
    assert outcome.status == 0
    assert "models:\n  RuntimeError: a damaged disk\nnetwork:" in outcome.stdout


WITHOUT = """
import sys
for name in ("tensorflow", "keras", "jax", "torch"):
    sys.modules[name] = None
sys.argv = ["streamtag", *sys.argv[1:]]
from streamtag.cli import main
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("file", "--engine", "tensorflow"),
        ("live", "--input", "demo", "--engine", "tensorflow"),
        ("models", "import", "."),
    ],
)
def test_whoever_asks_for_tensorflow_without_it_is_told_the_command(
    arguments: tuple[str, ...], tmp_path: Path, music: Path
) -> None:
    given = [*arguments[:1], str(music), *arguments[1:]] if arguments[0] == "file" else list(arguments)
    if arguments[0] == "models":
        folder = tmp_path / "MTT_vgg"
        folder.mkdir()
        for part in (".index", ".data-00000-of-00001"):
            (folder / part).write_bytes(b"x")
        given[-1] = str(folder)
    done = subprocess.run([sys.executable, "-c", WITHOUT, *given], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2, done.stderr
    assert "pip install 'streamtag[tensorflow]'" in done.stderr
    assert "Traceback" not in done.stderr
