"""`streamtag train evaluate`: the published figures, an ensemble, and what used to be a crash."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.testing import assert_allclose
from sklearn.metrics import average_precision_score, roc_auc_score

from streamtag.dsp.params import N_MELS
from streamtag.errors import DataError
from streamtag.inference.networks.architectures import ARCHITECTURES
from streamtag.inference.networks.labels import MTT_LABELS
from streamtag.labelled.scores import score
from streamtag.train.evaluate import Model, evaluate, track_means
from streamtag.train.index import Index, Track
from streamtag.train.prepare import prepare
from streamtag.train.store import Store
from streamtag.train.truth import Truth
from tests.support.oracle import figures as oracle
from tests.support.oracle import needs_oracle, recipe
from tests.support.program import run_cli
from tests.support.stores import store_of

RNG = np.random.default_rng(0)
LENGTHS = (20, 25, 5, 40, 61, 10)
TRACKS = tuple(f"t{number}" for number in range(len(LENGTHS)))
TRUE = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32)
TRUTH = Truth(TRACKS, ("a", "b", "never"), TRUE)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = {name: RNG.exponential(1, (frames, N_MELS)) for name, frames in zip(TRACKS, LENGTHS, strict=True)}
    return store_of(tmp_path, {name: power.astype(np.float32) for name, power in made.items()})


def by_level(patches: np.ndarray) -> np.ndarray:
    """Three 'probabilities' that follow from the patch."""
    return np.stack([patches[:, 0, 0], patches[:, :, 5].mean(axis=1), patches[:, 0, 9]], axis=1) / 6


def answers(predictions: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """What another program predicted for the same patches, in their order."""
    left = list(predictions)
    return lambda patches: np.array([left.pop(0) for _ in patches])


# --- as published -------------------------------------------------------------------------------------------------


@needs_oracle
def test_means_and_areas_are_the_published_ones() -> None:
    known = oracle("evaluate")
    ids, patch_ids, truth, said, average, roc_tags, pr_tags, roc, pr = (
        known[f"made_up/{name}"]
        for name in (
            "ids patch_ids truth patch_predictions average roc_auc_per_tag pr_auc_per_tag roc_auc pr_auc".split()  # noqa: SIM905
        )
    )
    means = track_means(ids.tolist(), patch_ids.tolist(), said)
    np.testing.assert_array_equal(means, average)
    scores = score([str(k) for k in range(50)], truth == 1, means.astype(np.float64))
    areas = np.array([(tag.roc_auc, tag.pr_auc) for tag in scores.tags], np.float64)
    assert_allclose(areas, np.stack([roc_tags, pr_tags], axis=1), atol=1e-9)
    assert_allclose((scores.roc_auc, scores.pr_auc), (roc, pr), atol=1e-9)


@needs_oracle
@pytest.mark.parametrize("models", [("model0",), ("model3",), ("model0", "model3")])
def test_the_published_evaluation_of_a_data_set(tmp_path: Path, models: tuple[str, ...]) -> None:
    """From the stored spectrograms on: which patches, of which tracks, means and areas, also of an ensemble."""
    known = oracle("evaluate")
    key = f"evaluate_{'_'.join(models)}"
    tracks = known[f"{key}/tracks"].tolist()
    store = store_of(tmp_path, {str(k): recipe().power(k) for k in range(max(tracks) + 1)}, "float16")
    truth = Truth(tuple(map(str, tracks)), MTT_LABELS, np.array([recipe().track_labels(k) for k in tracks], np.float32))
    parts = np.split(known[f"{key}/predictions"], len(models))
    ensemble = [Model(name, answers(part), 187, MTT_LABELS) for name, part in zip(models, parts, strict=True)]
    evaluation = evaluate(ensemble, store, truth, pad_short=False)
    assert evaluation.models == models
    assert evaluation.patches == len(known[f"{key}/predictions"])
    assert_allclose(evaluation.scores.roc_auc, known[f"{key}/roc_auc"], atol=1e-9)
    assert_allclose(evaluation.scores.pr_auc, known[f"{key}/pr_auc"], atol=1e-9)


@given(
    arrays.arrays(np.float32, st.tuples(st.integers(1, 30), st.just(2)), elements=st.floats(0, 1, width=32)),
    st.randoms(use_true_random=False),
)
@settings(max_examples=100, deadline=None)
def test_a_track_is_the_mean_of_its_patches(predictions: np.ndarray, random: Any) -> None:
    owners = [random.choice("abc") for _ in predictions]
    means = track_means(["c", "a", "b", "a"], owners, predictions)
    for name, mean in zip("caba", means, strict=True):
        mine = predictions[[owner == name for owner in owners]]
        assert_allclose(mean, mine.mean(axis=0, dtype=np.float64) if len(mine) else np.nan, rtol=1e-5, atol=1e-38)


# --- what used to be a crash --------------------------------------------------------------------------------------


def test_tags_and_tracks_that_cannot_be_measured_are_named_and_left_out(store: Store) -> None:
    truth = Truth((*TRACKS, "elsewhere"), TRUTH.labels, np.vstack([TRUE, [[1, 1, 1]]]).astype(np.float32))
    evaluation = evaluate([Model("level", by_level, 10, TRUTH.labels)], store, truth, pad_short=False)
    assert evaluation.unmeasured == ("never",)
    assert evaluation.absent == ("elsewhere",)
    assert evaluation.short == ("t2",)
    assert evaluation.scores.files == 5
    assert evaluation.patches == 2 + 2 + 0 + 4 + 6 + 1
    padded = evaluate([Model("level", by_level, 10, TRUTH.labels)], store, truth)
    assert padded.short == ()
    assert padded.patches == evaluation.patches + 1


def test_the_mean_is_that_of_the_measured_tags(store: Store) -> None:
    evaluation = evaluate([Model("level", by_level, 10, TRUTH.labels)], store, TRUTH)
    patches = {
        name: [store.log_mel(name, start, 10) for start in range(0, store.frames(name) - 9, 10)]
        or [np.tile(store.log_mel(name, 0, 5), (2, 1))]
        for name in TRACKS
    }
    means = np.array([by_level(np.array(patches[name])).mean(axis=0) for name in TRACKS])
    assert_allclose(evaluation.scores.roc_auc, roc_auc_score(TRUE[:, :2], means[:, :2]))
    assert_allclose(evaluation.scores.pr_auc, average_precision_score(TRUE[:, :2], means[:, :2]))


def test_what_cannot_be_compared_is_refused(store: Store) -> None:
    model = Model("level", by_level, 10, TRUTH.labels)
    with pytest.raises(DataError, match="other has 2 tags and the ground truth 3, and they differ in c, b, never"):
        evaluate([model, Model("other", by_level, 10, ("a", "c"))], store, TRUTH)
    with pytest.raises(DataError, match="and the order differs"):
        evaluate([Model("other", by_level, 10, ("b", "a", "never"))], store, TRUTH)
    with pytest.raises(DataError, match="between 0 and 1"):
        evaluate([model], store, Truth(TRACKS, TRUTH.labels, TRUE / np.float32(2)))
    with pytest.raises(DataError, match="none of the tracks"):
        evaluate([model], store, Truth(("x",), TRUTH.labels, TRUE[:1]))
    with pytest.raises(DataError, match="all 6 tracks are shorter than a patch"):
        evaluate([Model("long", by_level, 100, TRUTH.labels)], store, TRUTH, pad_short=False)
    with pytest.raises(DataError, match="no tag is on some"):
        evaluate([model], store, Truth(TRACKS, TRUTH.labels, np.zeros_like(TRUE)))
    with pytest.raises(DataError, match="NaN"):
        evaluate([Model("nan", lambda x: np.full((len(x), 3), np.nan), 10, TRUTH.labels)], store, TRUTH)


# --- the command --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, music: Path) -> Path:
    """A store of the demo's four parts, and a truth of what they are."""
    import soundfile

    folder = tmp_path_factory.mktemp("evaluate")
    samples, rate = soundfile.read(music)
    names = ("piano", "ambient", "techno", "rock")
    for name, part in zip(names, np.array_split(samples, 4), strict=True):
        soundfile.write(folder / f"{name}.wav", part, rate)
    tracks = tuple(Track(name, folder / f"{name}.wav") for name in names)
    assert prepare(Index(tracks), folder / "data").made == 4
    (folder / "test.csv").write_text("id,tags\n" + "".join(f"{name},{name}\n" for name in names))
    return folder


