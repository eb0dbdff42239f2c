"""Networks as training evaluates them: patches to probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamtag.inference.networks.catalogue import find_spec
from streamtag.inference.networks.network import shared_network
from streamtag.inference.networks.numpy_network import shared_numpy_network
from streamtag.train.evaluate import Predict


def load_predictor(name: str) -> tuple[Predict, int, tuple[str, ...]]:
    """A model by name, ready to be evaluated.

    Parameters
    ----------
    name : str
        A published one, or one's own, by file or imported name.

    Returns
    -------
    predict : callable
        Patches, float32 (n, frames, 96), to probabilities, float32 (n, labels).
    patch_frames : int
        Frames of its patches.
    labels : tuple of str
        Its tags.

    Raises
    ------
    ModelError
        No such model, or something is wrong with its weights.
    MissingExtraError
        An architecture that only Keras evaluates, and no Keras.
    """
    spec = find_spec(name)
    network = shared_numpy_network(name, spec.frames) if spec.slides else shared_network(name, spec.frames)

    def predict(patches: NDArray[np.float32]) -> NDArray[np.float32]:
        return network(patches)[0]

    return predict, spec.frames, spec.labels
