"""Both networks in NumPy: the numbers of Keras and of float64, in musicnn's shapes, without TensorFlow."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
from threadpoolctl import threadpool_info, threadpool_limits

from streamtag.errors import FeedError, OptionError, UnknownModelError, WeightsDamagedError, WeightsMissingError
from streamtag.files.offline import FileTagger
from streamtag.inference.base import PatchNetwork
from streamtag.inference.networks.catalogue import load_weights
from streamtag.inference.networks.numpy_layers import Musicnn
from streamtag.inference.networks.numpy_network import NumpyNetwork, shared_numpy_network
from streamtag.inference.networks.specs import SPECS
from streamtag.inference.networks.weights import Weights
from streamtag.inference.patches import PatchPredictor
from tests.support import naive_musicnn as naive
from tests.support import naive_vgg, sounds
from tests.support.musicnn import all_features, taggram_alone
from tests.support.waiting import lacking

GOLDEN = Path(__file__).parents[1] / "golden"
FIGURES = np.load(GOLDEN / "figures.npz")
MUSICNNS, VGGS = ("MTT_musicnn", "MSD_musicnn"), ("MTT_vgg", "MSD_vgg")
MODELS = MUSICNNS + VGGS
TAGS = 2e-6
FEATURES = 1e-5
"""Relative to the greatest value in a feature."""
SOUNDS = (sounds.music, sounds.silence, sounds.noise, sounds.tone)
CASES = [*((model, 187) for model in MODELS), *(("MSD_musicnn", window) for window in (1, 50, 400))]


@cache
def network(model: str, window: int = 187) -> NumpyNetwork:
    return NumpyNetwork.load(model, window)


def patches(window: int) -> np.ndarray:
    """One of each sound."""
    return np.stack([sound(window) for sound in SOUNDS])


def assert_close(ours: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray]) -> None:
    assert set(ours) == set(theirs)
    for name, value in ours.items():
        assert value.dtype == np.float32, name
        assert value.shape == theirs[name].shape, name
        bound = TAGS if name == "taggram" else FEATURES * np.abs(theirs[name]).max()
        np.testing.assert_allclose(value, theirs[name], rtol=0, atol=bound, err_msg=name)


def reshaped(weights: Weights, *, filters: int, units: int) -> Weights:
    """Random, but well-behaved weights of a musicnn or vgg model of other sizes; some scales are negative."""
    rng, spec = np.random.default_rng(7), replace(weights.spec, filters=filters, embedding_size=units)
    vgg = spec.family == "vgg"
    old_sizes = (weights.spec.filters, weights.spec.embedding_size, weights.spec.pool_size)
    sizes: dict[int, int] = dict(zip(old_sizes, (filters, units, spec.pool_size), strict=True))
    sizes[2 * weights.spec.pool_size] = 2 * spec.pool_size
    tensors = {}
    for key, old in weights.tensors.items():
        layer, variable = key.split("/")
        if not vgg and layer.startswith(("timbral", "temporal", "input")):
            tensors[key] = old
            continue
        shape = tuple(sizes.get(size, size) for size in map(int, old.shape))
        if variable == "kernel":
            tensor = rng.normal(0, np.sqrt(1 / np.prod(shape[:-1])), shape)
        else:
            low, high = {"gamma": (0.5, 1.5), "moving_variance": (0.5, 4)}.get(variable, (-0.5, 0.5))
            tensor = rng.uniform(low, high, shape) * (rng.choice([-1, 1, 1], shape) if variable == "gamma" else 1)
        tensors[key] = tensor.astype(np.float32)
    return Weights(spec, tensors, {}, weights.path)


# --- the numbers ------------------------------------------------------------------------------------------------------


@pytest.mark.tensorflow
@pytest.mark.parametrize(("model", "window"), CASES)
def test_as_keras(model: str, window: int) -> None:
    if importlib.util.find_spec("tensorflow") is None:
        lacking("TensorFlow is not installed")
    from streamtag.inference.networks.network import Network

    keras = Network.load(model, window)
    assert_close(network(model, window).features(patches(window)), keras.features(patches(window)))


@pytest.mark.slow
@pytest.mark.parametrize(("model", "window"), CASES)
def test_as_float64(model: str, window: int) -> None:
    reference = naive.musicnn if model in MUSICNNS else naive_vgg.vgg
    ours, tensors = network(model, window).features(patches(window)), load_weights(model).tensors
    for number, patch in enumerate(patches(window)):
        assert_close({name: value[number] for name, value in ours.items()}, reference(tensors, patch))


@pytest.mark.parametrize(
    ("model", "filters", "units", "reference"),
    [
        ("MSD_musicnn", 512, 500, naive.musicnn),  # the big model's
        ("MSD_musicnn", 3, 1, naive.musicnn),
        ("MSD_vgg", 8, 16, naive_vgg.vgg),
    ],
)
def test_other_sizes_and_scales_of_any_sign(model: str, filters: int, units: int, reference) -> None:
    weights = reshaped(load_weights(model), filters=filters, units=units)
    frames = sounds.music(187)
    ours = NumpyNetwork(weights, 187).features(frames[None])
    assert_close({name: value[0] for name, value in ours.items()}, reference(weights.tensors, frames))


def test_filters_that_died_hold_no_subnormal_numbers() -> None:
    """Such numbers cost a hundred times as much, and change nothing."""
    weights = load_weights("MTT_musicnn")
    kernel = weights.tensors["timbral_38_conv/kernel"].copy()
    kernel[..., :100] = 1e-40
    tensors = {**weights.tensors, "timbral_38_conv/kernel": kernel}
    died = NumpyNetwork(replace(weights, tensors=tensors), 187)
    assert isinstance(died._evaluate, Musicnn)
    for layer in (*died._evaluate._timbral, *died._evaluate._temporal, *died._evaluate._midend):
        smallest = np.abs(layer.kernel[layer.kernel != 0]).min()
        assert smallest > np.finfo(np.float32).tiny
    frames = sounds.music(187)
    ours = {name: value[0] for name, value in died.features(frames[None]).items()}
    assert_close(ours, naive.musicnn(tensors, frames))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("clip", ["clip16", "clip44"])
def test_the_published_tags(model: str, clip: str) -> None:
    """Judged by this network instead of the sliding engine, whose tags `test_parity.py` compares."""
    frames: list[np.ndarray] = []
    tags = FileTagger(model).tag(GOLDEN / f"{clip}.flac", hear=frames.append)
    logmel = np.concatenate(frames)
    cut = np.stack([logmel[start : start + 187] for start in range(0, len(logmel) - 186, 187)])
    taggram, embedding = network(model)(cut)
    assert taggram.shape == tags.taggram.shape
    assert embedding.shape == tags.embeddings.shape
    assert np.abs(taggram - FIGURES[f"{clip}/{model}/taggram32"]).max() < 5e-6
    assert np.abs(taggram - tags.taggram).max() < 5e-6
    assert np.abs(embedding - tags.embeddings).max() < 1e-4 * np.abs(embedding).max()


# --- patches do not know of each other --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("model", "window"), [("MSD_musicnn", 187), ("MTT_musicnn", 50), ("MSD_vgg", 187)])
def test_a_patch_is_the_same_in_every_batch(model: str, window: int) -> None:
    frames = sounds.music(window + 5 * 31)
    overlapping = np.lib.stride_tricks.sliding_window_view(frames, (window, 96))[::31, 0]
    together = network(model, window).features(overlapping)
    for size in (1, 2, 4):
        parts = [network(model, window).features(overlapping[start : start + size]) for start in range(0, 6, size)]
        for name, value in together.items():
            np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), value, err_msg=name)
    backwards = network(model, window).features(np.ascontiguousarray(overlapping[::-1]))
    for name, value in together.items():
        np.testing.assert_array_equal(backwards[name][::-1], value, err_msg=name)


@pytest.mark.parametrize("model", MODELS)
def test_judging_gives_what_the_features_are(model: str) -> None:
    features = network(model).features(patches(187))
    taggram, embedding = network(model)(patches(187))
    np.testing.assert_array_equal(taggram, features["taggram"])
    assert embedding.shape == (4, SPECS[model].embedding_size)
    np.testing.assert_array_equal(embedding, features[SPECS[model].embedding].reshape(4, -1))
    if model in MUSICNNS:
        names = ("taggram", "penultimate", "max_pool", "mean_pool")
        for name, value in zip(names, network(model).with_pools(patches(187)), strict=True):
            np.testing.assert_array_equal(value, features[name])


@pytest.mark.parametrize("model", ["MSD_musicnn", "MSD_vgg"])
def test_no_patches_have_no_features(model: str) -> None:
    none = np.empty((0, 187, 96), np.float32)
    some = network(model).features(patches(187))
    for name, value in network(model).features(none).items():
        assert value.shape == (0, *some[name].shape[1:])
    assert [value.shape for value in network(model)(none)] == [(0, 50), (0, SPECS[model].embedding_size)]


def test_stands_where_a_network_does() -> None:
    judge: PatchNetwork = network("MSD_musicnn", 50)
    judge.warm_up()
    predictor = PatchPredictor(judge, 7, name=NumpyNetwork.backend, pools=True)
    assert predictor.name == "NumPy"
    predictor.push(sounds.music(50 + 3 * 7))
    judged = predictor.take(4)
    assert judged.taggram.shape == (4, 50)
    assert judged.max_pool is not None
    assert judged.mean_pool is not None
    assert judged.max_pool.shape == judged.mean_pool.shape == (4, 753)
    assert shared_numpy_network("MSD_musicnn", 50) is shared_numpy_network("MSD_musicnn", 50)


def threads_of_blas() -> list[int]:
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_blas_has_one_thread_meanwhile_and_gets_the_others_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """On one thread a product is rounded in one way, and BLAS's threads cannot wait for each other."""
    seen: list[list[int]] = []
    judge = NumpyNetwork.load("MSD_musicnn", 1)
    evaluate = judge._evaluate

    def watched(patch: np.ndarray) -> dict[str, np.ndarray]:
        seen.append(threads_of_blas())
        return evaluate(patch)

    monkeypatch.setattr(judge, "_evaluate", watched)
    with threadpool_limits(2, "blas"):
        before = threads_of_blas()
        judge(patches(1))
        assert threads_of_blas() == before
    assert seen == [[1] * len(before)] * 4


