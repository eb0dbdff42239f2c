"""VGGish: Hershey et al., "CNN architectures for large-scale audio classification" (ICASSP 2017), as it was published.

Six convolutions of 3 x 3 with four maxima between them, three dense layers, a relu behind each; no tags: 128 numbers
for 0.96 s. The weights are Google's, 280 MB, from the AudioSet project; `streamtag models import` reads its checkpoint.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamtag.errors import OptionError, WeightsDamagedError
from streamtag.inference.networks.embedder import Embedder
from streamtag.inference.networks.numpy_layers import Layer, pooled_convolution
from streamtag.inference.networks.published import VGGISH_SPEC
from streamtag.inference.networks.weights import Weights

Array = NDArray[np.float32]

CONVOLUTIONS = (
    ("conv1", 1, 64, 2),
    ("conv2", 64, 128, 2),
    ("conv3/conv3_1", 128, 256, 1),
    ("conv3/conv3_2", 256, 256, 2),
    ("conv4/conv4_1", 256, 512, 1),
    ("conv4/conv4_2", 512, 512, 2),
)
"""Name, channels in and out, and size (and stride) of the maximum behind it."""
DENSE = (("fc1/fc1_1", 6 * 4 * 512, 4096), ("fc1/fc1_2", 4096, 4096), ("fc2", 4096, 128))
"""Name, units in and out."""
SHAPES: dict[str, tuple[int, ...]] = {
    **{f"{name}/weights": (3, 3, before, after) for name, before, after, _ in CONVOLUTIONS},
    **{f"{name}/weights": (before, after) for name, before, after in DENSE},
    **{f"{name}/biases": (after,) for name, _, after, *_ in (*CONVOLUTIONS, *DENSE)},
}
"""The variables by their published names, without the scope ``vggish/``, and their shapes."""
CLIPPED, STEPS = 2.0, 255
"""The published post-processing clips to -2..2, and tells 256 values apart."""


class Principal(NamedTuple):
    """Parameters of the published post-processing, ``vggish_pca_params.npz``.

    Attributes
    ----------
    axes : ndarray, shape (128, 128)
        Its ``pca_eigen_vectors``, one a row.
    means : ndarray, shape (128, 1)
        Its ``pca_means``.
    """

    axes: NDArray[np.floating]
    means: NDArray[np.floating]


def postprocessed(embedding: Array, principal: Principal) -> NDArray[np.uint8]:
    """Embeddings as the AudioSet release has them: principal components, whitened by their axes, in 8 bits.

    ``uint8((clip(axes @ (embedding - means), -2, 2) + 2) * 255 / 4)``; the published vggish_postprocess.py rounds down.

    Parameters
    ----------
    embedding : ndarray of float32, shape (n, 128)
        What the network gives.
    principal : Principal
        The published parameters.

    Returns
    -------
    ndarray of uint8, shape (n, 128)
        The components, coarse.

    Raises
    ------
    OptionError
        Arrays of other shapes.
    """
    axes, means = np.asarray(principal.axes), np.asarray(principal.means)
    size = VGGISH_SPEC.embedding_size
    if axes.shape != (size, size) or means.shape != (size, 1) or embedding.shape[1:] != (size,):
        raise OptionError(f"VGGish's post-processing wants axes ({size}, {size}), means ({size}, 1), rows of {size}")
    components = np.clip((axes @ (embedding.T - means)).T, -CLIPPED, CLIPPED)
    return ((components + CLIPPED) * (STEPS / (2 * CLIPPED))).astype(np.uint8)


class VggishNetwork(Embedder):
    """VGGish with its weights.

    Parameters
    ----------
    weights : Weights
        What `load_weights` returned.

    Attributes
    ----------
    dense : dict of {str: tuple of ndarray}
        Weights and biases of the dense layers, by name, in their order.

    Raises
    ------
    WeightsDamagedError
        Weights of other names or shapes.
    """

    def __init__(self, weights: Weights) -> None:
        shapes = {name: tensor.shape for name, tensor in weights.tensors.items()}
        for name, shape in SHAPES.items():
            if shapes.get(name) != shape:
                raise WeightsDamagedError(f"{weights.path}: {name} is {shapes.get(name)}, and {shape} is needed")
        super().__init__(weights.spec)
        self._convolutions = [(self._layer(weights, name), pool) for name, _, _, pool in CONVOLUTIONS]
        self.dense = {
            name: (weights.tensors[f"{name}/weights"], weights.tensors[f"{name}/biases"]) for name, *_ in DENSE
        }

    @staticmethod
    def _layer(weights: Weights, name: str) -> Layer:
        kernel, bias = weights.tensors[f"{name}/weights"], weights.tensors[f"{name}/biases"]
        one = np.ones_like(bias)
        return Layer(kernel.astype(np.float64), np.stack((one, bias, one, 0 * one)).astype(np.float64))

    def embed(self, patch: Array) -> Array:
        """The embedding (128,) of a patch (96, 64), log-mel."""
        return self.layers(patch)["embedding"]

    def layers(self, patch: Array) -> dict[str, Array]:
        """What the network has behind each maximum, and in the end, of one patch (96, 64)."""
        x = patch[..., None]
        found: dict[str, Array] = {}
        for layer, pool in self._convolutions:
            x = pooled_convolution(x, layer, (pool, pool), (pool, pool))
            if pool > 1:
                found[f"pool{len(found) + 1}"] = x
        units = x.reshape(-1)
        for kernel, bias in self.dense.values():
            units = np.maximum(units @ kernel + bias, 0)
        return found | {"embedding": units}
