"""Frames are values: equal where they say the same, usable in sets, and short to read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import streamtag
from streamtag.heads.head import Decision, PlainHead
from streamtag.results import TagFrame
from streamtag.tagging.options import TaggingOptions
from tests.support.sessions import RATE, SOUND, make_tagger
from tests.support.values import make_stats


@pytest.fixture
def frames() -> list[TagFrame]:
    return make_tagger(threshold=0.05).push(SOUND[:RATE], RATE)


def test_frames_are_equal_where_all_they_say_is(frames: list[TagFrame]) -> None:
    again = make_tagger(threshold=0.05).push(SOUND[:RATE], RATE)
    assert frames == again
    assert frames[0] != frames[1]
    assert frames[0] != "something else"
    assert len({*frames, *again}) == len(frames)
    other = replace(frames[0], raw=frames[0].raw + np.float32(1e-6))
    assert other != frames[0], "every number counts"
    assert other.index == frames[0].index


def test_frames_can_be_read(frames: list[TagFrame]) -> None:
    shown = repr(frames[-1])
    (tag, score), *_ = frames[-1].top
    assert f"{tag} {score:.2f}" in shown
    assert f"{frames[-1].time:.3f} s" in shown
    assert len(shown) < 600
    assert len(repr(replace(frames[-1], on=frozenset()))) < 250
    silent = make_tagger().push(np.zeros(RATE, np.float32), RATE)[-1]
    assert repr(silent).endswith("nothing; on: nothing)")


def test_what_a_file_gave_can_be_read_and_compared(music) -> None:
    tags = streamtag.FileTagger("MTT_musicnn").tag(music)
    assert repr(tags).startswith(f"FileTags({str(music)!r}, 32.0 s, 10 patches: ")
    assert len(repr(tags)) < 250
    assert tags == streamtag.FileTagger("MTT_musicnn").tag(music)
    assert tags != replace(tags, seconds=1.0)


def test_what_holds_arrays_by_name_can_be_compared_and_kept_in_sets(music) -> None:
    tagger = streamtag.FileTagger("MTT_musicnn", features=["mean_pool"])
    tags, again = tagger.tag(music), tagger.tag(music)
    assert len({tags, again}) == 1
    louder = {name: value + 1 for name, value in tags.features.items()}
    assert tags != replace(tags, features=louder)
    assert tags != replace(tags, features={})


def make_plain_head() -> PlainHead:
    arrays = {"weights": np.eye(200, 2), "bias": np.zeros(2), "projection": np.eye(200), "offset": np.zeros(200)}
    decision = Decision("linear", True, arrays)
    return PlainHead("mood", "MSD_musicnn", "", ("penultimate",), "mean", 187, ("calm", "wild"), decision)


def test_heads_are_values_too() -> None:
    head, again = make_plain_head(), make_plain_head()
    assert head is not again
    assert len({head, again}) == 1
    bias = head.decision.arrays["bias"] + 1
    other = replace(head, decision=replace(head.decision, arrays={**head.decision.arrays, "bias": bias}))
    assert head != other
    assert head.name in repr(head)
    assert len(repr(head)) < 200
    assert len(repr(head.decision)) < 300
    assert hash(TaggingOptions(heads=(head,))) == hash(TaggingOptions(heads=(again,)))


def test_counters_are_values_too() -> None:
    assert len({make_stats(), make_stats(), make_stats(hops=7)}) == 2


def test_silence_names_no_tag() -> None:
    (*_, silent) = make_tagger(gate=-60.0, smooth=0.1).push(np.zeros(4 * RATE, np.float32), RATE)
    assert silent.top == ()
    assert not silent.scores.any()
    gone = make_tagger().release_all(1.0)
    assert gone.top == ()


def test_models_are_known_in_python() -> None:
    names = [model.name for model in streamtag.models()]
    assert {"MTT_musicnn", "MSD_musicnn", "MTT_vgg", "MSD_vgg"} <= set(names)
    assert all(len(model.labels) == 50 for model in streamtag.models())
