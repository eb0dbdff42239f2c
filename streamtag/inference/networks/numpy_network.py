"""A published model with its weights, evaluated in NumPy: every feature that musicnn gives, without Keras.

For files. Live windows overlap, and the sliding engine is the quicker at those; but it does not compute every feature.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Container
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from streamtag.dsp.params import N_MELS
from streamtag.errors import FeedError, OptionError
from streamtag.inference.networks.catalogue import WeightsState, load_weights, weights_state
from streamtag.inference.networks.numpy_layers import Musicnn, Vgg
from streamtag.inference.networks.playable import as_published
from streamtag.inference.networks.specs import check_window
from streamtag.inference.networks.tensors import TensorReader
from streamtag.inference.networks.weights import Weights

Array = NDArray[np.float32]

_turn = threading.Lock()
"""Held by the call that evaluates: BLAS's limit is the process's, and who is done would lift it for the others."""


class NumpyNetwork:
    """A model that predicts whole patches, each on one thread, on all processors.

    What it predicts for a patch does not depend, to the bit, on the patches that it is given with. It keeps nothing
    between calls, so several threads may share one; they take turns. BLAS is kept to one thread meanwhile, which
    threadpoolctl grants to the first thread that asks for it: called from another one, this is slower, and last bits
    may differ.

    Parameters
    ----------
    weights : Weights
        What `load_weights` returned.
    window_frames : int
        Frames of a patch; vgg takes 187 only.

    Raises
    ------
    OptionError
        A patch length that the model cannot take, or an architecture that only Keras can evaluate.
    WeightsDamagedError
        Weights that do not fit the architecture.
    """

    backend = "NumPy"

    def __init__(self, weights: Weights, window_frames: int) -> None:
        check_window(weights.spec, window_frames)
        if window_frames < 1:
            raise OptionError(f"a patch of {window_frames} frames: at least one is needed")
        self.spec = weights.spec
        self.window_frames = window_frames
        if not weights.spec.slides:
            raise OptionError(f"{weights.spec.name}: no evaluation of {weights.spec.family} networks but Keras'")
        read = TensorReader(as_published(weights))
        self._evaluate = Vgg(read) if weights.spec.family == "vgg" else Musicnn(read)
        read.finish()

    @classmethod
    def load(cls, name: str, window_frames: int) -> NumpyNetwork:
        """Read a model's installed weights and lay them out.

        Parameters
        ----------
        name : str
            Name of the model, as published.
        window_frames : int
            Frames of a patch.

        Returns
        -------
        NumpyNetwork
            The model.

        Raises
        ------
        ModelError
            No such model, or something is wrong with its weights (see `load_weights`).
        OptionError
            A patch length that the model cannot take.
        """
        return cls(load_weights(name), window_frames)

    def __call__(self, patches: Array) -> tuple[Array, Array]:
        """Predict patches.

        Parameters
        ----------
        patches : NDArray[np.float32]
            (n, window_frames, 96), log-mel; any n from 0.

        Returns
        -------
        taggram : NDArray[np.float32]
            (n, tags), 0..1.
        embedding : NDArray[np.float32]
            (n, units): `penultimate` of musicnn, `pool5` flattened of vgg.

        Raises
        ------
        FeedError
            Patches of another shape.
        """
        found = self._of_each(patches, ("taggram", self.spec.embedding))
        return found["taggram"], found[self.spec.embedding].reshape(-1, self.spec.embedding_size)

    def with_pools(self, patches: Array) -> tuple[Array, Array, Array, Array]:
        """Predict patches of a musicnn model, and give its pools too.

        Parameters
        ----------
        patches : NDArray[np.float32]
            As when it is called.

        Returns
        -------
        taggram, embedding : NDArray[np.float32]
            As when it is called.
        max_pool, mean_pool : NDArray[np.float32]
            (n, channels).

        Raises
        ------
        FeedError
            Patches of another shape.
        OptionError
            A vgg model, which has no such features.
        """
        if not self.spec.pool_size:
            raise OptionError(f"{self.spec.name} has no max_pool and no mean_pool: only the musicnn models have")
        found = self._of_each(patches, ("taggram", "penultimate", "max_pool", "mean_pool"))
        return found["taggram"], found["penultimate"], found["max_pool"], found["mean_pool"]

    def features(self, patches: Array) -> dict[str, Array]:
        """All named features of the patches, `taggram` among them.

        Parameters
        ----------
        patches : NDArray[np.float32]
            As when it is called.

        Returns
        -------
        dict[str, NDArray[np.float32]]
            Features by musicnn's names, each with the patches as its first axis.

        Raises
        ------
        FeedError
            Patches of another shape.
        """
        return self._of_each(patches)

    def warm_up(self) -> None:
        """Predict one silent patch, so that the first real one is not late."""
        self(np.zeros((1, self.window_frames, N_MELS), np.float32))

    def _of_each(self, patches: Array, names: Container[str] | None = None) -> dict[str, Array]:
        """Features of these names (None: all), each patch by itself: products of one size round in one way."""
        if patches.ndim != 3 or patches.shape[1:] != (self.window_frames, N_MELS):
            raise FeedError(f"patches have shape {patches.shape}, and (n, {self.window_frames}, {N_MELS}) is needed")
        # of no patches, a silent one says which shapes there are none of
        some = patches if len(patches) else np.zeros((1, self.window_frames, N_MELS), np.float32)
        found: dict[str, Array] = {}
        first = threading.Lock()

        def evaluate(number: int) -> None:
            for name, value in self._evaluate(some[number]).items():
                if name in ("max_pool", "mean_pool"):
                    value = value[-self.spec.pool_size :]  # of a `residual` model, those of its last layer only
                if names is None or name in names:
                    with first:
                        if name not in found:
                            found[name] = np.empty((len(some), *value.shape), np.float32)
                    found[name][number] = value

        workers = min(len(some), os.cpu_count() or 1)
        # on processors that are busy, BLAS's own threads wait 8 ms for each other at every product
        # where BLAS runs on OpenMP, the limit is a thread's own: so each worker sets it, too
        with (
            _turn,
            threadpool_limits(1, "blas"),
            ThreadPoolExecutor(workers, "streamtag-numpy", threadpool_limits, (1, "blas")) as executor,
        ):
            try:
                for _ in executor.map(evaluate, range(len(some))):
                    pass
            except BaseException:
                executor.shutdown(cancel_futures=True)
                raise
        return {name: values[: len(patches)] for name, values in found.items()}


def shared_numpy_network(name: str, window_frames: int) -> NumpyNetwork:
    """A network that is built once and used for many files.

    Parameters
    ----------
    name : str
        Name of the model, as published.
    window_frames : int
        Frames of a patch.

    Returns
    -------
    NumpyNetwork
        The model.

    Raises
    ------
    ModelError
        As `NumpyNetwork.load`.
    OptionError
        As `NumpyNetwork.load`.
    """
    return _shared(name, window_frames, weights_state(name))


@lru_cache(maxsize=4)
def _shared(name: str, window_frames: int, state: WeightsState) -> NumpyNetwork:
    return NumpyNetwork.load(name, window_frames)
