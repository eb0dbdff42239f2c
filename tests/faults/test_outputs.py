"""What can happen to the outputs: pipes, terminals, disks, receivers; and to the process itself."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from streamtag._slugs import slug
from tests.support.show import Receiver, Show
from tests.support.waiting import lacking

pytestmark = pytest.mark.slow

Begin = Callable[..., Show]
Record = Callable[[str, str, str, str], None]


def whole(text: str) -> list[dict]:
    """JSON Lines; a torn one raises."""
    return [json.loads(line) for line in text.splitlines()]


def test_a_pipe_that_nobody_reads(show: Begin, record: Record) -> None:
    """The pipe fills up; OSC goes on at its pace, and what finds no room is counted."""
    reading, writing = os.pipe()
    run = show(None, "--embeddings", stdout=writing)
    os.close(writing)
    run.wait_for(lambda: len(run.receiver.frames) > 500, "frames over OSC", 60)
    steps = np.diff([frame.index for frame in run.receiver.frames])
    assert np.median(steps[-100:]) <= np.median(steps[:100]) + 1, "OSC is held up by the pipe"
    written = b""
    run.running.process.send_signal(signal.SIGINT)
    with os.fdopen(reading, "rb") as pipe:
        written = pipe.read()
    outcome = run.running.end(60)
    assert outcome.status == 130
    lines = whole(written.decode())
    dropped = int(outcome.message.partition(" messages not taken by json")[0].rpartition(" ")[2])
    assert dropped > 50
    hops = int(outcome.message.partition(" hops")[0].rpartition(" ")[2])
    assert abs(len(lines) + dropped - hops) <= 2, "each hop is a line that was read, or counted"
    record(
        "a pipe that nobody reads",
        f"lines beyond 256, the oldest first, counted ({dropped}); OSC loses nothing",
        "`messages not taken`",
        "at once, with the newest lines",
    )


def test_a_terminal_that_is_stopped(show: Begin, record: Record) -> None:
    """Ctrl-S: the live view is stuck in a write; the lights go on, and Ctrl-C still ends it."""
    ours, theirs = pty.openpty()
    try:
        run = show(None, stdout=theirs, env={"TERM": "xterm"}, wait=False, view=True)
        run.wait_for_frames(5)
        run.wait_for_frames(400)  # nobody reads `ours`: its buffer is full long before
        began = time.monotonic()
        run.running.process.send_signal(signal.SIGINT)
        outcome = run.running.end(60)
        took = time.monotonic() - began
    finally:
        os.close(ours)
        os.close(theirs)
    assert outcome.status == 130, outcome.stderr
    assert " s heard: " in outcome.message
    record("a terminal that is stopped", "nothing of OSC", "nothing", f"Ctrl-C ends it after {took:.1f} s")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        lacking("a small disk cannot be mounted here: not root, or not permitted")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk(show: Begin, small_disk: Path, record: Record) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(bytes(40_000))
    out = small_disk / "tags.jsonl"
    with out.open("w") as file:
        run = show(None, stdout=file.fileno())
    run.wait_for(lambda: out.stat().st_size >= 20_000, "the disk to fill", 60)
    run.wait_for_frames(60)
    before = out.stat().st_size
    run.wait_for_frames(30)
    assert out.stat().st_size == before, "the disk is full"
    filler.unlink()
    run.wait_for(lambda: out.stat().st_size > before + 1000, "lines to be written again")
    run.running.process.send_signal(signal.SIGINT)
    outcome = run.running.end(60)
    lines = whole(out.read_text())
    assert lines[-1]["t"] > lines[0]["t"]
    assert "No space left on device" in outcome.message
    assert " messages not taken by json" in outcome.message
    assert outcome.status == 1
    record(
        "disk full, then room again",
        "whole lines while it is full, counted; OSC loses nothing",
        "at the end: what is missing and why; status 1",
        "with the first line for which there is room",
    )


def test_a_receivers_port_is_closed_and_opened(show: Begin, record: Record) -> None:
    run = show(None)
    run.receiver.close()
    time.sleep(1)
    heard = len(run.receiver.frames)
    run.receiver.open()
    took = run.wait_for(lambda: len(run.receiver.frames) > heard + 3, "frames again")
    outcome, counted = run.end()
    assert counted["lost"] == 0
    dropped = int(outcome.message.partition(" messages not taken by osc")[0].rpartition(" ")[2])
    assert dropped > 10
    record(
        "OSC receiver's port closed for 1 s",
        f"the datagrams, as far as the network reports them: {dropped} counted",
        "`not taken`",
        f"{took:.2f} s after it is opened",
    )


def test_a_receiver_that_starts_late(show: Begin, record: Record) -> None:
    late = Receiver()
    late.close()
    run = show(None, "--threshold", "0.05", "--osc", f"localhost:{late.port}")
    run.wait_for(lambda: [a for _, a, _ in run.receiver.messages if a.startswith("/streamtag/on/")], "tags to be on")
    assert not late.messages
    late.open()
    took = run.wait_for(lambda: late.frames, "its first frame")

    def on() -> set[str]:
        told = [(address, given[0]) for _, address, given in late.messages if address.startswith("/streamtag/on/")]
        return {address.rpartition("/")[2] for address, is_on in dict(told).items() if is_on}

    # of those that were on when it came, and of those that have switched since
    run.wait_for(
        lambda: on() and late.of("/streamtag/active") and on() == set(map(slug, late.of("/streamtag/active")[-1])),
        "what is on",
    )
    outcome, _ = run.end()
    late.end()
    assert outcome.status == 130
    assert not on(), "at the end nothing is left on there, either"
    record(
        "an OSC receiver on this machine is started late",
        "what came before, counted",
        "`nobody listens there` until then",
        f"{took:.2f} s after it is started; what is on is sent to it again",
    )


def test_a_name_that_is_not_known(show: Begin, record: Record) -> None:
    run = show(None, "--osc", "no-such-host.invalid:9000")
    run.wait_for_frames(30)
    outcome, _ = run.end()
    assert outcome.status == 130
    # the latter where name servers take their time
    assert re.search(r"no-such-host\.invalid:9000: (cannot be resolved|is still being looked up)", outcome.message)
    assert " messages not taken by osc no-such-host.invalid:9000" in outcome.message
    record(
        "OSC destination whose name is not known",
        "its messages, counted; others lose nothing",
        "a note at the start; `not taken`",
        "within 5 s of the name being known",
    )


WITH_SINK = """
import sys, time
import streamtag

