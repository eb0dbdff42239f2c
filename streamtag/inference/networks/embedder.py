"""What networks have in common that give an embedding and no tags, and are evaluated in NumPy."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from streamtag.errors import FeedError, OptionError
from streamtag.inference.networks.specs import ModelSpec

Array = NDArray[np.float32]


class Embedder(ABC):
    """A network that embeds a patch at a time: what it gives for one depends on no other.

    Parameters
    ----------
    spec : ModelSpec
        The model.
    """

    backend = "NumPy"

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.window_frames = spec.frames

    @abstractmethod
    def embed(self, patch: Array) -> Array:
        """The embedding (units,) of a patch (frames, width)."""

    def __call__(self, patches: Array) -> tuple[Array, Array]:
        """Predict patches.

        Parameters
        ----------
        patches : NDArray[np.float32]
            (n, frames, width); any n from 0.

        Returns
        -------
        taggram : NDArray[np.float32]
            (n, 0): it has no tags.
        embedding : NDArray[np.float32]
            (n, units).

        Raises
        ------
        FeedError
            Patches of another shape.
        """
        if patches.ndim != 3 or patches.shape[1:] != (self.window_frames, self.spec.bands):
            raise FeedError(f"patches have shape {patches.shape}: (n, {self.window_frames}, {self.spec.bands}) needed")
        embedding = np.empty((len(patches), self.spec.embedding_size), np.float32)
        for n, patch in enumerate(patches):
            embedding[n] = self.embed(patch)
        return np.empty((len(patches), 0), np.float32), embedding

    def warm_up(self) -> None:
        """Touch all weights once."""
        self(np.zeros((1, self.window_frames, self.spec.bands), np.float32))

    def with_pools(self, patches: Array) -> tuple[Array, Array, Array, Array]:
        """Refuse: there are no pools over time."""
        raise OptionError(f"{self.spec.name} has no max_pool and no mean_pool")
