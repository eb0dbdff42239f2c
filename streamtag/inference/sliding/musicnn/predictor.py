"""State of one stream, and the order in which the kernels work on it."""

from __future__ import annotations

import numpy as np

from streamtag._compile.simd import PANEL
from streamtag.dsp.params import N_MELS, PATCH_FRAMES
from streamtag.inference.base import Prediction
from streamtag.inference.networks.specs import ModelSpec
from streamtag.inference.sliding.arena import Arena, Floats
from streamtag.inference.sliding.musicnn.infer import infer
from streamtag.inference.sliding.musicnn.layout import Block, make_rooms, make_shape, pool_order
from streamtag.inference.sliding.musicnn.prepared import Prepared
from streamtag.inference.sliding.stream import FrameStream

BLOCK_FRAMES = 32
"""Windows that end within this many frames are predicted together: they share the reading of the weights."""


class SlidingPredictor(FrameStream):
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
        super().__init__(window_frames, hop_frames)
        self.spec: ModelSpec = prepared.spec
        self._prepared = prepared
        self._shape = make_shape(prepared.spec, window_frames, hop_frames, max(1, BLOCK_FRAMES // hop_frames))
        arena = Arena()
        self._rooms = make_rooms(self._shape, arena)
        self._order = pool_order(prepared.spec.first_layer, prepared.spec.filters)
        self._more_rooms(arena)
        self._memory = arena.array()
        self._jobs = np.zeros((1 + 2 * self._shape.at_once, 3), np.int64)

    def take(self, limit: int) -> Prediction:
        """Predict the oldest windows that are due, `limit` of them at the most."""
        first, count = self._next, max(0, min(limit, self.due))
        pooled = np.empty((count, self._shape.pooled), np.float32)
        embedding = np.empty((count, self.spec.embedding_size), np.float32)
        logits = np.empty((count, len(self.spec.labels)), np.float32)
        at_once = self._shape.at_once
        for begin in range(0, count, at_once):
            part = slice(begin, begin + at_once)
            self._infer(pooled[part], embedding[part], logits[part])
        taggram = (1 / (1 + np.exp(-logits.astype(np.float64)))).astype(np.float32)
        return Prediction(first, taggram, embedding, *self._pools(pooled))

    def warm_up(self) -> None:
        """Compile or load the kernels, and touch the memory, so that the first window is not late."""
        trial = type(self)(self._prepared, 1, 1)
        trial.push(np.zeros((1, N_MELS), np.float32))
        trial.take(1)
        if not self._pushed:
            self._memory += 0

    def _infer(self, pooled: Floats, embedding: Floats, logits: Floats) -> None:
        """Predict the next windows, as many as there is room for results."""
        windows = len(pooled)
        start = self._next * self.hop_frames
        end = start + (windows - 1) * self.hop_frames + self.window_frames
        block = Block(self._done, self._next, windows, start, end)
        begin = max(self._done, start)
        shape, rooms, memory = self._shape, self._rooms, self._memory
        self._evaluate(self._frames(begin, end), begin, block)
        for out, place in ((pooled, rooms.pooled), (embedding, rooms.embedding)):
            out[:] = memory[place : place + out.size].reshape(out.shape)
        width = -(-shape.tags // PANEL) * PANEL
        logits[:] = memory[rooms.logits : rooms.logits + windows * width].reshape(windows, width)[:, : shape.tags]
        self._predicted(windows, end)

    def _more_rooms(self, arena: Arena) -> None:
        """Room for what only a relative of musicnn needs."""

    def _evaluate(self, frames: Floats, begin: int, block: Block) -> None:
        """Predict a block of windows, whose frames from `begin` on are new; the results are in the memory then."""
        weights, places = self._prepared.weights, self._prepared.places
        shape, rooms = self._shape, self._rooms
        infer(frames, begin, self._jobs, self._order, self._memory, weights, places, rooms, shape, block)

    def _pools(self, pooled: Floats) -> tuple[Floats, ...]:
        """`max_pool` and `mean_pool`: of a `residual` model, those of its last layer only."""
        pools = pooled.reshape(-1, 2, self._shape.channels)[:, :, -self.spec.pool_size :]
        return pools[:, 0], pools[:, 1]
