"""FFmpeg's decoded frames as float32 blocks."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
from av.audio.plane import AudioPlane
from numpy.typing import NDArray

from streamtag.decoding.reader import Array

GATHERED = 16_384
"""Samples (per channel) that are converted at once: one frame by one, Python would cost more than the decoder."""

_TYPES = {"u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8"}


class Gathered:
    """Gathers frames of one rate and number of channels until they are worth converting.

    Parameters
    ----------
    rounded : bool
        Whether floating point is rounded to 16 bits.
    """

    def __init__(self, rounded: bool) -> None:
        self._rounded = rounded
        self._fifo: av.AudioFifo | None = None
        self._kind: tuple[Any, ...] = ()

    def push(self, frame: av.AudioFrame) -> list[Array]:
        """Take a frame, and give what is ready: blocks (n, channels)."""
        kind = frame.format.name, frame.layout.name, frame.sample_rate
        ready = [] if kind == self._kind else self.drain()
        if self._fifo is None:
            self._fifo, self._kind = av.AudioFifo(), kind
        frame.pts = None  # times may have gaps; samples follow each other
        self._fifo.write(frame)
        return [*ready, *self.drain()] if self._fifo.samples >= GATHERED else ready

    def drain(self) -> list[Array]:
        """What is left."""
        fifo, self._fifo = self._fifo, None
        frame = None if fifo is None else fifo.read()
        return [] if frame is None else [as_block(frame, self._rounded)]


def as_block(frame: av.AudioFrame, rounded: bool) -> Array:
    """The samples of a frame.

    Parameters
    ----------
    frame : av.AudioFrame
        What was decoded.
    rounded : bool
        Whether floating point is rounded to 16 bits.

    Returns
    -------
    ndarray of float32, shape (n, channels)
        Full scale is 1.
    """
    from streamtag.dsp.kernels import round_to_16_bits

    # Not frame.to_ndarray(): with 8 or more planes, PyAV 18 reads behind the last one, and crashes.
    channels = frame.layout.nb_channels
    count, samples = (channels, frame.samples) if frame.format.is_planar else (1, frame.samples * channels)
    dtype = _TYPES[frame.format.name.removesuffix("p")]
    planes: list[Any] = [AudioPlane(frame, n) for n in range(count)]
    block = np.empty((samples, count), np.float32)
    for channel, memory in enumerate(planes):
        plane: NDArray[Any] = np.frombuffer(memory, dtype, samples)
        if rounded and dtype == "f4":
            round_to_16_bits(plane, block, channel)
        elif rounded and dtype == "f8":
            block[:, channel] = np.clip(np.rint(plane * 2**15), -(2**15), 2**15 - 1) / 2**15
        elif dtype == "u1":
            block[:, channel] = (plane.astype(np.float32) - 128) / 128
        elif plane.dtype.kind == "i":  # a power of two only moves the point: what is rounded is rounded to float32
            block[:, channel] = plane
            block[:, channel] *= np.float32(2.0 ** (1 - 8 * plane.dtype.itemsize))
        else:
            block[:, channel] = plane
    return block.reshape(-1, channels)
