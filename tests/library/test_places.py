"""Music and libraries in an object store, a real one."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamtag.errors import AudioFileError, DataError, OptionError
from streamtag.library import places
from streamtag.library.search import search
from streamtag.library.store import Store
from streamtag.library.tag import files_of, tag_library
from streamtag.library.tidy import prune, tidy
from tests.support.libraries import InThread, Quiet, rows, settings, tagged, write_music, write_sound
from tests.support.object_store import object_store


@pytest.fixture(scope="module")
def buckets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("buckets")
    (folder / "songs").mkdir()
    (folder / "libraries").mkdir()
    write_music(folder / "songs" / "music")
    with object_store(folder) as environment, pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        yield folder
        places._system.cache_clear()


def test_music_and_library_in_an_object_store(buckets: Path, tmp_path: Path) -> None:
    music = buckets / "songs" / "music"
    tagged(music, tmp_path / "local")
    here = rows(tmp_path / "local")

    def again() -> tuple[dict[str, int], int]:
        store = Store.begun("s3://libraries/mine", settings())
        ear = InThread(store.settings)
        outcome = tag_library(["s3://songs/music"], store, ear, Quiet(), jobs=1)
        tidy(store)
        return dict(outcome.counts), len(ear.heard)

    assert again() == ({"tagged": 5, "failed": 1}, 6)
    assert again() == ({"kept": 5, "known": 1}, 0)
    there = rows("s3://libraries/mine")
    assert there == {
        path.replace(str(music), "s3://songs/music"): row | {"path": path.replace(str(music), "s3://songs/music")}
        for path, row in here.items()
    }
    (music / "1.wav").rename(music / "moved.wav")
    time.sleep(0.3)  # for as long, the server remembers what is in a folder
    assert again() == ({"kept": 4, "moved": 1, "known": 1}, 0)
    assert rows("s3://libraries/mine")["s3://songs/music/1.wav"]["removed"] is not None
    (music / "moved.wav").unlink()
    time.sleep(0.3)
    assert prune(["s3://songs/music"], Store("s3://libraries/mine"), print) == 1

    write_sound(tmp_path / "like.wav", 3)
    matches = search(Store("s3://libraries/mine"), like=[str(tmp_path / "like.wav")], where="duration > 1")
    assert len(matches) == 3  # without the same content, what has moved and what is gone
    by_address = search(Store("s3://libraries/mine"), like=["s3://songs/music/3.wav"])
    assert [match.path for match in by_address] == [match.path for match in matches]
    assert not list(Path(places._spool()).iterdir())


def test_what_is_wrong_with_an_address_is_said(buckets: Path) -> None:
    for address, words in (
        ("s3://songs/nothing", "there is nothing"),
        ("s3://nowhere/music", "nothing|cannot be listed"),
        ("nosuch://songs/music", "no file system that can be used"),
        ("s3://key:secret@songs/music", "^s3://…: an address with keys or options in it"),
        ("s3://songs/music?region=x", "^s3://…: an address with keys or options in it"),
    ):
        with pytest.raises(OptionError, match=words) as caught:
            list(files_of([address]))
        assert "secret" not in str(caught.value)
    with pytest.raises(DataError, match="holds no library"):
        Store("s3://libraries/nothing")
    with pytest.raises(AudioFileError, match="cannot be read"):
        places.fetch("s3://songs/music/nothing.wav")
    assert places.exists("s3://songs/music/3.wav")
    assert not places.exists("s3://songs/music/nothing.wav")
    assert not places.is_address("/music/a://b")
    assert not places.is_address("C:\\music")
    assert os.environ["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1")
