"""Frames on the time of the music: numbered from the start, also across gaps in which no samples came.

Frame k begins at k hops, of musicnn's at ``k * 16 ms``. A gap is heard as silence: the frames in it are those of
silence, and what comes after is in its right place, to the sample. Their levels are kept for as long as a window may
ask for them.
"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from streamtag.dsp.front_end import MUSICNN, FrontEnd
from streamtag.dsp.leveller import Leveller
from streamtag.errors import FeedError
from streamtag.melstream import Frames, MelStream
from streamtag.results import dbfs

SHORT_GAP_SECONDS = 1.0
"""A shorter gap within a stream is filled with zeros; a longer one ends the stream and begins another."""
RINGS_SECONDS = Fraction(16, 1000)
"""For how long the resampler spreads what comes, at the rates that music has."""
NEVER = -(10**9)
"""Number of the newest loud frame, where there was none."""

Array = NDArray[np.float32]


class Timeline:
    """Samples to frames, gap after gap. For one thread at a time.

    Parameters
    ----------
    front_end : FrontEnd
        What the frames are.
    centered : bool
        See `MelStream`.
    gate : float or None
        Level in dBFS from which a frame counts as loud; None if nobody asks.
    leveller : Leveller or None
        See `MelStream`; it goes on across gaps.

    Attributes
    ----------
    frames : int
        Number of the next frame.
    samples_in : int
        Samples (per channel) taken; those that stand for a gap are not among them.
    seconds_in : Fraction
        The same in seconds, whatever the rates were.
    """

    def __init__(
        self,
        front_end: FrontEnd = MUSICNN,
        *,
        centered: bool = False,
        gate: float | None = None,
        leveller: Leveller | None = None,
    ) -> None:
        self._front_end = front_end
        # time is exact here, whatever the rates of the streams: a count of samples of each
        self._frame = Fraction(front_end.hop, front_end.rate)
        self._lead = Fraction(front_end.lead, front_end.rate)
        self._centered = centered
        self._leveller = leveller
        self._loud_power = None if gate is None else 10 ** (gate / 10)
        self._mel: MelStream | None = None
        self.frames = 0
        self.samples_in = 0
        self.seconds_in = Fraction(0)
        self._origin = Fraction(0)  # seconds at which the present stream begins (it may begin with silence), or will
        self._nonfinite = 0  # in streams before this one
        self._ended = False  # whether a gap has ended the stream
        self._power: Array = np.empty(0, np.float32)  # of the frames from _start on
        self._gain = np.empty(0)  # of the same
        self._newest_loud: NDArray[np.int64] = np.empty(0, np.int64)  # up to each of them
        self._start = 0

    @property
    def nonfinite(self) -> int:
        """NaN and infinite values that came in and were replaced by 0."""
        return self._nonfinite + (self._mel.nonfinite if self._mel else 0)

    @property
    def in_stream(self) -> bool:
        """Whether samples have come, and no gap has ended their stream."""
        return self._mel is not None and not self._ended

    @property
    def samplerate(self) -> int | None:
        """Hz of the present stream, or of the last one; None before the first."""
        return self._mel.samplerate if self._mel else None

    @property
    def now(self) -> Fraction:
        """Seconds from the start to after the newest sample."""
        if self._mel is None or self._ended:
            return self._origin
        return self._origin + Fraction(self._mel.samples_in, self._mel.samplerate)

    def push(self, samples: NDArray[np.generic], samplerate: int) -> Array:
        """Take samples and give the frames that they complete: float32 (n, width).

        Raises
        ------
        FeedError
            A rate or shape that does not fit what came before in the same stream.
        """
        stream, lead = self._stream(samplerate, samples.shape[1] if samples.ndim > 1 else 1)
        frames = stream.push(samples)
        return self._count(len(samples), samplerate, lead, frames)

    def push_mono(self, samples: Array, samplerate: int) -> Array:
        """As `push`, for samples that are mixed and cleaned already."""
        stream, lead = self._stream(samplerate, 1)
        return self._count(len(samples), samplerate, lead, stream.push_mono(samples))

    def flush(self) -> Array:
        """End the stream and give the frames that are left."""
        return self._take(self._mel.flush()) if self._mel and not self._ended else self._none

    def fill(self, samples: int) -> Array:
        """Zeros in place of samples that were lost within the stream; gives the frames that they complete."""
        assert self._mel is not None
        return self._take(self._mel.push(self._zeros(samples)))

    def is_short(self, samples: int) -> bool:
        """Whether zeros may stand for this many lost samples: within a stream, for a second at the most."""
        return self.in_stream and self._mel is not None and samples <= SHORT_GAP_SECONDS * self._mel.samplerate

    def end(self) -> Array:
        """End the stream before a gap, with the silence that its last samples need; gives the frames that are left."""
        if self._mel is None or self._ended:
            return self._none
        now = self.now
        rate = self._mel.samplerate
        # the resampler rings on after a sample for as long as it looks ahead of it
        tail = 2 * self._mel.lookahead + -(-self._front_end.span * rate // self._front_end.rate) + 1
        frames = self._take(self._mel.push(self._zeros(tail)))
        self._ended = True
        self._origin = now
        return frames

    def begin_after(self, seconds: Fraction) -> int:
        """Let a gap pass after `end`; gives how many frames of silence are to be passed: those that hear no more."""
        self._origin += seconds
        # what a frame hears (musicnn's: two hops), and what the resampler spreads beyond less than one more
        heard = -(-self._front_end.span // self._front_end.hop) + math.ceil(RINGS_SECONDS / self._frame) - 1
        return max(0, (self._origin + self._lead) // self._frame - heard - self.frames)

    def silence(self, frames: int) -> None:
        """Number frames of silence."""
        if self._leveller is not None:
            self._leveller.pass_silence(frames)
        kept = min(frames, 4096)  # more than a window asks for
        last_gain = self._gain[-1] if len(self._gain) else 1.0
        self._note(np.zeros(kept, np.float32), np.full(kept, last_gain), frames)

    def level(self, end: int, frames: int) -> float:
        """Level in dBFS of the newest `frames` before frame `end`."""
        end = min(end, self._start + len(self._power))  # a short stream is repeated, its power is not
        start = max(end - frames, self._start)
        newest = self._power[start - self._start : end - self._start]
        return dbfs(float(newest.mean())) if len(newest) else dbfs(0.0)

    def gain_db(self, end: int) -> float | None:
        """Gain in dB of the newest frame before frame `end`; None where the level stays as it is."""
        if self._leveller is None or not len(self._gain):
            return None
        last = min(end, self._start + len(self._gain)) - 1
        return float(10 * np.log10(self._gain[max(0, last - self._start)]))

    def reset_level(self) -> None:
        """Forget how loud it was."""
        if self._leveller is not None:
            self._leveller.reset()

    def discard_before(self, frame: int) -> None:
        """Keep no levels of the frames before this one, but the newest of all."""
        gone = min(frame - self._start, len(self._power) - 1)
        if gone > 0:
            self._power, self._newest_loud = self._power[gone:], self._newest_loud[gone:]
            self._gain = self._gain[gone:]
            self._start += gone

    def quiet_frames(self, end: int) -> int:
        """Frames before frame `end` since the newest that was loud."""
        last = min(end, self._start + len(self._power)) - 1  # a short stream is repeated, its levels are not
        return last - int(self._newest_loud[last - self._start]) if last >= self._start else 0

    def _stream(self, samplerate: int, channels: int) -> tuple[MelStream, Array]:
        """The present stream, and the frames before it that its beginning completes."""
        if self._mel is not None and not self._ended:
            if (self._mel.samplerate, self._mel.channels) != (samplerate, channels):
                raise FeedError(
                    f"{samplerate} Hz with {channels} channels after {self._mel.samplerate} Hz with "
                    f"{self._mel.channels}: a stream keeps its format; call reset() to start another"
                )
            return self._mel, self._none
        self._nonfinite, self._ended = self.nonfinite, False
        if not self.frames and not self._origin:  # the very first: what leads it is the front-end's own
            self._mel = self._begun(samplerate, channels, self._front_end)
            return self._mel, self._none
        self._mel = self._begun(samplerate, channels, replace(self._front_end, lead=0))
        # between the last whole frame and the stream's beginning there is silence too
        first = self.frames * self._frame - self._lead
        lead = max(0, round((self._origin - first) * samplerate))
        self._origin = first
        return self._mel, self._take(self._mel.push(self._zeros(lead))) if lead else self._none

    def _begun(self, samplerate: int, channels: int, front_end: FrontEnd) -> MelStream:
        return MelStream(samplerate, channels, front_end=front_end, centered=self._centered, leveller=self._leveller)

    @property
    def _none(self) -> Array:
        """No frames."""
        return np.empty((0, self._front_end.width), np.float32)

    def _count(self, samples: int, samplerate: int, lead: Array, frames: Frames) -> Array:
        self.samples_in += samples
        self.seconds_in += Fraction(samples, samplerate)
        made = self._take(frames)
        return np.concatenate((lead, made)) if len(lead) else made

    def _zeros(self, samples: int) -> Array:
        assert self._mel is not None
        return np.zeros((samples, self._mel.channels), np.float32)

    def _take(self, frames: Frames) -> Array:
        self._note(frames.power, frames.gain, len(frames.power))
        return frames.logmel

    def _note(self, power: Array, gain: NDArray[np.float64], frames: int) -> None:
        """Keep the power and the gain of the newest of this many frames."""
        first = self.frames + frames - len(power)
        last_loud = int(self._newest_loud[-1]) if len(self._newest_loud) else NEVER
        if self._loud_power is None:
            loud = np.full(len(power), last_loud, np.int64)
        else:
            numbers = np.arange(first, first + len(power))
            loud = np.maximum.accumulate(np.where(power >= self._loud_power, numbers, last_loud))
        if len(power) < frames:
            self._power, self._gain, self._newest_loud, self._start = power, gain, loud, first
        else:
            self._power = np.concatenate((self._power, power))
            self._gain = np.concatenate((self._gain, gain))
            self._newest_loud = np.concatenate((self._newest_loud, loud))
        self.frames += frames


def window_end(front_end: FrontEnd, frame: int, centered: bool) -> float:
    """Seconds to the newest sample of a window that ends before frame `frame`."""
    before = front_end.fft // 2 if centered and front_end.padding != "none" else front_end.lead
    return ((frame - 1) * front_end.hop + front_end.span - before) / front_end.rate
