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

from streamtag.dsp.params import N_MELS
from streamtag.errors import OptionError
from streamtag.inference.networks.playable import as_published
from streamtag.inference.networks.specs import (
    POOLED,
    TEMPORAL_FILTERS,
    TEMPORAL_FRAMES,
    TIMBRAL_BANDS,
    TIMBRAL_FILTERS,
    ModelSpec,
)
from streamtag.inference.networks.tensors import Double, TensorReader, alive
from streamtag.inference.networks.weights import Weights
from streamtag.inference.sliding.arena import Arena, Floats
from streamtag.inference.sliding.musicnn.geometry import TAPS, TEMPORAL
from streamtag.inference.sliding.simd import PANEL, SLICE

BINS = N_MELS // 2 + 1
"""Bins of the DFT over the mel bands."""
SPECTRUM = -(-2 * BINS // 64) * 64
"""Float32 that a frame's spectrum takes in memory: real and imaginary part of 49 bins, filled up."""
TIMBRAL_STRIDE = -(-TIMBRAL_FILTERS // 16) * 16
"""Channels that a timbral branch takes in memory: 204, filled up with zeros to whole registers of 16."""
TIMBRAL_WIDTH = len(TIMBRAL_BANDS) * TIMBRAL_STRIDE
WIDTHS = (TIMBRAL_WIDTH, *(TEMPORAL_FILTERS for _ in TEMPORAL))
"""Channels in memory of the front end's four groups."""
FRONT_END = len(TIMBRAL_BANDS) * TIMBRAL_FILTERS + len(TEMPORAL) * TEMPORAL_FILTERS
"""Channels of the front end as musicnn counts them."""


class Places(NamedTuple):
    """Where the weights are in the array.

    *Panels* are a matrix (depth, columns) with its columns filled up with zeros, as (columns / PANEL, depth, PANEL).
    An *activation* is (4, channels), sign, bias, scale and offset of ``scale * relu(sign * x + bias) + offset``.

    Attributes
    ----------
    zeros : int
        A frame's spectrum of zeros.
    input_norm : int
        Scale and offset of the frames.
    dft : int
        Panels (96, SPECTRUM), a frame to the real and imaginary parts of its spectrum.
    timbral : int
        (slice, bin, tap, 2, SLICE), both branches' filters side by side, cut into slices (`spectral_filters`).
    even, odd : tuple of int
        For each branch (bins, half of its outputs), cosines and minus sines.
    timbral_activation : int
        Activation of TIMBRAL_WIDTH channels.
    temporal, temporal_activations : tuple of int
        For each branch, panels (frames, 51), and its activation.
    first : tuple of int
        For each group of the front end, panels (7 * width, filters).
    later : tuple of int
        For the mid-end's second and third layer, panels (7 * filters, filters).
    biases, activations : tuple of int
        Those of the mid-end's three layers.
    dense, dense_bias, dense_activation : int
        The penultimate layer; its inputs are max_pool, then mean_pool.
    tags, tags_bias : int
        The last layer, as panels.
    """

    zeros: int
    input_norm: int
    dft: int
    timbral: int
    even: tuple[int, ...]
    odd: tuple[int, ...]
    timbral_activation: int
    temporal: tuple[int, ...]
    temporal_activations: tuple[int, ...]
    first: tuple[int, ...]
    later: tuple[int, ...]
    biases: tuple[int, ...]
    activations: tuple[int, ...]
    dense: int
    dense_bias: int
    dense_activation: int
    tags: int
    tags_bias: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """A model's weights as the kernels want them. Read-only; predictors in several threads share one.

    Attributes
    ----------
    spec : ModelSpec
        The model.
    weights : ndarray of float32
        All of them in one array.
    places : Places
        Where each is.
    """

    spec: ModelSpec
    weights: Floats
    places: Places


def prepare(weights: Weights) -> Prepared:
    """Fold and lay out a musicnn model's weights.

    Raises
    ------
    OptionError
        A model of another architecture than musicnn's and its `residual` relative's.
    WeightsDamagedError
        If a tensor is missing or has another shape than the architecture's.
    """
    spec = weights.spec
    if spec.family not in POOLED or not spec.slides:
        raise OptionError(f"{spec.name} cannot be evaluated by sliding: only the musicnn models can")
    read, arena = TensorReader(as_published(weights)), Arena()
    timbral, even, odd, timbral_activation = _timbral(read)
    temporal = [read.convolution(f"temporal_{frames}", frames, 1, 1, TEMPORAL_FILTERS) for frames in TEMPORAL]
    first, later, biases, activations = _midend(read, spec.filters)
    dense, dense_bias, dense_activation = _dense(read, spec)
    places = Places(
        zeros=arena.room(SPECTRUM),
        input_norm=arena.put(np.concatenate(read.norm("input_norm", 1))),
        dft=arena.put(_panels(_dft())),
        timbral=arena.put(alive(timbral)),
        even=arena.put_all(map(alive, even)),
        odd=arena.put_all(map(alive, odd)),
        timbral_activation=arena.put(timbral_activation),
        temporal=arena.put_all(_panels(kernel[:, 0, 0]) for kernel, _ in temporal),
        temporal_activations=arena.put_all(activation for _, activation in temporal),
        first=arena.put_all(map(_panels, first)),
        later=arena.put_all(map(_panels, later)),
        biases=arena.put_all(biases),
        activations=arena.put_all(activations),
        dense=arena.put(_panels(dense)),
        dense_bias=arena.put(_pad(dense_bias, PANEL)),
        dense_activation=arena.put(dense_activation),
        tags=arena.put(_panels(read("tags/kernel", spec.embedding_size, len(spec.labels)))),
        tags_bias=arena.put(_pad(read("tags/bias", len(spec.labels)), PANEL)),
    )
    array = arena.array()
    array.flags.writeable = False
    return Prepared(spec, array, places)


def _dft() -> Double:
    """The real DFT of a frame as a matrix (96, SPECTRUM): real part of bin 0, imaginary part, real part of bin 1 ..."""
    angle = 2 * np.pi / N_MELS * np.outer(np.arange(N_MELS), np.arange(BINS))
    return _pad(np.stack((np.cos(angle), -np.sin(angle)), axis=-1).reshape(N_MELS, 2 * BINS), SPECTRUM)


def _timbral(read: TensorReader) -> tuple[Double, list[Double], list[Double], Double]:
    """Filters, even and odd half of the inverse transforms, activation: as in `Places`."""
    filters, even, odd, activations = [], [], [], []
    for bands in TIMBRAL_BANDS:
        kernel, activation = read.convolution(f"timbral_{bands}", TAPS, bands, 1, TIMBRAL_FILTERS)
        spectra, cosines, sines = spectral_filters(kernel[:, :, 0])
        filters.append(_pad(spectra, TIMBRAL_STRIDE))
        even.append(cosines)
        odd.append(sines)
        activations.append(_pad(activation, TIMBRAL_STRIDE))
    slices = np.concatenate(filters, axis=-1).reshape(BINS, TAPS, 2, -1, SLICE)
    return np.moveaxis(slices, -2, 0), even, odd, np.concatenate(activations, axis=1)


def spectral_filters(kernel: Double) -> tuple[Double, Double, Double]:
    """A 'valid' correlation over frequency as products of DFTs and a half-size inverse.

    The correlation's ``96 - bands + 1`` outputs are numbered from their middle: f = -m .. m, in steps of 1 (halves for
    an even number of them). With Y the product of the frame's DFT and these filters, the output is

        out(f) = even(f) + odd(f)
        even(f) = sum_k Re Y_k cos(2 pi k f / 96),  odd(f) = -sum_k Im Y_k sin(2 pi k f / 96)

    and out(-f) is even(f) - odd(f). So the greatest of the two is even(f) + |odd(f)|, and half of the f suffice.

    Parameters
    ----------
    kernel : ndarray of float64, shape (taps, bands, filters)
        Weights of the correlation.

    Returns
    -------
    spectra : ndarray of float64, shape (bins, taps, 2, filters)
        Real and imaginary part, with the inverse transform's factors in them.
    cosines, sines : ndarray of float64, shape (bins, outputs with f >= 0)
        `sines` are negated.
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


def _midend(read: TensorReader, filters: int) -> tuple[list[Double], list[Double], list[Double], list[Double]]:
    """First layer by groups, later layers, biases, activations: as in `Places`, before they are made panels."""
    kernel = read("midend_1_conv/kernel", TAPS, FRONT_END, filters)
    first = [np.zeros((TAPS, width, filters)) for width in WIDTHS]
    for channel, count, group, inside in front_end_channels():
        first[group][:, inside : inside + count] = kernel[:, channel : channel + count]
    later = [read(f"midend_{n}_conv/kernel", TAPS, filters, filters) for n in (2, 3)]
    return (
        [part.reshape(-1, filters) for part in first],
        [part.reshape(-1, filters) for part in later],
        [read(f"midend_{n}_conv/bias", filters) for n in (1, 2, 3)],
        [read.activation(f"midend_{n}_norm", filters) for n in (1, 2, 3)],
    )


def _dense(read: TensorReader, spec: ModelSpec) -> tuple[Double, Double, Double]:
    """Kernel, bias and activation of the penultimate layer, with the batch norm before it folded in."""
    units, channels = spec.embedding_size, FRONT_END + 3 * spec.filters
    kernel, bias = read.penultimate()
    # stored interleaved: max of channel 0, mean of channel 0, max of channel 1, ...
    kernel = kernel.reshape(channels, 2, units).swapaxes(0, 1).reshape(2 * channels, units)
    return kernel, bias, read.activation("penultimate_norm", units)


def _panels(matrix: Double) -> Double:
    """A matrix (depth, columns) as panels."""
    padded = _pad(alive(matrix), PANEL)
    return padded.reshape(len(matrix), -1, PANEL).swapaxes(0, 1)


def _pad(values: Double, multiple: int) -> Double:
    """Fill the last axis up with zeros to a multiple."""
    missing = -values.shape[-1] % multiple
    return np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, missing)])
