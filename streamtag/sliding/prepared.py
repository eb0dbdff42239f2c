"""Weights folded and laid out for the kernels, once a model.

Three identities are used, all exact but for rounding:

* A batch norm is ``scale * x + offset``. The input's goes into the frames, the pooled features' into the dense layer.
* ``max over bands of (scale * relu(z + bias) + offset)``: bias, relu and norm do not decrease, so they are applied once
  to the greatest z. Where the scale is negative they do not increase: the *least* z is wanted, minus the greatest of
  the negated filter. Hence `sign`: ``scale * relu(sign * max(sign * z) + bias) + offset``.
* A 'valid' correlation over 96 bands is a part of the circular one, which a DFT of length 96 turns into products.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamtag.errors import OptionError, WeightsDamagedError
from streamtag.networks.specs import (
    N_MELS,
    TEMPORAL_FILTERS,
    TEMPORAL_FRAMES,
    TIMBRAL_BANDS,
    TIMBRAL_FILTERS,
    ModelSpec,
)
from streamtag.networks.weights import Weights
from streamtag.sliding.geometry import TAPS, TEMPORAL
from streamtag.sliding.simd import PANEL, SLICE

Float = NDArray[np.float32]
Double = NDArray[np.float64]

EPSILON = 1e-3
"""Keras' (and musicnn's) batch norm: scale = gamma / sqrt(variance + epsilon)."""
NEGLIGIBLE = 1e-15
"""Of weights whose sums are about 1: eight decimals below what float32 resolves."""
BINS = N_MELS // 2 + 1
"""Bins of the DFT over the mel bands."""
TIMBRAL_STRIDE = -(-TIMBRAL_FILTERS // 16) * 16
"""Channels that a timbral branch takes in memory: 204, filled up with zeros to whole registers of 16."""
TIMBRAL_WIDTH = len(TIMBRAL_BANDS) * TIMBRAL_STRIDE
WIDTHS = (TIMBRAL_WIDTH, *(TEMPORAL_FILTERS for _ in TEMPORAL))
"""Channels in memory of the front end's four groups."""
FRONT_END = len(TIMBRAL_BANDS) * TIMBRAL_FILTERS + len(TEMPORAL) * TEMPORAL_FILTERS
"""Channels of the front end as musicnn counts them."""


class Timbral(NamedTuple):
    """The timbral branches, in the frequency domain (see `timbral`).

    Attributes
    ----------
    input_scale, input_offset : float32 (1,), the input's batch norm.
    dft : float32 panels (96, 98 filled up), frame to the real and imaginary part of its 49 bins.
    filters : float32 (slice, bin, tap, 2, SLICE), the two branches' filters side by side and cut into slices.
    even, odd : for each branch float32 (bins, half of its outputs), cosines and minus sines.
    activation : float32 (4, 2 * 208), see `Prepared`.
    """

    input_scale: Float
    input_offset: Float
    dft: Float
    filters: Float
    even: tuple[Float, Float]
    odd: tuple[Float, Float]
    activation: Float


class Temporal(NamedTuple):
    """The temporal branches, shortest first: filters as float32 panels (frames, 64), and activations."""

    filters: tuple[Float, ...]
    activations: tuple[Float, ...]


class Midend(NamedTuple):
    """The mid-end.

    Attributes
    ----------
    first : for each group of the front end, float32 panels (7 * width, filters).
    later : for the second and third layer, float32 panels (7 * filters, filters).
    biases : float32 (3, filters).
    activations : of the three.
    """

    first: tuple[Float, ...]
    later: tuple[Float, Float]
    biases: Float
    activations: tuple[Float, ...]


class Dense(NamedTuple):
    """The dense layers.

    Attributes
    ----------
    dense, tags : float32 panels; rows of `dense` are max_pool, then mean_pool, each in musicnn's order of channels.
    dense_bias, tags_bias : float32, filled up to whole panels.
    activation : of the penultimate units.
    """

    dense: Float
    dense_bias: Float
    activation: Float
    tags: Float
    tags_bias: Float


@dataclass(frozen=True, slots=True)
class Prepared:
    """A model's weights as the kernels want them. Read-only; evaluators in several threads share one.

    An *activation* in these is a float32 (4, channels) of sign, bias, scale and offset:
    ``scale * relu(sign * x + bias) + offset``.
    """

    spec: ModelSpec
    timbral: Timbral
    temporal: Temporal
    midend: Midend
    dense: Dense


