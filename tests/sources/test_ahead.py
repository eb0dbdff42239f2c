"""Sound that is read ahead: how much, when it is heard, and whose clock it follows."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from streamtag.decoding.reader import RefusedError
from streamtag.sources import ahead
from streamtag.sources.ahead import KEPT_SECONDS, Ahead, Follower

RATE = 8_000
BLOCK = 800


def blocks(count: int, pause: float = 0.0) -> Iterator[np.ndarray]:
    for number in range(count):
        time.sleep(pause)
        yield np.full((BLOCK, 1), number, np.float32)


def never(seconds: float) -> bool:
    time.sleep(seconds)
    return False


@pytest.mark.slow
def test_a_sender_that_is_faster_is_heard_in_real_time_and_held_back() -> None:
    asked = []

    def counted() -> Iterator[np.ndarray]:
        for block in blocks(120):
            asked.append(block)
            yield block

    reading = Ahead(counted(), RATE, never)
    began, came = time.monotonic(), []
    for block in reading:
        came.append((time.monotonic() - began, int(block[0, 0])))
        assert len(asked) * BLOCK / RATE <= came[-1][0] + KEPT_SECONDS + 0.3
        if len(came) == 20:
            break
    assert [number for _, number in came] == list(range(20))
    assert [at for at, _ in came] == pytest.approx(0.1 * np.arange(20), abs=0.08)
    assert reading.stop(5)


@pytest.mark.slow
def test_a_sender_without_a_burst_is_given_a_second() -> None:
    """So that what comes late later is not missed."""
    reading = Ahead(blocks(15, pause=0.1), RATE, never)
    began = time.monotonic()
    came = [time.monotonic() - began for _ in reading]
    assert came[0] == pytest.approx(1.1, abs=0.15)
    assert np.diff(came) == pytest.approx(0.1, abs=0.08)


def test_what_the_sender_raises_is_raised_behind_what_came_before() -> None:
    def breaks() -> Iterator[np.ndarray]:
        yield from blocks(3)
        raise RefusedError("gone")

    reading = Ahead(breaks(), RATE, never)
    got: list[np.ndarray] = []
    with pytest.raises(RefusedError, match="gone"):
        got.extend(reading)
    assert reading.stop(5)


def test_the_end_does_not_wait_for_a_read_that_does_not_return() -> None:
    released = threading.Event()

    def hangs() -> Iterator[np.ndarray]:
        yield from blocks(1)
        released.wait(60)

    stopping = threading.Event()
    reading = Ahead(hangs(), RATE, stopping.wait)
    threading.Timer(0.3, stopping.set).start()
    list(reading)
    assert not reading.stop(0.2)
    released.set()
    assert reading.stop(5)


@pytest.mark.slow
@pytest.mark.parametrize("ppm", [-100.0, -20.0, 0.0, 50.0, 100.0])
@pytest.mark.parametrize("chunk_seconds", [0.05, 2.0])
def test_a_stations_clock_is_followed_for_a_day(ppm: float, chunk_seconds: float) -> None:
    """The level stays where it is, and the pace becomes the station's; simulated, a block of 0.37 s after the other."""
    follower = Follower()
    follower.begin(0.0)
    heard, drifts = 0.0, []
    for now in np.arange(0.37, 86_400, 0.37):
        sent = 2.0 + chunk_seconds * math.floor(now * (1 + 1e-6 * ppm) / chunk_seconds)
        heard += 0.37 * (1 + follower.update(float(now), sent - heard))
        drifts.append(1e6 * follower.drift)
        assert -chunk_seconds < sent - heard < KEPT_SECONDS
    assert np.mean(drifts[-50_000:]) == pytest.approx(ppm, abs=2)
    assert np.std(drifts[-50_000:]) < 15


def test_who_sends_as_much_as_is_taken_has_no_clock() -> None:
    follower = Follower()
    follower.begin(0.0)
    for now in range(1, 1_000):
        assert follower.update(float(now), KEPT_SECONDS) == 0
    assert ahead.HIGHEST_SECONDS < KEPT_SECONDS