class Moody:
    name = "moody"
    drops = 0
    told = 0
    def open(self, info): pass
    def frame(self, frame):
        self.told += 1
        {behaviour}
    def status(self, stats): pass
    def close(self): pass

host, port = sys.argv[2].rsplit(":", 1)
osc = streamtag.OscSink(host, int(port))
moody = Moody()
session = streamtag.live(input="demo", loop=True, window=1, sinks=[moody, osc])
try:
    with session:
        try:
            session.wait(600)
        except KeyboardInterrupt:
            pass
except ValueError as error:
    print("raised at the end:", error)
stats = session.stats
print(stats.hops, stats.hops_skipped, stats.hops_gated, stats.hops_lost, session.tagger.next_index)
print(stats.samples_captured, stats.samples_in, stats.samples_lost)
print(moody.told, stats.sink_drops["moody"], stats.sink_errors)
"""


def ended(run: Show) -> list[str]:
    run.running.process.send_signal(signal.SIGINT)
    outcome = run.running.end(60)
    assert outcome.status == 0, outcome.stderr
    return outcome.stdout.splitlines()


def counted(line: str) -> list[int]:
    return [int(number) for number in line.split()]


def test_a_users_sink_that_raises(show: Begin, record: Record) -> None:
    behaviour = 'if 50 < self.told <= 80: raise ValueError("moody")'
    run = show(None, code=WITH_SINK.format(behaviour=behaviour))
    run.wait_for_frames(150)
    said, hops, samples, told = ended(run)
    assert said == "raised at the end: moody"
    assert "30 {'moody': 'ValueError: moody'}" in told
    *parts, index = counted(hops)
    assert sum(parts) == index
    captured, taken, lost = counted(samples)
    assert (captured, lost) == (taken, 0)
    record("a user's sink raises at 30 frames", "these 30, for it alone", "`sink_errors`; raised at the end", "at once")


def test_an_engine_that_is_held_up_for_longer_than_the_ring_is_long(show: Begin, record: Record) -> None:
    """The ring overflows: what is lost is counted to the sample, the rest is in its place in time."""
    behaviour = "if self.told == 20: time.sleep(14)"
    run = show(None, code=WITH_SINK.format(behaviour=behaviour))
    run.wait_for(lambda: run.receiver.frames[-1].time > 16, "the time after", 60)
    run.wait_for_frames(60)
    offsets = run.offsets([*run.receiver.frames[:20], *run.receiver.frames[-20:]])
    assert np.ptp(offsets) < 0.5, "time is the wall's, also after the loss"
    hops, samples, _ = ended(run)
    captured, taken, lost = counted(samples)
    assert captured == taken + lost
    assert lost > 44_100
    *parts, index = counted(hops)
    assert sum(parts) == index
    record(
        "the engine held up for 14 s (the ring holds 11.9 s)",
        f"{lost} samples, counted to the one",
        "lost samples, skipped hops",
        "with the newest window",
    )


def test_an_engine_slower_than_the_hop(show: Begin, record: Record) -> None:
    behaviour = "time.sleep(0.06 if self.told < 60 else 0)"
    run = show(None, code=WITH_SINK.format(behaviour=behaviour))
    run.wait_for(lambda: len(run.receiver.frames) > 250, "the time after", 60)
    steps = np.diff([frame.index for frame in run.receiver.frames])
    assert np.median(steps[-100:]) < np.median(steps[:40]), "more hops are judged again"
    hops, samples, _ = ended(run)
    *parts, index = counted(hops)
    assert sum(parts) == index
    assert parts[1] > 50
    captured, taken, lost = counted(samples)
    assert (captured, lost) == (taken, 0)
    record(
        "an engine slower than the hop, for 4 s",
        f"no sample; {parts[1]} hops skipped, counted",
        "skipped hops, load",
        "at once, with the newest window",
    )


THREAD_FAILS = """
import sys
import streamtag

