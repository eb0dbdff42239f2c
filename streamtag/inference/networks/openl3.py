"""OpenL3: Cramer et al., "Look, listen and learn more: design choices for deep audio embeddings" (ICASSP 2019).

Its audio networks, as the package openl3 0.4 has them: a spectrogram of 1 s at 48 kHz in decibels below its own
maximum, eight convolutions of 3 x 3, and the maximum of what the last one gives over parts of the patch, which are
larger for 512 numbers than for 6144. No tags. The weights are the authors', in Keras' files; `streamtag models import`
reads them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from streamtag.dsp.filters import mel_filterbank, taper
from streamtag.dsp.front_end import FrontEnd
from streamtag.inference.networks.embedder import Embedder
from streamtag.inference.networks.numpy_layers import Layer, pooled_convolution
from streamtag.inference.networks.published import OPENL3_BLOCKS, openl3_representation
from streamtag.inference.networks.tensors import TensorReader
from streamtag.inference.networks.weights import Weights

Array = NDArray[np.float32]
Double = NDArray[np.float64]

AMIN, RANGE_DB = 1e-10, 80.0
"""kapre 0.1.4's decibels: the least magnitude, and the least below the patch's maximum."""
VARIABLES = ("gamma", "beta", "moving_mean", "moving_variance")


class Spectrogram(NamedTuple):
    """How a patch becomes a picture.

    Attributes
    ----------
    fft, hop : int
        Samples at 48 kHz.
    bands : int
        Mel bands; 0 for the bins of the transform.
    pad_end : bool
        Whether zeros follow the patch, so that a frame begins at every hop of it.
    pools : tuple of (int, int)
        Of the last maximum, in frequency and time: for 6144 numbers, and for 512.
    """

    fft: int
    hop: int
    bands: int
    pad_end: bool
    pools: tuple[tuple[int, int], tuple[int, int]]


SPECTROGRAMS: dict[str, Spectrogram] = {
    "linear": Spectrogram(512, 242, 0, False, ((8, 8), (32, 24))),
    "mel128": Spectrogram(2048, 242, 128, True, ((4, 8), (16, 24))),
    "mel256": Spectrogram(2048, 242, 256, True, ((8, 8), (32, 24))),
}
CONVOLUTIONS = tuple(
    (f"conv{block + 1}_{layer + 1}", before if layer == 0 else after, after, 2 if layer and block < 3 else 1)
    for block, (before, after) in enumerate(OPENL3_BLOCKS)
    for layer in range(2)
)
"""Name, channels in and out, and size (and stride) of the maximum behind each; the last has one of its own."""


def shapes() -> dict[str, tuple[int, ...]]:
    """The tensors of every one of these networks, in the order in which Keras has them."""
    found: dict[str, tuple[int, ...]] = {f"input_norm/{variable}": (1,) for variable in VARIABLES}
    for number, (name, before, after, _) in enumerate(CONVOLUTIONS):
        found |= {f"{name}/kernel": (3, 3, before, after), f"{name}/bias": (after,)}
        if number < len(CONVOLUTIONS) - 1:
            found |= {f"{name}_norm/{variable}": (after,) for variable in VARIABLES}
    return found


class Plain(Layer):
    """A convolution with its bias, and nothing behind it."""

    def activate(self, sums: Array) -> Array:
        """Add the bias to (..., filters) sums, or to the greatest of several; they are overwritten."""
        sums += self._activation[1]
        return sums


class Openl3Network(Embedder):
    """An audio network of OpenL3 with its weights.

    Parameters
    ----------
    weights : Weights
        What `load_weights` returned.

    Raises
    ------
    WeightsDamagedError
        Weights of other names or shapes.
    """

    def __init__(self, weights: Weights) -> None:
        super().__init__(weights.spec)
        self._picture = SPECTROGRAMS[openl3_representation(weights.metadata["model"])]
        self._pool = self._picture.pools[weights.spec.embedding_size == 512]
        self._front_end = _front_end(self._picture)
        self._filters = mel_filterbank(self._front_end) if self._picture.bands else None
        self._taper = taper(self._front_end)
        read = TensorReader(weights)
        self._input = read.norm("input_norm", 1)
        *most, (last, before, after, _) = CONVOLUTIONS
        self._layers = [(_convolution(read, name, n, filters), pool) for name, n, filters, pool in most]
        self._last = Plain(read(f"{last}/kernel", 3, 3, before, after), _activation(read(f"{last}/bias", after)))

    def picture(self, samples: Array) -> Array:
        """The spectrogram of a patch: decibels below its maximum, float32 (bands, frames)."""
        fft, hop = self._picture.fft, self._picture.hop
        if self._picture.pad_end:
            count = -(-len(samples) // hop)
            samples = np.pad(samples, (0, (count - 1) * hop + fft - len(samples)))
        magnitude = np.abs(np.fft.rfft(sliding_window_view(samples, fft)[::hop] * self._taper))
        if self._filters is not None:
            magnitude = magnitude @ self._filters.T
        decibels = 10 * np.log10(np.maximum(magnitude, AMIN))
        return np.asarray(np.maximum(decibels - decibels.max(), -RANGE_DB).T, np.float32)

    def embed(self, patch: Array) -> Array:
        """The embedding (6144,) or (512,) of a patch (100, 480), samples."""
        scale, offset = self._input
        x = np.asarray(self.picture(patch.reshape(-1))[..., None] * scale + offset, np.float32)
        for layer, pool in self._layers:
            x = pooled_convolution(x, layer, (pool, pool), (pool, pool))
        return pooled_convolution(x, self._last, self._pool, self._pool).reshape(-1)


def _front_end(picture: Spectrogram) -> FrontEnd:
    """The spectrogram as a front-end, for its window and its filters: librosa's, as kapre has them."""
    return FrontEnd(
        kind="mel" if picture.bands else "spectrum",
        rate=48_000,
        window=picture.fft,
        hop=picture.hop,
        fft=picture.fft,
        spectrum="magnitude",
        bands=picture.bands or 1,
        high=24_000.0,
        log="db",
        multiply=1.0,
        offset=0.0,
        floor=AMIN,
        padding="none",
    )


def _convolution(read: TensorReader, name: str, before: int, after: int) -> Layer:
    """A convolution, its norm folded into it, and the relu behind both."""
    scale, offset = read.norm(f"{name}_norm", after)
    kernel, bias = read(f"{name}/kernel", 3, 3, before, after), read(f"{name}/bias", after)
    return Layer(kernel * scale, _activation(bias * scale + offset))


def _activation(bias: Double) -> Double:
    one = np.ones_like(bias)
    return np.stack((one, bias, one, 0 * one))
