"""`live --record` and `replay`, as people use them."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.osc import Receiver
from tests.support.program import Running, run_cli
from tests.support.waiting import wait_until

Start = Callable[..., Running]


@pytest.fixture(scope="module")
def take(tmp_path_factory: pytest.TempPathFactory, compiled: None) -> Path:
    path = tmp_path_factory.mktemp("takes") / "take.npz"
    done = run_cli("live", "--input", "demo", "--duration", 6, "--format", "json", "--record", path)
    assert done.status == 0, done.message
    (path.parent / "sent.jsonl").write_text(done.stdout)
    return path


@pytest.mark.slow
def test_a_show_hears_again_what_was_sent(take: Path) -> None:
    receiver = Receiver()
    with contextlib.closing(receiver.socket):
        done = run_cli("replay", take, "--osc", f"127.0.0.1:{receiver.port}", "--format", "json")
        assert done.status == 0, done.message
        addresses = {address for address, _, _ in receiver.messages()}
    assert {"/streamtag/frame", "/streamtag/embedding", "/streamtag/xyz", "/streamtag/status"} <= addresses
    sent = [json.loads(line) for line in (take.parent / "sent.jsonl").read_text().splitlines()]
    assert done.told[-1] == f"{len(done.json)} results of take.npz sent"
    for before, again in zip(sent, done.json, strict=True):
        for name in ("t", "top", "on", "xyz", "level_dbfs", "music"):
            assert again.get(name) == before.get(name)


@pytest.mark.slow
def test_a_replay_that_is_looped_ends_with_ctrl_c(take: Path, start: Start) -> None:
    running = start("replay", take, "--loop", "--from", "5.5", "--format", "json")
    running.wait_for_lines(40)
    running.process.send_signal(signal.SIGINT)
    done = running.end()
    assert done.status == 130
    assert "results of take.npz sent" in done.message
    times = [line["t"] for line in done.json]
    assert times == sorted(times)


@pytest.mark.slow
def test_who_reads_a_replay_may_leave(take: Path, start: Start) -> None:
    ours, its = socket.socketpair()
    running = start("replay", take, "--format", "json", stdout=its.fileno())
    its.close()
    assert ours.recv(10)
    ours.close()
    done = running.end()
    assert (done.status, done.message.splitlines()[1:]) == (0, [])
    wait_until(lambda: running.process.poll() is not None, "the end")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["replay", "{take}", "--from", "1000"], "--from 1000: the take is"),
        (["replay", "none.npz"], "cannot read none.npz: No such file"),
        (["replay", "README.md"], "README.md is no take"),
        (["live", "--input", "demo", "--record", "{take}"], "it is there already, and a take is never overwritten"),
        (["live", "--input", "demo", "--record", "a.tags"], "a take is .npz"),
        (["live", "--input", "demo", "--record", "nowhere/a.npz"], "does not exist"),
    ],
)
def test_what_cannot_be_is_told_first(take: Path, arguments: list[str], told: str) -> None:
    done = run_cli(*(argument.format(take=take) for argument in arguments))
    assert done.status in (1, 2)
    assert told in done.message
