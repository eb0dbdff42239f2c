"""OSC to a destination that cannot be reached, for now: a name, a network, a receiver that comes and goes.

There is no name server here that a test could change, so `socket.getaddrinfo` stands for it in the tests of names that
change. All else is real; the networks that go are in a network namespace of their own.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from streamtag.osc import destination
from streamtag.osc.destination import Destination
from streamtag.osc.sink import OscSink
from tests.support.osc import Receiver
from tests.support.ports import free_udp_port
from tests.support.values import INFO, make_frame, make_stats
from tests.support.waiting import lacking, wait_until

pytestmark = pytest.mark.slow


def resolving() -> bool:
    return any(thread.name == "streamtag-resolve" for thread in threading.enumerate())


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.socket.close()


def switches(receiver: Receiver) -> list[tuple[str, int]]:
    """What was switched since this was last asked."""
    said = [(address.rpartition("/"), arguments) for address, _, arguments in receiver.messages()]
    return [(label, on) for (where, _, label), (on, *_) in ((a, b) for a, b in said if a[0] == "/streamtag/on")]


class Names:
    """Stands for the name server: what `show.invalid` means, from when on, and how often it was asked."""

    def __init__(self, real: Callable[..., list[Any]]) -> None:
        self.addresses: list[str] = []
        self.answering = threading.Event()
        self.answering.set()
        self.asked = 0
        self._real = real

    def getaddrinfo(self, host: str, port: int, **options: int) -> list[Any]:
        assert host == "show.invalid"
        self.asked += 1
        assert self.answering.wait(30)
        if not self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [found for address in self.addresses for found in self._real(address, port, **options)]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    names = Names(socket.getaddrinfo)
    monkeypatch.setattr(socket, "getaddrinfo", names.getaddrinfo)
    yield names
    names.answering.set()


# --- names --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 64 + ".invalid", "..", "300.1.1.1", "a\0b"])
def test_a_name_that_cannot_be_resolved_is_told_and_counted(host: str) -> None:
    before = open_files()
    sink = OscSink(host, 9000)
    assert sink.trouble is None
    sink.open(INFO)

    def answered() -> bool:
        assert isinstance(sink._destination, Destination)
        sink._destination._advance()
        return sink.trouble is not None and sink.trouble.startswith("cannot be resolved: ")

    wait_until(answered, "the answer")
    sink.frame(make_frame())
    sink.frame(make_frame(1, switched=(("rock", True),)))
    sink.status(make_stats())
    assert sink.drops == 3, "one for each frame and status"
    sink.close()
    wait_until(lambda: not resolving(), "the thread to end")
    assert open_files() == before


def test_a_name_that_is_known_later_is_found(names: Names, receiver: Receiver) -> None:
    sink = OscSink("show.invalid", receiver.port)
    sink.open(INFO)
    assert sink.trouble == "cannot be resolved: Name or service not known"
    names.addresses = ["127.0.0.1"]
    told = 0

    def heard() -> bool:
        nonlocal told
        sink.status(make_stats())
        told += 1
        return sink.trouble is None

    wait_until(heard, "the name to be found")
    assert len(receiver.datagrams()) == 1
    assert sink.drops == told - 1
    assert names.asked == 2
    sink.close()


def test_attempts_become_rarer_and_then_are_as_often_again(
    names: Names, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    there = destination.Destination("show.invalid", receiver.port)
    there.open()

    def pause() -> float:
        """Seconds until it is asked again, in steps of 0.25."""
        asked, began = names.asked, now[0]
        while names.asked == asked and now[0] < began + 60:
            now[0] += 0.25
            there.ready()
            if there._lookup is not None:
                assert there._lookup.finished.wait(10)
        there.ready()
        return now[0] - began

    assert [pause() for _ in range(6)] == [0.5, 1, 2, 4, 5, 5]
    names.addresses = ["127.0.0.1"]
    assert pause() == 5
    assert there.trouble is None
    assert [pause() for _ in range(2)] == [30, 30], "a name that works is looked up again, too"
    there.send(bytes(70_000))  # more than a datagram can be: it fails as a socket does whose network has gone
    assert there.trouble == "Message too long"
    assert [pause() for _ in range(3)] == [0.5, 1, 2]
    there.send(b"/a")
    assert there.trouble is None
    assert pause() == 30
    there.close()


def test_a_name_server_that_does_not_answer_delays_nobody(names: Names, receiver: Receiver) -> None:
    before = open_files()
    names.addresses = ["127.0.0.1"]
    names.answering.clear()
    sink = OscSink("show.invalid", receiver.port)
    sink.open(INFO)
    assert sink.trouble == "is still being looked up"
    for index in range(1000):  # were one of them to wait, this would never end
        sink.frame(make_frame(index))
    assert (sink.drops, names.asked) == (1000, 1)
    sink.close()
    assert resolving()
    names.answering.set()
    wait_until(lambda: not resolving(), "the thread to end")
    assert open_files() == before, "what comes late is closed"
    assert receiver.datagrams() == []


def test_an_answer_that_nobody_took_is_closed(names: Names, receiver: Receiver) -> None:
    before = open_files()
    names.addresses = ["127.0.0.1"]
    names.answering.clear()
    sink = OscSink("show.invalid", receiver.port)
    sink.open(INFO)
    names.answering.set()
    wait_until(lambda: not resolving(), "the answer")
    assert open_files() == before + 1
    sink.close()
    assert open_files() == before


def test_a_name_that_moves_is_followed_and_one_that_stays_keeps_its_socket(
    names: Names, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(destination, "LOOKUP_SECONDS", 0.0)
    other = Receiver("127.0.0.2", receiver.port)
    before = open_files()
    names.addresses = ["127.0.0.1"]
    sink = OscSink("show.invalid", receiver.port)
    sink.open(INFO)

    def sent_until(asked: int) -> bool:
        sink.status(make_stats())
        return names.asked >= asked

    wait_until(lambda: sent_until(5), "five look-ups")
    names.addresses = ["127.0.0.2", "127.0.0.1"]  # in another order, as name servers answer
    wait_until(lambda: sent_until(8), "three more")
    senders = [receiver.socket.recvfrom(65536)[1] for _ in range(8)]
    assert len(set(senders)) == 1
    assert other.datagrams() == []
    names.addresses = []  # for a while, nobody knows it
    wait_until(lambda: sent_until(11), "three more")
    assert sink.trouble is None
    assert receiver.datagrams(), "its last address still works"
    names.addresses = ["127.0.0.2"]
    wait_until(lambda: sent_until(14), "three more")
    receiver.datagrams()
    sink.frame(make_frame())
    assert receiver.datagrams() == []
    assert other.datagrams()
    assert sink.drops == 0
    other.socket.close()
    sink.close()
    wait_until(lambda: not resolving(), "the thread to end")
    assert open_files() == before - 1, "all sockets but the other receiver's"


def test_the_first_address_that_a_route_leads_to_is_taken(names: Names, receiver: Receiver) -> None:
    names.addresses = ["fe80::1", "127.0.0.1"]  # no way leads to the first: it does not say on which link
    sink = OscSink("show.invalid", receiver.port)
    sink.open(INFO)
    sink.status(make_stats())
    sink.close()
    assert len(receiver.datagrams()) == 1


def test_an_address_is_never_looked_up_again(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(destination, "LOOKUP_SECONDS", 0.0)
    sink = OscSink("127.0.0.1", receiver.port)
    sink.open(INFO)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("looked up"))
    for index in range(5):
        sink.frame(make_frame(index))
        assert isinstance(sink._destination, Destination)
        assert sink._destination._lookup is None
    sink.close()


# --- receivers ----------------------------------------------------------------------------------------------------


def test_a_receiver_that_is_down_is_counted_and_hears_again_when_it_is_up() -> None:
    port = free_udp_port()
    sink = OscSink("127.0.0.1", port)
    sink.open(INFO)
    assert sink.trouble is None
    for index in range(5):
        sink.frame(make_frame(index))
    assert sink.drops > 0
    assert sink.trouble == "nobody listens there"
    receiver = Receiver(port=port)
    before = sink.drops
    sink.frame(make_frame(5))
    sink.frame(make_frame(6))
    frames = [item[2][0] for item in receiver.messages() if item[0] == "/streamtag/frame"]
    assert frames == [5, 6], "everything since it is up"
    assert sink.drops <= before + 1
    wait_until(lambda: sink.trouble is None, "the refusals to be forgotten")
    receiver.socket.close()
    for index in range(7, 10):
        sink.frame(make_frame(index))
    assert sink.drops > before + 1
    assert sink.trouble == "nobody listens there"
    sink.close()


def test_what_was_switched_while_there_was_no_way_is_told_when_there_is_one_and_switched_off_at_the_end(
    names: Names, receiver: Receiver
) -> None:
    sink = OscSink("show.invalid", receiver.port)
    sink.open(INFO)
    sink.frame(make_frame(0, switched=(("rock", True), ("jazz", True))))
    sink.frame(make_frame(1, switched=(("jazz", False),)))
    names.addresses = ["127.0.0.1"]

    def found() -> bool:
        sink.status(make_stats())
        return sink.trouble is None

    wait_until(found, "the name to be found")
    assert switches(receiver) == [("rock", 1), ("jazz", 0)]
    sink.frame(make_frame(1, switched=(("pop", True),)))
    assert switches(receiver) == [("pop", 1)]
    sink.close()
    assert switches(receiver) == [("rock", 0), ("pop", 0)]


# --- networks -----------------------------------------------------------------------------------------------------


IN_A_NAMESPACE = """
import socket, struct, subprocess, sys, threading, time
sys.path.insert(0, sys.argv[1])
from tests.support.values import INFO, make_frame, make_stats
from streamtag.osc.sink import OscSink

