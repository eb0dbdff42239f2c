"""A collection to a library: once, whatever happens on the way."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from streamtag.errors import DataError, OptionError, SinkError
from streamtag.files.offline import FileTagger
from streamtag.library.hearing import Heard
from streamtag.library.known import Known
from streamtag.library.rows import path_of, text_of
from streamtag.library.store import TRACKS, Store
from streamtag.library.tag import tag_library
from streamtag.library.tidy import prune, tidy
from streamtag.library.workers import Workers
from tests.support.libraries import (
    InThread,
    Quiet,
    claimed_by_another,
    rows,
    settings,
    tagged,
    write_music,
    write_sound,
    written,
)
from tests.support.program import Running, run_cli
from tests.support.waiting import wait_until


def float32(values: object) -> np.ndarray:
    return np.array(values, np.float32)


@pytest.fixture
def music(tmp_path: Path) -> Path:
    return write_music(tmp_path / "music")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "store"


def test_a_row_says_what_file_mode_says(music: Path, out: Path) -> None:
    outcome, heard = tagged(music, out, features=("mean_pool", "max_pool"), windows=True, hop_frames=62)
    assert outcome.counts == {"tagged": 5, "failed": 1}
    assert len(heard) == 6
    found = rows(out, times=True)
    tagger = FileTagger("MTT_musicnn", 187, 62, features=("mean_pool", "max_pool"))
    for name in ("1.wav", "b/4.wav"):
        row, tags = found[str(music / name)], tagger.tag(music / name)
        np.testing.assert_array_equal(float32(list(row["tags"].values())), tags.taggram.mean(0))
        np.testing.assert_array_equal(float32(list(row["tags_max"].values())), tags.taggram.max(0))
        np.testing.assert_array_equal(float32(row["penultimate"]), tags.embeddings.mean(0))
        np.testing.assert_array_equal(float32(row["max_pool"]), tags.features["max_pool"].mean(0))
        np.testing.assert_array_equal(float32(row["mean_pool"]), tags.features["mean_pool"].mean(0))
        np.testing.assert_array_equal(float32([w["tags"] for w in row["windows"]]), tags.taggram)
        np.testing.assert_array_equal(float32([w["embedding"] for w in row["windows"]]), tags.embeddings)
        assert [w["start"] for w in row["windows"]] == tags.starts.tolist()
        assert tuple(row["tags"]) == tags.labels
        assert row["top_tags"] == [tag for tag, _ in tags.top(10)]
        assert (row["duration"], row["samplerate"], row["channels"]) == (tags.seconds, tags.samplerate, tags.channels)
        assert (row["decoder"], tuple(row["notes"]), row["error"]) == (tags.decoder, tags.notes, None)
        status = (music / name).stat()
        assert (row["bytes"], row["modified_ns"]) == (status.st_size, status.st_mtime_ns)
    broken = found[str(music / "broken.mp3")]
    assert "no sound in it" in broken["error"]
    assert broken["tags"] is None
    part = next((out / TRACKS).glob("day=*/part-*.parquet"))
    assert pq.read_schema(part).metadata[b"streamtag.library"].decode() == store_json(out)


def store_json(out: Path) -> str:
    return Store(out).settings.as_json()


def test_what_has_not_changed_is_kept(music: Path, out: Path) -> None:
    tagged(music, out)
    before = rows(out, times=True)
    outcome, heard = tagged(music, out)
    assert (outcome.counts, heard) == ({"kept": 5, "known": 1}, [])
    assert rows(out, times=True) == before

    write_sound(music / "1.wav", 77)
    os.utime(music / "3.wav", ns=(1, 1))  # another time, and the same content
    write_sound(music / "new.wav", 78)
    outcome, heard = tagged(music, out)
    assert heard == ["1.wav", "new.wav"]
    assert outcome.counts == {"tagged": 2, "kept": 4, "known": 1}
    after = rows(out)
    assert len(after) == 7
    assert after[str(music / "1.wav")]["tags"] != before[str(music / "1.wav")]["tags"]
    assert after[str(music / "3.wav")]["tags"] == before[str(music / "3.wav")]["tags"]
    tidy(Store(out))
    assert written(out) == 7
    assert rows(out) == after
    assert tagged(music, out)[1] == []


def test_files_that_were_moved_or_copied_are_not_heard_again(music: Path, out: Path) -> None:
    tagged(music, out)
    before = rows(out)
    (music / "1.wav").rename(music / "b" / "moved.wav")
    shutil.copy(music / "3.wav", music / "b" / "copy.wav")
    outcome, heard = tagged(music, out)
    assert heard == []
    assert outcome.counts == {"moved": 1, "copy": 1, "kept": 4, "known": 1}
    after = rows(out)
    assert after[str(music / "1.wav")]["removed"] is not None
    moved = after[str(music / "b" / "moved.wav")]
    assert moved == before[str(music / "1.wav")] | {"path": moved["path"]}
    copy = after[str(music / "b" / "copy.wav")]
    assert copy == after[str(music / "3.wav")] | {"path": copy["path"]}
    assert after[str(music / "3.wav")]["removed"] is None

    shutil.move(music / "b" / "moved.wav", music / "1.wav")  # and back
    outcome, heard = tagged(music, out)
    assert (heard, outcome.counts["moved"]) == ([], 1)
    assert rows(out)[str(music / "1.wav")] == before[str(music / "1.wav")]


@pytest.mark.parametrize("back", [False, True])
def test_what_was_moved_away_and_back_is_known_in_whatever_order_parts_are_read(
    back: bool, music: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts of the same moment have no order."""
    parts = Store.parts
    monkeypatch.setattr(Store, "parts", lambda store: parts(store)[:: -1 if back else 1])
    tagged(music, out)
    (music / "1.wav").rename(music / "b" / "moved.wav")
    tagged(music, out)
    (music / "b" / "moved.wav").rename(music / "1.wav")
    outcome, heard = tagged(music, out)
    assert (heard, outcome.counts["moved"]) == ([], 1)
    after = rows(out)
    assert after[str(music / "1.wav")]["removed"] is None
    assert after[str(music / "b" / "moved.wav")]["removed"] is not None


