"""A long stream judged in segments, on several threads, gives what one predictor gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamtag.files.segments import SegmentedStream, SegmentPool
from streamtag.inference.networks.specs import SPECS
from streamtag.inference.patches import PatchPredictor
from tests.support.networks import PlainNetwork


class SumJudge(PlainNetwork):
    """Judges a patch by exact sums, so that equality is to the bit."""

    spec = SPECS["MSD_musicnn"]

    def __init__(self, window_frames: int) -> None:
        self.window_frames = window_frames

    def __call__(self, patches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert patches.shape[1:] == (self.window_frames, 96)
        ramp = np.arange(1, self.window_frames + 1, dtype=np.float32)
        weighted = (patches * ramp[:, None]).sum(axis=1)
        return weighted[:, :50], np.repeat(weighted[:, :50], 4, axis=1)


def pool_of(window: int, hop: int) -> SegmentPool:
    return SegmentPool(lambda: PatchPredictor(SumJudge(window), hop), workers=3)


@settings(deadline=None)
@given(
    window=st.integers(1, 12),
    hop=st.integers(1, 20),
    chunks=st.lists(st.integers(0, 90), max_size=6),
    repeat=st.booleans(),
)
def test_equals_one_evaluator(window: int, hop: int, chunks: list[int], repeat: bool) -> None:
    frames = np.random.default_rng(len(chunks)).integers(0, 9, (sum(chunks), 96)).astype(np.float32)
    whole = PatchPredictor(SumJudge(window), hop)
    whole.push(frames)
    if repeat and not whole.due:
        whole.repeat_to_window()
    expected = whole.take(whole.due)

    stream = SegmentedStream(pool_of(window, hop))
    for part in np.split(frames, np.cumsum(chunks)[:-1]) if chunks else []:
        stream.push(part)
    features = stream.finish(repeat_short=repeat)
    taggram, embeddings = features["taggram"], features["penultimate"]
    assert stream.frames_in == len(frames)
    np.testing.assert_array_equal(taggram, expected.taggram)
    np.testing.assert_array_equal(embeddings, expected.embedding)


def test_an_error_in_a_worker_surfaces() -> None:
    class Failing(SumJudge):
        def __call__(self, patches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            raise ArithmeticError("as told")

    stream = SegmentedStream(SegmentPool(lambda: PatchPredictor(Failing(2), 1), workers=2))
    stream.push(np.zeros((30, 96), np.float32))  # fewer segments than push would wait for
    with pytest.raises(ArithmeticError, match="as told"):
        stream.finish(repeat_short=True)


def test_memory_does_not_grow_with_what_was_judged() -> None:
    stream = SegmentedStream(pool_of(8, 8))
    for _ in range(200):
        stream.push(np.zeros((64, 96), np.float32))
        assert len(stream._waiting) < 64 + stream._length
        assert len(stream._futures) <= 2 * 3
