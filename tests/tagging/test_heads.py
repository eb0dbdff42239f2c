"""Heads at work: beside the model's tags, the same live as on files, in every sink."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from rich.console import Console

import streamtag
from streamtag.decoding.decode import open_audio
from streamtag.errors import HeadError, OptionError
from streamtag.files.offline import FileTagger
from streamtag.heads.file import load_head, write_head
from streamtag.heads.head import PlainHead
from streamtag.inference.base import Engine
from streamtag.osc.sink import OscSink
from streamtag.results import HeadFrame
from streamtag.sinks.base import HeadInfo
from streamtag.sinks.lines import JsonLines, TextLines
from streamtag.sinks.terminal import TerminalView
from streamtag.tagging.tagger import Tagger
from tests.support.osc import Receiver
from tests.support.program import run_cli
from tests.support.values import INFO, make_frame

HOP = 62
"""Frames: the nearest to a second."""


@pytest.fixture(scope="module")
def heads(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two heads: one of the pools, one of the embedding."""
    folder = tmp_path_factory.mktemp("heads")
    for name, features in (("pools", "mean_pool+max_pool"), ("emb", "penultimate")):
        done = run_cli("learn", clips, "--out", folder / f"{name}.head", "--features", features)
        assert done.status == 0, done.stderr
    return {name: folder / f"{name}.head" for name in ("pools", "emb")}


@pytest.fixture(scope="module")
def plain(heads: dict[str, Path]) -> list[PlainHead]:
    return [load_head(path) for path in heads.values()]


def sound(path: Path) -> tuple[np.ndarray, int]:
    with open_audio(path) as reader:
        return np.concatenate(list(reader.blocks())), reader.samplerate


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["sliding", "tensorflow"])
def test_live_and_file_say_the_same(clips: Path, plain: list[PlainHead], engine: Engine) -> None:
    """Live frames are not centred as musicnn's of a file are: 16 ms, no more than that."""
    new = clips.parent / "new.flac"
    samples, rate = sound(new)
    tagger = Tagger(hop=HOP * 0.016, smooth=0, engine=engine, heads=plain)
    frames = tagger.push(samples, rate)
    tagger = Tagger(hop=HOP * 0.016, smooth=0, engine=engine, heads=plain, centered=True)
    centred = tagger.push(samples, rate) + tagger.flush()
    whole = FileTagger("MSD_musicnn", 187, HOP, engine=engine, heads=plain).tag(new)
    for i, head in enumerate(plain):
        live, file = (np.stack([frame.heads[i].raw for frame in some]) for some in (frames, centred))
        assert np.abs(live - file[: len(live)]).max() < 0.15
        assert (live.argmax(axis=1) == file[: len(live)].argmax(axis=1)).mean() > 0.9
        features = np.stack([frame.heads[i].features for frame in centred])
        said = dict(whole.heads[head.name])
        np.testing.assert_allclose([said[label] for label in head.labels], head.of_file(features), atol=1e-4)
        assert frames[0].heads[i].top[0][0] == "breakdown"
        assert frames[-1].heads[i].top[0][0] == "drop"


def test_chunks_make_no_difference(clips: Path, plain: list[PlainHead]) -> None:
    samples, rate = sound(clips.parent / "new.flac")
    samples = samples[: 5 * rate]
    whole = Tagger(hop=0.25, heads=plain).push(samples, rate)
    tagger = Tagger(hop=0.25, heads=plain)
    parts = [
        frame for start in range(0, len(samples), 777) for frame in tagger.push(samples[start : start + 777], rate)
    ]
    assert len(whole) == len(parts) > 5
    for one, other in zip(whole, parts, strict=True):
        for said, again in zip(one.heads, other.heads, strict=True):
            np.testing.assert_array_equal(said.raw, again.raw)
            np.testing.assert_array_equal(said.scores, again.scores)
            assert (said.top, said.on, said.switched) == (again.top, again.on, again.switched)


