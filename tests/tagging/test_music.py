"""What is not music: the shipped heads, the gate, and that nothing else changes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

import streamtag
from streamtag.errors import OptionError
from streamtag.inference.networks.specs import SPECS
from streamtag.tagging.music import shipped_music_head
from streamtag.tagging.tagger import Tagger

RATE = 16_000
MODELS = ("MSD_musicnn", "MTT_musicnn")


@functools.cache
def song() -> np.ndarray:
    """10 s of the demo clip."""
    path = Path(streamtag.__file__).with_name("demo") / "demo.ogg"
    sound, rate = soundfile.read(path, dtype="float32", always_2d=True, frames=441_000)
    assert rate == 44_100
    return np.ascontiguousarray(sound.mean(axis=1))


def white(seconds: float = 10) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 0.1, int(seconds * 44_100)).astype(np.float32)


def clicks() -> np.ndarray:
    """A metronome."""
    sound = np.zeros(441_000, np.float32)
    click = np.sin(2 * np.pi * 1500 * np.arange(882) / 44_100) * np.exp(-np.arange(882) / 150)
    for start in range(0, 440_000, 22_050):
        sound[start : start + 882] = 0.5 * click
    return sound


def hum() -> np.ndarray:
    time = np.arange(441_000) / 44_100
    partials = [0.1 / k * np.sin(2 * np.pi * 50 * k * time) for k in (1, 2, 3, 5, 7)]
    return np.sum(partials, axis=0).astype(np.float32)


def tagger(model: str = "MSD_musicnn", **options: object) -> Tagger:
    return Tagger(model, hop=0.128, level="auto", **options)  # type: ignore[arg-type] # by name


@pytest.mark.parametrize("model", MODELS)
def test_each_musicnn_model_ships_with_a_head_that_says_what_it_was_learned_from(model: str) -> None:
    head = shipped_music_head(SPECS[model])
    assert head is not None
    assert head.labels == ("music",)
    assert head.level == "auto"
    assert len(head.facts["other"]) > 60
    assert min(head.facts["windows"].values()) > 3000


def test_vgg_has_none_and_then_nothing_is_said() -> None:
    assert shipped_music_head(SPECS["MTT_vgg"]) is None
    (frame,) = Tagger("MTT_vgg", hop=5, music="gate").push(white(3.5), 44_100)
    assert frame.music is None
    assert frame.scores.any()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("db", [-24, 0])
def test_music_is_music_at_any_level(model: str, db: float) -> None:
    frames = tagger(model, music="gate").push(song() * np.float32(10 ** (db / 20)), 44_100)
    plain = tagger(model).push(song() * np.float32(10 ** (db / 20)), 44_100)
    assert min(frame.music for frame in frames if frame.music is not None) > 0.5
    for frame, before in zip(frames, plain, strict=True):
        np.testing.assert_array_equal(frame.scores, before.scores)
        assert frame.on == before.on


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("sound", [white, clicks, hum])
def test_tags_rest_while_there_is_no_music(model: str, sound: Callable[[], np.ndarray]) -> None:
    frames = tagger(model, music="gate").push(sound(), 44_100)
    told = tagger(model, music="tell").push(sound(), 44_100)
    for frame, other in zip(frames, told, strict=True):
        assert frame.music == other.music
        assert frame.music is not None
        assert frame.music < 0.5
        assert not frame.gated
        assert not frame.on
        assert not frame.scores.any()
        assert frame.top == ()
        assert frame.raw.any(), "the model's own numbers stay"
        np.testing.assert_array_equal(frame.raw, other.raw)
        np.testing.assert_array_equal(frame.embedding, other.embedding)


def test_tags_come_with_the_music_and_go_with_it() -> None:
    sound = np.concatenate([white(6), song(), white(16)])
    frames = tagger(music="gate").push(sound, 44_100)
    states = [bool(frame.scores.any()) for frame in frames]
    assert not states[0]
    assert any(states)
    assert not states[-1]
    assert sum(one != other for one, other in pairwise(states)) == 2
    switched = [entry for frame in frames for entry in frame.switched]
    assert sorted(tag for tag, on in switched if on) == sorted(tag for tag, on in switched if not on)


def test_the_end_of_the_music_is_heard_sooner_where_scores_react() -> None:
    sound = np.concatenate([song(), white(8)])

    def end(react: str) -> float:
        frames = tagger(music="tell", react=react).push(sound, 44_100)
        return next(frame.time for frame in frames if frame.time > 10 and frame.music is not None and frame.music < 0.4)

    assert end("normal") < end("off") - 0.5


def test_chunks_make_no_difference() -> None:
    sound = np.concatenate([white(4), song()[: 4 * 44_100]])
    whole = tagger(music="gate").push(sound, 44_100)
    by_parts = tagger(music="gate")
    assert [frame for part in np.array_split(sound, 61) for frame in by_parts.push(part, 44_100)] == whole


def test_silence_is_no_music_and_a_new_stream_begins_anew() -> None:
    one = tagger(music="gate", gate=-60)
    frames = one.push(np.concatenate([song(), np.zeros(12 * 44_100, np.float32)]), 44_100)
    assert frames[-1].music is not None
    assert frames[-1].music < 0.01
    one.reset()
    first = one.push(song(), 44_100)[0]
    assert first == tagger(music="gate", gate=-60).push(song(), 44_100)[0]


def test_nothing_is_asked_where_it_is_off() -> None:
    plain = Tagger("MSD_musicnn", hop=0.5).push(white(5), 44_100)
    assert all(frame.music is None for frame in plain)
    with pytest.raises(OptionError, match="expected gate, tell, off"):
        Tagger(music="on")  # type: ignore[arg-type] # what a hurried caller writes
