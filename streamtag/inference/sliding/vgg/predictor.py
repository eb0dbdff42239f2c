"""Exact sliding evaluation of the vgg networks: state of one stream."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamtag.dsp.params import N_MELS, PATCH_FRAMES
from streamtag.errors import FeedError, OptionError
from streamtag.inference.base import Prediction, repeated
from streamtag.inference.networks.specs import ModelSpec
from streamtag.inference.sliding.arena import Floats
from streamtag.inference.sliding.vgg.geometry import CHANNELS, NEEDED, STEM_FRAMES, layers
from streamtag.inference.sliding.vgg.kernels import STEM_WIDTH
from streamtag.inference.sliding.vgg.memory import Memory
from streamtag.inference.sliding.vgg.prepared import PreparedVgg, aligned
from streamtag.inference.sliding.vgg.steps import infer

BLOCK_FRAMES = 16
"""Windows that end within this many frames are predicted together: they share the reading of the weights."""


class SlidingVggPredictor:
    """Predicts overlapping windows of a vgg model exactly, computing once what they share.

    `push` only keeps the frames; `take` does the work, so skipped windows cost nothing. Memory is fixed (2 to 23 MB, by
    the hop), apart from frames that were pushed and are not yet taken or skipped. Results do not depend, to the bit, on
    how frames are chunked, nor on how many windows are taken at a time or were skipped before. Not for several threads
    at once; several predictors may work side by side and share `prepared`.

    Frames must be finite: a NaN makes the windows that hold it meaningless (though not NaN), and no others.

    Parameters
    ----------
    prepared : PreparedVgg
        What `prepare_vgg` returned.
    hop_frames : int
        Frames between the starts of two windows, at least 1. Windows are 187 frames.

    Raises
    ------
    OptionError
        A hop below 1.
    """

    name = "sliding"
    window_frames = PATCH_FRAMES

    def __init__(self, prepared: PreparedVgg, hop_frames: int = 1) -> None:
        if hop_frames < 1:
            raise OptionError(f"the hop is at least 1 frame, not {hop_frames}")
        self.spec: ModelSpec = prepared.spec
        self.hop_frames = hop_frames
        self._prepared = prepared
        self._at_once = max(1, BLOCK_FRAMES // hop_frames)
        self._layers = layers(hop_frames, self._at_once)
        self._memory = self._allocate()
        self.reset()

    def _allocate(self) -> Memory:
        arrays, at_once = self._prepared.arrays, self._at_once
        rings = [layer.slots * layer.bands * CHANNELS for layer in self._layers]
        return Memory(
            inputs=tuple(aligned(3 * la.step // la.grain * (la.bands + 2) * CHANNELS) for la in self._layers),
            ahead=tuple(map(aligned, rings)),
            both=tuple(map(aligned, rings)),
            whole=tuple(map(aligned, rings)),
            begun=aligned(at_once * (NEEDED[0].bands + 2) * CHANNELS),
            cut=aligned(2 * NEEDED[0].bands * CHANNELS),
            patch=aligned(STEM_FRAMES * STEM_WIDTH),
            biases=arrays.biases.copy(),
            tags_bias=arrays.tags_bias.copy(),
            embedding=aligned(at_once * 2 * CHANNELS),
            logits=aligned(at_once * len(arrays.tags_bias)),
        )

    def complete(self) -> None:
        """Nothing: what fills no window is left out."""

    def reset(self) -> None:
        """Discard all frames; the next one is frame 0 again."""
        self._frames: Floats = np.empty((0, N_MELS), np.float32)  # from the next window's first on
        self._oldest = 0  # number of the first of these
        self._next = 0  # window
        self._done = np.zeros((len(NEEDED), NEEDED[-1].step), np.int64)

    @property
    def due(self) -> int:
        """Windows that are complete and neither predicted nor skipped."""
        return max(0, (self._oldest + len(self._frames) - PATCH_FRAMES) // self.hop_frames + 1 - self._next)

    def push(self, frames: Floats) -> None:
        """Take frames: float32 (n, 96) log-mel, any n from 0.

        Raises
        ------
        FeedError
            Frames of another shape.
        """
        if frames.ndim != 2 or frames.shape[1] != N_MELS:
            raise FeedError(f"frames have shape {frames.shape}, and (n, {N_MELS}) is needed")
        self._frames = np.concatenate((self._frames, frames), dtype=np.float32)
        self._forget()

    def skip(self, windows: int) -> None:
        """Give up the oldest `windows` of those that are due."""
        self._next += windows
        self._forget()

    def take(self, limit: int) -> Prediction:
        """Predict the oldest windows that are due, `limit` of them at the most."""
        first, count = self._next, max(0, min(limit, self.due))
        embedding = np.empty((count, self.spec.embedding_size), np.float32)
        logits = np.empty((count, len(self.spec.labels)))
        for begin in range(0, count, self._at_once):
            part = slice(begin, min(begin + self._at_once, count))
            self._infer(embedding[part], logits[part])
        return Prediction(first, (1 / (1 + np.exp(-logits))).astype(np.float32), embedding)

    def repeat_to_window(self) -> bool:
        """With less than one window taken, repeat its frames until one is due (musicnn's repeat-pad)."""
        if self._next or self.due or not len(self._frames):
            return False
        self._frames = repeated(self._frames, PATCH_FRAMES)
        return True

    def warm_up(self) -> None:
        """Compile or load the kernels, so that the first window is not late."""
        trial = SlidingVggPredictor(self._prepared, PATCH_FRAMES)
        trial.push(np.zeros((PATCH_FRAMES, N_MELS), np.float32))
        trial.take(1)

    def _infer(self, embedding: Floats, logits: NDArray[np.float64]) -> None:
        """Predict the next windows, as many as there is room for results."""
        windows, memory = len(embedding), self._memory
        infer(
            self._prepared.arrays,
            self._layers,
            memory,
            self._done,
            self._frames,
            self._oldest,
            self.hop_frames,
            windows,
        )
        rows = memory.embedding.reshape(-1, 2, CHANNELS)[:windows, :, : self.spec.filters]
        embedding[:] = rows.reshape(embedding.shape)
        blocks = memory.logits.reshape(-1, self._at_once, CHANNELS)[:, :windows]
        logits[:] = np.concatenate(blocks, axis=1)[:, : logits.shape[1]]
        self.skip(windows)

    def _forget(self) -> None:
        """Discard frames before the next window, also of those that are still to come."""
        gone = min(max(0, self._next * self.hop_frames - self._oldest), len(self._frames))
        self._oldest += gone
        self._frames = self._frames[gone:]