def test_smoothing_is_that_of_the_tags_and_the_threshold_its_own(clips: Path, plain: list[PlainHead]) -> None:
    samples, rate = sound(clips.parent / "new.flac")
    tagger = Tagger(hop=0.25, smooth=0.5, head_threshold=0.6, top=2, heads=plain)
    frames = tagger.push(samples, rate)
    keep = np.exp(-tagger.hop / 0.5)
    for i in range(2):
        for before, after in pairwise(frames):
            expected = after.heads[i].raw + keep * (before.heads[i].scores - after.heads[i].raw)
            np.testing.assert_allclose(after.heads[i].scores, expected, atol=1e-6)
        assert ("drop", True) in [switch for frame in frames for switch in frame.heads[i].switched]
        assert "drop" in frames[-1].heads[i].on
        assert len(frames[0].heads[i].top) == 2
        for frame in frames:  # hysteresis: those between are on or off by what was before
            chances = dict(zip(plain[i].labels, frame.heads[i].scores, strict=True))
            assert {label for label, chance in chances.items() if chance >= 0.6} <= frame.heads[i].on
            assert frame.heads[i].on <= {label for label, chance in chances.items() if chance >= 0.48}
    assert [frame.on for frame in frames] == [
        frame.on for frame in Tagger(hop=0.25, smooth=0.5, level="auto").push(samples, rate)
    ]
    tagger.reset()
    np.testing.assert_array_equal(tagger.push(samples, rate)[0].heads[0].scores, frames[0].heads[0].scores)


def test_heads_rest_with_the_network(clips: Path, plain: list[PlainHead]) -> None:
    samples, rate = sound(clips.parent / "new.flac")
    music = samples[-5 * rate :]
    x = np.concatenate((music, np.zeros((7 * rate, *music.shape[1:]), np.float32), music[: 2 * rate]))
    frames = Tagger(hop=0.25, smooth=0.5, heads=plain, gate=-60).push(x, rate)
    free = Tagger(hop=0.25, smooth=0.5, heads=plain).push(x, rate)
    last = [frame.gated for frame in frames].index(True) - 1
    opened = next(i for i, frame in enumerate(frames) if i > last + 1 and not frame.gated)
    for i in range(2):
        assert frames[last].heads[i].on
        for before, frame in pairwise(frames[last:opened]):
            said = frame.heads[i]
            assert not said.raw.any()
            assert not len(said.features)
            assert (said.scores <= before.heads[i].scores).all()
        assert not said.scores.any()
        assert not said.on
        off = {label for frame in frames[last:opened] for label, on in frame.heads[i].switched if not on}
        assert off >= frames[last].heads[i].on
        np.testing.assert_array_equal(frames[opened].heads[i].raw, free[opened].heads[i].raw)


@pytest.mark.parametrize("engine", ["sliding", "tensorflow"])
def test_what_is_changed_while_it_plays_is_changed_for_heads_too(
    clips: Path, plain: list[PlainHead], engine: Engine
) -> None:
    samples, rate = sound(clips.parent / "new.flac")
    tagger = Tagger(hop=0.25, top=1, head_threshold=0.999, smooth=0, heads=plain, engine=engine)
    before = tagger.push(samples[: 4 * rate], rate)[-1]
    tagger.set_top(2)
    tagger.set_head_threshold(0.01)
    tagger.set_hop(0.512)
    after = tagger.push(samples[4 * rate : 5 * rate], rate)[-1]
    gone = tagger.release_all(5.0)
    tagger.reset_history()
    new = tagger.push(samples[5 * rate : 6 * rate], rate)[0]
    for i, head in enumerate(plain):
        assert (len(before.heads[i].top), len(after.heads[i].top)) == (1, 2)
        assert len(after.heads[i].features) == len(before.heads[i].features)
        chances = zip(head.labels, after.heads[i].scores, strict=True)
        assert after.heads[i].on == {label for label, chance in chances if chance >= 0.01}
        assert {label for label, _ in gone.heads[i].switched} == after.heads[i].on
        assert not gone.heads[i].on
        assert not gone.heads[i].scores.any()
        np.testing.assert_array_equal(new.heads[i].scores, new.heads[i].raw)