def test_several_threads_may_share_one() -> None:
    alone = network("MSD_musicnn", 50).features(patches(50))
    before = threads_of_blas()
    with ThreadPoolExecutor(4) as executor:
        for features in executor.map(network("MSD_musicnn", 50).features, [patches(50)] * 12):
            assert_close(features, alone)
    assert threads_of_blas() == before


def test_what_fails_in_one_patch_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    before, judge = threads_of_blas(), NumpyNetwork.load("MSD_musicnn", 1)

    def fails(patch: np.ndarray) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(judge, "_evaluate", fails)
    with pytest.raises(MemoryError, match="no room"):
        judge.features(patches(1))
    assert threads_of_blas() == before


# --- what cannot be used ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["MSD_musicnn", "MSD_vgg"])
def test_weights_that_do_not_fit(model: str) -> None:
    weights = load_weights(model)
    NumpyNetwork(weights, 187)
    for key in weights.tensors:
        wrong = {**weights.tensors, key: np.zeros((3, 1, 4, 1, 5), np.float32)}
        with pytest.raises(WeightsDamagedError, match=f"does not fit {model}: {key} has shape .* is needed"):
            NumpyNetwork(replace(weights, tensors=wrong), 187)
        missing = {name: tensor for name, tensor in weights.tensors.items() if name != key}
        with pytest.raises(WeightsDamagedError, match=f"{key} is missing, and .* is needed"):
            NumpyNetwork(replace(weights, tensors=missing), 187)
    more = {**weights.tensors, "more/kernel": np.zeros(1, np.float32), "less/bias": np.zeros(1, np.float32)}
    with pytest.raises(WeightsDamagedError, match="less/bias, more/kernel left over"):
        NumpyNetwork(replace(weights, tensors=more), 187)


