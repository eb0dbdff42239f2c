"""The embedding for visuals: smoothed, and as three coordinates."""

from __future__ import annotations

import itertools
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from streamtag.errors import ModelError, OptionError
from streamtag.inference.networks.catalogue import installed_models, model_folders
from streamtag.inference.networks.specs import SPECS
from streamtag.tagging import space
from streamtag.tagging.space import Coordinates, EmbeddingFollower, shipped_coordinates
from streamtag.tagging.tagger import Tagger

SPEC = SPECS["MTT_musicnn"]


def shipped() -> Coordinates:
    found = shipped_coordinates(SPEC)
    assert found is not None
    return found


@pytest.mark.parametrize("model", installed_models())
def test_every_model_that_ships_has_coordinates_of_its_embedding(model: str) -> None:
    found = shipped_coordinates(SPECS[model])
    if found is None:
        assert model == "MSD_musicnn_big", "whose weights do not ship"
        return
    random = np.random.default_rng(1)
    places = np.array([found(row) for row in random.exponential(1, (200, SPECS[model].embedding_size)).astype("f4")])
    assert places.shape == (200, 3)
    assert (np.abs(places) < 1).all()
    assert places.std(axis=0).min() > 0


def test_the_length_of_an_embedding_does_not_count_and_none_at_all_is_the_origin() -> None:
    embedding = np.random.default_rng(2).exponential(1, 200).astype(np.float32)
    np.testing.assert_allclose(shipped()(embedding), shipped()(7 * embedding), atol=1e-6)
    np.testing.assert_array_equal(shipped()(np.zeros(200, np.float32)), np.zeros(3))


@pytest.mark.parametrize("hop", [0.016, 0.1])
def test_a_step_is_63_percent_there_after_the_time_constant(hop: float) -> None:
    follower = EmbeddingFollower(None, 2.0)
    follower.update(np.zeros(4, np.float32), hop)
    for _ in range(round(2.0 / hop)):
        smoothed = follower.update(np.ones(4, np.float32), hop)
    assert smoothed == pytest.approx(np.full(4, 1 - 1 / math.e), abs=1e-5)
    assert follower.xyz is None


def test_coordinates_glide_where_the_embedding_jumps() -> None:
    one, other = np.eye(200, dtype=np.float32)[:2]
    follower = EmbeddingFollower(shipped(), 0.0)
    np.testing.assert_array_equal(follower.update(one, 0.016), one)
    np.testing.assert_array_equal(follower.update(other, 0.016), other)
    assert follower.xyz is not None
    begin, end = shipped()(one), shipped()(other)
    share = 1 - math.exp(-0.016)
    np.testing.assert_allclose(follower.xyz, begin + share * (end - begin), atol=1e-6)


def test_frames_have_them_and_the_embedding_is_smoothed_on_request_alone() -> None:
    noise = np.random.default_rng(3).normal(0, 0.1, 5 * 16_000).astype(np.float32)
    plain = Tagger(SPEC.name, hop=0.128).push(noise, 16_000)
    smooth = Tagger(SPEC.name, hop=0.128, embedding_smooth=1.0).push(noise, 16_000)

    def way(frames: list) -> float:
        return float(sum(np.linalg.norm(b.embedding - a.embedding) for a, b in itertools.pairwise(frames)))

    assert way(smooth) < way(plain) / 2
    for one, other in zip(plain, smooth, strict=True):
        np.testing.assert_array_equal(one.raw, other.raw)
        assert one.xyz is not None
        assert all(-1 < value < 1 for value in one.xyz)


def test_refuses_a_time_constant_that_is_none() -> None:
    with pytest.raises(OptionError, match="embedding_smooth -1 s: expected 0 or more seconds"):
        Tagger(SPEC.name, embedding_smooth=-1)


@pytest.mark.parametrize("damage", ["cut", "changed", "of another model"])
def test_a_file_that_cannot_be_used_says_so(damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = next(folder for folder in model_folders() if (folder / f"{SPEC.name}.xyz").is_file())
    path = tmp_path / f"{SPEC.name}.xyz"
    shutil.copy(source / ("MTT_vgg.xyz" if damage == "of another model" else path.name), path)
    data = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(data[:100])
    elif damage == "changed":
        data[-1] ^= 1
        path.write_bytes(data)
    monkeypatch.setattr(space, "model_folders", lambda: [tmp_path])
    shipped_coordinates.cache_clear()
    try:
        with pytest.raises(ModelError, match="remove it, or install streamtag again"):
            shipped_coordinates(SPEC)
    finally:
        shipped_coordinates.cache_clear()
