"""Patches and batches: as published where they should be, the same for the same seed, complete, and read ahead."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamtag.dsp.params import N_MELS
from streamtag.errors import DataError, OptionError
from streamtag.train.ahead import ahead
from streamtag.train.patches import TrainingBatches, fixed_batches, patch_batches, random_starts, starts
from streamtag.train.store import Store
from streamtag.train.truth import Truth
from tests.support.oracle import figures as oracle
from tests.support.oracle import needs_oracle
from tests.support.stores import store_of

LENGTHS = (5, 12, 20, 20, 33, 41, 7)
PATCH = 10


def numbered(frames: int, track: int) -> np.ndarray:
    """Power whose logarithm tells the track and the frame."""
    said = np.full((frames, N_MELS), track + 1, np.float64)
    said[:, 0] = np.arange(frames) / 16
    return ((10**said - 1) / 10_000).astype(np.float32)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    arrays = {f"t{track}": numbered(frames, track) for track, frames in enumerate(LENGTHS)}
    return store_of(tmp_path_factory.mktemp("store"), arrays)


TRUTH = Truth(
    tuple(f"t{track}" for track in range(len(LENGTHS))), ("even", "odd"), np.eye(2, dtype=np.float32)[[0, 1] * 3 + [0]]
)


def said_by(x: np.ndarray) -> list[tuple[int, list[int]]]:
    """Track and frames of each patch."""
    return [(round(float(patch[0, 1])) - 1, np.rint(patch[:, 0] * 16).astype(int).tolist()) for patch in x]


# --- where patches are --------------------------------------------------------------------------------------------


@needs_oracle
@pytest.mark.parametrize("hop", [187, 100, 50, 1])
def test_starts_are_the_published_ones(hop: int) -> None:
    known = oracle("preprocess")
    frames = len(known["long16k/stored"])
    np.testing.assert_array_equal(starts(frames, 187, hop), known[f"long16k/starts_hop{hop}"])


@needs_oracle
def test_random_starts_are_spread_as_the_published_ones() -> None:
    known = oracle("preprocess")
    frames = len(known["long16k/stored"])
    theirs = known["long16k/random_starts_4000"]
    ours = random_starts(np.random.default_rng(0), np.full(4000, frames), 187)
    assert (ours.min(), ours.max()) == (theirs.min(), theirs.max()) == (0, frames - 187)
    assert abs(ours.mean() - theirs.mean()) < 5 * theirs.std() / 2000**0.5


@given(st.integers(1, 500), st.integers(1, 200), st.integers(1, 200))
@settings(max_examples=200, deadline=None)
def test_every_start_has_a_whole_patch_and_no_further_one_would(frames: int, length: int, hop: int) -> None:
    found = list(starts(frames, length, hop))
    assert all(start + length <= frames for start in found)
    assert len(found) * hop + length > frames
    drawn = random_starts(np.random.default_rng(frames), np.full(50, frames), length)
    assert ((drawn >= 0) & (drawn <= max(0, frames - length))).all()


# --- epochs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_an_epoch_has_one_patch_of_every_track(store: Store, batch_size: int) -> None:
    batches = TrainingBatches(store, TRUTH, PATCH, batch_size, seed=1)
    epoch = list(batches.epoch(0))
    assert len(epoch) == len(batches)
    assert [len(x) for x, _ in epoch[:-1]] == [batch_size] * (len(epoch) - 1)
    seen = []
    for x, y in epoch:
        assert x.dtype == y.dtype == np.float32
        assert x.shape[1:] == (PATCH, N_MELS)
        np.testing.assert_array_equal(y[:, 0], [1 - track % 2 for track, _ in said_by(x)])
        seen += said_by(x)
    assert sorted(track for track, _ in seen) == list(range(len(LENGTHS)))
    for track, frames in seen:
        if LENGTHS[track] >= PATCH:
            assert frames == list(range(frames[0], frames[0] + PATCH))
        else:  # repeated to length
            assert frames == [frame % LENGTHS[track] for frame in range(PATCH)]


def test_an_epoch_follows_from_the_seed_and_its_number_alone(store: Store) -> None:
    def said(seed: int, number: int) -> list[tuple[int, list[int]]]:
        return [each for x, _ in TrainingBatches(store, TRUTH, PATCH, 3, seed).epoch(number) for each in said_by(x)]

    batches = TrainingBatches(store, TRUTH, PATCH, 3, seed=1)
    for _ in range(2):  # whatever was drawn before
        assert [each for x, _ in batches.epoch(5) for each in said_by(x)] == said(1, 5)
    orders = [[track for track, _ in said(1, number)] for number in range(4)]
    assert len({tuple(order) for order in orders}) > 1, "the order is drawn anew for each epoch"
    assert said(1, 5) != said(2, 5)


def test_several_patches_of_a_track(store: Store) -> None:
    seen = [
        track
        for x, _ in TrainingBatches(store, TRUTH, PATCH, 4, seed=0, patches_per_track=3).epoch(0)
        for track, _ in said_by(x)
    ]
    assert sorted(seen) == sorted(list(range(len(LENGTHS))) * 3)
    assert seen != sorted(seen)


# --- fixed batches ------------------------------------------------------------------------------------------------


def test_fixed_batches_are_all_patches_in_order_across_tracks(store: Store) -> None:
    expected = [
        (track, list(range(start, start + PATCH)))
        for track, frames in enumerate(LENGTHS)
        for start in starts(frames, PATCH)
    ]
    batches = list(fixed_batches(store, TRUTH, PATCH, 3, pad_short=False))
    assert [each for x, _ in batches for each in said_by(x)] == expected
    assert [len(x) for x, _ in batches] == [3, 3, 3, 3]
    padded = [each for x, _ in fixed_batches(store, TRUTH, PATCH, 4) for each in said_by(x)]
    assert [each for each in padded if LENGTHS[each[0]] >= PATCH] == expected
    assert padded[0] == (0, [0, 1, 2, 3, 4] * 2)
    assert len(padded) == len(expected) + 2
    for x, y in fixed_batches(store, TRUTH, PATCH, 4):
        np.testing.assert_array_equal(y[:, 1], [track % 2 for track, _ in said_by(x)])


def test_tracks_that_are_not_there_are_named(store: Store) -> None:
    truth = Truth(("t0", "gone"), ("a",), np.zeros((2, 1), np.float32))
    with pytest.raises(DataError, match="lacks 1 of 2 tracks, such as gone; `streamtag train prepare` adds them"):
        TrainingBatches(store, truth, PATCH, 2, 0)
    with pytest.raises(DataError, match="lacks 1 of 2"):
        fixed_batches(store, truth, PATCH, 2)
    with pytest.raises(DataError, match="none of the tracks"):
        patch_batches(store, (), PATCH, 2)
    with pytest.raises(OptionError):
        TrainingBatches(store, TRUTH, PATCH, 0, 0)
    with pytest.raises(OptionError):
        TrainingBatches(store, TRUTH, PATCH, 2, -1)


# --- reading ahead ------------------------------------------------------------------------------------------------


def test_items_are_made_before_they_are_wanted() -> None:
    third = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        yield 2
        third.set()
        yield 3

    reader = ahead(items(), 4)
    assert next(reader) == 1
    assert third.wait(60), "made while the first is in use"
    assert list(reader) == [2, 3]


def test_an_error_comes_in_its_turn() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise DataError("damaged")

    reader = ahead(items())
    assert next(reader) == 1
    with pytest.raises(DataError, match="damaged"):
        next(reader)


def test_who_leaves_early_leaves_no_thread() -> None:
    def items() -> Iterator[int]:
        while True:
            yield 0

    before = threading.active_count()
    reader = ahead(items())
    next(reader)
    reader.close()
    assert threading.active_count() == before
