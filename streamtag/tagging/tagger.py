"""Push samples, get tags: the whole path without threads and without a clock."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from typing import Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from streamtag.dsp.front_end import FrontEnd
from streamtag.dsp.leveller import Leveller
from streamtag.dsp.params import is_number
from streamtag.dsp.resampler import lookahead
from streamtag.dsp.samples import as_samples, whole_rate
from streamtag.errors import HeadError, OptionError
from streamtag.heads.file import check_heads
from streamtag.heads.head import PlainHead, common_level
from streamtag.inference.base import Predictor
from streamtag.inference.factory import default_hop, make_predictor
from streamtag.inference.networks.catalogue import find_spec
from streamtag.inference.networks.specs import ModelSpec, window_frames
from streamtag.melstream import MelStream
from streamtag.results import SILENCE_DBFS, TagFrame
from streamtag.tagging.calibration_file import check_calibration, shipped_calibration
from streamtag.tagging.change import STEP_FRAMES
from streamtag.tagging.music import MusicGate, shipped_music_head
from streamtag.tagging.options import TaggingKeywords, TaggingOptions, chosen
from streamtag.tagging.reaction import REACTIONS, SHORT_FRAMES, Pacer
from streamtag.tagging.scores import Moment, Scores
from streamtag.tagging.space import EmbeddingFollower, shipped_coordinates
from streamtag.tagging.timeline import Timeline, window_end
from streamtag.tagging.windows import Windows

GATE_SECONDS = 1.0
"""How long it must have been so."""


class Tagger:
    """Tags a stream of samples as it is pushed.

    The same samples give the same frames in whatever chunks they come. For one thread at a time.

    Parameters
    ----------
    model : str or None
        Name of the model, as published; None for that of `options`.
    options : TaggingOptions or None
        How to tag; None for the defaults.
    predictor : Predictor or None
        Does the work, in place of what the model, hop and window would make.
    evaluator : Predictor or None
        Former name of `predictor`, deprecated since 0.2.
    **changes : TaggingKeywords
        Single options by name, in place of those in `options` (see `TaggingOptions`).

    Attributes
    ----------
    hops_gated : int
        Windows that were not predicted because of the gate.
    hops_lost : int
        Windows that would have ended in a gap (see `gap`).

    Raises
    ------
    OptionError
        A value that cannot be used.
    HeadError
        A head that was learned on another model, or heads learned at different levels where none is given.
    CalibrationError
        A calibration that was made with another model.
    ModelError
        No such model, or something is wrong with its weights.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        options: TaggingOptions | None = None,
        predictor: Predictor | None = None,
        evaluator: Predictor | None = None,
        **changes: Unpack[TaggingKeywords],
    ) -> None:
        if evaluator is not None:
            warnings.warn("Tagger's option evaluator is now called predictor", DeprecationWarning, stacklevel=2)
            predictor = evaluator
        given = chosen(model, options, changes)
        heads = given.heads
        remake: Callable[[int], Predictor] | None = None
        spec = find_spec(given.model) if predictor is None else predictor.spec
        music = None if given.music == "off" else shipped_music_head(spec)
        pools = any(head.needs_pools for head in (*heads, *([music] if music else [])))
        if predictor is None:
            window = window_frames(spec, given.window)
            remake = partial(make_predictor, given.model, window, engine=given.engine, pools=pools)
            hop = default_hop(spec, given.engine) if given.hop is None else spec.front_end.hop_frames(given.hop)
            predictor = remake(hop)
        reaction = None if given.react == "off" else REACTIONS[given.react]
        self._pacer: Pacer | None = None
        if reaction and remake and self._hears_short(predictor):
            short = make_predictor(given.model, SHORT_FRAMES, STEP_FRAMES, engine=given.engine, pools=pools)
            self._pacer = Pacer(short, reaction)
        self._windows = Windows(predictor, remake)
        self._gate = given.gate
        check_heads(heads, self.spec)
        self._level = given.level or common_level(heads) or "off"
        calibration = shipped_calibration(self.spec.name) if given.calibration == "auto" else given.calibration
        if calibration is not None:
            check_calibration(calibration, self.spec)
        self._with_features = bool(heads or music)
        self._scores = Scores(
            self.spec,
            heads,
            top=given.top,
            smooth=given.smooth if reaction is None else reaction.plain,
            threshold=given.threshold,
            head_threshold=given.head_threshold,
            calibration=calibration,
            music=MusicGate(music) if music else None,
            music_only=given.music == "gate",
            steady=reaction is not None,
            follower=EmbeddingFollower(shipped_coordinates(self.spec), given.embedding_smooth),
            selection=given.tags,
        )
        self._centered = given.centered
        self._warm = False
        self.reset()

    @property
    def spec(self) -> ModelSpec:
        """The model."""
        return self._windows.predictor.spec

    @property
    def front_end(self) -> FrontEnd:
        """What the model hears."""
        return self.spec.front_end

    @property
    def labels(self) -> tuple[str, ...]:
        """The tags, in the order of the scores."""
        return self._scores.labels

    @property
    def heads(self) -> tuple[PlainHead, ...]:
        """Your own tags that are predicted too."""
        return self._scores.heads

    @property
    def hop(self) -> float:
        """Seconds between two results."""
        return self._windows.hop * self.front_end.frame_seconds

    @property
    def window(self) -> float:
        """Seconds that each result hears, to the whole frame."""
        return self._windows.length * self.front_end.frame_seconds

    @property
    def engine(self) -> str:
        """What evaluates the network, human-readable."""
        return self._windows.predictor.name

    @property
    def due(self) -> int:
        """Results that could be had now."""
        return self._windows.due

    @property
    def next_index(self) -> int:
        """Index of the next window; as many were predicted, rested, skipped or lost."""
        return self._windows.next_index

    @property
    def samples_in(self) -> int:
        """Samples (per channel) taken since the start."""
        return self._timeline.samples_in

    @property
    def seconds_in(self) -> float:
        """The same in seconds, whatever the rates were."""
        return float(self._timeline.seconds_in)

    @property
    def nonfinite(self) -> int:
        """NaN and infinite values that came in and were replaced by 0."""
        return self._timeline.nonfinite

    @property
    def frames_in(self) -> int:
        """Frames made since the start."""
        return self._timeline.frames

    def lookahead(self, samplerate: int) -> float:
        """Seconds that the newest sample of a window waits for those after it; deprecated since 0.2."""
        warnings.warn("Tagger.lookahead goes: ask MelStream.lookahead, in samples", DeprecationWarning, stacklevel=2)
        return lookahead(samplerate, self.front_end.rate) / samplerate

    def reset(self) -> None:
        """Start a new stream, of any rate and number of channels."""
        leveller = Leveller(self.front_end.frame_seconds) if self._level == "auto" else None
        self._timeline = Timeline(self.front_end, centered=self._centered, gate=self._gate, leveller=leveller)
        self._windows.reset()
        if self._pacer is not None:
            self._pacer.reset()
        self._scores.reset()
        self._last_index = -1
        self.hops_gated = 0
        self.hops_lost = 0

    def warm_up(self) -> None:
        """Compile and touch what would make the first result late; the second time there is nothing to do."""
        if self._warm:
            return
        self._warm = True
        MelStream(44_100, front_end=self.front_end).push(np.zeros(1024, np.float32))
        self._windows.predictor.warm_up()
        if self._pacer is not None:
            self._pacer.warm_up()

    def feed(self, samples: ArrayLike, samplerate: float) -> int:
        """Take samples without making predictions; `step` and `skip` decide what becomes of the results.

        Parameters
        ----------
        samples : array_like, shape (n,) or (n, channels)
            Float (-1..1), int16 or int32; an array, a list, a tensor on the CPU, a table.
        samplerate : int or float
            Hz, a whole number; the same until `reset`.

        Returns
        -------
        int
            Results that are due.

        Raises
        ------
        FeedError
            What is no sound, or of another scale; a rate or shape that does not fit what came before.
        OptionError
            A rate that cannot be used.
        """
        self._accept(self._timeline.push(as_samples(samples), whole_rate(samplerate)))
        return self.due

    def feed_mono(self, samples: NDArray[np.float32], samplerate: int) -> int:
        """As `feed`, for float32 samples of shape (n,) that are mixed and finite already, as those out of a ring."""
        self._accept(self._timeline.push_mono(samples, samplerate))
        return self.due

    def push(self, samples: ArrayLike, samplerate: float) -> list[TagFrame]:
        """Take samples and give all results that they complete (see `feed`)."""
        self.feed(samples, samplerate)
        return list(self.results())

    def flush(self, *, repeat_short: bool = True) -> list[TagFrame]:
        """End the stream and give the results that are left.

        Parameters
        ----------
        repeat_short : bool
            A stream shorter than one window is repeated to its length, as musicnn's training did.

        Returns
        -------
        list of TagFrame
            The results, oldest first; perhaps none.
        """
        self._accept(self._timeline.flush())
        self._windows.complete()
        if repeat_short and self._last_index < 0 and not self.due:
            self._windows.repeat_short()
        return list(self.results())

    def results(self, limit: int = 16) -> Iterator[TagFrame]:
        """Predict all that is due, `limit` windows at a time."""
        while self.due:
            yield from self.step(max(1, limit))

    def step(self, limit: int = 1) -> list[TagFrame]:
        """Predict the oldest windows that are due, `limit` of them at the most; while the gate is closed, rest."""
        if self._gate is None:
            return self._predict(limit)
        frames: list[TagFrame] = []
        for _ in range(min(limit, self.due)):
            frames += [self._rest()] if self._is_quiet() else self._predict(1)
        return frames

    def skip(self, windows: int) -> None:
        """Give up the oldest `windows` of those that are due."""
        count = max(0, min(windows, self.due))
        self._windows.skip(count)
        if count and self._pacer is not None:
            self._pacer.skip_to(self._windows.end - self._windows.hop)

    def gap(self, seconds: float, *, new_stream: bool = False) -> None:
        """Let time pass in which no samples came: it is heard as silence, and frames go on in their right place.

        Windows that end in it are not predicted, and counted as lost; so are those that are due: take them before.

        Parameters
        ----------
        seconds : float
            How long. Within a stream, a whole number of samples.
        new_stream : bool
            Whether the samples that follow may be of another rate or number of channels.

        Raises
        ------
        OptionError
            What is no length of time.
        """
        if not (is_number(seconds) and seconds >= 0):
            raise OptionError(f"a gap of {seconds} s: expected 0 or more seconds")
        samplerate = self._timeline.samplerate
        if samplerate and not new_stream:
            self.lose(round(seconds * samplerate), samplerate)
        else:
            self._pass(Fraction(seconds))

    def lose(self, samples: int, samplerate: int) -> None:
        """As `gap`, for samples that were lost within a stream.

        Parameters
        ----------
        samples : int
            How many.
        samplerate : int
            Their rate in Hz.
        """
        if self._timeline.is_short(samples):
            self._fill(samples, samplerate)
        else:
            self._pass(Fraction(samples, samplerate))

    def begin_stream(self, gap: int, samplerate: int) -> None:
        """As `gap`, before a stream that may be of another rate or number of channels.

        Parameters
        ----------
        gap : int
            How long nothing came, in samples of the new stream.
        samplerate : int
            Its rate in Hz.
        """
        self._pass(Fraction(gap, samplerate))

    def release_all(self, time: float) -> TagFrame:
        """Take all scores to 0 and switch everything off, at `time` (seconds): the input is gone, or others begin."""
        return self._scores.rest(Moment(max(0, self._last_index), time, SILENCE_DBFS, math.inf))

    def reset_history(self) -> None:
        """Go on as if silence had come before: neither windows nor scores remember what was heard."""
        self._timeline.reset_level()
        self._windows.reset_history()
        if self._pacer is not None:
            self._pacer.reset_history()
        self._scores.reset()

    def let_go(self, time: float) -> TagFrame:
        """Former name of `release_all`, deprecated since 0.2."""
        warnings.warn("Tagger.let_go is now called release_all", DeprecationWarning, stacklevel=2)
        return self.release_all(time)

    def forget(self) -> None:
        """Former name of `reset_history`, deprecated since 0.2."""
        warnings.warn("Tagger.forget is now called reset_history", DeprecationWarning, stacklevel=2)
        self.reset_history()

    def set_hop(self, seconds: float) -> None:
        """Change the seconds between two results; the next comes that long after the last.

        Raises
        ------
        OptionError
            Shorter than a frame, longer than an hour; or the predictor was given, and keeps its hop.
        """
        hop = self.front_end.hop_frames(seconds)
        if hop != self._windows.hop:
            self._windows.set_hop(hop)
        else:
            self._windows.check_hop()

    def check_hop(self, seconds: float) -> None:
        """Refuse a hop that `set_hop` cannot use; may be called from any thread.

        Raises
        ------
        OptionError
            As `set_hop`.
        """
        self.front_end.hop_frames(seconds)
        self._windows.check_hop()

    def set_top(self, count: int) -> None:
        """Change how many tags each result names.

        Raises
        ------
        OptionError
            Less than 1.
        """
        self._scores.set_top(count)

    def set_threshold(self, threshold: float | str) -> None:
        """Change the rolling score, or the place on each tag's own scale (``95%``), for the model's tags.

        Raises
        ------
        OptionError
            Out of range; a percentage where there is no calibration.
        """
        self._scores.set_threshold(threshold)

    def check_threshold(self, threshold: float | str) -> None:
        """Refuse a threshold that `set_threshold` cannot use; may be called from any thread.

        Raises
        ------
        OptionError
            As `set_threshold`.
        """
        self._scores.check_threshold(threshold)

    def set_head_threshold(self, score: float) -> None:
        """Change the rolling probability at which a class of a head switches on.

        Raises
        ------
        OptionError
            Out of range.
        """
        self._scores.set_head_threshold(score)

    def swap_head(self, head: PlainHead) -> None:
        """Go on with a head that has learned again, from the next result on; its rolling probabilities go on, too.

        Parameters
        ----------
        head : PlainHead
            Of the name, the model, the features and the classes of one of `heads`.

        Raises
        ------
        HeadError
            There is no such head here.
        """
        if not any(head.fits_in_place_of(one) for one in self.heads):
            raise HeadError(
                f"the head {head.name} takes the place of none here: another name, model, features or classes"
            )
        self._scores.swap_head(head)

    @staticmethod
    def _hears_short(predictor: Predictor) -> bool:
        """Whether a shorter window beside this predictor's hears anything else, and costs little."""
        spec = predictor.spec
        return spec.slides and not spec.fixed_length and predictor.window_frames >= 2 * SHORT_FRAMES

    def _accept(self, frames: NDArray[np.float32]) -> None:
        self._windows.push(frames)
        if self._pacer is not None:
            self._pacer.push(frames)
        self._discard()

    def _discard(self) -> None:
        self._timeline.discard_before(self._windows.oldest_frame)

    def _pass(self, seconds: Fraction) -> None:
        """End the stream, and let time pass before another."""
        self._accept(self._timeline.end())
        silent = self._timeline.begin_after(seconds)
        self._timeline.silence(silent)
        self.hops_lost += self._windows.pass_silence(silent)
        if self._pacer is not None:
            self._pacer.pass_silence(silent)
        self._discard()
        self._lose()

    def _fill(self, samples: int, samplerate: int) -> None:
        """Zeros in place of a few lost samples; windows that end in more than a hop of them are lost, too."""
        self._accept(self._timeline.fill(samples))
        if samples / samplerate >= self.hop:
            self._lose()

    def _lose(self) -> None:
        """Give up what is due, for its newest samples never came."""
        self.hops_lost += self.due
        self.skip(self.due)

    def _is_quiet(self) -> bool:
        """Whether the gate is closed at the oldest window that is due."""
        return self._timeline.quiet_frames(self._windows.end) * self.front_end.frame_seconds >= GATE_SECONDS

    def _predict(self, limit: int) -> list[TagFrame]:
        prediction = self._windows.take(limit)
        features = prediction.features(self.spec) if self._with_features else {}
        frames = []
        for i, (raw, embedding) in enumerate(zip(prediction.taggram, prediction.embedding, strict=True)):
            pace = None if self._pacer is None else self._pacer.pace(self._windows.end)
            moment = self._next()
            of_window = {name: value[i] for name, value in features.items()}
            frames.append(self._scores.update(moment, raw, embedding, of_window, pace))
        return frames

    def _rest(self) -> TagFrame:
        self.hops_gated += 1
        if self._pacer is not None:
            self._pacer.rest_to(self._windows.end)
        self._windows.predictor.skip(1)
        return self._scores.rest(self._next())

    def _next(self) -> Moment:
        """When and how loud the next window is, which is then done with."""
        end = self._windows.end
        index = self._windows.advance()
        hops = index - self._last_index if self._last_index >= 0 else 1
        self._last_index = index
        level = self._timeline.level(end, min(self._windows.hop, self._windows.length))
        time = window_end(self.front_end, end, self._centered)
        return Moment(index, time, level, hops * self.hop, self._timeline.gain_db(end))
