"""The predictor as a stream's state: chunks, skips, resets, threads, days."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamtag.errors import FeedError, OptionError, WeightsDamagedError
from streamtag.inference.base import Prediction, Predictor
from streamtag.inference.networks.catalogue import load_weights
from streamtag.inference.networks.specs import SPECS
from streamtag.inference.networks.weights import Weights
from streamtag.inference.patches import PatchPredictor
from streamtag.inference.sliding.musicnn.predictor import SlidingPredictor
from streamtag.inference.sliding.musicnn.prepared import Prepared, prepare
from tests.support import sounds
from tests.support.networks import PlainNetwork

LOOSE = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
FIELDS = ("taggram", "embedding", "max_pool", "mean_pool")


def alone(prepared: Prepared, patch: np.ndarray) -> Prediction:
    """A window judged by a predictor that has seen nothing else."""
    predictor = SlidingPredictor(prepared, len(patch), 1)
    predictor.push(patch)
    return predictor.take(1)


def assert_same(judged: Prediction, row: int, expected: Prediction, expected_row: int = 0) -> None:
    """Equal to the bit."""
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(judged, field)[row], getattr(expected, field)[expected_row], field)


@pytest.mark.slow
@settings(LOOSE, max_examples=40)
@given(
    window=st.integers(1, 220),
    hop=st.integers(1, 250),
    windows=st.integers(1, 5),
    chunks=st.lists(st.integers(0, 300), max_size=6),
    limit=st.integers(1, 3),
    skipped=st.integers(0, 6),
)
def test_windows_of_a_stream_equal_windows_alone(
    prepared: Prepared, window: int, hop: int, windows: int, chunks: list[int], limit: int, skipped: int
) -> None:
    frames = sounds.music(window + (windows - 1) * hop + hop // 2, seed=window)
    predictor = SlidingPredictor(prepared, window, hop)
    judged = 0
    for chunk in np.split(frames, np.minimum(np.cumsum(chunks, dtype=int), len(frames))):
        predictor.push(chunk)
        while predictor.due:
            if judged == skipped:
                predictor.skip(1)
                judged += 1
            part = predictor.take(limit)
            assert part.first == judged
            for row in range(len(part.taggram)):
                start = (judged + row) * hop
                assert_same(part, row, alone(prepared, frames[start : start + window]))
            judged += len(part.taggram)
    assert judged == windows


@pytest.mark.parametrize(("hop", "chunk"), [(1, 1), (1, 7), (3, 1), (5, 64), (64, 10), (187, 400), (200, 187)])
def test_chunks_make_no_difference(prepared: Prepared, hop: int, chunk: int) -> None:
    frames = sounds.music(187 + max(90, 2 * hop))
    whole = SlidingPredictor(prepared, 187, hop)
    whole.push(frames)
    expected = whole.take(whole.due)
    predictor = SlidingPredictor(prepared, 187, hop)
    count = 0
    for begin in range(0, len(frames), chunk):
        predictor.push(frames[begin : begin + chunk])
        while predictor.due:
            judged = predictor.take(2)
            for row in range(len(judged.taggram)):
                assert_same(judged, row, expected, judged.first + row)
            count += len(judged.taggram)
    assert count == len(expected.taggram)


def test_after_ten_million_frames_as_after_none(prepared: Prepared) -> None:
    predictor = SlidingPredictor(prepared, 187, 1)
    frames = sounds.music(250)
    predictor.push(frames)
    predictor.take(predictor.due)
    ages = 10_000_019  # frames, and of no particular place in the rings
    block = np.zeros((100_000, 96), np.float32)
    for begin in range(250, ages, len(block)):
        predictor.push(block[: ages - begin])
        predictor.skip(predictor.due)
    predictor.push(frames[:186])
    predictor.skip(predictor.due)
    predictor.push(frames[186:])
    judged = predictor.take(1000)
    assert judged.first == ages
    fresh = SlidingPredictor(prepared, 187, 1)
    fresh.push(frames)
    expected = fresh.take(1000)
    assert len(judged.taggram) == len(expected.taggram) == 64
    for row in range(64):
        assert_same(judged, row, expected, row)


def test_rings_turn_over_many_times(prepared: Prepared) -> None:
    predictor = SlidingPredictor(prepared, 40, 1)
    frames = sounds.music(1000)
    for begin in range(0, 1000, 23):
        predictor.push(frames[begin : begin + 23])
        last = predictor.take(1000)
    assert_same(last, -1, alone(prepared, frames[-40:]))


def test_memory_stays_as_it_is(prepared: Prepared) -> None:
    predictor = SlidingPredictor(prepared, 60, 4)
    frames = sounds.music(60)
    before = None
    for _ in range(20):
        predictor.push(frames)
        predictor.take(1000)
        held = sum(chunk.size for chunk in predictor._pending)
        assert held < 60 * 96
        size = sum(sys.getsizeof(value) for value in vars(predictor).values()) + predictor._memory.nbytes
        assert before in (None, size)
        before = size


def test_reset(prepared: Prepared) -> None:
    predictor = SlidingPredictor(prepared, 100, 2)
    predictor.push(sounds.noise(300))
    predictor.take(7)
    predictor.reset()
    assert predictor.due == 0
    frames = sounds.music(140)
    predictor.push(frames)
    judged = predictor.take(100)
    assert judged.first == 0
    assert len(judged.taggram) == 21
    for row in (0, 20):
        assert_same(judged, row, alone(prepared, frames[2 * row : 2 * row + 100]))


def test_nan_is_gone_with_its_windows(prepared: Prepared) -> None:
    predictor = SlidingPredictor(prepared, 50, 1)
    frames = sounds.music(200)
    bad = frames.copy()
    bad[60] = np.nan
    predictor.push(bad)
    judged = predictor.take(1000)
    for row in (0, 10, 61, 150):
        assert_same(judged, row, alone(prepared, frames[row : row + 50]))


def test_threads_share_prepared(prepared: Prepared) -> None:
    frames = [sounds.music(187 + 40, seed) for seed in range(4)]
    results: list[Prediction | None] = [None] * 4

    def work(n: int) -> None:
        predictor = SlidingPredictor(prepared, 187, 1)
        for begin in range(0, len(frames[n]), 30):
            predictor.push(frames[n][begin : begin + 30])
            results[n] = predictor.take(1000)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n, judged in enumerate(results):
        assert judged is not None
        assert_same(judged, -1, alone(prepared, frames[n][-187:]))


def test_repeat_to_window(prepared: Prepared) -> None:
    predictor = SlidingPredictor(prepared, 187, 8)
    assert not predictor.repeat_to_window()
    frames = sounds.music(50)
    predictor.push(frames[:20])
    predictor.push(frames[20:])
    assert predictor.repeat_to_window()
    assert predictor.due == 1
    assert_same(predictor.take(1), 0, alone(prepared, np.tile(frames, (4, 1))[:187]))
    assert not predictor.repeat_to_window()


@settings(LOOSE, max_examples=30)
@given(
    window=st.integers(1, 12),
    hop=st.integers(1, 30),
    steps=st.lists(st.tuples(st.sampled_from(["push", "skip", "take"]), st.integers(0, 25)), max_size=12),
)
def test_counts_as_the_plain_evaluator_does(
    weights: Weights, prepared: Prepared, window: int, hop: int, steps: list[tuple[str, int]]
) -> None:
    class Judge(PlainNetwork):
        spec = weights.spec
        window_frames = window

        def __call__(self, patches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return np.zeros((len(patches), 50), np.float32), np.zeros((len(patches), 200), np.float32)

    plain = PatchPredictor(Judge(), hop)
    sliding: Predictor = SlidingPredictor(prepared, window, hop)
    for step, n in steps:
        if step == "push":
            plain.push(np.zeros((n, 96), np.float32))
            sliding.push(np.zeros((n, 96), np.float32))
        elif step == "skip":
            skipped = min(n, plain.due)
            plain.skip(skipped)
            sliding.skip(skipped)
        else:
            expected, judged = plain.take(n), sliding.take(n)
            assert judged.first == expected.first
            assert judged.taggram.shape == expected.taggram.shape
            assert judged.embedding.shape == expected.embedding.shape
        assert sliding.due == plain.due


def test_warm_up_leaves_the_stream_as_it_is(prepared: Prepared) -> None:
    frames = sounds.music(70)
    predictor = SlidingPredictor(prepared, 60, 5)
    predictor.warm_up()
    predictor.push(frames)
    predictor.take(1)
    predictor.warm_up()
    assert_same(predictor.take(2), 1, alone(prepared, frames[10:]))


def test_refuses_what_it_cannot_do(weights: Weights, prepared: Prepared) -> None:
    with pytest.raises(OptionError, match="MSD_vgg"):
        prepare(load_weights("MSD_vgg"))
    for window, hop in ((0, 1), (187, 0)):
        with pytest.raises(OptionError, match="at least 1 frame"):
            SlidingPredictor(prepared, window, hop)
    with pytest.raises(FeedError, match=r"\(3, 95\)"):
        SlidingPredictor(prepared, 187, 1).push(np.zeros((3, 95), np.float32))
    tensors = {key: value for key, value in weights.tensors.items() if key != "tags/bias"}
    with pytest.raises(WeightsDamagedError, match="tags/bias is missing"):
        prepare(Weights(SPECS["MSD_musicnn"], tensors, {}, weights.path))
    with pytest.raises(ValueError, match="read-only"):
        prepared.weights[0] = 1