def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)

def told_until(condition):
    count = 0
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until, (sink.trouble, sink.drops)
        sink.status(make_stats())
        count += 1
        time.sleep(0.01)
    return count

receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
receiver.bind(("0.0.0.0", 9000))
receiver.setblocking(False)

def heard():
    senders = []
    try:
        while True:
            senders.append(receiver.recvfrom(65536)[1][0])
    except BlockingIOError:
        return senders

# no network at all
sink = OscSink("10.9.0.9", 9000)
sink.open(INFO)
assert sink.trouble == "Network is unreachable", sink.trouble
sink.frame(make_frame())
assert sink.drops == 1

# it comes up
ip("link", "set", "lo", "up")
ip("addr", "add", "10.9.0.1/24", "dev", "lo")
told = told_until(lambda: sink.trouble is None)
assert set(heard()) == {"10.9.0.1"}
assert sink.drops == told

# its address goes
ip("addr", "flush", "dev", "lo")
told_until(lambda: sink.trouble == "Network is unreachable")
before = sink.drops
sink.status(make_stats())
assert sink.drops == before + 1
(stale,) = sink._destination._peers

# and another comes, with a way to the receiver: the old socket would never find it
stale = stale._socket.dup()
ip("addr", "add", "10.9.1.1/24", "dev", "lo")
ip("route", "add", "local", "10.9.0.9", "dev", "lo", "src", "10.9.1.1")
try:
    stale.send(b"x")
