"""The ring between the audio thread and the engine: nothing lost, nothing twice, everything counted."""

from __future__ import annotations

import sys
import threading
import time

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamtag.errors import OptionError
from streamtag.realtime import callback as at
from streamtag.realtime.atomics import load_acquire
from streamtag.ringbuffer import REMEMBERED_BLOCKS, SAMPLES_PER_STAMP, SETTLING_SECONDS, RingBuffer

EXACT = 2**24
"""float32 counts so far."""


def ramp(start, count):
    """Numbered samples."""
    return (np.arange(start, start + count) % EXACT).astype(np.float32)


def joined(pieces):
    """The samples of a read in which nothing was lost."""
    assert not any(piece.lost for piece in pieces)
    return np.concatenate([piece.samples for piece in pieces] or [np.empty(0, np.float32)])


def follow(pieces, position):
    """Whether pieces of a ramp go on from a position, losses counted where they were: the position after them."""
    for piece in pieces:
        assert len(piece.samples), "a piece is never empty"
        position += piece.lost
        np.testing.assert_array_equal(piece.samples, ramp(position, len(piece.samples)))
        position += len(piece.samples)
    assert all(piece.lost for piece in pieces[1:]), "parted where samples were lost, and nowhere else"
    return position


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
    assert (ring.offered, ring.blocks, ring.block_sizes, ring.read_position, ring.ended) == (0, 0, (0, 0), 0, False)


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e-9])
def test_refuses_to_hold_nothing(seconds):
    with pytest.raises(OptionError, match="holds no sample"):
        RingBuffer(44_100, seconds)


@pytest.mark.parametrize(
    ("channels", "chosen"), [(2, (2,)), (2, (-1,)), (2, ()), (0, None), (33, None), (64, tuple(range(33)))]
)
def test_refuses_channels_that_are_not_there_or_too_many(channels, chosen):
    with pytest.raises(OptionError, match="cannot be heard: expected 1 to 32"):
        RingBuffer(44_100, channels=channels, chosen=chosen)
    assert RingBuffer(44_100, channels=64, chosen=(63,)).channels == 64


def test_an_empty_ring_reads_as_nothing():
    ring = RingBuffer(1000, 0.016)
    assert ring.read() == []
    ring.write(ramp(0, 0), 0.0)
    assert ring.read() == []
    assert (ring.written, ring.blocks, ring.last_arrival) == (0, 0, None)


# a read, a block of so many samples, or so many blocks of one sample
STEPS = st.lists(
    st.one_of(st.just("read"), st.integers(0, 40), st.tuples(st.just("ones"), st.integers(60, 70))), max_size=40
)


@given(steps=STEPS, capacity=st.sampled_from([1, 2, 16, 32, 128]))
@settings(max_examples=200, deadline=None)
def test_a_ramp_comes_out_as_a_model_says(steps, capacity):
    """Against plain lists: what fits is kept from the front of each block, the rest is counted in its place."""
    ring = RingBuffer(capacity, 1.0)
    assert ring.capacity == capacity
    offered = lost = written = blocks = told = 0
    sizes: list[int] = []
    waiting: list[tuple[int, list[int]]] = []  # of each block: samples lost before it, and its samples

    def read():
        nonlocal waiting, told
        expected: list[tuple[int, list[int]]] = []
        for before, samples in waiting:
            if before > told or not expected:
                expected.append((before - told, []))
                told = before
            expected[-1][1].extend(samples)
        waiting = []
        assert [(piece.lost, piece.samples.tolist()) for piece in ring.read()] == expected

    for step in [*steps, "read"]:
        if step == "read":
            read()
        for size in [step] if isinstance(step, int) else [1] * step[1] if step[0] == "ones" else []:
            block = ramp(offered, size)
            ring.write(block, 0.0)
            block[:] = -1  # the writer's, to use again
            # there are 64 stamps; a block without one is dropped whole
            taken = 0 if len(waiting) == 64 else min(size, capacity - sum(len(samples) for _, samples in waiting))
            if taken:
                waiting.append((lost, list(range(offered, offered + taken))))
            offered, lost, written, blocks = offered + size, lost + size - taken, written + taken, blocks + bool(taken)
            sizes.append(size)
        assert (ring.lost, ring.written, ring.offered, ring.blocks) == (lost, written, offered, blocks)
        assert ring.waiting == sum(len(samples) for _, samples in waiting)
    assert ring.lost + ring.written == ring.offered
    assert ring.read_position == written + told
    assert ring.block_sizes == ((min(sizes), max(sizes)) if offered else (0, 0))