def test_copies_within_one_run_are_heard_once(tmp_path: Path, out: Path) -> None:
    music = tmp_path / "music"
    music.mkdir()
    write_sound(music / "a.wav", 1)
    for name in ("b.wav", "c.wav", "d.flac"):
        shutil.copy(music / "a.wav", music / name)
    outcome, heard = tagged(music, out)
    assert len(heard) == 2  # the other ending might be read otherwise
    assert outcome.counts == {"tagged": 2, "copy": 2}
    (tags,) = {tuple(row["tags"].values()) for row in rows(out).values()}
    assert len(tags) == 50


def test_what_is_gone_is_marked_if_asked(music: Path, out: Path) -> None:
    tagged(music, out)
    (music / "1.wav").unlink()
    assert rows(out)[str(music / "1.wav")]["removed"] is None
    said: list[str] = []
    assert prune([music], Store(out), said.append) == 1
    assert prune([music], Store(out), said.append) == 0
    assert said == []
    assert rows(out)[str(music / "1.wav")]["removed"] is not None

    music.rename(music.with_name("elsewhere"))
    assert prune([music], Store(out), said.append) == 0  # a disk that is away
    music.mkdir()
    assert prune([music], Store(out), said.append) == 0
    assert "its disk may be away" in said[-1]
    assert sum(row["removed"] is not None for row in rows(out).values()) == 1


def test_failures_are_kept_and_tried_again_when_asked(music: Path, out: Path) -> None:
    assert tagged(music, out)[0].counts["failed"] == 1
    assert tagged(music, out)[1] == []
    outcome, heard = tagged(music, out, retry=True)
    assert (outcome.counts["failed"], heard) == (1, ["broken.mp3"])
    (music / "gone.wav").symlink_to("nowhere")
    for _ in range(2):  # what the system has to do with is tried each time
        outcome, heard = tagged(music, out)
        assert (outcome.counts["failed"], heard) == (1, [])
        assert outcome.reasons == {"a link to what is not there": 1}
    (music / "gone.wav").unlink()
    write_sound(music / "gone.wav", 9)
    assert tagged(music, out)[1] == ["gone.wav"]


def test_a_store_of_another_kind_is_named(music: Path, out: Path, tmp_path: Path) -> None:
    tagged(music, out)
    for given, words in (
        ({"hop_frames": 62}, "a hop of 187 frames, and not 62"),
        ({"level": "auto"}, "level off, and not auto"),
        ({"features": ("max_pool",)}, "features penultimate, and not penultimate max_pool"),
        ({"windows": True}, "no rows of every window"),
    ):
        with pytest.raises(OptionError, match=words):
            Store.begun(out, settings(**given))
    text = (out / "streamtag.json").read_text()
    (out / "streamtag.json").write_text(text.replace("MTT_musicnn", "MSD_musicnn"))
    with pytest.raises(OptionError, match="model MSD_musicnn, and not MTT_musicnn: rows"):
        Store.begun(out, settings())
    (out / "streamtag.json").write_text(text.replace('"schema": 1', '"schema": 99'))
    with pytest.raises(DataError, match="newer streamtag"):
        Store(out)
    (out / "streamtag.json").write_text("{}")
    with pytest.raises(DataError, match="not what streamtag writes"):
        Store(out)
    with pytest.raises(OptionError, match="other files"):
        Store.begun(music, settings())
    with pytest.raises(DataError, match="holds no library"):
        Store(music)


