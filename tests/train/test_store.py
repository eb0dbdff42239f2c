"""The store of spectrograms: as published to the last bit of float16, and safe against what happens to files."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamtag.dsp.params import N_MELS
from streamtag.errors import DataError, SinkError
from streamtag.train import store as stores
from streamtag.train.store import Float, Store, Stored, array_file, read_stored, write_power
from tests.support.oracle import figures as oracle
from tests.support.oracle import needs_oracle
from tests.support.stores import store_of


def power(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).exponential(1, (frames, N_MELS)).astype(np.float32)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_what_is_written_is_read(tmp_path: Path, dtype: Float) -> None:
    first, second = power(40), power(1, 1)
    store = store_of(tmp_path, {"a/ü\t1": first, "2": second}, dtype)
    assert store.ids == ("a/ü\t1", "2")
    assert store.frames("a/ü\t1") == 40
    assert isinstance(store.power("2"), np.memmap)
    np.testing.assert_array_equal(store.power("a/ü\t1"), first.astype(dtype))
    frames = store.log_mel("a/ü\t1", 3, 30)
    assert frames.dtype == np.float32
    exact = np.log10(10_000 * first.astype(dtype)[3:33].astype(np.float64) + 1)
    np.testing.assert_allclose(frames, exact, atol=5e-7)
    with pytest.raises(ValueError, match="frames 11 to 41 of 40"):
        store.log_mel("a/ü\t1", 11, 30)
    with pytest.raises(DataError, match="has no track 'x'"):
        store.frames("x")


def test_blocks_make_one_array(tmp_path: Path) -> None:
    array = power(1000)
    parts = np.split(array, [0, 1, 300, 999])
    assert write_power(tmp_path / "a.npy", parts, "float32") == 1000
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy", allow_pickle=False), array)
    plain = io.BytesIO()
    np.save(plain, array)
    assert (tmp_path / "a.npy").read_bytes() == plain.getvalue()


def test_loud_music_needs_the_logarithm_in_float32(tmp_path: Path) -> None:
    """The published expression on float16 stays float16 under NumPy 2, and is infinite from a power of 6.55 on."""
    loud = np.full((2, N_MELS), 806, np.float32)
    store = store_of(tmp_path, {"loud": loud}, "float16")
    with np.errstate(over="ignore"):
        assert np.isinf(np.log10(10_000 * np.asarray(store.power("loud")) + 1)).all()
    np.testing.assert_allclose(store.log_mel("loud", 0, 2), np.log10(8.06e6 + 1), rtol=1e-6)


def test_what_float16_cannot_hold_is_its_largest_number(tmp_path: Path) -> None:
    store = store_of(tmp_path, {"a": np.full((1, N_MELS), 1e9, np.float32)}, "float16")
    np.testing.assert_array_equal(store.power("a"), 65504)
    assert np.isfinite(store.log_mel("a", 0, 1)).all()


@needs_oracle
@pytest.mark.parametrize("signal", ["mono16k", "long16k", "silence", "loud_square"])
def test_logarithm_is_the_published_one(tmp_path: Path, signal: str) -> None:
    known = oracle("preprocess")
    store = store_of(tmp_path, {signal: known[f"{signal}/stored"]}, "float16")
    for number, patch in enumerate(known[f"{signal}/logC/patches"]):
        np.testing.assert_allclose(store.log_mel(signal, number * len(patch), len(patch)), patch, atol=5e-7)


# --- what happens to files ----------------------------------------------------------------------------------------


def test_the_last_line_of_a_track_holds_and_one_cut_off_is_none(tmp_path: Path) -> None:
    store_of(tmp_path, {"a": power(5), "b": power(6)})
    with (tmp_path / "index.tsv").open("a") as index:
        index.write(Stored("a", array_file("a"), 5, "new.wav", 1, 2).line())
        index.write(Stored("c", array_file("c"), 5, "c.wav", 1, 2).line()[:-3])
    assert {name: track.audio for name, track in read_stored(tmp_path).items()} == {"b": "b.wav", "a": "new.wav"}


def test_a_wrong_line_of_the_index_is_named(tmp_path: Path) -> None:
    store_of(tmp_path, {"a": power(5)})
    with (tmp_path / "index.tsv").open("a") as index:
        index.write("c\tpower/c.npy\tmany\tc.wav\t1\t2\nd\n")
    with pytest.raises(DataError, match=r"index\.tsv: line 3 "):
        Store.open(tmp_path)


@given(name=st.text(max_size=12), audio=st.text(alphabet="a\\tnr\t\n\r\udcff", max_size=12))
@settings(max_examples=200, deadline=None)
def test_any_name_survives_the_index(name: str, audio: str) -> None:
    track = Stored(name, "power/x.npy", 1, audio, 2, 3)
    line = track.line()
    assert line.count("\t") == 5
    assert line.index("\n") == len(line) - 1
    assert Stored.of_line(line[:-1]) == track


@pytest.mark.parametrize("damage", ["cut", "pickled", "other", "gone"])
def test_a_damaged_array_is_named(tmp_path: Path, damage: str) -> None:
    store = store_of(tmp_path, {"a": power(50)})
    path = tmp_path / array_file("a")
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    elif damage == "pickled":
        np.save(path, np.array([{"a": 1}]), allow_pickle=True)
    elif damage == "other":
        np.save(path, power(49))
    else:
        path.unlink()
    with pytest.raises(DataError, match=r"\.npy: .*`streamtag train prepare` makes it again"):
        store.power("a")


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no store of spectrograms"):
        Store.open(tmp_path)
    stores.write_parameters(tmp_path, "float32")
    with pytest.raises(DataError, match="holds no tracks yet"):
        Store.open(tmp_path)
    (tmp_path / "store.json").write_text(json.dumps({**stores.parameters("float32"), "n_mels": 128}))
    with pytest.raises(DataError, match="of another kind"):
        Store.open(tmp_path)
    (tmp_path / "store.json").write_text("[]")
    with pytest.raises(DataError, match="give another folder"):
        Store.open(tmp_path)


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    def blocks():
        yield power(10)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_power(tmp_path / "ab" / "a.npy", blocks(), "float32")
    assert not list((tmp_path / "ab").iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match="cannot write"):
        write_power(tmp_path / "file" / "a.npy", [power(1)], "float32")