@given(sizes=st.lists(st.integers(0, 16), min_size=1, max_size=40))
@settings(max_examples=100, deadline=None)
def test_a_ramp_that_always_fits_arrives_whole(sizes):
    ring = RingBuffer(16, 1.0)
    parts, position = [], 0
    for size in sizes:
        ring.write(ramp(position, size), 0.0)
        parts.append(joined(ring.read()))
        position += size
    np.testing.assert_array_equal(np.concatenate(parts), ramp(0, position))
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
    (piece,) = ring.read()
    np.testing.assert_array_equal(piece.samples, ramp(0, 8))


def test_overflow_is_counted_to_the_sample_in_its_place_and_keeps_the_front():
    ring = RingBuffer(8, 1.0)
    ring.write(ramp(0, 5), 0.0)
    ring.write(ramp(5, 5), 0.0)
    assert ring.lost == 2
    ring.write(ramp(10, 3), 0.0)
    assert ring.lost == 5
    position = follow(ring.read(), 0)
    assert position == 8, "what was lost behind the newest sample is told with the next one"
    ring.write(ramp(13, 20), 0.0)
    assert ring.lost == 17
    position = follow(ring.read(), position)
    assert position == 21 == ring.read_position
    ring.write(ramp(33, 2), 0.0)
    ring.write(ramp(35, 2), 0.0)
    (piece,) = ring.read()
    assert (piece.lost, piece.samples.tolist()) == (12, [33, 34, 35, 36])
    assert (ring.lost, ring.written) == (17, 20)


def test_an_overload_leaves_no_trace_but_its_count():
    ring = RingBuffer(16, 1.0)
    position = 0
    for block in range(40):  # five times, the reader sleeps through five blocks of eight
        ring.write(ramp(7 * block, 7), 0.0)
        if block % 8 >= 5:
            position = follow(ring.read(), position)
    assert position == 280
    assert ring.lost == 5 * (5 * 7 + 7 - 16)
    ring.write(ramp(280, 7), 0.0)
    (last,) = ring.read()
    assert last.lost == 0


def test_a_block_larger_than_the_ring_fills_it():
    ring = RingBuffer(64, 1.0)
    ring.write(ramp(0, 1000), 0.0)
    assert (ring.written, ring.lost) == (64, 936)
    assert follow(ring.read(), 0) == 64


def test_a_block_without_a_stamp_is_dropped_whole():
    """Blocks of one sample fill the stamps long before the samples."""
    ring = RingBuffer(8192, 1.0)
    slots = 8192 // SAMPLES_PER_STAMP
    for index in range(slots + 10):
        ring.write(ramp(index, 1), 0.0)
    assert (ring.blocks, ring.waiting, ring.lost) == (slots, slots, 10)
    ring.write(ramp(slots + 10, 500), 0.0)
    assert (ring.blocks, ring.waiting, ring.lost) == (slots, slots, 510)
    assert follow(ring.read(), 0) == slots
    ring.write(ramp(slots + 510, 500), 0.0)
    assert follow(ring.read(), slots) == slots + 1010


