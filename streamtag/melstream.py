"""From samples at any rate to frames, in any chunking.

The numbers are those of a `FrontEnd`; where none is given, musicnn's: 16 kHz mono, STFT of 512 samples every 256 with a
periodic Hann window, power, 96 Slaney mel bands from 0 to 8000 Hz, ``log10(10000 * mel + 1)``. Everything from the
window to the logarithm is float64, as in librosa 0.7 up to its storage in float32; a frame leaves as float32.

The FFT is NumPy's: a quarter of a frame's cost, so that one of our own could bring little, and it transforms row by
row, so that a frame does not depend on its neighbours in a chunk (`python -m bench.frames`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from streamtag.dsp.filters import band_filters, band_settings, mel_filterbank, taper
from streamtag.dsp.front_end import MUSICNN, FrontEnd
from streamtag.dsp.leveller import Leveller
from streamtag.dsp.params import MAX_CHANNELS
from streamtag.dsp.resampler import Resampler, to_float32
from streamtag.dsp.samples import as_array, whole_rate
from streamtag.errors import FeedError

__all__ = ["Frames", "MelStream", "mel_filterbank"]

BLOCK = 64
"""Frames transformed at a time."""


class Frames(NamedTuple):
    """Consecutive frames.

    Attributes
    ----------
    logmel : ndarray of float32, shape (n, width)
        Each frame as its `FrontEnd` has it: musicnn's 96 log-mel bands.
    power : ndarray of float32, shape (n,)
        Mean square of the newest hop of each frame (musicnn's: 256 samples at 16 kHz), before any gain.
    gain : ndarray of float64, shape (n,)
        What the power of each frame was multiplied by before the logarithm; 1 without a `Leveller`.
    """

    logmel: NDArray[np.float32]
    power: NDArray[np.float32]
    gain: NDArray[np.float64]


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
    front_end : FrontEnd
        What the frames are; musicnn's, where no other is given.
    centered : bool
        False: frame k covers the samples from ``hop * k - lead`` on, as a live stream must. True: the frames that
        published code makes of a file, padded as the front-end says; musicnn's: the signal is reflected by 256 samples
        at both ends, so that frame k is centred at ``256 k``.
    leveller : Leveller or None
        Brings the frames to the level that the models know; the caller's, who may go on with it in another stream.
        None: the level stays as it is, as musicnn's does.

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
        front_end: FrontEnd = MUSICNN,
        centered: bool = False,
        leveller: Leveller | None = None,
    ) -> None:
        if not 1 <= channels <= MAX_CHANNELS:
            raise FeedError(f"{channels} channels: 1 to {MAX_CHANNELS} can be used")
        self.samplerate = whole_rate(samplerate)
        self.channels = channels
        self.front_end = front_end
        self.centered = centered
        self._padded = centered and front_end.padding != "none"
        self._half = front_end.fft // 2  # what both ends of a file are padded by
        self._leveller = leveller
        self._resampler = Resampler(self.samplerate, front_end.rate)
        if front_end.kind != "samples":
            self._taper, self._filters = taper(front_end), band_filters(front_end)
            self._settings = band_settings(front_end)
            self._windowed = np.zeros((BLOCK, front_end.window))
            self._spectra = np.zeros((BLOCK, front_end.fft // 2 + 1), np.complex128)
        self.reset()

    @property
    def lookahead(self) -> int:
        """Input samples after the last one of a frame that must have come before the frame can be made."""
        return self._resampler.lookahead

    def reset(self) -> None:
        """Start a new stream."""
        self._resampler.reset()
        # samples at the front-end's rate, from the start of the next frame on
        self._pending = np.zeros(self.front_end.lead, np.float32)
        self._last = np.empty(0, np.float32)  # the newest of them, as many as are reflected at the end, and one
        self._started = not self._padded
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

        Centred streams end as published code ends them, musicnn's with the reflected tail; live ones drop the samples
        that fill no frame, unless the front-end completes its end with silence.
        """
        if self._flushed:
            return self._take(np.empty(0, np.float32))
        self._flushed = True
        rest = self._resampler.flush()
        frames = self._take(rest)
        unheard = len(self._pending) - (self.front_end.span - self.front_end.hop)
        if not self._padded and self.front_end.tail == "silence" and unheard > 0 and self._resampler.samples_out:
            more = self._take(np.zeros(self.front_end.hop - unheard, np.float32))
        elif not self._padded or not self._resampler.samples_out:
            return frames
        elif not self._started:  # shorter than the reflection: NumPy reflects it to and fro
            self._pending = np.pad(self._pending, self._half, mode="reflect")
            self._started = True
            more = self._frames()
        elif self.front_end.padding == "zeros":
            more = self._take(np.zeros(self._half, np.float32))
        else:
            more = self._take(self._last[-2 : -self._half - 2 : -1])
        return Frames(
            np.concatenate((frames.logmel, more.logmel)),
            np.concatenate((frames.power, more.power)),
            np.concatenate((frames.gain, more.gain)),
        )

    def _take(self, y: NDArray[np.float32]) -> Frames:
        """Add samples at the front-end's rate and make the frames that are complete."""
        self._pending = np.concatenate((self._pending, y))
        if self._padded:
            self._last = np.concatenate((self._last, y[-self._half - 1 :]))[-self._half - 1 :]
            if not self._started and self.front_end.padding == "zeros":
                self._pending = np.concatenate((np.zeros(self._half, np.float32), self._pending))
                self._started = True
            elif not self._started and len(self._pending) > self._half:
                self._pending = np.concatenate((self._pending[self._half : 0 : -1], self._pending))
                self._started = True
        return self._frames()

    def _frames(self) -> Frames:
        from streamtag.dsp.kernels import mean_squares

        hop, span = self.front_end.hop, self.front_end.span
        count = max(0, (len(self._pending) - span) // hop + 1) if self._started else 0
        power = np.empty(count, np.float32)
        mean_squares(self._pending, span - hop, hop, power)
        gain = np.ones(count) if self._leveller is None else self._leveller.gains(power)
        bands = self._plain(count, gain) if self.front_end.kind == "samples" else self._bands(count, gain)
        self._pending = self._pending[count * hop :].copy()
        self.frames_out += count
        return Frames(bands, power, gain)

    def _bands(self, count: int, gain: NDArray[np.float64]) -> NDArray[np.float32]:
        """The next frames, transformed."""
        from streamtag.dsp.kernels import sum_bands, window_frames

        hop, bands = self.front_end.hop, np.empty((count, self.front_end.width), np.float32)
        for start in range(0, count, BLOCK):
            size = min(BLOCK, count - start)
            windowed, spectra = self._windowed[:size], self._spectra[:size]
            window_frames(self._pending[start * hop :], hop, self._taper, windowed)
            np.fft.rfft(windowed, self.front_end.fft, out=spectra)
            these = slice(start, start + size)
            sum_bands(spectra, *self._filters, self._settings, gain[these], bands[these])
        return bands

    def _plain(self, count: int, gain: NDArray[np.float64]) -> NDArray[np.float32]:
        """The next frames, as they are."""
        hop = self.front_end.hop
        samples = self._pending[: count * hop].reshape(count, hop)
        if self._leveller is not None:
            samples = samples * np.sqrt(gain).astype(np.float32)[:, None]
        if self.front_end.mean or self.front_end.std != 1:
            return (samples - np.float32(self.front_end.mean)) / np.float32(self.front_end.std)
        return samples.copy()
