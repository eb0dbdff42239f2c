"""Names that stand for several addresses, where a receiver listens at one, at all, or at none; late receivers."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streamtag.osc.destination import Destination
from streamtag.osc.sink import OscSink
from streamtag.sinks.base import HeadInfo
from tests.support.osc import Receiver
from tests.support.ports import free_udp_port
from tests.support.values import INFO, make_frame, make_head, make_stats
from tests.support.waiting import lacking

SWITCHES = ("/streamtag/on/", "/streamtag/head/mood/on/")


@pytest.fixture
def port() -> int:
    """A port that is free in both families."""
    for _ in range(100):
        port = free_udp_port()
        try:
            with Receiver("::1", port).socket:
                return port
        except OSError as error:
            if error.errno != 98:
                lacking("this machine has no IPv6")
    pytest.fail("no port is free")


@pytest.fixture
def listen(port: int) -> Iterator[Callable[[str], Receiver]]:
    """Makes receivers at the port."""
    with ExitStack() as stack:

        def begin(host: str) -> Receiver:
            receiver = Receiver(host, port)
            stack.enter_context(receiver.socket)
            return receiver

        yield begin


@pytest.fixture
def sink(port: int) -> Iterator[OscSink]:
    sink = OscSink("localhost", port)
    with closing(sink):
        yield sink


def heard(receiver: Receiver) -> list[int]:
    """The frames that a receiver was sent."""
    return [arguments[0] for address, _, arguments in receiver.messages() if address == "/streamtag/frame"]


def switched(receiver: Receiver) -> list[tuple[str, int]]:
    return [(address, given[0]) for address, _, given in receiver.messages() if address.startswith(SWITCHES)]


# --- localhost ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_localhost_is_where_the_receiver_listens(listen: Callable[[str], Receiver], sink: OscSink, host: str) -> None:
    receiver = listen(host)
    sink.open(INFO)
    for index in range(5):
        sink.frame(make_frame(index))
    assert heard(receiver) == [0, 1, 2, 3, 4]
    assert (sink.drops, sink.trouble) == (0, None)


def test_a_receiver_at_both_addresses_hears_everything_once(listen: Callable[[str], Receiver], sink: OscSink) -> None:
    first, second = listen("127.0.0.1"), listen("::1")
    sink.open(INFO)
    for index in range(5):
        sink.frame(make_frame(index))
    assert heard(first) == [0, 1, 2, 3, 4]
    assert heard(second) == []


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_receiver_that_starts_late_hears_from_then_on(
    listen: Callable[[str], Receiver], sink: OscSink, host: str
) -> None:
    sink.open(INFO)
    sink.frame(make_frame(0))
    assert sink.trouble == "nobody listens there"
    assert sink.drops > 0
    receiver = listen(host)
    before = sink.drops
    sink.frame(make_frame(1))
    sink.frame(make_frame(2))
    assert heard(receiver) == [1, 2]
    assert sink.trouble is None, "it is over as soon as it is"
    assert sink.drops <= before + 1


def test_a_receiver_that_comes_back_at_the_other_address_is_followed(
    listen: Callable[[str], Receiver], sink: OscSink
) -> None:
    for host in ("127.0.0.1", "::1", "127.0.0.1"):
        receiver = listen(host)
        if sink.drops == 0 and host == "127.0.0.1":
            sink.open(INFO)
        sink.frame(make_frame(7))
        sink.frame(make_frame(8))
        assert heard(receiver) == [7, 8]
        receiver.socket.close()


def test_trouble_stays_until_it_is_over(listen: Callable[[str], Receiver], sink: OscSink) -> None:
    sink.open(INFO)
    for _ in range(3):
        sink.status(make_stats())
        assert sink.trouble == "nobody listens there"
    listen("127.0.0.1")
    assert sink.trouble == "nobody listens there", "nothing was sent since"
    sink.status(make_stats())
    sink.status(make_stats())
    assert sink.trouble is None


@pytest.mark.parametrize("host", ["localhost", "localhost.", "LocalHost"])
def test_localhost_needs_nobody_who_knows_it(
    listen: Callable[[str], Receiver], port: int, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    receiver = listen("127.0.0.1")
    with closing(OscSink(host, port)) as sink:
        sink.open(INFO)
        sink.frame(make_frame(3))
    assert heard(receiver) == [3]


def test_an_address_means_itself(listen: Callable[[str], Receiver], port: int) -> None:
    receiver = listen("127.0.0.1")
    with closing(OscSink("::1", port)) as sink:
        sink.open(INFO)
        sink.frame(make_frame())
        assert sink.trouble == "nobody listens there"
        assert sink.name == f"osc [::1]:{port}"
    assert receiver.datagrams() == []


# --- other names --------------------------------------------------------------------------------------------------


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> str:
    """A name with an address of each family, the newer one first, as name servers answer."""
    real = socket.getaddrinfo

    def answer(host: str, port: int, **options: int) -> list[Any]:
        assert host == "stage.invalid"
        return [found for address in ("::1", "127.0.0.1") for found in real(address, port, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return "stage.invalid"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_name_is_where_the_receiver_listens(
    listen: Callable[[str], Receiver], port: int, stage: str, host: str
) -> None:
    receiver = listen(host)
    with closing(OscSink(stage, port)) as sink:
        sink.open(INFO)
        for index in range(3):
            sink.frame(make_frame(index))
        assert heard(receiver) == [0, 1, 2]
        assert (sink.drops, sink.trouble) == (0, None)


def test_of_a_name_with_both_the_older_address_comes_first(
    listen: Callable[[str], Receiver], port: int, stage: str
) -> None:
    first, second = listen("127.0.0.1"), listen("::1")
    with closing(OscSink(stage, port)) as sink:
        sink.open(INFO)
        sink.frame(make_frame(1))
    assert (heard(first), heard(second)) == ([1], [])


def test_what_nobody_takes_at_any_address_is_counted_once(port: int) -> None:
    with closing(Destination("localhost", port)) as there:
        there.open()
        for _ in range(10):
            there.send(b"/a\0\0,\0\0\0")
        assert there.drops == 10


# --- what is on, for those who come late --------------------------------------------------------------------------


def test_a_late_receiver_is_told_what_is_on_and_the_others_are_not_told_twice(
    listen: Callable[[str], Receiver], sink: OscSink
) -> None:
    sink.open(replace(INFO, heads=(HeadInfo("mood", ("calm", "wild")),)))
    heads = (make_head(switched=(("calm", True),)),)
    sink.frame(make_frame(0, switched=(("rock", True), ("pop", True)), heads=heads))
    sink.frame(make_frame(1, switched=(("pop", False),), heads=(make_head(),)))
    receiver = listen("127.0.0.1")
    sink.frame(make_frame(2, heads=(make_head(),)))
    all_of_it = [("/streamtag/on/rock", 1), ("/streamtag/on/pop", 0), ("/streamtag/head/mood/on/calm", 1)]
    assert switched(receiver) == all_of_it
    for index in range(3, 6):
        sink.frame(make_frame(index, heads=(make_head(),)))
        sink.status(make_stats())
    assert switched(receiver) == [], "who was there all the time has heard it"


def test_each_status_lists_what_is_on(listen: Callable[[str], Receiver], port: int) -> None:
    receiver = listen("127.0.0.1")
    info = replace(INFO, heads=(HeadInfo("Mood of it", ("calm", "wild")),))

    def listed(sink: OscSink) -> dict[str, tuple[Any, ...]]:
        sink.status(make_stats())
        found = {address: given for address, _, given in receiver.messages()}
        return {address: given for address, given in found.items() if address.startswith("/streamtag/active")}

    with closing(OscSink("127.0.0.1", port)) as sink:
        sink.open(info)
        assert listed(sink) == {"/streamtag/active": ()}
        calm = make_head("Mood of it", switched=(("calm", True),))
        sink.frame(make_frame(0, switched=(("rock", True), ("female vocalists", True)), heads=(calm,)))
        on = {"/streamtag/active": ("rock", "female vocalists"), "/streamtag/active/mood_of_it": ("calm",)}
        assert listed(sink) == on
        assert listed(sink) == on, "again and again"
        gone = make_head("Mood of it", switched=(("calm", False),))
        sink.frame(make_frame(1, switched=(("rock", False),), heads=(gone,)))
        assert listed(sink) == {"/streamtag/active": ("female vocalists",), "/streamtag/active/mood_of_it": ()}


# --- addresses of many --------------------------------------------------------------------------------------------


IN_A_NAMESPACE = """
import socket, struct, subprocess, sys
sys.path.insert(0, sys.argv[1])
from streamtag.osc.destination import Destination

