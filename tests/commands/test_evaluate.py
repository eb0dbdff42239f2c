"""Predictions against a ground truth, in every format, and against scikit-learn itself."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from streamtag.errors import DataError
from streamtag.learn.evaluate import compare
from tests.support.program import run_cli

pytestmark = pytest.mark.slow

TAGS = ("rock", "piano", "no vocals")
RNG = np.random.default_rng(0)
TRUE = RNG.random((40, 3)) < 0.4
SCORES = np.clip(TRUE * 0.4 + RNG.random((40, 3)) * 0.6, 0, 1).round(6)


def lists(path: Path, names: list[str], rows: np.ndarray) -> Path:
    path.write_text("".join(f"{name}\t{json.dumps(row.tolist())}\n" for name, row in zip(names, rows, strict=True)))
    return path


def table(path: Path, names: list[str], rows: np.ndarray, tags: tuple[str, ...] = TAGS) -> Path:
    lines = [",".join(map(str, (name, *row))) for name, row in zip(names, rows, strict=True)]
    path.write_text("\n".join([",".join(("path", *tags)), *lines]))
    return path


def test_every_format_gives_scikit_learns_areas(tmp_path: Path) -> None:
    ids = [str(n) for n in range(40)]
    paths = [f"a/{n}.mp3" for n in range(40)]
    (tmp_path / "index.tsv").write_text("".join(f"{n}\t{path}\n" for n, path in zip(ids, paths, strict=True)))
    owner = np.repeat(np.arange(40), 2)
    half = np.where(np.arange(80) % 2, 0.1, -0.1)[:, None]  # two patches, whose mean is the score
    np.savez(
        tmp_path / "p.npz",
        taggram=(SCORES[owner] + half).astype(np.float64),
        file_index=owner,
        files=np.array([f"other/folder/{path}" for path in paths]),
        tags=np.array(TAGS),
    )
    labels = ["|".join(tag for tag, on in zip(TAGS, row, strict=True) if on) or "none" for row in TRUE]
    (tmp_path / "labels.csv").write_text("path,label\n" + "\n".join(map(",".join, zip(paths, labels, strict=True))))
    turned = table(tmp_path / "turned.csv", paths, TRUE[:, ::-1].astype(int), TAGS[::-1])
    predictions = [lists(tmp_path / "p.tsv", ids, SCORES), table(tmp_path / "p.csv", paths, SCORES), tmp_path / "p.npz"]
    truths = [lists(tmp_path / "t.tsv", ids, TRUE.astype(int)), tmp_path / "labels.csv", turned]
    roc, precision = roc_auc_score(TRUE, SCORES), average_precision_score(TRUE, SCORES)
    for predicted in predictions:
        for truth in truths:
            if predicted.suffix == ".tsv" and truth is not truths[0]:
                continue  # columns without names against columns with names in another order
            index = tmp_path / "index.tsv" if ".tsv" in (predicted.suffix, truth.suffix) else None
            scores = compare(predicted, truth, index)
            assert (scores.roc_auc, scores.pr_auc) == pytest.approx((roc, precision))
            assert scores.files == 40


def test_tags_of_all_or_none_are_left_out_and_named(tmp_path: Path) -> None:
    true = TRUE.copy()
    true[:, 1] = False
    names = [f"{n}.wav" for n in range(40)]
    predicted = table(tmp_path / "p.csv", [*names, "more.wav"], np.vstack([SCORES, SCORES[:1]]))
    done = run_cli("evaluate", predicted, table(tmp_path / "t.csv", names, true.astype(int)), "--per-tag")
    assert done.status == 0, done.stderr
    assert f"{roc_auc_score(true[:, [0, 2]], SCORES[:, [0, 2]]):.4f}" in done.stdout
    assert "left out: piano" in done.stdout
    assert "1 predictions without truth" in done.stdout
    assert "0.9067" in done.stdout  # MTT_musicnn, as published
    assert any(line.startswith("no vocals") for line in done.stdout.splitlines())


def test_what_the_file_command_writes_can_be_evaluated(clips: Path, tmp_path: Path) -> None:
    done = run_cli("file", clips, "--model", "MSD_musicnn", "--taggram", tmp_path / "p.npz", "--format", "json")
    assert done.status == 0, done.stderr
    rows = [f"{path.relative_to(clips.parent)},{'electronic' if path.parent.name == 'drop' else 'ambient'}"
            for path in sorted(clips.rglob("*.flac"))]  # fmt: skip
    (tmp_path / "t.csv").write_text("path,label\n" + "\n".join(rows))
    scores = compare(tmp_path / "p.npz", tmp_path / "t.csv")
    assert scores.files == 24
    assert scores.roc_auc > 0.7


def test_lists_take_the_names_of_a_model(tmp_path: Path) -> None:
    ids = [str(n) for n in range(40)]
    true = np.random.default_rng(1).random((40, 50)) < 0.4
    files = [lists(tmp_path / "p.tsv", ids, true * 0.5), lists(tmp_path / "t.tsv", ids, true.astype(float))]
    done = run_cli("evaluate", *files, "--model", "MTT_musicnn", "--per-tag")
    assert "harpsichord" in done.stdout
    assert "1.0000" in done.stdout
    assert "tag 7" in run_cli("evaluate", *files, "--per-tag").stdout
    files = [lists(tmp_path / "p.tsv", ids, SCORES), lists(tmp_path / "t.tsv", ids, TRUE.astype(int))]
    assert "50 tags" in run_cli("evaluate", *files, "--model", "MTT_musicnn").message


def test_a_name_that_could_be_two_files_is_refused(tmp_path: Path) -> None:
    predicted = table(tmp_path / "p.csv", ["a/1.mp3", "b/1.mp3"], SCORES[:2])
    for names in (["1.mp3"], ["x/a/1.wav", "y/a/1.wav"]):
        with pytest.raises(DataError, match="could be"):
            compare(predicted, table(tmp_path / "t.csv", names, TRUE[: len(names)].astype(int)))
    truth = table(tmp_path / "t.csv", ["x/a/1.wav", "x/b/1.wav"], np.array([[1, 0, 1], [0, 1, 0]]))
    assert compare(predicted, truth).files == 2


@pytest.mark.parametrize(
    ("predictions", "truth", "message"),
    [
        ("a\t[0.5, 0.1]\n", "b\t[1, 0]\n", "--index says which is which"),
        ("a\t[0.5, 0.1]\nb\t[1]\n", "a\t[1, 0]\n", "one length"),
        ("a\t[0.5, x]\n", "a\t[1, 0]\n", "line 1"),
        ("a\t[0.5, NaN]\nb\t[0.5, 0]\n", "a\t[1, 0]\nb\t[0, 1]\n", "NaN"),
        ("a\t[0.5, 0.1]\n", "a\t[1, 0, 1]\n", "not the same"),
        ("a\t[0.5, 0.1]\na\t[0.1, 0.5]\n", "a\t[1, 0]\n", "line 2: a is there twice"),
        ("\na\t[0.5, {}]\n", "a\t[1, 0]\n", "line 2 is not id TAB list"),
        (f"a\t[1{'0' * 400}]\n", "a\t[1]\n", "line 1 is not id TAB list"),
        ("path,rock\na,1\nb,0\n", "path,rock\na,0.7\nb,0.2\n", "t: holds values other than 0 and 1"),
        ("path,rock\na,1\nb,0\n", "path,rock\na,nan\nb,1\n", "t: holds values other than 0 and 1"),
        ("a\t[0.5, 0.1]\n", "a\t[1, 0]\n", "no tag"),
        ("path,rock\na,0.5\n", "path,label\na,drum\n", "drum"),
        ("path,rock\na,much\n", "path,label\na,rock\n", "much"),
        ("path\n", "path,label\na,rock\n", "heading"),
        ("", "path,label\na,rock\n", "heading"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path: Path, predictions: str, truth: str, message: str) -> None:
    (tmp_path / "p").write_text(predictions)
    (tmp_path / "t").write_text(truth)
    with pytest.raises(DataError, match=message):
        compare(tmp_path / "p", tmp_path / "t")


def test_magnatagatunes_own_table_is_a_truth(tmp_path: Path) -> None:
    rows = "".join(f'"{n}"\t{row[0]:d}\t{row[1]:d}\t"f/{n}.mp3"\n' for n, row in enumerate(TRUE))
    (tmp_path / "annotations_final.csv").write_text(f'"clip_id"\t"rock"\t"piano"\t"mp3_path"\n{rows}')
    predicted = table(tmp_path / "p.csv", [f"f/{n}.mp3" for n in range(40)], SCORES[:, :2], TAGS[:2])
    scores = compare(predicted, tmp_path / "annotations_final.csv")
    assert scores.files == 40
    assert scores.roc_auc == pytest.approx(roc_auc_score(TRUE[:, :2], SCORES[:, :2]))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_tables_as_spreadsheets_write_them(tmp_path: Path, encoding: str, separator: str) -> None:
    tags, names = ("röck", "piano"), [f"a/{n}.mp3" for n in range(40)]
    rows = [[name, *map(str, row)] for name, row in zip(names, SCORES[:, :2], strict=True)]
    predicted, truth = tmp_path / "p.csv", tmp_path / "t.csv"
    text = "\r\n".join(separator.join(row) for row in [["path", *tags], *rows])
    predicted.write_bytes(text.encode(encoding))
    rows = [
        [name, *(tag for tag, on in zip(tags, row, strict=False) if on)] for name, row in zip(names, TRUE, strict=True)
    ]
    text = "\r\n".join(separator.join(row if row[1:] else [*row, "none"]) for row in [["PATH", "TAGS"], *rows])
    truth.write_bytes(text.encode(encoding))
    scores = compare(predicted, truth)
    assert scores.files == 40
    assert scores.roc_auc == pytest.approx(roc_auc_score(TRUE[:, :2], SCORES[:, :2]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,rock\na,0.5\nb\n", "line 3 has 1 cells, and the heading has 2"),
        ("path,rock\na,0.5\na,0.4\n", "line 3: a is there twice"),
        ("path,rock\na,0.5\nb,much\n", "line 3 is not a path and a number"),
        ("path,label\na,rock\nb\n", "line 3 has no label"),
        ('path,rock\na,0.5\n"b,0.4\n', "line 3 cannot be split"),
        (b"PK\x03\x04rest", "save it as CSV"),
    ],
)
def test_a_table_is_refused_by_line(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    for pair in ((path, lists(tmp_path / "o", ["a"], TRUE[:1])), (lists(tmp_path / "o", ["a"], TRUE[:1]), path)):
        done = run_cli("evaluate", *pair)
        assert done.status == 1
        assert re.search(message, done.message)
        assert "t.csv" in done.message


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with a name here")
def test_what_might_never_end_is_not_opened(tmp_path: Path) -> None:
    truth = lists(tmp_path / "t", ["a"], TRUE[:1])
    for name in ("p.npz", "p.csv"):
        os.mkfifo(tmp_path / name)
        for arguments in (
            (tmp_path / name, truth),
            (truth, tmp_path / name),
            (truth, truth, "--index", tmp_path / name),
        ):
            done = run_cli("evaluate", *arguments)
            assert done.status == 1
            assert "a pipe" in done.message
    assert "a device" in run_cli("evaluate", "/dev/zero", truth).message


def test_a_cut_npz_is_refused(tmp_path: Path) -> None:
    np.savez_compressed(
        tmp_path / "whole.npz", taggram=SCORES, file_index=np.arange(40), files=np.arange(40).astype(str), tags=TAGS
    )
    whole = (tmp_path / "whole.npz").read_bytes()
    truth = lists(tmp_path / "t", [str(n) for n in range(40)], TRUE)
    assert run_cli("evaluate", tmp_path / "whole.npz", truth).status == 0
    cut = tmp_path / "cut.npz"
    for length in range(0, len(whole), 97):
        for damaged in (whole[:length], whole[:length] + bytes(8) + whole[length + 8 :]):
            cut.write_bytes(damaged)
            done = run_cli("evaluate", cut, truth)
            assert done.status in (0, 1), length
            assert "should not happen" not in done.message
    cut.write_bytes(whole[:-100])
    assert "cut.npz: cannot be read" in run_cli("evaluate", cut, truth).message


def test_an_npz_of_something_else_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", x=np.zeros(3))
    np.savez(tmp_path / "q.npz", taggram=np.array([object()]), file_index=[0], files=["a"], tags=["b"])
    (tmp_path / "r.npz").write_text("no")
    (tmp_path / "t.csv").write_text("path,label\na,rock\n")
    for name in "pqr":
        with pytest.raises(DataError, match=rf"{name}\.npz"):
            compare(tmp_path / f"{name}.npz", tmp_path / "t.csv")
    right: dict[str, Any] = {
        "taggram": np.zeros((2, 1)),
        "file_index": np.arange(2),
        "files": ["a", "b"],
        "tags": ["rock"],
    }
    np.savez(tmp_path / "s.npz", **right)
    with pytest.raises(DataError, match="no tag"):
        compare(tmp_path / "s.npz", tmp_path / "t.csv")
    for wrong in (
        {"taggram": np.zeros(2)},
        {"files": "a"},
        {"tags": "rock"},
        {"file_index": [0, 0]},
        {"tags": ["x", "y"]},
    ):
        np.savez(tmp_path / "s.npz", **(right | wrong))
        with pytest.raises(DataError, match=r"s\.npz: its arrays do not fit each other"):
            compare(tmp_path / "s.npz", tmp_path / "t.csv")
    with pytest.raises(DataError, match="nowhere"):
        compare(tmp_path / "nowhere", tmp_path / "t.csv")
