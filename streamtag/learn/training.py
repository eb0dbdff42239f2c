"""Learn a head: features of all files, the best of them by cross-validation, and how good that is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray
from rich.console import Console

from streamtag import __version__
from streamtag._slugs import slug, slugs
from streamtag._system.progress import progress
from streamtag._system.threads import apart
from streamtag.errors import OptionError
from streamtag.heads.file import check_names
from streamtag.heads.head import Array, PlainHead, Statistic
from streamtag.inference.base import feature_sizes
from streamtag.inference.networks.specs import ModelSpec
from streamtag.labelled.data import Labelled
from streamtag.learn.estimator import Classifier, Head, one_thread
from streamtag.learn.features import Extraction, FeatureCache, extract
from streamtag.learn.material import Material, check_files, material_of
from streamtag.learn.metrics import Figures, figures, right_share
from streamtag.learn.splits import folds as split

AUTO = "auto"
PATCH_ROWS = 4000
"""Patches learned from at the most, with `patches`: as many of each file, evenly spread."""
PATCHES_OF_A_FILE = 16


@dataclass(frozen=True, slots=True)
class Options:
    """How to learn.

    Attributes
    ----------
    name : str
        The head's name.
    features : str
        Names joined by `+`, or `auto`.
    statistic : {'mean', 'patches'}
        See `PlainHead` and `Head`.
    classifier : {'svm', 'linear-svm', 'logistic', 'knn', 'mlp'}
        See `PlainHead` and `Head`.
    pca : int or None
        See `PlainHead` and `Head`.
    C : float
        See `PlainHead` and `Head`.
    folds, seed : int
        See `PlainHead` and `Head`.
    """

    name: str
    features: str = AUTO
    statistic: Statistic = "mean"
    classifier: Classifier = "svm"
    pca: int | None = 128
    C: float = 1.0
    folds: int = 5
    seed: int = 0

    def head(self) -> Head:
        """A head that is yet to learn."""
        return Head(self.classifier, pca=self.pca, C=self.C, folds=self.folds, random_state=self.seed)


@dataclass(frozen=True, slots=True)
class Lesson:
    """What came of it.

    Attributes
    ----------
    head : PlainHead
        Ready to be written and played.
    figures : Figures or None
        Figures of files left out; None where none could be.
    candidates : dict of {str: float}
        Accuracy of each set of features that was tried in single windows, by its name.
    skipped : tuple of str
        Files that could not be read, or have nothing to learn from in them, and why.
    notes : tuple of str
        What a user should know.
    """

    head: PlainHead
    figures: Figures | None
    candidates: dict[str, float]
    skipped: tuple[str, ...]
    notes: tuple[str, ...]


def candidates(spec: ModelSpec, classifier: Classifier) -> list[tuple[str, ...]]:
    """Sets of features to choose from, first the one that wins unless another is clearly better.

    Pools say much of a whole file and little of 3 s: with an rbf kernel they never were the best live.
    """
    if spec.pool_size and classifier == "svm":
        return [("penultimate",), ("taggram",)]
    if spec.pool_size:
        return [("penultimate",), ("taggram",), ("mean_pool",), ("max_pool",), ("mean_pool", "max_pool")]
    if not (spec.labels and spec.embedding_size):  # a model of others, which has one of them
        return [("taggram",) if spec.labels else (spec.embedding,)]
    return [(spec.embedding,), ("taggram",), ("taggram", spec.embedding)]


def chosen_features(text: str, spec: ModelSpec, classifier: Classifier) -> list[tuple[str, ...]]:
    """`auto`, or names joined by `+`, to the sets to try.

    Raises
    ------
    OptionError
        A name that the model does not have.
    """
    if text == AUTO:
        return candidates(spec, classifier)
    names = tuple(part.strip() for part in text.split("+"))
    sizes = {name: size for name, size in feature_sizes(spec).items() if size}
    unknown = [name for name in names if name not in sizes]
    if unknown or len(set(names)) < len(names):
        raise OptionError(
            f"--features {text}: {spec.name} has {', '.join(sizes)}; several are joined by +, each once; "
            f"{AUTO} chooses by cross-validation"
        )
    return [names]


def learn(
    labelled: Labelled,
    extraction: Extraction,
    cache: FeatureCache,
    options: Options,
    *,
    jobs: int = 0,
    console: Console | None = None,
) -> Lesson:
    """Learn a head.

    Parameters
    ----------
    labelled : Labelled
        The clips and their classes.
    extraction : Extraction
        The model, and which patches of a clip it hears.
    cache : FeatureCache
        Where features are kept.
    options : Options
        How to learn.
    jobs : int
        Files heard at a time; 0: one for each processor.
    console : Console or None
        Where progress is shown.

    Returns
    -------
    Lesson
        What came of it.

    Raises
    ------
    OptionError
        Features that the model does not have.
    HeadError
        If nothing can be learned from what is there.
    ModelError
        If something is wrong with the model.
    """
    sets = chosen_features(options.features, extraction.spec, options.classifier)
    check_names(options.name, labelled.labels)
    check_files(labelled)
    heard = extract([clip.path for clip in labelled.clips], extraction, cache, jobs=jobs, console=console)
    material, skipped, notes = material_of(labelled, heard)
    notes += _addresses(labelled.labels)

    tried: dict[tuple[str, ...], Tested] = {}
    with progress(console, "testing", len(sets)) as steps, one_thread():
        for features in sets:
            tested = apart(partial(left_out_figures, material, labelled.labels, features, options))
            if tested is not None:
                tried[features] = tested
            steps.advance()
    if tried:
        best = _best(tried)
        known: Figures | None = tried[best].figures
    else:
        best, known = sets[0], None
        notes.append("no file could be left out: how good this is cannot be said; give each class more files")
    head = apart(partial(_head_of, material.patches(best), material, options))
    calibrated = bool(head.calibrated_)
    if not calibrated:
        notes.append("too few files to calibrate all probabilities: take them as a rough guess")
    facts = {
        "classifier": options.classifier,
        "calibrated": calibrated,
        "files": {label: int(count) for label, count in zip(labelled.labels, material.targets.sum(0), strict=True)},
        "hop_frames": extraction.hop_frames,
        "figures": None if known is None else known.as_json(),
        "versions": {"streamtag": __version__, "scikit-learn": sklearn.__version__, "numpy": np.__version__},
    }
    plain = head.plain(
        name=options.name,
        model=extraction.model,
        model_sha256=extraction.weights_sha256(),
        features=best,
        labels=labelled.labels,
        statistic=options.statistic,
        window_frames=extraction.window_frames,
        facts=facts,
        level=extraction.level,
    )
    accuracies = {"+".join(features): tested.figures.window_accuracy for features, tested in tried.items()}
    return Lesson(plain, known, accuracies, tuple(skipped), tuple(notes))


@dataclass(frozen=True, slots=True)
class Tested:
    """What one set of features is good for, on files left out.

    Attributes
    ----------
    figures : Figures
        Figures of all of them.
    right : ndarray of float64, shape (files,)
        Share of each file's windows that was right; NaN for those that could not be left out.
    """

    figures: Figures
    right: Array


def _best(tried: Mapping[tuple[str, ...], Tested]) -> tuple[str, ...]:
    """The first set, or the best of those that are clearly better in single windows, which is what live hears.

    Clearly: by more than the standard error of the difference, file by file. With a few files a class, the best figure
    is mostly the luckiest, and the choice would be by lot.
    """
    first, *others = tried
    best, most = first, 0.0
    for features in others:
        gain = tried[features].right - tried[first].right
        gain = gain[~np.isnan(gain)]
        mean, error = float(gain.mean()), float(gain.std() / len(gain) ** 0.5)
        if mean > max(error, most):
            best, most = features, mean
    return best


def left_out_figures(
    material: Material, labels: tuple[str, ...], features: tuple[str, ...], options: Options
) -> Tested | None:
    """Figures of files left out; None where none can be."""
    patches = material.patches(features)
    chances = np.full(material.targets.shape, np.nan)
    shares = np.full(len(material.files), np.nan)
    right: list[Array] = []
    for rows, left_out in split(material.targets, material.groups, options.folds, options.seed):
        part = Material(
            [material.files[i] for i in rows], material.targets[rows], material.groups[rows], material.exclusive
        )
        if not _learnable(part.targets):
            continue
        head = _head_of([patches[i] for i in rows], part, options)
        for i in left_out:
            by_window = head.predict_proba(patches[i])
            chances[i] = (
                head.predict_proba(patches[i].mean(axis=0, keepdims=True, dtype=np.float64))[0]
                if options.statistic == "mean"
                else by_window.mean(axis=0)
            )
            truth = np.broadcast_to(material.targets[i], by_window.shape)
            right.append(right_share(truth, by_window, material.exclusive))
            shares[i] = right[-1].mean()
    if not right:
        return None
    known = figures(labels, material.targets, chances, float(np.concatenate(right).mean()), material.exclusive)
    return Tested(known, shares)


def _learnable(targets: NDArray[np.bool_]) -> bool:
    return bool(targets.any(axis=0).all() and not targets.all(axis=0).any())


def _head_of(patches: Sequence[NDArray[np.float32]], material: Material, options: Options) -> Head:
    """A head that has learned from these files."""
    if options.statistic == "mean":
        rows, owner = np.stack([file.mean(axis=0, dtype=np.float64) for file in patches]), np.arange(len(patches))
    else:
        most = max(1, min(PATCHES_OF_A_FILE, PATCH_ROWS // len(patches)))
        picks = [np.unique(np.linspace(0, len(file) - 1, min(most, len(file))).round().astype(int)) for file in patches]
        rows = np.concatenate([file[pick] for file, pick in zip(patches, picks, strict=True)])
        owner = np.repeat(np.arange(len(patches)), [len(pick) for pick in picks])
    targets = material.targets[owner]
    y: Any = targets.argmax(axis=1) if material.exclusive else targets.astype(int)
    return options.head().fit(rows, y, groups=material.groups[owner])


def _addresses(labels: Sequence[str]) -> Iterator[str]:
    """What labels are called in OSC addresses, where that cannot be guessed."""
    made = slugs(labels)
    if strange := [label for label in labels if not label.isascii() or made[label] != slug(label)]:
        yield "in OSC addresses: " + ", ".join(f"{label} is {made[label]}" for label in strange)


def default_name(out: Path) -> str:
    """A head's name from its file's."""
    return out.name.removesuffix(".head") or out.stem
