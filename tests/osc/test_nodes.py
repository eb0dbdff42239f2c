"""The nodes that OSCQuery tells of, against what is really sent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from streamtag.osc.control import carry_out
from streamtag.osc.nodes import WRITE, Arguments, Heard, nodes, packet
from streamtag.osc.sink import OscSink
from streamtag.results import State
from streamtag.sinks.base import HeadInfo
from tests.support.controls import Recorder
from tests.support.osc import Receiver, parsed
from tests.support.values import INFO, make_frame, make_head, make_stats

WITH_HEADS = replace(INFO, heads=(HeadInfo("mood", ("calm", "wild")),))
FRAME: dict[str, Any] = {
    "heads": (make_head(switched=(("calm", True),)),),
    "switched": (("rock", True),),
    "calibrated": np.linspace(0, 1, 50, dtype=np.float32),
    "gain_db": 3.5,
    "music": 0.9,
    "change": 0.25,
    "section": 2.5,
    "xyz": (0.1, -0.2, 0.3),
}
VARYING = {"/streamtag/time"}  # the moment of sending


def test_addresses_types_and_values_are_those_that_are_sent() -> None:
    receiver = Receiver()
    sink = OscSink("127.0.0.1", receiver.port, embeddings=False)
    sink.open(WITH_HEADS)
    frame, stats = (
        make_frame(7, **FRAME),
        make_stats(state=State.RECOVERING, trouble="unplugged", gap_seconds=1.5, title="One", clock_ppm=2.5),
    )
    sink.frame(frame)
    sink.status(stats)
    sent = {address: (types, arguments) for address, types, arguments in receiver.messages()}
    sink.close()
    receiver.socket.close()
    found = nodes(WITH_HEADS, commands=False)
    for address, (types, arguments) in sent.items():
        node = found[address]
        value = node.value(Heard(frame, stats))
        assert value is not None, address
        assert node.types in ("", types), address
        [(to, own_types, own)] = parsed(packet(node, value))
        assert (to, own_types) == (address, types)
        if address not in VARYING:
            assert own == arguments
    never_sent = set(found) - set(sent)
    assert all("/on/" in address for address in never_sent), "switches are sent when they switch"


def test_there_is_no_value_before_there_is_something_to_tell() -> None:
    found = nodes(WITH_HEADS, commands=True)
    assert all(node.value(Heard(None, None)) is None for node in found.values())
    bare = Heard(make_frame(1, heads=(make_head(top=()),)), None)
    for address in ("/streamtag/gain", "/streamtag/music", "/streamtag/xyz", "/streamtag/cal/rock", "/streamtag/level"):
        assert found[address].value(bare) is None


@pytest.mark.parametrize("address", [a for a, n in nodes(WITH_HEADS, commands=True).items() if n.access == WRITE])
def test_each_command_is_one_that_is_carried_out(address: str) -> None:
    node = nodes(WITH_HEADS, commands=True)[address]
    arguments: dict[str, Arguments] = {"i": (1,), "f": (0.5,), "s": ("drop",)}
    assert carry_out(packet(node, arguments[node.types]), Recorder())
    assert address not in nodes(WITH_HEADS, commands=False)
