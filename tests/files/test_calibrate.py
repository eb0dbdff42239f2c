"""A calibration from files of music."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from rich.console import Console

from streamtag.errors import AudioFileError, CalibrationError
from streamtag.files.calibrate import EVERY_SECONDS, HOP, PART_SECONDS, calibrate, rolling_scores
from streamtag.tagging.calibration import quantiles
from streamtag.tagging.options import TaggingOptions
from streamtag.tagging.tagger import Tagger

RATE = 16_000
OPTIONS = TaggingOptions(model="MTT_musicnn", hop=HOP, level="auto", gate=-60)


def tones(seconds: float, seed: int = 1) -> np.ndarray:
    """Chords that change each second."""
    random = np.random.default_rng(seed)
    time = np.arange(RATE) / RATE
    chords = [
        sum(np.sin(2 * np.pi * pitch * time) for pitch in random.uniform(80, 2000, 4)) for _ in range(int(seconds))
    ]
    return (0.1 * np.concatenate(chords)).astype(np.float32)


def written(path: Path, sound: np.ndarray, rate: int = RATE) -> Path:
    soundfile.write(path, sound, rate)
    return path


def quiet() -> Console:
    return Console(file=io.StringIO())


def test_a_file_is_heard_as_a_live_session_hears_it(tmp_path: Path) -> None:
    sound = tones(8)
    found, seconds = rolling_scores(written(tmp_path / "a.wav", sound), OPTIONS)
    stored, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    expected = np.array([frame.scores for frame in Tagger(options=OPTIONS).push(stored, RATE)])
    np.testing.assert_array_equal(found, expected)
    assert seconds == pytest.approx(8)


def test_of_a_long_file_a_part_of_each_minute_is_heard(tmp_path: Path) -> None:
    sound = tones(65)
    found, seconds = rolling_scores(written(tmp_path / "long.wav", sound), OPTIONS)
    assert seconds == pytest.approx(PART_SECONDS + 65 - EVERY_SECONDS, abs=0.01)
    spoilt = sound.copy()
    spoilt[round(PART_SECONDS * RATE) : round(EVERY_SECONDS * RATE)] = 0.5
    again, _ = rolling_scores(written(tmp_path / "spoilt.wav", spoilt), OPTIONS)
    np.testing.assert_array_equal(found, again)


def test_a_file_shorter_than_a_window_counts_once(tmp_path: Path) -> None:
    found, _ = rolling_scores(written(tmp_path / "short.wav", tones(2)), OPTIONS)
    assert found.shape == (1, 50)


def test_silence_says_nothing_about_music(tmp_path: Path) -> None:
    with pytest.raises(AudioFileError, match="holds nothing to hear"):
        rolling_scores(written(tmp_path / "silence.wav", np.zeros(6 * RATE, np.float32)), OPTIONS)


def test_each_file_counts_the_same_and_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    paths = [written(tmp_path / f"{seed}.wav", tones(6 + 6 * seed, seed)) for seed in (1, 2)]
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"RIFF" + bytes(50))
    calibration, failed = calibrate([*paths, bad], OPTIONS, quiet(), jobs=2)
    assert [str(bad) in str(error) for error in failed] == [True]
    assert calibration.facts["files"] == 2
    assert calibration.model == "MTT_musicnn"
    rows = [rolling_scores(path, OPTIONS)[0] for path in paths]
    assert len(rows[1]) > 1.5 * len(rows[0])
    np.testing.assert_array_equal(calibration.quantiles, quantiles(rows))


def test_nothing_that_could_be_heard_is_an_error_that_says_why(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match=r"none of 1 files could be heard .*no such file"):
        calibrate([tmp_path / "missing.wav"], OPTIONS, quiet())