def test_what_is_read_is_the_readers():
    ring = RingBuffer(8, 1.0)
    ring.write(ramp(0, 8), 0.0)
    samples = joined(ring.read())
    assert samples.dtype == np.float32
    ring.write(ramp(50, 8), 0.0)
    np.testing.assert_array_equal(samples, ramp(0, 8))
    samples[:] = -1
    np.testing.assert_array_equal(joined(ring.read()), ramp(50, 8))


def test_the_chosen_channels_are_mixed_and_what_is_no_sample_is_counted():
    rows = [[1, 10, 100], [2, 20, 200], [np.nan, 30, np.inf], [4, -np.inf, 400], [5, 50, 3e38]]
    block = np.array(rows, np.float32)
    for chosen, mixed, replaced in (
        (None, [37, 74, 10, 404 / 3, 55 / 3], 4),
        ((1,), [10, 20, 30, 0, 50], 1),
        ((2, 0), [50.5, 101, 0, 202, 2.5], 3),
    ):
        ring = RingBuffer(1000, channels=3, chosen=chosen)
        ring.write(block)
        ring.write(np.asfortranarray(block[:2]))
        np.testing.assert_allclose(joined(ring.read()), np.array([*mixed, *mixed[:2]], np.float32), rtol=1e-6)
        assert ring.nonfinite == replaced


def test_overflows_blocks_and_the_end_are_told():
    ring = RingBuffer(1000)
    for size, overflowed in ((5, False), (3, True), (90, True)):
        ring.write(ramp(0, size), overflowed=overflowed)
    assert (ring.blocks, ring.block_sizes, ring.overflows, ring.offered) == (3, (3, 90), 2, 98)
    assert not ring.ended
    ring.end()
    assert ring.ended
    assert len(joined(ring.read())) == 98, "what came before the end is there"


# --- time -------------------------------------------------------------------------------------------------------------


def test_captured_at_counts_from_the_blocks_and_their_own_rate():
    ring = RingBuffer(1000, 1.0)
    ring.write(ramp(0, 100), captured=50.0)  # its last sample
    ring.read()
    assert ring.captured_at(100) == pytest.approx(50.0)
    assert ring.captured_at(0) == pytest.approx(49.9)
    assert ring.captured_at(99.5) == pytest.approx(49.9995)
    ring.write(ramp(100, 100), captured=50.110)
    ring.read()
    assert 50.1 < ring.captured_at(200) < 50.110, "between what the first said and what the second says"


def test_the_writers_clock_is_told_on_ours_as_they_were_compared_at_the_time():
    """JACK's falls behind whenever JACK is late: what was compared earlier stays true for what came earlier."""
    ring = RingBuffer(1000, 1.0)
    ring.clock_offset = 1000.0
    ring.write(ramp(0, 100), captured=50.0)
    ring.read()
    assert ring.captured_at(100) == pytest.approx(1050.0)
    ring.clock_offset = 1000.02
    assert ring.captured_at(100) == pytest.approx(1050.0)
    ring.write(ramp(100, 100), captured=50.080)
    ring.read()
    assert ring.captured_at(200) == pytest.approx(1050.1)


def test_a_time_before_the_beginning_in_unsigned_bits_is_none():
    """So JACK's first block may come: 2**32 frames, a day and more, in the future."""
    ring = RingBuffer(1000, 1.0, doubtful_stamps=True)
    ring.clock_offset = time.monotonic()
    wrapped = 2**32 / 48_000
    ring.write_stamped(ramp(0, 100)[:, None], wrapped - 0.1, wrapped)
    before = time.monotonic()
    ring.read()
    assert before <= ring.arrived_at(100) <= time.monotonic()
    assert before - 0.1 <= ring.first_arrival <= time.monotonic() - 0.1
    assert before - 0.1 <= ring.captured_at(0) <= time.monotonic() - 0.1


