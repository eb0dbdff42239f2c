"""`streamtag calibrate` as a user runs it, and what comes of it in `streamtag live`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.support.program import run_cli

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, music: Path) -> Path:
    """Seven seconds of music."""
    path = tmp_path_factory.mktemp("sound") / "clip.wav"
    samples, rate = soundfile.read(music, frames=7 * 44_100)
    soundfile.write(path, samples, rate)
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, clip: Path) -> Path:
    path = tmp_path_factory.mktemp("cal") / "mine.cal"
    outcome = run_cli("calibrate", clip, "--out", path)
    assert outcome.status == 0
    assert f"written: {path} (MSD_musicnn, 1 file, 0.1 minutes heard)" in outcome.stdout
    assert "note: 1 file says little" in outcome.message
    return path


def test_live_sends_each_tags_own_scale_and_switches_by_it(made: Path, clip: Path) -> None:
    options = ["--input", clip, "--format", "json", "--level", "auto", "--music", "off", "--calibration", made]
    outcome = run_cli("live", *options, "--threshold", "50%")
    assert outcome.status == 0, outcome.message
    last = outcome.json[-1]
    values = [value for _, value in last["calibrated"]]
    assert len(values) == 5
    assert values == sorted(values, reverse=True)
    assert 0 < values[0] <= 1
    on = [len(line["on"]) for line in outcome.json]
    assert 0 < np.mean(on) < 50, "half of the tags, at any time, by its own scale"
    assert np.mean(on) > 10


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--model", "MTT_musicnn"], "made with MSD_musicnn, not with MTT_musicnn"),
        (["--threshold", "95"], "expected a score up to 1, for example 0.2, or a percentage, for example 95%"),
        (["--threshold", "120%"], "above 0% and below 100%"),
        (["--threshold", "high"], "expected a score up to 1, for example 0.2, or a percentage"),
    ],
)
def test_what_does_not_fit_is_told(made: Path, clip: Path, options: list[str], why: str) -> None:
    outcome = run_cli("live", "--input", clip, "--calibration", made, *options)
    assert outcome.status == 2 or outcome.status == 1
    assert why in outcome.message


def test_a_percentage_without_a_scale_is_told(clip: Path) -> None:
    outcome = run_cli("live", "--input", clip, "--calibration", "off", "--threshold", "95%")
    assert outcome.status == 2
    assert "add a calibration, or give a score" in outcome.message


def test_another_window_is_noted(made: Path, clip: Path) -> None:
    outcome = run_cli(
        "live", "--input", clip, "--format", "text", "--window", "1", "--calibration", made, "--duration", "0.5"
    )
    assert outcome.status == 0
    assert "note: the calibration is of windows of 2.99 s (now 0.99 s): 95% is not quite as rare" in outcome.message


def test_an_output_that_is_an_input_is_refused(clip: Path) -> None:
    outcome = run_cli("calibrate", clip, "--out", clip)
    assert outcome.status == 2
    assert "it is read, too" in outcome.message


def test_files_that_cannot_be_read_are_named(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    outcome = run_cli("calibrate", clip, tmp_path / "bad.wav", "--out", tmp_path / "mine.cal")
    assert outcome.status == 1
    assert "bad.wav" in outcome.message
    assert (tmp_path / "mine.cal").exists()