def prepare(weights: Weights) -> Prepared:
    """Fold and lay out a musicnn model's weights.

    Raises
    ------
    OptionError : a vgg model, whose architecture this evaluation does not cover.
    WeightsDamagedError : a tensor is missing or has another shape than the architecture's.
    """
    spec = weights.spec
    if spec.family != "musicnn":
        raise OptionError(f"{spec.name} cannot be evaluated by sliding: only the musicnn models can")
    reader = _Reader(weights)
    return Prepared(spec, _timbral(reader), _temporal(reader), _midend(reader, spec), _dense(reader, spec))


class _Reader:
    """Tensors of a weights file in float64, with their shapes checked."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights

    def __call__(self, key: str, *shape: int) -> Double:
        tensor = self._weights.tensors.get(key)
        if tensor is None or tensor.shape != shape:
            got = "is missing" if tensor is None else f"has shape {tensor.shape}"
            name = self._weights.spec.name
            raise WeightsDamagedError(f"{self._weights.path}: does not fit {name}: {key} {got}, and {shape} is needed")
        return tensor.astype(np.float64)

    def norm(self, layer: str, size: int) -> tuple[Double, Double]:
        """Scale and offset of a batch norm."""
        gamma, beta, mean, variance = (
            self(f"{layer}/{key}", size) for key in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        scale = gamma / np.sqrt(variance + EPSILON)
        return scale, beta - mean * scale

    def branch(self, name: str, *shape: int) -> tuple[Double, Double]:
        """Filters of a branch that ends in a maximum, those of negative scale negated, and its activation."""
        kernel = self(f"{name}_conv/kernel", *shape)
        scale, offset = self.norm(f"{name}_norm", shape[-1])
        sign = np.where(scale < 0, -1.0, 1.0)
        activation = np.stack((sign, self(f"{name}_conv/bias", shape[-1]), scale, offset))
        return kernel * sign, activation


def _timbral(reader: _Reader) -> Timbral:
    scale, offset = reader.norm("input_norm", 1)
    angle = 2 * np.pi / N_MELS * np.outer(np.arange(N_MELS), np.arange(BINS))
    dft = np.stack((np.cos(angle), -np.sin(angle)), axis=-1).reshape(N_MELS, 2 * BINS)

    filters, even, odd, activations = [], [], [], []
    for bands in TIMBRAL_BANDS:
        kernel, activation = reader.branch(f"timbral_{bands}", TAPS, bands, 1, TIMBRAL_FILTERS)
        spectra, cosines, sines = spectral_filters(kernel[:, :, 0])
        filters.append(_pad(spectra, TIMBRAL_STRIDE))
        even.append(_fixed(cosines))
        odd.append(_fixed(sines))
        activations.append(_pad(activation, TIMBRAL_STRIDE))
    side_by_side = np.concatenate(filters, axis=-1).reshape(BINS, TAPS, 2, -1, SLICE)
    return Timbral(
        _fixed(scale),
        _fixed(offset),
        _panels(dft),
        _fixed(np.moveaxis(side_by_side, -2, 0)),
        (even[0], even[1]),
        (odd[0], odd[1]),
        _fixed(np.concatenate(activations, axis=1)),
    )


def spectral_filters(kernel: Double) -> tuple[Double, Double, Double]:
    """A 'valid' correlation over frequency as products of DFTs and a half-size inverse.

    The correlation's ``96 - bands + 1`` outputs are numbered from their middle: f = -m .. m, in steps of 1 (halves for
    an even number of them). With Y the product of the frame's DFT and these filters, the output is

        out(f) = even(f) + odd(f),  even(f) = sum_k Re Y_k cos(2 pi k f / 96),  odd(f) = -sum_k Im Y_k sin(2 pi k f / 96)

    and out(-f) is even(f) - odd(f). So the greatest of the two is even(f) + |odd(f)|, and half of the f suffice.

    Parameters
    ----------
    kernel : (taps, bands, filters).

    Returns
    -------
    spectra : (bins, taps, 2, filters), real and imaginary part, with the inverse transform's factors in them.
    cosines, sines : (bins, outputs with f >= 0); `sines` are negated.
    """
    outputs = N_MELS - kernel.shape[1] + 1
    middle = (outputs - 1) / 2
    bins = np.arange(BINS)
    factor = np.where((bins == 0) | (bins == BINS - 1), 1, 2) / N_MELS  # a real signal: bins 1..47 stand for two
    turned = factor * np.exp(2j * np.pi * bins * middle / N_MELS)
    spectra = np.conj(np.fft.rfft(kernel, N_MELS, axis=1)) * turned[:, None]
    angle = 2 * np.pi / N_MELS * np.outer(bins, np.arange(middle % 1, middle + 0.5))
    parts = np.stack((spectra.real, spectra.imag), axis=2)  # tap, bin, 2, filter
    return np.moveaxis(parts, 0, 1), np.cos(angle), -np.sin(angle)


def _temporal(reader: _Reader) -> Temporal:
    branches = [reader.branch(f"temporal_{frames}", frames, 1, 1, TEMPORAL_FILTERS) for frames in TEMPORAL]
    return Temporal(
        tuple(_panels(kernel[:, 0, 0]) for kernel, _ in branches),
        tuple(_fixed(activation) for _, activation in branches),
    )


def _midend(reader: _Reader, spec: ModelSpec) -> Midend:
    filters = spec.filters
    kernel = reader("midend_1_conv/kernel", TAPS, FRONT_END, filters)
    first = [np.zeros((TAPS, width, filters)) for width in WIDTHS]
    for channel, count, group, inside in front_end_channels():
        first[group][:, inside : inside + count] = kernel[:, channel : channel + count]
    later = [
        _panels(reader(f"midend_{n}_conv/kernel", TAPS, filters, filters).reshape(-1, filters)) for n in (2, 3)
    ]
    return Midend(
        tuple(_panels(part.reshape(-1, filters)) for part in first),
        (later[0], later[1]),
        _fixed(np.stack([reader(f"midend_{n}_conv/bias", filters) for n in (1, 2, 3)])),
        tuple(_fixed(_plain_activation(*reader.norm(f"midend_{n}_norm", filters))) for n in (1, 2, 3)),
    )


def front_end_channels() -> list[tuple[int, int, int, int]]:
    """Where musicnn's front-end channels are in ours: (first channel, how many, our group, place in the group).

    musicnn has the longest temporal branch first, we the shortest; each timbral branch is filled up to 208 channels.
    """
    timbral = [
        (branch * TIMBRAL_FILTERS, TIMBRAL_FILTERS, 0, branch * TIMBRAL_STRIDE) for branch in range(len(TIMBRAL_BANDS))
    ]
    begin = len(TIMBRAL_BANDS) * TIMBRAL_FILTERS
    return timbral + [
        (begin + n * TEMPORAL_FILTERS, TEMPORAL_FILTERS, 1 + TEMPORAL.index(frames), 0)
        for n, frames in enumerate(TEMPORAL_FRAMES)
    ]


def _dense(reader: _Reader, spec: ModelSpec) -> Dense:
    units, tags = spec.embedding_size, len(spec.labels)
    channels = FRONT_END + 3 * spec.filters
    scale, offset = reader.norm("pool_norm", 2 * channels)
    kernel = reader("penultimate_dense/kernel", 2 * channels, units)
    bias = reader("penultimate_dense/bias", units) + offset @ kernel
    # stored interleaved: max of channel 0, mean of channel 0, max of channel 1, ...
    kernel = (scale[:, None] * kernel).reshape(channels, 2, units).swapaxes(0, 1).reshape(2 * channels, units)
    return Dense(
        _panels(kernel),
        _fixed(_pad(bias, PANEL)),
        _fixed(_plain_activation(*reader.norm("penultimate_norm", units))),
        _panels(reader("tags/kernel", units, tags)),
        _fixed(_pad(reader("tags/bias", tags), PANEL)),
    )


def _plain_activation(scale: Double, offset: Double) -> Double:
    """Of sums that already have their bias and sign."""
    return np.stack((np.ones_like(scale), np.zeros_like(scale), scale, offset))


def _panels(matrix: Double) -> Float:
    """A matrix (depth, columns), its columns filled up with zeros, as panels: (columns / PANEL, depth, PANEL)."""
    padded = _pad(matrix, PANEL)
    return _fixed(padded.reshape(len(matrix), -1, PANEL).swapaxes(0, 1))


def _pad(values: NDArray[np.floating], multiple: int) -> Double:
    """Fill the last axis up with zeros to a multiple."""
    missing = -values.shape[-1] % multiple
    return np.pad(values.astype(np.float64), [(0, 0)] * (values.ndim - 1) + [(0, missing)])


def _fixed(values: NDArray[np.floating]) -> Float:
    """Float32, contiguous, not to be written to, without the values that are as good as zero.

    Filters that training has let die hold subnormal numbers, and x86 takes over 100 cycles for an operation on one.
    """
    fixed = aligned(values.shape)
    fixed[...] = np.where(np.abs(values) < NEGLIGIBLE, 0.0, values)
    fixed.flags.writeable = False
    return fixed


def aligned(shape: int | tuple[int, ...]) -> Float:
    """Float32 zeros that begin on a cache line: a register that straddles two lines takes two loads."""
    size = int(np.prod(shape))
    room = np.zeros(size + 32, np.float32)  # reading a register too many at the end does no harm
    start = -room.ctypes.data % 64 // room.itemsize
    return room[start : start + size].reshape(shape)
