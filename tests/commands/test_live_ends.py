"""The end of a live session always comes: whatever signals, in whatever order, at whatever moment."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from tests.support.osc import Receiver
from tests.support.ports import free_udp_port
from tests.support.program import Running

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals"),
    pytest.mark.usefixtures("compiled"),
]
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
ROUNDS = int(os.environ.get("ENDS_ROUNDS", "12"))
"""With ENDS_ROUNDS=300 and `-n 2` this takes a quarter of an hour."""


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_pairs_and_triples_of_signals_at_any_moment_end_it_once_and_in_order(
    start: Callable[..., Running], seed: int
) -> None:
    chance = random.Random(seed)
    receiver = Receiver()
    destination = f"127.0.0.1:{receiver.port}"
    quick = ("--hop", 0.064, "--threshold", 0.05, "--format", "json")
    running = start("live", "--input", "demo", *quick, "--osc", destination)
    on: dict[str, int] = {}
    if seed % 3:  # something is on, then at any moment; else at any moment of the start
        while not any(on.values()):
            on |= switches(receiver)
            assert running.process.poll() is None
        time.sleep(chance.uniform(0, 1))
    else:
        time.sleep(chance.uniform(0.3, 3))
    sent = [chance.choice(SIGNALS) for _ in range(chance.choice((2, 3)))]
    for name in sent:
        running.process.send_signal(getattr(signal, name))
        time.sleep(chance.choice((0, 0, 0.001, 0.01, 0.1)))
    outcome = running.end()
    on |= switches(receiver)
    receiver.socket.close()
    assert not any(on.values()), f"{sent}: a light was left on"
    assert outcome.status in {128 + getattr(signal, name) for name in sent}
    assert outcome.stderr.count(" s heard: ") == 1 if on else "Traceback" not in outcome.message


@pytest.mark.parametrize("stuck", ["stdout", "stderr"])
def test_a_reader_who_has_stopped_reading_does_not_keep_lights_on(stuck: str) -> None:
    """Three signals force the end after a second, and a pipe is waited for longer."""
    receiver = Receiver()
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, b"\n" * 4096)
    os.set_blocking(writing, True)
    stdout, stderr = (writing if stuck == name else subprocess.DEVNULL for name in ("stdout", "stderr"))
    live = ["live", "--input", "demo", "--hop", "0.064", "--threshold", "0.05", "--format", "json"]
    destinations = ["--osc", f"127.0.0.1:{receiver.port}", "--osc", f"127.0.0.1:{free_udp_port()}"]
    process = subprocess.Popen([sys.executable, "-m", "streamtag", *live, *destinations], stdout=stdout, stderr=stderr)
    try:
        on: dict[str, int] = {}
        while not any(on.values()):
            on |= switches(receiver)
            assert process.poll() is None
        for _ in range(3):
            process.terminate()
            time.sleep(0.1)  # two that come at once are one
        assert process.wait(60) == 143
        on |= switches(receiver)
        assert not any(on.values()), "a light was left on"
    finally:
        process.kill()
        process.wait()
        os.close(reading)
        os.close(writing)
        receiver.socket.close()


def switches(receiver: Receiver) -> dict[str, int]:
    """What was said of each tag last."""
    messages = receiver.messages()
    return {address: values[0] for address, _, values in messages if address.startswith("/streamtag/on/")}
