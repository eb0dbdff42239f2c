"""Ground truths in every form: musicnn-training's lists, tables, folders; what is wrong in them, by line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamtag.errors import DataError
from streamtag.inference.networks.labels import MTT_LABELS
from streamtag.train.labels import read_labels
from streamtag.train.truth import Truth, read_truth


def truth_of(path: Path, text: str, labels: tuple[str, ...] | None = None) -> Truth:
    path.write_text(text, encoding="utf-8")
    return read_truth(path, labels)


# --- musicnn-training's lists -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "2\t[0.0, 1.0]\n6\t[1.0, 0.0]\n",  # MagnaTagATune's
        "2\t[0, 1]\r\n6\t[1, 0]",  # the Million Song Dataset's
        "2 \t [ 0., 1e0, ] \n\n6\t[1.0,0]  \n",
    ],
)
def test_the_published_files_as_they_are(tmp_path: Path, text: str) -> None:
    truth = truth_of(tmp_path / "gt.tsv", text)
    assert truth.ids == ("2", "6")
    assert truth.labels == ("tag 1", "tag 2")
    assert truth.targets.dtype == np.float32
    np.testing.assert_array_equal(truth.targets, [[0, 1], [1, 0]])
    assert truth.notes == ()
    assert read_truth(tmp_path / "gt.tsv", ("rock", "piano")).labels == ("rock", "piano")


def test_the_last_line_of_an_id_holds_and_is_told(tmp_path: Path) -> None:
    truth = truth_of(tmp_path / "gt.tsv", "2\t[0, 1]\n6\t[1, 0]\n2\t[1, 1]\n")
    assert truth.ids == ("2", "6")
    np.testing.assert_array_equal(truth.targets, [[1, 1], [1, 0]])
    assert "line 3" in truth.notes[0]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("9", "line 2 is an id alone"),
        ("9\t0, 1", "line 2 is '0, 1' behind its id"),
        ("\t[0, 1]", "line 2 has no id"),
        ("9\t[0]", "line 2 has 1 numbers; expected 2, as the first line has"),
        ("9\t[0, 1, 0]", "line 2 has 3 numbers"),
        ("9\t[]", "line 2 has a list of 0"),
        ("9\t[0, x]", "line 2 has 'x' in its list"),
        ("9\t[0, nan]", "line 2 has nan in its list; expected id TAB list of numbers from 0 to 1"),
        ("9\t[0, 7]", "line 2 has 7 in its list"),
        ("9\t[0, __import__('os').remove('gt.tsv')]", "line 2 has "),
        ("9\t" + "[" * 10_000, "line 2 is "),
        ("9\t[0,1" + ",0" * 200_000 + "]", "line 2 has a list of 200002"),
    ],
)
def test_wrong_lines_are_refused_by_number(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(DataError) as refused:
        truth_of(tmp_path / "gt.tsv", f"2\t[0, 1]\n{line}\n")
    assert str(refused.value).startswith(f"{tmp_path / 'gt.tsv'}: {message}")
    assert (tmp_path / "gt.tsv").exists()


def test_all_wrong_lines_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(DataError) as refused:
        truth_of(tmp_path / "gt.tsv", "0\t[0]\n" + "".join(f"{number}\t[2]\n" for number in range(30)))
    told = str(refused.value).splitlines()
    assert [line.split("line ")[1].split()[0] for line in told[:-1]] == [str(number) for number in range(2, 22)]
    assert told[-1].endswith("and 10 more wrong lines")


def test_another_number_of_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 1 has 2 numbers; expected 3, as there are that many labels"):
        truth_of(tmp_path / "gt.tsv", "2\t[0, 1]\n", ("a", "b", "c"))


@given(st.text(alphabet="0123456789.,[]-+ e\tnaif_'\"\n()", max_size=60))
@settings(max_examples=300, deadline=None)
def test_whatever_stands_in_a_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.tsv"
    try:
        truth = truth_of(path, text)
    except DataError:
        return
    assert truth.targets.shape == (len(truth.ids), len(truth.labels))
    assert ((truth.targets >= 0) & (truth.targets <= 1)).all()


# --- tables and folders -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "path,labels\na.wav,drums|bass\nb.wav,none\nc.wav,bass\n"),
        ("t.csv", "id;path;labels\na.wav;x/1.wav;['drums', 'bass']\nb.wav;x/2.wav;\nc.wav;x/3.wav;bass\n"),
        ("t.tsv", "track_id\ttags\na.wav\tdrums\tbass\nb.wav\tnone\nc.wav\tbass\n"),
        ("t.csv", "id,bass,drums\na.wav,1,1\nb.wav,0,0\nc.wav,1,0\n"),
        ("t.csv", "a.wav,drums\na.wav,bass\nb.wav,none\nc.wav,bass\n"),
    ],
)
def test_tables(tmp_path: Path, name: str, text: str) -> None:
    truth = truth_of(tmp_path / name, text)
    assert truth.ids == ("a.wav", "b.wav", "c.wav")
    assert truth.labels == ("bass", "drums")
    np.testing.assert_array_equal(truth.targets, [[1, 1], [0, 0], [1, 0]])
    np.testing.assert_array_equal(read_truth(tmp_path / name, ("drums", "x", "bass")).targets[:, [2, 0]], truth.targets)


def test_columns_of_0_and_1_keep_their_order(tmp_path: Path) -> None:
    truth = truth_of(tmp_path / "t.csv", "clip_id,singer,loud,none\n7,1,0,0\n8,0,0,1\n")
    assert truth.labels == ("singer", "loud")
    np.testing.assert_array_equal(truth.targets, [[1, 0], [0, 0]])


def test_groups_are_kept(tmp_path: Path) -> None:
    assert truth_of(tmp_path / "t.csv", "path,label,artist\na.wav,x,A\nb.wav,x,\n").groups == ("A", "")
    assert truth_of(tmp_path / "t.csv", "path,label\na.wav,x\n").groups is None


def test_wrong_lines_of_a_table_are_all_told(tmp_path: Path) -> None:
    with pytest.raises(DataError) as refused:
        truth_of(tmp_path / "t.csv", "id,singer,loud\n1,1,0\n2,yes,0\n3,1\n,1,1\n4,0,1\n")
    told = str(refused.value).splitlines()
    assert [line.partition(": ")[2].split(":")[0] for line in told] == [
        "line 3 has 'yes' in the column singer; expected 0 or 1",
        "line 4 has no label",
        "line 5 has no id",
    ]


def test_labels_that_are_not_the_models_are_refused_by_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 3 has the label 'bas'; expected bass, drums, or none"):
        truth_of(tmp_path / "t.csv", "path,label\na.wav,bass\nb.wav,bas\n", ("bass", "drums"))


def test_a_table_whose_columns_are_not_known_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"without a column of ids or paths: call it one of id, "):
        truth_of(tmp_path / "t.csv", "song,label\n1,bass\n")
    with pytest.raises(DataError, match=r"call the columns id \(or path\) and label"):
        truth_of(tmp_path / "t.csv", "song,kind\n1,bass\n")


def test_a_folder_of_classes(tmp_path: Path) -> None:
    for name in ("drums/a.wav", "bass/deep/b.wav", "none/c.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    truth = read_truth(tmp_path)
    assert truth.ids == ("bass/deep/b.wav", "drums/a.wav", "none/c.wav")
    assert truth.labels == ("bass", "drums")
    np.testing.assert_array_equal(truth.targets, [[1, 0], [0, 1], [0, 0]])
    with pytest.raises(DataError, match="folders called 'drums'; expected bass, or none"):
        read_truth(tmp_path, ("bass",))


@pytest.mark.parametrize("text", ["", "path,label\n", "path,label\na.wav,none\n"])
def test_a_truth_of_nothing_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=r"t\.csv: no (tracks|labels) in it"):
        truth_of(tmp_path / "t.csv", text)


def test_tracks_that_are_not_elsewhere_are_told_apart(tmp_path: Path) -> None:
    truth, missing = truth_of(tmp_path / "t.tsv", "a\t[0]\nb\t[1]\nc\t[1]\n").within({"c", "a"})
    assert (truth.ids, missing) == (("a", "c"), ("b",))
    np.testing.assert_array_equal(truth.targets, [[0], [1]])


# --- names of the columns -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "rock\nno  vocals\n\n",
        "# 2 tags, by how frequent they are\nlabels = ['rock', 'no vocals']\n",
        "['rock',\n 'no vocals']",
        "\n# one\n# two\nTAGS=('rock', 'no vocals',)  # three\n",
    ],
)
def test_labels_from_a_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "labels.txt").write_text(text)
    assert read_labels(str(tmp_path / "labels.txt")) == ("rock", "no vocals")


def test_labels_of_a_published_data_set() -> None:
    assert read_labels("MTT") == MTT_LABELS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no labels in it"),
        ("a\nb\na\n", "twice in it: a"),
        ("labels = ['a', open('x', 'w')]", "begins as a Python list"),
        ("labels = [1, 2]", "begins as a Python list"),
        ("labels = ['a'", "begins as a Python list"),
        ("labels = ['a']\nlabels = ['b']", "begins as a Python list"),
        ("a\n" * (1 << 19) + "b", "larger than any list of labels"),
    ],
)
def test_a_file_without_labels_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "labels.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        read_labels(str(tmp_path / "labels.txt"))
    with pytest.raises(DataError, match="no such file of labels; expected MTT or MSD"):
        read_labels("mtt")
