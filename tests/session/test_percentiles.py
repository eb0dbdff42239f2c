"""Percentiles in constant memory, against NumPy's of all the numbers."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from streamtag.session.percentiles import HIGHEST_MS, LOWEST_MS, Percentiles


def counted(durations):
    percentiles = Percentiles()
    for duration in durations:
        percentiles.add(float(duration))
    return percentiles


# Odd sizes: no rank is a whole number, which two ways of computing it might round apart.
RANDOM = np.random.default_rng(3)
SAMPLES = {
    "log-normal": RANDOM.lognormal(1, 1, 4999),
    "uniform": RANDOM.uniform(0.5, 200, 4999),
    "two humps": np.concatenate((RANDOM.normal(3, 0.1, 4899), RANDOM.normal(80, 5, 100))),
    "all the same": np.full(100, 3.1),
    "one": np.array([42.0]),
    "two": np.array([1.0, 1000.0]),
    "everywhere": np.geomspace(LOWEST_MS, HIGHEST_MS, 997),
}


@pytest.mark.parametrize("durations", SAMPLES.values(), ids=SAMPLES.keys())
@pytest.mark.parametrize("percent", [0.1, 1, 25, 50, 90, 99, 99.9, 100])
def test_is_numpys_within_2_percent(durations, percent):
    expected = np.percentile(durations, percent, method="inverted_cdf")
    assert counted(durations).at(percent) == pytest.approx(expected, rel=0.02)


def test_none_is_0():
    assert Percentiles().at(50) == 0.0
    assert Percentiles().at(99) == 0.0


@pytest.mark.parametrize("percent", [0, 50, 99, 100])
def test_of_one_all_are_that_one(percent):
    assert counted([7.0]).at(percent) == pytest.approx(7.0, rel=0.01)


def test_0_is_the_least_and_100_the_most():
    percentiles = counted([5.0, 1.0, 30.0, 12.0])
    assert percentiles.at(0) == pytest.approx(1.0, rel=0.01)
    assert percentiles.at(100) == pytest.approx(30.0, rel=0.01)


@pytest.mark.parametrize("duration", [-5.0, 0.0, 1e-9, LOWEST_MS])
def test_what_is_too_short_counts_as_the_shortest(duration):
    assert counted([duration]).at(50) == pytest.approx(LOWEST_MS, rel=0.02)


@pytest.mark.parametrize("duration", [HIGHEST_MS, 1e9, np.inf])
def test_what_is_too_long_counts_as_the_longest(duration):
    assert counted([duration]).at(50) == pytest.approx(HIGHEST_MS, rel=0.02)


def test_a_late_one_in_a_hundred_is_seen():
    assert counted([2.0] * 98 + [500.0] * 2).at(99) == pytest.approx(500, rel=0.02)
    assert counted([2.0] * 99 + [500.0]).at(99) == pytest.approx(2, rel=0.02)


def test_memory_is_constant():
    percentiles = Percentiles()
    before = sum(sys.getsizeof(value) for value in vars(percentiles).values())
    for duration in SAMPLES["log-normal"]:
        percentiles.add(float(duration))
    assert sum(sys.getsizeof(value) for value in vars(percentiles).values()) == before < 20_000
