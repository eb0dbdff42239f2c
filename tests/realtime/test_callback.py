"""What runs on the audio thread: against its plain twin, called as C calls it, and while Python is held."""

from __future__ import annotations

import ctypes
import re
import sys
import threading
import time

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamtag.realtime import callback as at
from streamtag.realtime.atomics import load_acquire
from streamtag.ringbuffer import RingBuffer
from tests.support import naive

NAN, INF = np.nan, np.inf
compiled = pytest.mark.skipif(not at.can_be_native(), reason="needs compilation, which NUMBA_DISABLE_JIT turns off")


def pair(capacity=16, channels=2, chosen=None):
    """A ring and its twin."""
    ring = RingBuffer(capacity, 1.0, channels=channels, chosen=chosen)
    slots = int(ring.memory[at.SLOTS])
    return ring, naive.Ring(ring.capacity, slots, range(channels) if chosen is None else chosen)


def stamps(ring):
    """The stamps that are still in the ring, oldest first."""
    slots, blocks = (int(ring.memory[place]) for place in (at.SLOTS, at.BLOCKS))
    fields = ring.memory[at.HEAD : at.HEAD + at.STAMP * slots].reshape(slots, at.STAMP)
    return [fields[block % slots, : at.ARRIVED + 1].tolist() for block in range(max(0, blocks - slots), blocks)]


def data(ring):
    """The samples in the ring, by place, whether read or not."""
    return ring.memory[at.HEAD + at.STAMP * int(ring.memory[at.SLOTS]) :].view(np.float32)[: ring.capacity]


def assert_same(ring, twin):
    memory = ring.memory
    places = at.BLOCKS, at.WRITTEN, at.OFFERED, at.LOST, at.OVERFLOWS, at.NONFINITE, at.SMALLEST, at.LARGEST
    counted = len(twin.blocks), twin.written, sum(twin.sizes), twin.lost, twin.overflows, twin.nonfinite
    assert memory[list(places)].tolist() == [*counted, min(twin.sizes), max(twin.sizes)]
    assert stamps(ring) == twin.blocks[-twin.slots :]
    np.testing.assert_array_equal(data(ring), twin.data)


def assert_untouched(ring, before):
    """Nothing but the writer's places was written to."""
    mine = np.r_[0 : at.BLOCKS, at.LARGEST + 1 : at.HEAD]
    np.testing.assert_array_equal(ring.memory[mine], before[mine])


