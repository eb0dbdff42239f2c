"""From a stream of frames to predictions: the interface, and the plain way of doing it.

A predictor takes frames in any chunking and, every `hop_frames` frames, predicts the newest `window_frames` of them.
Window w covers frames ``[w * hop_frames, w * hop_frames + window_frames)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from streamtag.inference.networks.specs import ModelSpec

Array = NDArray[np.float32]
Engine = Literal["auto", "sliding", "tensorflow"]
Features = dict[str, Array]
"""By musicnn's names, one row a window."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """A predictor's results for n consecutive windows (fewer if some were skipped before them).

    Attributes
    ----------
    first : int
        Number of the first of these windows.
    taggram : ndarray of float32, shape (n, tags)
        Scores, 0..1.
    embedding : ndarray of float32, shape (n, units)
        The layer before the tags.
    max_pool, mean_pool : ndarray of float32, shape (n, channels)
        musicnn's features of these names; None where they were not asked for, and for vgg, which has none.
    """

    first: int
    taggram: Array
    embedding: Array
    max_pool: Array | None = None
    mean_pool: Array | None = None

    def features(self, spec: ModelSpec) -> Features:
        """All features by musicnn's names, each float32 (n, units)."""
        features = {"taggram": self.taggram, spec.embedding: self.embedding}
        pools = {"max_pool": self.max_pool, "mean_pool": self.mean_pool}
        return features | {name: pool for name, pool in pools.items() if pool is not None}


class Predictor(Protocol):
    """State of one stream. Not for several threads at once; several predictors may run side by side."""

    @property
    def spec(self) -> ModelSpec:
        """The model."""
        ...

    @property
    def name(self) -> str:
        """What does the work, human-readable; `TensorFlow`, `sliding` ..."""
        ...

    @property
    def window_frames(self) -> int:
        """Frames of a window."""
        ...

    @property
    def hop_frames(self) -> int:
        """Frames between the starts of two windows."""
        ...

    @property
    def due(self) -> int:
        """Windows that are complete and neither predicted nor skipped."""
        ...

    def push(self, frames: Array) -> None:
        """Take frames: float32 (n, width), musicnn's 96 log-mel bands; any n from 0."""
        ...

    def skip(self, windows: int) -> None:
        """Give up the oldest `windows` of those that are due."""
        ...

    def take(self, limit: int) -> Prediction:
        """Predict the oldest windows that are due, `limit` of them at the most."""
        ...

    def repeat_to_window(self) -> bool:
        """With less than one window taken, repeat its frames until one is due (musicnn's repeat-pad).

        Returns whether there was anything to repeat.
        """
        ...

    def complete(self) -> None:
        """The stream has ended: where the model wants that, complete its end with silence (see `FrontEnd.tail`)."""
        ...

    def reset(self) -> None:
        """Discard all frames; the next one is frame 0 again."""
        ...

    def warm_up(self) -> None:
        """Compile and touch whatever would make the first window late."""
        ...


class PatchNetwork(Protocol):
    """What `PatchPredictor` needs of a network: `networks.network.Network` is one."""

    spec: ModelSpec
    window_frames: int

    def __call__(self, patches: Array) -> tuple[Array, Array]:
        """(n, window, width) patches to taggram (n, tags) and embedding (n, units)."""
        ...

    def warm_up(self) -> None:
        """Make the first real call a quick one."""
        ...

    def with_pools(self, patches: Array) -> tuple[Array, Array, Array, Array]:
        """(n, window, 96) patches to taggram, embedding, max_pool and mean_pool; musicnn models only."""
        ...


class StreamNetwork(PatchNetwork, Protocol):
    """A network that keeps something of a stream from patch to patch."""

    def reset(self) -> None:
        """Begin another stream."""
        ...


def repeated(frames: Array, length: int) -> Array:
    """Frames, one after the other again and again, to `length` of them: musicnn's repeat-pad, for what is too short."""
    return np.tile(frames, (-(-length // len(frames)), 1))[:length]


def completed(frames: Array, spec: ModelSpec, window: int, hop: int) -> Array:
    """The last frames of a stream, from the next window's first on, and silence after them.

    Parameters
    ----------
    frames : ndarray of float32, shape (n, width)
        The frames.
    spec : ModelSpec
        The model.
    window, hop : int
        Frames of a window, and from one to the next.

    Returns
    -------
    ndarray of float32
        So many that every window which begins among them has all of its own.
    """
    if not len(frames) or spec.front_end.tail == "drop":
        return frames
    wanted = (len(frames) - 1) // hop * hop + window
    silence = np.full((max(0, wanted - len(frames)), frames.shape[1]), spec.front_end.silence, np.float32)
    return np.concatenate((frames, silence))


def feature_sizes(spec: ModelSpec) -> dict[str, int]:
    """The features of a model that a head may use, one vector a window, and their widths."""
    sizes = {"taggram": len(spec.labels), spec.embedding: spec.embedding_size}
    if spec.pool_size:
        sizes |= {"max_pool": spec.pool_size, "mean_pool": spec.pool_size}
    return sizes
