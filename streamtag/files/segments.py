"""A long stream of frames, predicted in segments on all processors, with the same result as in one piece.

Windows do not depend on each other, so a run of them may be predicted anywhere that has their frames. Segments overlap
by what a window needs beyond its hop; they are long enough for that to cost a tenth at the most.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Set
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from streamtag.inference.base import Features, Prediction, Predictor, completed, feature_sizes, repeated

Array = NDArray[np.float32]
AT_ONCE = 16
"""Windows predicted at a time where they follow each other."""
WASTE = 0.1
"""Share of a segment's frames that the one before has too, at the most."""


class SegmentPool:
    """Predictors and the threads that run them. May serve several streams at once.

    Parameters
    ----------
    make : callable
        Makes one predictor; called once a worker, on first need.
    workers : int
        Threads, and so predictors.
    names : set of str or None
        Features that are kept of what the predictors give (see `Prediction.features`); None for all.
    """

    def __init__(self, make: Callable[[], Predictor], workers: int, names: Set[str] | None = None) -> None:
        self._make = make
        self._names = names
        self.workers = workers
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="streamtag-segment")
        self._idle: SimpleQueue[Predictor] = SimpleQueue()
        first = make()
        self.spec, self.name = first.spec, first.name
        self.window_frames, self.hop_frames = first.window_frames, first.hop_frames
        self._idle.put(first)

    def warm_up(self) -> None:
        """Compile and touch what would make the first segment slow."""
        predictor = self._borrow()
        predictor.warm_up()
        self._idle.put(predictor)

    def submit(self, frames: Array) -> Future[Features]:
        """Predict all windows of some frames on another thread: their features."""
        return self._executor.submit(self._predict, frames)

    def _predict(self, frames: Array) -> Features:
        predictor = self._borrow()
        try:
            predictor.reset()
            predictor.push(frames)
            return self.kept(predictor.take(predictor.due))
        finally:
            self._idle.put(predictor)

    def kept(self, prediction: Prediction) -> Features:
        """The features that are kept of a prediction."""
        features = prediction.features(self.spec)
        return {name: value for name, value in features.items() if self._names is None or name in self._names}

    def another(self) -> Predictor:
        """A predictor for one stream alone."""
        return self._make()

    def _borrow(self) -> Predictor:
        return self._make() if self._idle.empty() else self._idle.get()


class StreamInOrder:
    """As `SegmentedStream`, for a network that keeps something from window to window: one after the other.

    Parameters
    ----------
    pool : SegmentPool
        Makes the predictor.

    Attributes
    ----------
    frames_in : int
        Frames taken.
    """

    def __init__(self, pool: SegmentPool) -> None:
        self._pool = pool
        self._predictor = pool.another()
        self._done: list[Features] = []
        self.frames_in = 0

    def push(self, frames: Array) -> None:
        """Take frames, and predict all windows that they complete."""
        self.frames_in += len(frames)
        self._predictor.push(frames)
        self._predict()

    def finish(self, *, repeat_short: bool) -> Features:
        """See `SegmentedStream.finish`."""
        self._predictor.complete()
        self._predict()
        if repeat_short and not self._done and self._predictor.repeat_to_window():
            self._predict()
        return joined(self._done, self._pool)

    def _predict(self) -> None:
        while self._predictor.due:
            self._done.append(self._pool.kept(self._predictor.take(AT_ONCE)))


class SegmentedStream:
    """One stream of frames to all its windows.

    Parameters
    ----------
    pool : SegmentPool
        Makes the predictions.

    Attributes
    ----------
    frames_in : int
        Frames taken.
    """

    def __init__(self, pool: SegmentPool) -> None:
        self._pool = pool
        shared = max(0, pool.window_frames - pool.hop_frames)
        self._windows = max(2, int(shared / (WASTE * pool.hop_frames)))
        self._length = (self._windows - 1) * pool.hop_frames + pool.window_frames
        self._waiting: Array = np.empty((0, pool.spec.front_end.width), np.float32)
        self._ahead = 0  # frames between two windows that have not come yet (hop > window)
        self._futures: deque[Future[Features]] = deque()
        self._done: list[Features] = []
        self.frames_in = 0

    def push(self, frames: Array) -> None:
        """Take frames: float32 (n, width). Waits while more segments are under way than there are workers for."""
        self.frames_in += len(frames)
        self._waiting = np.concatenate((self._waiting, frames))
        self._drop(0)
        while len(self._waiting) >= self._length:
            self._submit(self._waiting[: self._length])
            self._drop(self._windows * self._pool.hop_frames)
        while len(self._futures) > 2 * self._pool.workers:
            self._done.append(self._futures.popleft().result())

    def finish(self, *, repeat_short: bool) -> Features:
        """The features of the whole stream by name, each float32 (windows, units).

        Parameters
        ----------
        repeat_short : bool
            A stream shorter than one window is repeated to its length; else it has no window.

        Returns
        -------
        dict of {str: ndarray of float32}
            Arrays by name, each of shape (windows, units).
        """
        if not self._ahead:
            self._waiting = completed(self._waiting, self._pool.spec, self._pool.window_frames, self._pool.hop_frames)
        if repeat_short and 0 < len(self._waiting) == self.frames_in < self._pool.window_frames:
            self._waiting = repeated(self._waiting, self._pool.window_frames)
        if len(self._waiting) >= self._pool.window_frames:
            self._submit(self._waiting)
        self._done += [future.result() for future in self._futures]
        self._futures.clear()
        return joined(self._done, self._pool)

    def _submit(self, frames: Array) -> None:
        self._futures.append(self._pool.submit(np.ascontiguousarray(frames)))

    def _drop(self, frames: int) -> None:
        gone = min(self._ahead + frames, len(self._waiting))
        self._ahead += frames - gone
        self._waiting = self._waiting[gone:]


def joined(parts: list[Features], pool: SegmentPool) -> Features:
    """The features of all windows, of those of some at a time."""
    sizes = feature_sizes(pool.spec)
    names = parts[0] if parts else sizes
    return {
        name: np.concatenate([np.empty((0, sizes[name]), np.float32), *(part[name] for part in parts)])
        for name in names
    }
