"""Takes: what goes in comes out, also of damaged files and full disks; and again at its pace."""

from __future__ import annotations

import errno
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from streamtag.errors import DataError, SinkError
from streamtag.results import State, Stats, TagFrame
from streamtag.sinks.base import BaseSink, HeadInfo, SessionInfo
from streamtag.sinks.throttled import Throttled
from streamtag.takes import sink as module
from streamtag.takes.file import Take
from streamtag.takes.parts import stamped
from streamtag.takes.playing import Replay
from streamtag.takes.sink import RecordSink
from tests.support.values import INFO, make_frame, make_head, make_stats

WITH_HEAD = replace(INFO, heads=(HeadInfo("mood", ("calm", "wild")),))
ANY_TIME: Callable[[float], bool] = lambda _: True  # noqa: E731


class Kept(BaseSink):
    """Keeps what it is given."""

    name = "kept"

    def __init__(self) -> None:
        self.info: SessionInfo | None = None
        self.frames: list[TagFrame] = []
        self.said: list[Stats] = []

    def open(self, info: SessionInfo) -> None:
        self.info = info

    def frame(self, frame: TagFrame) -> None:
        self.frames.append(frame)

    def status(self, stats: Stats) -> None:
        self.said.append(stats)


def full_frame(index: int) -> TagFrame:
    """With all that a frame can have."""
    rng = np.random.default_rng(index)
    now = time.monotonic()
    return make_frame(
        index,
        raw=rng.random(50, np.float32),
        scores=rng.random(50, np.float32),
        embedding=rng.standard_normal(200, np.float32),
        calibrated=rng.random(50, np.float32) if index % 2 else None,
        switched=(("rock", True),) if index == 0 else (),
        heads=(make_head(features=np.empty(0, np.float32), switched=(("calm", True),) if index == 0 else ()),),
        gain_db=-3.2,
        music=0.9,
        change=0.1,
        section=0.5 if index == 1 else None,
        xyz=(0.1, -0.2, 0.3),
        captured=now - 0.014,
        arrived=now - 0.004,
        predicted=now,
    )


def record(path: Path, frames: list[TagFrame], statuses: list[Stats] | None = None) -> None:
    sink = RecordSink(path)
    sink.open(WITH_HEAD)
    for frame in frames:
        sink.frame(frame)
    for stats in statuses or []:
        sink.status(stats)
    sink.close()


def test_what_goes_in_comes_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART_SECONDS", 0.0)
    frames = [full_frame(index) for index in range(5)]
    stats = make_stats(state=State.RECOVERING, trouble="unplugged", warnings={"zeros": "all zeros"})
    record(tmp_path / "a.npz", frames, [stats])
    take = Take(tmp_path / "a.npz")
    assert take.info == WITH_HEAD
    *heard, last = [said for _, said in take]
    assert last == stats
    for frame, again in zip(frames, heard, strict=True):
        assert isinstance(again, TagFrame)
        assert again.latency_ms == pytest.approx(frame.latency_ms, abs=1e-3)
        now = stamped(again, 100.0)
        assert (now.captured, now.arrived, now.predicted) == pytest.approx((99.986, 99.996, 100.0))
        same = {name: getattr(frame, name) for name in ("captured", "arrived", "predicted")}
        assert replace(again, **same) == frame


def test_numpy_opens_it(tmp_path: Path) -> None:
    frames = [full_frame(2 * index) for index in range(3)]
    record(tmp_path / "a.npz", frames)
    with np.load(tmp_path / "a.npz") as arrays:
        np.testing.assert_array_equal(arrays["000000/scores"], [frame.scores for frame in frames])


def test_a_full_disk_costs_nothing_once_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART_SECONDS", 0.0)
    path = tmp_path / "a.npz"
    sink = RecordSink(path)
    sink.open(WITH_HEAD)
    sink.frame(full_frame(0))
    before = path.read_bytes()
    write = zipfile.ZipFile.writestr
    written = []

    def full(take: zipfile.ZipFile, name: str, data: bytes) -> None:
        written.append(name)
        if len(written) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(take, name, data)

    with monkeypatch.context() as patch:
        patch.setattr(zipfile.ZipFile, "writestr", full)
        sink.frame(full_frame(1))
    assert sink.trouble == f"cannot write {path}: No space left on device"
    assert path.read_bytes() == before, "what was there is as it was"
    sink.frame(full_frame(2))
    assert sink.trouble is None
    sink.close()
    assert [said.index for _, said in Take(path) if isinstance(said, TagFrame)] == [0, 1, 2]
    assert sink.drops == 0


