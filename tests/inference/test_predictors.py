"""Windows of a stream of frames: `PatchPredictor` with a judge that shows which frames it was given."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamtag.inference.base import Predictor
from streamtag.inference.networks.specs import SPECS
from streamtag.inference.patches import PatchPredictor
from tests.support.networks import PlainNetwork

SPEC = SPECS["MSD_musicnn"]


class Echo(PlainNetwork):
    """A judge whose verdict is the patch: its first and last frames' numbers as tags, their sum as embedding."""

    spec = SPEC

    def __init__(self, window_frames):
        self.window_frames = window_frames
        self.calls: list[int | str] = []

    def __call__(self, patches):
        assert patches.dtype == np.float32
        assert patches.shape[1:] == (self.window_frames, 96)
        self.calls.append(len(patches))
        return patches[:, [0, -1], 0].copy(), patches.sum(axis=(1, 2), dtype=np.float64)[:, None].astype(np.float32)

    def warm_up(self):
        self.calls.append("warm up")


def frames(count, start=0):
    """Numbered frames: number in band 0, noise (the same for the same number) in the others."""
    noise = np.random.default_rng(9).uniform(0, 1, (400, 96)).astype(np.float32)
    noise[:, 0] = np.arange(400)
    return noise[start : start + count]


def direct(count, window, hop):
    """Every window by slicing."""
    all_frames = frames(count)
    return [all_frames[at : at + window] for at in range(0, count - window + 1, hop)]


def expected_of(windows):
    return Echo(windows[0].shape[0])(np.array(windows))


def evaluator_of(window, hop):
    judge = Echo(window)
    return PatchPredictor(judge, hop), judge


def test_is_what_the_interface_asks_for():
    predictor: Predictor = evaluator_of(5, 2)[0]
    assert (predictor.spec, predictor.window_frames, predictor.hop_frames) == (SPEC, 5, 2)
    assert predictor.name


CHUNKS = st.lists(st.integers(0, 30), min_size=1, max_size=25)


