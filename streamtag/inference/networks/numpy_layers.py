"""musicnn with its relatives, and vgg, in NumPy, a patch at a time: convolutions as products, which BLAS computes.

What a filter sees is a view into the padded patch. A product needs it as a matrix, so it is copied, a part at a time:
the copy stays in the cache, and memory does not grow with the number of places that a filter has.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from streamtag.inference.networks.numpy_pooling import POOLINGS
from streamtag.inference.networks.specs import VGG_POOLS
from streamtag.inference.networks.tensors import Double, TensorReader, alive

Array = NDArray[np.float32]

TAPS = 7
"""Frames of a timbral filter and of a mid-end filter."""
ROWS = 1024
"""Of a product's matrix, about: many enough for BLAS to be quick, few enough for the cache."""


class Layer:
    """Filters (or a dense layer's columns), and the bias, relu and batch norm behind them.

    Parameters
    ----------
    kernel : NDArray[np.float64]
        (..., filters), those of negative scale negated.
    activation : NDArray[np.float64]
        (4, filters): sign, bias, scale and offset (see `streamtag.inference.networks.tensors`).
    """

    def __init__(self, kernel: Double, activation: Double) -> None:
        self.kernel: Array = alive(kernel).astype(np.float32)
        self.matrix: Array = self.kernel.reshape(-1, kernel.shape[-1])
        self._activation: Array = activation.astype(np.float32)

    def activate(self, sums: Array) -> Array:
        """Bias, relu and norm of (..., filters) sums, or of the greatest of several; they are overwritten."""
        sign, bias, scale, offset = self._activation
        sums *= sign
        sums += bias
        np.maximum(sums, 0, out=sums)
        sums *= scale
        sums += offset
        return sums


class Musicnn:
    """musicnn and its relatives (see `networks.musicnn`), of any number of mid-end filters and dense units.

    Parameters
    ----------
    read : TensorReader
        The weights.

    Raises
    ------
    WeightsDamagedError
        A tensor is missing or has another shape than the architecture's.
    """

    def __init__(self, read: TensorReader) -> None:
        filters, front_end = read.spec.filters, read.spec.first_layer
        self._input = read.norm("input_norm", 1)
        self._timbral = [
            Layer(*read.convolution(f"timbral_{bands}", TAPS, bands, 1, front_end.timbral_filters))
            for bands in front_end.timbral
        ]
        self._temporal = [
            Layer(*read.convolution(f"temporal_{frames}", frames, 1, 1, front_end.temporal_filters))
            for frames in front_end.temporal
        ]
        self._midend = [
            Layer(*read.convolution(f"midend_{number}", TAPS, channels, filters))
            for number, channels in ((1, front_end.channels), (2, filters), (3, filters))
        ]
        self._pool = POOLINGS[read.spec.family](read)
        kernel, bias = read.penultimate()
        activation = read.activation("penultimate_norm", read.spec.embedding_size)
        activation[1] = bias
        self._penultimate = Layer(kernel, activation)
        self._tags = Tags(read)

    def __call__(self, patch: Array) -> dict[str, Array]:
        """All features of a patch by musicnn's names, and its taggram.

        Parameters
        ----------
        patch : NDArray[np.float32]
            (frames, 96), log-mel; any number of frames.

        Returns
        -------
        dict[str, NDArray[np.float32]]
            timbral (frames, 408) and temporal (frames, 153), or timbral (frames, 576) alone; cnn1, cnn2 and cnn3
            (frames, filters); of musicnn, mean_pool and max_pool (channels,); penultimate (units,), taggram (tags,).
        """
        x = _normed(patch, self._input)
        groups = {"timbral": self._timbral, "temporal": self._temporal}
        features = {
            name: np.concatenate([front_end_branch(x, layer) for layer in group], axis=1)
            for name, group in groups.items()
            if group
        }
        front_end = np.concatenate(list(features.values()), axis=1)
        first, second, third = self._midend
        cnn1 = midend_layer(front_end, first)
        cnn2 = midend_layer(cnn1, second) + cnn1
        cnn3 = midend_layer(cnn2, third) + cnn2
        pooled, pools = self._pool(np.concatenate((front_end, cnn1, cnn2, cnn3), axis=1))
        penultimate = self._penultimate.activate(pooled @ self._penultimate.matrix)
        return {
            "taggram": self._tags(penultimate),
            **features,
            "cnn1": cnn1,
            "cnn2": cnn2,
            "cnn3": cnn3,
            **pools,
            "penultimate": penultimate,
        }