def test_what_never_finds_room_is_bounded_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART_SECONDS", 0.0)
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    sink = RecordSink(tmp_path / "a.npz")
    sink.open(WITH_HEAD)
    (tmp_path / "a.npz").unlink()
    for index in range(5):
        sink.frame(full_frame(index))
    assert sink.drops == 2
    with pytest.raises(SinkError, match=r"No such file or directory; the last 3 results are not in it"):
        sink.close()
    assert sink.drops == 5


def test_a_take_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_text("last night")
    with pytest.raises(SinkError, match="exists"):
        RecordSink(tmp_path / "a.npz").open(INFO)
    assert (tmp_path / "a.npz").read_text() == "last night"


def test_what_is_no_take_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        Take(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("text")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    for name in ("text.npz", "other.npz"):
        with pytest.raises(DataError, match="is no take: `streamtag live --record` writes them"):
            Take(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "later.npz", "w") as later:
        later.writestr("take.json", '{"version": 2}')
    with pytest.raises(DataError, match="of version 2, and this streamtag reads 1"):
        Take(tmp_path / "later.npz")


def test_damage_is_told_with_its_place_and_arrays_of_objects_are_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    record(path, [full_frame(0)])

    def spoilt(spoil: Callable[[IO[bytes]], None]) -> Path:
        bad = tmp_path / "bad.npz"
        with zipfile.ZipFile(path) as good, zipfile.ZipFile(bad, "w") as copy:
            for name in good.namelist():
                if name.endswith("raw.npy") and "head" not in name:
                    with copy.open(name, "w") as member:
                        spoil(member)
                else:
                    copy.writestr(name, good.read(name))
        return bad

    objects = np.array([{"a": 1}], dtype=object)
    for spoil in (
        lambda member: member.write(b"\x93NUMPY"),
        lambda member: np.save(member, np.zeros((0, 50), np.float32)),
        lambda member: np.save(member, objects, allow_pickle=True),
    ):
        with pytest.raises(DataError, match="is damaged: its part 0 cannot be read"):
            list(Take(spoilt(spoil)))


def test_a_replay_gives_sinks_what_they_were_given(tmp_path: Path) -> None:
    frames = [full_frame(index) for index in range(4)]
    record(tmp_path / "a.npz", frames, [make_stats(), make_stats(state=State.FAILED)])
    kept = Kept()
    Replay(Take(tmp_path / "a.npz"), [kept]).run(ANY_TIME)
    assert kept.info == replace(WITH_HEAD, source="take a.npz")
    for frame, again in zip(frames, kept.frames, strict=True):
        assert again.top == frame.top
        np.testing.assert_array_equal(again.embedding, frame.embedding)
        assert again.captured is not None
        assert again.predicted is not None
        assert frame.predicted is not None
        assert again.predicted >= frame.predicted
    assert [frame.switched for frame in kept.frames] == [(("rock", True),), (), (), ()]
    assert kept.frames[0].heads[0].switched == (("calm", True),)
    assert [stats.state for stats in kept.said] == [State.RUNNING, State.FINISHED]


def test_a_replay_waits_until_it_is_time(tmp_path: Path) -> None:
    began = time.monotonic()
    frames = [replace(full_frame(index), predicted=began + 1000 + index) for index in range(3)]
    record(tmp_path / "a.npz", frames)
    moments: list[float] = []

    def wait(until: float) -> bool:
        moments.append(until)
        return len(moments) < 3

    kept = Kept()
    Replay(Take(tmp_path / "a.npz"), [kept], start=999.0).run(wait)
    assert len(kept.frames) == 2, "it ends where it is told to"
    assert np.diff(moments) == pytest.approx([1.0, 1.0], abs=1e-4)


def test_a_start_in_between_and_a_loop_switch_what_differs_and_time_goes_on(tmp_path: Path) -> None:
    on_then = [{"rock"}, {"rock", "pop"}, {"pop"}]
    began = time.monotonic()
    frames = [
        make_frame(index, on=frozenset(on), predicted=began + 10 + index, captured=began)
        for index, on in enumerate(on_then)
    ]
    path = tmp_path / "a.npz"
    sink = RecordSink(path)
    sink.open(INFO)
    for frame in frames:
        sink.frame(frame)
    sink.close()
    kept, throttled = Kept(), Kept()
    turns = iter([True] * 4 + [False])
    replay = Replay(Take(path), [kept, Throttled(throttled, 1 / INFO.hop)], start=10.5, loop=True)
    replay.run(lambda _: next(turns))
    assert [dict(frame.switched) for frame in kept.frames] == [
        {"rock": True, "pop": True},
        {"rock": False},
        {"rock": True},
        {"rock": False},
    ]
    assert np.diff([frame.time for frame in kept.frames]) == pytest.approx([INFO.hop] * 3)
    assert len(throttled.frames) == 4, "a rate is kept by the frames' time"
