"""The ring between the audio thread and the engine: nothing lost, nothing twice, everything counted."""

from __future__ import annotations

import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamtag.errors import OptionError
from streamtag.ringbuffer import RingBuffer


def ramp(start, count):
    """Numbered samples: float32 counts exactly to 2**24."""
    return np.arange(start, start + count, dtype=np.float32)


@pytest.mark.parametrize(
    ("samplerate", "seconds", "capacity"),
    [
        (1, 1, 1),
        (1000, 0.064, 64),
        (1000, 0.065, 128),
        (44_100, 10.0, 2**19),
        (48_000, 0.0001, 4),
        (192_000, 10, 2**21),
    ],
)
def test_capacity_is_the_next_power_of_two(samplerate, seconds, capacity):
    ring = RingBuffer(samplerate, seconds)
    assert ring.capacity == capacity
    assert ring.samplerate == samplerate
    assert (ring.written, ring.waiting, ring.lost, ring.overflows, ring.nonfinite) == (0, 0, 0, 0, 0)


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e-9])
def test_refuses_to_hold_nothing(seconds):
    with pytest.raises(OptionError, match="holds no sample"):
        RingBuffer(44_100, seconds)


def test_an_empty_ring_reads_as_nothing():
    ring = RingBuffer(1000, 0.016)
    assert ring.read().shape == (0,)
    ring.write(ramp(0, 0), 0.0)
    assert ring.read().dtype == np.float32
    assert ring.written == 0


# a read, or a write of so many samples
STEPS = st.lists(st.one_of(st.just("read"), st.integers(0, 40)), max_size=60)


@given(steps=STEPS, capacity=st.sampled_from([1, 2, 16, 32]))
@settings(max_examples=200, deadline=None)
def test_a_ramp_comes_out_as_a_model_says(steps, capacity):
    """Against a plain list: what fits is kept from the front of each block, the rest is counted."""
    ring = RingBuffer(capacity, 1.0)
    assert ring.capacity == capacity
    offered = lost = written = 0
    waiting = []
    for step in steps:
        if step == "read":
            np.testing.assert_array_equal(ring.read(), np.array(waiting, np.float32))
            waiting = []
        else:
            room = capacity - len(waiting)
            block = ramp(offered, step)
            ring.write(block, 0.0)
            block[:] = -1  # the writer's, to use again
            waiting += range(offered, offered + min(step, room))
            lost += max(0, step - room)
            written += min(step, room)
            offered += step
        assert (ring.waiting, ring.lost, ring.written) == (len(waiting), lost, written)
    np.testing.assert_array_equal(ring.read(), np.array(waiting, np.float32))
    assert ring.lost + ring.written == offered


@given(sizes=st.lists(st.integers(0, 16), min_size=1, max_size=40))
@settings(max_examples=100, deadline=None)
def test_a_ramp_that_always_fits_arrives_whole(sizes):
    ring = RingBuffer(16, 1.0)
    parts, at = [], 0
    for size in sizes:
        ring.write(ramp(at, size), 0.0)
        parts.append(ring.read())
        at += size
    np.testing.assert_array_equal(np.concatenate(parts), ramp(0, at))
    assert ring.lost == 0


@pytest.mark.parametrize("before", range(8))
def test_wraps_around(before):
    """From every place in the ring, a full ring of samples."""
    ring = RingBuffer(8, 1.0)
    ring.write(ramp(100, before), 0.0)
    ring.read()
    ring.write(ramp(0, 5), 0.0)
    ring.write(ramp(5, 3), 0.0)
    assert ring.waiting == 8
    np.testing.assert_array_equal(ring.read(), ramp(0, 8))


