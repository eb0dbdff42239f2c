"""OSCQuery as its clients ask: libossia, Chataigne, npm's oscquery, Vidvox's page; and as nobody should."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from streamtag.osc.control import ControlPort
from streamtag.osc.nodes import Heard, nodes
from streamtag.sinks.base import HeadInfo
from streamtag.web import answers, viewing
from streamtag.web.oscquery import Messages, Subscriptions, answer
from streamtag.web.sink import WebSink
from tests.support.osc import Message, parsed
from tests.support.sessions import few
from tests.support.values import INFO, make_frame, make_head, make_stats
from tests.support.waiting import wait_until

SECONDS = 30.0
WITH_HEADS = replace(INFO, heads=(HeadInfo("mood", ("calm", "wild")),))
HEARD = Heard(make_frame(1, heads=(make_head(),)), make_stats())
NODES = nodes(WITH_HEADS, commands=True)


def messages() -> Messages:
    found = Messages()
    found.add(NODES, lambda: HEARD)
    return found


@pytest.fixture
def sink() -> Iterator[WebSink]:
    sink = WebSink(port=0, control=ControlPort("127.0.0.1", 9001))
    sink.open(WITH_HEADS)
    yield sink
    sink.close()


def ask(sink: WebSink, target: str, accept: str = "*/*") -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", sink.port, timeout=SECONDS)
    try:
        connection.request("GET", target, headers={"Accept": accept})
        reply = connection.getresponse()
        body = reply.read()
        return reply.status, json.loads(body) if reply.getheader(
            "Content-Type"
        ) == "application/json" and body else body
    finally:
        connection.close()


@contextlib.contextmanager
def listening(sink: WebSink, *addresses: str) -> Iterator[ClientConnection]:
    with connect(f"ws://127.0.0.1:{sink.port}/", open_timeout=SECONDS) as client:
        for address in addresses:
            client.send(json.dumps({"COMMAND": "LISTEN", "DATA": address}))
        yield client


def told(client: ClientConnection) -> Message:
    packet = client.recv(SECONDS)
    assert isinstance(packet, bytes)
    assert not packet.startswith(b"#bundle"), "Chataigne reads single messages"
    [message] = parsed(packet)
    return message


@pytest.mark.parametrize("spelling", ["/?HOST_INFO", "/?HOST_INFO=1", "/streamtag?HOST_INFO"])
def test_what_the_server_can_do(sink: WebSink, spelling: str) -> None:
    status, about = ask(sink, spelling, accept="text/html")
    assert (status, about["NAME"], about["WS_PORT"]) == (200, "streamtag", sink.port)
    assert (about["OSC_PORT"], about["OSC_IP"], about["OSC_TRANSPORT"]) == (9001, "127.0.0.1", "UDP")
    assert about["EXTENSIONS"]["LISTEN"] is True
    assert about["EXTENSIONS"]["OSC_STREAMING"] is False


def test_the_tree_for_programs_and_the_page_for_browsers(sink: WebSink) -> None:
    sink.frame(make_frame(1, heads=(make_head(),)))
    sink.status(make_stats())
    wait_until(lambda: "VALUE" in ask(sink, "/streamtag/level")[1], "the values")
    status, tree = ask(sink, "/")
    assert status == 200
    own = tree["CONTENTS"]["streamtag"]["CONTENTS"]
    rock = own["tag"]["CONTENTS"]["rock"]
    assert rock["FULL_PATH"] == "/streamtag/tag/rock"
    assert (rock["TYPE"], rock["ACCESS"], rock["RANGE"]) == ("f", 1, [{"MIN": 0.0, "MAX": 1.0}])
    assert own["level"] == {
        "FULL_PATH": "/streamtag/level",
        "DESCRIPTION": "level of the input; -120 for silence",
        "ACCESS": 1,
        "TYPE": "f",
        "VALUE": [-20.0],
        "RANGE": [{"MIN": -120.0, "MAX": 0.0}],
        "UNIT": ["gain.db"],
    }
    assert own["top"]["TYPE"] == "sf" * 3
    assert own["top"]["VALUE"][:2] == ["rock", 0.43219]
    assert own["head"]["CONTENTS"]["mood"]["VALUE"] == ["calm", 0.8]
    assert own["head"]["CONTENTS"]["mood"]["CONTENTS"]["on"]["CONTENTS"]["calm"]["VALUE"] == [1]
    assert own["hop"]["ACCESS"] == 2
    assert b"<html" in ask(sink, "/", accept="text/html,application/xhtml+xml")[1]


def test_one_attribute_of_one_address(sink: WebSink) -> None:
    sink.frame(make_frame(1, heads=(make_head(),)))
    wait_until(lambda: ask(sink, "/streamtag/tag/happy?VALUE") == (200, {"VALUE": [1.0]}), "the value")
    assert ask(sink, "/streamtag/tag/happy?TYPE") == (200, {"TYPE": "f"})
    assert ask(sink, "/streamtag/tag/happy?UNIT")[0] == 204
    assert ask(sink, "/streamtag/hop?VALUE")[0] == 204, "a command has none"
    assert ask(sink, "/streamtag/tag/happy?COLOUR")[0] == 400
    assert ask(sink, "/streamtag/tag/happ")[0] == 404


def test_an_address_that_is_listened_to_is_told_at_once_and_when_it_changes(sink: WebSink) -> None:
    sink.frame(make_frame(1))
    with listening(sink, "/streamtag/on/pop", "/streamtag/nothing") as client:
        assert told(client) == ("/streamtag/on/pop", "i", (0,))
        sink.frame(make_frame(2))
        sink.frame(make_frame(3, on=frozenset({"pop"})))
        assert told(client) == ("/streamtag/on/pop", "i", (1,))
        client.send(json.dumps({"COMMAND": "IGNORE", "DATA": "/streamtag/on/pop"}))
        client.send(json.dumps({"COMMAND": "LISTEN", "DATA": "/streamtag/level"}))
        sink.frame(make_frame(4, on=frozenset()))
        sink.status(make_stats(level_dbfs=-6.0))
        assert told(client) == ("/streamtag/level", "f", (-6.0,))


def test_a_client_that_listens_to_everything_by_itself_is_served(sink: WebSink) -> None:
    sink.frame(make_frame(1, heads=(make_head(),)))
    sink.status(make_stats())
    readable = {address for address, node in NODES.items() if node.value(HEARD) is not None}
    with listening(sink, *NODES) as client:
        heard = {told(client)[0] for _ in range(len(readable))}
    assert heard == readable


def test_what_clients_send_as_osc_changes_nothing(sink: WebSink) -> None:
    with listening(sink) as client:
        client.send(b"/streamtag/pause\0\0\0\0,i\0\0\0\0\0\1")
        client.send("{")
        client.send("[]")
        client.send(json.dumps({"COMMAND": "PATH_ADDED", "DATA": "/x"}))
        client.send(json.dumps({"COMMAND": "LISTEN", "DATA": ["/streamtag/level"]}))
        client.send(json.dumps({"COMMAND": "LISTEN", "DATA": "/streamtag/level"}))
        sink.status(make_stats())
        assert told(client)[0] == "/streamtag/level"


def test_a_flood_of_commands_ends_the_connection(sink: WebSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewing, "MOST_COMMANDS", 50)
    with listening(sink) as client:
        with contextlib.suppress(ConnectionClosed):
            for _ in range(100):
                client.send("{}")
        with pytest.raises(ConnectionClosed, match="viewers only look"):
            client.recv(SECONDS)


def test_so_many_may_listen_at_a_time(sink: WebSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MOST_LISTENERS", 1)
    sink.status(make_stats())
    with listening(sink, "/streamtag/level") as client:
        told(client)
        with pytest.raises(InvalidStatus) as refused:
            connect(f"ws://127.0.0.1:{sink.port}/", open_timeout=SECONDS)
        assert refused.value.response.status_code == 503


def test_a_strangers_page_may_not_listen(sink: WebSink) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://127.0.0.1:{sink.port}/", origin=Origin("https://evil.example"), open_timeout=SECONDS)
    assert refused.value.response.status_code == 403


@few
@given(st.text(max_size=60), st.text(max_size=20))
def test_any_target_gets_an_answer(path: str, query: str) -> None:
    status, found = answer(f"/{path}?{query}", messages(), {})
    assert status in (200, 204, 400, 404)
    json.dumps(found)


@few
@given(st.text(max_size=200) | st.from_regex(r'\{"COMMAND": ?"(LISTEN|IGNORE)", ?"DATA": ?.{0,40}\}'))
def test_any_command_leaves_no_more_than_there_is(text: str) -> None:
    subscriptions = Subscriptions(messages())
    subscriptions.command(text)
    assert len(subscriptions) <= 1
    subscriptions.due()