def test_the_newest_samples_can_be_looked_at_from_anywhere():
    ring = RingBuffer(1000, 1.0)
    assert len(ring.newest(0.1)) == 0
    ring.write(ramp(0, 30))
    np.testing.assert_array_equal(ring.newest(0.1), ramp(0, 30))
    ring.write(ramp(30, 900))
    np.testing.assert_array_equal(ring.newest(0.1), ramp(830, 100))
    ring.read()
    ring.write(ramp(930, 200))
    np.testing.assert_array_equal(ring.newest(0.15), ramp(980, 150))
    assert len(ring.newest(60)) == ring.capacity // 4


def test_a_ring_is_narrowed_to_what_is_heard():
    ring = RingBuffer(1000, 1.0, channels=8, chosen=(1, 3))
    assert ring.needed == 4
    ring.expect(4)
    assert ring.channels == 4
    ring.write(np.repeat(ramp(0, 50)[:, None], 4, axis=1))
    np.testing.assert_array_equal(ring.newest(1), ramp(0, 50))


def test_captured_at_counts_the_samples_that_were_lost():
    ring = RingBuffer(1000, 0.064)
    ring.write(ramp(0, 100), captured=10.0)  # 36 are lost, those from 9.964 on
    assert ring.lost == 36
    ring.read()
    assert ring.captured_at(64) == pytest.approx(9.964)
    ring.write(ramp(100, 10), captured=10.010)
    ring.read()
    assert ring.read_position == 110
    assert ring.captured_at(110) == pytest.approx(10.010)
    assert ring.captured_at(100) == pytest.approx(10.0)
    assert ring.clock_jumps == 0, "what was lost here is no jump of the device's clock"


def test_captured_at_is_now_before_anything_came():
    before = time.monotonic()
    ring = RingBuffer(1000, 1.0)
    assert before <= ring.captured_at(0) <= time.monotonic()
    assert before <= ring.arrived_at(0) <= time.monotonic()
    ring.write(ramp(0, 10))
    ring.read()
    assert before - 0.010 <= ring.captured_at(0) <= time.monotonic() - 0.010, "a block without a time is of now"


def test_samples_that_were_lost_elsewhere_are_a_jump_of_the_clock():
    ring = RingBuffer(1000, 1.0)
    for block in range(100):
        late = 2.0 if block >= 50 else 0.0
        ring.write(ramp(0, 10), captured=100 + 0.01 * (block + 1) + late)
        ring.read()
    assert ring.clock_jumps == 1
    assert ring.captured_at(1000) == pytest.approx(103)


RATE = 1000


