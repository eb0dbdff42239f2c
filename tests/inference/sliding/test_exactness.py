"""Windows of a stream are judged as the whole network judges them."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamtag.inference.base import Prediction
from streamtag.inference.networks.catalogue import load_weights
from streamtag.inference.networks.weights import Weights
from streamtag.inference.sliding.musicnn.predictor import SlidingPredictor
from streamtag.inference.sliding.musicnn.prepared import Prepared, prepare
from tests.support import naive_musicnn as naive
from tests.support import sounds

TAGS = 5e-6
PENULTIMATE = 3e-5
POOLS = 1e-5
"""Relative to the greatest value in a feature."""


def judge(prepared: Prepared, frames: np.ndarray, window: int, hop: int) -> Prediction:
    """All windows of some frames."""
    predictor = SlidingPredictor(prepared, window, hop)
    predictor.push(frames)
    return predictor.take(predictor.due)


def assert_close(judged: Prediction, row: int, expected: dict[str, np.ndarray]) -> None:
    """One window against the features of its patch."""
    np.testing.assert_allclose(judged.taggram[row], expected["taggram"], rtol=0, atol=TAGS)
    np.testing.assert_allclose(judged.embedding[row], expected["penultimate"], rtol=0, atol=PENULTIMATE)
    for name in ("max_pool", "mean_pool"):
        feature = expected[name]
        np.testing.assert_allclose(getattr(judged, name)[row], feature, rtol=0, atol=POOLS * np.abs(feature).max())


@pytest.mark.slow
@pytest.mark.parametrize("sound", [sounds.music, sounds.silence, sounds.noise, sounds.tone])
@pytest.mark.parametrize("hop", [1, 8])
def test_sounds_against_float64(weights: Weights, prepared: Prepared, sound, hop: int) -> None:
    frames = sound(187 + 24)
    judged = judge(prepared, frames, 187, hop)
    assert len(judged.taggram) == 24 // hop + 1
    for row in (0, len(judged.taggram) - 1):
        patch = frames[row * hop : row * hop + 187]
        assert_close(judged, row, naive.musicnn(weights.tensors, patch))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MSD_musicnn", "MTT_musicnn"])
def test_a_song_at_hop_1_against_keras(name: str) -> None:
    from streamtag.inference.networks.network import Network

    weights = load_weights(name)
    network = Network(weights, 187)
    frames = sounds.music(187 + 400)
    judged = judge(prepare(weights), frames, 187, 1)
    for row in range(0, 401, 16):
        patches = frames[None, row : row + 187]
        expected = {key: value[0] for key, value in network.features(patches).items()}
        assert_close(judged, row, expected)


@pytest.mark.tensorflow
@pytest.mark.parametrize("window", [1, 62, 140])
def test_other_windows_against_keras(weights: Weights, prepared: Prepared, window: int) -> None:
    from streamtag.inference.networks.network import Network

    network = Network(weights, window)
    frames = sounds.music(window + 20)
    judged = judge(prepared, frames, window, 10)
    for row in range(3):
        patches = frames[None, row * 10 : row * 10 + window]
        expected = {key: value[0] for key, value in network.features(patches).items()}
        assert_close(judged, row, expected)


@pytest.mark.slow
def test_big_model_against_float64(big_weights: Weights) -> None:
    frames = sounds.music(187 + 6)
    judged = judge(prepare(big_weights), frames, 187, 3)
    for row in (0, 2):
        assert_close(judged, row, naive.musicnn(big_weights.tensors, frames[3 * row : 3 * row + 187]))


@pytest.mark.slow
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(window=st.integers(1, 260), seed=st.integers(0, 1000))
def test_any_window_length_against_float64(weights: Weights, prepared: Prepared, window: int, seed: int) -> None:
    frames = sounds.music(window, seed)
    assert_close(judge(prepared, frames, window, 1), 0, naive.musicnn(weights.tensors, frames))


@pytest.mark.slow
@pytest.mark.parametrize("window", [2, 3, 5, 6, 7, 11, 12, 13, 32, 33, 64, 65, 126, 127, 128, 129, 132, 133, 134, 145])
def test_windows_where_edges_begin_to_meet(weights: Weights, prepared: Prepared, window: int) -> None:
    frames = sounds.music(window + 3)
    judged = judge(prepared, frames, window, 3)
    assert_close(judged, 1, naive.musicnn(weights.tensors, frames[3:]))


@pytest.mark.slow
def test_a_long_window(weights: Weights, prepared: Prepared) -> None:
    frames = sounds.music(1500)
    assert_close(judge(prepared, frames, 1500, 1), 0, naive.musicnn(weights.tensors, frames))


@pytest.mark.slow
def test_tensorflow_is_not_imported() -> None:
    program = (
        "import sys, numpy as np\n"
        "from streamtag.inference.networks.catalogue import load_weights\n"
        "from streamtag.inference.sliding.musicnn.predictor import SlidingPredictor\n"
        "from streamtag.inference.sliding.musicnn.prepared import prepare\n"
        "predictor = SlidingPredictor(prepare(load_weights('MSD_musicnn')), 187, 4)\n"
        "predictor.push(np.zeros((187, 96), np.float32))\n"
        "assert len(predictor.take(1).taggram) == 1\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
