"""streamtag learn and features as commands: outputs tried first, work that is kept, ends that come at once."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from streamtag.heads.file import load_head
from streamtag.learn.features import Extraction
from tests.support.program import Running, run_cli
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("learn", "CLIPS", "--out", "CLIPS"), "it is a folder"),
        (("learn", "CLIPS", "--out", "CLIPS/drop/0.flac"), "it is read, too"),
        (("learn", "t.csv", "--out", "t.csv"), "it is read, too"),
        (("learn", "t.csv", "--out", "a.head", "--report", "t.csv"), "it is read, too"),
        (("learn", "CLIPS", "--out", "a.head", "--report", "a.head"), "both name a.head"),
        (("learn", "CLIPS", "--out", "a.head", "--report", "nowhere/a.html"), "does not exist"),
        (("learn", "CLIPS", "--out", "/dev/null"), "a device"),
        (("learn", "CLIPS", "--out", "a.head", "--C", "nan"), "--C nan"),
        (("features", "CLIPS", "--out", "nowhere/a.npz"), "does not exist"),
        (("features", "CLIPS", "--out", "folder.npz"), "it is a folder"),
        (("features", "CLIPS", "b.npz", "--out", "b.npz"), "it is read, too"),
    ],
)
def test_outputs_are_tried_before_anything_is_heard(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Extraction, "predictor", lambda *_: pytest.fail("heard"))
    Path("folder.npz").mkdir()
    Path("b.npz").write_text("b")
    Path("t.csv").write_text(f"{clips}/drop/0.flac,drop\n{clips}/none/0.flac,none\n")
    before = {path: path.read_bytes() for path in (Path("b.npz"), Path("t.csv"), clips / "drop" / "0.flac")}
    done = run_cli(*(argument.replace("CLIPS", str(clips)) for argument in arguments), "--no-cache")
    assert done.status == 2
    assert message in done.message
    assert all(path.read_bytes() == data for path, data in before.items())
    assert not Path("a.head").exists()


def test_the_head_is_kept_when_the_report_cannot_be_written(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the disk of the report was pulled out while clips were heard."""
    disk = tmp_path / "disk"
    disk.mkdir()
    weights_sha256 = Extraction.weights_sha256

    def pull_out(self: Extraction) -> str:
        shutil.rmtree(disk, ignore_errors=True)
        return weights_sha256(self)

    monkeypatch.setattr(Extraction, "weights_sha256", pull_out)
    options = ("--out", tmp_path / "a.head", "--features", "taggram")
    done = run_cli("learn", clips, *options, "--report", disk / "a.html")
    assert done.status == 1
    assert f"cannot write {disk / 'a.html'}" in done.message
    assert f"written: {tmp_path / 'a.head'}" in done.stdout
    assert "accuracy" in done.stdout
    assert load_head(tmp_path / "a.head").labels == ("breakdown", "drop", "none")
    disk.mkdir()
    done = run_cli("learn", clips, "--out", disk / "a.head", "--features", "taggram", "--report", tmp_path / "a.html")
    assert done.status == 1
    assert (tmp_path / "a.html").exists()


