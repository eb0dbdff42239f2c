"""Tables of paths and labels in whatever form people have them: read, or refused by line."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from streamtag.errors import DataError
from streamtag.labelled.data import Clip, read_labelled
from streamtag.labelled.tables import read_table, read_text

JAMENDO = (
    "TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS\n"
    "track_0000214\tartist_000014\talbum_000031\t14/214.mp3\t124.6\tgenre---punkrock\tmood/theme---happy\n"
    "track_0000215\tartist_000014\talbum_000031\t15/215.mp3\t151.9\tgenre---metal\n"
    "track_0000382\tartist_000020\talbum_000046\t82/382.mp3\t211.1\tgenre---metal\tinstrument---bass\tmood/theme---sad\n"
)


def clips_of(path: Path, data: str | bytes) -> tuple[Clip, ...]:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return read_labelled(path).clips


def test_jamendos_table_keeps_every_tag_and_the_artist(tmp_path: Path) -> None:
    clips = clips_of(tmp_path / "autotagging.tsv", JAMENDO)
    assert [clip.labels for clip in clips] == [
        ("genre---punkrock", "mood/theme---happy"),
        ("genre---metal",),
        ("genre---metal", "instrument---bass", "mood/theme---sad"),
    ]
    assert clips[0].path == tmp_path / "14/214.mp3"
    assert [clip.group for clip in clips] == ["artist_000014", "artist_000014", "artist_000020"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    "text",
    [
        "path;label;group|x/á b.wav;dröp;A|b.wav;none;",
        "x/á b.wav;dröp;A|b.wav;none",
        "sep=;|Path;Label;Group|x/á b.wav;dröp;A|b.wav;none;",
        'path,label,artist|"x/á b.wav","dröp",A|b.wav,"none"',
        "group\tlabel\tfilename|A\tdröp\tx/á b.wav|\tnone\tb.wav",
        "| x/á b.wav , dröp , A ||b.wav,none,",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_separators_encodings_and_ends_of_lines(tmp_path: Path, text: str, end: str, encoding: str) -> None:
    first, second = clips_of(tmp_path / "t.csv", text.replace("|", end).encode(encoding))
    assert (first.path, first.labels, first.group) == (tmp_path / "x/á b.wav", ("dröp",), "A")
    assert (second.path, second.labels, second.group) == (tmp_path / "b.wav", ("none",), None)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        # MagnaTagATune's own
        (
            '"clip_id"\t"no voice"\t"singer"\t"mp3_path"\n"2"\t"0"\t"1"\t"f/a.mp3"\n"6"\t"1"\t"0"\t"f/b.mp3"\n',
            [("singer",), ("no voice",)],
        ),
        (",filename,singer,loud\n0,a.wav,True,true\n1,b.wav,False,True\n", [("singer", "loud"), ("loud",)]),
        ("path;singer;loud\na.wav;1.0;0.0\nb.wav;0.0;0.0\n", [("singer",), ()]),
        ("path,labels\na.wav,['x', 'y']\nb.wav,['y']\n", [("x", "y"), ("y",)]),
        ("path,labels\na.wav,['x' \"y\"]\nb.wav,['y']\n", [("x", "y"), ("y",)]),
    ],
)
def test_columns_of_0_and_1_and_lists_as_others_write_them(
    tmp_path: Path, text: str, labels: list[tuple[str, ...]]
) -> None:
    assert [clip.labels for clip in clips_of(tmp_path / "t.csv", text)] == labels


def test_labels_that_look_the_same_are_the_same(tmp_path: Path) -> None:
    same = ("caf\u00e9 noir", "cafe\u0301 noir", "caf\u00e9\u00a0noir", "\u200fcaf\u00e9 \n noir\ufeff")
    rows = "".join(f'{number}.wav,"{label}"\n' for number, label in enumerate(same))
    (tmp_path / "t.csv").write_text(f"path,label\n{rows}z.wav,none\n", encoding="utf-8")
    assert read_labelled(tmp_path / "t.csv").labels == ("caf\u00e9 noir", "none")


def test_a_file_with_another_label_on_another_line_is_told(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("path,label\na.wav,drop\na.wav,drop\nb.wav,none\na.wav,calm\n")
    (note,) = read_labelled(table).notes
    assert "line 5" in note
    assert "a.wav" in note
    table.write_text("path,label\na.wav,drop\na.wav,drop\nb.wav,none\n")
    assert read_labelled(table).notes == ()


def test_what_is_guessed_of_an_encoding_is_told(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_bytes("path,label\na.wav,drop\nb.wav,café\n".encode("cp1252"))
    (note,) = read_labelled(table).notes
    assert "Windows-1252" in note
    assert "line 3" in note
    assert "café" in note
    assert read_text(table)[1] == note


def test_paths_that_windows_wrote(tmp_path: Path) -> None:
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop" / "a.wav").touch()
    first, _ = clips_of(tmp_path / "t.csv", "path,label\ndrop\\a.wav,drop\nnone\\b.wav,none\n")
    assert first.path == tmp_path / "drop" / "a.wav"


@pytest.mark.skipif(os.name == "nt", reason="no such names there")
def test_a_backslash_in_a_name_is_a_letter(tmp_path: Path) -> None:
    (tmp_path / "a\\b.wav").touch()
    first, _ = clips_of(tmp_path / "t.csv", "path,label\na\\b.wav,drop\nc.wav,none\n")
    assert first.path == tmp_path / "a\\b.wav"


def test_quotes_between_tabs_are_letters(tmp_path: Path) -> None:
    first, second = clips_of(tmp_path / "t.tsv", 'path\tlabel\n"Heroes" live.wav\tdrop\n12" mix.wav\tnone\n')
    assert first.path.name == '"Heroes" live.wav'
    assert second.path.name == '12" mix.wav'


def test_tags_beyond_the_heading_are_tags(tmp_path: Path) -> None:
    first, second = clips_of(tmp_path / "t.csv", "path,tags\na.wav,drop,vocals\nb.wav,live\n")
    assert first.labels == ("drop", "vocals")
    assert second.labels == ("live",)


def test_lines_are_counted_as_an_editor_does(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('path,label\n\n"a\nb.wav",drop\n\nc.wav,none\n')
    table = read_table(tmp_path / "t.csv", ["path", "label"])
    assert [row.line for row in table.rows] == [1, 3, 6]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\na.wav,drop\nb.wav\n", "line 3 has no label"),
        ("path,label\na.wav,drop\n,none\n", "line 3 has no path"),
        ("path,label\na.wav,drop\nb, c.wav,none\n", "line 3 has 3 cells, and the heading has 2"),
        ("path,tag,artist\na.wav,drop,A\nb.wav,none,A,B\n", "line 3 has 4 cells"),
        ("a.wav\tdrop\tA\nb.wav\tnone\tlive\tloud\n", "line 2 has 4 cells, and path, label and group are 3"),
        ('path,label\na.wav,drop\n"b.wav,none\nc.wav,none\n', "line 3 cannot be split"),
        ("path,kind\na.wav,drop\nb.wav,none\n", "without a column of labels: call it one of label, "),
        ("track,label\na.wav,drop\nb.wav,none\n", "without a column of paths: call it one of path, "),
        ("track,kind\na.wav,drop\nb.wav,none\n", r"line 1 looks like a heading \(track, kind\) whose names"),
        ("drop,a.wav\nnone,b.wav\n", "line 1: 'drop' is no file of sound"),
        ("a.wav,drop\nb.wav,none\n".encode("utf-16")[:-1], "UTF-16 that is damaged"),
        (b"path,label\na.wav,drop\nb.wav,\x81\x8d\n", "line 3 is neither UTF-8 nor Windows-1252"),
        (b"PK\x03\x04" + bytes(100), "save it as CSV"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(100), "not a table of text"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "not a table of text"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name_and_line(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as refused:
        clips_of(tmp_path / "t.csv", text)
    assert str(refused.value).startswith(str(tmp_path / "t.csv"))


def test_files_without_a_label_are_told(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("path,label\na.wav,drop\nb.wav,\nc.wav,\n")
    data = read_labelled(tmp_path / "t.csv")
    assert [clip.labels for clip in data.clips] == [("drop",), (), ()]
    assert "line 3 and 1 more" in data.notes[0]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with a name here")
def test_what_might_never_end_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        for path, what in ((tmp_path / "pipe.csv", "a pipe"), (tmp_path / "s", "a socket"), ("/dev/zero", "a device")):
            with pytest.raises(DataError, match=what):
                read_labelled(path)
