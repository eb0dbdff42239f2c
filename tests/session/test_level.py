"""Level and peaks: the level of any split of the same samples is the same, and faults are seen."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamtag.results import SILENCE_DBFS
from streamtag.session.level import Level
from tests.support.sessions import few

RATE = 16_000


def level_of(*blocks: np.ndarray) -> Level:
    level = Level()
    for block in blocks:
        level.feed(block.astype(np.float32), RATE)
    return level


def test_the_first_block_shows() -> None:
    sine = np.sin(np.arange(320) * 2 * math.pi / 32)
    assert level_of(sine).dbfs == pytest.approx(-3.01, abs=0.01)
    assert level_of(sine / 10).dbfs == pytest.approx(-23.01, abs=0.01)
    assert level_of().dbfs == level_of(np.zeros(0)).dbfs == SILENCE_DBFS


def test_it_follows_within_a_second() -> None:
    loud, soft = np.full(160, 0.5), np.full(160, 0.05)
    assert level_of(*100 * [loud], *200 * [soft]).dbfs == pytest.approx(-26.0, abs=0.6)
    assert level_of(*100 * [soft], *100 * [loud]).dbfs == pytest.approx(-6.0, abs=0.2)


@few
@given(st.lists(st.integers(1, 2000), min_size=1, max_size=20), st.floats(0.0, 1.5))
def test_steady_sound_and_counts_are_the_same_in_any_split(blocks: list[int], value: float) -> None:
    split, whole = level_of(*(np.full(n, value) for n in blocks)), level_of(np.full(sum(blocks), value))
    assert split.dbfs == pytest.approx(whole.dbfs, abs=1e-6)
    assert (split.samples, split.clipped, split.peak) == (whole.samples, whole.clipped, whole.peak)
    assert split.silent_seconds == pytest.approx(whole.silent_seconds)


def test_full_scale_is_that_of_integers() -> None:
    level = level_of(np.array([32_766, 32_767, -32_767, -32_768, 100]) / 32_768)
    assert level.clipped == 3
    assert level.peak == 1.0


def test_exact_zeros_count_from_the_start_only() -> None:
    assert level_of(np.zeros(RATE)).silent_seconds == 1.0
    assert level_of(np.zeros(RATE), np.full(1, 1e-30), np.zeros(RATE)).silent_seconds == 0.0
