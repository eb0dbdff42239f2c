"""The device's clock seen from ours: drift followed, jitter smoothed, jumps taken."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamtag.realtime.clock import FAR_SECONDS, MOST_DRIFT, PATIENCE_SECONDS, SampleClock

RATE = 48_000
BLOCK = 480
"""10 ms."""
START = 1000.0


def follow(clock, blocks, true, jitter=0.0, first=0, seed=1):
    """Stamp blocks whose true times a function of the sample's number gives, give or take `jitter` seconds."""
    random = np.random.default_rng(seed)
    for position in BLOCK * np.arange(first, first + blocks):
        clock.update(int(position), true(position) + random.uniform(-jitter, jitter))


def with_drift(ppm):
    return lambda position: START + position / RATE * (1 + ppm * 1e-6)


def test_nothing_is_known_before_the_first_stamp():
    clock = SampleClock(RATE)
    assert not clock.is_set
    assert clock.period == 1 / RATE
    with pytest.raises(ValueError, match="no stamp has come"):
        clock.at(0)
    clock.update(4800, START)
    assert clock.is_set
    assert [clock.at(4800), clock.at(0), clock.at(9600.5)] == pytest.approx([START, START - 0.1, START + 4800.5 / RATE])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("ppm", [-200, -50, 0, 200])
def test_drift_is_followed_and_jitter_is_not(ppm, seed):
    clock, true = SampleClock(RATE), with_drift(ppm)
    follow(clock, 6000, true, jitter=0.002, seed=seed)
    errors, periods = [], []
    for block in range(6000, 8000):
        follow(clock, 1, true, jitter=0.002, first=block, seed=[seed, block])
        errors.append(clock.at(BLOCK * block) - true(BLOCK * block))
        periods.append(clock.period)
    assert max(map(abs, errors)) < 0.001
    assert max(map(abs, np.diff(errors))) < 0.0002, "from block to block, time runs evenly"
    assert np.mean(periods) * RATE == pytest.approx(1 + ppm * 1e-6, abs=20e-6)
    assert clock.jumps == 0


def test_at_first_it_averages():
    """Jitter is a fraction of itself after a second, when a slope cannot be known yet."""
    errors = []
    for seed in range(20):
        clock = SampleClock(RATE)
        follow(clock, 101, with_drift(0), jitter=0.005, seed=seed)
        assert clock.period == 1 / RATE
        errors.append(clock.at(48_000) - START - 1)
    assert np.std(errors) < 0.0029 / 3, "0.0029 is that of a single stamp"


def test_a_single_outlier_is_ignored_on_either_side():
    clock, exact = SampleClock(RATE), SampleClock(RATE)
    follow(exact, 3000, with_drift(50))
    for block in range(3000):
        late = {700: 5.0, 1500: -0.06, 2200: 0.051, 2201: -3.0}.get(block, 0.0)
        clock.update(BLOCK * block, with_drift(50)(BLOCK * block) + late)
    position = BLOCK * 3000
    assert clock.at(position) == pytest.approx(exact.at(position), abs=1e-5)
    assert clock.jumps == 0


@pytest.mark.parametrize("jump", [-3.0, -0.06, 0.06, 0.2, 60.0])
def test_a_lost_stretch_is_taken_after_a_quarter_of_a_second_and_counted_once(jump):
    clock, true = SampleClock(RATE), with_drift(30)
    follow(clock, 2000, true)
    period = clock.period
    after = lambda position: true(position) + jump  # noqa: E731
    patient = round(PATIENCE_SECONDS * RATE / BLOCK) - 1
    follow(clock, patient, after, first=2000)
    assert clock.at(BLOCK * 2025) == pytest.approx(true(BLOCK * 2025), abs=1e-5), "as if nothing had happened"
    assert clock.jumps == 0
    follow(clock, 2, after, first=2000 + patient)
    assert clock.jumps == 1
    assert clock.at(BLOCK * 2025) == pytest.approx(after(BLOCK * 2025), abs=1e-5)
    assert clock.period == period, "what was learned of the drift stays"
    follow(clock, 2000, after, first=2002 + patient)
    assert clock.at(BLOCK * 4000) == pytest.approx(after(BLOCK * 4000), abs=1e-4)
    assert clock.jumps == 1


