"""The gain that brings a stream to the level that the models know."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamtag.dsp.leveller import LARGEST_DB, SMALLEST_DB, TARGET_DBFS, Leveller
from streamtag.dsp.params import FRAME_SECONDS
from streamtag.melstream import MelStream


def blocks(dbfs: float, seconds: float, spread: float = 3.0) -> np.ndarray:
    """Powers of blocks around a level."""
    count = round(seconds / FRAME_SECONDS)
    return (10 ** ((dbfs + spread * np.random.default_rng(0).standard_normal(count)) / 10)).astype(np.float32)


def db(gains: np.ndarray) -> np.ndarray:
    return 10 * np.log10(gains)


@pytest.mark.parametrize("dbfs", [-50, -35, -17, -5])
def test_any_level_becomes_the_target_at_once_and_stays_there(dbfs: float) -> None:
    gains = db(Leveller().gains(blocks(dbfs, 10)))
    np.testing.assert_allclose(gains[60:], TARGET_DBFS - dbfs, atol=1.5)
    np.testing.assert_allclose(gains[0], TARGET_DBFS - dbfs, atol=10)


@pytest.mark.parametrize(("before", "after"), [(-17, -35), (-35, -17)])
def test_a_quieter_part_is_followed_as_a_louder_one_is(before: float, after: float) -> None:
    leveller = Leveller()
    leveller.gains(blocks(before, 20, 0))
    gains = db(leveller.gains(blocks(after, 5, 0)))
    near = int(np.argmax(np.abs(gains - (TARGET_DBFS - after)) < 3)) * FRAME_SECONDS
    assert 0.1 < near < 3.0


def test_limits() -> None:
    np.testing.assert_allclose(db(Leveller().gains(blocks(-68, 1, 0.1))), LARGEST_DB)
    np.testing.assert_allclose(db(Leveller().gains(blocks(30, 1, 0.1))), SMALLEST_DB)


def test_a_click_beyond_all_scale_is_soon_forgotten() -> None:
    leveller = Leveller()
    leveller.gains(blocks(-30, 5))
    leveller.gains(np.array([1e30], np.float32))
    gains = db(leveller.gains(blocks(-30, 5)))
    np.testing.assert_allclose(gains[-60:], TARGET_DBFS + 30, atol=2)


def test_silence_and_noise_far_below_music_are_not_drawn_up() -> None:
    leveller = Leveller()
    np.testing.assert_array_equal(leveller.gains(blocks(-90, 1)), 1.0)
    last = leveller.gains(blocks(-20, 5))[-1]
    np.testing.assert_array_equal(leveller.gains(blocks(-80, 30)), last)
    np.testing.assert_array_equal(leveller.gains(np.zeros(1000, np.float32)), last)


def test_after_a_silence_the_next_piece_gives_its_level_at_once() -> None:
    leveller = Leveller()
    leveller.gains(blocks(-10, 10))
    leveller.gains(np.zeros(625, np.float32))
    assert abs(db(leveller.gains(blocks(-40, 0.2, 0)))[-1] - (TARGET_DBFS + 40)) < 1


@given(st.lists(st.integers(0, 40), max_size=12))
def test_splits_and_passed_silence_change_no_bit(sizes: list[int]) -> None:
    power = blocks(-30, 5, 20)
    power[100:140] = 0
    whole = Leveller().gains(power)
    split, place, parts = Leveller(), 0, []
    for size in sizes:
        parts.append(split.gains(power[place : place + size]))
        place += size
    parts.append(split.gains(power[place:]))
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    passed = Leveller()
    passed.gains(power[:100])
    passed.pass_silence(40)
    np.testing.assert_array_equal(passed.gains(power[140:]), whole[140:])


def test_a_gain_on_the_power_of_frames_is_one_on_all_samples() -> None:
    sound = (np.random.default_rng(0).standard_normal(16_000) * 0.01).astype(np.float32)
    frames = MelStream(16_000, leveller=Leveller()).push(sound)
    for k in (0, 20, 50):
        louder = sound[256 * k : 256 * k + 512] * np.float32(np.sqrt(frames.gain[k]))
        np.testing.assert_allclose(frames.logmel[k], MelStream(16_000).push(louder).logmel[0], atol=2e-6)


def test_power_is_that_before_the_gain_and_none_changes_no_bit() -> None:
    sound = (np.random.default_rng(0).standard_normal(16_000) * 0.01).astype(np.float32)
    plain, levelled = MelStream(16_000).push(sound), MelStream(16_000, leveller=Leveller()).push(sound)
    np.testing.assert_array_equal(levelled.power, plain.power)
    np.testing.assert_array_equal(plain.gain, 1.0)
    assert np.all(levelled.logmel > plain.logmel)
