"""Libraries that are too large to be compared whole: an index, which finds nearly all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamtag.library import index
from streamtag.library.search import search
from streamtag.library.store import Store
from streamtag.library.vectors import Live, live, unit, vectors
from tests.support.libraries import tagged, write_music


def clustered(count: int, units: int, seed: int = 0) -> np.ndarray:
    """Unit vectors around fewer centres, as music lies around styles."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(200, units))
    return unit(centres[random.integers(200, size=count)] + random.normal(0, 0.7, (count, units)))


def test_nearly_all_are_found_and_scored_exactly(tmp_path: Path) -> None:
    store = Store(tagged_store(tmp_path))
    tracks, matrix = live(store), clustered(20_000, 64)
    found = []
    for number in range(0, 2000, 40):
        numbers, scores = index.nearest(store, tracks, "made up", matrix, matrix[number], 10)
        exact = np.argsort(-(matrix @ matrix[number]), kind="stable")[:10]
        assert numbers[0] == number
        assert (np.diff(scores) <= 0).all()
        np.testing.assert_allclose(scores, matrix[numbers] @ matrix[number], rtol=1e-6)
        found.append(np.isin(exact, numbers).mean())
    assert np.mean(found) > 0.95


def tagged_store(tmp_path: Path) -> Path:
    tagged(write_music(tmp_path / "music", 6), tmp_path / "store")
    return tmp_path / "store"


def test_a_search_uses_it_where_there_are_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tagged_store(tmp_path))
    query = str(tmp_path / "music" / "1.wav")
    exact = search(store, like=[query], top=3)
    assert not list((tmp_path / "store" / "search").rglob("*.faiss"))
    monkeypatch.setattr(index, "LEAST", 2)
    asked: list[int] = []

    def compared_whole(
        store: Store, tracks: Live, name: str, matrix: np.ndarray, wanted: np.ndarray, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        asked.append(count)
        return np.arange(len(matrix)), np.asarray(matrix @ wanted)

    monkeypatch.setattr("streamtag.library.search.nearest", compared_whole)
    assert search(store, like=[query], top=3) == exact
    assert asked == [4]  # and the file itself, which is left out
    for given in ({"exact": True}, {"where": "duration > 1"}):
        assert search(store, like=[query], top=3, **given) == exact
    assert asked == [4]
    assert vectors(store, live(store), "penultimate").shape == (6, 200)
