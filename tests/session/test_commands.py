"""Requests: the newest of each kind, one a turn, and time for what is heard in between."""

from __future__ import annotations

import time

import pytest

from streamtag.errors import OptionError
from streamtag.session.commands import (
    PATIENCE,
    Command,
    Pause,
    Requests,
    Reset,
    Resume,
    SetHeadThreshold,
    SetHop,
    SetThreshold,
    SetTop,
)
from streamtag.tagging.tagger import Tagger
from tests.support.sessions import make_tagger


def all_of(requests: Requests) -> list[Command]:
    taken = []
    while (command := requests.take(0.0)) is not None:
        taken.append(command)
        requests.done(0.0, 0.0)
    return taken


def test_a_value_replaces_the_one_of_its_kind_that_waits_and_keeps_its_place() -> None:
    requests = Requests(Tagger(window=0.32))
    for number in range(100):
        requests.set_hop(0.1 + number / 1000)
        requests.set_threshold((number + 1) / 100)
        requests.set_top(1 + number % 50)
        requests.set_head_threshold((number + 1) / 200)
    requests.pause()
    requests.reset()
    requests.resume()
    assert requests.waiting
    assert all_of(requests) == [SetHop(0.199), SetThreshold(1.0), SetTop(50), SetHeadThreshold(0.5), Resume(), Reset()]
    assert not requests.waiting


def test_one_that_is_carried_out_is_still_waited_for() -> None:
    requests = Requests(make_tagger())
    requests.pause()
    assert requests.take(0.0) == Pause()
    assert requests.waiting
    requests.done(0.0, 0.0)
    assert not requests.waiting


def test_after_a_costly_one_comes_what_is_heard() -> None:
    requests = Requests(make_tagger())
    requests.reset()
    assert requests.take(10.0) == Reset()
    requests.done(10.0, 10.5)
    requests.reset()
    assert requests.take(10.5) is None
    assert requests.take(10.5 + PATIENCE * 0.5 - 0.01) is None
    assert requests.waiting
    assert requests.take(10.5 + PATIENCE * 0.5) == Reset()


def test_what_cannot_be_is_refused_where_it_is_asked_for() -> None:
    requests = Requests(make_tagger())
    for call in (
        lambda: requests.set_hop(0.1),  # the predictor was given
        lambda: requests.set_top(51),
        lambda: requests.set_threshold(0),
        lambda: requests.set_head_threshold(1.5),
    ):
        with pytest.raises(OptionError):
            call()
    assert not requests.waiting


def test_a_change_that_changes_nothing_costs_nothing() -> None:
    tagger = Tagger("MTT_vgg", hop=0.1)
    predictor = tagger.engine
    tagger.set_hop(0.1)
    began = time.process_time()
    for _ in range(1000):
        tagger.set_hop(0.1)
    assert tagger.engine == predictor
    assert time.process_time() - began < 30, "a new predictor costs a tenth of a second and more"
