"""`streamtag file`, and musicnn's two functions, as a user runs them."""

from __future__ import annotations

import errno
import inspect
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np
import pytest
import soundfile

import streamtag
from streamtag.inference.networks.labels import MSD_LABELS, MTT_LABELS
from tests.support.musicnn import all_features
from tests.support.program import START_SECONDS, Running, run_cli

RATE = 16_000


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory, music: Path) -> Path:
    """A folder: three pieces of music at three rates, one of them in a folder of its own, and what is no music."""
    folder = tmp_path_factory.mktemp("songs")
    (folder / "more").mkdir()
    samples, rate = soundfile.read(music)
    soundfile.write(folder / "a.wav", samples[: 4 * rate], rate)
    soundfile.write(folder / "b.flac", samples[8 * rate : 15 * rate, 0], rate)
    soundfile.write(folder / "more" / "c.ogg", samples[20 * rate : 24 * rate], rate)
    (folder / "cover.txt").write_text("not for listening")
    return folder


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory, music: Path) -> Path:
    """One second of music."""
    path = tmp_path_factory.mktemp("short") / "short.wav"
    samples, rate = soundfile.read(music, frames=44_100)
    soundfile.write(path, samples, rate)
    return path


# --- what is printed ----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("compiled")
def test_text_for_people(songs: Path) -> None:
    outcome = run_cli("file", songs / "a.wav", "--top", 3)
    assert outcome.status == 0
    assert outcome.stderr == ""
    head, *tags, blank = outcome.stdout.splitlines()
    assert head == f"{songs / 'a.wav'}  (0:04, 44100 Hz, 2 ch, 1 patch)"
    assert blank == ""
    expected = streamtag.FileTagger("MTT_musicnn").tag(songs / "a.wav").top(3)
    assert [line.split("  ")[1].strip() for line in tags] == [tag for tag, _ in expected]
    assert all(f"{score:.2f}" in line for line, (_, score) in zip(tags, expected, strict=True))


def test_json_for_programs(songs: Path) -> None:
    outcome = run_cli("file", songs, "--format", "json", "--model", "MSD_musicnn")
    assert outcome.status == 0
    lines = outcome.json
    assert [Path(line["file"]).name for line in lines] == ["a.wav", "b.flac", "c.ogg"]
    for line in lines:
        assert set(line) == {"file", "model", "seconds", "patches", "top", "notes"}
        assert line["model"] == "MSD_musicnn"
        assert len(line["top"]) == 10
        assert {tag for tag, _ in line["top"]} <= set(MSD_LABELS)
        assert line["notes"] == []
    assert [(line["seconds"], line["patches"]) for line in lines] == [(4.0, 1), (7.0, 2), (4.0, 1)]


def test_files_folders_and_patterns_each_once_in_order(songs: Path) -> None:
    outcome = run_cli("file", songs / "more", f"{songs}/*.wav", songs / "b.flac", songs, "--format", "json")
    assert [Path(line["file"]).name for line in outcome.json] == ["c.ogg", "a.wav", "b.flac"]


def test_as_many_jobs_as_you_like_give_the_same(songs: Path) -> None:
    one, many = (run_cli("file", songs, "--format", "json", "--jobs", jobs) for jobs in (1, 5))
    assert one.stdout == many.stdout


def test_one_bad_file_never_stops_the_others(songs: Path, tmp_path: Path) -> None:
    bad = tmp_path / "noise.mp3"
    bad.write_bytes(b"This is no music." * 100)
    empty = tmp_path / "empty.wav"
    empty.touch()
    missing = tmp_path / "missing.wav"
    outcome = run_cli("file", songs / "a.wav", bad, empty, missing, songs / "b.flac")
    assert outcome.status == 1
    assert str(songs / "a.wav") in outcome.stdout
    assert str(songs / "b.flac") in outcome.stdout
    messages = outcome.message.splitlines()
    assert len(messages) == 3
    for message, path, reason in zip(
        messages, (bad, empty, missing), ("it is text", "empty", "no such file"), strict=True
    ):
        assert message.startswith(f"streamtag: {path}: ")
        assert reason in message