class Failing(Exception):
    pass

session = streamtag.live(input="demo", loop=True, window=1)
calls = 0
def fail(*given, **more):
    global calls
    calls += 1
    if calls > 30:
        raise Failing("{where}")
    return whole(*given, **more)
{patch}
try:
    with session:
        session.wait(60)
except Failing as error:
    print("raised:", error, session.stats.state.value, session.stats.samples_captured - session.stats.samples_in)
"""


@pytest.mark.parametrize(
    ("where", "patch"),
    [
        ("the source's thread", "whole = session.source.ring.write; session.source.ring.write = fail"),
        ("the engine's thread", "whole = session.tagger.step; session.tagger.step = fail"),
    ],
)
def test_an_exception_inside_a_thread(show: Begin, record: Record, where: str, patch: str) -> None:
    run = show(None, code=THREAD_FAILS.format(where=where, patch=patch), wait=False)
    outcome = run.running.end(60)
    assert outcome.stdout.strip() == f"raised: {where} failed 0", outcome.stderr
    record(
        f"an exception inside {where} (a mistake of ours)",
        "nothing that was captured",
        "state `failed`; raised where the caller waits",
        "does not: a service manager starts it again",
    )


FORKS = """
import os, sys, time
import streamtag

with streamtag.live(input="demo", loop=True, window=1) as session:
    session.wait(2)
    child = os.fork()
    if not child:
        try:
            session.wait()
        except streamtag.StreamtagError as error:
            print("child:", error, flush=True)
        sys.exit(0)
    _, status = os.waitpid(child, 0)
    hops = session.stats.hops
    session.wait(2)
    print("parent:", status, session.stats.hops - hops > 50, session.stats.samples_lost)