def test_overflow_is_counted_to_the_sample_and_keeps_the_front():
    ring = RingBuffer(8, 1.0)
    ring.write(ramp(0, 5), 0.0)
    ring.write(ramp(5, 5), 0.0)
    assert ring.lost == 2
    ring.write(ramp(10, 3), 0.0)
    assert ring.lost == 5
    np.testing.assert_array_equal(ring.read(), ramp(0, 8))
    ring.write(ramp(20, 20), 0.0)
    assert ring.lost == 17
    np.testing.assert_array_equal(ring.read(), ramp(20, 8))
    ring.write(ramp(50, 2), 0.0)
    np.testing.assert_array_equal(ring.read(), ramp(50, 2))
    assert (ring.lost, ring.written) == (17, 18)


def test_what_is_read_is_the_readers():
    ring = RingBuffer(8, 1.0)
    ring.write(ramp(0, 8), 0.0)
    samples = ring.read()
    ring.write(ramp(50, 8), 0.0)
    np.testing.assert_array_equal(samples, ramp(0, 8))
    samples[:] = -1
    np.testing.assert_array_equal(ring.read(), ramp(50, 8))


# --- time -------------------------------------------------------------------------------------------------------------


def test_captured_at_counts_back_from_the_newest_sample():
    ring = RingBuffer(1000, 1.0)
    ring.write(ramp(0, 100), captured=50.0)
    assert ring.captured_at(100) == 50.0
    assert ring.captured_at(0) == pytest.approx(49.9)
    assert ring.captured_at(99.5) == pytest.approx(49.9995)
    ring.write(ramp(100, 100), captured=50.103)  # the sound card's clock is not ours
    assert ring.captured_at(200) == pytest.approx(50.103)
    assert ring.captured_at(100) == pytest.approx(50.003)
    ring.read()
    assert ring.captured_at(200) == pytest.approx(50.103)


def test_captured_at_leaves_out_the_samples_that_were_lost():
    ring = RingBuffer(1000, 0.064)
    ring.write(ramp(0, 100), captured=10.0)  # 36 are lost, those from 9.964 on
    assert ring.lost == 36
    assert ring.captured_at(64) == pytest.approx(9.964)
    ring.read()
    ring.write(ramp(100, 10), captured=10.010)
    assert ring.captured_at(74) == pytest.approx(10.010)
    assert ring.captured_at(64) == pytest.approx(10.0)


def test_captured_at_is_now_before_anything_came():
    before = time.monotonic()
    ring = RingBuffer(1000, 1.0)
    assert before <= ring.captured_at(0) <= time.monotonic()


# --- two threads ------------------------------------------------------------------------------------------------------


@pytest.fixture
def restless_threads():
    """Threads change places about as often as Python can be made to."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("restless_threads")
def test_two_threads_every_sample_once_and_in_order():
    ring, total = RingBuffer(256, 1.0), 200_000
    sizes = np.random.default_rng(8).integers(0, 97, 20_000)
    failure = []

    def write():
        at = 0
        for size in sizes:
            block = ramp(at, min(int(size), total - at))
            while ring.capacity - ring.waiting < len(block):
                time.sleep(0)
            ring.write(block, captured=at + len(block))
            at += len(block)
            if at == total:
                return
        failure.append(f"wrote only {at}")

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    parts, came, deadline = [], 0, time.monotonic() + 60
    while came < total and time.monotonic() < deadline:
        parts.append(ring.read())
        came += len(parts[-1])
    writer.join(10)
    assert not writer.is_alive()
    assert not failure
    np.testing.assert_array_equal(np.concatenate(parts), ramp(0, total))
    assert (ring.lost, ring.written, ring.waiting) == (0, total, 0)


@pytest.mark.usefixtures("restless_threads")
def test_two_threads_losses_add_up():
    """A writer that never waits: what arrives rises, and what is missing is what was counted."""
    ring, total = RingBuffer(64, 1.0), 50_000
    done = threading.Event()

    def write():
        for at in range(0, total, 25):
            ring.write(ramp(at, 25), captured=0.0)
        done.set()

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    parts = []
    while not done.is_set():
        parts.append(ring.read())
    writer.join(10)
    parts.append(ring.read())
    samples = np.concatenate(parts)
    assert np.all(np.diff(samples) > 0)
    assert len(samples) == ring.written
    assert len(samples) + ring.lost == total