def test_heads_that_do_not_fit_are_refused(plain: list[PlainHead]) -> None:
    with pytest.raises(HeadError, match="learned on MSD_musicnn, not on MTT_musicnn"):
        Tagger("MTT_musicnn", heads=plain)
    with pytest.raises(HeadError, match="two heads are called"):
        Tagger(heads=[plain[0], plain[0]])
    with pytest.raises(HeadError, match="other weights"):
        Tagger(heads=[replace(plain[0], model_sha256="0" * 64)])
    with pytest.raises(HeadError, match="not on MTT_musicnn"):
        FileTagger("MTT_musicnn", heads=plain)


# --- the level ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("db", [-36, -18])
def test_a_head_is_right_at_any_level(clips: Path, plain: list[PlainHead], db: float) -> None:
    samples, rate = sound(clips.parent / "new.flac")
    quiet = samples * np.float32(10 ** (db / 20))
    as_it_is, changed = (Tagger(hop=HOP * 0.016, smooth=0, heads=plain).push(x, rate) for x in (samples, quiet))
    for i in range(len(plain)):
        for one, other in zip(as_it_is, changed, strict=True):
            assert one.heads[i].top[0][0] == other.heads[i].top[0][0]
            np.testing.assert_allclose(one.heads[i].raw, other.heads[i].raw, atol=0.1)
    assert all(frame.gain_db is not None for frame in changed), "the level is the head's"
    off = Tagger(hop=HOP * 0.016, smooth=0, heads=plain, level="off").push(quiet, rate)
    assert all(frame.gain_db is None for frame in off)
    assert any(np.abs(a.heads[1].raw - b.heads[1].raw).max() > 0.1 for a, b in zip(off, changed, strict=True))


def test_a_file_is_heard_as_its_head_was_learned(clips: Path, plain: list[PlainHead], tmp_path: Path) -> None:
    samples, rate = sound(clips.parent / "new.flac")
    soundfile.write(tmp_path / "quiet.wav", samples * 10 ** (-30 / 20), rate, "FLOAT")
    loud, quiet = (
        FileTagger("MSD_musicnn", heads=plain).tag(p) for p in (clips.parent / "new.flac", tmp_path / "quiet.wav")
    )
    np.testing.assert_allclose(loud.taggram, quiet.taggram, atol=0.1)
    exact = FileTagger("MSD_musicnn").tag(clips.parent / "new.flac")
    off = FileTagger("MSD_musicnn", heads=plain, level="off").tag(clips.parent / "new.flac")
    np.testing.assert_array_equal(exact.taggram, off.taggram)
    assert np.abs(exact.taggram - loud.taggram).max() > 0.01
    with pytest.raises(OptionError, match="expected auto or off"):
        FileTagger("MSD_musicnn", level="loud")  # type: ignore[arg-type] # refused is what no type checker would let pass


def test_heads_of_different_levels_are_refused_unless_one_is_given(clips: Path, plain: list[PlainHead]) -> None:
    mixed = [plain[0], replace(plain[1], level="off")]
    for make in (Tagger, partial(FileTagger, "MSD_musicnn"), partial(streamtag.live, input="demo")):
        with pytest.raises(HeadError, match=r"pools: auto, emb: off.*--level auto"):
            make(heads=mixed)
    assert len(Tagger(heads=mixed, level="auto").heads) == 2


def test_the_command_says_at_which_level_it_hears(clips: Path, heads: dict[str, Path], tmp_path: Path) -> None:
    clip = clips / "drop" / "0.flac"
    write_head(tmp_path / "old.head", replace(load_head(heads["emb"]), name="old", level="off"))
    assert "heard at --level auto" in run_cli("file", clip, "--head", heads["emb"]).message
    assert run_cli("file", clip, "--head", tmp_path / "old.head").message == ""
    done = run_cli("file", clip, "--head", heads["emb"], "--head", tmp_path / "old.head")
    assert done.status == 1
    assert "learn old again with --level auto" in done.message
    done = run_cli("file", clip, "--head", heads["emb"], "--head", tmp_path / "old.head", "--level", "auto")
    assert done.status == 0
    assert "the head old was learned with --level off, and hears --level auto now" in done.message
    live = ("live", "--input", clips.parent / "new.flac", "--duration", "1", "--format", "json")
    assert (
        "the head old was learned at the level of its clips" in run_cli(*live, "--head", tmp_path / "old.head").stderr
    )


# --- sinks --------------------------------------------------------------------------------------------------------

