"""A library is asked: more like this, what a condition holds of, what is double."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from streamtag.errors import AudioFileError, OptionError
from streamtag.library.copies import copies
from streamtag.library.search import Match, search
from streamtag.library.store import Store
from streamtag.library.vectors import live, names_of, unit, vectors
from tests.support.libraries import rows, settings, tagged, write_music, write_sound
from tests.support.program import run_cli

COUNT = 9


def scores_of(matches: list[Match]) -> np.ndarray:
    return np.array([match.score for match in matches], float)


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_music(tmp_path_factory.mktemp("music") / "music", COUNT)
    shutil.copy(folder / "1.wav", folder / "copy.wav")
    return folder


@pytest.fixture(scope="module")
def out(music: Path) -> Path:
    folder = music.parent / "store"
    tagged(music, folder, features=("mean_pool", "max_pool"))
    return folder


def test_more_like_this_is_exact(music: Path, out: Path) -> None:
    store, found = Store(out), rows(out)
    query = str(music / "3.wav")
    assert names_of(store) == ("penultimate", "mean_pool", "max_pool", "taggram")
    for name in names_of(store):
        values = {
            path: unit(list(row["tags"].values()) if name == "taggram" else row[name])
            for path, row in found.items()
            if row["error"] is None
        }
        expected = sorted(
            ((float(vector @ values[query]), path) for path, vector in values.items() if path != query), reverse=True
        )
        matches = search(store, like=[query], by=name, top=4)
        assert len(matches) == 4
        np.testing.assert_allclose(scores_of(matches), np.array([score for score, _ in expected[:4]]), rtol=1e-5)
        for match in matches:
            assert match.path != query
            assert match.duration == found[match.path]["duration"]
            assert list(match.top_tags) == found[match.path]["top_tags"]


def test_a_file_and_its_copies_are_not_like_themselves(music: Path, out: Path, tmp_path: Path) -> None:
    matches = search(Store(out), like=[str(music / "1.wav")], top=0)
    assert len(matches) == COUNT - 1
    assert not {str(music / "copy.wav"), str(music / "1.wav")} & {match.path for match in matches}
    shutil.copy(music / "1.wav", tmp_path / "elsewhere.wav")
    elsewhere = search(Store(out), like=[str(tmp_path / "elsewhere.wav")], top=0)
    assert [match.path for match in elsewhere] == [match.path for match in matches]
    np.testing.assert_allclose(scores_of(elsewhere), scores_of(matches), atol=1e-6)


def test_an_empty_library(tmp_path: Path, music: Path) -> None:
    store = Store.begun(tmp_path / "store", settings())
    assert search(store, where="duration > 1") == []
    assert search(store, like=[str(music / "1.wav")]) == []
    assert copies(store) == []


def test_like_something_new_and_like_several(music: Path, out: Path, tmp_path: Path) -> None:
    new = write_sound(tmp_path / "new.wav", 3, 4.0)  # as 3.wav, and longer
    best, *_ = search(Store(out), like=[str(new)])
    assert best.path == str(music / "3.wav")
    both = search(Store(out), like=[str(new), str(music / "1.wav")], top=1)
    assert len(both) == 1
    with pytest.raises(AudioFileError, match="no such file"):
        search(Store(out), like=["nowhere.mp3"])
    with pytest.raises(AudioFileError, match="no sound in it"):
        search(Store(out), like=[str(music / "broken.mp3")])


def test_conditions_and_both(music: Path, out: Path) -> None:
    store, found = Store(out), {path: row for path, row in rows(out).items() if row["error"] is None}
    scores = {path: row["tags"]["ambient"] for path, row in found.items()}
    middle = float(np.median(list(scores.values())))
    matches = search(store, where=f"ambient > {middle!r} and duration < 300", top=0)
    expected = sorted((path for path, score in scores.items() if score > middle), key=lambda path: -scores[path])
    assert sorted(match.path for match in matches) == sorted(expected)
    np.testing.assert_allclose(scores_of(matches), np.array([scores[path] for path in expected]))
    both = search(store, like=[str(music / "3.wav")], where=f"ambient > {middle!r}", top=0)
    assert {match.path for match in both} == set(expected) - {str(music / "3.wav")}
    assert [match.path for match in search(store, where="duration > 1", top=3)] == sorted(found)[:3]
    assert search(store, where="duration > 1000") == []
    with pytest.raises(OptionError, match="--by colour: this library has penultimate, mean_pool"):
        search(store, like=[str(music / "3.wav")], by="colour")


def test_vectors_are_kept_and_made_anew(tmp_path: Path) -> None:
    music, out = write_music(tmp_path / "music", 2), tmp_path / "store"
    tagged(music, out)
    assert len(search(Store(out), like=[str(music / "1.wav")])) == 1
    (kept,) = (out / "search").iterdir()
    before = {path: path.stat().st_mtime_ns for path in kept.iterdir()}
    assert len(search(Store(out), like=[str(music / "1.wav")])) == 1
    assert {path: path.stat().st_mtime_ns for path in kept.iterdir()} == before
    write_sound(music / "new.wav", 8)
    tagged(music, out)
    assert len(search(Store(out), like=[str(music / "1.wav")])) == 2
    assert len(list((out / "search").iterdir())) == 1
    store = Store(out)
    assert vectors(store, live(store), "penultimate").shape == (3, 200)


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="root may write anywhere")
def test_a_library_that_can_only_be_read(music: Path, out: Path, tmp_path: Path) -> None:
    other = tmp_path / "store"
    shutil.copytree(out, other, ignore=shutil.ignore_patterns("search"))
    other.chmod(0o555)
    try:
        assert search(Store(other), like=[str(music / "1.wav")])
    finally:
        other.chmod(0o755)


@pytest.mark.slow
def test_the_command(music: Path, out: Path) -> None:
    done = run_cli("library", "search", out, "--like", music / "3.wav", "--top", 2, "--format", "json")
    assert done.message == ""
    assert [set(line) for line in done.json] == [{"path", "score", "duration", "top_tags", "sha256"}] * 2
    table = run_cli("library", "search", out, "--like", music / "3.wav", "--top", 2).stdout.splitlines()
    assert [line.rpartition("  ")[2] for line in table] == [line["path"] for line in done.json]
    playlist = run_cli("library", "search", out, "--where", "duration > 1", "--format", "m3u").stdout.splitlines()
    assert playlist[:3] == ["#EXTM3U", "#EXTINF:4,1", str(music / "1.wav")]
    assert len(playlist) == 1 + 2 * (COUNT + 1)
    nothing = run_cli("library", "search", out, "--where", "duration > 1000")
    assert (nothing.status, nothing.stdout, nothing.message) == (0, "", "note: nothing found")
    for arguments in ((), ("--where", "ambiant > 1")):
        wrong = run_cli("library", "search", out, *arguments)
        assert wrong.status == 2
        assert wrong.stdout == ""