"""


def test_a_fork(show: Begin, record: Record) -> None:
    run = show(None, code=FORKS, wait=False)
    outcome = run.running.end(60)
    child, parent = outcome.stdout.splitlines()
    assert child == "child: this session goes on in the process that started it, and not in this fork of it"
    assert parent == "parent: 0 True 0"
    assert outcome.status == 0
    record("the process forks", "nothing", "the child's calls say so; it ends at once", "the parent goes on")


def test_hostile_packets_to_the_control_port(show: Begin, record: Record) -> None:
    run = show(None)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(2000):
            sender.sendto(os.urandom(number % 1600), ("127.0.0.1", run.control))
    run.wait_for_frames(60)
    time.sleep(1.2)  # the rate allows commands again
    run.tell("/streamtag/top", 2)
    run.wait_for(lambda: len(run.receiver.of("/streamtag/top")[-1]) == 4, "two tags")
    outcome, _ = run.end()
    assert outcome.status == 130
    assert "commands ignored: " in outcome.message
    record("2,000 packets of noise to the control port", "nothing", "`commands ignored`", "goes on")


def test_commands(show: Begin) -> None:
    run = show(None)
    run.tell("/streamtag/pause")
    run.wait_for_state("paused")
    time.sleep(0.2)
    so_far = len(run.receiver.frames)
    time.sleep(0.5)
    assert len(run.receiver.frames) == so_far, "nothing is sent while paused"
    run.tell("/streamtag/resume")
    run.wait_for_state("running")
    run.wait_for_frames(10)
    run.tell("/streamtag/hop", 0.128)
    time.sleep(0.3)
    run.wait_for_frames(6)
    times = [frame.time for frame in run.receiver.frames[-4:]]
    assert times[-1] - times[0] == pytest.approx(3 * 0.128, abs=0.001)
    run.tell("/streamtag/threshold", 0.01)
    run.wait_for(lambda: [a for _, a, _ in run.receiver.messages if a.startswith("/streamtag/on/")], "tags to be on")
    outcome, counts = run.end()
    assert outcome.status == 130
    assert counts["rested"] > 20


def test_sigterm(show: Begin, record: Record) -> None:
    run = show(None)
    outcome, counts = run.end(signal.SIGTERM)
    assert outcome.status == 143
    assert counts["lost"] == 0
    record("SIGTERM", "nothing", "the summary; status 143", "ends at once")


def test_a_terminal_that_is_closed(show: Begin, record: Record) -> None:
    """SIGHUP: no light stays on."""
    run = show(None, "--threshold", "0.02", "--smooth", "0")
    run.wait_for(lambda: [a for _, a, _ in run.receiver.messages if a.startswith("/streamtag/on/")], "tags to be on")
    outcome, counted = run.end(signal.SIGHUP)
    assert outcome.status == 129
    assert counted["lost"] == 0
    on = {a: arguments[0] for _, a, arguments in run.receiver.messages if a.startswith("/streamtag/on/")}
    assert not any(on.values())
    record("the terminal is closed (SIGHUP)", "nothing; what is on is switched off", "the summary; status 129", "-")


def test_a_sink_may_stop_the_session_and_not_wait_for_it(show: Begin) -> None:
    behaviour = """
        if self.told == 10:
            try:
                session.wait()
            except streamtag.StreamtagError as error:
                print(error)
            session.stop()"""
    run = show(None, code=WITH_SINK.format(behaviour=behaviour), wait=False)
    outcome = run.running.end(60)
    said, hops, samples, told = outcome.stdout.splitlines()
    assert said == "a sink cannot wait for the session that calls it; stop() is possible"
    *parts, index = counted(hops)
    assert sum(parts) == index
    captured, taken, lost = counted(samples)
    assert captured == taken + lost
    assert told.startswith("10 0 ")


def test_the_ports_of_another_are_said(show: Begin) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        run = show(None, "--osc-in", other.getsockname()[1], wait=False)
        outcome = run.running.end(60)
    assert outcome.status == 1
    assert "Address already in use" in outcome.message
    assert len(outcome.message.splitlines()) == 1
