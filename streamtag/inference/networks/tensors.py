"""Tensors of a weights file as evaluations without Keras want them: checked, in float64, with batch norms folded.

A batch norm is ``scale * x + offset``. Where the maximum of ``scale * relu(z + bias) + offset`` is wanted, bias, relu
and norm need only be applied to the greatest z if the scale is positive, and to the least if it is negative. So filters
of negative scale are negated, and the maximum is ``scale * relu(sign * max(sign * z) + bias) + offset``. An
*activation* is (4, channels): sign, bias, scale and offset.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamtag.errors import WeightsDamagedError
from streamtag.inference.networks.specs import ModelSpec
from streamtag.inference.networks.weights import Weights

Double = NDArray[np.float64]

EPSILON = 1e-3
"""Keras' (and musicnn's) batch norm: scale = gamma / sqrt(variance + epsilon)."""
NEGLIGIBLE = 1e-15
"""Of weights whose sums are about 1: eight decimals below what float32 resolves."""


class TensorReader:
    """Tensors of a weights file in float64, with their shapes checked.

    Parameters
    ----------
    weights : Weights
        What `load_weights` returned.
    """

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._unread = set(weights.tensors)

    @property
    def spec(self) -> ModelSpec:
        """The model that the weights belong to."""
        return self._weights.spec

    def __call__(self, key: str, *shape: int) -> Double:
        """One tensor.

        Parameters
        ----------
        key : str
            Its name, ``layer/variable``.
        *shape : int
            The shape that the architecture needs.

        Returns
        -------
        NDArray[np.float64]
            Its values.

        Raises
        ------
        WeightsDamagedError
            The tensor is missing or has another shape. The other methods raise it too.
        """
        tensor = self._weights.tensors.get(key)
        if tensor is None or tensor.shape != shape:
            got = "is missing" if tensor is None else f"has shape {tensor.shape}"
            raise self._damaged(f"{key} {got}, and {shape} is needed")
        self._unread.discard(key)
        return tensor.astype(np.float64)

    def norm(self, layer: str, size: int) -> tuple[Double, Double]:
        """Scale and offset of a batch norm over `size` channels."""
        gamma, beta, mean, variance = (
            self(f"{layer}/{key}", size) for key in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        scale = gamma / np.sqrt(variance + EPSILON)
        return scale, beta - mean * scale

    def activation(self, layer: str, size: int) -> Double:
        """Activation of sums that have their bias already."""
        scale, offset = self.norm(layer, size)
        return np.stack((np.ones(size), np.zeros(size), scale, offset))

    def convolution(self, name: str, *shape: int) -> tuple[Double, Double]:
        """Filters of a convolution, those of negative scale negated, and its activation."""
        kernel = self(f"{name}_conv/kernel", *shape)
        scale, offset = self.norm(f"{name}_norm", shape[-1])
        sign = np.where(scale < 0, -1.0, 1.0)
        return kernel * sign, np.stack((sign, self(f"{name}_conv/bias", shape[-1]), scale, offset))

    def penultimate(self) -> tuple[Double, Double]:
        """Kernel and bias of musicnn's penultimate layer, with the batch norm before it folded in."""
        units, inputs = self.spec.embedding_size, 2 * self.spec.pool_size or self.spec.channels
        scale, offset = (each[:, np.newaxis] for each in self.norm("pool_norm", inputs))
        kernel = self("penultimate_dense/kernel", inputs, units)
        # no matrix product: BLAS's threads add in any order, and the same weights shall have the same bits each time
        bias = self("penultimate_dense/bias", units) + (offset * kernel).sum(axis=0)
        return scale * kernel, bias

    def finish(self) -> None:
        """Refuse weights that hold tensors which the architecture does not have.

        Raises
        ------
        WeightsDamagedError
            Tensors were not read.
        """
        if self._unread:
            raise self._damaged(f"{', '.join(sorted(self._unread))} left over")

    def _damaged(self, what: str) -> WeightsDamagedError:
        return WeightsDamagedError(f"{self._weights.path}: does not fit {self.spec.name}: {what}")


def alive(values: Double) -> Double:
    """Without the values that are as good as zero.

    Filters that training has let die hold subnormal numbers, and x86 takes over 100 cycles for an operation on one.
    """
    return np.where(np.abs(values) < NEGLIGIBLE, 0.0, values)