class Vgg:
    """The vgg architecture (see `networks.vgg`), of any number of filters.

    Parameters
    ----------
    read : TensorReader
        The weights.

    Raises
    ------
    WeightsDamagedError
        A tensor is missing or has another shape than the architecture's.
    """

    def __init__(self, read: TensorReader) -> None:
        filters = read.spec.filters
        self._input = read.norm("input_norm", 1)
        self._layers = [
            Layer(*read.convolution(f"cnn{number}", 3, 3, channels, filters))
            for number, channels in enumerate((1, *[filters] * (len(VGG_POOLS) - 1)), start=1)
        ]
        self._tags = Tags(read)

    def __call__(self, patch: Array) -> dict[str, Array]:
        """All features of a patch by musicnn's names, and its taggram.

        Parameters
        ----------
        patch : NDArray[np.float32]
            (187, 96), log-mel.

        Returns
        -------
        dict[str, NDArray[np.float32]]
            pool1 (92, 48, filters), pool2 (46, 24, filters), pool3 (23, 12, filters), pool4 (11, 6, filters), pool5
            (2, 1, filters), taggram (tags,).
        """
        x = _normed(patch, self._input)[..., np.newaxis]
        features = {}
        for number, (layer, (size, stride)) in enumerate(zip(self._layers, VGG_POOLS, strict=True), start=1):
            x = pooled_convolution(x, layer, size, stride)
            features[f"pool{number}"] = x
        return {**features, "taggram": self._tags(x.reshape(-1))}


class Tags:
    """The last layer of both architectures: from the embedding to a score for each tag.

    Parameters
    ----------
    read : TensorReader
        The weights.

    Raises
    ------
    WeightsDamagedError
        A tensor is missing or has another shape than the architecture's.
    """

    def __init__(self, read: TensorReader) -> None:
        tags = len(read.spec.labels)
        self._kernel: Array = alive(read("tags/kernel", read.spec.embedding_size, tags)).astype(np.float32)
        self._bias = read("tags/bias", tags)

    def __call__(self, embedding: Array) -> Array:
        """Scores (tags,), 0..1, of an embedding (units,)."""
        logits = embedding @ self._kernel + self._bias
        return np.asarray(1 / (1 + np.exp(-logits)), np.float32)


def front_end_branch(x: Array, layer: Layer) -> Array:
    """Filters over frames and bands, then the maximum over frequency.

    Parameters
    ----------
    x : NDArray[np.float32]
        (frames, 96).
    layer : Layer
        The filters, (taps, bands, 1, filters).

    Returns
    -------
    NDArray[np.float32]
        (frames, filters).
    """
    inputs = sliding_window_view(_padded(x, len(layer.kernel)), layer.kernel.shape[:2]).swapaxes(0, 1)
    greatest = np.full((len(x), layer.matrix.shape[1]), -np.inf, np.float32)
    places = max(1, ROWS // len(x))
    for start in range(0, len(inputs), places):
        part = inputs[start : start + places]  # (places, frames, taps, bands)
        sums = part.reshape(-1, len(layer.matrix)) @ layer.matrix
        np.maximum(greatest, sums.reshape(*part.shape[:2], -1).max(axis=0), out=greatest)
    return layer.activate(greatest)


def midend_layer(x: Array, layer: Layer) -> Array:
    """Filters over frames of all channels: (frames, channels) to (frames, filters)."""
    padded = _padded(x, TAPS)
    sums = padded[: len(x)] @ layer.kernel[0]
    for tap in range(1, TAPS):
        sums += padded[tap : tap + len(x)] @ layer.kernel[tap]
    return layer.activate(sums)


def pooled_convolution(x: Array, layer: Layer, size: tuple[int, int], stride: tuple[int, int]) -> Array:
    """Filters over 3 x 3 frames and bands, zeros around them, then a maximum.

    Parameters
    ----------
    x : NDArray[np.float32]
        (frames, bands, channels).
    layer : Layer
        The filters, (3, 3, channels, filters).
    size, stride : tuple[int, int]
        Of the maximum, in time and frequency.

    Returns
    -------
    NDArray[np.float32]
        (frames, bands, filters), of those places where the maximum has all that it covers.
    """
    inputs = sliding_window_view(np.pad(x, ((1, 1), (1, 1), (0, 0))), (3, 3), axis=(0, 1)).transpose(0, 1, 3, 4, 2)
    if size[1] == 1:  # then the bands between two strides are seen by no maximum
        inputs, stride = inputs[:, :: stride[1]], (stride[0], 1)
    sums = np.empty((*inputs.shape[:2], layer.matrix.shape[1]), np.float32)
    rows = max(1, ROWS // inputs.shape[1])
    for start in range(0, len(sums), rows):
        part = inputs[start : start + rows]  # (frames, bands, 3, 3, channels)
        sums[start : start + rows] = (part.reshape(-1, len(layer.matrix)) @ layer.matrix).reshape(*part.shape[:2], -1)
    frames, bands = ((sums.shape[axis] - size[axis]) // stride[axis] + 1 for axis in (0, 1))
    greatest = np.full((frames, bands, sums.shape[2]), -np.inf, np.float32)
    for frame, band in np.ndindex(size):
        part = sums[frame :: stride[0], band :: stride[1]][:frames, :bands]
        np.maximum(greatest, part, out=greatest)
    return layer.activate(greatest)


def _normed(patch: Array, norm: tuple[Double, Double]) -> Array:
    """The patch after the input's batch norm."""
    scale, offset = norm
    return np.asarray(scale * patch + offset, np.float32)


def _padded(x: Array, taps: int) -> Array:
    """Zeros before and after, so that filters of `taps` frames give as many frames as there are."""
    return np.pad(x, (((taps - 1) // 2, taps // 2), (0, 0)))
