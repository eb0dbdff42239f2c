"""Heads: as scikit-learn estimators, as plain arrays, as files from friends and strangers."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save_file
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.utils.estimator_checks import check_estimator

import streamtag
from streamtag.errors import HeadError
from streamtag.heads import file as headfile
from streamtag.heads.file import check_names, load_head, write_head
from streamtag.inference.networks.catalogue import find_weights
from streamtag.learn.estimator import CLASSIFIERS, HIDDEN, NEIGHBOURS, PLATT_C, Classifier, Head, one_thread
from streamtag.learn.splits import can_be_left_out, folds

WIDTH = 50
"""Tags of MSD_musicnn: the width of `taggram`."""


def blobs(rows: int = 60, spread: float = 12.0, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    x, y = make_blobs(rows, WIDTH, centers=classes, cluster_std=spread, random_state=3)
    return x, np.array(["drop", "breakdown", "none", "intro", "outro"])[y]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("heads") / "cues.head"
    return Head().fit(*blobs()).save(path, model="MSD_musicnn", features=("taggram",))


# --- the estimator ------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("classifier", ["svm", "logistic"])  # one on scaled features, one not: what Head itself does
def test_scikit_learn_accepts_it_as_an_estimator(classifier: Classifier) -> None:
    results = check_estimator(Head(classifier), on_skip=None, on_fail=None)
    failed = [(result["check_name"], result["exception"]) for result in results if result["status"] == "failed"]
    assert not failed
    assert sum(result["status"] == "passed" for result in results) > 40


@pytest.fixture
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("classifier", CLASSIFIERS)
@pytest.mark.usefixtures("_one_thread")  # as `Head` learns: after other rounding, an iterative solver goes another way
def test_probabilities_are_those_of_scikit_learns_own_objects(classifier: Classifier) -> None:
    x, y = blobs()
    truth = (y[:, None] == np.unique(y)).astype(int)
    scaled = classifier in ("linear-svm", "logistic", "mlp")
    # every training fold has more rows than the 30 units that are kept
    turn = [*([StandardScaler()] if scaled else []), PCA(30, svd_solver="full")]
    plain = {
        "svm": OneVsRestClassifier(SVC(C=1, gamma="scale")),
        "linear-svm": OneVsRestClassifier(LinearSVC(C=1, random_state=0, max_iter=10_000)),
        "logistic": OneVsRestClassifier(LogisticRegression(C=1, max_iter=1000)),
        "knn": KNeighborsClassifier(NEIGHBOURS, algorithm="brute"),
        "mlp": MLPClassifier((HIDDEN,), solver="lbfgs", alpha=10.0, random_state=0),
    }[classifier]
    reference = make_pipeline(*turn, plain)

    def margins(fitted: Any, rows: np.ndarray) -> np.ndarray:
        if classifier == "knn":
            return np.stack([one[:, 1] for one in fitted.predict_proba(rows)], axis=1)
        if classifier == "mlp":
            chances = fitted.predict_proba(rows)
            return np.log(chances / (1 - chances))
        return fitted.decision_function(rows)

    unseen = np.empty(truth.shape)
    splits = list(StratifiedGroupKFold(5, shuffle=True, random_state=0).split(x, truth.argmax(axis=1), np.arange(60)))
    for learn, test in splits:
        unseen[test] = margins(clone(reference).fit(x[learn], truth[learn]), x[test])
    if classifier == "svm":  # and once by scikit-learn's own loop
        again = cross_val_predict(reference, x, truth, cv=splits, method="decision_function")
        np.testing.assert_allclose(unseen, again, atol=1e-12)
    new = blobs(90)[0][60:]
    scores = margins(reference.fit(x, truth), new)
    expected = np.empty(scores.shape)
    for k in range(3):
        spread = unseen[:, k].std()
        sigmoid = LogisticRegression(C=PLATT_C).fit(unseen[:, [k]] / spread, truth[:, k])
        expected[:, k] = sigmoid.predict_proba(scores[:, [k]] / spread)[:, 1]
    expected /= expected.sum(axis=1, keepdims=True)
    head = Head(classifier, pca=30).fit(x, y)
    np.testing.assert_allclose(head.predict_proba(new), expected, atol=1e-7)
    assert (head.predict(new) == head.classes_[expected.argmax(axis=1)]).all()


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_dead_units_are_not_heard(classifier: Classifier) -> None:
    """Units that are constant but for rounding, as most of the pools' are: what rounding says elsewhere is nothing."""
    rng = np.random.default_rng(0)

    def rows(count: int, rounding: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        y = np.arange(count) % 2
        x = rng.normal(size=(count, 20)) + 2 * y[:, None] * (np.arange(20) < 3)
        dead = np.full((count, 300), 1e-6) * (1 + rounding * rng.normal(size=(count, 300)))
        return x, np.hstack([x, dead]), y

    live, all_units, y = rows(40, 1e-7)
    new_live, new_all, truth = rows(200, 1e-6)
    alone = Head(classifier).fit(live, y).predict_proba(new_live)
    beside = Head(classifier).fit(all_units, y).predict_proba(new_all)
    np.testing.assert_allclose(beside, alone, atol=0.02)
    assert (beside.argmax(axis=1) == truth).mean() > 0.75


def test_several_labels_a_row() -> None:
    x = np.random.default_rng(0).normal(size=(80, 6))
    truth = np.stack([x[:, 0] > 0, x[:, 1] > 0.5, x[:, 2] > 0], axis=1).astype(int)
    head = Head().fit(x[:60], truth[:60])
    chances = head.predict_proba(x[60:])
    assert (head.predict(x[60:]) == (chances >= 0.5)).all()
    assert np.mean(head.predict(x[60:]) == truth[60:]) > 0.8
    assert chances.sum(axis=1).std() > 0.1  # each class for itself


def test_one_class_alone_is_refused() -> None:
    with pytest.raises(ValueError, match="one class"):
        Head().fit(blobs()[0], np.ones(60))


@pytest.mark.filterwarnings("error")
def test_the_same_row_with_both_classes_is_learned_in_silence() -> None:
    head = Head("svm").fit(np.ones((2, 6)), [0, 1])
    assert head.predict_proba(np.ones((1, 6))) == pytest.approx(np.full((1, 2), 0.5), abs=0.01)


def test_an_unknown_classifier_and_groups_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="forest"):
        Head("forest").fit(*blobs())  # type: ignore[arg-type] # refused is what no type checker would let pass
    with pytest.raises(ValueError, match="2 groups for 60 rows"):
        Head().fit(*blobs(), groups=[1, 2])