def test_what_another_run_works_on_is_waited_for(music: Path, out: Path) -> None:
    store = Store.begun(out, settings())
    told = Quiet()
    ended = threading.Event()

    def other_run() -> None:
        with claimed_by_another(out, [music / "1.wav", music / "3.wav"]):
            ready.set()
            wait_until(lambda: bool(told.texts), "the run to wait")
            assert set(rows(out)) == {str(music / name) for name in ("b/0.wav", "b/2.wav", "b/4.wav", "broken.mp3")}
        ended.set()  # it was killed, and has written nothing

    ready = threading.Event()
    thread = threading.Thread(target=other_run)
    thread.start()
    assert ready.wait(60)
    ear = InThread(store.settings)
    outcome = tag_library([music], store, ear, told, jobs=1)
    thread.join()
    assert ended.is_set()
    assert told.texts == ["another run works on 2 of these files: waiting for it"]
    assert outcome.counts == {"tagged": 5, "failed": 1}
    assert len(rows(out)) == written(out) == 6


@pytest.mark.slow
def test_killed_at_any_time_and_run_twice_at_once(tmp_path: Path, out: Path, start: Callable[..., Running]) -> None:
    """In the end the rows are those of a run that nobody disturbed, each once."""
    music = write_music(tmp_path / "music", 30)
    shutil.copy(music / "1.wav", music / "copy.wav")
    tagged(music, tmp_path / "undisturbed")
    chance = random.Random(5)
    command = ("library", "tag", music, "--out", out, "--jobs", 1)
    deadline = time.monotonic() + 100
    for _ in range(4):
        running = [start(*command) for _ in range(2)]
        time.sleep(chance.uniform(0.5, 4))
        for one in running:
            one.process.kill()
            one.process.wait()
        assert time.monotonic() < deadline
    running = [start(*command) for _ in range(2)]
    for one in running:
        assert one.process.wait(100) in (0, 1)
    assert rows(out) == rows(tmp_path / "undisturbed")
    assert written(out) == 32


@pytest.mark.slow
def test_a_stop_keeps_what_is_done(tmp_path: Path, out: Path, start: Callable[..., Running]) -> None:
    music = write_music(tmp_path / "music", 12, 90)
    running = start("library", "tag", music, "--out", out, "--jobs", 1)
    wait_until(lambda: out.is_dir() and (out / "claims").exists(), "the run to begin")
    time.sleep(1)
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(30) == 130
    done = len(rows(out))
    assert done < 13
    counts = tagged(music, out)[0].counts
    assert counts["kept"] + counts["known"] == done
    assert len(rows(out)) == written(out) == 13


