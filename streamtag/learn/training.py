"""Learn a head: features of all files, the best of them by cross-validation, and how good that is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray
from rich.console import Console

from streamtag import __version__
from streamtag.errors import HeadError, OptionError
from streamtag.heads.file import check_names
from streamtag.heads.head import Array, PlainHead, Statistic
from streamtag.inference.base import feature_sizes
from streamtag.inference.networks.specs import ModelSpec
from streamtag.learn.data import Clip, Labelled
from streamtag.learn.estimator import Classifier, Head, one_thread
from streamtag.learn.features import Extraction, FeatureCache, FileFeatures, extract, progress
from streamtag.learn.metrics import Figures, figures, right_share
from streamtag.learn.splits import folds as split

AUTO = "auto"
PATCH_ROWS = 4000
"""Patches learned from at the most, with `patches`: as many of each file, evenly spread."""
PATCHES_OF_A_FILE = 16
FEW = 5


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
        Accuracy of each set of features that was tried, by its name.
    skipped : tuple of str
        Files that could not be read, and why.
    notes : tuple of str
        What a user should know.
    """

    head: PlainHead
    figures: Figures | None
    candidates: dict[str, float]
    skipped: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Material:
    """Files as numbers: features by file, `targets` (files, classes), `groups` (files,)."""

    files: Sequence[FileFeatures]
    targets: NDArray[np.bool_]
    groups: NDArray[np.intp]
    exclusive: bool

    def patches(self, features: tuple[str, ...]) -> list[NDArray[np.float32]]:
        """Joined features of each file: float32 (patches, units)."""
        return [np.concatenate([file.features[name] for name in features], axis=1) for file in self.files]


def candidates(spec: ModelSpec) -> list[tuple[str, ...]]:
    """Sets of features to choose from, the smaller first."""
    if spec.pool_size:
        return [("taggram",), ("penultimate",), ("mean_pool",), ("max_pool",), ("mean_pool", "max_pool")]
    return [("taggram",), (spec.embedding,), ("taggram", spec.embedding)]


def chosen_features(text: str, spec: ModelSpec) -> list[tuple[str, ...]]:
    """`auto`, or names joined by `+`, to the sets to try.

    Raises
    ------
    OptionError
        A name that the model does not have.
    """
    if text == AUTO:
        return candidates(spec)
    names = tuple(part.strip() for part in text.split("+"))
    sizes = feature_sizes(spec)
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
        Where progress is shown, if it is a terminal.

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
    sets = chosen_features(options.features, extraction.spec)
    check_names(options.name, labelled.labels)
    heard = extract([clip.path for clip in labelled.clips], extraction, cache, jobs=jobs, console=console)
    skipped = [str(result) for result in heard if not isinstance(result, FileFeatures)]
    pairs = [(clip, file) for clip, file in zip(labelled.clips, heard, strict=True) if isinstance(file, FileFeatures)]
    material, notes = _material(labelled, pairs)

    tried: dict[str, tuple[tuple[str, ...], Figures]] = {}
    with progress(console, "testing", len(sets)) as advance, one_thread():
        for features in sets:
            tested = left_out_figures(material, labelled.labels, features, options)
            if tested is not None:
                tried["+".join(features)] = features, tested
            advance()
    if tried:
        # more files right, then the better probabilities, then the smaller
        best, known = max(tried.values(), key=lambda item: (round(_merit(item[1]), 6), -item[1].log_loss))
    else:
        best, known = sets[0], None
        notes.append("no file could be left out: how good this is cannot be said; give each class more files")
    head = _head_of(material.patches(best), material, options)
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
        "options": {"pca": options.pca, "C": options.C, "folds": options.folds, "seed": options.seed},
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
    )
    accuracies = {name: _merit(item) for name, (_, item) in tried.items()}
    return Lesson(plain, known, accuracies, tuple(skipped), tuple(notes))


def left_out_figures(
    material: Material, labels: tuple[str, ...], features: tuple[str, ...], options: Options
) -> Figures | None:
    """Figures of files left out; None where none can be."""
    patches = material.patches(features)
    chances = np.full(material.targets.shape, np.nan)
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
                head.predict_proba(patches[i].mean(axis=0, keepdims=True))[0]
                if options.statistic == "mean"
                else by_window.mean(axis=0)
            )
            truth = np.broadcast_to(material.targets[i], by_window.shape)
            right.append(right_share(truth, by_window, material.exclusive))
    if not right:
        return None
    return figures(labels, material.targets, chances, float(np.concatenate(right).mean()), material.exclusive)


