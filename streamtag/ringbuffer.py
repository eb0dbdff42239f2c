"""Samples from the audio thread to the engine thread: one writer, one reader, no locks.

The writer owns the samples that it has not published, the write index and the counters; the reader owns the read index,
the clock and what it returns. Each only reads the other's. The layout, and what the writer does, are in
`realtime.callback`.
"""

from __future__ import annotations

import mmap
import sys
import time
from bisect import bisect_left
from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from streamtag.dsp.params import MAX_CHANNELS
from streamtag.dsp.resampler import to_float32
from streamtag.dsp.samples import as_array
from streamtag.errors import FeedError, OptionError
from streamtag.realtime import callback as at
from streamtag.realtime.atomics import WORD, Words
from streamtag.realtime.clock import SampleClock

Array = NDArray[np.float32]

SAMPLES_PER_STAMP = 64
"""Smaller blocks than that on average fill the stamps before the samples; PortAudio's are rarely below 64."""
OLDEST_SECONDS = 10.0
"""Capture times older than this on arrival are ignored."""
SETTLING_SECONDS = 3.0
"""PulseAudio's idea of when samples were captured is off by up to a second, and moving, when a stream is this young."""
IMPOSSIBLE_SECONDS = 3600.0
"""Arrivals so far in the future are none: in a stream's first block, JACK's time may be negative, in unsigned bits."""
REMEMBERED_BLOCKS = 1024
"""For how many blocks the ring remembers arrival times: more than the engine is ever behind when it predicts."""
NS = at.NANOSECONDS


class Piece(NamedTuple):
    """Consecutive samples out of the ring.

    Attributes
    ----------
    samples : ndarray of float32, shape (n,)
        The samples; the reader's own.
    lost : int
        Samples that were lost just before them.
    """

    samples: Array
    lost: int


class Counters(NamedTuple):
    """What has happened to a ring's samples; those of several rings add up.

    Attributes
    ----------
    offered : int
        Samples that came.
    lost : int
        Samples of them that found no room.
    overflows : int
        Times the sound system reported that it lost samples itself.
    nonfinite : int
        Values that were no samples, replaced by 0.
    clock_jumps : int
        Times the device's clock jumped.
    """

    offered: int = 0
    lost: int = 0
    overflows: int = 0
    nonfinite: int = 0
    clock_jumps: int = 0

    def plus(self, other: Counters) -> Counters:
        """Both together."""
        return Counters(*(one + another for one, another in zip(self, other, strict=True)))


def _own_pages(words: int) -> Words:
    """Zeros in pages of their own, which the system gets back at once when a ring is replaced.

    On the heap of one of many threads they would stay: with twenty inputs that come and go, for a hundred megabytes.
    """
    private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if sys.platform != "win32" else {}
    memory: Words = np.frombuffer(mmap.mmap(-1, WORD * words, **private), np.int64)
    # written, not only asked for: a page touched for the first time on the audio thread costs milliseconds
    memory[:] = 0
    return memory


