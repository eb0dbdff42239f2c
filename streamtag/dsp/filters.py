"""Windows and mel filters of a front-end, in float64 as all published code makes them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamtag.dsp.front_end import MUSICNN, FrontEnd, MelScale

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


class Filters(NamedTuple):
    """Filters without their zeros: band m has ``weights[offset[m]:offset[m + 1]]``, for the bins from ``first[m]``.

    Attributes
    ----------
    first : ndarray of int64, shape (bands,)
        The first bin of each band.
    offset : ndarray of int64, shape (bands + 1,)
        Where its weights begin.
    weights : ndarray of float64
        Of all bands, one after the other.
    """

    first: I64
    offset: I64
    weights: F64


def taper(front_end: FrontEnd) -> F64:
    """The window function: (window,)."""
    name, _, symmetric = front_end.taper.partition("-")
    if name == "rectangular":
        return np.ones(front_end.window)
    mean = {"hann": 0.5, "hamming": 0.54}[name]
    steps = max(1, front_end.window - bool(symmetric))
    cosine: F64 = mean - (1 - mean) * np.cos(2 * np.pi * np.arange(front_end.window) / steps)
    return cosine


def band_filters(front_end: FrontEnd) -> Filters:
    """What sums up the bins of a transform: mel bands, or each bin for itself."""
    if front_end.kind != "mel":
        bins = np.arange(front_end.width, dtype=np.int64)
        return Filters(bins, np.arange(front_end.width + 1, dtype=np.int64), np.ones(front_end.width))
    filters = mel_filterbank(front_end)
    support = [np.flatnonzero(band) for band in filters]  # of a band between two bins, nothing
    first = np.array([band[0] if len(band) else 0 for band in support], np.int64)
    offset = np.cumsum([0, *(len(band) for band in support)]).astype(np.int64)
    return Filters(first, offset, np.concatenate([row[band] for row, band in zip(filters, support, strict=True)]))


def band_settings(front_end: FrontEnd) -> F64:
    """What `sum_bands` is to know besides the filters."""
    from streamtag.dsp.kernels import LN, LOG10, NO_LOG

    log = {"log10": LOG10, "db": LOG10, "ln": LN, "none": NO_LOG}[front_end.log]
    factor = 10.0 if front_end.log == "db" else 1.0
    before = front_end.multiply, front_end.offset, front_end.floor
    return np.array([front_end.spectrum == "magnitude", log, factor, *before, front_end.mean, front_end.std])


def mel_filterbank(front_end: FrontEnd = MUSICNN) -> F64:
    """Triangular filters, each from the centre of the one before to that of the one after: (bands, bins)."""
    mels = np.linspace(mel(front_end.low, front_end.scale), mel(front_end.high, front_end.scale), front_end.bands + 2)
    edges = hz(mels, front_end.scale)
    bins = np.linspace(0.0, front_end.rate / 2, front_end.fft // 2 + 1)
    at, corners = (bins, edges) if front_end.slopes == "hz" else (mel(bins, front_end.scale), mels)
    rising = (at - corners[:-2, None]) / np.diff(corners)[:-1, None]
    falling = (corners[2:, None] - at) / np.diff(corners)[1:, None]
    filters: F64 = np.maximum(0, np.minimum(rising, falling))
    if front_end.norm == "area":
        filters = filters * (2.0 / (edges[2:] - edges[:-2]))[:, None]
    return filters


# Slaney, Auditory Toolbox (1998), as librosa.filters.mel with its defaults: linear below 1 kHz with 3 mel to 200 Hz,
# logarithmic above with 27 mel to a factor of 6.4. HTK: Young et al., The HTK Book (2002), equation 5.13.
_LINEAR, _KNEE, _LOG_STEP = 200.0 / 3, 1000.0, float(np.log(6.4) / 27)


def mel(frequency: float | F64, scale: MelScale) -> F64:
    """Hz to mel."""
    f = np.asarray(frequency, np.float64)
    if scale == "htk":
        return np.asarray(2595.0 * np.log10(1.0 + f / 700.0))
    above = _KNEE / _LINEAR + np.log(np.maximum(f, _KNEE) / _KNEE) / _LOG_STEP
    return np.asarray(np.where(f < _KNEE, f / _LINEAR, above))


def hz(mels: F64, scale: MelScale) -> F64:
    """Mel to Hz."""
    if scale == "htk":
        return np.asarray(700.0 * (10.0 ** (mels / 2595.0) - 1.0))
    knee_mel = _KNEE / _LINEAR
    return np.asarray(np.where(mels < knee_mel, _LINEAR * mels, _KNEE * np.exp(_LOG_STEP * (mels - knee_mel))))
