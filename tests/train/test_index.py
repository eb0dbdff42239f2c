"""Which tracks there are: musicnn-training's index, tables, folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamtag.errors import DataError, OptionError
from streamtag.train.index import Track, read_index


@pytest.mark.parametrize(
    "text",
    [
        "2\tf/a b, c.mp3\n6\t9/d.mp3\n",  # musicnn-training's
        "clip_id\tmp3_path\n2\tf/a b, c.mp3\n6\t9/d.mp3\n",
        "TRACK_ID\tPATH\tTAGS\n2\tf/a b, c.mp3\trock\tpop\n6\t9/d.mp3\tpop\n",
        'id,path\n2,"f/a b, c.mp3"\n6,9/d.mp3\n',
    ],
)
def test_ids_and_paths(tmp_path: Path, text: str) -> None:
    (tmp_path / "music").mkdir()
    (tmp_path / "index.tsv").write_text(text)
    tracks = (Track("2", tmp_path / "music/f/a b, c.mp3"), Track("6", tmp_path / "music/9/d.mp3"))
    assert read_index(tmp_path / "index.tsv", tmp_path / "music").tracks == tracks


@pytest.mark.parametrize("text", ["path,label\nx/a.wav,drop\nb.wav,none\nb.wav,calm\n", "x/a.wav,drop\nb.wav,none\n"])
def test_a_path_is_the_id_where_there_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    tracks = (Track("x/a.wav", tmp_path / "x/a.wav"), Track("b.wav", tmp_path / "b.wav"))
    assert read_index(tmp_path / "t.csv").tracks == tracks


def test_a_folder_of_classes(tmp_path: Path) -> None:
    for name in ("drums/a.wav", "bass/b.wav"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    assert [track.id for track in read_index(tmp_path).tracks] == ["bass/b.wav", "drums/a.wav"]
    with pytest.raises(OptionError, match="--audio is for tables"):
        read_index(tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2\ta.mp3\n6\n", "line 2 has no path"),
        ("2\ta.mp3\n6\tb.mp3\tc.mp3\n", "line 2 has 3 cells, and id and path are 2"),
        ("2\ta.mp3\n\tb.mp3\n", "line 2 has no id"),
        ("2\ta.mp3\n2\tb.mp3\n", "line 2 calls 'b.mp3' 2, as line 1 calls 'a.mp3'"),
        ("song\tlength\n2\t3\n", "call the columns id and path"),
        ("", "no tracks in it"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "index.tsv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_index(tmp_path / "index.tsv")
    with pytest.raises(DataError, match="no such file; expected an index"):
        read_index(tmp_path / "nowhere.tsv")
    with pytest.raises(OptionError, match="no such folder"):
        read_index(tmp_path / "index.tsv", tmp_path / "nowhere")
