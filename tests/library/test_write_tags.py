"""Words in the files themselves: where players look, and nothing of the sound touched."""

from __future__ import annotations

import json
from pathlib import Path

import av
import mutagen
import numpy as np
import pytest

from streamtag.errors import AudioFileError
from streamtag.library.metadata import read_fields, sound_of, write_fields
from streamtag.library.store import Store
from streamtag.library.writing import Words
from tests.support.libraries import rows, tagged, write_kind
from tests.support.program import run_cli

KINDS = ("wav", "flac", "ogg", "aiff", "mp3", "m4a", "opus")


def decoded(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)])


@pytest.mark.parametrize("kind", KINDS)
def test_words_are_written_where_players_look(tmp_path: Path, kind: str) -> None:
    path = write_kind(tmp_path / f"song.{kind}", 1)
    sound, samples = sound_of(path), decoded(path)
    assert read_fields(path) == {"genre": [], "mood": []}
    path.chmod(0o640)
    write_fields(path, {"genre": ["rock", "Hip-Hop"], "mood": ["Mellow"]})
    assert read_fields(path) == {"genre": ["rock", "Hip-Hop"], "mood": ["Mellow"]}
    assert path.stat().st_mode & 0o777 == 0o640
    assert sound_of(path) == sound
    np.testing.assert_array_equal(decoded(path), samples)
    opened = mutagen.File(path)  # as players do
    if kind in ("mp3", "wav", "aiff"):
        assert opened.tags.version == (2, 4, 0)
        assert opened.tags["TCON"].text == ["rock", "Hip-Hop"]
        assert opened.tags["TMOO"].text == ["Mellow"]
    elif kind == "m4a":
        assert opened.tags["\xa9gen"] == ["rock", "Hip-Hop"]
        assert [bytes(value) for value in opened.tags["----:com.apple.iTunes:MOOD"]] == [b"Mellow"]
    else:
        assert opened.tags["genre"] == ["rock", "Hip-Hop"]
        assert opened.tags["mood"] == ["Mellow"]
    write_fields(path, {"genre": [], "mood": []})
    assert read_fields(path) == {"genre": [], "mood": []}
    assert sound_of(path) == sound
    assert [other.name for other in tmp_path.iterdir()] == [path.name]


def test_a_file_whose_sound_would_change_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_kind(tmp_path / "song.flac", 1)
    before = path.read_bytes()
    sums = iter(("one", "another"))
    monkeypatch.setattr("streamtag.library.metadata.sound_of", lambda _: next(sums))
    with pytest.raises(AudioFileError, match="would not be the same"):
        write_fields(path, {"genre": ["rock"]})
    assert path.read_bytes() == before
    (tmp_path / "a.txt").write_text("no sound")
    with pytest.raises(AudioFileError, match="has no place for genre and mood"):
        read_fields(tmp_path / "a.txt")


def test_which_words() -> None:
    scores = {"rock": 0.5, "Mellow": 0.4, "guitar": 0.9, "metal": 0.6, "pop": 0.35, "jazz": 0.2, "Hip-Hop": 0.31}
    nothing: dict = {"genre": [], "mood": []}
    there: dict = {"genre": ["Rock", "Mine"], "mood": []}
    assert Words().of(scores, nothing) == {"genre": ["metal", "rock", "pop"], "mood": ["Mellow"]}
    assert Words().of(scores, there) == {"mood": ["Mellow"]}
    assert Words(existing="add").of(scores, there) == {"genre": ["Rock", "Mine", "metal", "pop"], "mood": ["Mellow"]}
    assert Words(existing="replace", most=1).of(scores, there) == {"genre": ["metal"], "mood": ["Mellow"]}
    assert Words(genre=frozenset({"guitar"}), threshold=0.8).of(scores, nothing) == {"genre": ["guitar"]}
    assert Words().of(scores, {"genre": ["x"], "mood": ["y"]}) == {}


@pytest.mark.slow
def test_the_command_writes_and_takes_back(tmp_path: Path) -> None:
    music, out = tmp_path / "music", tmp_path / "store"
    music.mkdir()
    for number, kind in enumerate(KINDS):
        write_kind(music / f"{number}.{kind}", number)
    write_fields(music / "1.flac", {"genre": ["Mine"]})
    tagged(music, out)
    before, sounds = rows(out), {path: sound_of(path) for path in music.iterdir()}
    command = ("library", "write-tags", out, "--threshold", 0.01, "--most", 2)

    bytes_before = {path: path.read_bytes() for path in music.iterdir()}
    would = run_cli(*command)
    assert (would.status, would.message) == (0, "")
    assert would.stdout.splitlines()[-1] == "7 files would be written to: --write does it"
    assert {path: path.read_bytes() for path in music.iterdir()} == bytes_before

    done = run_cli(*command, "--write")
    assert done.stdout.splitlines()[:-1] == would.stdout.splitlines()[:-1]
    assert done.stdout.splitlines()[-1].startswith(f"7 files written to; --undo {out}")
    assert {path: sound_of(path) for path in music.iterdir()} == sounds
    assert read_fields(music / "1.flac")["genre"] == ["Mine"]
    assert len(read_fields(music / "4.mp3")["genre"]) == 2
    assert tagged(music, out)[1] == []  # known as they are now
    after = rows(out)
    assert {path: row["tags"] for path, row in after.items()} == {path: row["tags"] for path, row in before.items()}
    assert run_cli(*command).stdout.splitlines()[-1] == "0 files would be written to: --write does it"

    (undo,) = out.glob("undo-*.jsonl")
    assert len([json.loads(line) for line in undo.read_text().splitlines()]) == 7
    write_fields(music / "4.mp3", {"genre": ["changed", "since"]})
    back = run_cli("library", "write-tags", out, "--undo", undo)
    assert back.message == f"note: {music / '4.mp3'}: says something else by now: left as it is"
    assert back.stdout.splitlines()[-1] == "6 files written to"
    for path in music.iterdir():
        genre = {"1.flac": ["Mine"], "4.mp3": ["changed", "since"]}.get(path.name, [])
        assert read_fields(path)["genre"] == genre
        assert sound_of(path) == sounds[path]
    wrong = run_cli("library", "write-tags", out, "--undo", music / "0.wav")
    assert wrong.status == 1
    assert "is no list that streamtag wrote" in wrong.message
    assert Store(out).parts()
