"""Push samples, get tags: the whole path without threads and without a clock."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from streamtag.errors import OptionError
from streamtag.evaluator import COARSE_HOP, FINE_HOP, Engine, Evaluator, make_evaluator, slides
from streamtag.frames import SILENCE_DBFS, HeadFrame, TagFrame
from streamtag.learn.plain import PlainHead, of_judged
from streamtag.learn.play import PlayingHead, check_heads
from streamtag.melstream import MelStream
from streamtag.networks.specs import FRAME_SECONDS, N_MELS, ModelSpec, frames_in
from streamtag.rolling import Rolling, check_threshold, check_top
from streamtag.timeline import SHORT_GAP_SECONDS, Timeline, window_end

GATE_DBFS = -60.0
"""What live sessions take for silence, where nothing else is asked for."""
GATE_SECONDS = 1.0
"""How long it must have been so."""
LONGEST_HOP = 3600.0
Switched = tuple[tuple[str, bool], ...]


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
    gate : level in dBFS. When no frame of the last second has reached it, the network rests: nothing is judged, and
        scores fall to 0. The first window with a louder frame is judged, and exact. None: never.

    Attributes
    ----------
    hops_rested : windows that were not judged because of the gate.
    hops_lost : windows that would have ended in a gap (see `gap`).

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
        gate: float | None = None,
    ) -> None:
        if gate is not None and not math.isfinite(gate):
            raise OptionError(f"gate {gate:g} dBFS: a level is wanted, for example {GATE_DBFS:g}, or none at all")
        self._remake: Callable[[int], Evaluator] | None = None
        if evaluator is None:
            pools = any(head.needs_pools for head in heads)
            self._remake = partial(make_evaluator, model, frames_in(window), engine=engine, pools=pools)
            seconds = hop if hop is not None else FINE_HOP if slides(model, engine) else COARSE_HOP
            evaluator = self._remake(hop_frames(seconds))
        self._evaluator = evaluator
        self._gate = gate
        check_heads(heads, self.spec)
        self._heads = [PlayingHead(head, top=top, smooth=smooth, threshold=threshold) for head in heads]
        self._rolling = Rolling(self.spec.labels, top=top, smooth=smooth, threshold=threshold)
        self._centered = centered
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
    def next_index(self) -> int:
        """Index of the next window: so many were judged, rested, skipped or lost."""
        return self._first_index + self._windows

    @property
    def samples_in(self) -> int:
        """Samples (per channel) taken since the start."""
        return self._timeline.samples_in

    @property
    def seconds_in(self) -> float:
        """The same in seconds, whatever the rates were."""
        return self._timeline.seconds_in

    @property
    def nonfinite(self) -> int:
        """NaN and infinite values that came in and were replaced by 0."""
        return self._timeline.nonfinite

    @property
    def frames_in(self) -> int:
        """Log-mel frames made since the start."""
        return self._timeline.frames

    def lookahead(self, samplerate: int) -> float:
        """Seconds that the newest sample of a window waits for those after it, which the resampler needs."""
        return _lookahead(samplerate)

    def reset(self) -> None:
        """Start a new stream, of any rate and number of channels."""
        self._timeline = Timeline(centered=self._centered, gate=self._gate)
        self._evaluator.reset()
        self._first_frame = 0  # numbers of the evaluator's first frame and window,
        self._first_index = 0
        self._windows = 0  # and how many of its windows are done with
        self._ahead = 0  # frames to come that lie before the evaluator's first
        self._done_before: int | None = None  # number of the first frame of the last window of the evaluator before
        self._history = np.zeros((0, N_MELS), np.float32)  # the newest frames, as many as a window has
        self._rolling.reset()
        for head in self._heads:
            head.reset()
        self._last_index = -1
        self.hops_rested = 0
        self.hops_lost = 0

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
        self._accept(self._timeline.push(samples, samplerate))
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
        self._accept(self._timeline.flush())
        if repeat_short and self._last_index < 0 and not self.due:
            self._evaluator.repeat_to_window()
        return list(self.results())

    def results(self, limit: int = 16) -> Iterator[TagFrame]:
        """Judge all that is due, `limit` windows at a time."""
        while self.due:
            yield from self.step(limit)

    def step(self, limit: int = 1) -> list[TagFrame]:
        """Judge the oldest windows that are due, `limit` of them at the most; while the gate is closed, rest."""
        if self._gate is None:
            return self._judge(limit)
        frames: list[TagFrame] = []
        for _ in range(min(limit, self.due)):
            frames += [self._rest()] if self._is_quiet() else self._judge(1)
        return frames

    def skip(self, windows: int) -> None:
        """Give up the oldest `windows` of those that are due."""
        self._evaluator.skip(windows)
        self._windows += windows

    def gap(self, seconds: float, *, new_stream: bool = False) -> None:
        """Let time pass in which no samples came: it is heard as silence, and frames go on in their right place.

        Windows that end in it are not judged, and counted as lost; so are those that are due: take them before.

        Parameters
        ----------
        seconds : how long. Within a stream, a whole number of samples.
        new_stream : whether the samples that follow may be of another rate or number of channels.
        """
        if seconds <= SHORT_GAP_SECONDS and not new_stream and self._timeline.in_stream:
            self._accept(self._timeline.fill(seconds))
            if seconds >= self.hop:
                self._lose()
            return
        self._accept(self._timeline.end())
        silent = self._timeline.begin_after(seconds)
        jumped = max(0, silent - self._evaluator.window_frames) // self._evaluator.hop_frames
        self._timeline.silence(silent)
        self._accept(np.zeros((silent - jumped * self._evaluator.hop_frames, N_MELS), np.float32))
        self._lose()
        self._first_frame += jumped * self._evaluator.hop_frames
        self._first_index += jumped
        self.hops_lost += jumped

    def let_go(self, time: float) -> TagFrame:
        """Take all scores to 0 and switch everything off, at `time` (seconds): the input is gone, or others begin."""
        heads = tuple(head.rest(math.inf) for head in self._heads)
        return self._resting(max(0, self._last_index), time, SILENCE_DBFS, self._rolling.rest(math.inf), heads)

    def forget(self) -> None:
        """Go on as if silence had come before: neither windows nor scores remember what was heard."""
        done, frames = self._newest_done(), self._timeline.frames
        start = frames if done is None else done + self._evaluator.hop_frames
        # windows that are due stay due, and hear nothing
        self._history = np.zeros((max(0, frames - start), N_MELS), np.float32)
        self._evaluator.reset()
        self._begin_at(start)
        self._rolling.reset()
        for head in self._heads:
            head.reset()

    def set_hop(self, seconds: float) -> None:
        """Change the seconds between two results; the next comes so long after the last.

        Raises
        ------
        OptionError : shorter than a frame, longer than an hour; or the evaluator was given, and keeps its hop.
        """
        self.check_hop(seconds)
        hop = hop_frames(seconds)
        assert self._remake is not None
        done = self._newest_done()
        start = self._first_frame if done is None else done + hop
        start = max(start, self._timeline.frames - len(self._history))  # so long ago that it is due already
        evaluator = self._remake(hop)
        evaluator.warm_up()
        self._begin_at(start, evaluator)

    def check_hop(self, seconds: float) -> None:
        """Refuse a hop that `set_hop` cannot use; may be called from any thread.

        Raises
        ------
        OptionError : as `set_hop`.
        """
        hop_frames(seconds)
        if self._remake is None:
            raise OptionError("this tagger was given its evaluator, whose hop is fixed")

    def set_top(self, count: int) -> None:
        """Change how many tags each result names.

        Raises
        ------
        OptionError : less than 1.
        """
        check_top(count)
        self._rolling.top = count
        self._tell_heads()

    def set_threshold(self, score: float) -> None:
        """Change the rolling score at which a tag switches on.

        Raises
        ------
        OptionError : out of range.
        """
        check_threshold(score)
        self._rolling.threshold = score
        self._tell_heads()

    def _tell_heads(self) -> None:
        for head in self._heads:
            head.set(top=self._rolling.top, threshold=self._rolling.threshold)

    def _newest_done(self) -> int | None:
        """Number of the first frame of the newest window that is done with, if there is one."""
        if not self._windows:
            return self._done_before
        return self._first_frame + (self._windows - 1) * self._evaluator.hop_frames

    def _begin_at(self, frame: int, evaluator: Evaluator | None = None) -> None:
        """Let an evaluator that has no frames begin with this one: out of the history, or when it comes."""
        self._done_before = self._newest_done()
        self._evaluator = evaluator or self._evaluator
        self._first_frame, self._first_index = frame, self._first_index + self._windows
        self._windows = 0
        wanted = self._timeline.frames - frame
        self._ahead = max(0, -wanted)
        if wanted > 0:
            self._evaluator.push(self._history[-wanted:])

    def _accept(self, logmel: NDArray[np.float32]) -> None:
        if len(logmel):
            self._evaluator.push(logmel[self._ahead :])
            self._ahead = max(0, self._ahead - len(logmel))
            self._history = np.concatenate((self._history, logmel))[-self._evaluator.window_frames :]
            oldest = min(self._end(self._windows), self._timeline.frames) - self._evaluator.window_frames
            self._timeline.let_go_before(oldest)

    def _lose(self) -> None:
        """Give up what is due, for its newest samples never came."""
        self.hops_lost += self.due
        self.skip(self.due)

    def _is_quiet(self) -> bool:
        """Whether the gate is closed at the oldest window that is due."""
        return self._timeline.quiet_frames(self._end(self._windows)) * FRAME_SECONDS >= GATE_SECONDS

    def _end(self, window: int) -> int:
        """The frame after a window of the evaluator's."""
        return self._first_frame + window * self._evaluator.hop_frames + self._evaluator.window_frames

    def _judge(self, limit: int) -> list[TagFrame]:
        judged = self._evaluator.take(limit)
        features = of_judged(judged, self.spec) if self._heads else {}
        frames = []
        for i, (raw, embedding) in enumerate(zip(judged.taggram, judged.embedding, strict=True)):
            index, seconds, time, level = self._next()
            of_window = {name: value[i] for name, value in features.items()}
            heads = tuple(head.update(of_window, seconds) for head in self._heads)
            switched = self._rolling.update(raw, seconds)
            frames.append(self._made(index, time, level, raw, embedding, switched, heads))
        return frames

    def _rest(self) -> TagFrame:
        self._evaluator.skip(1)
        self.hops_rested += 1
        index, seconds, time, level = self._next()
        heads = tuple(head.rest(seconds) for head in self._heads)
        return self._resting(index, time, level, self._rolling.rest(seconds), heads)

    def _next(self) -> tuple[int, float, float, float]:
        """The next window, which is then done with: its index, seconds since the last result, its time and level."""
        index, end = self.next_index, self._end(self._windows)
        hops = index - self._last_index if self._last_index >= 0 else 1
        self._windows += 1
        self._last_index = index
        level = self._timeline.level(end, min(self._evaluator.hop_frames, self._evaluator.window_frames))
        return index, hops * self.hop, window_end(end, self._centered), level

    def _resting(
        self, index: int, time: float, level: float, switched: Switched, heads: tuple[HeadFrame, ...]
    ) -> TagFrame:
        raw, embedding = np.zeros(len(self.labels), np.float32), np.zeros(self.spec.embedding_size, np.float32)
        return replace(self._made(index, time, level, raw, embedding, switched, heads), rested=True)

    def _made(
        self,
        index: int,
        time: float,
        level: float,
        raw: NDArray[np.float32],
        embedding: NDArray[np.float32],
        switched: Switched,
        heads: tuple[HeadFrame, ...],
    ) -> TagFrame:
        assert self._rolling.scores is not None
        for array in (raw, embedding, self._rolling.scores):
            array.flags.writeable = False
        return TagFrame(
            index=index,
            time=time,
            raw=raw,
            scores=self._rolling.scores,
            top=self._rolling.best(),
            switched=switched,
            on=frozenset(label for label, on in zip(self.labels, self._rolling.on, strict=True) if on),
            embedding=embedding,
            level_dbfs=level,
            heads=heads,
        )


@lru_cache(maxsize=8)
def _lookahead(samplerate: int) -> float:
    return MelStream(samplerate).latency / samplerate


def hop_frames(seconds: float) -> int:
    """Seconds to the nearest whole number of frames.

    Raises
    ------
    OptionError : shorter than a frame, or longer than an hour.
    """
    if math.isfinite(seconds) and seconds > LONGEST_HOP:
        raise OptionError(f"a hop of {seconds:g} s: at most {LONGEST_HOP:g} s is wanted")
    frames = round(seconds / FRAME_SECONDS) if math.isfinite(seconds) else 0
    if frames < 1:
        raise OptionError(f"a hop of {seconds:g} s: at least one frame ({FRAME_SECONDS:g} s) is wanted")
    return frames