def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)

ip("link", "add", "stage0", "type", "veth", "peer", "name", "stage1")
ip("addr", "add", "10.9.0.1/24", "brd", "10.9.0.255", "dev", "stage0")
ip("link", "set", "stage0", "up")
ip("link", "set", "stage1", "up")
ip("route", "add", "default", "dev", "stage0")
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
    receiver.bind(("0.0.0.0", 9000))
    receiver.settimeout(10)
    group = struct.pack("4s4s", socket.inet_aton("239.1.2.3"), socket.inet_aton("10.9.0.1"))
    receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
    for host in ("10.9.0.255", "255.255.255.255", "239.1.2.3"):
        there = Destination(host, 9000)
        there.open()
        there.send(host.encode())
        assert (there.trouble, there.drops) == (None, 0), there.trouble
        assert receiver.recv(100) == host.encode()
        there.close()
print("all heard")
"""


@pytest.mark.slow
def test_broadcast_and_multicast() -> None:
    namespace = ["unshare", "--map-root-user", "--net"]
    if not (shutil.which("unshare") and shutil.which("ip")):
        lacking("unshare or ip is missing (packages util-linux, iproute2)")
    if subprocess.run([*namespace, "true"], capture_output=True).returncode:
        lacking("network namespaces are not permitted here")
    script = [sys.executable, "-W", "error", "-c", IN_A_NAMESPACE, str(Path(__file__).parents[2])]
    ended = subprocess.run([*namespace, *script], capture_output=True, text=True, timeout=120)
    assert ended.stdout == "all heard\n", ended.stderr


def test_a_receiver_that_answers_disturbs_nobody(listen: Callable[[str], Receiver], sink: OscSink) -> None:
    receiver = listen("127.0.0.1")
    sink.open(INFO)
    sink.status(make_stats())
    _, sender = receiver.socket.recvfrom(65536)
    for _ in range(5000):
        receiver.socket.sendto(bytes(1000), sender)
    for index in range(10):
        sink.frame(make_frame(index))
    assert heard(receiver) == list(range(10))
    assert (sink.drops, sink.trouble) == (0, None)