except OSError as error:
    assert error.strerror == "Network is unreachable"
else:
    raise AssertionError("a stale socket works here: nothing is shown")
stale.close()
told_until(lambda: sink.trouble is None)
assert set(heard()) == {"10.9.1.1"}
before = sink.drops
for index in range(3):
    sink.frame(make_frame(index))
assert sink.drops == before
assert len(heard()) > 3

# a firewall returns what comes: an ICMP error, type 3 (unreachable), code 13 (prohibited), with what it is about
(used,) = sink._destination._peers
own, (host, port) = used._socket.getsockname(), used._socket.getpeername()
about = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 36, 0, 0, 64, 17, 0, socket.inet_aton(own[0]), socket.inet_aton(host))
about += struct.pack("!HHHH", own[1], port, 16, 0)
total = sum(struct.unpack(f"!{len(about) // 2}H", about)) + 0x030D
while total >> 16:
    total = (total & 0xFFFF) + (total >> 16)
with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as firewall:
    firewall.sendto(struct.pack("!BBHI", 3, 13, total ^ 0xFFFF, 0) + about, (own[0], 0))
assert sink.trouble is None
sink.status(make_stats())
assert sink.trouble == "No route to host", sink.trouble
assert sink.drops == before + 1, "the one that came back"
assert len(heard()) == 1, "and the present one is sent"
told_until(lambda: sink.trouble is None)
assert sink._destination._peers == (used,), "nothing is wrong with the socket"
sink.close()
receiver.close()
assert not [thread for thread in threading.enumerate() if thread.name == "streamtag-resolve"]
print("all heard")
"""


def test_a_network_that_comes_late_goes_and_comes_back_with_another_address() -> None:
    namespace = ["unshare", "--map-root-user", "--net"]
    if not (shutil.which("unshare") and shutil.which("ip")):
        lacking("unshare or ip is missing (packages util-linux, iproute2)")
    if subprocess.run([*namespace, "true"], capture_output=True).returncode:
        lacking("network namespaces are not permitted here")
    script = [sys.executable, "-W", "error", "-c", IN_A_NAMESPACE, str(Path(__file__).parents[2])]
    ended = subprocess.run([*namespace, *script], capture_output=True, text=True, timeout=120)
    assert ended.stdout == "all heard\n", ended.stderr
