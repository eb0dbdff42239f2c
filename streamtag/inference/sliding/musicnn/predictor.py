"""State of one stream, and the order in which the kernels work on it."""

from __future__ import annotations

from collections import deque

import numpy as np

from streamtag.dsp.params import N_MELS, PATCH_FRAMES
from streamtag.errors import FeedError, OptionError
from streamtag.inference.base import Prediction, repeated
from streamtag.inference.networks.specs import ModelSpec
from streamtag.inference.sliding.arena import Arena, Floats
from streamtag.inference.sliding.musicnn.infer import infer
from streamtag.inference.sliding.musicnn.layout import Block, make_rooms, make_shape, pool_order
from streamtag.inference.sliding.musicnn.prepared import Prepared
from streamtag.inference.sliding.simd import PANEL

BLOCK_FRAMES = 32
"""Windows that end within this many frames are predicted together: they share the reading of the weights."""


class SlidingPredictor:
    """Predicts overlapping windows exactly, computing once what they share.

    `push` only keeps the frames; `take` does the work, so skipped windows cost nothing. Memory is fixed, apart from
    frames that were pushed and are not yet taken or skipped. Results do not depend, to the bit, on how frames are
    chunked, nor on how many windows are taken at a time. Not for several threads at once; several predictors may work
    side by side and share `prepared`.

    Frames must be finite: a NaN makes the windows that hold it meaningless (though not NaN), and no others.

    Parameters
    ----------
    prepared : Prepared
        What `prepare` returned.
    window_frames : int
        Frames of a window, at least 1.
    hop_frames : int
        Frames between the starts of two windows, at least 1.

    Raises
    ------
    OptionError
        A window or hop below 1.
    """

    name = "sliding"

    def __init__(self, prepared: Prepared, window_frames: int = PATCH_FRAMES, hop_frames: int = 1) -> None:
        if window_frames < 1 or hop_frames < 1:
            raise OptionError(f"window and hop are at least 1 frame, not {window_frames} and {hop_frames}")
        self.spec: ModelSpec = prepared.spec
        self.window_frames = window_frames
        self.hop_frames = hop_frames
        self._prepared = prepared
        self._shape = make_shape(prepared.spec, window_frames, hop_frames, max(1, BLOCK_FRAMES // hop_frames))
        arena = Arena()
        self._rooms = make_rooms(self._shape, arena)
        self._memory = arena.array()
        self._order, _ = pool_order(prepared.spec.filters)
        self._jobs = np.zeros((1 + 2 * self._shape.at_once, 3), np.int64)
        self.reset()

    def reset(self) -> None:
        """Discard all frames; the next one is frame 0 again."""
        self._pending: deque[Floats] = deque()
        self._pushed = 0  # frames that have come
        self._oldest = 0  # number of the first frame in _pending
        self._done = 0  # frames gone through: the end of the last window that was predicted
        self._next = 0  # window

    @property
    def due(self) -> int:
        """Windows that are complete and neither predicted nor skipped."""
        return max(0, (self._pushed - self.window_frames) // self.hop_frames + 1 - self._next)

    def push(self, frames: Floats) -> None:
        """Take frames: float32 (n, 96) log-mel, any n from 0.

        Raises
        ------
        FeedError
            Frames of another shape.
        """
        if frames.ndim != 2 or frames.shape[1] != N_MELS:  # the kernels do not check
            raise FeedError(f"frames have shape {frames.shape}, and (n, {N_MELS}) is needed")
        if len(frames):
            self._pending.append(np.array(frames, np.float32, order="C"))
            self._pushed += len(frames)
            self._forget(self._next * self.hop_frames)

    def skip(self, windows: int) -> None:
        """Give up the oldest `windows` of those that are due."""
        self._next += windows
        self._forget(self._next * self.hop_frames)

    def take(self, limit: int) -> Prediction:
        """Predict the oldest windows that are due, `limit` of them at the most."""
        first, count = self._next, max(0, min(limit, self.due))
        pooled = np.empty((count, 2, self._shape.channels), np.float32)
        embedding = np.empty((count, self.spec.embedding_size), np.float32)
        logits = np.empty((count, len(self.spec.labels)), np.float32)
        at_once = self._shape.at_once
        for begin in range(0, count, at_once):
            part = slice(begin, begin + at_once)
            self._infer(pooled[part], embedding[part], logits[part])
        taggram = (1 / (1 + np.exp(-logits.astype(np.float64)))).astype(np.float32)
        pools = pooled[:, :, -self.spec.pool_size :]  # of a `residual` model, those of its last layer only
        return Prediction(first, taggram, embedding, pools[:, 0], pools[:, 1])

    def repeat_to_window(self) -> bool:
        """With less than one window taken, repeat its frames until one is due (musicnn's repeat-pad)."""
        if self._next or self.due or not self._pushed:
            return False
        frames = np.concatenate(self._pending)
        self.reset()
        self.push(repeated(frames, self.window_frames))
        return True

    def warm_up(self) -> None:
        """Compile or load the kernels, and touch the memory, so that the first window is not late."""
        trial = SlidingPredictor(self._prepared, 1, 1)
        trial.push(np.zeros((1, N_MELS), np.float32))
        trial.take(1)
        if not self._pushed:
            self._memory[:] = 0

    def _infer(self, pooled: Floats, embedding: Floats, logits: Floats) -> None:
        """Predict the next windows, as many as there is room for results."""
        windows = len(pooled)
        start = self._next * self.hop_frames
        end = start + (windows - 1) * self.hop_frames + self.window_frames
        block = Block(self._done, self._next, windows, start, end)
        begin = max(self._done, start)
        shape, rooms, memory = self._shape, self._rooms, self._memory
        weights, places = self._prepared.weights, self._prepared.places
        frames = self._frames(begin, end)
        infer(frames, begin, self._jobs, self._order, memory, weights, places, rooms, shape, block)
        for out, place in ((pooled, rooms.pooled), (embedding, rooms.embedding)):
            out[:] = memory[place : place + out.size].reshape(out.shape)
        width = -(-shape.tags // PANEL) * PANEL
        logits[:] = memory[rooms.logits : rooms.logits + windows * width].reshape(windows, width)[:, : shape.tags]
        self._done = end
        self._next += windows
        self._forget(max(end, self._next * self.hop_frames))

    def _frames(self, begin: int, end: int) -> Floats:
        """Pending frames by their numbers."""
        parts, number = [], self._oldest
        for chunk in self._pending:
            if number >= end:
                break
            parts.append(chunk[max(begin - number, 0) : end - number])
            number += len(chunk)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _forget(self, before: int) -> None:
        """Discard pending frames that no window needs any more."""
        while self._pending and self._oldest < before:
            chunk = self._pending.popleft()
            gone = min(before - self._oldest, len(chunk))
            if gone < len(chunk):
                self._pending.appendleft(chunk[gone:])
            self._oldest += gone