def _merit(known: Figures) -> float:
    return known.accuracy if known.confusion is not None else known.macro_precision


def _learnable(targets: NDArray[np.bool_]) -> bool:
    return bool(targets.any(axis=0).all() and not targets.all(axis=0).any())


def _head_of(patches: Sequence[NDArray[np.float32]], material: Material, options: Options) -> Head:
    """A head that has learned from these files."""
    if options.statistic == "mean":
        rows, owner = np.stack([file.mean(axis=0) for file in patches]), np.arange(len(patches))
    else:
        most = max(1, min(PATCHES_OF_A_FILE, PATCH_ROWS // len(patches)))
        picks = [np.unique(np.linspace(0, len(file) - 1, min(most, len(file))).round().astype(int)) for file in patches]
        rows = np.concatenate([file[pick] for file, pick in zip(patches, picks, strict=True)])
        owner = np.repeat(np.arange(len(patches)), [len(pick) for pick in picks])
    targets = material.targets[owner]
    y: Any = targets.argmax(axis=1) if material.exclusive else targets.astype(int)
    return options.head().fit(rows, y, groups=material.groups[owner])


def _material(labelled: Labelled, pairs: Sequence[tuple[Clip, FileFeatures]]) -> tuple[Material, list[str]]:
    """Numbers of what could be read, and what a user should know of it.

    Raises
    ------
    HeadError
        If less than two classes are left, or a class is true of every file.
    """
    clips, files = [clip for clip, _ in pairs], [file for _, file in pairs]
    targets = np.array([[label in clip.labels for label in labelled.labels] for clip in clips], bool)
    targets = targets.reshape(len(clips), len(labelled.labels))
    empty = [label for label, column in zip(labelled.labels, targets.T, strict=True) if not column.any()]
    if empty:
        raise HeadError(
            f"no file that can be read for {', '.join(empty)}: give it some (10 are a start), or leave the class out"
        )
    full = [label for label, column in zip(labelled.labels, targets.T, strict=True) if column.all()]
    if full:
        raise HeadError(f"{', '.join(full)} is on every file: add files without it, labelled none")
    groups = _groups(clips, files)
    notes = []
    lonely = ~np.array([np.unique(groups[column]).size >= 2 for column in targets.T], bool)
    for k in np.flatnonzero(lonely):
        what = "one file only" if targets[:, k].sum() == 1 else "files of one group only"
        notes.append(f"{labelled.labels[k]}: {what}, so it is learned but cannot be tested; give it another")
    few = [label for label, n in zip(labelled.labels, targets.sum(axis=0), strict=True) if 1 < n < FEW]
    if few:
        notes.append(f"few files ({', '.join(few)}: less than {FEW}): the figures are rough")
    notes += _same_content(clips, files)
    return Material(files, targets, groups, labelled.exclusive), notes


def _groups(clips: Sequence[Clip], files: Sequence[FileFeatures]) -> NDArray[np.intp]:
    """A number for each group; files of the same content are in one group, whatever they are called."""
    by_content: dict[str, str] = {}
    names = []
    for clip, file in zip(clips, files, strict=True):
        name = f"group {clip.group}" if clip.group else f"file {file.sha256}"
        names.append(by_content.setdefault(file.sha256, name))
    numbers: NDArray[np.intp] = np.unique(names, return_inverse=True)[1]
    return numbers


def _same_content(clips: Sequence[Clip], files: Sequence[FileFeatures]) -> list[str]:
    same: dict[str, list[Clip]] = defaultdict(list)
    for clip, file in zip(clips, files, strict=True):
        same[file.sha256].append(clip)
    return [
        f"the same sound with different labels: {', '.join(str(clip.path) for clip in twins)}"
        for twins in same.values()
        if len({clip.labels for clip in twins}) > 1
    ]


def default_name(out: Path) -> str:
    """A head's name from its file's."""
    return out.name.removesuffix(".head") or out.stem
