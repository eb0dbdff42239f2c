"""Sound whose rate or channels change on the way, brought to those that it began with."""

from __future__ import annotations

import av
import numpy as np

from streamtag.decoding.reader import Array


class Uniform:
    """Gives blocks of one rate and channel count, whatever comes.

    What has another number of channels becomes their mean, which is all that is heard of channels, on each channel.
    Another rate is converted by FFmpeg. What is like the beginning stays as it is, to the bit.

    Parameters
    ----------
    samplerate, channels : int
        Of what is given.

    Attributes
    ----------
    changes : int
        How often the rate or the channels changed.
    """

    def __init__(self, samplerate: int, channels: int) -> None:
        self.samplerate, self.channels = samplerate, channels
        self.changes = 0
        self._given = 0
        self._shape = samplerate, channels
        self._first: tuple[float, int, int] | None = None
        self._converter: av.AudioResampler | None = None

    @property
    def note(self) -> str | None:
        """What there is to say, when all has been pushed and flushed."""
        if self._first is None:
            return None
        seconds, rate, channels = self._first
        more = f", and {self.changes - 1} more changes" if self.changes > 1 else ""
        return (
            f"changes after {seconds:.2f} s from {self.samplerate} Hz, {_channels(self.channels)}, to {rate} Hz, "
            f"{_channels(channels)}{more}: all of it is heard"
        )

    def push(self, samples: Array, samplerate: int) -> Array:
        """Take a block (n, its channels), and give what is ready (n, `channels`)."""
        parts = []
        if (samplerate, samples.shape[1]) != self._shape:
            parts.append(self.flush())
            self._shape = samplerate, samples.shape[1]
            self.changes += 1
            seconds = (self._given + len(parts[0])) / self.samplerate
            self._first = self._first or (seconds, *self._shape)
            if samplerate != self.samplerate:
                self._converter = av.AudioResampler("flt", "mono", self.samplerate)
        if samples.shape[1] != self.channels or self._converter is not None:
            samples = samples.mean(axis=1, dtype=np.float64, keepdims=True).astype(np.float32)
        if self._converter is not None:
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.reshape(1, -1)), "flt", "mono")
            frame.sample_rate = samplerate
            samples = _joined(self._converter.resample(frame))
        return self._widened([*parts, samples])

    def flush(self) -> Array:
        """What is left."""
        converter, self._converter = self._converter, None
        return self._widened([_joined(converter.resample(None))] if converter is not None else [])

    def _widened(self, parts: list[Array]) -> Array:
        wide = [
            part if part.shape[1] == self.channels else np.repeat(part, self.channels, axis=1)
            for part in parts
            if len(part)
        ]
        joined = np.concatenate(wide) if len(wide) != 1 and wide else wide[0] if wide else self._nothing()
        self._given += len(joined)
        return np.ascontiguousarray(joined)

    def _nothing(self) -> Array:
        return np.empty((0, self.channels), np.float32)


def _joined(frames: list[av.AudioFrame]) -> Array:
    return np.concatenate([np.empty((0, 1), np.float32), *(frame.to_ndarray().reshape(-1, 1) for frame in frames)])


def _channels(count: int) -> str:
    return {1: "mono", 2: "stereo"}.get(count, f"{count} channels")
