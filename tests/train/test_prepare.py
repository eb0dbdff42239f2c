"""`streamtag train prepare`: the published spectrograms, one bad file among others, runs that were interrupted."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from streamtag.train.index import Index, Track
from streamtag.train.prepare import Prepared, prepare
from streamtag.train.store import Store, array_file
from tests.support.oracle import figures as oracle
from tests.support.oracle import needs_oracle
from tests.support.program import Running, run_cli
from tests.support.waiting import wait_until


@pytest.fixture
def music_index(tmp_path: Path) -> Path:
    """Six noises of 1 s, and their index in musicnn-training's form."""
    for number in range(6):
        noise = np.random.default_rng(number).uniform(-0.5, 0.5, 16_000)
        soundfile.write(tmp_path / f"{number}.wav", noise, 16_000)
    (tmp_path / "index.tsv").write_text("".join(f"t{number}\t{number}.wav\n" for number in range(6)))
    return tmp_path / "index.tsv"


@needs_oracle
@pytest.mark.parametrize("signal_name", ["mono16k", "long16k", "silence", "loud_square", "stereo44k"])
def test_spectrograms_are_the_published_ones(tmp_path: Path, signal_name: str) -> None:
    """The published code computes in float32 in between, so that one value in some hundred rounds to its neighbour."""
    known = oracle("preprocess")
    wav, stored = known[f"{signal_name}/wav"], known[f"{signal_name}/stored"]
    soundfile.write(tmp_path / "a.wav", wav, int(known[f"{signal_name}/rate"]), subtype="PCM_16")
    assert prepare(Index((Track("a", tmp_path / "a.wav"),)), tmp_path / "data", dtype="float16") == Prepared(1, 0, 0)
    power = np.asarray(Store.open(tmp_path / "data").power("a"))
    assert power.shape == stored.shape
    steps = np.abs(power.view(np.int16).astype(int) - stored.view(np.int16))
    assert steps.max() <= 1
    assert np.mean(steps > 0) < (0.01 if signal_name == "stereo44k" else 0.001)


@pytest.mark.slow
def test_a_store_of_all_that_can_be_read(music_index: Path, tmp_path: Path) -> None:
    (tmp_path / "2.wav").write_text("no sound")
    (tmp_path / "4.wav").unlink()
    done = run_cli("train", "prepare", music_index, "--out", tmp_path / "data")
    assert done.status == 1
    assert done.stdout == f"{tmp_path / 'data'}: 4 made, 0 kept, 2 left out: see {tmp_path / 'data' / 'errors.tsv'}\n"
    assert f"streamtag: {tmp_path / '2.wav'}: not audio" in done.message
    assert f"streamtag: {tmp_path / '4.wav'}: no such file" in done.message
    errors = [line.split("\t") for line in (tmp_path / "data" / "errors.tsv").read_text().splitlines()]
    assert errors[0] == ["id", "audio", "error"]
    assert sorted(error[0] for error in errors[1:]) == ["t2", "t4"]
    store = Store.open(tmp_path / "data")
    assert sorted(store.ids) == ["t0", "t1", "t3", "t5"]
    assert {store.frames(name) for name in store.ids} == {63}
    assert store.dtype == "float32"

    shutil.copy(tmp_path / "0.wav", tmp_path / "2.wav")
    shutil.copy(tmp_path / "0.wav", tmp_path / "4.wav")
    done = run_cli("train", "prepare", music_index, "--out", tmp_path / "data")
    assert (done.status, done.message) == (0, "")
    assert done.stdout == f"{tmp_path / 'data'}: 2 made, 4 kept\n"
    assert not (tmp_path / "data" / "errors.tsv").exists()
    np.testing.assert_array_equal(Store.open(tmp_path / "data").power("t4"), store.power("t0"))


