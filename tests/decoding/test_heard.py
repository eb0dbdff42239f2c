"""What is odd about the sound itself is noted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.recordings import read, sound, write

RATE = 44_100
X = sound(RATE, 1, 2)


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (np.zeros((RATE, 2)), "silent from beginning to end"),
        (np.full((RATE, 1), 0.5), "silent from beginning to end"),
        (1e-5 * X, "silent from beginning to end"),
        (np.hstack([X, -X]), "cancel each other out"),
        (np.hstack([X, -0.995 * X]), "cancel each other out"),
        (np.hstack([X, -X, 0 * X]), "cancel each other out"),
        (29_000 * X, "times full scale"),
        (20 * X, "times full scale"),
        (np.full((RATE, 2), np.nan), "none of its samples is a number"),
        (np.full((RATE, 2), -np.inf), "far beyond full scale"),
        (np.where(np.arange(2 * RATE)[:, None] % 2, np.nan, 0), "silent from beginning to end"),
    ],
)
def test_noted(tmp_path: Path, samples: np.ndarray, said: str) -> None:
    note = read(write(tmp_path / "x", samples, RATE, "WAV", "FLOAT"))[2]
    assert note is not None
    assert said in note
    assert ";" not in note


@pytest.mark.parametrize(
    "samples",
    [
        X,
        3 * X,  # a mix that was not brought down yet
        1e-3 * X,
        np.hstack([X, 0 * X]),
        np.hstack([X, -0.9 * X]),
        np.hstack([X, np.roll(X, RATE // 2, axis=0)]),
        np.where(np.arange(len(X))[:, None] % 100, X, np.nan),
        np.concatenate([np.zeros((RATE, 1)), X]),
    ],
)
def test_music_is_not(tmp_path: Path, samples: np.ndarray) -> None:
    assert read(write(tmp_path / "x", samples, RATE, "WAV", "FLOAT"))[2] is None


def test_in_whatever_blocks(tmp_path: Path) -> None:
    path = write(tmp_path / "x", np.concatenate([np.zeros((RATE * 20, 1)), 9_000 * X]), RATE, "WAV", "FLOAT")
    assert {str(read(path, frames)[2]) for frames in (1_000, 65_536, 10**7)} == {
        "samples reach 5,400 times full scale, as integers do that were stored as floats: its tags mean little"
    }
