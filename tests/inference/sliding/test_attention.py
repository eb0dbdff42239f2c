"""Windows of attention and autopool models are judged as the whole network judges them, however the frames come."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamtag.errors import OptionError, WeightsDamagedError
from streamtag.inference.base import Prediction
from streamtag.inference.factory import make_predictor
from streamtag.inference.networks.architectures import find_architecture
from streamtag.inference.networks.catalogue import load_weights
from streamtag.inference.networks.weights import Weights, write_model
from streamtag.inference.sliding.attention.predictor import WeightedPredictor
from streamtag.inference.sliding.attention.prepared import PreparedWeighted, prepare_weighted
from tests.support import naive_attention as naive
from tests.support import sounds
from tests.support.own_models import ORIGIN, random_weights

LABELS = ("drop", "Aufbau", "тихо")
TAGS = 5e-6
PENULTIMATE = 3e-6
"""Relative to its greatest value."""
CASES = {"attention": {}, "autopool": {"autopool__alpha": 1.5}, "minus": {"autopool__alpha": -0.7}}
"""Models: attention, and autopool by either sign of its exponent."""
EDGES_MEET = [1, 2, 3, 5, 6, 7, 8, 9, 12, 13, 14, 25, 26, 27, 62]


@cache
def model(case: str) -> Weights:
    spec = find_architecture("autopool" if case == "minus" else case).spec(LABELS, name=case)
    return random_weights(spec, **CASES[case])


@cache
def prepared(case: str) -> PreparedWeighted:
    return prepare_weighted(model(case))


def judge(case: str, frames: np.ndarray, window: int, hop: int) -> Prediction:
    """All windows of some frames."""
    predictor = WeightedPredictor(prepared(case), window, hop)
    predictor.push(frames)
    return predictor.take(predictor.due)


def assert_close(judged: Prediction, row: int, case: str, patch: np.ndarray) -> None:
    """One window against the network in float64."""
    expected = naive.predicted(model(case).tensors, patch)
    np.testing.assert_allclose(judged.taggram[row], expected["taggram"], rtol=0, atol=TAGS)
    assert_penultimate(judged, row, expected["penultimate"])


def assert_penultimate(judged: Prediction, row: int, expected: np.ndarray) -> None:
    np.testing.assert_allclose(judged.embedding[row], expected, rtol=0, atol=PENULTIMATE * np.abs(expected).max())


def assert_same(judged: Prediction, row: int, expected: Prediction, expected_row: int = 0) -> None:
    """Equal to the bit."""
    np.testing.assert_array_equal(judged.taggram[row], expected.taggram[expected_row])
    np.testing.assert_array_equal(judged.embedding[row], expected.embedding[expected_row])


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("sound", [sounds.music, sounds.silence, sounds.noise, sounds.tone])
def test_sounds_against_float64(case: str, sound) -> None:
    frames = sound(187 + 24)
    for hop in (1, 8):
        judged = judge(case, frames, 187, hop)
        assert len(judged.taggram) == 24 // hop + 1
        for row in (0, len(judged.taggram) - 1):
            assert_close(judged, row, case, frames[row * hop : row * hop + 187])


@pytest.mark.tensorflow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("window", "hop"), [(187, 1), (62, 10), (9, 3)])
def test_a_song_against_keras(case: str, window: int, hop: int) -> None:
    from streamtag.inference.networks.network import Network

    network = Network(model(case), window)
    frames = sounds.music(window + 60)
    judged = judge(case, frames, window, hop)
    for row in range(0, len(judged.taggram), 6):
        taggram, embedding = network(frames[None, row * hop : row * hop + window])
        np.testing.assert_allclose(judged.taggram[row], taggram[0], rtol=0, atol=TAGS)
        assert_penultimate(judged, row, embedding[0])


@pytest.mark.parametrize("case", CASES)
def test_windows_where_edges_begin_to_meet(case: str) -> None:
    for window in EDGES_MEET:
        frames = sounds.music(window + 3)
        assert_close(judge(case, frames, window, 3), 1, case, frames[3:])


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_long_window(case: str) -> None:
    frames = sounds.music(1500)
    assert_close(judge(case, frames, 1500, 1), 0, case, frames)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    case=st.sampled_from(sorted(CASES)),
    window=st.integers(1, 220),
    hop=st.integers(1, 250),
    windows=st.integers(1, 5),
    chunks=st.lists(st.integers(0, 300), max_size=6),
    limit=st.integers(1, 3),
    skipped=st.integers(0, 6),
)
def test_windows_of_a_stream_equal_windows_alone(
    case: str, window: int, hop: int, windows: int, chunks: list[int], limit: int, skipped: int
) -> None:
    frames = sounds.music(window + (windows - 1) * hop + hop // 2, seed=window)
    predictor = WeightedPredictor(prepared(case), window, hop)
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
                assert_same(part, row, judge(case, frames[start : start + window], window, 1))
            judged += len(part.taggram)
    assert judged == windows


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("hop", "chunk"), [(1, 1), (3, 1), (5, 64), (200, 187)])
def test_chunks_make_no_difference(case: str, hop: int, chunk: int) -> None:
    frames = sounds.music(187 + max(90, 2 * hop))
    expected = judge(case, frames, 187, hop)
    predictor = WeightedPredictor(prepared(case), 187, hop)
    predictor.warm_up()
    count = 0
    for begin in range(0, len(frames), chunk):
        predictor.push(frames[begin : begin + chunk])
        while predictor.due:
            judged = predictor.take(2)
            for row in range(len(judged.taggram)):
                assert_same(judged, row, expected, judged.first + row)
            count += len(judged.taggram)
    assert count == len(expected.taggram)


@pytest.mark.parametrize("case", CASES)
def test_rings_turn_over_and_windows_are_skipped(case: str) -> None:
    predictor = WeightedPredictor(prepared(case), 40, 1)
    frames = sounds.music(1000)
    for begin in range(0, 1000, 23):
        predictor.push(frames[begin : begin + 23])
        predictor.skip(predictor.due // 2)
        last = predictor.take(1000)
    assert_same(last, -1, judge(case, frames[-40:], 40, 1))
    predictor.reset()
    predictor.push(frames[:40])
    assert_same(predictor.take(1), 0, judge(case, frames[:40], 40, 1))


@pytest.mark.parametrize(("case", "key"), [("attention", "attention_conv/kernel"), ("autopool", "autopool/alpha")])
def test_no_power_overflows(case: str, key: str) -> None:
    """With logits of thousands, a channel is summed up to the features of one frame."""
    weights = model(case)
    steep = Weights(weights.spec, weights.tensors | {key: 3000 * weights.tensors[key]}, {}, weights.path)
    frames = sounds.music(50)
    predictor = WeightedPredictor(prepare_weighted(steep), 50, 1)
    predictor.push(frames)
    taggram = predictor.take(1).taggram[0]
    # where two frames are as loud as each other to the last bit of float32, either may win
    np.testing.assert_allclose(taggram, naive.predicted(steep.tensors, frames)["taggram"], atol=2e-3)


def test_nan_is_gone_with_its_windows() -> None:
    frames = sounds.music(200)
    bad = frames.copy()
    bad[60] = np.nan
    judged = judge("attention", bad, 50, 1)
    for row in (0, 10, 61, 150):
        assert_same(judged, row, judge("attention", frames[row : row + 50], 50, 1))


def test_there_are_no_pools_and_other_models_are_refused() -> None:
    judged = judge("attention", sounds.music(20), 20, 1)
    assert judged.max_pool is judged.mean_pool is None
    with pytest.raises(OptionError, match="MSD_musicnn cannot be evaluated so"):
        prepare_weighted(load_weights("MSD_musicnn"))
    weights = model("attention")
    tensors = {key: value for key, value in weights.tensors.items() if key != "attention_conv/kernel"}
    with pytest.raises(WeightsDamagedError, match="attention_conv/kernel is missing"):
        prepare_weighted(Weights(weights.spec, tensors, {}, weights.path))


def test_filters_that_do_not_fill_registers_are_left_to_keras() -> None:
    spec = find_architecture("autopool").spec(LABELS)
    assert spec.slides
    assert not replace(spec, filters=65).slides


@pytest.mark.slow
def test_tensorflow_is_not_imported(tmp_path: Path) -> None:
    path = tmp_path / "my.safetensors"
    write_model(path, model("attention").spec, model("attention").tensors, {"model": "my", **ORIGIN})
    predictor = make_predictor(str(path), 187, 1)
    assert predictor.name == "sliding"
    program = (
        "import sys, numpy, streamtag\n"
        f"tagger = streamtag.Tagger({str(path)!r})\n"
        "assert sum(1 for frame in tagger.push(numpy.zeros(4 * 16_000, 'float32'), 16_000)) > 10\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