class RingBuffer:
    """Mono float32 samples of one stream between two threads.

    *Positions* count the stream's samples, lost ones included: they are proportional to time.

    Parameters
    ----------
    samplerate : int
        Rate in Hz.
    seconds : float
        How much may wait in it; rounded up to a power of two of samples.
    channels : int
        Channels of the blocks that will be written.
    chosen : tuple of int or None
        Which of them are heard, counted from 0; None for all. Their mean goes into the ring.
    doubtful_stamps : bool
        Capture times are a sound system's: some leave them out, some report wrong ones, and all do at first.

    Attributes
    ----------
    memory : ndarray of int64
        In the layout of `realtime.callback`; for PortAudio's callback. Must live as long as that may be called.
    clock_offset : float
        Seconds to add to the writer's time stamps to get `time.monotonic()`; may change while samples come.
    successor : RingBuffer or None
        The ring into which the source goes on after a gap; it writes no more into this one then.
    first_arrival : float
        When the first sample that was read can have been captured at the latest, in seconds of `time.monotonic()` (the
        reader's).
    """

    def __init__(
        self,
        samplerate: int,
        seconds: float = 10.0,
        *,
        channels: int = 1,
        chosen: tuple[int, ...] | None = None,
        doubtful_stamps: bool = False,
    ) -> None:
        wanted = int(seconds * samplerate)
        if wanted < 1:
            raise OptionError(f"a ring of {seconds:g} s at {samplerate} Hz holds no sample")
        heard = tuple(range(channels)) if chosen is None else chosen
        if not heard or len(heard) > MAX_CHANNELS or min(heard) < 0 or max(heard) >= channels:
            raise OptionError(f"channels {heard} of {channels} cannot be heard: expected 1 to {MAX_CHANNELS}")
        self.samplerate = samplerate
        self.channels = channels
        self.clock_offset = 0.0
        self.successor: RingBuffer | None = None
        self._next: RingBuffer | None = None
        self._clock = SampleClock(samplerate)
        self._doubtful = doubtful_stamps
        self._settled = False
        capacity = 1 << (wanted - 1).bit_length()
        slots = max(64, capacity // SAMPLES_PER_STAMP)
        size = at.HEAD + at.STAMP * slots + -(-capacity // 2)
        self.memory: Words = _own_pages(size)
        head = self.memory
        head[at.SIZE], head[at.CAPACITY], head[at.SLOTS] = size, capacity, slots
        head[at.CHANNELS], head[at.CHOSEN] = channels, len(heard)
        head[at.CHANNEL_LIST : at.CHANNEL_LIST + len(heard)] = heard
        head[at.SMALLEST] = np.iinfo(np.int64).max
        self._stamps = self.memory[at.HEAD : at.HEAD + at.STAMP * slots].reshape(slots, at.STAMP)
        self._data: Array = self.memory[at.HEAD + at.STAMP * slots :].view(np.float32)[:capacity]
        self._read = 0
        self._blocks_read = 0
        self._lost_before = 0
        self._ends: deque[int] = deque(maxlen=REMEMBERED_BLOCKS)  # positions of the ends of blocks that were read,
        self.first_arrival = 0.0
        self._arrivals: deque[float] = deque(maxlen=REMEMBERED_BLOCKS)  # and their arrival times

    # --- counters: may be read from any thread ------------------------------------------------------------------------

    @property
    def capacity(self) -> int:
        """Samples that fit."""
        return len(self._data)

    @property
    def blocks(self) -> int:
        """Blocks of which samples were taken in."""
        return int(self.memory[at.BLOCKS])

    @property
    def block_sizes(self) -> tuple[int, int]:
        """The smallest and the largest block that was offered; zeros before the first."""
        return (int(self.memory[at.SMALLEST]), int(self.memory[at.LARGEST])) if self.offered else (0, 0)

    @property
    def offered(self) -> int:
        """Samples that came to the ring; those taken in and those lost."""
        return int(self.memory[at.OFFERED])

    @property
    def written(self) -> int:
        """Samples taken in so far, lost ones not among them."""
        return int(self.memory[at.WRITTEN])

    @property
    def waiting(self) -> int:
        """Samples written and not read; exact for the writer and for the reader."""
        return self.written - int(self.memory[at.READ])

    @property
    def lost(self) -> int:
        """Samples that found no room, by exact number."""
        return int(self.memory[at.LOST])

    @property
    def overflows(self) -> int:
        """Times the sound system reported that it lost samples itself."""
        return int(self.memory[at.OVERFLOWS])

    @property
    def nonfinite(self) -> int:
        """NaN and other values that are no samples, replaced by 0."""
        return int(self.memory[at.NONFINITE])

    @property
    def counters(self) -> Counters:
        """All of these together."""
        return Counters(self.offered, self.lost, self.overflows, self.nonfinite, self.clock_jumps)

    @property
    def ended(self) -> bool:
        """Whether PortAudio has ended the stream."""
        return bool(self.memory[at.ENDED])

    def newest(self, seconds: float) -> Array:
        """The newest samples as a copy, read or not, for whoever wants to see what comes; for any thread.

        Parameters
        ----------
        seconds : float
            How many; at most a quarter of the ring, which the writer then cannot overwrite meanwhile.

        Returns
        -------
        ndarray of float32, shape (n,)
            Fewer if no more have come.
        """
        blocks = at.published(self.memory)
        if not blocks:
            return np.empty(0, np.float32)
        end = int(self._stamps[(blocks - 1) & (len(self._stamps) - 1), at.END])
        return self._copy(end - min(end, int(seconds * self.samplerate), self.capacity // 4), end)

    @property
    def read_position(self) -> int:
        """Position after the newest sample that was read."""
        return self._read + self._lost_before

    # --- the writer's -------------------------------------------------------------------------------------------------

    def write(self, block: ArrayLike, captured: float | None = None, *, overflowed: bool = False) -> None:
        """Put samples in (writer only). What finds no room is dropped from the end of the block, and counted.

        Parameters
        ----------
        block : array_like, shape (n,) or (n, channels)
            The samples; the writer's own, copied. Float (-1..1), int16 or int32.
        captured : float or None
            When its last sample was captured, in seconds of the writer's clock; None for now.
        overflowed : bool
            Whether samples were lost before they arrived here.

        Raises
        ------
        FeedError
            Another shape or type.
        """
        block = to_float32(as_array(block))
        if block.ndim not in (1, 2) or (block.shape[1] if block.ndim == 2 else 1) != self.channels:
            raise FeedError(f"a block of shape {block.shape}: expected (n, {self.channels}), as the ring was made for")
        now = time.monotonic() - self.clock_offset
        first = (now if captured is None else captured) - len(block) / self.samplerate
        self.write_stamped(block.reshape(-1, self.channels), first, now, overflowed=overflowed)

    def write_stamped(self, block: Array, first: float, now: float, *, overflowed: bool = False) -> None:
        """Put samples in (writer only), with the times of the first sample's capture and of their arrival."""
        at.write_block(self.memory, np.ascontiguousarray(block), int(first * NS), int(now * NS), int(overflowed))

    @property
    def needed(self) -> int:
        """How many channels a block must have at least, for those that are heard to be among them."""
        return int(self.memory[at.CHANNEL_LIST : at.CHANNEL_LIST + self.memory[at.CHOSEN]].max()) + 1

    def expect(self, channels: int) -> None:
        """Expect blocks of so many channels (writer only, before the first block); at least `needed`."""
        self.channels = channels
        self.memory[at.CHANNELS] = channels

    def chain(self, other: RingBuffer | None) -> None:
        """Have the compiled callback write into another ring, too (before the stream begins)."""
        self._next = other  # kept: it is written to as long as this one is
        self.memory[at.NEXT] = 0 if other is None else other.memory.ctypes.data

    @property
    def muted(self) -> bool:
        """Whether nobody reads it any more: what comes is not counted either."""
        return bool(self.memory[at.MUTED])

    @muted.setter
    def muted(self, muted: bool) -> None:
        self.memory[at.MUTED] = int(muted)

    def end(self) -> None:
        """Say that no more samples will come (writer only)."""
        self.memory[at.ENDED] = 1

    # --- the reader's -------------------------------------------------------------------------------------------------

    def read(self) -> list[Piece]:
        """Take all samples that wait (reader only), parted where samples were lost."""
        blocks = at.published(self.memory)
        if blocks == self._blocks_read:
            return []
        slots = len(self._stamps)
        stamps = self._stamps[np.arange(self._blocks_read, blocks) & (slots - 1)]
        pieces = []
        begin, begin_lost = self._read, self._lost_before
        for end, lost, taken, captured, arrived in stamps[:, : at.ARRIVED + 1].tolist():
            start = end - taken
            if lost != self._lost_before:
                if start > begin:
                    pieces.append(Piece(self._copy(begin, start), self._lost_before - begin_lost))
                    begin, begin_lost = start, self._lost_before
                self._lost_before = lost
            self._stamp(start + lost, end + lost, captured, arrived)
        pieces.append(Piece(self._copy(begin, end), self._lost_before - begin_lost))
        self._read, self._blocks_read = end, blocks
        at.release(self.memory, end, blocks)
        return pieces

    def captured_at(self, position: float) -> float:
        """When a sample was captured (reader only), in seconds of `time.monotonic()`; now, before anything was read."""
        if not self._clock.is_set:
            return time.monotonic()
        return self._clock.at(position)

    def arrived_at(self, position: float) -> float:
        """Arrival time of a sample (reader only), in seconds of `time.monotonic()`; now, if it is not there yet."""
        if not self._ends or position > self._ends[-1]:
            return time.monotonic()
        return self._arrivals[bisect_left(self._ends, position)]

    @property
    def last_arrival(self) -> float | None:
        """Arrival time of the newest block that was read (reader only), in seconds of `time.monotonic()`."""
        return self._arrivals[-1] if self._arrivals else None

    @property
    def clock_jumps(self) -> int:
        """Times the device's clock jumped; samples were lost before they arrived here, or the device was suspended."""
        return self._clock.jumps

    @property
    def clock_ppm(self) -> float | None:
        """How much faster than ours the device's clock runs, in parts per million; None before that is known."""
        return self._clock.ppm

    def _copy(self, begin: int, end: int) -> Array:
        start, count = begin & (self.capacity - 1), end - begin
        first = min(count, self.capacity - start)
        return np.concatenate((self._data[start : start + first], self._data[: count - first]))

    def _stamp(self, start: int, end: int, captured: int, arrived: int) -> None:
        length = (end - start) / self.samplerate
        now = time.monotonic()
        came = arrived / NS + self.clock_offset if arrived else now
        if came > now + IMPOSSIBLE_SECONDS:
            came = now
        if not self._ends:
            self.first_arrival = came - length
        self._ends.append(end)
        self._arrivals.append(came)
        # on our clock from here on: theirs may be set or fall behind, and what was once compared stays true
        first = captured / NS + self.clock_offset
        if not self._doubtful:
            self._clock.update(start, first)
            return
        latest = came - length  # no sample of a block is younger than this
        known = captured > 0 and arrived > 0 and (arrived - captured) / NS < OLDEST_SECONDS
        if start < SETTLING_SECONDS * self.samplerate or not known:
            self._clock.update(start, latest)
        else:
            if not self._settled:
                self._settled = True
                self._clock.begin_anew()
            self._clock.update(start, min(first, latest))
