"""Push samples, get tags: the whole path without threads and without a clock."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from streamtag.errors import FeedError, OptionError
from streamtag.evaluator import COARSE_HOP, FINE_HOP, Engine, Evaluator, make_evaluator, slides
from streamtag.frames import TagFrame, dbfs
from streamtag.learn.plain import PlainHead, of_judged
from streamtag.learn.play import PlayingHead, check_heads
from streamtag.melstream import Frames, MelStream
from streamtag.networks.specs import FRAME_SECONDS, HOP, N_FFT, SAMPLE_RATE, ModelSpec, frames_in
from streamtag.rolling import Rolling


class Tagger:
    """Tags a stream of samples as it is pushed.

    The same samples give the same frames in whatever chunks they come. For one thread at a time.

    Parameters
    ----------
    model : musicnn's name of the model.
    hop : seconds between two results, rounded to whole frames of 16 ms, at least one. None: 0.016 where the sliding
        engine evaluates, 0.064 elsewhere.
    window : seconds that each result hears (vgg: 3 only).
    top : how many tags each result names.
    smooth : time constant of the rolling scores in seconds; 0 for none.
    threshold : rolling score at which a tag switches on.
    engine : see `make_evaluator`.
    centered : frames as musicnn makes them of a file (see `MelStream`); then call `flush` at the end.
    evaluator : does the work, in place of what `model`, `hop` and `window` would make.
    heads : your own tags, judged beside the model's (see `load_head`); frames then have `heads`.

    Raises
    ------
    OptionError : a value that cannot be used.
    HeadError : a head that was learned on another model.
    ModelError : no such model, or something is wrong with its weights.
    """

    def __init__(
        self,
        model: str = "MSD_musicnn",
        *,
        hop: float | None = None,
        window: float = 3.0,
        top: int = 5,
        smooth: float = 1.0,
        threshold: float = 0.2,
        engine: Engine = "auto",
        centered: bool = False,
        evaluator: Evaluator | None = None,
        heads: Sequence[PlainHead] = (),
    ) -> None:
        pools = any(head.needs_pools for head in heads)
        if evaluator is None:
            seconds = hop if hop is not None else FINE_HOP if slides(model, engine) else COARSE_HOP
            evaluator = make_evaluator(model, frames_in(window), hop_frames(seconds), engine, pools=pools)
        self._evaluator = evaluator
        check_heads(heads, self.spec)
        self._heads = [PlayingHead(head, top=top, smooth=smooth, threshold=threshold) for head in heads]
        self._rolling = Rolling(self.spec.labels, top=top, smooth=smooth, threshold=threshold)
        self._centered = centered
        self._mel: MelStream | None = None
        self._warm = False
        self.reset()

    @property
    def spec(self) -> ModelSpec:
        """The model that judges."""
        return self._evaluator.spec

    @property
    def labels(self) -> tuple[str, ...]:
        """The tags, in the order of the scores."""
        return self.spec.labels

    @property
    def heads(self) -> tuple[PlainHead, ...]:
        """Your own tags that are judged too."""
        return tuple(playing.head for playing in self._heads)

    @property
    def hop(self) -> float:
        """Seconds between two results."""
        return self._evaluator.hop_frames * FRAME_SECONDS

    @property
    def window(self) -> float:
        """Seconds that each result hears, to the whole frame."""
        return self._evaluator.window_frames * FRAME_SECONDS

    @property
    def engine(self) -> str:
        """What evaluates the network, for people."""
        return self._evaluator.name

    @property
    def due(self) -> int:
        """Results that could be had now."""
        return self._evaluator.due

    @property
    def samples_in(self) -> int:
        """Samples (per channel) taken since the start."""
        return self._mel.samples_in if self._mel else 0

    @property
    def nonfinite(self) -> int:
        """NaN and infinite values that came in and were replaced by 0."""
        return self._mel.nonfinite if self._mel else 0

    @property
    def frames_in(self) -> int:
        """Log-mel frames made since the start."""
        return self._mel.frames_out if self._mel else 0

    def lookahead(self, samplerate: int) -> float:
        """Seconds that the newest sample of a window waits for those after it, which the resampler needs."""
        return MelStream(samplerate).latency / samplerate

    def reset(self) -> None:
        """Start a new stream, of any rate and number of channels."""
        self._evaluator.reset()
        self._rolling.reset()
        for head in self._heads:
            head.reset()
        self._mel = None
        self._power = np.empty(0, np.float32)  # of the frames from _power_start on
        self._power_start = 0
        self._last_index = -1

    def warm_up(self) -> None:
        """Compile and touch what would make the first result late; the second time there is nothing to do."""
        if self._warm:
            return
        self._warm = True
        MelStream(44_100).push(np.zeros(1024, np.float32))
        self._evaluator.warm_up()

    def feed(self, samples: NDArray[np.generic], samplerate: int) -> int:
        """Take samples without judging them; `step` and `skip` decide what becomes of the results.

        Parameters
        ----------
        samples : (n,) or (n, channels); float (-1..1), int16 or int32.
        samplerate : Hz; the same until `reset`.

        Returns
        -------
        Results that are due.

        Raises
        ------
        FeedError : a rate or shape that does not fit what came before.
        """
        stream = self._stream(samplerate, samples.shape[1] if samples.ndim > 1 else 1)
        self._accept(stream.push(samples))
        return self.due

    def push(self, samples: NDArray[np.generic], samplerate: int) -> list[TagFrame]:
        """Take samples and give all results that they complete (see `feed`)."""
        self.feed(samples, samplerate)
        return list(self.results())

    def flush(self, *, repeat_short: bool = True) -> list[TagFrame]:
        """End the stream and give the results that are left.

        Parameters
        ----------
        repeat_short : a stream shorter than one window is repeated to its length, as musicnn's training did.
        """
        if self._mel is None:
            return []
        self._accept(self._mel.flush())
        if repeat_short and self._last_index < 0 and not self.due:
            self._evaluator.repeat_to_window()
        return list(self.results())

    def results(self, limit: int = 16) -> Iterator[TagFrame]:
        """Judge all that is due, `limit` windows at a time."""
        while self.due:
            yield from self.step(limit)

    def step(self, limit: int = 1) -> list[TagFrame]:
        """Judge the oldest windows that are due, `limit` of them at the most."""
        judged = self._evaluator.take(limit)
        features = of_judged(judged, self.spec) if self._heads else {}
        return [
            self._frame(judged.first + i, raw, embedding, {name: value[i] for name, value in features.items()})
            for i, (raw, embedding) in enumerate(zip(judged.taggram, judged.embedding, strict=True))
        ]

    def skip(self, windows: int) -> None:
        """Give up the oldest `windows` of those that are due."""
        self._evaluator.skip(windows)

    def _stream(self, samplerate: int, channels: int) -> MelStream:
        if self._mel is None:
            self._mel = MelStream(samplerate, channels, centered=self._centered)
        elif (self._mel.samplerate, self._mel.channels) != (samplerate, channels):
            raise FeedError(
                f"{samplerate} Hz with {channels} channels after {self._mel.samplerate} Hz with {self._mel.channels}: "
                "a stream keeps its format; call reset() to start another"
            )
        return self._mel

    def _accept(self, frames: Frames) -> None:
        self._power = np.concatenate((self._power, frames.power))
        self._evaluator.push(frames.logmel)

    def _frame(
        self,
        index: int,
        raw: NDArray[np.float32],
        embedding: NDArray[np.float32],
        features: Mapping[str, NDArray[np.float32]],
    ) -> TagFrame:
        end = index * self._evaluator.hop_frames + self._evaluator.window_frames
        hops = index - self._last_index if self._last_index >= 0 else 1
        switched = self._rolling.update(raw, hops * self.hop)
        heads = tuple(head.update(features, hops * self.hop) for head in self._heads)
        self._last_index = index
        assert self._rolling.scores is not None
        for array in (raw, embedding, self._rolling.scores):
            array.flags.writeable = False
        last_sample = (end - 1) * HOP + (N_FFT // 2 if self._centered else N_FFT)
        return TagFrame(
            index=index,
            time=last_sample / SAMPLE_RATE,
            raw=raw,
            scores=self._rolling.scores,
            top=self._rolling.best(),
            switched=switched,
            on=frozenset(label for label, on in zip(self.labels, self._rolling.on, strict=True) if on),
            embedding=embedding,
            level_dbfs=self._level(end),
            heads=heads,
        )

    def _level(self, end: int) -> float:
        """Level of the newest hop before frame `end`; lets go of what lies before."""
        end = min(end, self._power_start + len(self._power))  # a short stream is repeated, its power is not
        start = max(end - min(self._evaluator.hop_frames, self._evaluator.window_frames), 0)
        newest = self._power[max(0, start - self._power_start) : end - self._power_start]
        if start > self._power_start:
            self._power = self._power[start - self._power_start :]
            self._power_start = start
        return dbfs(float(newest.mean())) if len(newest) else dbfs(0.0)


def hop_frames(seconds: float) -> int:
    """Seconds to the nearest whole number of frames.

    Raises
    ------
    OptionError : shorter than a frame.
    """
    frames = round(seconds / FRAME_SECONDS) if math.isfinite(seconds) else 0
    if frames < 1:
        raise OptionError(f"a hop of {seconds:g} s: at least one frame ({FRAME_SECONDS:g} s) is wanted")
    return frames