def test_what_it_refuses() -> None:
    with pytest.raises(UnknownModelError):
        NumpyNetwork.load("MSD_musicn", 187)
    with pytest.raises(WeightsMissingError, match="streamtag models import"):
        NumpyNetwork.load("MSD_musicnn_big", 187)
    with pytest.raises(OptionError, match="3 s only"):
        NumpyNetwork.load("MSD_vgg", 186)
    with pytest.raises(OptionError, match="a patch of 0 frames: at least one is needed"):
        NumpyNetwork.load("MSD_musicnn", 0)
    with pytest.raises(OptionError, match="MSD_vgg has no max_pool"):
        network("MSD_vgg").with_pools(patches(187))
    for shape in ((187, 96), (1, 186, 96), (1, 187, 95)):
        with pytest.raises(FeedError, match=r"patches have shape .*, and \(n, 187, 96\) is needed"):
            network("MSD_musicnn")(np.zeros(shape, np.float32))
    with pytest.raises(OptionError, match="MSD_vgg does not give max_pool for each patch: only taggram, pool5"):
        FileTagger("MSD_vgg", features=["max_pool"])


# --- the extractor ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "length", "overlap"),
    [*((model, 3, False) for model in MODELS), ("MTT_musicnn", 3, 0.5), ("MSD_vgg", 3, 0.5), ("MSD_musicnn", 1, 1.5)],
)
def test_the_taggram_is_the_same_with_features(model: str, length: float, overlap: float) -> None:
    clip, spec = GOLDEN / "clip16.flac", SPECS[model]
    taggram, tags, features = all_features(clip, model, length, overlap)
    alone, same_tags = taggram_alone(clip, model, length, overlap)
    np.testing.assert_array_equal(taggram, alone)
    assert tags == same_tags == list(spec.labels)
    n, frames = len(taggram), {3.0: 187, 1.0: 62}[length]
    if spec.family == "vgg":
        sizes = [(92, 48, 128), (46, 24, 128), (23, 12, 128), (11, 6, 128), (2, 128)]
        expected = {f"pool{i}": (n * size[0], *size[1:]) for i, size in enumerate(sizes, start=1)}
    else:
        by_frame = {"timbral": 408, "temporal": 153, "cnn1": 64, "cnn2": 64, "cnn3": 64}
        expected = {name: (n * frames, width) for name, width in by_frame.items()}
        expected |= {"mean_pool": (n, 753), "max_pool": (n, 753), "penultimate": (n, 200)}
        # patch by patch, one frame after the other
        layers = np.concatenate([features[name] for name in by_frame], axis=1).reshape(n, frames, -1)
        for name, pooled in (("max_pool", layers.max(axis=1)), ("mean_pool", layers.mean(axis=1))):
            assert np.abs(features[name] - pooled).max() < 1e-5 * np.abs(pooled).max(), name
    assert {name: value.shape for name, value in features.items()} == expected
    assert all(value.dtype == np.float32 for value in features.values())
    embeddings = features[spec.embedding].reshape(n, -1)
    tensors = load_weights(model).tensors
    logits = embeddings @ tensors["tags/kernel"] + tensors["tags/bias"]
    assert np.abs(1 / (1 + np.exp(-logits)) - taggram).max() < 1e-6


