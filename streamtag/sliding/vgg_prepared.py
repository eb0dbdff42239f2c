"""Weights of a vgg model, folded and laid out for the kernels.

``max of (scale * relu(z + bias) + offset)`` over columns and bands is ``scale * relu(sign * max of sign * (z + bias)) +
offset``, with the sign of `scale`: so filters and biases are multiplied by it, and relu and norm come after pooling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamtag.errors import OptionError, WeightsDamagedError
from streamtag.networks.specs import ModelSpec
from streamtag.networks.weights import Weights
from streamtag.sliding.simd import PANEL
from streamtag.sliding.vgg_geometry import CHANNELS, NEEDED

Float = NDArray[np.float32]
Double = NDArray[np.float64]

EPSILON = 1e-3
"""Keras' (and musicnn's) batch norm: scale = gamma / sqrt(variance + epsilon)."""
NEGLIGIBLE = 1e-15
"""Weights below this are made zero: x86 takes over 100 cycles for an operation on a subnormal number."""


class Stem(NamedTuple):
    """Layer 1.

    Attributes
    ----------
    norm : float32 (2,), scale and offset of the input's batch norm.
    filters : float32 panels (128 / PANEL, 9, PANEL), taps in time by taps in frequency.
    bias : float32 (128,).
    """

    norm: Float
    filters: Float
    bias: Float


class Arrays(NamedTuple):
    """What the kernels read; all but `stem` flat.

    Attributes
    ----------
    stem : layer 1.
    filters : float32 (4, 3, 128 / PANEL, 3 * 128, PANEL): layers 2 to 5, the input columns ahead, here and behind, and
        panels of the matrix from 3 bands of channels.
    biases : float32 (4, 128), of layers 2 to 5.
    norms : float32 (5, 3, 128): layers 1 to 5, sign, scale and offset.
    dense : float32 panels (128 / PANEL, 256, PANEL), the tags filled up with zeros.
    tags_bias : float32 (128,), filled up.
    """

    stem: Stem
    filters: Float
    biases: Float
    norms: Float
    dense: Float
    tags_bias: Float


@dataclass(frozen=True, slots=True)
class PreparedVgg:
    """A vgg model's weights as the kernels want them. Read-only; evaluators in several threads share one."""

    spec: ModelSpec
    arrays: Arrays


def prepare_vgg(weights: Weights) -> PreparedVgg:
    """Fold and lay out a vgg model's weights.

    Raises
    ------
    OptionError : a model of another architecture.
    WeightsDamagedError : a tensor is missing or has another shape than the architecture's.
    """
    spec = weights.spec
    if spec.family != "vgg":
        raise OptionError(f"{spec.name} is no vgg model")
    tags = len(spec.labels)
    input_norm = np.concatenate(_norm(weights, "input_norm", 1))
    layers = [_layer(weights, 1, 1), *(_layer(weights, n, CHANNELS) for n in range(2, 2 + len(NEEDED)))]
    # Keras: (time, frequency, in, out), the column behind first
    ahead_first = [_panels(tap) for kernel, _, _ in layers[1:] for tap in kernel[::-1]]
    dense = np.zeros((2 * CHANNELS, CHANNELS))
    dense[:, :tags] = _tensor(weights, "tags/kernel", 2 * CHANNELS, tags)
    tags_bias = np.zeros(CHANNELS)
    tags_bias[:tags] = _tensor(weights, "tags/bias", tags)
    arrays = Arrays(
        Stem(_fixed(input_norm), _fixed(_panels(layers[0][0])), _fixed(layers[0][1])),
        _fixed(np.stack(ahead_first)),
        _fixed(np.stack([bias for _, bias, _ in layers[1:]])),
        _fixed(np.stack([norm for _, _, norm in layers])),
        _fixed(_panels(dense)),
        _fixed(tags_bias),
    )
    return PreparedVgg(spec, arrays)


def aligned(size: int) -> Float:
    """Float32 zeros that begin on a cache line: a register that straddles two lines takes two loads."""
    room = np.zeros(size + 15, np.float32)
    start = -room.ctypes.data % 64 // room.itemsize
    return room[start : start + size]


def _layer(weights: Weights, number: int, channels: int) -> tuple[Double, Double, Double]:
    """A layer's filters (3, 3, channels, 128) and bias, with its norm's signs, and (3, 128) sign, scale, offset."""
    scale, offset = _norm(weights, f"cnn{number}_norm", CHANNELS)
    sign = np.where(scale < 0, -1.0, 1.0)
    kernel = _tensor(weights, f"cnn{number}_conv/kernel", 3, 3, channels, CHANNELS)
    bias = _tensor(weights, f"cnn{number}_conv/bias", CHANNELS)
    return kernel * sign, bias * sign, np.stack((sign, scale, offset))


def _norm(weights: Weights, layer: str, size: int) -> tuple[Double, Double]:
    """Scale and offset of a batch norm."""
    gamma, beta, mean, variance = (
        _tensor(weights, f"{layer}/{key}", size) for key in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    scale = gamma / np.sqrt(variance + EPSILON)
    return scale, beta - mean * scale


def _tensor(weights: Weights, key: str, *shape: int) -> Double:
    tensor = weights.tensors.get(key)
    if tensor is None or tensor.shape != shape:
        got = "is missing" if tensor is None else f"has shape {tensor.shape}"
        raise WeightsDamagedError(
            f"{weights.path}: does not fit {weights.spec.name}: {key} {got}, and {shape} is needed"
        )
    return tensor.astype(np.float64)


def _panels(matrix: Double) -> Double:
    """A matrix (..., 128), all but its last axis taken as one, in panels: (128 / PANEL, depth, PANEL)."""
    return matrix.reshape(-1, CHANNELS // PANEL, PANEL).swapaxes(0, 1)


def _fixed(values: Double) -> Float:
    """Float32, flat, not to be written to."""
    fixed = aligned(values.size)
    fixed[:] = np.where(np.abs(values) < NEGLIGIBLE, 0.0, values).reshape(-1)
    fixed.flags.writeable = False
    return fixed
