"""Each tag's own scale: where a score lies among those of reference music."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamtag.errors import OptionError
from streamtag.tagging.calibration import LEVELS, Calibration, place, quantiles

FLOAT32 = np.finfo(np.float32)


def made(*groups: np.ndarray) -> Calibration:
    return Calibration("MSD_musicnn", "", 187, 1.0, "auto", LEVELS.astype(np.float32), quantiles(groups))


def random_scores(count: int, seed: int, tags: int = 5) -> np.ndarray:
    """Scores with ranges as different as those of tags are."""
    random = np.random.default_rng(seed)
    return (random.beta(0.5, 5, (count, tags)) * 10.0 ** (-np.arange(tags) / 2)).astype(np.float32)


def test_half_the_reference_lies_below_a_half_and_one_twentieth_above_95_percent() -> None:
    reference = random_scores(5000, 1)
    calibration = made(reference)
    found = np.array([calibration.calibrated(row) for row in reference])
    assert found.dtype == np.float32
    for level in (0.05, 0.5, 0.9, 0.95, 0.99):
        np.testing.assert_allclose((found > level).mean(axis=0), 1 - level, atol=0.002)


def test_each_group_counts_the_same_however_long_it_is() -> None:
    long, short = np.full((9000, 1), 0.1, np.float32), np.full((10, 1), 0.3, np.float32)
    calibration = made(long, short)
    assert calibration.scores_at(0.25) == pytest.approx([0.1])
    assert calibration.scores_at(0.75) == pytest.approx([0.3])
    assert 0 < calibration.calibrated(np.array([0.2], np.float32))[0] < 1


def test_scores_beyond_the_reference_are_at_its_ends() -> None:
    calibration = made(random_scores(100, 2))
    assert calibration.calibrated(np.zeros(5, np.float32)).tolist() == [0] * 5
    assert calibration.calibrated(np.ones(5, np.float32)).tolist() == [1] * 5


def test_a_score_that_is_a_good_part_of_the_reference_is_at_the_lower_end_of_that_part() -> None:
    """So that a tag at rest is at 0, even where much of the reference never had it."""
    reference = np.concatenate([np.zeros((600, 1), np.float32), np.linspace(0.1, 1, 400, dtype=np.float32)[:, None]])
    calibration = made(reference)
    assert calibration.calibrated(np.zeros(1, np.float32))[0] == 0
    assert calibration.calibrated(np.array([1e-3], np.float32))[0] >= 0.55


def test_a_tag_that_is_the_same_everywhere_gives_no_more_than_below_and_above() -> None:
    calibration = made(np.full((50, 1), 0.25, np.float32))
    found = [float(calibration.calibrated(np.array([score], np.float32))[0]) for score in (0, 0.24, 0.26, 1)]
    assert found == [0, 0, 1, 1] or (found[:2] == [0, 0] and found[2] > 0.99)


@given(st.lists(st.floats(0, 1, width=32), min_size=2, max_size=40), st.integers(0, 99))
def test_it_never_falls_as_the_score_rises(scores: list[float], seed: int) -> None:
    calibration = made(random_scores(300, seed, tags=1))
    found = [float(calibration.calibrated(np.array([score], np.float32))[0]) for score in sorted(scores)]
    assert all(0 <= value <= 1 for value in found)
    assert found == sorted(found)


@given(st.floats(0.01, 0.99), st.integers(0, 99))
def test_there_and_back(level: float, seed: int) -> None:
    calibration = made(random_scores(400, seed))
    np.testing.assert_allclose(calibration.calibrated(calibration.scores_at(level)), level, atol=2e-3)


def test_tags_do_not_touch_one_another() -> None:
    """One curve holds them all."""
    reference = random_scores(500, 3)
    together = made(reference).calibrated(reference[7])
    alone = [made(reference[:, [tag]]).calibrated(reference[7, [tag]])[0] for tag in range(5)]
    np.testing.assert_allclose(together, alone, atol=1e-6)


@pytest.mark.parametrize(("text", "level"), [("95%", 0.95), (" 50 % ", 0.5), ("99.5%", 0.995), (0.2, None), (1, None)])
def test_a_threshold_may_be_a_percentage(text: float | str, level: float | None) -> None:
    assert place(text) == level


@pytest.mark.parametrize("text", ["95", "0%", "100%", "-5%", "high%", "nan%", "%", ""])
def test_what_is_no_percentage_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(OptionError, match="for example 95%"):
        place(text)