def test_patience_is_for_blocks_in_a_row():
    clock = SampleClock(RATE)
    for block in range(2000):
        clock.update(BLOCK * block, with_drift(0)(BLOCK * block) + (1.0 if block % 20 else 0.0))
    assert clock.jumps == 0
    assert clock.at(0) == pytest.approx(START)


def test_a_shift_within_jitter_is_followed_smoothly():
    clock, true = SampleClock(RATE), with_drift(0)
    follow(clock, 3000, true)
    shift = 0.8 * FAR_SECONDS
    follow(clock, 1, lambda position: true(position) + shift, first=3000)
    assert abs(clock.at(BLOCK * 3001) - true(BLOCK * 3001)) < shift / 20
    follow(clock, 3000, lambda position: true(position) + shift, first=3001)
    assert clock.at(BLOCK * 6001) == pytest.approx(true(BLOCK * 6001) + shift, abs=1e-4)
    assert clock.jumps == 0


def test_no_sound_card_drifts_so_much():
    clock = SampleClock(RATE)
    follow(clock, 30_000, with_drift(3 * 1e6 * MOST_DRIFT))
    assert clock.period * RATE == pytest.approx(1 + MOST_DRIFT)
    assert abs(clock.at(BLOCK * 30_000) - with_drift(3000)(BLOCK * 30_000)) < FAR_SECONDS, (
        "time itself is kept all the same"
    )


def test_a_position_that_was_stamped_before_is_passed_over():
    clock = SampleClock(RATE)
    follow(clock, 100, with_drift(0))
    before = clock.at(100_000)
    for position in (BLOCK * 99, 0):
        clock.update(position, START + 77)
    assert clock.at(100_000) == before


def test_begin_anew_takes_the_next_stamp_as_it_is_and_keeps_the_drift():
    clock = SampleClock(RATE)
    follow(clock, 6000, with_drift(100))
    period = clock.period
    assert period * RATE == pytest.approx(1 + 100e-6, abs=5e-6)
    clock.begin_anew()
    assert not clock.is_set
    clock.update(7, 5.0)
    assert clock.at(7) == 5.0
    assert clock.at(48_007) == pytest.approx(5 + 48_000 * period)
    assert clock.jumps == 0, "who asks for it knows"


# from one sample to a second
SIZES = st.lists(st.one_of(st.integers(1, 64), st.integers(1, RATE)), min_size=1, max_size=200)


@given(sizes=SIZES, rate=st.sampled_from([8000, 44_100, 192_000]), start=st.floats(-1e3, 1e6))
@settings(max_examples=100, deadline=None)
def test_blocks_of_any_size_tell_the_same_time(sizes, rate, start):
    clock, position = SampleClock(rate), 0
    for size in sizes:
        clock.update(position, start + position / rate)
        for asked in (0, position, position + size):
            assert clock.at(asked) == pytest.approx(start + asked / rate, abs=1e-7)
        position += size
    assert clock.jumps == 0


@given(seed=st.integers(0, 2**32 - 1), largest=st.sampled_from([16, 480, 9600, 96_000]))
@settings(max_examples=40, deadline=None)
def test_blocks_of_any_size_and_any_jitter_keep_it_near(seed, largest):
    """Stable whatever the step: the clock is never further off than the stamps are."""
    random, clock, position = np.random.default_rng(seed), SampleClock(RATE), 0
    for _ in range(600):
        clock.update(position, START + position / RATE + random.uniform(-0.01, 0.01))
        assert abs(clock.at(position) - START - position / RATE) <= 0.011
        position += int(random.integers(1, largest + 1))
    assert abs(clock.period * RATE - 1) <= MOST_DRIFT * 1.000001


@pytest.mark.parametrize("seed", range(3))
def test_blocks_of_seconds_are_not_followed_too_eagerly(seed):
    """The loop's step is bounded: what is right for 10 ms would swing at 5 s."""
    random, clock, periods = np.random.default_rng(seed), SampleClock(RATE), []
    for block in range(300):
        clock.update(5 * RATE * block, with_drift(100)(5 * RATE * block) + random.uniform(-0.001, 0.001))
        periods.append(clock.period * RATE)
    assert np.std(periods[60:]) < 60e-6
    assert np.mean(periods[60:]) == pytest.approx(1 + 100e-6, abs=20e-6)
