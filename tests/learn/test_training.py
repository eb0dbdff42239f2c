"""What `learn` says of a head is what the head does, for every classifier on every kind of feature."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamtag.inference.base import feature_sizes
from streamtag.inference.networks.specs import SPECS
from streamtag.labelled.data import Clip, Labelled
from streamtag.learn import training
from streamtag.learn.estimator import CLASSIFIERS, Classifier
from streamtag.learn.features import Extraction, FeatureCache, FileFeatures, Sound
from streamtag.learn.training import Lesson, Options, candidates

SIZES = feature_sizes(SPECS["MSD_musicnn"])
LABELS = ("one", "other", "third")
SETS = ["taggram", "penultimate", "mean_pool", "max_pool", "mean_pool+max_pool"]
LIVELY = 40
"""Units of each feature that move; the others are constant, as 541 of the pools' 753 are on all music."""


def heard(seed: int, count: int, clear: dict[str, float]) -> tuple[list[FileFeatures], list[str]]:
    """Files of all classes, of 5 to 30 patches. `clear` says how far apart the classes are in each feature."""
    fixed, rng = np.random.default_rng(0), np.random.default_rng(seed)
    centres = {name: fixed.normal(size=(len(LABELS), LIVELY)) for name in SIZES}
    dead = {name: fixed.uniform(1e-6, 2e-6, size - LIVELY) for name, size in SIZES.items()}
    files, labels = [], []
    for number in range(count):
        kind, patches = number % len(LABELS), int(rng.integers(5, 31))
        features = {}
        for name in SIZES:
            lively = clear.get(name, 0.5) * centres[name][kind] + rng.normal(size=LIVELY)
            moved = lively + 0.7 * rng.normal(size=(patches, LIVELY))
            still = np.broadcast_to(dead[name], (patches, len(dead[name])))
            features[name] = np.concatenate([moved, still], axis=1).astype(np.float32)
        sound = Sound(f"{seed} {number}", np.empty((0, 16), np.float32), None, ())
        files.append(FileFeatures(Path(f"{number}.wav"), str(number), features, sound))
        labels.append(LABELS[kind])
    return files, labels


def learned(monkeypatch: pytest.MonkeyPatch, folder: Path, count: int, options: Options, **clear: float) -> Lesson:
    files, labels = heard(1, count, clear)
    for file in files:
        (folder / file.path).touch()
    clips = tuple(Clip(folder / file.path, (label,)) for file, label in zip(files, labels, strict=True))
    monkeypatch.setattr(training, "extract", lambda *_, **__: files)
    return training.learn(Labelled(clips, LABELS, True), Extraction(), FeatureCache(None), options)


@pytest.mark.slow
@pytest.mark.parametrize("classifier", CLASSIFIERS)
@pytest.mark.parametrize("features", SETS)
def test_what_is_printed_is_what_unseen_files_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, features: str, classifier: Classifier
) -> None:
    """A scaler that divides by the rounding of dead units prints 0.9 here, and is right by chance elsewhere."""
    options = Options("cues", features=features, classifier=classifier, folds=3)
    lesson = learned(monkeypatch, tmp_path, 60, options)
    assert lesson.figures is not None
    unseen, truth = heard(2, 150, {})
    rows = [lesson.head.joined(file.features) for file in unseen]
    said = [LABELS[int(lesson.head.of_file(row).argmax())] for row in rows]
    windows = [LABELS[i] for row in rows for i in lesson.head.decision.probabilities(row).argmax(axis=1)]
    true_windows = [label for row, label in zip(rows, truth, strict=True) for _ in row]
    # each fold learned from 40 files and was tried on 20, so that the figure is a modest one, and off by 0.06 by chance
    assert -0.15 < np.mean(np.array(said) == truth) - lesson.figures.accuracy < 0.25
    assert -0.15 < np.mean(np.array(windows) == true_windows) - lesson.figures.window_accuracy < 0.25
    assert lesson.figures.accuracy > 0.6


@pytest.mark.parametrize(("taggram", "chosen"), [(0.3, "penultimate"), (0.32, "penultimate"), (1.0, "taggram")])
def test_another_feature_is_chosen_only_where_it_is_clearly_better_live(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taggram: float, chosen: str
) -> None:
    lesson = learned(monkeypatch, tmp_path, 45, Options("cues"), taggram=taggram, penultimate=0.3)
    assert "+".join(lesson.head.features) == chosen
    assert set(lesson.candidates) == {"penultimate", "taggram"}
    assert lesson.figures is not None
    assert lesson.candidates[chosen] == lesson.figures.window_accuracy


def test_pools_are_no_choice_for_the_default_classifier() -> None:
    for model, spec in SPECS.items():
        for features in candidates(spec, "svm"):
            assert not any(name.endswith("_pool") for name in features), model
    assert ("max_pool",) in candidates(SPECS["MSD_musicnn"], "logistic")