@pytest.mark.parametrize("rows", [2, 3, 5, 7, 12])
def test_a_handful_of_rows_will_do(rows: int) -> None:
    x, y = blobs(60)
    some = np.concatenate([np.flatnonzero(y == name)[: -(-rows // 3)] for name in ("drop", "none", "breakdown")])[:rows]
    chances = Head().fit(x[some], y[some]).predict_proba(x)
    assert np.isfinite(chances).all()
    np.testing.assert_allclose(chances.sum(axis=1), 1)


def test_labels_that_mean_nothing_are_not_claimed_to_be_known() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(80, 30)), np.arange(80) % 4
    assert Head().fit(x, y).predict_proba(rng.normal(size=(200, 30))).max(axis=1).mean() < 0.45


def test_rows_of_one_group_never_help_to_calibrate_each_other() -> None:
    """Each row twice: without groups the twin gives the answer away, with them it does not."""
    rng = np.random.default_rng(2)
    x, y = np.repeat(rng.normal(size=(40, 30)), 2, axis=0), np.repeat(np.arange(40) % 2, 2)
    new = rng.normal(size=(200, 30))
    fooled = Head("knn").fit(x, y).predict_proba(new).max(axis=1).mean()
    told = Head("knn").fit(x, y, groups=np.repeat(np.arange(40), 2)).predict_proba(new).max(axis=1).mean()
    assert told < fooled


# --- splits -------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 7)), min_size=3, max_size=40), st.integers(0, 3))
def test_a_group_is_on_one_side_and_every_row_that_can_be_is_tested_once(
    rows: list[tuple[int, int]], seed: int
) -> None:
    classes, groups = (np.array(column) for column in zip(*rows, strict=True))
    targets = classes[:, None] == np.unique(classes)
    tested = []
    for learn, test in folds(targets, groups, 5, seed):
        assert not set(groups[learn][np.isin(learn, np.flatnonzero(can_be_left_out(targets, groups)))]) & set(
            groups[test]
        )
        assert not set(learn) & set(test)
        tested += list(test)
    assert tested == [] or sorted(tested) == list(np.flatnonzero(can_be_left_out(targets, groups)))


def test_a_class_of_one_file_is_always_learned_and_never_tested() -> None:
    targets = np.eye(3, dtype=bool)[[0, 0, 0, 1, 1, 1, 2]]
    for learn, test in folds(targets, np.arange(7), 3, 0):
        assert 6 in learn
        assert 6 not in test


# --- files --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_head_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    x, y = blobs()
    for classifier in get_args(Classifier):
        head = Head(classifier).fit(x, y)
        path = head.save(tmp_path / f"{classifier}.head", model="MSD_musicnn", features=("taggram",))
        assert (Head.load(path).predict_proba(x) == head.predict_proba(x)).all()
        assert (Head.load(path).predict(x) == head.predict(x)).all()
        plain = streamtag.load_head(path)
        assert plain.labels == ("breakdown", "drop", "none")
        assert plain.name == classifier


def test_the_same_rows_give_the_same_head(tmp_path: Path) -> None:
    paths = [
        Head("mlp").fit(*blobs()).save(tmp_path / f"{i}.head", name="a", model="MSD_musicnn", features=("taggram",))
        for i in range(2)
    ]
    first, second = (load_head(path).decision.arrays for path in paths)
    assert all((first[key] == second[key]).all() for key in first)


def test_playing_needs_no_scikit_learn(saved: Path) -> None:
    code = (
        "import sys; sys.modules['sklearn'] = None; sys.modules['tensorflow'] = None\n"
        "import numpy as np, streamtag, streamtag.tagging.tagger\n"
        "head = streamtag.load_head(sys.argv[1])\n"
        "print(head.decision.probabilities(np.zeros((1, 50), np.float32)).sum())"
    )
    done = subprocess.run([sys.executable, "-c", code, str(saved)], capture_output=True, text=True, timeout=120)
    assert done.stderr == ""
    assert float(done.stdout) == pytest.approx(1)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
def test_a_changed_byte_or_a_cut_is_refused_and_named(saved: Path, data: st.DataObject) -> None:
    whole = bytearray(saved.read_bytes())
    # most bytes are numbers: half of the changes go into the description
    at = data.draw(st.one_of(st.integers(0, 2500), st.integers(0, len(whole) - 1)))
    if data.draw(st.booleans()):
        whole[at] ^= data.draw(st.integers(1, 255))
    else:
        del whole[at:]
    other = saved.with_name("changed.head")
    other.write_bytes(whole)
    with pytest.raises(HeadError, match=r"changed\.head"):
        load_head(other)


def test_what_is_no_head_is_refused(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Callable[..., None], tuple[Path]]:
            return Path.touch, (tmp_path / "executed",)

    (tmp_path / "pickle.head").write_bytes(pickle.dumps(Trap()))
    (tmp_path / "text.head").write_text("not a head")
    (tmp_path / "empty.head").write_bytes(b"")
    (tmp_path / "folder.head").mkdir()
    for name in ("pickle", "text", "empty", "folder", "missing"):
        with pytest.raises(HeadError, match=rf"{name}\.head"):
            load_head(tmp_path / f"{name}.head")
    assert not (tmp_path / "executed").exists()
    weights = find_weights("MSD_musicnn")
    assert weights is not None
    with pytest.raises(HeadError, match="not a head of streamtag's"):
        load_head(weights)


def forged(saved: Path, **changes: Any) -> Path:
    """The head with other contents and a checksum that fits: what a stranger could make."""
    head = load_head(saved)
    arrays = {key: np.array(value) for key, value in head.decision.arrays.items()}
    about = {
        "name": head.name,
        "model": head.model,
        "model_sha256": "",
        "features": list(head.features),
        "statistic": "mean",
        "level": "auto",
        "window_frames": 187,
        "labels": list(head.labels),
        "kind": "svm",
        "exclusive": True,
        "facts": {},
    }
    for key, value in changes.items():
        if key in about:
            about[key] = value
        elif value is None:
            del arrays[key]
        else:
            arrays[key] = value
    text = changes.get("text", json.dumps(about))
    arrays.pop("text", None)
    path = saved.with_name("forged.head")
    metadata = {"format": headfile.FORMAT, "head": text, "sha256": headfile.arrays_sha256(text, arrays)}
    save_file(arrays, path, metadata)
    return path


def examples(**changes: Any) -> dict[str, Any]:
    """Four examples that fit, but for what is changed."""
    arrays = {
        "rows": np.zeros((4, WIDTH), np.float16),
        "targets": np.zeros((4, 3), np.uint8),
        "groups": np.zeros(4, np.int32),
    }
    return {f"examples.{key}": value for key, value in {**arrays, **changes}.items()}


def test_the_forger_of_these_tests_makes_heads_that_load(saved: Path) -> None:
    assert load_head(forged(saved)).labels == ("breakdown", "drop", "none")
    assert load_head(forged(saved)).examples is None
    assert load_head(forged(saved, **examples())).examples is not None


def test_a_head_from_before_there_were_levels_plays_as_it_did(saved: Path) -> None:
    assert load_head(forged(saved)).level == "auto"
    with safe_open(forged(saved), framework="np") as file:
        about = json.loads(file.metadata()["head"])
    del about["level"]
    assert load_head(forged(saved, text=json.dumps(about))).level == "off"


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "\x1b[2J"},
        {"name": ""},
        {"name": "x" * 101},
        {"labels": ["drop", "drop", "none"]},
        {"labels": ["a\nb", "c", "d"]},
        {"labels": ["one", "two"]},
        {"labels": []},
        {"labels": "abc"},
        {"labels": [1, 2, 3]},
        {"model": "../../etc/passwd"},
        {"model": ["MSD_musicnn"]},
        {"features": ["pool5"]},
        {"features": []},
        {"features": ["taggram", "taggram"]},
        {"statistic": "median"},
        {"level": "loud"},
        {"level": True},
        {"window_frames": 0},
        {"window_frames": 1e9},
        {"window_frames": True},
        {"kind": "pickle"},
        {"kind": "linear"},
        {"kind": ["svm"]},
        {"exclusive": "yes"},
        {"facts": []},
        {"projection": np.zeros((49, 50))},
        {"projection": np.zeros((50, 50), np.float32)},
        {"projection": np.full((50, 50), np.nan)},
        {"vectors": np.zeros(50)},
        {"vectors": np.zeros((3, 2))},
        {"weights": np.zeros((0, 3))},
        {"gamma": np.zeros(3)},
        {"gamma": np.array([-1.0])},
        {"bias": np.full(3, 1e300)},
        {"bias": None},
        {"more": np.zeros(3)},
        {"examples.rows": np.zeros((4, 50), np.float16)},
        examples(rows=np.zeros((4, 49), np.float16)),
        examples(rows=np.zeros((4, 50), np.float32)),
        examples(rows=np.full((4, 50), np.inf, np.float16)),
        examples(targets=np.full((4, 3), 2, np.uint8)),
        examples(groups=np.zeros(3, np.int32)),
        examples(groups=np.array(0, np.int32)),
        examples(more=np.zeros(3)),
        {"text": "[" * 100_000},
        {"text": "{}"},
        {"text": "null"},
        {"text": '{"name": NaN'},
    ],
)
def test_a_forged_head_is_refused_with_a_message(saved: Path, changes: dict[str, object]) -> None:
    with pytest.raises(HeadError, match=r"forged\.head"):
        load_head(forged(saved, **changes))


def test_words_and_emoji_that_need_joiners_are_names() -> None:
    check_names("\u0645\u0648\u0633\u06cc\u0642\u06cc\u200c\u0647\u0627", ("\U0001f469\u200d\U0001f3a4", "none"))
    for nothing in ("\u200c", "a\u200b", "a\nb"):
        with pytest.raises(HeadError, match="printable"):
            check_names("name", (nothing, "none"))


def test_a_head_that_could_not_be_read_is_not_written(tmp_path: Path) -> None:
    head = Head().fit(*blobs())
    for about in ({"features": ("max_pool",)}, {"features": ("taggram",), "labels": ("a b", "a b", "c")}):
        with pytest.raises(HeadError):
            head.save(tmp_path / "a.head", model="MSD_musicnn", **about)
    with pytest.raises(HeadError, match="cannot write"):
        head.save(tmp_path / "nowhere" / "a.head", model="MSD_musicnn", features=("taggram",))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(HeadError):
        write_head(tmp_path / "a.head", head.plain(name="", model="MSD_musicnn", features=("taggram",)))
