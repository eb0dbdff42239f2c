"""Weights of a vgg model, folded and laid out for the kernels.

``max of (scale * relu(z + bias) + offset)`` over columns and bands is ``scale * relu(sign * max of sign * (z + bias)) +
offset``, with the sign of `scale`: so filters and biases are multiplied by it, and relu and norm come after pooling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from streamtag._compile.simd import PANEL
from streamtag.errors import OptionError
from streamtag.inference.networks.playable import widened
from streamtag.inference.networks.specs import ModelSpec
from streamtag.inference.networks.tensors import Double, TensorReader, alive
from streamtag.inference.networks.weights import Weights
from streamtag.inference.sliding.arena import Floats
from streamtag.inference.sliding.vgg.geometry import CHANNELS, NEEDED


class Stem(NamedTuple):
    """Layer 1.

    Attributes
    ----------
    norm : ndarray of float32, shape (2,)
        Scale and offset of the input's batch norm.
    filters : ndarray of float32
        Panels (128 / PANEL, 9, PANEL), taps in time by taps in frequency.
    bias : ndarray of float32, shape (128,)
        The convolution's bias.
    """

    norm: Floats
    filters: Floats
    bias: Floats


class Arrays(NamedTuple):
    """What the kernels read; all but `stem` flat.

    Attributes
    ----------
    stem : Stem
        Layer 1.
    filters : ndarray of float32, shape (4, 3, 128 / PANEL, 3 * 128, PANEL)
        Layers 2 to 5, the input columns ahead, here and behind, and panels of the matrix from 3 bands of channels.
    biases : ndarray of float32, shape (4, 128)
        Those of layers 2 to 5.
    norms : ndarray of float32, shape (5, 3, 128)
        Layers 1 to 5, sign, scale and offset.
    dense : ndarray of float32
        For each 128 tags, filled up with zeros, panels (128 / PANEL, 256, PANEL).
    tags_bias : ndarray of float32, shape (n * 128,)
        Filled up.
    """

    stem: Stem
    filters: Floats
    biases: Floats
    norms: Floats
    dense: Floats
    tags_bias: Floats


@dataclass(frozen=True, slots=True)
class PreparedVgg:
    """A vgg model's weights as the kernels want them. Read-only; predictors in several threads share one."""

    spec: ModelSpec
    arrays: Arrays


def prepare_vgg(weights: Weights) -> PreparedVgg:
    """Fold and lay out a vgg model's weights.

    Raises
    ------
    OptionError
        A model of another architecture.
    WeightsDamagedError
        If a tensor is missing or has another shape than the architecture's.
    """
    spec = weights.spec
    if spec.family != "vgg" or not spec.slides:
        raise OptionError(f"{spec.name} is no vgg model that can be evaluated by sliding")
    tags = len(spec.labels)
    read = TensorReader(widened(weights, CHANNELS))
    input_norm = np.concatenate(read.norm("input_norm", 1))
    layers = [_layer(read, 1, 1), *(_layer(read, n, CHANNELS) for n in range(2, 2 + len(NEEDED)))]
    # Keras: (time, frequency, in, out), the column behind first
    ahead_first = [_panels(tap) for kernel, _, _ in layers[1:] for tap in kernel[::-1]]
    width = -(-tags // CHANNELS) * CHANNELS
    dense = np.zeros((2 * CHANNELS, width))
    dense[:, :tags] = read("tags/kernel", 2 * CHANNELS, tags)
    tags_bias = np.zeros(width)
    tags_bias[:tags] = read("tags/bias", tags)
    arrays = Arrays(
        Stem(_fixed(input_norm), _fixed(_panels(layers[0][0])), _fixed(layers[0][1])),
        _fixed(np.stack(ahead_first)),
        _fixed(np.stack([bias for _, bias, _ in layers[1:]])),
        _fixed(np.stack([norm for _, _, norm in layers])),
        _fixed(np.stack([_panels(block) for block in np.split(dense, width // CHANNELS, axis=1)])),
        _fixed(tags_bias),
    )
    return PreparedVgg(spec, arrays)


def aligned(size: int) -> Floats:
    """Float32 zeros that begin on a cache line: a register that straddles two lines takes two loads."""
    room = np.zeros(size + 15, np.float32)
    start = -room.ctypes.data % 64 // room.itemsize
    return room[start : start + size]


def _layer(read: TensorReader, number: int, channels: int) -> tuple[Double, Double, Double]:
    """A layer's filters (3, 3, channels, 128) and bias, with its norm's signs, and (3, 128) sign, scale, offset."""
    kernel, (sign, bias, scale, offset) = read.convolution(f"cnn{number}", 3, 3, channels, CHANNELS)
    return kernel, bias * sign, np.stack((sign, scale, offset))


def _panels(matrix: Double) -> Double:
    """A matrix (..., 128), all but its last axis taken as one, in panels: (128 / PANEL, depth, PANEL)."""
    return matrix.reshape(-1, CHANNELS // PANEL, PANEL).swapaxes(0, 1)


def _fixed(values: Double) -> Floats:
    """Float32, flat, not to be written to, without what is as good as zero (subnormal numbers are slow)."""
    fixed = aligned(values.size)
    fixed[:] = alive(values).reshape(-1)
    fixed.flags.writeable = False
    return fixed
