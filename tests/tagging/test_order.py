"""The order of the top tags keeps until a lead is clear."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streamtag.tagging.order import ENTER, PASS, SteadyOrder

SCORES = st.lists(st.floats(0, 1, width=32), min_size=6, max_size=6)


def scores(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def test_the_first_order_is_that_of_the_scores() -> None:
    assert SteadyOrder().update(scores(0.1, 0.4, 0.3, 0.2), 3) == [1, 2, 3]


def test_a_small_lead_changes_nothing_and_a_clear_one_does() -> None:
    order = SteadyOrder()
    order.update(scores(0.40, 0.30, 0.20, 0.1), 2)
    assert order.update(scores(0.40, 0.42, 0.20, 0.1), 2) == [0, 1]
    assert order.update(scores(0.40, 0.56, 0.20, 0.1), 2) == [1, 0]


def test_a_newcomer_needs_less_to_be_named_than_to_lead() -> None:
    order = SteadyOrder()
    order.update(scores(0.40, 0.30, 0.20, 0.1), 2)
    assert order.update(scores(0.40, 0.30, 0.33, 0.1), 2) == [0, 1]
    assert order.update(scores(0.40, 0.30, 0.36, 0.1), 2) == [0, 2]


def test_one_that_leads_by_far_goes_to_the_top_at_once() -> None:
    order = SteadyOrder()
    order.update(scores(0.5, 0.4, 0.3, 0.0), 3)
    assert order.update(scores(0.5, 0.4, 0.3, 0.9), 3)[0] == 3


def test_another_number_of_names_and_a_reset_rank_anew() -> None:
    order = SteadyOrder()
    order.update(scores(0.40, 0.39, 0.2, 0.1), 2)
    near = scores(0.39, 0.40, 0.2, 0.1)
    assert order.update(near, 2) == [0, 1]
    assert order.update(near, 3) == [1, 0, 2]
    order.update(scores(0.40, 0.39, 0.2, 0.1), 3)
    order.reset()
    assert order.update(near, 3) == [1, 0, 2]
    assert len(order.update(near, 99)) == 4, "no more names than tags"


@given(rows=st.lists(SCORES, min_size=1, max_size=12), count=st.integers(1, 6))
def test_whoever_leads_clearly_is_named_and_above(rows: list[list[float]], count: int) -> None:
    order = SteadyOrder()
    for row in rows:
        values = np.array(row, np.float32)
        named = order.update(values, count)
        assert len(set(named)) == len(named) == count
        last = min(values[tag] for tag in named)
        for other in set(range(6)) - set(named):
            assert values[other] <= ENTER[0] * last + ENTER[1] + 1e-6
        for above, below in itertools.pairwise(named):
            assert values[below] <= PASS[0] * values[above] + PASS[1] + 1e-6


@given(rows=st.lists(SCORES, min_size=1, max_size=12))
def test_without_a_margin_it_is_the_true_order(rows: list[list[float]]) -> None:
    order = SteadyOrder()
    for row in rows:
        values = np.array(row, np.float32)
        named = order.update(values, 4, margin=0)
        np.testing.assert_array_equal(values[named], np.sort(values)[::-1][:4])
