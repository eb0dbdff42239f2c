"""Smoothing, hysteresis and the order of tags."""

from __future__ import annotations

import math

import numpy as np
import pytest

from streamtag.errors import OptionError
from streamtag.results import best_tags
from streamtag.tagging.smoothing import HYSTERESIS, Rolling

LABELS = ("rock", "pop", "jazz", "folk")


def scores(*values):
    return np.array(values, np.float32)


def now(rolling):
    """The rolling scores of what has heard some."""
    assert rolling.scores is not None
    return rolling.scores


def after_step(smooth, hop, seconds):
    """The rolling score `seconds` after a step from 0 to 1, updated every `hop`."""
    rolling = Rolling(LABELS[:1], top=1, smooth=smooth)
    rolling.update(scores(0), hop)
    for _ in range(round(seconds / hop)):
        rolling.update(scores(1), hop)
    return float(now(rolling)[0])


@pytest.mark.parametrize("smooth", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("hops", [1, 2, 5, 50, 500])
def test_a_step_is_63_percent_there_after_the_time_constant(smooth, hops):
    """Whatever the hop."""
    assert after_step(smooth, smooth / hops, smooth) == pytest.approx(1 - 1 / math.e, abs=1e-5)


def test_a_step_is_95_percent_there_after_three_time_constants():
    assert after_step(1.0, 0.1, 3.0) == pytest.approx(1 - math.exp(-3), abs=1e-5)


def test_skipped_windows_count_as_time():
    """One update over the time of ten moves as far as ten updates with the same scores."""
    one, ten = Rolling(LABELS), Rolling(LABELS)
    for rolling in (one, ten):
        rolling.update(scores(0.1, 0.9, 0.5, 0), 0.064)
    one.update(scores(0.8, 0.2, 0.5, 0), 0.64)
    for _ in range(10):
        ten.update(scores(0.8, 0.2, 0.5, 0), 0.064)
    np.testing.assert_allclose(now(one), now(ten), atol=1e-6)


def test_the_first_scores_are_taken_as_they_are():
    rolling = Rolling(LABELS, smooth=10)
    assert rolling.scores is None
    assert rolling.best() == ()
    rolling.update(scores(0.1, 0.2, 0.3, 0.4), 0.064)
    np.testing.assert_array_equal(rolling.scores, scores(0.1, 0.2, 0.3, 0.4))


def test_no_smoothing_takes_each_as_it_is():
    rolling = Rolling(LABELS, smooth=0)
    for raw in (scores(0, 0, 0, 1), scores(1, 0, 0.5, 0)):
        rolling.update(raw, 0.064)
        np.testing.assert_array_equal(rolling.scores, raw)


def test_scores_stay_float32_within_0_and_1_and_are_new_arrays():
    rolling = Rolling(LABELS, smooth=0.3)
    random = np.random.default_rng(1)
    earlier = []
    for _ in range(300):
        raw = random.choice([0, 1, 0.5], 4).astype(np.float32)
        rolling.update(raw, 0.016)
        assert now(rolling).dtype == np.float32
        assert np.all((now(rolling) >= 0) & (now(rolling) <= 1))
        earlier.append((now(rolling), now(rolling).copy()))
    assert all(np.array_equal(given, copy) for given, copy in earlier)


# --- on and off -------------------------------------------------------------------------------------------------------


def switches(values, threshold=0.5):
    """What one tag's scores switch, one entry for each."""
    rolling = Rolling(("rock",), top=1, smooth=0, threshold=threshold)
    return [rolling.update(scores(value), 0.064) for value in values], rolling


def test_switches_on_at_the_threshold_and_off_below_its_share():
    assert HYSTERESIS == 0.8
    on, off = (("rock", True),), (("rock", False),)
    said, _ = switches([0.49, 0.5, 0.45, 0.41, 0.39, 0.41, 0.49, 0.6, 0.0])
    assert said == [(), on, (), (), off, (), (), on, off]


def test_a_wobble_about_the_threshold_switches_once():
    said, rolling = switches([0.5 + 0.05 * (-1) ** n for n in range(50)])
    assert sum(map(len, said)) == 1
    assert rolling.on.tolist() == [True]


def test_hysteresis_hears_the_rolling_scores_not_the_raw_ones():
    rolling = Rolling(("rock",), top=1, smooth=1.0, threshold=0.5)
    rolling.update(scores(0), 0.1)
    said = [rolling.update(scores(1), 0.1) for _ in range(10)]
    # 1 - exp(-t) crosses 0.5 at 0.69 s
    assert [n for n, switched in enumerate(said, start=1) if switched] == [7]


def test_several_tags_switch_at_once_in_the_order_of_the_labels():
    rolling = Rolling(LABELS, smooth=0, threshold=0.3)
    assert rolling.update(scores(0.9, 0, 0.3, 0.29), 0.064) == (("rock", True), ("jazz", True))
    assert rolling.update(scores(0, 0.9, 0.25, 0.29), 0.064) == (("rock", False), ("pop", True))
    assert rolling.on.tolist() == [False, True, True, False]


def test_the_highest_threshold_can_be_reached():
    said, _ = switches([1.0], threshold=1.0)
    assert said == [(("rock", True),)]


def test_reset_forgets():
    rolling = Rolling(LABELS, smooth=5, threshold=0.3)
    rolling.update(scores(1, 1, 1, 1), 0.064)
    rolling.reset()
    assert rolling.best() == ()
    assert not rolling.on.any()
    assert rolling.update(scores(0.4, 0, 0, 0), 0.064) == (("rock", True),)
    np.testing.assert_array_equal(rolling.scores, scores(0.4, 0, 0, 0))


# --- rest -------------------------------------------------------------------------------------------------------------


def test_scores_fall_at_rest_by_the_time_constant_and_end_at_0():
    rolling = Rolling(LABELS, smooth=0.5, threshold=0.3)
    rolling.update(scores(0.9, 0.4, 0.1, 0), 0.1)
    assert rolling.rest(0.5) == (("pop", False),)
    np.testing.assert_allclose(now(rolling), scores(0.9, 0.4, 0.1, 0) / np.float32(math.e), rtol=1e-6)
    said = [rolling.rest(0.1) for _ in range(60)]
    assert [switched for switched in said if switched] == [(("rock", False),)]
    np.testing.assert_array_equal(rolling.scores, np.zeros(4, np.float32))
    assert now(rolling).dtype == np.float32


def test_rest_over_a_gap_is_one_long_rest():
    one, ten = Rolling(LABELS, smooth=1), Rolling(LABELS, smooth=1)
    for rolling in (one, ten):
        rolling.update(scores(0.9, 0.4, 0.1, 0), 0.1)
    one.rest(1.0)
    for _ in range(10):
        ten.rest(0.1)
    np.testing.assert_allclose(now(one), now(ten), atol=1e-6)


@pytest.mark.parametrize("smooth", [0, 0.5, 100])
def test_all_may_be_let_go_of_at_once(smooth):
    rolling = Rolling(LABELS, smooth=smooth, threshold=0.3)
    rolling.update(scores(0.9, 0.4, 0.1, 0), 0.1)
    assert rolling.rest(math.inf) == (("rock", False), ("pop", False))
    assert not now(rolling).any()
    assert not rolling.on.any()


def test_rest_comes_before_anything_was_heard():
    rolling = Rolling(LABELS)
    assert rolling.rest(0.1) == ()
    np.testing.assert_array_equal(rolling.scores, np.zeros(4, np.float32))


# --- the best ---------------------------------------------------------------------------------------------------------


def test_best_first():
    rolling = Rolling(LABELS, top=3, smooth=0)
    rolling.update(scores(0.1, 0.4, 0.2, 0.3), 0.064)
    best = rolling.best()
    assert [label for label, _ in best] == ["pop", "folk", "jazz"]
    assert [score for _, score in best] == pytest.approx([0.4, 0.3, 0.2])
    assert all(type(score) is float for _, score in best)


def test_ties_are_musicnns():
    """Those of argsort()[::-1]: of equals, a later label first where the sort keeps their order."""
    assert [label for label, _ in best_tags(LABELS, scores(0.5, 0.5, 0.1, 0.5), 4)] == ["folk", "pop", "rock", "jazz"]
    random = np.random.default_rng(2)
    labels = tuple(f"tag {n}" for n in range(50))
    for _ in range(50):
        tied = random.integers(0, 4, 50).astype(np.float32) / 4
        expected = [labels[i] for i in tied.argsort()[::-1][:10]]
        assert [label for label, _ in best_tags(labels, tied, 10)] == expected


def test_more_than_there_are_gives_all():
    rolling = Rolling(LABELS, top=99, smooth=0)
    rolling.update(scores(0.1, 0.4, 0.2, 0.3), 0.064)
    assert [label for label, _ in rolling.best()] == ["pop", "folk", "jazz", "rock"]


# --- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("top", 0, "top 0"),
        ("top", -1, "top -1"),
        ("top", 2.5, "top 2.5: expected a whole number"),
        ("top", "5", "top '5': expected a whole number"),
        ("threshold", "0.2", "threshold '0.2': expected more than 0 and at most 1"),
        ("threshold", None, "threshold None: expected more"),
        ("smooth", "1", "smooth '1' s: expected 0 or more seconds"),
        ("smooth", -0.1, "smooth -0.1 s"),
        ("smooth", math.inf, "smooth inf s"),
        ("smooth", math.nan, "smooth nan s"),
        ("threshold", 0, "threshold 0"),
        ("threshold", 1.01, "threshold 1.01"),
        ("threshold", -0.5, "threshold -0.5"),
        ("threshold", math.nan, "threshold nan"),
    ],
)
def test_refuses_values_out_of_range(option, value, message):
    with pytest.raises(OptionError, match=message):
        Rolling(LABELS, **{option: value})
