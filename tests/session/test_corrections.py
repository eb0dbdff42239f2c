"""Corrections while it plays: real sessions with a real head, told over real UDP."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import streamtag
from streamtag.decoding.decode import open_audio
from streamtag.engine import Session
from streamtag.errors import HeadError, OptionError
from streamtag.heads.file import load_head
from streamtag.heads.head import PlainHead
from streamtag.osc.control import ControlPort
from streamtag.osc.sink import message
from streamtag.results import TagFrame
from streamtag.session import corrections
from streamtag.session.corrections import Corrections
from streamtag.sinks.base import BaseSink
from streamtag.tagging.tagger import Tagger
from tests.support.program import run_cli
from tests.support.values import make_frame, make_head
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow


class Kept(BaseSink):
    """Keeps frames."""

    name = "kept"

    def __init__(self) -> None:
        self.frames: list[TagFrame] = []

    def frame(self, frame: TagFrame) -> None:
        self.frames.append(frame)


class Playing:
    """A session on the walk-through's new file, over and over, and a socket to steer it."""

    def __init__(self, new: Path, heads: list[PlainHead], **options: Any) -> None:
        self.kept, self.control = Kept(), ControlPort("127.0.0.1", 0)
        self.session: Session = streamtag.live(
            input=str(new), sinks=[self.kept], loop=True, control=self.control, hop=0.064, heads=heads, **options
        )
        self.session.start()

    def tell(self, *arguments: str | float) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(message("/streamtag/correct", *arguments).dgram, self.control.address)

    def wait_for_frames(self, count: int) -> None:
        wanted = len(self.kept.frames) + count
        wait_until(lambda: len(self.kept.frames) >= wanted, f"{count} frames")

    def wait_for_corrections(self, count: int) -> None:
        wait_until(lambda: self.session.stats.corrections >= count, f"{count} corrections, {self.session.stats}")


