"""How quickly scores follow: a window of 1 s beside the long one, and smoothing that gives way where music changes.

A window of 3 s says best what is played, once it is filled with it; one of 1 s says it sooner and less surely. So the
long one is heard with calm smoothing while the music goes on, and the short one with hardly any after a change. How
much of either is decided by one number, the music's *age*: how long it has gone on. It grows with time, and what
`ChangeDetector` finds takes it down: to 0.2 s where a change is as likely as not.

Measured on splices of real music against plain smoothing of 1 s, see docs/tags.md (`python -m bench.reaction`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamtag.dsp.params import FRAME_SECONDS, N_MELS
from streamtag.inference.base import Predictor
from streamtag.tagging.change import NO_CHANGE, STEP_FRAMES, Change, ChangeDetector
from streamtag.tagging.windows import Windows

SHORT_FRAMES = 63
"""Frames of the short window: 1 s."""
LEAST_AGE, MOST_AGE = 0.2, 6.0
"""Seconds."""
SECTION_AGE = 0.6
"""At the most, where a new section is found."""
YOUNG, GROWN = 1.2, 3.5
"""Up to the one age only the short window counts, from the other on only the long one, which is full of it then."""
SMOOTH_PER_AGE, LEAST_SMOOTH = 0.5, 0.1
"""The time constant is half the age: as in a mean of all that was heard of this music."""

Array = NDArray[np.float32]


class Reaction(NamedTuple):
    """One way to react.

    Attributes
    ----------
    even_age : float
        Age in seconds that the music has at the most where a change is as likely as not.
    smooth : float
        Time constant in seconds while the music goes on.
    plain : float
        The same where there is no short window, and nothing gives way.
    """

    even_age: float
    smooth: float
    plain: float


REACTIONS = {"calm": Reaction(0.53, 2.5, 1.5), "normal": Reaction(0.2, 2.5, 1.0), "quick": Reaction(0.1, 2.5, 0.3)}


class Short(NamedTuple):
    """What the network says of a short window.

    Attributes
    ----------
    raw : ndarray of float32, shape (tags,)
        The scores.
    features : mapping of {str: ndarray of float32}
        What heads predict from, by name.
    """

    raw: Array
    features: Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Pace:
    """How the scores of a hop are made.

    Attributes
    ----------
    smooth : float
        Time constant in seconds.
    long : float
        Share of the long window, 0..1; the rest is the short one's.
    short : Short or None
        The newest short window.
    change : Change
        The greatest change since the hop before.
    """

    smooth: float
    long: float = 1.0
    short: Short | None = None
    change: Change = NO_CHANGE

    def mixed(self, long: Array, short: Array) -> Array:
        """Scores of the long and of the short window, by their shares."""
        return short + np.float32(self.long) * (long - short)


class Pacer:
    """Follows the same frames as the long windows, 64 ms by 64 ms. For one thread at a time.

    Parameters
    ----------
    predictor : Predictor
        Predicts windows of `SHORT_FRAMES`, `STEP_FRAMES` apart.
    reaction : Reaction
        How to react.
    """

    def __init__(self, predictor: Predictor, reaction: Reaction) -> None:
        self.reaction = reaction
        self._windows = Windows(predictor)
        self._detector = ChangeDetector()
        self._short: Short | None = None
        self._change = NO_CHANGE
        self._age, self._at = LEAST_AGE, 0
        self.reset()

    def reset(self) -> None:
        """Start a new stream."""
        self._windows.reset()
        self._logmel: Array = np.empty((0, N_MELS), np.float32)  # the newest frames, as far as they are still needed
        self._begin_anew(0)

    def reset_history(self) -> None:
        """Go on as if silence had come before (see `Windows.reset_history`)."""
        self._windows.reset_history()
        self._logmel = np.zeros_like(self._logmel)
        self._begin_anew(self._windows.frames)

    def warm_up(self) -> None:
        """Compile and touch what would make the first result late."""
        self._windows.predictor.warm_up()

    def push(self, logmel: Array) -> None:
        """Take frames: float32 (n, 96)."""
        self._windows.push(logmel)
        self._logmel = np.concatenate((self._logmel, logmel))

    def pass_silence(self, frames: int) -> None:
        """Take frames of silence (see `Windows.pass_silence`)."""
        self._windows.pass_silence(frames)
        self._windows.skip(self._windows.due)
        self._logmel = np.zeros((STEP_FRAMES, N_MELS), np.float32)

    def skip_to(self, end: int) -> None:
        """Be done with the windows up to frame `end`, unpredicted: the engine is behind."""
        self._windows.skip(self._due(end))
        self._discard()

    def rest_to(self, end: int) -> None:
        """The same because nothing is heard: what comes after is new."""
        self.skip_to(end)
        self._begin_anew(end)

    def pace(self, end: int) -> Pace:
        """Predict the windows up to frame `end`; how the scores of the long window that ends there are to be made."""
        change = NO_CHANGE
        while due := self._due(end):
            prediction = self._windows.take(due)
            features = prediction.features(self._windows.predictor.spec)
            for embedding in prediction.embedding:
                change = _greater(change, self._step(embedding))
            self._short = Short(prediction.taggram[-1], {name: value[-1] for name, value in features.items()})
        if change is not NO_CHANGE:
            self._change = change
        else:
            change = Change(self._change.odds)
        self._discard()
        age = self._age + (end - self._at) * FRAME_SECONDS
        smooth = min(self.reaction.smooth, max(LEAST_SMOOTH, SMOOTH_PER_AGE * age))
        if self._short is None:
            return Pace(smooth)
        return Pace(smooth, min(1.0, max(0.0, (age - YOUNG) / (GROWN - YOUNG))), self._short, change)

    def _step(self, embedding: Array) -> Change:
        """One short window further."""
        end = self._windows.end
        newest = end - self._windows.frames + len(self._logmel)
        self._windows.advance()
        change = self._detector.update(self._logmel[newest - STEP_FRAMES : newest].mean(0), embedding)
        age = self._age + (end - self._at) * FRAME_SECONDS
        if change.odds > 0:
            age = min(age, self.reaction.even_age / change.odds)
        if change.section is not None:  # it was no sudden change, and is one all the same
            age = min(age, SECTION_AGE)
        self._age, self._at = min(MOST_AGE, max(LEAST_AGE, age)), end
        return change

    def _due(self, end: int) -> int:
        """Windows that are due up to frame `end`."""
        return max(0, min(self._windows.due, (end - self._windows.end) // STEP_FRAMES + 1))

    def _discard(self) -> None:
        """Keep the frames that the windows to come will ask for."""
        needed = self._windows.frames - (self._windows.end - STEP_FRAMES)
        self._logmel = self._logmel[len(self._logmel) - max(0, needed) :]

    def _begin_anew(self, frame: int) -> None:
        self._detector.reset()
        self._short, self._change = None, NO_CHANGE
        self._age, self._at = LEAST_AGE, frame


def _greater(one: Change, other: Change) -> Change:
    """The greater of two changes, and the section that either has found."""
    return Change(max(one.odds, other.odds), other.section if one.section is None else one.section)