@pytest.mark.parametrize("command", ["learn", "features"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_cleanly_in_the_middle_of_a_file(
    clips: Path, tmp_path: Path, start: Callable[..., Running], command: str, number: signal.Signals
) -> None:
    for label in ("a", "b"):
        (tmp_path / "clips" / label).mkdir(parents=True)
        shutil.copy(clips / "drop" / "0.flac", tmp_path / "clips" / label / "0.flac")
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, 16_000 * 1800).astype(np.float32)
        soundfile.write(tmp_path / "clips" / label / "long.wav", noise, 16_000)
    cache, out = tmp_path / "cache", tmp_path / ("a.head" if command == "learn" else "a.npz")
    running = start(command, tmp_path / "clips", "--out", out, "--jobs", "1", env={"STREAMTAG_CACHE": str(cache)})
    wait_until(lambda: list(cache.rglob("*.safetensors")) or running.process.poll() is not None, "the first file")
    running.process.send_signal(number)
    done = running.end()
    assert done.status == 128 + number
    assert done.message == ""
    assert not out.exists()
    assert not [path for path in tmp_path.rglob("*.partial")]


def test_features_of_nothing_are_not_written_over_those_of_something(tmp_path: Path) -> None:
    out = tmp_path / "a.npz"
    out.write_bytes(b"of yesterday")
    (tmp_path / "a.wav").touch()
    done = run_cli("features", tmp_path / "a.wav", "--out", out)
    assert done.status == 1
    assert done.message.endswith(f"streamtag: {out} is not written: none of 1 files could be read")
    assert out.read_bytes() == b"of yesterday"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_while_scikit_learn_is_at_work(
    clips: Path, tmp_path: Path, start: Callable[..., Running], number: signal.Signals
) -> None:
    endless = ("--classifier", "linear-svm", "--C", "1e300", "--features", "penultimate")
    running = start("learn", clips, "--out", tmp_path / "a.head", *endless, env={"STREAMTAG_CACHE": str(tmp_path)})
    count = len(list(clips.rglob("*.flac")))
    wait_until(lambda: len(list(tmp_path.rglob("*.safetensors"))) == count, "all files")
    time.sleep(3)  # from the last file to the first fit
    running.process.send_signal(number)
    done = running.end(20)
    assert (done.status, done.message) == (128 + number, "")
    assert not (tmp_path / "a.head").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with a name here")
def test_what_might_never_end_is_named_and_not_opened(clips: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s.wav"))
        strange = (tmp_path / "pipe.wav", tmp_path / "s.wav", Path("/dev/zero"))
        done = run_cli("features", *strange, clips / "drop" / "0.flac", "--out", tmp_path / "a.npz")
        assert done.status == 1
        for path in strange:
            assert f"{path}: not a regular file" in done.message
        sound = [(clips / label / f"{number}.flac", label) for label in ("drop", "none") for number in range(2)]
        rows = [*((path, "drop") for path in strange), *sound]
        (tmp_path / "t.csv").write_text("".join(f"{path},{label}\n" for path, label in rows))
        done = run_cli("learn", tmp_path / "t.csv", "--out", tmp_path / "a.head", "--features", "taggram")
        assert done.status == 0, done.stderr
        for path in strange:
            assert f"{path}: not a regular file" in done.stdout
        for path in strange:
            done = run_cli("learn", path, "--out", tmp_path / "b.head")
            assert done.status == 1
            assert "not a regular file" in done.message
            for command in ("file", "live"):
                done = run_cli(command, "--head", path, *((clips / "drop" / "0.flac",) if command == "file" else ()))
                assert done.status == 1
                assert f"{path}: not a regular file" in done.message


def test_labels_in_any_script_are_learned_and_their_addresses_told(clips: Path, tmp_path: Path) -> None:
    for source, label in (("drop", "рок"), ("breakdown", "поп"), ("none", "ROK"), ("none", "rok")):
        (tmp_path / "clips" / label).mkdir(parents=True)
        for number in range(4):
            name = f"{number + 4 * (label == 'rok')}.flac"
            shutil.copy(clips / source / name, tmp_path / "clips" / label)
    done = run_cli("learn", tmp_path / "clips", "--out", tmp_path / "a.head", "--features", "taggram")
    assert done.status == 0, done.stderr
    assert load_head(tmp_path / "a.head").labels == ("ROK", "rok", "поп", "рок")
    assert "in OSC addresses: rok is rok_2, поп is pop, рок is rok_3" in done.stdout


def test_a_linked_output_is_written_where_the_link_leads_and_a_neighbour_stays(clips: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    names = ("a.head", "a.html", "a.npz", "x" * 250 + ".npz")
    for name in names:
        (tmp_path / "kept" / name).write_text("old")
        (tmp_path / name).symlink_to(tmp_path / "kept" / name)
    (tmp_path / "kept" / "a.head.partial").write_text("mine")
    head, page, *features = (tmp_path / name for name in names)
    done = run_cli("learn", clips, "--out", head, "--report", page, "--features", "taggram")
    assert done.status == 0, done.stderr
    for target in features:
        done = run_cli("features", clips / "drop" / "0.flac", "--out", target)
        assert done.status == 0, done.stderr
    for name in names:
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / "kept" / name).read_bytes() != b"old"
    assert (tmp_path / "kept" / "a.head.partial").read_text() == "mine"
    assert len(list((tmp_path / "kept").iterdir())) == 5