@pytest.fixture(scope="module")
def head(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> PlainHead:
    path = tmp_path_factory.mktemp("heads") / "cues.head"
    done = run_cli("learn", clips, "--out", path, "--features", "penultimate")
    assert done.status == 0, done.stderr
    return load_head(path)


@pytest.fixture
def playing(clips: Path, head: PlainHead, tmp_path: Path) -> Iterator[Playing]:
    playing = Playing(clips.parent / "new.flac", [head], save_heads={"cues": tmp_path / "better.head"})
    yield playing
    playing.session.stop()


def test_the_head_learns_while_it_plays_and_no_result_is_missing(
    playing: Playing, head: PlainHead, tmp_path: Path
) -> None:
    playing.wait_for_frames(60)
    playing.tell("none")
    playing.wait_for_corrections(1)
    after = len(playing.kept.frames)
    playing.wait_for_frames(20)
    assert playing.control.last_ignored is None
    better = load_head(tmp_path / "better.head")
    assert better.examples is not None
    rows = better.examples.rows[better.examples.are_corrections]
    assert 1 <= len(rows) <= 7
    assert (better.decision.probabilities(rows).argmax(axis=1) == head.labels.index("none")).all()
    assert not (head.decision.probabilities(rows).argmax(axis=1) == head.labels.index("none")).any()
    said = playing.kept.frames[after + 2].heads[0]
    np.testing.assert_allclose(said.raw, better.decision.probabilities(said.features[None])[0], atol=1e-6)
    playing.session.stop()
    stats, indices = playing.session.stats, [frame.index for frame in playing.kept.frames]
    assert sum(later - earlier - 1 for earlier, later in pairwise(indices)) <= stats.hops_skipped
    assert stats.hops == len(indices)
    assert playing.session.corrections_waiting == 0
    assert "correction" not in stats.warnings


def test_corrections_add_up_and_the_newest_word_holds(playing: Playing, head: PlainHead) -> None:
    playing.wait_for_frames(60)
    playing.session.correct("none", seconds=5)
    playing.session.correct("cues/drop", seconds=5)
    playing.wait_for_corrections(2)
    playing.wait_for_frames(2)
    (now,) = playing.session.tagger.heads
    assert now.examples is not None
    assert head.examples is not None
    labels = now.examples.targets[now.examples.are_corrections]
    assert labels[:, head.labels.index("drop")].sum() > labels[:, head.labels.index("none")].sum()
    assert len(now.examples.rows) == len(head.examples.rows) + len(labels)


def test_what_cannot_be_corrected_is_told(playing: Playing) -> None:
    playing.tell("polka")
    wait_until(lambda: playing.control.ignored, "the command")
    assert "no class 'polka' (cues: breakdown, drop, none)" in str(playing.control.last_ignored)
    with pytest.raises(OptionError, match="nothing was heard in the last 3 s"):
        playing.session.correct("drop")
    for seconds in (0, -1, 10.5, float("nan")):
        with pytest.raises(OptionError, match=r"more than 0 and at most 10 seconds"):
            playing.session.correct("drop", seconds)
    playing.wait_for_frames(1)
    playing.session.stop()
    with pytest.raises(OptionError, match="the session has ended"):
        playing.session.correct("drop")
    assert playing.session.stats.corrections == 0


def test_a_learner_that_fails_is_told_and_what_plays_goes_on(
    playing: Playing, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(corrections, "LEARNER", "streamtag.no_such_module")
        playing.wait_for_frames(1)
        playing.session.correct("drop")
        wait_until(lambda: "correction" in playing.session.stats.warnings, "a warning")
    assert "a correction was not learned" in playing.session.stats.warnings["correction"]
    assert "no_such_module" in playing.session.stats.warnings["correction"]
    assert playing.session.stats.corrections == 0
    assert not (tmp_path / "better.head").exists()
    playing.wait_for_frames(1)
    playing.session.correct("drop")
    playing.wait_for_corrections(1)
    wait_until(lambda: "correction" not in playing.session.stats.warnings, "the end of the warning")


def test_what_is_to_be_saved_is_learned_before_the_session_ends(playing: Playing, tmp_path: Path) -> None:
    playing.wait_for_frames(30)
    playing.session.correct("drop")
    playing.session.stop()
    assert playing.session.stats.corrections == 1
    assert load_head(tmp_path / "better.head").facts["corrections"]["windows"] >= 1


# --- without a session --------------------------------------------------------------------------------------------


def test_scores_go_on_through_a_swap(clips: Path, head: PlainHead) -> None:
    with open_audio(clips.parent / "new.flac") as reader:
        samples, rate = np.concatenate(list(reader.blocks())), reader.samplerate
    samples, half = samples[: 8 * rate], 5 * rate
    arrays = {**head.decision.arrays, "intercept": head.decision.arrays["intercept"] + [2.0, 0.0, -2.0]}
    turned = replace(head, decision=replace(head.decision, arrays=arrays))
    whole = Tagger(hop=0.25, smooth=0.5, heads=[head]).push(samples, rate)
    tagger = Tagger(hop=0.25, smooth=0.5, heads=[head])
    before = tagger.push(samples[:half], rate)
    tagger.swap_head(turned)
    frames = before + tagger.push(samples[half:], rate)
    assert [frame.index for frame in frames] == [frame.index for frame in whole]
    keep = np.exp(-tagger.hop / 0.5)
    for one, other in pairwise(frames):
        said = other.heads[0]
        np.testing.assert_allclose(said.scores, said.raw + keep * (one.heads[0].scores - said.raw), atol=1e-6)
    for stranger in (replace(head, name="b"), replace(head, labels=head.labels[::-1])):
        with pytest.raises(HeadError, match="takes the place of none"):
            tagger.swap_head(stranger)


def test_what_was_discarded_or_is_long_ago_is_not_corrected(head: PlainHead) -> None:
    kept = Corrections(Tagger(window=0.32, heads=[head]), lambda _: None)
    heard, rested = (make_head("cues", features=np.zeros(size, np.float32)) for size in (200, 0))
    kept.hear(make_frame(time=10.0, heads=(heard,)))
    kept.forget()
    with pytest.raises(OptionError, match="nothing was heard in the last 10 s"):
        kept.correct("drop", 10)
    kept.hear(make_frame(time=11.0, heads=(heard,)))
    kept.hear(make_frame(time=16.0, heads=(rested,)))
    with pytest.raises(OptionError, match="nothing was heard in the last 4 s"):
        kept.correct("drop", 4)


def test_which_head_is_meant(head: PlainHead) -> None:
    tagger = Tagger(window=0.32, heads=[head, replace(head, name="Other", labels=("a/b", "drop", "Build up"))])
    kept = Corrections(tagger, lambda _: None)
    kept.hear(make_frame(heads=(make_head("cues", features=np.zeros(200, np.float32)),)))
    for text, said in (
        ("drop", r"cues and Other have a class drop: say which, for example cues/drop"),
        ("nowhere/drop", "no class 'nowhere/drop'"),
        ("other/build_up", "nothing was heard"),
        ("a/b", "nothing was heard"),
        ("Other/drop", "nothing was heard"),
    ):
        with pytest.raises(OptionError, match=said):
            kept.correct(text)
    old = Corrections(Tagger(window=0.32, heads=[replace(head, examples=None)]), lambda _: None)
    with pytest.raises(OptionError, match="without the examples that it needs to learn again"):
        old.correct("drop")
    with pytest.raises(OptionError, match="there is no head to correct"):
        Corrections(Tagger(window=0.32), lambda _: None).correct("drop")
    with pytest.raises(OptionError, match="no head is called b"):
        Corrections(tagger, lambda _: None, {"b": "b.head"})


# --- the command --------------------------------------------------------------------------------------------------


def test_the_command_refuses_to_write_over_the_head_it_plays(clips: Path, head: PlainHead, tmp_path: Path) -> None:
    path = tmp_path / "cues.head"
    done = run_cli("learn", clips, "--out", path, "--features", "penultimate")
    before = path.read_bytes()
    live = ("live", "--input", clips.parent / "new.flac", "--duration", "1")
    done = run_cli(*live, "--head", path, "--save-head", path)
    assert done.status == 2
    assert "it is read, too" in done.message
    done = run_cli(*live, "--save-head", path)
    assert done.status == 2
    assert "1 --save-head for 0 --head" in done.message
    assert path.read_bytes() == before
