"""Weights that were trained here, as weights of the published architecture that give the same numbers.

So the sliding engine and the NumPy network, which know the published architectures, play them too.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from streamtag.inference.networks.specs import ModelSpec
from streamtag.inference.networks.tensors import EPSILON, TensorReader
from streamtag.inference.networks.weights import Tensors, Weights


def as_published(weights: Weights) -> Weights:
    """Weights of the musicnn architecture, of those of a relative that differs in its residuals or in what it pools.

    Parameters
    ----------
    weights : Weights
        A model's; those of other architectures, and published ones, come back as they are.

    Returns
    -------
    Weights
        Norms that have no effect are norms that change nothing. Where only the last layer of the mid-end is pooled,
        the penultimate layer has weights of 0 for the pools of the others.

    Raises
    ------
    WeightsDamagedError
        Weights that do not fit their architecture.
    """
    spec = weights.spec
    if spec.family not in ("musicnn", "residual") or (spec.family == "musicnn" and spec.residuals == "norm"):
        return weights
    tensors: Tensors = dict(weights.tensors)
    if spec.residuals == "convolution":
        for layer in ("midend_2_norm", "midend_3_norm"):
            tensors |= _without_effect(layer, spec.filters)
    whole = replace(spec, family="musicnn", residuals="norm")
    if spec.family == "residual":
        pooled = 2 * spec.pool_size  # interleaved, so those of the last channels are the last ones
        read = TensorReader(weights)
        kernel = read("penultimate_dense/kernel", pooled, spec.embedding_size).astype(np.float32)
        tensors["penultimate_dense/kernel"] = _behind_zeros(kernel, 2 * whole.pool_size)
        inert = _without_effect("pool_norm", 2 * whole.pool_size)
        for key, values in inert.items():
            tensors[key] = np.concatenate((values[:-pooled], read(key, pooled).astype(np.float32)))
    return replace(weights, spec=whole, tensors=tensors)


def widened(weights: Weights, filters: int) -> Weights:
    """Weights of a vgg network with more filters, those that are added having no effect.

    Parameters
    ----------
    weights : Weights
        A vgg model's, of `filters` or fewer.
    filters : int
        How many there are to be in each layer.

    Returns
    -------
    Weights
        The same numbers, and zeros between them in ``pool5``.

    Raises
    ------
    WeightsDamagedError
        Weights that do not fit their architecture.
    """
    spec, tensors, read = weights.spec, dict(weights.tensors), TensorReader(weights)
    if spec.filters == filters:
        return weights
    for number in range(1, 6):
        before, inputs = (1, 1) if number == 1 else (spec.filters, filters)
        kernel = np.zeros((3, 3, inputs, filters), np.float32)
        kernel[:, :, :before, : spec.filters] = read(f"cnn{number}_conv/kernel", 3, 3, before, spec.filters)
        bias = np.zeros(filters, np.float32)
        bias[: spec.filters] = read(f"cnn{number}_conv/bias", spec.filters)
        tensors |= {f"cnn{number}_conv/kernel": kernel, f"cnn{number}_conv/bias": bias}
        for key, values in _without_effect(f"cnn{number}_norm", filters).items():
            values[: spec.filters] = read(key, spec.filters)
            tensors[key] = values
    rows = read("tags/kernel", spec.embedding_size, len(spec.labels))
    rows = rows.reshape(-1, spec.filters, len(spec.labels))
    wide = np.zeros((len(rows), filters, len(spec.labels)), np.float32)
    wide[:, : spec.filters] = rows
    tensors["tags/kernel"] = wide.reshape(-1, len(spec.labels))
    return replace(weights, spec=_wide(spec, filters), tensors=tensors)


def _wide(spec: ModelSpec, filters: int) -> ModelSpec:
    return replace(spec, filters=filters, embedding_size=spec.embedding_size // spec.filters * filters)


def _without_effect(layer: str, size: int) -> Tensors:
    """A batch norm that changes nothing."""
    values = {"gamma": 1.0, "beta": 0.0, "moving_mean": 0.0, "moving_variance": 1 - EPSILON}
    return {f"{layer}/{key}": np.full(size, value, np.float32) for key, value in values.items()}


def _behind_zeros(kernel: NDArray[np.float32], inputs: int) -> NDArray[np.float32]:
    """A kernel (some, units) as one (inputs, units) that looks at the last of these only."""
    return np.concatenate((np.zeros((inputs - len(kernel), kernel.shape[1]), np.float32), kernel))
