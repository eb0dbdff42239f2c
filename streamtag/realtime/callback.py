"""All that runs on the audio thread: compiled, without Python, and so without its lock.

PortAudio calls `native_callback`, which mixes the chosen channels into the ring, stamps the block, counts, and returns.
No allocation, no lock, no system call. The ordinary Python callback and sources that are not devices call the same
`write_block`.

A ring is one array of int64 words, so that the callback needs one pointer: a head (places below), stamps (one for each
block, fields below), and the samples, float32. The head's first line is fixed before the stream starts; the second and
third are the writer's; the fourth is the reader's. Each line is a cache line: the two threads do not share one.
"""

from __future__ import annotations

import sys
from typing import Any

import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

from streamtag._compile.jit import CONFIG, cfunction, kernel
from streamtag.dsp.params import MAX_CHANNELS, MAX_SAMPLE
from streamtag.realtime.atomics import Words, as_pointer, load_acquire, store_release

F32 = NDArray[np.float32]

# Places in the head. Fixed:
SIZE, CAPACITY, SLOTS, CHANNELS, CHOSEN, NEXT = range(6)
# NEXT is the address of another ring that hears other channels of the same stream, 0 for none.
# The writer's. BLOCKS publishes a block and everything that it brought: it is stored last, with release.
BLOCKS, WRITTEN, OFFERED, LOST, OVERFLOWS, NONFINITE, SMALLEST, LARGEST = range(8, 16)
ENDED = 16
"""1 when PortAudio has ended the stream, whatever the reason."""
# The reader's: how far it has read, in samples and blocks, stored with release.
READ, BLOCKS_READ = 24, 25
MUTED = 26
"""1 when nobody reads the ring any more: nothing is written to it then."""
CHANNEL_LIST = 32
HEAD = CHANNEL_LIST + MAX_CHANNELS

# Fields of a stamp: samples written up to the block's end; samples lost before its beginning; samples of it that were
# taken; capture time of its first sample and arrival time, in ns of the source's clock (0: not known).
END, LOST_BEFORE, TAKEN, CAPTURED, ARRIVED = range(5)
STAMP = 8

NANOSECONDS = 1e9
carray: Any = numba.carray  # type: ignore[attr-defined]
INPUT_OVERFLOW = 0x2
"""paInputOverflow: PortAudio says that samples were lost before they reached it."""


@kernel("void(int64[::1], Array(float32, 2, 'C', readonly=True), int64, int64, int64)", nogil=False)
def write_block(memory: Words, block: F32, captured: int, arrived: int, overflowed: int) -> None:
    """Mix a block of the device's channels into the ring; what finds no room is dropped from its end, and counted.

    A block for which there is no stamp left is dropped whole: every sample in the ring has a time.

    Parameters
    ----------
    memory : ndarray of int64
        The ring.
    block : ndarray of float32, shape (n, channels)
        Samples as the device gives them.
    captured : int
        When the block's first sample was captured, in ns; 0 if not known.
    arrived : int
        Arrival time of the block, in ns; 0 if not known.
    overflowed : int
        Whether samples before this block were lost before they arrived here.
    """
    frames = block.shape[0]
    capacity, slots, blocks, written = memory[CAPACITY], memory[SLOTS], memory[BLOCKS], memory[WRITTEN]
    room = capacity - (written - load_acquire(memory, READ))
    if blocks - load_acquire(memory, BLOCKS_READ) >= slots:
        room = 0
    taken = min(frames, room)
    data = memory[HEAD + STAMP * slots :].view(np.float32)
    chosen = memory[CHOSEN]
    share = np.float32(chosen)
    replaced = 0
    for i in range(taken):
        total = np.float32(0)
        for c in range(chosen):
            value = block[i, memory[CHANNEL_LIST + c]]
            if abs(value) <= MAX_SAMPLE:  # false for NaN
                total += value
            else:
                replaced += 1
        data[(written + i) & (capacity - 1)] = total / share
    lost = memory[LOST]
    memory[OFFERED] += frames
    memory[LOST] = lost + frames - taken
    memory[NONFINITE] += replaced
    memory[OVERFLOWS] += overflowed
    memory[SMALLEST] = min(memory[SMALLEST], frames)
    memory[LARGEST] = max(memory[LARGEST], frames)
    if taken > 0:
        stamp = HEAD + STAMP * (blocks & (slots - 1))
        memory[stamp + END] = written + taken
        memory[stamp + LOST_BEFORE] = lost
        memory[stamp + TAKEN] = taken
        memory[stamp + CAPTURED] = captured
        memory[stamp + ARRIVED] = arrived
        memory[WRITTEN] = written + taken
        store_release(memory, BLOCKS, blocks + 1)


@kernel("int64(int64[::1])", nogil=False)
def published(memory: Words) -> int:
    """Blocks that the writer has published; they, and all before, may be read after this (reader only)."""
    return load_acquire(memory, BLOCKS)


@kernel("void(int64[::1], int64, int64)", nogil=False)
def release(memory: Words, read: int, blocks_read: int) -> None:
    """Let the writer have the room of what was read (reader only)."""
    store_release(memory, READ, read)
    store_release(memory, BLOCKS_READ, blocks_read)


def _callback(incoming: Any, outgoing: Any, frames: int, times: Any, flags: int, user: Any) -> int:
    clock = carray(times, 2, np.float64)  # PaStreamCallbackTimeInfo: inputBufferAdcTime, currentTime, ...
    captured, arrived = int(clock[0] * NANOSECONDS), int(clock[1] * NANOSECONDS)
    overflowed = 1 if flags & INPUT_OVERFLOW else 0
    ring = user
    while True:
        memory = carray(ring, carray(ring, 1, np.int64)[SIZE], np.int64)
        if memory[MUTED] == 0:
            block = carray(incoming, (frames, memory[CHANNELS]), np.float32)
            write_block(memory, block, captured, arrived, overflowed)
        if memory[NEXT] == 0:
            return 0  # paContinue
        ring = as_pointer(memory[NEXT])


def _finished(user: Any) -> None:
    ring = user
    while True:
        memory = carray(ring, HEAD, np.int64)
        store_release(memory, ENDED, 1)
        if memory[NEXT] == 0:
            return
        ring = as_pointer(memory[NEXT])


def can_be_native() -> bool:
    """Whether the compiled callback can be made (not with NUMBA_DISABLE_JIT)."""
    return not CONFIG.DISABLE_JIT


_POINTER = types.voidptr
_ULONG = types.uint32 if sys.platform == "win32" else types.uint64  # C's unsigned long
_CALLBACK = types.int32(_POINTER, _POINTER, _ULONG, _POINTER, _ULONG, _POINTER)
_compiled: dict[str, Any] = {}  # kept: PortAudio holds their addresses


def native_callback() -> int:
    """Address of the compiled PaStreamCallback; its user data is the ring's memory."""
    return _address("callback", _CALLBACK, _callback)


def native_finished() -> int:
    """Address of the compiled PaStreamFinishedCallback; its user data is the ring's memory."""
    return _address("finished", types.void(_POINTER), _finished)


def _address(name: str, signature: Any, function: Any) -> int:
    if name not in _compiled:
        _compiled[name] = cfunction(signature, function)
    return int(_compiled[name].address)
