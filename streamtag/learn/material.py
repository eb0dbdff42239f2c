"""Labelled files as numbers, and what a user should know of them: what is left out, what is there twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamtag.decoding.regular import unopenable
from streamtag.errors import HeadError, StreamtagError
from streamtag.labelled.data import Clip, Labelled
from streamtag.learn.features import FileFeatures, copies_among

FEW = 5
MOST_NAMED = 10
"""Sets of copies named in the notes; more are counted."""


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


def check_files(labelled: Labelled) -> None:
    """Refuse, before any long work, classes none of whose files is there.

    Raises
    ------
    HeadError
        With an example, and where it was looked for.
    """
    there: set[str] = set()
    for clip in labelled.clips:
        if not there.issuperset(clip.labels) and unopenable(clip.path) is None:
            there.update(clip.labels)
    absent = [label for label in labelled.labels if label not in there]
    for label in absent:
        clips = [clip for clip in labelled.clips if label in clip.labels]
        raise HeadError(
            f"none of the {len(clips)} files of {', '.join(absent)} can be read; {clips[0].path}: "
            f"{unopenable(clips[0].path)} (paths in a table are taken from the table's folder)"
        )


def material_of(
    labelled: Labelled, heard: Sequence[FileFeatures | StreamtagError]
) -> tuple[Material, list[str], list[str]]:
    """Numbers of what could be read, and what a user should know of it.

    Parameters
    ----------
    labelled : Labelled
        The clips.
    heard : sequence of FileFeatures or StreamtagError
        What came of each.

    Returns
    -------
    material : Material
        Of the files in which there is something to learn from.
    skipped : list of str
        The other files, each with its reason.
    notes : list of str
        What else is to be told.

    Raises
    ------
    HeadError
        If less than two classes are left, or a class is true of every file.
    """
    pairs: list[tuple[Clip, FileFeatures]] = []
    skipped: dict[Clip, str] = {}
    for clip, result in zip(labelled.clips, heard, strict=True):
        if not isinstance(result, FileFeatures):
            skipped[clip] = str(result)
        elif result.sound.nothing is not None:
            skipped[clip] = f"{clip.path}: nothing to learn from: {result.sound.nothing}"
        else:
            pairs.append((clip, result))
    clips, files = [clip for clip, _ in pairs], [file for _, file in pairs]
    targets = np.array([[label in clip.labels for label in labelled.labels] for clip in clips], bool)
    targets = targets.reshape(len(clips), len(labelled.labels))
    empty = [label for label, column in zip(labelled.labels, targets.T, strict=True) if not column.any()]
    if empty:
        reason = next((why for clip, why in skipped.items() if empty[0] in clip.labels), "none was given")
        raise HeadError(
            f"no file to learn {', '.join(empty)} from ({reason}): give it some (10 are a start), "
            "or leave the class out"
        )
    full = [label for label, column in zip(labelled.labels, targets.T, strict=True) if column.all()]
    if full:
        raise HeadError(f"{', '.join(full)} is on every file: add files without it, labelled none")
    copies = list(copies_among(files))
    groups = _joined(len(clips), [*_of_groups(clips), *copies])
    notes = [
        *labelled.notes,
        *_of_classes(labelled.labels, targets, groups),
        *_told(clips, _joined(len(clips), copies)),
        *_doubts(files),
    ]
    return Material(files, targets, groups, labelled.exclusive), list(skipped.values()), notes


def _of_classes(labels: Sequence[str], targets: NDArray[np.bool_], groups: NDArray[np.intp]) -> Iterator[str]:
    for label, column in zip(labels, targets.T, strict=True):
        if np.unique(groups[column]).size < 2:
            what = "one file only" if column.sum() == 1 else "files of one group only, or copies of one sound"
            yield f"{label}: {what}, so it is learned but cannot be tested; give it another"
    few = [label for label, n in zip(labels, targets.sum(axis=0), strict=True) if 1 < n < FEW]
    if few:
        yield f"few files ({', '.join(few)}: less than {FEW}): the figures are rough"


def _of_groups(clips: Sequence[Clip]) -> Iterator[tuple[int, int]]:
    """Pairs of clips that share the name of a group."""
    first: dict[str, int] = {}
    return ((first.setdefault(clip.group, index), index) for index, clip in enumerate(clips) if clip.group)


def _joined(count: int, pairs: Iterable[tuple[int, int]]) -> NDArray[np.intp]:
    """A number for each of so many: the same for those that pairs join, also by way of others."""
    parents = list(range(count))

    def top(index: int) -> int:
        while parents[index] != index:
            index = parents[index] = parents[parents[index]]
        return index

    for one, other in pairs:
        parents[top(other)] = top(one)
    numbers: NDArray[np.intp] = np.unique([top(index) for index in range(count)], return_inverse=True)[1]
    return numbers


def _told(clips: Sequence[Clip], sounds: NDArray[np.intp]) -> Iterator[str]:
    """What is to be told of clips with the same sound."""
    same: dict[int, list[Clip]] = defaultdict(list)
    for clip, sound in zip(clips, sounds.tolist(), strict=True):
        same[sound].append(clip)
    copies = [twins for twins in same.values() if len(twins) > 1]
    for twins in copies:
        if len({clip.labels for clip in twins}) > 1:
            yield f"the same sound with different labels: {_named(twins)}"
    if alike := [twins for twins in copies if len({clip.labels for clip in twins}) == 1]:
        extra = sum(len(twins) - 1 for twins in alike)
        yield (
            f"{extra} of the {len(clips)} files {'is a copy' if extra == 1 else 'are copies'} of others (the same "
            "sound in another file): a sound is never learned from and tested on at once"
        )
        for twins in alike[:MOST_NAMED]:
            yield f"the same sound: {_named(twins)}"
        if len(alike) > MOST_NAMED:
            yield f"the same sound: {len(alike) - MOST_NAMED} sets of files more"


def _doubts(files: Sequence[FileFeatures]) -> Iterator[str]:
    doubtful = [file for file in files if file.sound.notes]
    if doubtful:
        yield f"{len(doubtful)} of the {len(files)} files were learned from, but are not as they should be:"
    for file in doubtful:
        yield f"{file.path}: {'; '.join(file.sound.notes)}"


def _named(clips: Sequence[Clip]) -> str:
    return ", ".join(str(clip.path) for clip in clips)
