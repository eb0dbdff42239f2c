"""What is double in a library: files of one content, and recordings that are stored twice in different ways."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamtag.library.rows import path_of
from streamtag.library.store import Store
from streamtag.library.vectors import live, names_of, vectors

ALIKE = 0.98
"""Cosine of the embedding from which two tracks of one length are one recording (figures: docs/library.md)."""
LENGTH_SECONDS, LENGTH_SHARE = 0.5, 0.002
"""How much the length of a recording differs from encoder to encoder: their padding; a share, for clocks."""


@dataclass(frozen=True, slots=True)
class Copies:
    """Files that hold the same.

    Attributes
    ----------
    exact : bool
        Whether they do byte by byte; else they sound so.
    paths : tuple of str
        The files; of exact copies that sound like others, one.
    """

    exact: bool
    paths: tuple[str, ...]


def copies(store: Store, alike: float = ALIKE) -> list[Copies]:
    """Find what is double.

    Parameters
    ----------
    store : Store
        The library.
    alike : float
        Cosine from which two tracks of one length are taken for one recording.

    Returns
    -------
    list of Copies
        Exact ones first; by path.
    """
    tracks = live(store)
    paths: list[str] = []
    sums: list[str] = []
    lengths: list[float] = []
    for part, _, rows in tracks:
        table = store.read(part, ("path", "sha256", "duration")).take(rows)
        paths += map(path_of, table["path"].to_pylist())
        sums += table["sha256"].to_pylist()
        lengths += table["duration"].to_pylist()
    by_content: dict[str, list[int]] = {}
    for number, checksum in enumerate(sums):
        by_content.setdefault(checksum, []).append(number)
    found = [Copies(True, _sorted(paths, numbers)) for numbers in by_content.values() if len(numbers) > 1]
    firsts = np.array([numbers[0] for numbers in by_content.values()], np.int64)
    matrix = vectors(store, tracks, names_of(store)[0])[firsts]
    for group in _groups(np.array(lengths)[firsts], matrix, alike):
        found.append(Copies(False, _sorted(paths, firsts[group].tolist())))
    return sorted(found, key=lambda copies: (not copies.exact, copies.paths))


def _sorted(paths: list[str], numbers: list[int]) -> tuple[str, ...]:
    return tuple(sorted(paths[number] for number in numbers))


def _groups(lengths: NDArray[np.float64], matrix: NDArray[np.float32], alike: float) -> list[NDArray[np.int64]]:
    """Tracks that are alike, directly or through others: each is compared with those that are hardly longer."""
    order = np.argsort(lengths, kind="stable")
    lengths = lengths[order]
    matrix = matrix[order]
    ends = np.searchsorted(lengths, lengths * (1 + LENGTH_SHARE) + LENGTH_SECONDS, "right")
    leader = np.arange(len(order))

    def lead(number: int) -> int:
        while leader[number] != number:
            leader[number] = leader[leader[number]]
            number = int(leader[number])
        return number

    for number, end in enumerate(ends):
        others = slice(number + 1, end)
        if number + 1 < end:
            for other in np.flatnonzero(matrix[others] @ matrix[number] >= alike) + number + 1:
                leader[lead(int(other))] = lead(number)
    groups: dict[int, list[int]] = {}
    for number in range(len(order)):
        groups.setdefault(lead(number), []).append(int(order[number]))
    return [np.array(group) for group in groups.values() if len(group) > 1]