def test_only_what_has_changed_is_made_again(music_index: Path, tmp_path: Path) -> None:
    tracks = tuple(Track(f"t{number}", tmp_path / f"{number}.wav") for number in range(6))
    data = tmp_path / "data"
    assert prepare(Index(tracks), data) == Prepared(6, 0, 0)
    assert prepare(Index(tracks), data) == Prepared(0, 6, 0)
    soundfile.write(tmp_path / "1.wav", np.zeros(32_000), 16_000)  # another file
    array = data / array_file("t2")
    array.write_bytes(array.read_bytes()[:-1])  # damaged
    (data / array_file("t3")).unlink()
    stray = data / "power" / "ab" / ".streamtag-1-0.partial"
    stray.parent.mkdir(exist_ok=True)
    stray.touch()
    lines = (data / "index.tsv").read_bytes().splitlines(keepends=True)
    lines = [line for line in lines if not line.startswith(b"t4")]  # in the order in which they were done
    (data / "index.tsv").write_bytes(b"".join(lines)[:-3])
    cut = lines[-1].split(b"\t")[0].decode()
    assert prepare(Index(tracks), data).made == len({"t1", "t2", "t3", "t4", cut})
    assert not stray.exists()
    store = Store.open(data)
    assert store.frames("t1") == 126
    assert sorted(store.ids) == [track.id for track in tracks]
    assert prepare(Index(tracks[:1]), data) == Prepared(0, 1, 0)
    assert len(Store.open(data).ids) == 6  # those of other indexes stay


@pytest.mark.slow
@pytest.mark.parametrize(
    ("prepare_folder", "options", "message"),
    [
        (lambda data: (data / "song.wav").touch(), (), "holds other files, and no store"),
        (lambda data: data.rmdir(), ("--audio", "nowhere"), "--audio nowhere: no such folder"),
        (lambda data: (data.rmdir(), data.touch()), (), "cannot write"),
        (lambda data: (data / "store.json").write_text("{}"), (), "give another folder"),
    ],
)
def test_a_folder_that_is_no_store_is_left_alone(
    music_index: Path, tmp_path: Path, prepare_folder: Callable[[Path], object], options: tuple[str, ...], message: str
) -> None:
    (tmp_path / "data").mkdir()
    prepare_folder(tmp_path / "data")
    done = run_cli("train", "prepare", music_index, "--out", tmp_path / "data", *options)
    assert done.status in (1, 2)
    assert message in done.message
    assert not list(tmp_path.rglob("*.npy"))


@pytest.mark.slow
def test_a_store_has_one_type(music_index: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert run_cli("train", "prepare", music_index, "--out", data, "--dtype", "float16").status == 0
    done = run_cli("train", "prepare", music_index, "--out", data, "--dtype", "float32")
    assert (done.status, done.message) == (
        2,
        f"streamtag: {data} holds float16: give --dtype float16, or another folder for float32",
    )
    assert run_cli("train", "prepare", music_index, "--out", data).stdout == f"{data}: 0 made, 6 kept\n"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_goes_on(
    music_index: Path, tmp_path: Path, start: Callable[..., Running], number: signal.Signals
) -> None:
    long = tmp_path / "5.wav"
    soundfile.write(long, np.random.default_rng(0).uniform(-0.5, 0.5, 16_000 * 3600).astype(np.float32), 16_000)
    data = tmp_path / "data"
    running = start("train", "prepare", music_index, "--out", data, "--jobs", "1")

    def at_the_long_one() -> bool:
        return (
            bool(list((data / "power").rglob("*.partial"))) and len((data / "index.tsv").read_bytes().splitlines()) == 6
        )

    wait_until(lambda: at_the_long_one() or running.process.poll() is not None, "the last file")
    running.process.send_signal(number)
    done = running.end()
    assert (done.status, done.message) == (128 + number, "")
    assert not list(data.rglob("*.partial"))
    assert sorted(Store.open(data).ids) == [f"t{other}" for other in range(5)]
    shutil.copy(tmp_path / "0.wav", long)
    assert run_cli("train", "prepare", music_index, "--out", data).stdout == f"{data}: 1 made, 5 kept\n"


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no such limit there")
def test_a_full_disk_is_said_and_nothing_half_is_left(music_index: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: what is longer cannot be written."""
    soundfile.write(tmp_path / "5.wav", np.zeros(160_000), 16_000)
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        f"sys.argv = ['streamtag', 'train', 'prepare', {str(music_index)!r}, '--out', {str(tmp_path / 'data')!r}, "
        "'--jobs', '1']\nfrom streamtag.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stderr.startswith(f"streamtag: cannot write {tmp_path / 'data' / array_file('t5')}: File too large")
    assert not list((tmp_path / "data").rglob("*.partial"))
    assert sorted(Store.open(tmp_path / "data").ids) == [f"t{number}" for number in range(5)]