def record(ring, captured, blocks, arrived=lambda block: 100 + (block + 1) / 10, first=0):
    """Blocks of 0.1 s that begin to be captured at 100 + block / 10, as a device's callback would tell of them."""
    for block in range(first, first + blocks):
        ring.write_stamped(np.zeros((RATE // 10, 1), np.float32), captured(block), arrived(block))
        ring.read()


def test_a_devices_capture_times_are_believed_once_it_has_settled():
    ring = RingBuffer(RATE, doubtful_stamps=True)
    settled = round(10 * SETTLING_SECONDS)
    record(ring, lambda block: 97.3 + block / 10 + 0.01 * block, settled)  # PulseAudio's first idea
    assert ring.captured_at(0) == pytest.approx(100, abs=1e-6), "no sooner than its last sample can have come"
    record(ring, lambda block: 99.98 + block / 10, 1, first=settled)
    assert ring.captured_at(100 * settled) == pytest.approx(99.98 + SETTLING_SECONDS, abs=1e-6), "at once"
    record(ring, lambda block: 99.98 + block / 10, 20, first=settled + 1)
    assert ring.captured_at(RATE) == pytest.approx(100.98, abs=1e-6)
    assert ring.clock_jumps == 0, "that the clock begins anew then is no news"


@pytest.mark.parametrize(
    ("captured", "said"),
    [
        (lambda block: 0.0, 0.0),
        (lambda block: -5.0, 0.0),
        (lambda block: 89.0 + block / 10, 0.0),  # longer ago than any buffer is
        (lambda block: 100.5 + block / 10, 0.0),  # after it came
        (lambda block: 99.9 + block / 10, -0.1),
    ],
)
def test_nonsense_instead_of_a_capture_time_is_replaced_by_the_arrival(captured, said):
    ring = RingBuffer(RATE, doubtful_stamps=True)
    record(ring, captured, 60)
    assert ring.captured_at(50 * RATE // 10) == pytest.approx(105 + said, abs=1e-6)


@pytest.mark.parametrize("captured", [lambda block: 0.0, lambda block: 100 + block / 10])
def test_both_clocks_of_a_device_are_turned_into_ours(captured):
    ring = RingBuffer(RATE, doubtful_stamps=True)
    ring.clock_offset = -70.0
    record(ring, captured, 5)
    assert ring.captured_at(0) == pytest.approx(30, abs=1e-6)
    record(ring, captured, 55, first=5)
    assert ring.captured_at(5 * RATE) == pytest.approx(35, abs=1e-6)


@pytest.mark.parametrize("first", [89.0, 100.5])
def test_the_capture_times_of_what_is_no_device_are_not_doubted(first):
    ring = RingBuffer(RATE)
    record(ring, lambda block: first + block / 10, 60)
    assert [ring.captured_at(0), ring.captured_at(5 * RATE)] == pytest.approx([first, first + 5], abs=1e-6)


def test_where_nothing_is_told_the_reader_looks_at_its_watch():
    """Some sound systems give neither clock."""
    ring = RingBuffer(RATE, doubtful_stamps=True)
    before = time.monotonic()
    record(ring, lambda block: 0.0, 1, arrived=lambda block: 0.0)
    after = time.monotonic()
    assert before <= ring.arrived_at(100) <= after
    assert ring.last_arrival is not None
    assert before <= ring.last_arrival <= after
    assert before <= ring.captured_at(100) <= after


def test_each_sample_arrived_with_its_block():
    ring = RingBuffer(RATE, 1.0)
    ring.clock_offset = 20.0
    ring.write_stamped(np.zeros((100, 1), np.float32), 7.0, 7.25)
    ring.write_stamped(np.zeros((50, 1), np.float32), 7.1, 7.5)
    assert ring.last_arrival is None
    ring.read()
    assert [ring.arrived_at(position) for position in (0, 1, 100, 100.5, 150)] == pytest.approx(
        [27.25] * 3 + [27.5] * 2
    )
    assert ring.last_arrival == pytest.approx(27.5)
    assert ring.first_arrival == pytest.approx(27.25 - 0.1), (
        "when its first sample can have been captured at the latest"
    )
    before = time.monotonic()
    assert before <= ring.arrived_at(151) <= time.monotonic(), "what has not come yet"


def test_arrivals_count_the_samples_that_were_lost_and_are_kept_for_a_while():
    ring = RingBuffer(RATE, 0.064)
    for arrived in (1.05, 1.1):  # of the second, 36 are lost
        ring.write_stamped(np.zeros((50, 1), np.float32), 1.0, arrived)
    ring.read()
    ring.write_stamped(np.zeros((10, 1), np.float32), 1.1, 1.2)
    ring.read()
    assert [ring.arrived_at(position) for position in (50, 64, 65, 110)] == pytest.approx([1.05, 1.1, 1.2, 1.2])
    for block in range(REMEMBERED_BLOCKS):
        ring.write_stamped(np.zeros((10, 1), np.float32), 1.2, 2.0 + block)
        ring.read()
    assert ring.arrived_at(0) == pytest.approx(2.0), "the earliest that is known"
    assert ring.first_arrival == pytest.approx(1.0)


# --- two threads ------------------------------------------------------------------------------------------------------


@pytest.fixture
def restless_threads():
    """Threads change places about as often as Python can be made to."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@numba.njit(nogil=True)
def write_at_full_speed(memory, largest, waits, told):
    """A ramp in blocks of random sizes, until told[0] are written; `waits`: until there is room for each."""
    block = np.empty((largest, 1), np.float32)
    seed = 8
    while told[1] < load_acquire(told, 0):
        seed = (seed * 1_103_515_245 + 12_345) % 2**31
        size = min(1 + (seed >> 8) % largest, told[0] - told[1])
        for i in range(size):
            block[i, 0] = (told[1] + i) % EXACT
        if waits:
            while (
                memory[at.CAPACITY] - (memory[at.WRITTEN] - load_acquire(memory, at.READ)) < size
                or memory[at.BLOCKS] - load_acquire(memory, at.BLOCKS_READ) >= memory[at.SLOTS]
            ):
                pass
        at.write_block(memory, block[:size], 0, 0, 0)
        told[1] += size


class Writer:
    """Writes at full speed on a thread of its own, without Python's lock."""

    def __init__(self, ring, total, largest, waits):
        write_at_full_speed(RingBuffer(64, 1.0).memory, largest, waits, np.array([1, 0]))  # compiled before it counts
        self._told = np.array([total, 0])
        arguments = ring.memory, largest, waits, self._told
        self.thread = threading.Thread(target=write_at_full_speed, args=arguments, daemon=True)
        self.thread.start()

    def stop(self):
        """How many samples were written."""
        self._told[0] = 0
        self.thread.join(10)
        assert not self.thread.is_alive()
        return int(self._told[1])


@pytest.mark.slow
@pytest.mark.parametrize("capacity", [64, 256, 16_384])
def test_two_threads_every_sample_once_and_in_order(capacity):
    ring, total = RingBuffer(capacity, 1.0), 60 * capacity + 50_000
    writer = Writer(ring, total, 61, True)
    position, until = 0, time.monotonic() + 60
    while position < total and time.monotonic() < until:
        pieces = ring.read()
        assert not any(piece.lost for piece in pieces)
        position = follow(pieces, position)
    assert writer.stop() == position == total
    assert (ring.lost, ring.written, ring.waiting) == (0, total, 0)


@pytest.mark.slow
@pytest.mark.parametrize(("capacity", "largest"), [(64, 25), (16_384, 2), (16_384, 700)])
def test_two_threads_losses_add_up(capacity, largest):
    """A writer that never waits: what is missing is what was counted, exactly and where it was."""
    ring = RingBuffer(capacity, 1.0)
    writer = Writer(ring, 2**62, largest, False)
    position = parted = 0
    until = time.monotonic() + 60
    while parted < 500 and time.monotonic() < until:
        pieces = ring.read()
        position = follow(pieces, position)
        parted += sum(piece.lost > 0 for piece in pieces)
    total = writer.stop()
    assert parted >= 500
    position = follow(ring.read(), position)
    assert position == ring.read_position <= total
    assert ring.offered == total == ring.written + ring.lost
    ring.write(ramp(total, 20), 0.0)
    assert follow(ring.read(), position) == total + 20, "all is well again, and the last losses are told"


@pytest.mark.usefixtures("restless_threads")
def test_two_python_threads_every_sample_once_and_in_order():
    """As a file is played."""
    ring, total = RingBuffer(256, 1.0), 100_000
    sizes = np.random.default_rng(8).integers(0, 97, 20_000)

    def write():
        position = 0
        for size in sizes:
            block = ramp(position, min(int(size), total - position))
            while ring.capacity - ring.waiting < len(block):
                time.sleep(0)
            ring.write(block, captured=position + len(block))
            position += len(block)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    position, until = 0, time.monotonic() + 60
    while position < total and time.monotonic() < until:
        pieces = ring.read()
        assert not any(piece.lost for piece in pieces)
        position = follow(pieces, position)
    writer.join(10)
    assert not writer.is_alive()
    assert position == total
    assert (ring.lost, ring.written, ring.waiting) == (0, total, 0)
