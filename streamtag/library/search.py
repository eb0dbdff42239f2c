"""Which tracks of a library are like others, or what a person asks for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from streamtag.errors import AudioFileError, ModelError
from streamtag.inference.networks.catalogue import weights_sha256
from streamtag.library.hearing import Ear, Heard
from streamtag.library.index import is_installed, is_worth_it, nearest
from streamtag.library.places import fetch, is_address
from streamtag.library.rows import path_of, schema_of, text_of
from streamtag.library.store import Store
from streamtag.library.vectors import TAGGRAM, Array, Live, live, names_of, places_of, unit, vectors
from streamtag.library.where import Condition, condition

AT_ONCE = 1 << 15
"""Vectors that are compared at a time: some 25 MB."""


@dataclass(frozen=True, slots=True)
class Match:
    """A track that was found.

    Attributes
    ----------
    path : str
        Its file.
    score : float or None
        How like it is, as cosine from -1 to 1; without --like, the score that results are sorted by.
    duration : float
        Seconds.
    top_tags : tuple of str
        Its best tags.
    sha256 : str
        Checksum of the file's bytes.
    """

    path: str
    score: float | None
    duration: float
    top_tags: tuple[str, ...]
    sha256: str


def search(
    store: Store,
    *,
    like: Sequence[str] = (),
    where: str | None = None,
    by: str | None = None,
    top: int = 20,
    exact: bool = False,
) -> list[Match]:
    """Search a library.

    Parameters
    ----------
    store : Store
        The library.
    like : sequence of str
        Files, in the library or not: what is like them (like the mean of their unit vectors), they themselves and their
        copies left out.
    where : str or None
        A condition (see `condition`).
    by : str or None
        What tracks are compared by: the model's embedding, another feature that the library has, or ``taggram``.
    top : int
        How many, at the most; 0 for all.
    exact : bool
        Whether every track is compared, also where there are so many, and faiss, that an index is used.

    Returns
    -------
    list of Match
        Best first: the most alike; else by the first score in the condition; else by path.

    Raises
    ------
    OptionError
        A condition that is not to be understood, or something to compare by that is not there.
    AudioFileError
        A file to be like that cannot be heard.
    """
    asked = None if where is None else condition(where, schema_of(store.settings))
    tracks = live(store)
    chosen = np.ones(len(tracks.places), bool)
    scores: NDArray[np.float32] | None = None
    if asked is not None:
        chosen, scores = _asked(store, tracks, asked)
    numbers = np.flatnonzero(chosen)
    if like:
        name = by or names_of(store)[0]
        matrix = vectors(store, tracks, name)
        wanted, same = _wanted(store, tracks, matrix, like, name)
        if asked is None and top and not exact and is_worth_it(tracks) and is_installed():
            numbers, found_scores = nearest(store, tracks, name, matrix, wanted, top + len(same))
            scores = np.zeros(len(chosen), np.float32)
            scores[numbers] = found_scores
        else:
            scores = cosines(matrix, wanted)
        numbers = np.setdiff1d(numbers, same)
    if scores is not None:
        numbers = numbers[np.argsort(-scores[numbers], kind="stable")]
        numbers = numbers[: top or None]
    found = _rows(store, tracks, numbers, ("path", "duration", "top_tags", "sha256"))
    matches = [
        Match(
            path_of(values["path"]),
            None if scores is None else float(scores[number]),
            values["duration"],
            tuple(values["top_tags"]),
            values["sha256"],
        )
        for number, values in zip(numbers, found, strict=True)
    ]
    if scores is None:
        matches = sorted(matches, key=lambda match: match.path)[: top or None]
    return matches


def tracks_where(store: Store, where: str | None, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Columns of all tracks that a condition holds of, or of all, in the order in which they lie."""
    asked = None if where is None else condition(where, schema_of(store.settings))
    tracks = live(store)
    chosen = None if asked is None else _asked(store, tracks, asked)[0]
    for part, begin, rows in tracks:
        some = rows if chosen is None else rows[chosen[begin : begin + len(rows)]]
        yield from store.read(part, columns).take(some).to_pylist()


def cosines(matrix: Array, wanted: Array) -> Array:
    """Of every unit vector with one, without more of them in memory than a few at a time."""
    found = np.empty(len(matrix), np.float32)
    for begin in range(0, len(matrix), AT_ONCE):
        found[begin : begin + AT_ONCE] = matrix[begin : begin + AT_ONCE] @ wanted
    return found


def _asked(store: Store, tracks: Live, asked: Condition) -> tuple[NDArray[np.bool_], Array | None]:
    """Which tracks meet a condition; and the first score in it of each."""
    chosen = np.zeros(len(tracks.places), bool)
    scores = None if asked.score is None else np.zeros(len(chosen), np.float32)
    for part, begin, rows in tracks:
        table = store.read(part, asked.columns).take(rows)
        table = table.append_column("\0number", pa.array(np.arange(begin, begin + len(rows))))
        table = table.filter(asked.expression)
        numbers = table["\0number"].to_numpy()
        chosen[numbers] = True
        if scores is not None and asked.score is not None:
            column = table[asked.score[0]]
            for child in asked.score[1:]:
                column = pc.struct_field(column, child)
            scores[numbers] = column.to_numpy()
    return chosen, scores


def _wanted(
    store: Store, tracks: Live, matrix: Array, like: Sequence[str], name: str
) -> tuple[Array, NDArray[np.int64]]:
    """The vector that is wanted, and the tracks that are what was given."""
    given = {path if is_address(path) else text_of(os.path.abspath(path)): path for path in like}  # noqa: PTH100 - as kept
    found: list[Array] = []
    same: set[str] = set()
    own = places_of(store, tracks, "path", given)
    for number, values in zip(own, _rows(store, tracks, own, ("path", "sha256")), strict=True):
        found.append(matrix[number])
        same.add(values["sha256"])
        given.pop(values["path"], None)
    ear = _ear(store) if given else None
    for path in given.values():
        fetched = fetch(path)
        heard = ear.hear(fetched.path) if ear is not None else Heard()
        fetched.forget()
        if heard.error is not None:
            raise AudioFileError(path, heard.error)
        found.append(unit(heard.tags if name == TAGGRAM else heard.features[name]))
        same.add(fetched.sha256)
    return unit(np.mean(found, 0)), places_of(store, tracks, "sha256", same)


def _ear(store: Store) -> Ear:
    """What hears as the library's tracks were heard, for a file that is not in it."""
    settings = store.settings
    if weights_sha256(settings.model_file) != settings.model_sha256:
        said = "has other weights now than in this library: only files that are in it can be compared"
        raise ModelError(f"{settings.model} {said}")
    return Ear(replace(settings, heads=(), windows=False))


def _rows(store: Store, tracks: Live, numbers: NDArray[np.int64], columns: Sequence[str]) -> list[dict[str, Any]]:
    """Columns of some tracks, in the order in which they are asked for."""
    found: dict[int, dict[str, Any]] = {}
    order = np.sort(numbers)
    for part, begin, rows in tracks:
        some = order[np.searchsorted(order, begin) : np.searchsorted(order, begin + len(rows))]
        if len(some):
            values = store.read(part, columns).take(rows[some - begin]).to_pylist()
            found.update(zip(some.tolist(), values, strict=True))
    return [found[int(number)] for number in numbers]
