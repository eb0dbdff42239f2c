"""A head that learns again: what was corrected is heard so, what was not is heard as before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamtag.decoding.decode import open_audio
from streamtag.errors import HeadError
from streamtag.heads.examples import MOST_CORRECTED, ROWS_BYTES, TrainingSet
from streamtag.heads.file import load_head, write_head
from streamtag.heads.head import PlainHead
from streamtag.learn import corrections
from streamtag.learn.corrections import relearned
from streamtag.learn.estimator import CLASSIFIERS, Classifier, Head
from streamtag.tagging.tagger import Tagger
from tests.support.program import run_cli

WIDTH = 50
"""Of MSD_musicnn's `taggram`."""


def cloud(rng: np.random.Generator, kind: int, rows: int) -> np.ndarray:
    """Points around the centre of their kind."""
    return np.asarray(rng.normal(np.eye(4, WIDTH)[kind] * 6, 1, (rows, WIDTH)))


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_what_was_corrected_is_heard_so_and_all_else_as_before(classifier: Classifier, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = np.concatenate([cloud(rng, kind, 40) for kind in range(3)]), np.repeat(["a", "b", "c"], 40)
    path = Head(classifier).fit(x, y).save(tmp_path / "a.head", model="MSD_musicnn", features=("taggram",))
    head = load_head(path)
    assert head.examples is not None
    strange = cloud(rng, 3, 1) + rng.normal(0, 0.1, (7, WIDTH))  # like nothing that was learned
    label = int(head.decision.probabilities(strange)[0].argmin())
    targets = np.tile(np.arange(3) == label, (7, 1))
    write_head(path, replace(head, examples=head.examples.corrected(strange, targets)))
    again = relearned(path)
    assert (again.decision.probabilities(strange).argmax(axis=1) == label).all()
    assert again.facts["corrections"]["windows"] == again.facts["corrections"]["heard"] == 7
    unseen = np.concatenate([cloud(rng, kind, 40) for kind in range(3)])
    truth = np.repeat(np.arange(3), 40)
    before, after = ((one.decision.probabilities(unseen).argmax(axis=1) == truth).mean() for one in (head, again))
    assert after >= before - 0.02
    assert replace(again, decision=head.decision, facts={}, examples=None) == replace(head, facts={}, examples=None)


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_without_a_correction_the_same_is_learned(classifier: Classifier, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    x, y = np.concatenate([cloud(rng, kind, 10) for kind in range(2)]), np.repeat(["a", "b"], 10)
    x = x.astype(np.float16).astype(float)  # as they are kept
    options: dict[str, Any] = {"pca": 5, "C": 0.5, "folds": 3, "random_state": 4}
    head = Head(classifier, **options).fit(x, y, groups=np.arange(20) // 2)
    path = head.save(tmp_path / "a.head", model="MSD_musicnn", features=("taggram",))
    loaded = Head.load(path)
    assert loaded.get_params() == {"classifier": classifier, **options}
    assert loaded.examples_ is not None
    assert loaded.relearn(loaded.examples_).decision_ == head.decision_


def test_several_labels_a_row_stay_each_for_itself(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(80, WIDTH))
    truth = (x[:, :2] > 0).astype(int)
    path = (
        Head()
        .fit(x, truth)
        .save(tmp_path / "a.head", model="MSD_musicnn", features=("taggram",), labels=("loud", "fast"))
    )
    head = load_head(path)
    assert head.examples is not None
    rows = rng.normal(0, 0.01, (5, WIDTH)) - 1
    both = np.ones((5, 2), bool)
    write_head(path, replace(head, examples=head.examples.corrected(rows, both)))
    assert (relearned(path).decision.probabilities(rows) >= 0.5).all()


def test_a_head_without_examples_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(3)
    head = Head().fit(rng.normal(size=(6, WIDTH)), [0, 1] * 3)
    plain = head.plain(name="a", model="MSD_musicnn", features=("taggram",))
    path = write_head(tmp_path / "a.head", replace(plain, examples=None))
    with pytest.raises(HeadError, match=r"a\.head: a head without examples: learn it again"):
        relearned(path)
    assert corrections.main([str(path), str(tmp_path / "b.head")]) == 1
    assert "without examples" in capsys.readouterr().err
    assert not (tmp_path / "b.head").exists()


# --- what is kept -------------------------------------------------------------------------------------------------


def test_too_many_rows_are_thinned_out_and_no_class_is_lost() -> None:
    rows = np.random.default_rng(4).normal(size=(5000, 200))
    targets = np.zeros((5000, 3), bool)
    targets[:4998, 0], targets[4998, 1], targets[4999, 2] = True, True, True
    kept = TrainingSet.of(rows, targets, np.arange(5000))
    assert kept.rows.nbytes <= ROWS_BYTES + 3 * 400
    assert kept.targets.any(axis=0).all()
    np.testing.assert_array_equal(kept.rows, rows[kept.groups].astype(np.float16))


def test_the_newest_word_on_a_window_holds_and_the_oldest_corrections_go() -> None:
    rng = np.random.default_rng(5)
    kept = TrainingSet.of(rng.normal(size=(4, 8)), np.eye(4, 2, dtype=bool), np.arange(4))
    windows, one, other = rng.normal(size=(6, 8)), np.tile([True, False], (6, 1)), np.tile([False, True], (6, 1))
    kept = kept.corrected(windows, one).corrected(windows[2:], other[2:])
    assert kept.groups.tolist() == [0, 1, 2, 3, -1, -1, -2, -2, -2, -2]
    assert kept.targets[kept.are_corrections, 0].tolist() == [True] * 2 + [False] * 4
    for _ in range(MOST_CORRECTED // 40 + 2):
        kept = kept.corrected(rng.normal(size=(40, 8)), np.tile([True, False], (40, 1)))
    assert kept.are_corrections.sum() == MOST_CORRECTED
    assert kept.groups[:4].tolist() == [0, 1, 2, 3]
    assert kept.groups[-1] == kept.groups.min()


# --- with music ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_live_heard_of_a_track_is_learned_and_other_tracks_stay_right(
    clips: Path, music: Path, tmp_path: Path
) -> None:
    """Music like none of the clips, told to be what the head takes it least for; and all clips left out."""
    for label in ("drop", "breakdown", "none"):
        (tmp_path / "clips" / label).mkdir(parents=True)
        for number in range(4):
            (tmp_path / "clips" / label / f"{number}.flac").symlink_to(clips / label / f"{number}.flac")
    done = run_cli("learn", tmp_path / "clips", "--out", tmp_path / "a.head")
    assert done.status == 0, done.stderr
    head = load_head(tmp_path / "a.head")
    windows = heard(music, head)
    rows = windows[20:27]
    wanted = int(head.decision.probabilities(rows).max(axis=0).argmin())
    assert head.examples is not None
    targets = np.tile(np.arange(len(head.labels)) == wanted, (len(rows), 1))
    write_head(tmp_path / "b.head", replace(head, examples=head.examples.corrected(rows, targets)))
    again = relearned(tmp_path / "b.head")
    assert not (head.decision.probabilities(rows).argmax(axis=1) == wanted).any()
    assert (again.decision.probabilities(rows).argmax(axis=1) == wanted).all()
    shares = [(one.decision.probabilities(windows[28:]).argmax(axis=1) == wanted).mean() for one in (head, again)]
    assert shares[1] > shares[0], "the rest of the music is heard so more often, too"
    right = []
    for one in (head, again):
        unseen = [(clips / label / f"{number}.flac", label) for label in head.labels for number in range(4, 8)]
        right.append([one.labels[said(one, path)] == label for path, label in unseen])
    assert np.mean(right[1]) >= np.mean(right[0]) - 0.02


def said(head: PlainHead, path: Path) -> int:
    return int(head.of_file(heard(path, head)).argmax())


def heard(path: Path, head: PlainHead) -> np.ndarray:
    """Features of a file's windows as live hears them."""
    with open_audio(path) as reader:
        samples, rate = np.concatenate(list(reader.blocks())), reader.samplerate
    return np.stack([frame.heads[0].features for frame in Tagger(hop=0.25, heads=[head]).push(samples, rate)])
