"""How musicnn and its relatives sum up a patch's features over time, in NumPy: (frames, channels) to one vector."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streamtag.inference.networks.specs import Family
from streamtag.inference.networks.tensors import TensorReader, alive

Array = NDArray[np.float32]

TAPS = 3
"""Frames of the attention's filters."""


class Pooling(Protocol):
    """Sums up features over time."""

    def __call__(self, features: Array) -> tuple[Array, dict[str, Array]]:
        """What the dense layer gets of (frames, channels), and what of it has a name."""
        ...


class GreatestAndMean:
    """musicnn's: the maximum and the mean of each channel."""

    def __init__(self, read: TensorReader) -> None:
        pass

    def __call__(self, features: Array) -> tuple[Array, dict[str, Array]]:
        """Both, interleaved, (2 * channels,); and each by itself."""
        max_pool = features.max(axis=0)
        mean_pool = features.mean(axis=0, dtype=np.float64).astype(np.float32)
        # the published weights want max of channel 0, mean of channel 0, max of channel 1, ...
        return np.stack((max_pool, mean_pool), axis=-1).reshape(-1), {"mean_pool": mean_pool, "max_pool": max_pool}


class Attention:
    """A mean, weighted channel by channel with what a convolution says of the frames and their places in the patch."""

    def __init__(self, read: TensorReader) -> None:
        channels = read.spec.channels
        self._kernel: Array = alive(read("attention_conv/kernel", TAPS, channels, channels)).astype(np.float32)
        self._bias = read("attention_conv/bias", channels).astype(np.float32)

    def __call__(self, features: Array) -> tuple[Array, dict[str, Array]]:
        """The mean, (channels,)."""
        placed = features + encoding(*features.shape).astype(np.float32)
        padded = np.pad(placed, ((TAPS // 2, TAPS // 2), (0, 0)))
        logits = sum((padded[tap : tap + len(placed)] @ self._kernel[tap] for tap in range(TAPS)), self._bias)
        return weighted_mean(placed, logits), {}


class AutoPool:
    """A mean, weighted with a power of the features themselves (McFee et al., 2018)."""

    def __init__(self, read: TensorReader) -> None:
        self._alpha = np.float32(read("autopool/alpha").item())

    def __call__(self, features: Array) -> tuple[Array, dict[str, Array]]:
        """The mean, (channels,)."""
        return weighted_mean(features, self._alpha * features), {}


POOLINGS: Mapping[Family, Callable[[TensorReader], Pooling]] = {
    "musicnn": GreatestAndMean,
    "attention": Attention,
    "autopool": AutoPool,
}
"""How each family that NumPy evaluates does it; `playable.as_published` makes a `residual` model a `musicnn` one."""


def weighted_mean(values: Array, logits: Array) -> Array:
    """Mean over time with the softmax over time of the logits as weights, channel by channel.

    Parameters
    ----------
    values, logits : ndarray of float32, shape (frames, channels)
        What is summed up, and how much each counts.

    Returns
    -------
    ndarray of float32, shape (channels,)
        The means.
    """
    weights = np.exp(logits - logits.max(axis=0))
    mean: Array = (weights * values).sum(axis=0) / weights.sum(axis=0)
    return mean


def encoding(frames: int, channels: int) -> NDArray[np.float64]:
    """What stands for a frame's place in the patch: sines of even channels, cosines of odd ones, of other periods each.

    As `streamtag.inference.networks.layers.PositionalEncoding` has it, in float64.

    Parameters
    ----------
    frames, channels : int
        Of the features.

    Returns
    -------
    ndarray of float64, shape (frames, channels)
        What is added to them.
    """
    i = np.arange(channels)
    angle = np.arange(frames)[:, np.newaxis] / 10000.0 ** (2 * i / channels)
    return np.where(i % 2 == 0, np.sin(angle), np.cos(angle))