@pytest.mark.parametrize("model", ["MSD_musicnn", "MTT_vgg"])
def test_a_short_file_is_repeated(model: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "short.wav", 0.1 * np.random.default_rng(0).normal(size=9000), 16_000)
    with pytest.warns(UserWarning, match="shorter than one patch of 2.99 s: repeated to length"):
        taggram, _, features = all_features(tmp_path / "short.wav", model)
    with pytest.warns(UserWarning, match="repeated to length"):
        np.testing.assert_array_equal(taggram, taggram_alone(tmp_path / "short.wav", model)[0])
    assert len(taggram) == 1
    assert len(features["timbral" if model in MUSICNNS else "pool1"]) == (187 if model in MUSICNNS else 92)


@pytest.mark.slow
def test_the_big_models_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its weights are not shipped: random ones of its shapes."""
    from streamtag.inference.networks.weights import write_weights

    spec = SPECS["MSD_musicnn_big"]
    weights = reshaped(load_weights("MSD_musicnn"), filters=spec.filters, units=spec.embedding_size)
    write_weights(tmp_path, spec, weights.tensors, dict.fromkeys(("licence", "source", "source_sha256"), "none"))
    monkeypatch.setenv("STREAMTAG_MODELS", str(tmp_path))
    clip = GOLDEN / "clip16.flac"
    taggram, _, features = all_features(clip, spec.name, input_overlap=1)
    np.testing.assert_array_equal(taggram, taggram_alone(clip, spec.name, input_overlap=1)[0])
    n = len(taggram)
    assert features["cnn3"].shape == (n * 187, 512)
    assert features["max_pool"].shape == features["mean_pool"].shape == (n, 2097)
    assert features["penultimate"].shape == (n, 500)


WITHOUT_TENSORFLOW = """
import sys
blocked = ("tensorflow", "keras", "jax", "torch")
sys.modules.update(dict.fromkeys(blocked))
import streamtag
for model in ("MTT_musicnn", "MSD_vgg"):
    taggram, tags, features = streamtag.extractor(sys.argv[1], model=model)
    print(model, len(taggram), *sorted(features))
assert not any(sys.modules[name] for name in blocked)
"""


@pytest.mark.slow
def test_needs_no_tensorflow() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW, str(GOLDEN / "clip16.flac")],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "MTT_musicnn 2 cnn1 cnn2 cnn3 max_pool mean_pool penultimate temporal timbral",
        "MSD_vgg 2 pool1 pool2 pool3 pool4 pool5",
    ]