@given(
    window=st.integers(1, 20), hop=st.integers(1, 50), chunks=CHUNKS, limit=st.integers(1, 5), every=st.integers(1, 4)
)
@settings(max_examples=200, deadline=None)
def test_windows_are_slices_whatever_the_chunks(window, hop, chunks, limit, every):
    """Also with hops beyond the window, and when several windows pile up before they are taken."""
    predictor, judge = evaluator_of(window, hop)
    chunks = chunks[: 400 // 30]
    tags: list[np.ndarray] = []
    embeddings: list[np.ndarray] = []
    at = 0
    for turn, size in enumerate(chunks):
        predictor.push(frames(size, at))
        at += size
        if turn % every and turn < len(chunks) - 1:
            continue
        while predictor.due:
            judged = predictor.take(limit)
            assert judged.first == len(tags)
            assert 1 <= len(judged.taggram) <= limit
            tags += list(judged.taggram)
            embeddings += list(judged.embedding)
    windows = direct(at, window, hop)
    assert len(tags) == len(windows)
    if windows:
        expected_tags, expected_embeddings = expected_of(windows)
        np.testing.assert_array_equal(tags, expected_tags)
        np.testing.assert_array_equal(embeddings, expected_embeddings)
    assert all(calls <= limit for calls in judge.calls)


@given(window=st.integers(1, 20), hop=st.integers(1, 50), count=st.integers(0, 400))
@settings(max_examples=100, deadline=None)
def test_due_is_the_number_of_complete_windows(window, hop, count):
    predictor, _ = evaluator_of(window, hop)
    predictor.push(frames(count))
    assert predictor.due == len(direct(count, window, hop))


@given(
    window=st.integers(1, 20),
    hop=st.integers(1, 50),
    steps=st.lists(
        st.tuples(st.integers(0, 30), st.sampled_from(["skip", "take", "nothing"]), st.integers(1, 4)), max_size=13
    ),
)
@settings(max_examples=200, deadline=None)
def test_skipped_windows_leave_the_others_as_they_are(window, hop, steps):
    predictor, _ = evaluator_of(window, hop)
    at, following, got = 0, 0, {}
    for size, action, count in steps:
        predictor.push(frames(size, at))
        at += size
        if action == "skip":
            count = min(count, predictor.due)
            predictor.skip(count)
            following += count
        elif action == "take":
            judged = predictor.take(count)
            assert judged.first == following
            for tags in judged.taggram:
                got[following] = tags
                following += 1
        assert predictor.due == max(0, len(direct(at, window, hop)) - following)
    for index, tags in got.items():
        assert tags.tolist() == [index * hop, index * hop + window - 1]


def test_take_judges_no_more_than_asked_and_no_more_than_are_due():
    predictor, judge = evaluator_of(5, 2)
    predictor.push(frames(13))
    assert predictor.due == 5
    assert len(predictor.take(2).taggram) == 2
    assert predictor.due == 3
    judged = predictor.take(99)
    assert (judged.first, len(judged.taggram), len(judged.embedding)) == (2, 3, 3)
    assert judge.calls == [2, 3]


def test_nothing_due_is_nothing_and_bothers_no_network():
    """TensorFlow refuses an empty batch."""
    predictor, judge = evaluator_of(5, 2)
    predictor.push(frames(4))
    judged = predictor.take(3)
    assert judged.taggram.shape == (0, 50)
    assert judged.embedding.shape == (0, 200)
    predictor.push(frames(1, 4))
    assert len(predictor.take(0).taggram) == 0
    assert predictor.due == 1
    assert judge.calls == []


def test_keeps_no_more_frames_than_it_needs():
    """Days of stream: what lies behind the next window is let go of."""
    for window, hop in ((20, 3), (5, 30)):
        predictor, _ = evaluator_of(window, hop)
        for at in range(0, 390, 10):
            predictor.push(frames(10, at))
            predictor.take(99)
            assert len(predictor._frames) <= window + 10


def test_what_is_pushed_may_be_changed_later():
    predictor, _ = evaluator_of(5, 5)
    pushed = frames(5).copy()
    predictor.push(pushed)
    pushed[:] = -1
    np.testing.assert_array_equal(predictor.take(1).taggram, [[0, 4]])


# --- less than a window -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 6, 9])
def test_repeats_a_short_stream_to_one_window(count):
    judged_patches = []

    class Keeping(Echo):
        def __call__(self, patches):
            judged_patches.append(patches.copy())
            return super().__call__(patches)

    predictor = PatchPredictor(Keeping(10), 4)
    predictor.push(frames(count))
    assert predictor.repeat_to_window() is True
    assert predictor.due == 1
    assert predictor.take(5).first == 0
    np.testing.assert_array_equal(judged_patches[0][0], frames(count)[np.arange(10) % count])
    assert predictor.due == 0


def test_repeats_nothing_where_there_is_nothing_or_enough():
    predictor, _ = evaluator_of(10, 4)
    assert predictor.repeat_to_window() is False
    predictor.push(frames(0))
    assert predictor.repeat_to_window() is False
    assert predictor.due == 0
    predictor.push(frames(10))
    assert predictor.repeat_to_window() is False
    assert predictor.due == 1
    predictor.take(1)
    assert predictor.repeat_to_window() is False  # a rest is no short stream
    assert predictor.due == 0


@pytest.mark.parametrize(("window", "hop"), [(10, 4), (4, 10)])
def test_reset_starts_from_frame_0(window, hop):
    predictor, _ = evaluator_of(window, hop)
    predictor.push(frames(33, 50))
    predictor.take(2)
    predictor.reset()
    assert predictor.due == 0
    assert predictor.repeat_to_window() is False
    predictor.push(frames(30))
    judged = predictor.take(2)
    assert judged.first == 0
    np.testing.assert_array_equal(judged.taggram, [[0, window - 1], [hop, hop + window - 1]])


def test_warm_up_warms_the_judge():
    predictor, judge = evaluator_of(5, 2)
    predictor.warm_up()
    assert judge.calls == ["warm up"]
