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

from streamtag._compile.simd import PANEL, SLICE
from streamtag.dsp.params import N_MELS
from streamtag.errors import OptionError
from streamtag.inference.networks.playable import as_published
from streamtag.inference.networks.specs import POOLED, FirstLayer, ModelSpec
from streamtag.inference.networks.tensors import Double, TensorReader, alive
from streamtag.inference.networks.weights import Weights
from streamtag.inference.sliding.arena import Arena, Floats
from streamtag.inference.sliding.musicnn.geometry import TAPS

BINS = N_MELS // 2 + 1
"""Bins of the DFT over the mel bands."""
SPECTRUM = -(-2 * BINS // 64) * 64
"""Float32 that a frame's spectrum takes in memory: real and imaginary part of 49 bins, filled up."""


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
    timbral_stride : int
        Channels that a timbral branch takes in memory.
    timbral : int
        (slice, bin, tap, 2, SLICE), both branches' filters side by side, cut into slices (`spectral_filters`).
    even, odd : tuple of int
        For each branch (bins, half of its outputs), cosines and minus sines.
    timbral_activation : int
        Activation of all timbral channels in memory.
    temporal, temporal_activations : tuple of int
        For each branch, panels (frames, 51), and its activation.
    first : tuple of int
        For each group of the front end, panels (7 * width, filters).
    later : tuple of int
        For the mid-end's second and third layer, panels (7 * filters, filters).
    biases, activations : tuple of int
        Those of the mid-end's three layers.
    dense, dense_bias, dense_activation : int
        The penultimate layer; its inputs are musicnn's max_pool, then mean_pool.
    tags, tags_bias : int
        The last layer, as panels.
    """

    zeros: int
    input_norm: int
    dft: int
    timbral_stride: int
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
    dense, bias = read.penultimate()
    # stored interleaved: max of channel 0, mean of channel 0, max of channel 1, ...
    dense = dense.reshape(-1, 2, spec.embedding_size).swapaxes(0, 1).reshape(dense.shape)
    places = put_layers(read, arena, dense, bias)
    return Prepared(spec, read_only(arena), places)


def put_layers(read: TensorReader, arena: Arena, dense: Double, dense_bias: Double) -> Places:
    """Lay out all that musicnn and its relatives have in common.

    Parameters
    ----------
    read : TensorReader
        The weights, with the published mid-end.
    arena : Arena
        Where they go.
    dense : ndarray of float64, shape (inputs, units)
        Kernel of the penultimate layer, its inputs as they lie in memory.
    dense_bias : ndarray of float64, shape (units,)
        Its bias.

    Returns
    -------
    Places
        Where they are.

    Raises
    ------
    WeightsDamagedError
        If a tensor is missing or has another shape than the architecture's.
    """
    spec, front_end = read.spec, read.spec.first_layer
    timbral, even, odd, timbral_activation = _timbral(read, front_end)
    temporal = [
        read.convolution(f"temporal_{frames}", frames, 1, 1, front_end.temporal_filters)
        for frames in sorted(front_end.temporal)
    ]
    first, later, biases, activations = _midend(read, front_end, spec.filters)
    return Places(
        zeros=arena.room(SPECTRUM),
        input_norm=arena.put(np.concatenate(read.norm("input_norm", 1))),
        dft=arena.put(panels(_dft())),
        timbral_stride=timbral_stride(front_end),
        timbral=arena.put(alive(timbral)),
        even=arena.put_all(map(alive, even)),
        odd=arena.put_all(map(alive, odd)),
        timbral_activation=arena.put(timbral_activation),
        temporal=arena.put_all(panels(kernel[:, 0, 0]) for kernel, _ in temporal),
        temporal_activations=arena.put_all(activation for _, activation in temporal),
        first=arena.put_all(map(panels, first)),
        later=arena.put_all(map(panels, later)),
        biases=arena.put_all(biases),
        activations=arena.put_all(activations),
        dense=arena.put(panels(dense)),
        dense_bias=arena.put(_pad(dense_bias, PANEL)),
        dense_activation=arena.put(read.activation("penultimate_norm", spec.embedding_size)),
        tags=arena.put(panels(read("tags/kernel", spec.embedding_size, len(spec.labels)))),
        tags_bias=arena.put(_pad(read("tags/bias", len(spec.labels)), PANEL)),
    )


def read_only(arena: Arena) -> Floats:
    """The arena's array, for several threads."""
    array = arena.array()
    array.flags.writeable = False
    return array


def timbral_stride(front_end: FirstLayer) -> int:
    """Channels that a timbral branch takes in memory: 204 or 576, filled up with zeros to whole registers of 16."""
    return -(-front_end.timbral_filters // 16) * 16


def group_widths(front_end: FirstLayer) -> tuple[int, ...]:
    """Channels in memory of the front end's groups: all timbral branches, then each of the temporal ones."""
    timbral = len(front_end.timbral) * timbral_stride(front_end)
    return (timbral, *(front_end.temporal_filters for _ in front_end.temporal))


def _dft() -> Double:
    """The real DFT of a frame as a matrix (96, SPECTRUM): real part of bin 0, imaginary part, real part of bin 1 ..."""
    angle = 2 * np.pi / N_MELS * np.outer(np.arange(N_MELS), np.arange(BINS))
    return _pad(np.stack((np.cos(angle), -np.sin(angle)), axis=-1).reshape(N_MELS, 2 * BINS), SPECTRUM)


def _timbral(read: TensorReader, front_end: FirstLayer) -> tuple[Double, list[Double], list[Double], Double]:
    """Filters, even and odd half of the inverse transforms, activation: as in `Places`."""
    filters, even, odd, activations = [], [], [], []
    stride = timbral_stride(front_end)
    for bands in front_end.timbral:
        kernel, activation = read.convolution(f"timbral_{bands}", TAPS, bands, 1, front_end.timbral_filters)
        spectra, cosines, sines = spectral_filters(kernel[:, :, 0])
        filters.append(_pad(spectra, stride))
        even.append(cosines)
        odd.append(sines)
        activations.append(_pad(activation, stride))
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


def front_end_channels(front_end: FirstLayer) -> list[tuple[int, int, int, int]]:
    """Where musicnn's front-end channels are in ours: (first channel, how many, our group, place in the group).

    musicnn has the longest temporal branch first, we the shortest; each timbral branch is filled up (`timbral_stride`).
    """
    stride, count = timbral_stride(front_end), front_end.timbral_filters
    timbral = [(branch * count, count, 0, branch * stride) for branch in range(len(front_end.timbral))]
    begin, count = len(timbral) * count, front_end.temporal_filters
    shortest_first = sorted(front_end.temporal)
    return timbral + [
        (begin + n * count, count, 1 + shortest_first.index(frames), 0) for n, frames in enumerate(front_end.temporal)
    ]


def _midend(
    read: TensorReader, front_end: FirstLayer, filters: int
) -> tuple[list[Double], list[Double], list[Double], list[Double]]:
    """First layer by groups, later layers, biases, activations: as in `Places`, before they are made panels."""
    kernel = read("midend_1_conv/kernel", TAPS, front_end.channels, filters)
    first = [np.zeros((TAPS, width, filters)) for width in group_widths(front_end)]
    for channel, count, group, inside in front_end_channels(front_end):
        first[group][:, inside : inside + count] = kernel[:, channel : channel + count]
    later = [read(f"midend_{n}_conv/kernel", TAPS, filters, filters) for n in (2, 3)]
    return (
        [part.reshape(-1, filters) for part in first],
        [part.reshape(-1, filters) for part in later],
        [read(f"midend_{n}_conv/bias", filters) for n in (1, 2, 3)],
        [read.activation(f"midend_{n}_norm", filters) for n in (1, 2, 3)],
    )


def panels(matrix: Double) -> Double:
    """A matrix (depth, columns) as panels."""
    padded = _pad(alive(matrix), PANEL)
    return padded.reshape(len(matrix), -1, PANEL).swapaxes(0, 1)


def _pad(values: Double, multiple: int) -> Double:
    """Fill the last axis up with zeros to a multiple."""
    missing = -values.shape[-1] % multiple
    return np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, missing)])
