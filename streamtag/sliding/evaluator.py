"""State of one stream, and the order in which the kernels work on it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamtag.errors import OptionError
from streamtag.evaluator import Judged
from streamtag.networks.specs import N_MELS, PATCH_FRAMES, TEMPORAL_FILTERS, ModelSpec
from streamtag.sliding import geometry
from streamtag.sliding.geometry import REACH, TEMPORAL
from streamtag.sliding.midend import dense_layers, shared_rows, window_rows
from streamtag.sliding.plan import Block
from streamtag.sliding.prepared import FRONT_END, WIDTHS, Prepared, aligned
from streamtag.sliding.simd import PANEL
from streamtag.sliding.temporal import FILTERS, temporal_rows
from streamtag.sliding.timbral import EDGE, PRODUCTS, SPECTRUM, STRIP, take_frames, timbral_rows

Array = NDArray[np.float32]

BLOCK_FRAMES = 32
"""Windows that end within so many frames are judged together: they share the reading of the weights."""


@dataclass(frozen=True, slots=True)
class JudgedPools(Judged):
    """What `SlidingEvaluator` says of n consecutive windows.

    Attributes
    ----------
    max_pool, mean_pool : float32 (n, channels), musicnn's features of these names.
    """

    max_pool: Array
    mean_pool: Array


class SlidingEvaluator:
    """Judges overlapping windows exactly, computing once what they share.

    `push` only keeps the frames; `take` does the work, so skipped windows cost nothing. Memory is fixed, apart from
    frames that were pushed and are not yet taken or skipped. Results do not depend, to the bit, on how frames are
    chunked, nor on how many windows are taken at a time. Not for several threads at once; several evaluators may work
    side by side and share `prepared`.

    Frames must be finite: a NaN makes the windows that hold it meaningless (though not NaN), and no others.

    Parameters
    ----------
    prepared : what `prepare` returned.
    window_frames : frames of a window, at least 1.
    hop_frames : frames between the starts of two windows, at least 1.

    Raises
    ------
    OptionError : a window or hop below 1.
    """

    name = "sliding"

    def __init__(self, prepared: Prepared, window_frames: int = PATCH_FRAMES, hop_frames: int = 1) -> None:
        if window_frames < 1 or hop_frames < 1:
            raise OptionError(f"window and hop are at least 1 frame, not {window_frames} and {hop_frames}")
        self.spec: ModelSpec = prepared.spec
        self.window_frames = window_frames
        self.hop_frames = hop_frames
        self._prepared = prepared
        self._at_once = max(1, BLOCK_FRAMES // hop_frames)
        self._capacity = window_frames + (self._at_once - 1) * hop_frames
        # windows whose left edges may be known while the first of them is still to be judged
        self._slots = (self._capacity - 1) // hop_frames + 1
        self._allocate()
        self.reset()

    def _allocate(self) -> None:
        window, capacity, at_once = self.window_frames, self._capacity, self._at_once
        filters, tags = self.spec.filters, len(self.spec.labels)
        weights = self._prepared.midend
        self._edges = geometry.groups(window)
        self._levels = geometry.midend(window)
        self._edge_table = np.array(self._edges, np.int64)
        self._level_table = np.array(self._levels, np.int64)
        self._widths = np.array(WIDTHS, np.int64)

        self._normed = aligned(2 * capacity * N_MELS)
        self._spectra = aligned((2 * capacity + 2 * STRIP * at_once) * SPECTRUM)
        self._blank = aligned(SPECTRUM)
        self._jobs = np.zeros((1 + 2 * at_once, 3), np.int64)
        self._products = aligned(PRODUCTS)
        self._best = aligned((max(*TEMPORAL, at_once)) * FILTERS)
        kept = (at_once, *(self._slots for _ in TEMPORAL))
        self._left = tuple(
            aligned(slots * edge.before * width) for slots, edge, width in zip(kept, self._edges, WIDTHS, strict=True)
        )
        self._right = tuple(
            aligned(at_once * edge.after * width) for edge, width in zip(self._edges, WIDTHS, strict=True)
        )
        self._running = tuple(aligned(edge.after * N_MELS * FILTERS) for edge in self._edges[1:])

        behind = (2 * EDGE * at_once, *(0 for _ in TEMPORAL))
        self._groups = tuple(aligned((2 * capacity + more) * width) for more, width in zip(behind, WIDTHS, strict=True))
        self._sums = tuple(aligned(2 * capacity * filters) for _ in WIDTHS)
        self._layers = tuple(aligned(2 * capacity * filters) for _ in range(3))
        self._patches = tuple(aligned((window + 2 * REACH) * width) for width in WIDTHS)
        self._layer_patches = tuple(aligned((window + 2 * REACH) * filters) for _ in range(3))
        self._scratch = aligned(window * filters)
        self._biases, self._dense_bias, self._tags_bias = (
            bias.reshape(-1).copy() for bias in (weights.biases, weights.dense_bias, weights.tags_bias)
        )
        self._channels = FRONT_END + 3 * filters
        self._maxima, self._totals = aligned(self._channels), aligned(self._channels)
        self._hidden = aligned(at_once * len(self._dense_bias))
        self._logits = aligned(at_once * len(self._tags_bias))

    def reset(self) -> None:
        """Forget all frames; the next one is frame 0 again."""
        self._pending: deque[Array] = deque()
        self._pushed = 0  # frames that have come
        self._oldest = 0  # number of the first frame in _pending
        self._done = 0  # frames gone through: the end of the last window that was judged
        self._next = 0  # window

    @property
    def due(self) -> int:
        """Windows that are complete and neither judged nor skipped."""
        return max(0, (self._pushed - self.window_frames) // self.hop_frames + 1 - self._next)

    def push(self, frames: Array) -> None:
        """Take frames: float32 (n, 96) log-mel, any n from 0."""
        if len(frames):
            self._pending.append(np.array(frames, np.float32, order="C"))
            self._pushed += len(frames)
            self._forget(self._next * self.hop_frames)

    def skip(self, windows: int) -> None:
        """Give up the oldest `windows` of those that are due."""
        self._next += windows
        self._forget(self._next * self.hop_frames)

    def take(self, limit: int) -> JudgedPools:
        """Judge the oldest windows that are due, `limit` of them at the most."""
        first, count = self._next, max(0, min(limit, self.due))
        pooled = np.empty((count, 2, self._channels), np.float32)
        embedding = np.empty((count, self.spec.embedding_size), np.float32)
        logits = np.empty((count, len(self.spec.labels)), np.float32)
        for begin in range(0, count, self._at_once):
            part = slice(begin, min(begin + self._at_once, count))
            self._judge(pooled[part], embedding[part], logits[part])
        taggram = (1 / (1 + np.exp(-logits.astype(np.float64)))).astype(np.float32)
        return JudgedPools(first, taggram, embedding, pooled[:, 0], pooled[:, 1])

    def repeat_to_window(self) -> bool:
        """With less than one window taken, repeat its frames until one is due (musicnn's repeat-pad)."""
        if self._next or self.due or not self._pushed:
            return False
        frames = np.concatenate(self._pending)
        times = -(-self.window_frames // len(frames))
        self.reset()
        self.push(np.tile(frames, (times, 1))[: self.window_frames])
        return True

    def warm_up(self) -> None:
        """Compile or load the kernels, and touch the memory, so that the first window is not late."""
        trial = SlidingEvaluator(self._prepared, 1, 1)
        trial.push(np.zeros((1, N_MELS), np.float32))
        trial.take(1)

    def _judge(self, pooled: Array, embedding: Array, logits: Array) -> None:
        """Judge the next windows, as many as there is room for results."""
        windows = len(pooled)
        start = self._next * self.hop_frames
        end = start + (windows - 1) * self.hop_frames + self.window_frames
        plan = Block(
            self.window_frames,
            self.hop_frames,
            self._capacity,
            self._slots,
            self._at_once,
            self._done,
            self._next,
            start,
            windows,
            end,
        )
        weights = self._prepared
        begin = max(self._done, start)
        take_frames(
            self._frames(begin, end), begin, weights.timbral, self._normed, self._spectra, self._capacity, self._blank
        )
        timbral_rows(
            weights.timbral,
            self._edges[0],
            plan,
            self._spectra,
            self._groups[0],
            self._left[0],
            self._right[0],
            self._jobs,
            self._products,
            self._blank,
        )
        temporal_rows(
            weights.temporal,
            self._edge_table[1:],
            plan,
            self._normed,
            self._left[1:],
            self._right[1:],
            self._groups[1:],
            self._running,
            self._best,
        )
        shared_rows(
            weights.midend,
            self._level_table,
            plan,
            self._biases,
            self._groups,
            self._widths,
            self._sums,
            self._layers,
        )
        window_rows(
            weights.midend,
            self._edge_table,
            self._level_table,
            plan,
            self._biases,
            self._groups,
            self._widths,
            self._left,
            self._right,
            self._sums,
            self._layers,
            self._patches,
            self._layer_patches,
            self._scratch,
            self._maxima,
            self._totals,
            pooled,
        )
        dense_layers(
            weights.midend,
            pooled.reshape(-1),
            self._dense_bias,
            self._tags_bias,
            self._hidden,
            embedding.reshape(-1),
            self._logits,
        )
        width = len(self._tags_bias)
        logits[:] = self._logits[: windows * width].reshape(windows, width)[:, : logits.shape[1]]
        self._done = end
        self._next += windows
        self._forget(max(end, self._next * self.hop_frames))

    def _frames(self, begin: int, end: int) -> Array:
        """Pending frames by their numbers."""
        parts, number = [], self._oldest
        for chunk in self._pending:
            if number >= end:
                break
            parts.append(chunk[max(begin - number, 0) : end - number])
            number += len(chunk)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _forget(self, before: int) -> None:
        """Let go of pending frames that no window needs any more."""
        while self._pending and self._oldest < before:
            chunk = self._pending.popleft()
            gone = min(before - self._oldest, len(chunk))
            if gone < len(chunk):
                self._pending.appendleft(chunk[gone:])
            self._oldest += gone
