"""A station's sound, read ahead and heard at the station's own pace.

What a network delivers comes in bursts: seconds at once when one connects, then block by block, some late. So some of
it is kept, and the level of what is kept says whose clock is faster. Source of the idea: every player of networked
sound; for its noise and stability, F. Adriaensen, "Controlling adaptive resampling" (Linux Audio Conference 2012).
Nothing is resampled here: a part in ten thousand is slower or faster only in when it is heard.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Iterator

from streamtag._system.threads import start_whole
from streamtag.decoding.reader import Array

KEPT_SECONDS = 5.0
"""What is read ahead, at the most; the network holds back the rest."""
FIRST_SECONDS = 1.0
"""It is heard once so much has come, or so long after its first block: then a late block is not missed."""
LOOK_SECONDS = 0.1
SETTLED_SECONDS = 20.0
"""After so long the level is what it is to be: the burst at the beginning has come by then."""
HIGHEST_SECONDS = 3.0
"""But no higher, so that there is room to both sides."""
SMOOTHED_SECONDS = 60.0
"""Time constant of the level: blocks come and go."""
FOLLOWED = 1e-3
"""Change of pace for each second by which the level is off: 100 ppm for 0.1 s."""
MOST_DRIFT = 2e-4
"""Stations play by sound cards or computers, which are within 100 ppm."""


class Follower:
    """How much faster than this machine's clock a station is to be heard, from the level of what is kept.

    Attributes
    ----------
    drift : float
        1e-4 is 100 ppm faster.
    """

    def __init__(self) -> None:
        self.drift = 0.0
        self._began = self._last = 0.0
        self._wanted: float | None = None
        self._smoothed: float | None = None

    def begin(self, now: float) -> None:
        """Begin anew with the level, as after a stall; the pace stays as it is for now."""
        self._began = self._last = now
        self._wanted = self._smoothed = None

    def update(self, now: float, level: float) -> float:
        """Take a level in seconds; gives the drift."""
        if level > KEPT_SECONDS - FIRST_SECONDS:  # whoever sends as much as is taken has no clock that could be seen
            self.drift = 0.0
        age = max(1.0, now - self._began)  # an average at first
        share = min(1.0, (now - self._last) / min(SMOOTHED_SECONDS, age))
        self._last = now
        self._smoothed = level if self._smoothed is None else self._smoothed + share * (level - self._smoothed)
        if self._wanted is None and now - self._began > SETTLED_SECONDS:
            self._wanted = min(self._smoothed, HIGHEST_SECONDS)
        if self._wanted is not None and level <= KEPT_SECONDS - FIRST_SECONDS:
            self.drift = min(max(FOLLOWED * (self._smoothed - self._wanted), -MOST_DRIFT), MOST_DRIFT)
        return self.drift


class Ahead:
    """Reads blocks on a thread of its own, and gives each when it is due.

    Parameters
    ----------
    blocks : iterator of ndarray of float32, shape (n, channels)
        What comes; it is read by that thread alone.
    samplerate : int
        Hz.
    wait : callable
        Waits for some seconds; returns whether all is to end.
    """

    def __init__(self, blocks: Iterator[Array], samplerate: int, wait: Callable[[float], bool]) -> None:
        self._follower = Follower()
        self._blocks = blocks
        self._rate = samplerate
        self._wait = wait
        self._kept: queue.SimpleQueue[Array | BaseException | None] = queue.SimpleQueue()
        self._read = self._given = 0  # samples; each written by one thread
        self._room = threading.Event()
        self._over = False
        self._thread = threading.Thread(target=self._run, name="streamtag-ahead", daemon=True)
        start_whole(self._thread)

    @property
    def level(self) -> float:
        """Seconds that were read and not given."""
        return (self._read - self._given) / self._rate

    def __iter__(self) -> Iterator[Array]:
        """Blocks, each when it is due; ends as `blocks` does, or raises what that raised."""
        due = -math.inf
        while (block := self._next()) is not None:
            if due < time.monotonic() - LOOK_SECONDS:  # the first, or after a stall: what follows is not hurried
                self._gather()
                due = time.monotonic()
                self._follower.begin(due)
            if self._wait(max(0.0, due - time.monotonic())):
                return
            drift = self._follower.update(time.monotonic(), self.level)
            self._given += len(block)
            self._room.set()
            yield block
            due += len(block) / (self._rate * (1 + drift))

    def stop(self, seconds: float) -> bool:
        """Read no more. Returns whether the thread has ended: else a read does not return."""
        self._over = True
        self._room.set()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _next(self) -> Array | None:
        """The next block, as soon as there is one; None at the end."""
        while not self._wait(0.0):
            try:
                found = self._kept.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                continue
            if isinstance(found, BaseException):
                raise found
            return found
        return None

    def _gather(self) -> None:
        """Let some come together."""
        until = time.monotonic() + FIRST_SECONDS
        while self.level < FIRST_SECONDS and time.monotonic() < until and self._thread.is_alive():
            if self._wait(LOOK_SECONDS / 2):
                return

    def _run(self) -> None:
        try:
            for block in self._blocks:
                self._read += len(block)
                self._kept.put(block)
                while self.level > KEPT_SECONDS and not self._over:
                    self._room.clear()
                    if self.level > KEPT_SECONDS:
                        self._room.wait(LOOK_SECONDS)
                if self._over:
                    return
            self._kept.put(None)
        except BaseException as error:  # raised where blocks are taken
            self._kept.put(error)
