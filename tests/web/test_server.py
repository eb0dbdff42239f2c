"""The server by HTTP and WebSocket, as browsers, programs, monitors and strangers meet it."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from streamtag.errors import SinkError
from streamtag.results import State, TagFrame
from streamtag.web import answers, viewing
from streamtag.web import connections as bounds
from streamtag.web import server as module
from streamtag.web.sink import WebSink
from tests.support.values import INFO, make_frame, make_stats
from tests.support.waiting import wait_until

SECONDS = 30.0


@pytest.fixture
def sink() -> Iterator[WebSink]:
    sink = WebSink(port=0, allow=["https://hydra.ojack.xyz"])
    sink.open(INFO)
    yield sink
    sink.close()


def get(sink: WebSink, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", sink.port, timeout=SECONDS)
    try:
        connection.request("GET", path, headers=headers)
        reply = connection.getresponse()
        return reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read()
    finally:
        connection.close()


def give(sink: WebSink, frame: TagFrame) -> None:
    """A frame, once the one before was taken."""
    wait_until(lambda: not sink._waiting, "the frame before to be taken")
    sink.frame(frame)


def viewers(sink: WebSink) -> int:
    assert sink._server is not None
    return sink._server._hubs.viewing


def connections(sink: WebSink) -> int:
    assert sink._server is not None
    assert sink._server.served is not None
    return len(sink._server.served.handler_tasks)


@contextlib.contextmanager
def looking(sink: WebSink, query: str = "", origin: str | None = None) -> Iterator[ClientConnection]:
    """A viewer who has been greeted, and so is one of the viewers."""
    address = f"ws://127.0.0.1:{sink.port}/v1/stream{query}"
    with connect(address, open_timeout=SECONDS, origin=None if origin is None else Origin(origin)) as viewer:
        hello = received(viewer)
        assert (hello["type"], hello["version"], hello["model"]) == ("hello", 1, INFO.model)
        assert hello["labels"] == list(INFO.labels)
        yield viewer


def received(viewer: ClientConnection) -> dict[str, object]:
    message: dict[str, object] = json.loads(viewer.recv(SECONDS))
    return message


def drain(viewer: ClientConnection) -> None:
    while True:
        received(viewer)


def test_a_page_that_needs_nothing_from_elsewhere(sink: WebSink) -> None:
    status, headers, body = get(sink, "/", Accept="text/html,*/*")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    for path in ("/page.js", "/taggram.js", "/page.css", "/icon.svg"):
        status, headers, part = get(sink, path)
        assert status == 200
        body += part
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]
    addresses = {word for word in body.split() if b"//" in word and b"http" in word}
    assert all(b"www.w3.org" in word for word in addresses), "a namespace is no address to load from"


def test_what_is_heard_is_streamed(sink: WebSink) -> None:
    with looking(sink) as viewer:
        frame = make_frame(3, gain_db=-3.5)
        sink.frame(frame)
        told = received(viewer)
        assert told["type"] == "frame"
        assert told["t"] == round(frame.time, 3)
        assert told["top"] == [[tag, round(score, 4)] for tag, score in frame.top]
        assert told["gain_db"] == -3.5
        assert not {"scores", "embedding"} & set(told)
        sink.status(make_stats(state=State.RECOVERING, trouble="unplugged"))
        status = received(viewer)
        assert (status["type"], status["state"]) == ("status", "recovering")
        assert status["trouble"] == [f"{INFO.source}: unplugged"]


def test_a_viewer_chooses_rate_and_fields(sink: WebSink) -> None:
    with looking(sink, "?rate=10&fields=scores,embedding,level_dbfs") as viewer:
        for index in range(100):
            give(sink, make_frame(index, time=index * 0.016))
            if index in (0, 7, 13, 19, 25):
                told = received(viewer)
                assert set(told) == {"type", "t", "scores", "embedding", "level_dbfs"}
                if index == 0:
                    continue
        scores = told["scores"]
        assert isinstance(scores, list)
        np.testing.assert_allclose(scores, make_frame().scores, atol=6e-4)


@pytest.mark.parametrize("query", ["?rate=0", "?rate=fast", "?rate=nan", "?fields=", "?colour=red", "?" + "a=1&" * 9])
def test_what_cannot_be_had_is_told(sink: WebSink, query: str) -> None:
    with pytest.raises(InvalidStatus) as refused, looking(sink, query):
        pass
    assert refused.value.response.status_code == 400


@pytest.mark.slow
def test_one_who_never_reads_delays_nobody_and_costs_little(sink: WebSink) -> None:
    with looking(sink, "?fields=scores,embedding") as stuck, looking(sink, "?fields=top&rate=62.5") as viewer:
        stuck.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        times: list[float] = []

        def read() -> None:
            with contextlib.suppress(ConnectionClosed, TimeoutError):
                while len(times) < 1 or times[-1] < 4999 * 0.02:
                    times.append(float(str(received(viewer)["t"])))

        reader = threading.Thread(target=read)
        reader.start()
        for index in range(5000):
            sink.frame(make_frame(index, time=index * 0.02))
        reader.join(SECONDS)
        assert times[-1] == pytest.approx(4999 * 0.02, abs=1e-3), "the newest frame came"
        assert b"streamtag_web_viewers 2" in get(sink, "/metrics")[2]


def test_one_who_takes_nothing_is_dropped_and_makes_room(sink: WebSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewing, "STUCK_SECONDS", 0.5)
    monkeypatch.setattr(module, "BUFFERED_BYTES", 1024)
    with socket.create_connection(("127.0.0.1", sink.port), timeout=SECONDS) as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n"
        path = "/v1/stream?fields=scores,embedding&rate=62.5"
        stuck.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{upgrade}{key}\r\n".encode())
        wait_until(lambda: viewers(sink) == 1, "the viewer")
        indices = iter(range(10**6))

        def dropped() -> bool:
            index = next(indices)
            sink.frame(make_frame(index, time=index * 0.02))
            return viewers(sink) == 0

        wait_until(dropped, "the viewer to be dropped")


def test_what_happened_between_two_frames_goes_with_the_second(sink: WebSink) -> None:
    with looking(sink, "?rate=2&fields=change,section") as viewer:
        sink.frame(make_frame(0, time=0.0, change=0.1))
        assert received(viewer)["change"] == 0.1
        for index, change in enumerate((0.9, 0.2, 0.3, 0.1), 1):
            sink.frame(make_frame(index, time=index * 0.125, change=change, section=2.25 if index == 2 else None))
        assert received(viewer) == {"type": "frame", "t": 0.5, "change": 0.9, "section": 2.25}


def test_the_past_is_there_for_who_comes_late(sink: WebSink) -> None:
    for index in range(100):
        give(sink, make_frame(index, time=index * 0.1))
    wait_until(lambda: len(json.loads(get(sink, "/v1/past")[2])["t"]) == 34, "all of it")
    past = json.loads(get(sink, "/v1/past")[2])
    assert past["step"] == 0.25
    assert {len(column) for column in past["percent"]} == {len(INFO.labels)}


def test_health_and_metrics(sink: WebSink) -> None:
    assert json.loads(get(sink, "/healthz")[2])["state"] == "starting"
    for state, status in ((State.RUNNING, 200), (State.PAUSED, 200), (State.RECOVERING, 503), (State.FAILED, 503)):
        sink.status(make_stats(state=state, samples_lost=12_345_678, sink_drops={'osc "a"': 3}))
        wait_until(lambda: json.loads(get(sink, "/healthz")[2])["state"] == state.value, "the state")  # noqa: B023
        assert get(sink, "/healthz")[0] == status
    status, headers, body = get(sink, "/metrics")
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = body.decode().splitlines()
    assert "streamtag_samples_lost_total 12345678" in lines
    assert 'streamtag_state{state="failed"} 1' in lines
    assert 'streamtag_output_dropped_total{output="osc \\"a\\""} 3' in lines
    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(names) == len(set(names))
    assert {line.split("{")[0].split(" ")[0] for line in lines if not line.startswith("#")} <= set(names)


def test_a_session_that_tells_nothing_any_more_is_not_healthy(sink: WebSink, monkeypatch: pytest.MonkeyPatch) -> None:
    sink.status(make_stats())
    wait_until(lambda: json.loads(get(sink, "/healthz")[2])["state"] == "running", "the state")
    monkeypatch.setattr(answers, "SILENT_SECONDS", 0.0)
    status, _, body = get(sink, "/healthz")
    assert status == 503
    assert "has told nothing for" in json.loads(body)["trouble"]


def test_strangers_are_turned_away(sink: WebSink) -> None:
    for path in ("/", "/healthz", "/metrics", "/v1/past", "/v1/stream"):
        assert get(sink, path, Host="evil.example")[0] == 403
    with pytest.raises(InvalidStatus) as refused, looking(sink, origin="https://evil.example"):
        pass
    assert refused.value.response.status_code == 403
    with looking(sink, origin="https://hydra.ojack.xyz"):
        pass
    assert get(sink, "/../server.py")[0] == 404
    assert get(sink, "/v1/stream")[0] == 426


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_but_get(sink: WebSink, method: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", sink.port, timeout=SECONDS)
    connection.request(method, "/")
    assert connection.getresponse().status == 405
    connection.close()


def test_an_error_of_ours_is_told_and_the_next_frame_comes(sink: WebSink) -> None:
    with looking(sink, "?fields=level_dbfs") as viewer:
        sink.frame(make_frame(1, scores=None))
        sink.frame(make_frame(2))
        wait_until(lambda: sink.trouble, "the trouble")
        assert sink.trouble is not None
        assert sink.trouble.startswith("fails: AttributeError")
        assert received(viewer)["t"] == round(make_frame(2).time, 3)
        assert isinstance(sink.first_error, AttributeError)


def test_what_viewers_say_has_no_effect_and_has_an_end(sink: WebSink) -> None:
    with looking(sink) as viewer:
        for _ in range(3):
            viewer.send("pause")
        sink.frame(make_frame(1))
        assert received(viewer)["type"] == "frame"
        with contextlib.suppress(ConnectionClosed):
            for _ in range(viewing.MOST_MESSAGES):
                viewer.send("pause")
        with pytest.raises(ConnectionClosed, match="viewers only look"):
            drain(viewer)
    with looking(sink) as viewer:
        viewer.send("x" * (module.MOST_BYTES + 1))
        with pytest.raises(ConnectionClosed, match="1009"):
            drain(viewer)


def test_so_many_may_look_at_a_time(sink: WebSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MOST_VIEWERS", 2)
    with looking(sink), looking(sink):
        with pytest.raises(InvalidStatus) as refused, looking(sink):
            pass
        assert refused.value.response.status_code == 503
    wait_until(lambda: not viewers(sink), "those who have left are forgotten")
    with looking(sink):
        pass


def test_a_port_that_is_taken_is_named(sink: WebSink) -> None:
    with pytest.raises(SinkError, match=rf"--web 127\.0\.0\.1:{sink.port}: another program listens there"):
        WebSink(port=sink.port).open(INFO)
    with pytest.raises(SinkError, match=r"--web 203\.0\.113\.1:8765"):
        WebSink("203.0.113.1").open(INFO)


@pytest.mark.parametrize(
    ("host", "port"), [("a..b", 8765), ("x" * 70, 8765), ("127.0.0.1", 70_000), ("127.0.0.1\0", 1)]
)
def test_what_no_system_can_listen_on_is_told(host: str, port: int) -> None:
    with pytest.raises(SinkError, match=r"--web .*: cannot be listened on .* an address of this machine"):
        WebSink(host, port).open(INFO)


def test_connections_that_say_nothing_leave_room_for_the_session(
    sink: WebSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "MOST_CONNECTIONS", 8)
    with looking(sink) as viewer, contextlib.ExitStack() as opened:
        for _ in range(40):
            opened.enter_context(socket.create_connection(("127.0.0.1", sink.port), timeout=SECONDS))
        wait_until(lambda: connections(sink) <= 8, "those that are too many to be gone")
        sink.frame(make_frame(1))
        assert received(viewer)["type"] == "frame", "who looks already goes on looking"
    wait_until(lambda: connections(sink) == 0, "the others to be gone")
    with looking(sink):
        pass


@pytest.mark.slow
def test_no_file_for_one_more_viewer_is_a_trouble_and_no_traceback(
    sink: WebSink, capfd: pytest.CaptureFixture[str]
) -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    waiting = [socket.socket() for _ in range(2)]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (waiting[-1].fileno() + 1, hard))
        for each in waiting:
            each.connect(("127.0.0.1", sink.port))
        wait_until(lambda: sink.trouble, "the trouble")
        assert sink.trouble is not None
        assert "a viewer is turned away" in sink.trouble
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for each in waiting:
            each.close()
    wait_until(lambda: sink.trouble is None, "the end of it")
    assert get(sink, "/healthz")[0] == 200
    assert capfd.readouterr().err == ""


def test_the_end_closes_connections_and_the_next_session_opens_again() -> None:
    sink = WebSink(port=0)
    for _ in range(2):
        sink.open(INFO)
        with looking(sink) as viewer:
            sink.close()
            with pytest.raises(ConnectionClosed):
                received(viewer)
        sink.frame(make_frame(1))  # after the end: nothing
        assert not any(thread.name == "streamtag-web" for thread in threading.enumerate())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400), st.booleans())
def test_any_bytes_end_in_a_refusal(sink: WebSink, data: bytes, begun: bool) -> None:
    with socket.create_connection(("127.0.0.1", sink.port), timeout=SECONDS) as stranger:
        stranger.sendall((b"GET / HTTP/1.1\r\n" if begun else b"") + data + b"\r\n\r\n")
        stranger.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while stranger.recv(4096):
                pass
    assert get(sink, "/healthz")[0] == 200


def test_several_sessions_on_one_port(sink: WebSink) -> None:
    """`sink` has a session without a name already; here are three with names."""
    first = WebSink(port=0)
    sinks = {"stage": first, "deck-2": first.beside(), "radio": first.beside()}
    for name, each in sinks.items():
        each.open(replace(INFO, input=name, source=f"source of {name}"))
    assert len({each.port for each in sinks.values()}) == 1
    wait_until(lambda: len(json.loads(get(first, "/v1/inputs")[2])) == 3, "all of them")
    give(sinks["deck-2"], make_frame(7))
    sinks["radio"].status(make_stats(state=State.RECOVERING, trouble="no answer", title="One"))
    wait_until(lambda: "One" in get(first, "/v1/inputs")[2].decode(), "what was told")
    told = json.loads(get(first, "/v1/inputs")[2])
    assert [(one["input"], one["state"]) for one in told] == [
        ("stage", "starting"),
        ("deck-2", "starting"),
        ("radio", "recovering"),
    ]
    assert told[1]["top"][0][0] == make_frame(7).top[0][0]
    assert told[2]["title"] == "One"
    status, _, body = get(first, "/healthz")
    assert status == 503
    assert json.loads(body)["inputs"]["radio"] == {"state": "recovering", "trouble": "no answer"}
    assert get(first, "/healthz?input=stage")[0] == 200
    metrics = get(first, "/metrics")[2].decode()
    assert 'streamtag_state{input="radio",state="recovering"} 1' in metrics
    assert metrics.count("# TYPE streamtag_state gauge") == 1
    with looking(first, "?input=DECK-2") as viewer:
        assert received(viewer)["t"] == round(make_frame(7).time, 3)
    with connect(f"ws://127.0.0.1:{first.port}/v1/stream?input=radio", open_timeout=SECONDS) as viewer:
        hello = received(viewer)
        assert (hello["input"], hello["inputs"]) == ("radio", ["stage", "deck-2", "radio"])
    for path in ("/v1/stream?input=nobody", "/v1/past?input=nobody"):
        status, _, body = get(first, path, Upgrade="websocket")
        assert (status, body) == (400, b"input=nobody: stage, deck-2, radio\n")
    tree = json.loads(get(first, "/streamtag")[2])
    assert set(tree["CONTENTS"]) == {"in"}
    assert set(tree["CONTENTS"]["in"]["CONTENTS"]) == {"stage", "deck-2", "radio"}
    assert json.loads(get(first, "/streamtag/in/radio/title?VALUE")[2]) == {"VALUE": ["One"]}
    sinks["stage"].close()
    assert get(first, "/v1/inputs")[0] == 200, "the others are still shown"
    sinks["deck-2"].close()
    sinks["radio"].close()
    with pytest.raises(ConnectionRefusedError):
        get(first, "/v1/inputs")
    assert "inputs" not in json.loads(get(sink, "/healthz")[2]), "one without a name is as it was"


def test_equal_wishes_are_encoded_once() -> None:
    from streamtag.web.messages import Encoded, parse_wish

    encoded = Encoded(replace(make_frame(1)), INFO.labels)
    one, other = (parse_wish(f"/v1/stream?fields={fields}").fields for fields in ("top,on", "on, top"))
    assert encoded.text(one) is encoded.text(other)
