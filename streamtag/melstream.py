"""From samples at any rate to log-mel frames, in any chunking.

The numbers are musicnn's: 16 kHz mono, STFT of 512 samples every 256 with a periodic Hann window, power, 96 Slaney mel
bands from 0 to 8000 Hz, ``log10(10000 * mel + 1)``. Everything from the window to the logarithm is float64, as in
librosa 0.7 up to its storage in float32; a frame leaves as float32.

The FFT is NumPy's: a quarter of a frame's cost, so that one of our own could bring little, and it transforms row by
row, so that a frame does not depend on its neighbours in a chunk (`python -m bench.frames`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from streamtag.dsp.leveller import Leveller
from streamtag.dsp.params import HOP_LENGTH, MAX_CHANNELS, N_FFT, N_MELS, SAMPLE_RATE
from streamtag.dsp.resampler import Resampler, to_float32
from streamtag.dsp.samples import as_array, whole_rate
from streamtag.errors import FeedError

BLOCK = 64
"""Frames transformed at a time."""


class Frames(NamedTuple):
    """Consecutive frames.

    Attributes
    ----------
    logmel : ndarray of float32, shape (n, 96)
        Log-mel bands of each frame; their power, of a stream that does not compress.
    power : ndarray of float32, shape (n,)
        Mean square of the newest 256 samples (16 kHz) of each frame, before any gain.
    gain : ndarray of float64, shape (n,)
        What the power of each frame was multiplied by before the logarithm; 1 without a `Leveller`.
    """

    logmel: NDArray[np.float32]
    power: NDArray[np.float32]
    gain: NDArray[np.float64]


def mel_filterbank() -> NDArray[np.float64]:
    """Slaney's mel filters, area-normalised: (96, 257).

    Source: Slaney, Auditory Toolbox (1998), as librosa.filters.mel with its defaults: linear below 1 kHz with 3 mel to
    200 Hz, logarithmic above with 27 mel to a factor of 6.4.
    """
    linear, knee, log_step = 200.0 / 3, 1000.0, np.log(6.4) / 27
    knee_mel = knee / linear
    top = knee_mel + np.log(SAMPLE_RATE / 2 / knee) / log_step
    mels = np.linspace(0.0, top, N_MELS + 2)
    edges = np.where(mels < knee_mel, linear * mels, knee * np.exp(log_step * (mels - knee_mel)))
    bins = np.linspace(0.0, SAMPLE_RATE / 2, N_FFT // 2 + 1)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    area = 2.0 / (edges[2:] - edges[:-2])
    filters: NDArray[np.float64] = np.maximum(0, np.minimum(rising, falling)) * area[:, None]
    return filters


class MelStream:
    """A stream of samples to a stream of frames.

    The same samples give the same frames, to the bit, in whatever chunks they are pushed.
    Owns its state; the arrays that it returns are the caller's. For one thread at a time.

    Parameters
    ----------
    samplerate : int or float
        Hz of the input, a whole number, 1 to 384 kHz.
    channels : int
        Channels of the input, 1 to 32; the mean of them is heard.
    centered : bool
        False: frame k covers samples ``[256 k, 256 k + 512)`` at 16 kHz, as a live stream must. True: musicnn's offline
        frames: the signal is reflected by 256 samples at both ends, so that frame k is centred at ``256 k``.
    leveller : Leveller or None
        Brings the frames to the level that the models know; the caller's, who may go on with it in another stream.
        None: the level stays as it is, as musicnn's does.
    compress : bool
        False: frames are mel power, without the logarithm, as musicnn-training stores it.

    Attributes
    ----------
    samples_in : int
        Samples (per channel) taken.
    frames_out : int
        Frames given.
    nonfinite : int
        NaN and infinite values that came in and were replaced by 0.

    Raises
    ------
    OptionError
        A rate that cannot be used.
    FeedError
        A number of channels that cannot be used.
    """

    def __init__(
        self,
        samplerate: float,
        channels: int = 1,
        *,
        centered: bool = False,
        leveller: Leveller | None = None,
        compress: bool = True,
    ) -> None:
        if not 1 <= channels <= MAX_CHANNELS:
            raise FeedError(f"{channels} channels: 1 to {MAX_CHANNELS} can be used")
        self.samplerate = whole_rate(samplerate)
        self.channels = channels
        self.centered = centered
        self._leveller = leveller
        self._compress = compress
        self._resampler = Resampler(self.samplerate)
        self._window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)
        filters = mel_filterbank()
        support = [np.flatnonzero(band) for band in filters]
        self._first = np.array([band[0] for band in support], np.int64)
        self._offset = np.cumsum([0, *(len(band) for band in support)]).astype(np.int64)
        self._weights = np.concatenate([row[band] for row, band in zip(filters, support, strict=True)])
        self._windowed = np.zeros((BLOCK, N_FFT))
        self._spectra = np.zeros((BLOCK, N_FFT // 2 + 1), np.complex128)
        self.reset()

    @property
    def lookahead(self) -> int:
        """Input samples after the last one of a frame that must have come before the frame can be made."""
        return self._resampler.lookahead

    def reset(self) -> None:
        """Start a new stream."""
        self._resampler.reset()
        self._pending = np.empty(0, np.float32)  # 16 kHz samples from the start of the next frame
        self._last = np.empty(0, np.float32)  # the newest 257 of them, for the reflection at the end
        self._started = not self.centered
        self._flushed = False
        self.samples_in = 0
        self.frames_out = 0
        self.nonfinite = 0

    def push(self, samples: ArrayLike) -> Frames:
        """Take samples and give the frames that they complete.

        Parameters
        ----------
        samples : array_like, shape (n,) or (n, channels)
            Float (-1..1), int16 or int32; any n from 0.

        Returns
        -------
        Frames
            The frames; perhaps none.

        Raises
        ------
        FeedError
            Another shape or type, or after `flush` without `reset`.
        """
        from streamtag.dsp.kernels import mix_down

        array = as_array(samples)
        shaped = array[:, None] if array.ndim == 1 else array
        if shaped.ndim != 2 or shaped.shape[1] != self.channels:
            raise FeedError(
                f"samples of shape {array.shape}: expected (n, {self.channels}), for {self.channels} channels"
            )
        block = np.ascontiguousarray(to_float32(shaped))
        mono = np.empty(len(block), np.float32)
        self.nonfinite += mix_down(block, mono)
        return self.push_mono(mono)

    def push_mono(self, samples: NDArray[np.float32]) -> Frames:
        """As `push`, for what is mixed and cleaned already, as that which comes out of a ring.

        Parameters
        ----------
        samples : ndarray of float32, shape (n,)
            Finite; any n from 0.

        Returns
        -------
        Frames
            The frames; perhaps none.

        Raises
        ------
        FeedError
            After `flush` without `reset`.
        """
        if self._flushed:
            raise FeedError("samples after the end of the stream: call reset() before pushing a new one")
        self.samples_in += len(samples)
        return self._take(self._resampler.push(samples))

    def flush(self) -> Frames:
        """End the stream and give the frames that are left.

        Centred streams end as musicnn's do, with the reflected tail; live ones drop the samples that fill no frame.
        """
        if self._flushed:
            return self._take(np.empty(0, np.float32))
        self._flushed = True
        rest = self._resampler.flush()
        frames = self._take(rest)
        if not self.centered or not self._resampler.samples_out:
            return frames
        if not self._started:  # shorter than the reflection: NumPy reflects it to and fro
            self._pending = np.pad(self._pending, N_FFT // 2, mode="reflect")
            self._started = True
            more = self._frames()
        else:
            more = self._take(self._last[-2 : -N_FFT // 2 - 2 : -1])
        return Frames(
            np.concatenate((frames.logmel, more.logmel)),
            np.concatenate((frames.power, more.power)),
            np.concatenate((frames.gain, more.gain)),
        )

    def _take(self, y: NDArray[np.float32]) -> Frames:
        """Add 16 kHz samples and make the frames that are complete."""
        self._pending = np.concatenate((self._pending, y))
        if self.centered:
            self._last = np.concatenate((self._last, y[-N_FFT // 2 - 1 :]))[-N_FFT // 2 - 1 :]
            if not self._started and len(self._pending) > N_FFT // 2:
                self._pending = np.concatenate((self._pending[N_FFT // 2 : 0 : -1], self._pending))
                self._started = True
        return self._frames()

    def _frames(self) -> Frames:
        from streamtag.dsp.kernels import log_mel, mean_squares, window_frames

        bands: Callable[..., None] = log_mel
        if not self._compress:
            from streamtag.dsp.power import mel_power

            bands = mel_power

        count = max(0, (len(self._pending) - N_FFT) // HOP_LENGTH + 1) if self._started else 0
        logmel, power = np.empty((count, N_MELS), np.float32), np.empty(count, np.float32)
        mean_squares(self._pending, N_FFT - HOP_LENGTH, HOP_LENGTH, power)
        gain = np.ones(count) if self._leveller is None else self._leveller.gains(power)
        for start in range(0, count, BLOCK):
            size = min(BLOCK, count - start)
            windowed, spectra = self._windowed[:size], self._spectra[:size]
            window_frames(self._pending[start * HOP_LENGTH :], HOP_LENGTH, self._window, windowed)
            np.fft.rfft(windowed, out=spectra)
            these = slice(start, start + size)
            bands(spectra, self._first, self._offset, self._weights, gain[these], logmel[these])
        self._pending = self._pending[count * HOP_LENGTH :].copy()
        self.frames_out += count
        return Frames(logmel, power, gain)