def noise(*shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


# --- write_block and its twin -----------------------------------------------------------------------------------------


@pytest.mark.kernels
@pytest.mark.parametrize(
    ("channels", "chosen"), [(1, None), (2, None), (2, (1,)), (8, (7, 0)), (8, (3, 3, 1)), (32, None), (40, (39, 2))]
)
def test_the_chosen_channels_are_mixed(channels, chosen):
    ring, twin = pair(64, channels, chosen)
    block = noise(50, channels)
    block[::7, 0] = NAN
    block[3::11, channels - 1] = -INF
    for which in (ring.memory, twin):
        write = twin.write_block if which is twin else lambda *arguments: at.write_block(ring.memory, *arguments)
        write(block, 5, 6, 0)
    assert_same(ring, twin)
    heard = block[:, range(channels) if chosen is None else list(chosen)]
    with np.errstate(invalid="ignore"):
        expected = np.where(np.isfinite(heard), heard, 0).mean(axis=1, dtype=np.float64)
    np.testing.assert_allclose(data(ring)[:50], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.kernels
@pytest.mark.parametrize(
    ("row", "mean", "replaced"),
    [
        ([1, 3], 2, 0),
        ([NAN, 3], 1.5, 1),
        ([INF, -INF], 0, 2),
        ([1e15, 1e15], 1e15, 0),
        ([2e15, 4], 2, 1),
        ([3.4e38, 3.4e38], 0, 2),  # finite, but their sum is not
        ([-3.4e38, 4], 2, 1),
    ],
)
def test_what_is_no_sample_is_replaced_and_counted(row, mean, replaced):
    ring, twin = pair()
    block = np.array([row], np.float32)
    at.write_block(ring.memory, block, 0, 0, 0)
    twin.write_block(block, 0, 0, 0)
    assert_same(ring, twin)
    assert (data(ring)[0], ring.memory[at.NONFINITE]) == (np.float32(mean), replaced)


@pytest.mark.kernels
def test_what_is_dropped_is_not_looked_at():
    """NaN that finds no room is lost, not replaced."""
    ring, twin = pair(4, 1)
    block = np.full((9, 1), NAN, np.float32)
    at.write_block(ring.memory, block, 0, 0, 0)
    twin.write_block(block, 0, 0, 0)
    assert_same(ring, twin)
    assert (ring.memory[at.NONFINITE], ring.memory[at.LOST]) == (4, 5)


@pytest.mark.kernels
def test_blocks_that_may_not_be_written_to_are_taken():
    """As sounddevice's are."""
    ring, twin = pair()
    block = noise(9, 2)
    block.flags.writeable = False
    at.write_block(ring.memory, block, 0, 0, 0)
    twin.write_block(block, 0, 0, 0)
    assert_same(ring, twin)


@pytest.mark.kernels
def test_stamps_tell_where_samples_were_lost():
    ring, twin = pair(8, 1)
    for turn, size in enumerate((5, 5, 3, 0, 2)):
        block = noise(size, 1, seed=turn)
        at.write_block(ring.memory, block, 100 + turn, 200 + turn, turn % 2)
        twin.write_block(block, 100 + turn, 200 + turn, turn % 2)
        assert_same(ring, twin)
    assert stamps(ring) == [[5, 0, 5, 100, 200], [8, 0, 3, 101, 201]]
    at.release(ring.memory, 8, 2)
    at.write_block(ring.memory, noise(6, 1), 105, 205, 0)
    assert stamps(ring)[2:] == [[14, 7, 6, 105, 205]]
    assert ring.memory[at.OVERFLOWS] == 2


# a read, a block of so many samples, or so many blocks of one sample
STEPS = st.lists(
    st.one_of(st.just("read"), st.integers(0, 40), st.tuples(st.just("ones"), st.integers(60, 70))), max_size=25
)


@pytest.mark.slow
@pytest.mark.kernels
@given(
    steps=STEPS,
    capacity=st.sampled_from([1, 2, 16, 128]),
    chosen=st.sampled_from([(0,), (2,), (0, 1, 2), (1, 0)]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=60, deadline=None)
def test_any_blocks_and_reads_leave_the_memory_that_the_twin_says(steps, capacity, chosen, seed):
    ring, twin = pair(capacity, 3, chosen)
    before, random = ring.memory.copy(), np.random.default_rng(seed)
    for step in steps:
        if step == "read":
            expected, heard = twin.read_all(), ring.read()
            np.testing.assert_array_equal(np.concatenate([*(piece.samples for piece in heard), []]), expected)
            before[[at.READ, at.BLOCKS_READ]] = twin.read, twin.blocks_read
            continue
        for size in [step] if isinstance(step, int) else [1] * step[1]:
            block = random.standard_normal((size, 3)).astype(np.float32)
            block[random.random((size, 3)) < 0.1] = random.choice([NAN, INF, -INF, 1e16])
            captured, arrived, overflowed = (int(value) for value in random.integers((0, 0, 0), (2**62, 2**62, 2)))
            at.write_block(ring.memory, block, captured, arrived, overflowed)
            twin.write_block(block, captured, arrived, overflowed)
            assert at.published(ring.memory) == len(twin.blocks)
    if twin.sizes:
        assert_same(ring, twin)
    assert_untouched(ring, before)


@pytest.mark.kernels
@pytest.mark.parametrize("ahead", [2**31 - 3, 2**40])
def test_a_stream_of_weeks_counts_on(ahead):
    """A week at 48 kHz is 3e10 samples."""
    ring, twin = pair(16, 1)
    for place in (at.WRITTEN, at.READ, at.OFFERED):
        ring.memory[place] = ahead * 16
    for turn in range(3):
        block = noise(9, 1, seed=turn)
        at.write_block(ring.memory, block, 0, 0, 0)
        twin.write_block(block, 0, 0, 0)
    np.testing.assert_array_equal(data(ring), twin.data)
    assert [stamp[0] - ahead * 16 for stamp in stamps(ring)] == [9, 16]
    assert (ring.memory[at.WRITTEN] - ahead * 16, ring.memory[at.LOST]) == (16, 11)


@pytest.mark.kernels
def test_a_block_is_published_after_all_that_it_brought(monkeypatch):
    ring, moments = RingBuffer(16, 1.0), []

    def publish(memory, place, value):
        moments.append((place, memory.copy()))
        memory[place] = value

    # as plain Python, compiled or not, so that the moment can be seen
    monkeypatch.setattr(at, "load_acquire", lambda memory, place: memory[place])
    monkeypatch.setattr(at, "store_release", publish)
    write_block = getattr(at.write_block, "py_func", at.write_block)
    for turn in range(3):  # the third finds no room: it is counted, and not published
        write_block(ring.memory, noise(9, 1, seed=turn), 5, 6, 1)
        place, before = moments[-1]
        assert (place, len(moments)) == (at.BLOCKS, min(turn + 1, 2))
        if turn < 2:
            assert np.flatnonzero(before != ring.memory).tolist() == [at.BLOCKS]


@pytest.mark.kernels
def test_a_native_callback_can_be_made_unless_compilation_is_turned_off():
    assert at.can_be_native() is not bool(vars(numba.config)["DISABLE_JIT"])
    assert hasattr(at.write_block, "py_func") is at.can_be_native()


# --- as C calls it ----------------------------------------------------------------------------------------------------


class Times(ctypes.Structure):
    """PaStreamCallbackTimeInfo."""

    _fields_ = (
        ("input_adc", ctypes.c_double),
        ("current", ctypes.c_double),
        ("output_dac", ctypes.c_double),
    )


POINTER, ULONG = ctypes.c_void_p, ctypes.c_ulong
CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, POINTER, POINTER, ULONG, POINTER, ULONG, POINTER)  # PaStreamCallback
FINISHED = ctypes.CFUNCTYPE(None, POINTER)  # PaStreamFinishedCallback
NO_OTHER_FLAGS = 0x1 | 0x4 | 0x8 | 0x10  # input underflow, output under- and overflow, priming output
INPUT_OVERFLOW = 0x2


def called(ring, block, times, flags):
    """What the callback returns."""
    return CALLBACK(at.native_callback())(
        block.ctypes.data, None, len(block), ctypes.addressof(times), flags, ring.memory.ctypes.data
    )


@compiled
@pytest.mark.parametrize(("channels", "chosen"), [(1, None), (2, (1,)), (5, (4, 0))])
def test_the_callback_leaves_the_memory_that_write_block_leaves(channels, chosen):
    ring, other = (RingBuffer(64, 1.0, channels=channels, chosen=chosen) for _ in range(2))
    for turn, size in enumerate((20, 0, 40, 20, 7)):
        block = noise(size, channels, seed=turn)
        block[:1] = NAN
        times = Times(12.5 + turn, 12.625 + turn, 99.0)
        assert called(ring, block, times, 0) == 0, "paContinue"
        at.write_block(other.memory, block, int((12.5 + turn) * 1e9), int((12.625 + turn) * 1e9), 0)
        np.testing.assert_array_equal(ring.memory, other.memory)
    assert (ring.written, ring.lost, ring.blocks) == (64, 23, 3), "and something was written at all"


@compiled
def test_rings_in_a_chain_each_hear_their_own_channels():
    rings = [RingBuffer(1000, channels=3, chosen=chosen) for chosen in ((0, 1), (2,), (1,))]
    alone = [RingBuffer(1000, channels=3, chosen=chosen) for chosen in ((0, 1), (2,), (1,))]
    rings[0].chain(rings[1])
    rings[1].chain(rings[2])
    for turn in range(3):
        rings[1].muted = turn == 1
        block = noise(20, 3, seed=turn)
        assert called(rings[0], block, Times(1.0, 2.0, 0.0), INPUT_OVERFLOW) == 0
        for ring in alone if turn != 1 else (alone[0], alone[2]):
            at.write_block(ring.memory, block, int(1e9), int(2e9), 1)
    FINISHED(at.native_finished())(rings[0].memory.ctypes.data)
    for ring, other in zip(rings, alone, strict=True):
        assert ring.ended
        assert ring.counters == other.counters
        np.testing.assert_array_equal(
            np.concatenate([piece.samples for piece in ring.read()]),
            np.concatenate([piece.samples for piece in other.read()]),
        )
    rings[1].chain(None)
    called(rings[0], noise(20, 3), Times(1.0, 2.0, 0.0), 0)
    assert (rings[1].blocks, rings[2].blocks) == (3, 3)


@compiled
def test_of_the_flags_only_the_inputs_overflow_is_counted():
    ring = RingBuffer(1000)
    for flags in (0, NO_OTHER_FLAGS, INPUT_OVERFLOW, INPUT_OVERFLOW | NO_OTHER_FLAGS):
        called(ring, noise(5, 1), Times(1.0, 1.0, 0.0), flags)
    assert (ring.overflows, ring.blocks) == (2, 4)


@compiled
def test_the_finished_callback_says_that_the_stream_has_ended():
    ring = RingBuffer(1000)
    ring.write(noise(10, 1))
    before = ring.memory.copy()
    assert not ring.ended
    FINISHED(at.native_finished())(ring.memory.ctypes.data)
    assert ring.ended
    assert np.flatnonzero(ring.memory != before).tolist() == [at.ENDED]


@compiled
def test_the_addresses_stay_the_same():
    """PortAudio holds them as long as a stream is open."""
    assert (at.native_callback(), at.native_finished()) == (at.native_callback(), at.native_finished())
    assert at.native_callback() != at.native_finished()


# --- without Python ---------------------------------------------------------------------------------------------------


def plays_to(callback, usleep):
    """A compiled loop that calls a callback with blocks, as an audio thread does, without Python's lock."""

    @numba.njit(nogil=True)
    def play(blocks, block, frames, times, memory):
        for _ in range(blocks):
            callback(block, 0, frames, times, 0, memory)
            usleep(1000)

    return play


@numba.njit  # and so with Python's lock
def hold_python(memory, blocks, patience, usleep_once):
    """Keep every Python thread from running until so many blocks are there; whether they came."""
    for _ in range(patience):
        if load_acquire(memory, at.BLOCKS) >= blocks:
            return True
        usleep_once()
    return False


@compiled
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no usleep")
@pytest.mark.parametrize("native", [True, False])
def test_the_ring_fills_while_python_is_held_and_only_with_the_native_callback(native):
    """The second case shows that Python is held indeed: a callback in Python waits for it in vain."""
    ring = RingBuffer(48_000, 10.0)
    block, times = noise(64, 1), Times(1.0, 1.0, 0.0)

    def in_python(incoming, outgoing, frames, times, flags, user):
        ring.write(block)
        return 0

    usleep = ctypes.CDLL(None).usleep
    usleep.argtypes, usleep.restype = [ctypes.c_uint], ctypes.c_int
    callback = CALLBACK(at.native_callback()) if native else CALLBACK(in_python)
    play = plays_to(callback, usleep)
    sleep = numba.njit(lambda: usleep(1000))
    addresses = block.ctypes.data, 64, ctypes.addressof(times), ring.memory.ctypes.data
    play(0, *addresses)  # compiled before Python is held
    hold_python(ring.memory, 0, 0, sleep)
    player = threading.Thread(target=play, args=(300, *addresses))
    player.start()
    until = time.monotonic() + 10
    while not ring.blocks and time.monotonic() < until:
        time.sleep(0.001)
    came = hold_python(ring.memory, ring.blocks + 100, 10_000 if native else 200, sleep)
    player.join(30)
    assert came is native
    assert ring.blocks == 300
    (piece,) = ring.read()
    np.testing.assert_array_equal(piece.samples, np.tile(block[:, 0], 300))


# --- order ---------------------------------------------------------------------------------------


ATOMIC = re.compile(r"(load|store) atomic i64.* (acquire|release), align 8")


@pytest.mark.slow
@compiled
@pytest.mark.parametrize(
    ("kernel", "signature", "orders"),
    [
        (
            at.write_block,
            "void(int64[::1], Array(float32, 2, 'C', readonly=True), int64, int64, int64)",
            ["load acquire", "load acquire", "store release"],
        ),
        (at.published, "int64(int64[::1])", ["load acquire"]),
        (at.release, "void(int64[::1], int64, int64)", ["store release", "store release"]),
    ],
)
def test_what_the_other_thread_sees_is_in_order_on_every_processor(kernel, signature, orders):
    fresh = numba.njit(signature, nogil=True, error_model="numpy")(kernel.py_func)  # one from the cache has no code
    (code,) = fresh.inspect_llvm().values()
    assert sorted(" ".join(found) for found in ATOMIC.findall(code)) == orders