@pytest.mark.slow
def test_a_published_model_on_its_own_words(data: Path, tmp_path: Path) -> None:
    done = run_cli(
        *("train", "evaluate", "MTT_musicnn", data / "data", "--truth", data / "test.csv"),
        *("--per-tag", "--out", tmp_path / "figures.json"),
    )
    assert done.status == 0, done.message
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["models"] == ["MTT_musicnn"]
    assert (figures["tracks"], figures["patches"]) == (4, 8)
    measured = {tag["tag"]: tag["roc_auc"] for tag in figures["tags"] if tag["roc_auc"] is not None}
    assert measured == {"ambient": 1, "piano": 1, "rock": 1, "techno": 1}
    assert "these 4 tracks, 8 patches, 4 tags" in done.stdout
    assert all(f"{each.name} ({each.number})" in done.stdout for each in ARCHITECTURES.values())
    assert "note: on none or all of the tracks, not in the means: guitar, classical," in done.stdout

    done = run_cli(
        *("train", "evaluate", "MTT_musicnn", "MTT_vgg", data / "data"),
        *("--truth", data / "test.csv", "--out", tmp_path / "figures.tsv"),
    )
    assert done.stdout.startswith("MTT_musicnn + MTT_vgg (their ensemble)\n")
    rows = [line.split("\t") for line in (tmp_path / "figures.tsv").read_text().splitlines()]
    assert rows[0] == ["tag", "tracks", "roc_auc", "pr_auc"]
    assert rows[1][:2] == ["(mean)", "4"]
    assert ["guitar", "0", "", ""] in rows


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("DATA", "--truth", "TRUTH"), 2, "a model and the folder of spectrograms are needed"),
        (("MTT_musicn", "DATA", "--truth", "TRUTH"), 2, "Did you mean MTT_musicnn"),
        (("MTT_musicnn", ".", "--truth", "TRUTH"), 1, "no store of spectrograms"),
        (("MSD_musicnn", "DATA", "--truth", "TRUTH"), 1, "line 2 has the label 'piano'; expected rock, pop, "),
        (("MTT_musicnn", "MSD_musicnn", "DATA", "--truth", "TRUTH"), 1, "MSD_musicnn has 50 tags"),
        (("MTT_musicnn", "DATA", "--truth", "TRUTH", "--out", "x.csv"), 2, "written as .json or .tsv"),
        (("MTT_musicnn", "DATA", "--truth", "nowhere.csv"), 1, "nowhere.csv: no such file; expected a ground truth"),
    ],
)
def test_what_cannot_be_evaluated_is_said(data: Path, arguments: tuple[str, ...], status: int, message: str) -> None:
    places = {"DATA": data / "data", "TRUTH": data / "test.csv"}
    done = run_cli("train", "evaluate", *(places.get(argument, argument) for argument in arguments))
    assert done.status == status
    assert message in done.message