@pytest.mark.slow
def test_a_file_that_kills_its_worker_costs_this_file(
    music: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decoder that crashes, here by a module that Python loads at its start."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if 'streamtag.library.worker' in ' '.join(sys.orig_argv):\n"
        "    import streamtag.files.offline as offline\n"
        "    tag = offline.FileTagger.tag\n"
        "    def crash(self, path, **rest):\n"
        "        if str(path).endswith('3.wav'): os.kill(os.getpid(), 11)\n"
        "        return tag(self, path, **rest)\n"
        "    offline.FileTagger.tag = crash\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    store = Store.begun(out, settings())
    workers = Workers(store.settings, 1)
    outcome = tag_library([music], store, workers, Quiet(), jobs=1)
    assert outcome.counts == {"tagged": 4, "failed": 2}
    assert workers.died == 2
    assert rows(out)[str(music / "3.wav")]["error"] == "the program that hears it crashes on it (SIGSEGV)"


@pytest.mark.slow
def test_a_worker_that_was_killed_costs_nothing(music: Path, out: Path) -> None:
    store = Store.begun(out, settings())
    workers = Workers(store.settings, 1)
    assert workers.hear(str(music / "1.wav")).error is None
    (worker,) = workers._all
    worker._process.kill()
    assert tag_library([music], store, workers, Quiet(), jobs=1).counts["tagged"] == 5
    assert workers.died == 1


def test_what_is_not_there_is_told_and_has_no_row(music: Path, out: Path) -> None:
    store = Store.begun(out, settings())
    outcome = tag_library([music / "nowhere.wav", music / "b"], store, InThread(store.settings), Quiet(), jobs=1)
    assert outcome.counts == {"failed": 1, "tagged": 3}
    assert outcome.reasons == {"no such file": 1}
    assert len(rows(out)) == 3


def test_a_full_disk_is_said_and_nothing_is_half(music: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.begun(out, settings())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SinkError, match="No space left"):
        tag_library([music], store, InThread(store.settings), Quiet(), jobs=1)
    monkeypatch.undo()
    assert store.parts() == []
    assert tagged(music, out)[0].counts["tagged"] == 5


def test_a_file_that_changes_while_it_is_read_is_tried_again(music: Path, out: Path) -> None:
    store = Store.begun(out, settings())

    class Changes(InThread):
        def hear(self, path: str) -> Heard:
            heard = super().hear(path)
            if path.endswith("1.wav"):
                write_sound(Path(path), 99)
            return heard

    outcome = tag_library([music], store, Changes(store.settings), Quiet(), jobs=1)
    assert outcome.reasons["changed while it was read: run again"] == 1
    assert tagged(music, out)[1] == ["1.wav"]


def test_small_parts_are_put_together(music: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamtag.library.tag.PART_ROWS", 1)
    monkeypatch.setattr("streamtag.library.tidy.MANY_PARTS", 2)
    tagged(music, out)
    store, before = Store(out), rows(out)
    many = store.parts()
    assert len(many) == 6
    kept = {part: (out / TRACKS / part).read_bytes() for part in many}
    tidy(store)
    (whole,) = store.parts()
    assert rows(out) == before
    assert not any((out / TRACKS / part).exists() for part in many)

    for part, data in kept.items():  # as if it had been interrupted before they were removed
        (out / TRACKS / part).write_bytes(data)
    assert Store(out).parts() == [whole]
    for _ in range(2):
        tidy(Store(out))
        assert not any((out / TRACKS / part).exists() for part in many)
    assert tagged(music, out)[1] == []

    (out / TRACKS / whole).write_bytes(b"something else")
    with pytest.raises(DataError, match="damaged"):
        Known(Store(out))


def test_parts_that_another_run_adds_meanwhile_are_left_alone(
    music: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tagged(music, out)
    write_sound(music / "1.wav", 55)  # so that there is something to tidy
    tagged(music, out)
    write_sound(music / "late.wav", 56)

    def known_before_the_other_writes(store: Store) -> Known:
        known = Known(store)
        tagged(music, out)
        return known

    monkeypatch.setattr("streamtag.library.tidy.Known", known_before_the_other_writes)
    tidy(Store(out))
    assert str(music / "late.wav") in rows(out)
    assert len(rows(out)) == written(out) == 7


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' names are text")
def test_names_that_are_no_text(tmp_path: Path, out: Path) -> None:
    for name in (b"caf\xe9.wav", b"a\\xe9.wav", "ü\n.wav".encode()):
        write_sound(tmp_path / "a.wav", 1).rename(os.fsdecode(bytes(tmp_path) + b"/" + name))
    outcome, _ = tagged(tmp_path, out)
    assert outcome.counts == {"tagged": 1, "copy": 2}
    assert tagged(tmp_path, out)[0].counts == {"kept": 3}
    assert path_of(text_of("/caf\udce9.wav")) == "/caf\udce9.wav"
    assert path_of("/no\\xzz.wav") == "/no\\xzz.wav"


@pytest.mark.slow
def test_the_command_says_how_it_went(music: Path, out: Path) -> None:
    done = run_cli("library", "tag", music, "--out", out, "--jobs", 1)
    assert done.status == 1
    assert done.told == [f"streamtag: {music / 'broken.mp3'}: no sound in it: it is text"]
    first, second, third = done.stdout.splitlines()
    assert first == f"{out}: 5 tagged, 1 could not be heard"
    assert second.startswith("  0:00:18 of music in 0:00:")
    assert third == "  1 could not be heard: no sound in it: it is text"
    done = run_cli("library", "tag", music, "--out", out, "--jobs", 1)
    assert (done.status, done.message) == (0, "")
    assert done.stdout == f"{out}: 5 kept from before, 1 could not be heard before (--retry tries again)\n"
    done = run_cli("library", "tag", music, "--out", out, "--model", "MSD_musicnn")
    assert done.status == 2
    assert "was made with model MTT_musicnn, and not MSD_musicnn" in done.message
