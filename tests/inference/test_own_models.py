"""Models of one's own are models like any other: their files, and what evaluates them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from streamtag.errors import ModelError, OptionError, UnknownModelError, WeightsDamagedError
from streamtag.inference.factory import make_predictor
from streamtag.inference.networks.architectures import ARCHITECTURES, find_architecture
from streamtag.inference.networks.catalogue import find_spec, import_own, load_weights, models, own_models
from streamtag.inference.networks.network import Network
from streamtag.inference.networks.numpy_network import NumpyNetwork
from streamtag.inference.networks.weights import read_weights, save_whole, write_model
from tests.support import sounds
from tests.support.own_models import ORIGIN, random_tensors, write_random

pytestmark = pytest.mark.tensorflow

LABELS = ("drop", "Aufbau", "ruhig & leise", "тихо")
SLIDING = ["musicnn", "residual", "vgg32", "vgg128"]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_random(tmp_path / "my.safetensors", find_architecture("vgg32").spec(LABELS))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_what_is_written_is_read(tmp_path: Path, name: str) -> None:
    spec = replace(find_architecture(name).spec(LABELS), roc_auc=0.75)
    path = write_random(tmp_path / "my.safetensors", spec)
    tensors = load_weights(str(path)).tensors
    count = sum(tensor.size for tensor in tensors.values())
    assert repr(find_spec(str(path))) == repr(replace(spec, name=str(path), parameters=count))  # as NaN is not NaN
    assert tensors.keys() == random_tensors(spec).keys()


@pytest.mark.parametrize("name", SLIDING)
@pytest.mark.parametrize("tags", [1, 130])
def test_sliding_and_numpy_give_what_keras_gives(tmp_path: Path, name: str, tags: int) -> None:
    spec = find_architecture(name).spec(tuple(f"tag {n}" for n in range(tags)))
    path = str(write_random(tmp_path / "my.safetensors", spec, seed=tags))
    frames = sounds.music(187 + 6)
    predictor = make_predictor(path, 187, 3)
    assert predictor.name == "sliding"
    predictor.push(frames)
    judged = predictor.take(predictor.due)
    patches = np.stack([frames[row * 3 : row * 3 + 187] for row in range(3)])
    weights = load_weights(path)
    for network in (Network(weights, 187), NumpyNetwork(weights, 187)):
        taggram, embedding = network(patches)
        np.testing.assert_allclose(judged.taggram, taggram, rtol=0, atol=2e-5)
        np.testing.assert_allclose(judged.embedding, embedding, rtol=0, atol=2e-4)
        assert judged.embedding.shape[1] == find_spec(path).embedding_size
        if find_spec(path).pool_size:
            for ours, theirs in zip((judged.max_pool, judged.mean_pool), network.with_pools(patches)[2:], strict=True):
                assert ours is not None
                assert ours.shape[1] == find_spec(path).pool_size
                np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-4)


@pytest.mark.parametrize("units", [1, 33])
def test_any_number_of_units_slides(tmp_path: Path, units: int) -> None:
    spec = replace(find_architecture("musicnn").spec(LABELS), embedding_size=units)
    path = str(write_random(tmp_path / "my.safetensors", spec))
    frames = sounds.music(187)
    predictor = make_predictor(path, 187, 1)
    predictor.push(frames)
    np.testing.assert_allclose(
        predictor.take(1).taggram, Network(load_weights(path), 187)(frames[None])[0], rtol=0, atol=2e-5
    )


def test_others_are_evaluated_window_by_window(tmp_path: Path) -> None:
    path = str(write_random(tmp_path / "my.safetensors", find_architecture("dieleman").spec(LABELS)))
    predictor = make_predictor(path, 187, 1)
    assert predictor.name == "tensorflow"
    predictor.push(sounds.music(188))
    assert predictor.take(2).taggram.shape == (2, 4)
    with pytest.raises(OptionError, match="window by window, which is the engine tensorflow"):
        make_predictor(path, 187, 1, "sliding")
    with pytest.raises(OptionError, match="takes patches of 3 s only"):
        make_predictor(path, 62, 1)


def test_a_file_that_is_written_anew_is_another_model(model: Path) -> None:
    frames = sounds.music(187)

    def heard() -> np.ndarray:
        predictor = make_predictor(str(model), 187, 1)
        predictor.push(frames)
        return predictor.take(1).taggram

    before = heard()
    write_random(model, find_architecture("vgg32").spec(LABELS), seed=5)
    assert np.abs(heard() - before).max() > 1e-3


def test_no_file_and_no_model(tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match="there is no such file of a model"):
        find_spec(str(tmp_path / "none.safetensors"))
    text = tmp_path / "text.safetensors"
    text.write_text("no model")
    with pytest.raises(WeightsDamagedError, match="not readable as safetensors"):
        find_spec(str(text))
    foreign = tmp_path / "foreign.safetensors"
    save_whole({"weight": np.zeros(3, np.float32)}, foreign, {"format": "pt"})
    with pytest.raises(WeightsDamagedError, match="not streamtag's"):
        find_spec(str(foreign))


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": "[]"},
        {"labels": '["a", "a"]'},
        {"labels": '["a", 1]'},
        {"labels": '{"a": 1}'},
        {"labels": "["},
        {"labels": "[" * 100_000},
        {"architecture": "[]"},
        {"architecture": "null"},
        {"architecture": {"family": "transformer"}},
        {"architecture": {"filters": 0}},
        {"architecture": {"filters": 1e300}},
        {"architecture": {"frames": "many"}},
        {"architecture": {"embedding_size": -1}},
        {"architecture": {"embedding_size": True}},
        {"architecture": {"residuals": "both"}},
        {"parameters": "many"},
        {"roc_auc": "good"},
    ],
)
def test_a_description_that_cannot_be_is_refused_by_name(model: Path, changes: dict[str, object]) -> None:
    weights = read_weights(model, find_spec(str(model)))
    metadata = dict(weights.metadata)
    for key, value in changes.items():
        metadata[key] = json.dumps(json.loads(metadata[key]) | value) if isinstance(value, dict) else str(value)
    save_whole(weights.tensors, model, metadata)
    with pytest.raises(WeightsDamagedError, match=r"my\.safetensors"):
        find_spec(str(model))


@pytest.mark.parametrize("family", ["musicnn", "residual", "vgg", "attention"])
def test_weights_of_another_architecture_are_refused(model: Path, family: str) -> None:
    weights = load_weights(str(model))
    spec = replace(weights.spec, family=family, embedding_size=200, filters=64)  # type: ignore[arg-type]
    write_model(model, spec, weights.tensors, {"model": "my", **ORIGIN})
    with pytest.raises(WeightsDamagedError, match="does not fit"):
        make_predictor(str(model), 187, 1)


def test_imported_it_is_known_by_name(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "models"
    monkeypatch.setenv("STREAMTAG_MODELS", str(folder))
    assert own_models() == {}
    import_own(model, folder)
    assert own_models() == {"my": folder / "my.safetensors"}
    assert find_spec("my").labels == LABELS
    assert "my" in {spec.name for spec in models()}
    with pytest.raises(UnknownModelError, match="Did you mean my"):
        find_spec("mi")
    with pytest.raises(UnknownModelError):
        find_spec("../models/my")


def test_a_published_model_is_not_imported_as_ones_own(model: Path, tmp_path: Path) -> None:
    published = load_weights("MTT_vgg").path
    with pytest.raises(ModelError, match="a published model, which is known already"):
        import_own(published, tmp_path / "models")
    taken = model.rename(model.with_name("MTT_vgg.safetensors"))
    with pytest.raises(ModelError, match="a published model's name"):
        import_own(taken, tmp_path / "models")


def test_a_published_model_may_be_given_as_its_file() -> None:
    path = load_weights("MTT_vgg").path
    assert find_spec(str(path)) == replace(find_spec("MTT_vgg"), name=str(path))


def test_architectures_by_name_and_number() -> None:
    for each in ARCHITECTURES.values():
        assert find_architecture(each.name) is find_architecture(str(each.number)) is each
    with pytest.raises(OptionError, match="Did you mean attention"):
        find_architecture("atention")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_patches_that_leave_nothing_are_refused(name: str) -> None:
    architecture = find_architecture(name)
    with pytest.raises(OptionError, match="needs patches of"):
        architecture.spec(LABELS, frames=0)
    with pytest.raises(OptionError, match="needs patches of"):
        architecture.spec(LABELS, bands=4)
