"""The control port: real datagrams, from python-osc and from liblo, and what nobody should send."""

from __future__ import annotations

import logging
import math
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message_builder import OscMessageBuilder

from streamtag._system.ports import parse_listen
from streamtag.errors import OptionError, StreamtagError
from streamtag.osc.control import LARGEST_PACKET, LONGEST_REASON, RATE, ControlPort, messages
from tests.support.controls import Recorder
from tests.support.ports import free_udp_port
from tests.support.waiting import lacking, wait_until


class Desk:
    """A control port on this machine, what it did, and a socket to send to it."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.did = Recorder()
        self.port = ControlPort(host, 0)
        self.port.open(self.did)
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.sent = 0

    def send(self, packet: bytes) -> None:
        self.socket.sendto(packet, self.port.address)
        self.sent += 1

    @property
    def counted(self) -> int:
        return self.port.commands + self.port.ignored

    def all_counted(self) -> None:
        wait_until(lambda: self.counted >= self.sent, f"{self.sent} packets to be counted ({self.counted} are)")
        assert self.counted == self.sent
        assert len(self.did.calls) == self.port.commands
        assert self.port.error is None

    def close(self) -> None:
        self.port.close()
        self.socket.close()


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.close()


def packet(address: str, *arguments: tuple[str, Any]) -> bytes:
    """A message with the types that are given."""
    builder = OscMessageBuilder(address)
    for kind, value in arguments:
        builder.add_arg(value, kind)
    return builder.build().dgram


def bundle(contents: Sequence[bytes], timetag: int = IMMEDIATELY) -> bytes:
    """A bundle, also one that no builder makes."""
    empty = OscBundleBuilder(timetag).build().dgram
    return empty + b"".join(len(item).to_bytes(4) + item for item in contents)


PAUSE, RESUME, RESET = (packet(f"/streamtag/{name}") for name in ("pause", "resume", "reset"))

# address, arguments, what is done
COMMANDS = [
    ("pause", (), ("pause",)),
    ("pause", (("i", 1),), ("pause",)),
    ("pause", (("f", 1.0),), ("pause",)),
    ("pause", (("T", True),), ("pause",)),
    ("pause", (("i", 0),), ("resume",)),
    ("pause", (("f", 0.0),), ("resume",)),
    ("pause", (("F", False),), ("resume",)),
    ("resume", (), ("resume",)),
    ("resume", (("d", 0.5),), ("resume",)),
    ("reset", (), ("reset",)),
    ("reset", (("h", 127),), ("reset",)),
    ("hop", (("f", 0.5),), ("hop", 0.5)),
    ("hop", (("d", 0.064),), ("hop", 0.064)),
    ("hop", (("i", 2),), ("hop", 2.0)),
    ("top", (("i", 7),), ("top", 7)),
    ("correct", (("s", "drop"),), ("correct", "drop", 3.0)),
    ("correct", (("s", "drop"), ("i", 5)), ("correct", "drop", 5.0)),
    ("correct", (("s", "drop"), ("f", 0.5)), ("correct", "drop", 0.5)),
    ("top", (("h", 7),), ("top", 7)),
    ("top", (("f", 5.0),), ("top", 5)),
    ("top", (("d", 5.0),), ("top", 5)),
    ("top", (("T", True),), ("top", 1)),
    ("threshold", (("f", 0.3),), ("threshold", 0.3)),
    ("threshold", (("d", 0.3),), ("threshold", 0.3)),
    ("threshold", (("i", 1),), ("threshold", 1.0)),
    ("head/threshold", (("f", 0.7),), ("head threshold", 0.7)),
    ("threshold/percent", (("f", 95),), ("threshold", "0.95 of its scale")),
    ("threshold/percent", (("i", 50),), ("threshold", "0.5 of its scale")),
]


# --- what is carried out ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "arguments", "done"), COMMANDS)
def test_commands(desk: Desk, name: str, arguments: tuple, done: tuple) -> None:
    desk.send(packet(f"/streamtag/{name}", *arguments))
    desk.all_counted()
    assert desk.did.calls == [done]
    assert desk.port.last_ignored is None


def test_liblo_is_understood(desk: Desk) -> None:
    oscsend = shutil.which("oscsend") or lacking("oscsend is missing (package liblo-tools)")
    for name, arguments, _ in COMMANDS:
        kinds = "".join(kind for kind, _ in arguments)
        values = [str(value) for kind, value in arguments if kind not in "TF"]
        port = str(desk.port.address[1])
        subprocess.run([oscsend, "127.0.0.1", port, f"/streamtag/{name}", kinds, *values], check=True, timeout=60)
        desk.sent += 1
    desk.all_counted()
    assert desk.did.calls == [done for *_, done in COMMANDS]


def test_a_message_without_types_has_no_arguments(desk: Desk) -> None:
    desk.send(b"/streamtag/reset\0\0\0\0")
    desk.all_counted()
    assert desk.did.calls == [("reset",)]


@pytest.mark.parametrize("name", ["reset", "resume"])
@pytest.mark.parametrize("let_go", [("f", 0.0), ("i", 0), ("f", -0.0), ("F", False)])
def test_letting_go_of_a_push_button_does_nothing(desk: Desk, name: str, let_go: tuple) -> None:
    desk.send(packet(f"/streamtag/{name}", let_go))
    desk.send(PAUSE)
    wait_until(lambda: desk.port.commands, "the pause")
    assert desk.did.calls == [("pause",)]
    assert desk.port.ignored == 0


def test_bundles_are_carried_out_at_once_and_in_order(desk: Desk) -> None:
    tomorrow = int(time.time()) + 86_400
    hop = packet("/streamtag/hop", ("f", 0.5))
    desk.send(bundle([PAUSE, bundle([hop, bundle([]), bundle([RESET], tomorrow)]), RESUME], tomorrow))
    wait_until(lambda: desk.port.commands == 4, "four commands")
    assert desk.did.calls == [("pause",), ("hop", 0.5), ("reset",), ("resume",)]
    assert desk.port.ignored == 0


def test_what_is_wrong_in_a_bundle_does_not_spoil_the_rest(desk: Desk) -> None:
    desk.send(bundle([PAUSE, packet("/streamtag/top", ("i", 0)), packet("/1/fader1", ("f", 0.5)), b"?", RESUME]))
    wait_until(lambda: desk.port.commands == 2, "two commands")
    assert desk.did.calls == [("pause",), ("resume",)]
    assert desk.port.ignored == 3


# --- what is ignored ----------------------------------------------------------------------------------------------

HOP_EXPECTED = "expected at least one frame (0.016 s)"


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"", "'' from 127.0.0.1: not OSC"),
        (b"GET / HTTP/1.1\r\n\r\n", r"'GET / HTTP/1.1\r\n\r\n' from 127.0.0.1: not OSC"),
        (b"/streamtag/pause", "/streamtag/pause from 127.0.0.1: not OSC"),
        (b"/streamtag/pause\0\0\0\0f\0\0\0", "/streamtag/pause from 127.0.0.1: not OSC"),
        (b"/streamtag/top\0\0,i\0\0\0", "/streamtag/top from 127.0.0.1: not OSC"),
        (b"/\xff\0\0", "'/\N{REPLACEMENT CHARACTER}' from 127.0.0.1: not OSC"),
        (b"/\x1b[2J\xe2\x80\xae\0\0\0\0", r"'/\x1b[2J\u202e' from 127.0.0.1: no such command"),
        (packet("/streamtag/*"), "'/streamtag/*' from 127.0.0.1: no such command"),
        (packet("/streamtag/top", ("s", "rock"), ("f", 0.5)), "an argument of type 's': expected a number"),
        (b"/streamtag/pause\0\0\0\0,X\0\0", "an argument of type 'X': expected a number"),
        (packet("/streamtag/hop"), "/streamtag/hop from 127.0.0.1: 0 arguments: expected one number"),
        (packet("/streamtag/hop", ("f", 1.0), ("f", 2.0)), "2 arguments: expected one number"),
        (packet("/streamtag/pause", ("i", 1), ("i", 1)), "2 arguments: expected one number or none"),
        (packet("/streamtag/hop", ("f", 0.0)), f"/streamtag/hop from 127.0.0.1: a hop of 0 s: {HOP_EXPECTED}"),
        (packet("/streamtag/hop", ("f", math.nan)), "nan: expected a finite number"),
        (packet("/streamtag/threshold", ("d", -math.inf)), "-inf: expected a finite number"),
        (packet("/streamtag/head/threshold", ("i", 0)), "threshold 0.0: expected more than 0 and at most 1"),
        (packet("/streamtag/threshold/percent", ("f", 0.0)), "above 0% and below 100%, for example 95%"),
        (packet("/streamtag/correct"), "expected a class, and if wanted a number of seconds"),
        (packet("/streamtag/correct", ("i", 3)), "expected a class, and if wanted a number of seconds"),
        (
            packet("/streamtag/correct", ("s", "drop"), ("s", "3")),
            "expected a class, and if wanted a number of seconds",
        ),
        (packet("/streamtag/correct", ("s", "dr\x1bop")), r"no class 'dr\x1bop' (cues: drop)"),
        (packet("/streamtag/correct", ("s", "drop"), ("f", math.nan)), "nan: expected a finite number"),
        (packet("/streamtag/threshold", ("f", 1.5)), "threshold 1.5: expected more than 0 and at most 1"),
        (packet("/streamtag/top", ("f", 2.5)), "2.5: expected a whole number"),
        (packet("/streamtag/top", ("i", 0)), "top 0: expected a whole number of tags, at least 1"),
        (bundle([]), "a packet from 127.0.0.1: a bundle of nothing"),
        (bundle([b"", PAUSE]), "a packet from 127.0.0.1: a bundle that is cut off or damaged"),
        (bundle([PAUSE])[:-1], "a packet from 127.0.0.1: a bundle that is cut off or damaged"),
        (bundle([PAUSE]) + b"\0\0", "a packet from 127.0.0.1: not OSC"),
        (b"#bundle\0", "a packet from 127.0.0.1: not OSC"),
        # python-osc's OscBundle never comes back from this one
        (bundle([]) + (-4).to_bytes(4, signed=True), "a packet from 127.0.0.1: a bundle that is cut off or damaged"),
        (b"/" * (LARGEST_PACKET + 1), f"a packet from 127.0.0.1: more than {LARGEST_PACKET} bytes"),
        (b"/" * 60_000, f"a packet from 127.0.0.1: more than {LARGEST_PACKET} bytes"),
    ],
)
def test_what_cannot_be_used_is_counted_and_said(
    desk: Desk, caplog: pytest.LogCaptureFixture, sent: bytes, reason: str
) -> None:
    handlers = list(logging.getLogger().handlers)
    desk.send(sent)
    desk.all_counted()
    assert (desk.port.commands, desk.port.ignored) == (0, 1)
    assert str(desk.port.last_ignored).endswith(reason)
    desk.send(PAUSE)
    desk.all_counted()
    assert desk.did.calls == [("pause",)], "what comes after is heard"
    assert caplog.records == []
    assert logging.getLogger().handlers == handlers


def handled(sent: bytes) -> ControlPort:
    """Have a port handle a packet, and check what holds for all packets."""
    port, did = ControlPort("127.0.0.1", 0), Recorder()
    port.handle(sent, "192.0.2.1", did)
    assert port.commands == len(did.calls)
    if port.commands + port.ignored == 0:
        assert all(item.startswith((b"/streamtag/reset\0", b"/streamtag/resume\0")) for item in messages(sent))
    assert (port.last_ignored is None) == (port.ignored == 0)
    if port.last_ignored is not None:
        assert port.last_ignored.isprintable()
        assert len(port.last_ignored) <= LONGEST_REASON
    return port


VALID = [packet(f"/streamtag/{name}", *arguments) for name, arguments, _ in COMMANDS]
packets = st.sampled_from([*VALID, bundle(VALID[:5]), bundle([bundle(VALID[5:9]), *VALID[9:12]])])


@given(st.binary(max_size=64) | st.binary(max_size=2 * LARGEST_PACKET))
def test_any_bytes(sent: bytes) -> None:
    handled(sent)


@given(st.binary(max_size=200), st.sampled_from([b"/", b"#bundle\0", b"/streamtag/top\0\0,", bundle([PAUSE])]))
def test_any_bytes_that_begin_well(sent: bytes, begin: bytes) -> None:
    handled(begin + sent)


@given(packets, st.data())
def test_packets_cut_off_and_damaged(sent: bytes, data: st.DataObject) -> None:
    damaged = bytearray(sent[: data.draw(st.integers(0, len(sent)), "length")])
    for place in data.draw(st.lists(st.integers(0, max(0, len(damaged) - 1)), max_size=4), "places"):
        damaged[place : place + 1] = data.draw(st.binary(max_size=5), "in its place")
    handled(bytes(damaged))


@given(st.recursive(packets | st.binary(max_size=40), lambda inner: st.lists(inner, max_size=4).map(bundle)))
def test_any_bundles(sent: bytes) -> None:
    handled(sent)


def test_damaged_packets_through_a_socket(desk: Desk) -> None:
    chance = random.Random(1)
    for length in range(0, RATE - 10):
        desk.send(b"/" + chance.randbytes(length))
    desk.all_counted()
    assert desk.port.commands == 0
    desk.send(PAUSE)
    desk.all_counted()
    assert desk.did.calls == [("pause",)]


def test_the_deepest_bundle_that_fits(desk: Desk) -> None:
    sent = PAUSE
    while len(deeper := bundle([sent])) <= LARGEST_PACKET:
        sent = deeper
    desk.send(sent)
    desk.send(deeper)
    desk.all_counted()
    assert desk.did.calls == [("pause",)]
    assert desk.port.ignored == 1


# --- too much -----------------------------------------------------------------------------------------------------


def test_a_flood_is_bounded_and_passes() -> None:
    began = time.monotonic()
    desk = Desk()
    for _ in range(5_000):
        desk.send(PAUSE)
    if sys.platform == "linux":
        desk.all_counted()
    else:  # what the system threw away is not known
        wait_until(lambda: desk.port.ignored, "the flood to be noticed")
        assert desk.counted <= desk.sent
    assert desk.port.commands <= RATE * (1 + time.monotonic() - began)
    assert desk.port.ignored > 0

    def heard() -> bool:
        desk.send(RESUME)
        return ("resume",) in desk.did.calls

    wait_until(heard, "a command after the flood")
    desk.close()
    assert desk.port.error is None


def test_a_flood_in_bundles_is_bounded() -> None:
    began = time.monotonic()
    port, did = ControlPort("127.0.0.1", 0), Recorder()
    for _ in range(10):
        port.handle(bundle([RESET] * 50), "192.0.2.1", did)
    assert RATE <= port.commands == len(did.calls) <= RATE * (1 + time.monotonic() - began)
    # of a packet that comes when nothing is left, what is in it is not looked at
    assert 1 <= port.ignored <= 500 - port.commands
    assert "more than 100 messages a second" in str(port.last_ignored)


# --- the port -----------------------------------------------------------------------------------------------------


def test_a_port_that_is_taken_is_named(desk: Desk) -> None:
    host, number = desk.port.address
    second = ControlPort(host, number)
    with pytest.raises(StreamtagError) as caught:
        second.open(Recorder())
    assert not isinstance(caught.value, OptionError)
    assert str(caught.value) == (
        f"cannot listen for OSC on 127.0.0.1:{number}: Address already in use. "
        "Is another streamtag running? Give another --osc-in port"
    )
    second.close()
    desk.send(PAUSE)
    desk.all_counted()


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", "..", "a" * 64 + ".invalid", "2001:db8::1"])
def test_a_host_that_is_not_this_machine_is_named(host: str) -> None:
    port = ControlPort(host, 9001)
    with pytest.raises(OptionError) as caught:
        port.open(Recorder())
    assert f"cannot listen for OSC on {f'[{host}]' if ':' in host else host}:9001: " in str(caught.value)
    assert "Expected an address of this machine" in str(caught.value)
    port.close()


@pytest.mark.parametrize(
    ("host", "port", "said"),
    [
        ("127.0.0.1", 65536, "the port 65536: expected a number, for example 9001"),
        ("127.0.0.1", -1, "the port -1"),
        ("127.0.0.1", "9001", "the port '9001'"),
        ("127.0.0.1", 9001.0, "the port 9001.0"),
        ("127.0.0.1", True, "the port True"),
        ("", 9001, "the host '': expected a name or an address of this machine"),
        (None, 9001, "the host None"),
    ],
)
def test_what_cannot_be_a_host_or_a_port_is_refused_at_once(host: Any, port: Any, said: str) -> None:
    with pytest.raises(OptionError) as caught:
        ControlPort(host, port)
    assert said in str(caught.value)


def test_two_ports_beside_each_other(desk: Desk) -> None:
    other = Desk()
    desk.send(PAUSE)
    other.send(RESET)
    desk.all_counted()
    other.all_counted()
    assert (desk.did.calls, other.did.calls) == ([("pause",)], [("reset",)])
    other.close()


def test_ipv6() -> None:
    try:
        desk = Desk("::1")
    except StreamtagError:
        pytest.skip("this machine has no IPv6")
    desk.send(packet("/streamtag/top", ("i", 0)))
    desk.all_counted()
    assert "/streamtag/top from ::1: " in str(desk.port.last_ignored)
    desk.close()


def test_a_name_is_heard_where_desks_send_to() -> None:
    desk = Desk("localhost")
    assert desk.port.address[0] == "127.0.0.1"
    desk.close()


def test_unless_asked_only_this_machine_is_heard() -> None:
    number = free_udp_port()
    port = ControlPort(*parse_listen(str(number)))
    port.open(Recorder())
    assert port.address == ("127.0.0.1", number)
    if sys.platform == "linux":  # where all of 127.0.0.0/8 are addresses of this machine: the others are still free
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.2", number))
    port.close()


def test_close_ends_the_thread_and_frees_the_port() -> None:
    desk = Desk()
    assert "streamtag-control" in names_of_threads()
    desk.close()
    desk.close()
    assert "streamtag-control" not in names_of_threads()
    again = ControlPort(*desk.port.address)
    again.open(Recorder())
    again.close()
    assert desk.port.error is None


def test_close_without_open() -> None:
    port = ControlPort("127.0.0.1", 9001)
    port.close()
    assert port.address == ("127.0.0.1", 9001)


def names_of_threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("error", [RuntimeError, ValueError])
def test_a_fault_of_the_program_surfaces(desk: Desk, monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    def fail() -> None:
        raise error("in the engine")

    monkeypatch.setattr(desk.did, "pause", fail)
    desk.send(PAUSE)
    wait_until(lambda: desk.port.error, "the error")
    assert type(desk.port.error) is error
    wait_until(lambda: "streamtag-control" not in names_of_threads(), "the thread's end")
    desk.port.close()


# --- where to listen ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("9001", "127.0.0.1", 9001),
        (" 1 ", "127.0.0.1", 1),
        ("0.0.0.0:9001", "0.0.0.0", 9001),
        ("localhost:65535", "localhost", 65535),
        ("[::1]:9001", "::1", 9001),
    ],
)
def test_where_to_listen(text: str, host: str, port: int) -> None:
    assert parse_listen(text) == (host, port)


@pytest.mark.parametrize(
    "text", ["", "0", "65536", "-1", "9k", ":9001", "localhost", "h:", "::1:9001", "[]:9001", "1:2:3"]
)
def test_nowhere_to_listen(text: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse_listen(text)
    assert repr(text) in str(caught.value)
    assert "expected PORT" in str(caught.value)