SAID = HeadFrame(
    name="My cues",
    raw=np.array([0.9, 0.1], np.float32),
    scores=np.array([0.75, 0.25], np.float32),
    top=(("drop", 0.75), ("build up", 0.25)),
    switched=(("build up", False), ("drop", True)),
    on=frozenset({"drop"}),
    features=np.zeros(3, np.float32),
)
WITH_HEAD = replace(INFO, heads=(HeadInfo("My cues", ("drop", "build up")),))


def test_osc_has_an_address_for_each_class() -> None:
    receiver = Receiver()
    sink = OscSink("127.0.0.1", receiver.port)
    sink.open(WITH_HEAD)
    sink.frame(make_frame(heads=(SAID,)))
    sink.close()
    messages = receiver.messages()
    receiver.socket.close()
    said = [(address, *values) for address, _, values in messages if address.startswith("/streamtag/head")]
    assert said == [
        ("/streamtag/head/my_cues", "drop", 0.75),
        ("/streamtag/head/my_cues/on/build_up", 0),
        ("/streamtag/head/my_cues/on/drop", 1),
        ("/streamtag/head/my_cues/drop", 0.75),
        ("/streamtag/head/my_cues/build_up", 0.25),
        ("/streamtag/head/my_cues/on/drop", 0),  # at the end no cue is left standing
    ]


def test_lines_and_the_view_show_heads() -> None:
    text, lines = io.StringIO(), io.StringIO()
    for sink in (TextLines(text), JsonLines(lines)):
        sink.open(WITH_HEAD)
        sink.frame(make_frame(heads=(SAID,)))
        sink.close()
    assert text.getvalue().rstrip().endswith("| My cues: drop 0.75  build up 0.25")
    assert json.loads(lines.getvalue())["heads"] == {"My cues": [["drop", 0.75], ["build up", 0.25]]}
    screen = io.StringIO()
    console = Console(file=screen, width=100)
    view = TerminalView(console, [])
    view.open(WITH_HEAD)
    view.frame(make_frame(heads=(SAID,)))
    view.close()
    shown = screen.getvalue()
    assert "My cues" in shown
    assert "build up" in shown


# --- the commands -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_live_with_two_heads_as_json(clips: Path, heads: dict[str, Path]) -> None:
    chosen = [part for path in heads.values() for part in ("--head", path)]
    done = run_cli("live", "--input", clips.parent / "new.flac", "--duration", "4", "--format", "json", *chosen)
    assert done.status == 0, done.stderr
    assert set(done.json[-1]["heads"]) == {"pools", "emb"}
    assert done.json[-1]["heads"]["emb"][0][0] == "breakdown"


def test_file_with_a_head_takes_the_heads_model(clips: Path, heads: dict[str, Path]) -> None:
    done = run_cli("file", clips / "drop" / "0.flac", "--head", heads["pools"], "--format", "json")
    assert done.json[0]["model"] == "MSD_musicnn"
    assert done.json[0]["heads"]["pools"][0][0] == "drop"
    assert "pools: drop" in run_cli("file", clips / "drop" / "0.flac", "--head", heads["pools"]).stdout


def test_the_command_refuses_what_does_not_fit(clips: Path, heads: dict[str, Path], tmp_path: Path) -> None:
    clip, head = clips / "drop" / "0.flac", heads["pools"]
    done = run_cli("file", clip, "--head", head, "--model", "MTT_musicnn")
    assert done.status == 1
    assert "give --model MSD_musicnn" in done.message
    (tmp_path / "bad.head").write_bytes(head.read_bytes()[:-9])
    for command in ("file", "live"):
        target = [clip] if command == "file" else ["--input", clip]
        done = run_cli(command, *target, "--head", tmp_path / "bad.head")
        assert done.status == 1
        assert "bad.head" in done.message
    done = run_cli("file", clip, "--head", head, "--window", "2")
    assert done.status == 0
    assert "learned from windows of 2.99 s" in done.stderr


@pytest.mark.slow
def test_the_session_in_python(clips: Path, plain: list[PlainHead]) -> None:
    with streamtag.live(input=str(clips.parent / "new.flac"), hop=0.25, heads=plain[:1]) as session:
        frame = next(iter(session))
    assert frame.heads[0].name == "pools"