def test_failures_are_json_too(tmp_path: Path) -> None:
    outcome = run_cli("file", tmp_path / "missing.wav", "--format", "json")
    assert outcome.status == 1
    assert outcome.json == [
        {"file": str(tmp_path / "missing.wav"), "error": f"{tmp_path / 'missing.wav'}: no such file"}
    ]


def test_nothing_to_be_found_is_said(tmp_path: Path) -> None:
    assert "a folder without files of sound" in run_cli("file", tmp_path).message
    assert "no file matches this pattern" in run_cli("file", tmp_path / "*.wav").message
    assert run_cli("file", tmp_path).status == 1


# --- short files, windows, hops -----------------------------------------------------------------------------------


def test_a_short_file_is_repeated_with_a_note_or_refused(short: Path) -> None:
    outcome = run_cli("file", short)
    assert outcome.status == 0
    assert "note: 1.00 s are shorter than one patch of 2.99 s: repeated to length" in outcome.stdout
    refused = run_cli("file", short, "--short", "error")
    assert refused.status == 1
    assert refused.stdout == ""
    assert f"{short}: 1.00 s are shorter than one patch" in refused.message


@pytest.mark.slow
def test_windows_and_hops_in_seconds(short: Path, songs: Path) -> None:
    def patches(*options: object) -> list[int]:
        outcome = run_cli("file", short, songs / "a.wav", "--format", "json", *options)
        assert outcome.status == 0, outcome.stderr
        return [line["patches"] for line in outcome.json]

    frames = {"short": 1 + RATE // 256, "a": 1 + 4 * RATE // 256}  # centred frames, as musicnn makes them
    assert patches("--window", 1) == [frames["short"] // 62, frames["a"] // 62]
    assert patches("--window", 1, "--hop", 0.48) == [1, 1 + (frames["a"] - 62) // 30]
    # musicnn counts its overlap as floor((samples - 256) / 256) frames
    assert patches("--window", 1, "--overlap", 0.5) == [1, 1 + (frames["a"] - 62) // 30]
    assert patches("--hop", 0.016) == [1, 1 + frames["a"] - 187]


WRONG = [
    (["--window", "1", "--model", "MTT_vgg"], "MTT_vgg takes patches of 3 s only"),
    (["--hop", "1", "--overlap", "1"], "--hop and --overlap"),
    (["--hop", "0"], "hop of 0 s"),
    (["--overlap", "0"], "--overlap 0 s"),
    (["--overlap", "nan"], "nan"),
    (["--window", "0"], "patch of 0 s"),
    (["--window", "nan"], "nan"),
    (["--model", "MTT"], "no model is called 'MTT'"),
    (["--save", "no/folder/out.tags"], "cannot write no/folder/out.tags"),
    (["--taggram", "no/folder/out.npz"], "cannot write no/folder/out.npz"),
    (["--embeddings", "no/folder/out.npz"], "cannot write no/folder/out.npz"),
    (["--top", "0"], "--top"),
    (["--jobs", "-1"], "--jobs"),
    (["--short", "cut"], "cut"),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG, ids=[" ".join(case[0]) for case in WRONG])
def test_what_cannot_be_is_refused_before_any_work(
    arguments: list[str], said: str, short: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("streamtag.files.batch.Batch.run", lambda *_: pytest.fail("must not begin"))
    outcome = run_cli("file", short, *arguments)
    assert outcome.status == 2, outcome
    assert said in outcome.message
    assert list(tmp_path.iterdir()) == []


def test_no_file_at_all_is_wrong_usage() -> None:
    assert run_cli("file").status == 2
    for command in (("file", ""), ("file", "x.wav", ""), ("features", "", "--out", "x.npz")):
        outcome = run_cli(*command)  # the current folder is not meant
        assert (outcome.status, outcome.stdout) == (2, "")
        assert "an empty name" in outcome.message


# --- what is kept -------------------------------------------------------------------------------------------------


def test_saved_lines_are_musicnns_and_appended(songs: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.tags"
    target.write_text("what was there\n")
    assert run_cli("file", songs, "--save", target, "--top", 2).status == 0
    assert run_cli("file", songs / "a.wav", "--save", target, "--window", 1.5, "--overlap", 1, "--top", 1).status == 0
    before, a, b, c, again = target.read_text().splitlines()
    assert before == "what was there"
    for line, path in ((a, songs / "a.wav"), (b, songs / "b.flac"), (c, songs / "more" / "c.ogg")):
        expected = ",".join(streamtag.top_tags(path, topN=2, print_tags=False))
        assert line == f"{path},MTT_musicnn,input_length=3,input_overlap=False,{expected}"
    (best,) = streamtag.top_tags(songs / "a.wav", topN=1, input_length=1.5, input_overlap=1, print_tags=False)
    assert again == f"{songs / 'a.wav'},MTT_musicnn,input_length=1.5,input_overlap=1.0,{best}"


def test_taggram_and_embeddings_as_npz(songs: Path, tmp_path: Path) -> None:
    taggram, embeddings = tmp_path / "t.npz", tmp_path / "e.npz"
    bad = tmp_path / "bad.wav"
    bad.touch()
    outcome = run_cli("file", songs / "b.flac", bad, songs / "a.wav", "--taggram", taggram, "--embeddings", embeddings)
    assert outcome.status == 1
    tagger = streamtag.FileTagger("MTT_musicnn")
    expected = [tagger.tag(songs / name) for name in ("b.flac", "a.wav")]
    with np.load(taggram) as kept:
        np.testing.assert_allclose(kept["taggram"], np.concatenate([tags.taggram for tags in expected]), atol=1e-6)
        assert kept["taggram"].dtype == np.float32
        assert list(kept["file_index"]) == [0, 0, 1]
        assert list(kept["files"]) == [str(songs / "b.flac"), str(songs / "a.wav")]
        np.testing.assert_allclose(kept["start"], [0, 187 * 0.016, 0])
        assert tuple(kept["tags"]) == MTT_LABELS
        assert kept["model"] == "MTT_musicnn"
    with np.load(embeddings) as kept:
        np.testing.assert_allclose(
            kept["embeddings"], np.concatenate([tags.embeddings for tags in expected]), rtol=1e-4, atol=1e-5
        )
        assert kept["embeddings"].shape == (3, 200)
    assert {path.name for path in tmp_path.iterdir()} == {"t.npz", "e.npz", "bad.wav"}


def test_npz_of_nothing_can_be_read(tmp_path: Path) -> None:
    taggram = tmp_path / "t.npz"
    assert run_cli("file", tmp_path / "missing.wav", "--taggram", taggram).status == 1
    with np.load(taggram) as kept:
        assert kept["taggram"].shape == (0, 50)
        assert len(kept["files"]) == len(kept["file_index"]) == len(kept["start"]) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here to stand for a full disk")
def test_a_full_disk_while_saving_is_said(short: Path) -> None:
    outcome = run_cli("file", short, "--save", "/dev/full")
    assert outcome.status == 1
    assert outcome.message == "streamtag: cannot write /dev/full: No space left on device"


def test_a_full_disk_at_the_end_leaves_no_half_file(
    short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: IO[bytes], **arrays: object) -> None:
        file.write(b"the first half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    target = tmp_path / "t.npz"
    target.write_text("the one from yesterday")
    outcome = run_cli("file", short, "--taggram", target)
    assert outcome.status == 1
    assert outcome.message == f"streamtag: cannot write {target}: No space left on device"
    assert [path.name for path in tmp_path.iterdir()] == ["t.npz"]
    assert target.read_text() == "the one from yesterday"


def test_a_folder_in_place_of_a_file_to_save_to_is_named(short: Path, tmp_path: Path) -> None:
    outcome = run_cli("file", short, "--save", tmp_path)
    assert outcome.status == 2
    assert outcome.message == f"streamtag: cannot write {tmp_path}: it is a folder"


# --- ended early --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_done(start: Callable[..., Running], songs: Path, tmp_path: Path, music: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(60):
        shutil.copy(music, folder / f"{number:02d}.ogg")
    saved, taggram = tmp_path / "out.tags", tmp_path / "out.npz"
    running = start("file", folder, "--save", saved, "--taggram", taggram, "--format", "json")
    running.wait_for_lines(2)
    running.process.send_signal(signal.SIGINT)
    outcome = running.end(15)
    assert outcome.status == 130, outcome.stderr
    assert "Traceback" not in outcome.stderr
    done = [json.loads(line)["file"] for line in outcome.stdout.splitlines()]
    assert 2 <= len(done) < 60
    lines = saved.read_text().splitlines()
    assert [line.split(",")[0] for line in lines[: len(done)]] == done
    assert len(lines) - len(done) in (0, 1)
    with np.load(taggram) as kept:
        assert list(kept["files"]) == [line.split(",")[0] for line in lines]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--taggram", "x.csv"], "x.csv"), (["--taggram", "x.npz", "--embeddings", "x.npz"], "both name x.npz")],
)
def test_outputs_that_cannot_be_are_refused_before_any_work(
    arguments: list[str], said: str, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = run_cli("file", music, *arguments)
    assert outcome.status == 2
    assert said in outcome.message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_reader_that_leaves_gets_no_traceback(songs: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "streamtag", "file", songs, "--format", "json", "--jobs", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr:
        said = process.stderr.read()
    assert process.wait(START_SECONDS) == 0
    assert said == ""


# --- musicnn's functions ------------------------------------------------------------------------------------------


def test_signatures_are_musicnns() -> None:
    def defaults(function: Callable[..., object]) -> list[tuple[str, object]]:
        return [(name, given.default) for name, given in inspect.signature(function).parameters.items()]

    required = inspect.Parameter.empty
    shared = [("file_name", required), ("model", "MTT_musicnn")]
    patches = [("input_length", 3), ("input_overlap", False)]
    assert defaults(streamtag.top_tags) == [
        *shared,
        ("topN", 3),
        *patches,
        ("print_tags", True),
        ("save_tags", False),
    ]
    assert defaults(streamtag.extractor) == [*shared, *patches, ("extract_features", True)]


def test_top_tags_prints_and_saves_as_musicnn(songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, saved = songs / "a.wav", tmp_path / "out.tags"
    names = streamtag.top_tags(path, topN=2, save_tags=saved)
    assert len(names) == 2
    assert capsys.readouterr().out == f"[{path}] Top2 tags: \n - {names[0]}\n - {names[1]}\n"
    assert saved.read_text() == f"{path},MTT_musicnn,input_length=3,input_overlap=False,{names[0]},{names[1]}\n"
    assert streamtag.top_tags(str(path), "MTT_musicnn", 2, 3, 1.0, False, str(saved))
    assert saved.read_text().splitlines()[1].startswith(f"{path},MTT_musicnn,input_length=3,input_overlap=1.0,")
    assert capsys.readouterr().out == ""


def test_extractor_gives_musicnns_shapes(songs: Path) -> None:
    taggram, tags, features = all_features(songs / "b.flac")
    assert taggram.shape == (2, 50)
    assert tuple(tags) == MTT_LABELS
    assert {name: value.shape for name, value in features.items()} == {
        "timbral": (2 * 187, 408),
        "temporal": (2 * 187, 153),
        "cnn1": (2 * 187, 64),
        "cnn2": (2 * 187, 64),
        "cnn3": (2 * 187, 64),
        "mean_pool": (2, 753),
        "max_pool": (2, 753),
        "penultimate": (2, 200),
    }
    alone = streamtag.extractor(songs / "b.flac", extract_features=False)
    assert len(alone) == 2
    np.testing.assert_allclose(alone[0], taggram, atol=1e-5)


def test_musicnns_functions_say_what_they_do_not_do_silently(short: Path) -> None:
    with pytest.warns(UserWarning, match="shorter than one patch") as caught:
        streamtag.top_tags(short, print_tags=False)
    assert caught[0].filename == __file__
    with pytest.raises(streamtag.OptionError, match="3 s only"):
        streamtag.top_tags(short, model="MTT_vgg", input_length=2)
    with pytest.raises(streamtag.AudioFileError, match="no such file"):
        streamtag.extractor("missing.wav")
