"""From what the network says of each window to frames: smoothing, switches and heads, hop after hop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamtag.errors import OptionError
from streamtag.heads.head import PlainHead
from streamtag.inference.networks.specs import ModelSpec
from streamtag.results import HeadFrame, TagFrame
from streamtag.tagging.calibration import Calibration, place
from streamtag.tagging.change import Change
from streamtag.tagging.heads import PlayingHead
from streamtag.tagging.music import MusicGate
from streamtag.tagging.reaction import Pace
from streamtag.tagging.selection import TagSelection, selected
from streamtag.tagging.smoothing import NOTHING, Rolling, Switched, check_threshold, check_top
from streamtag.tagging.space import EmbeddingFollower

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a window lies.

    Attributes
    ----------
    index : int
        Its number.
    time : float
        Seconds from the start to its newest sample.
    level : float
        Level of its newest hop in dBFS.
    since : float
        Seconds since the window before, skipped ones included; infinite to release everything at once.
    gain : float or None
        What its newest frame was raised by in dB; None where the level stays as it is.
    """

    index: int
    time: float
    level: float
    since: float
    gain: float | None = None


class Scores:
    """Rolling scores of the model's tags and of heads. For one thread at a time.

    Parameters
    ----------
    spec : ModelSpec
        The model.
    heads : sequence of PlainHead
        Your own tags that are predicted too.
    top : int
        See `Rolling`.
    smooth : float
        See `Rolling`.
    threshold : float or str
        See `Rolling`; or a percentage of each tag's own scale.
    head_threshold : float
        That of the heads.
    calibration : Calibration or None
        Each tag's own scale.
    music : MusicGate or None
        Says whether it is music.
    music_only : bool
        Whether tags rest while it is not.
    steady : bool
        See `Rolling`; for the model's tags.
    follower : EmbeddingFollower or None
        Smooths the embedding; None leaves it as it is.
    selection : TagSelection or None
        Which of the model's tags there are.

    Attributes
    ----------
    labels : tuple of str
        The tags, in the order of the scores.
    """

    def __init__(
        self,
        spec: ModelSpec,
        heads: Sequence[PlainHead],
        *,
        top: int,
        smooth: float,
        threshold: float | str,
        head_threshold: float,
        calibration: Calibration | None = None,
        music: MusicGate | None = None,
        music_only: bool = False,
        steady: bool = False,
        follower: EmbeddingFollower | None = None,
        selection: TagSelection | None = None,
    ) -> None:
        self._spec = spec
        self._selected = None if selection is None else selected(selection, spec.labels)
        self.labels = spec.labels if self._selected is None else self._selected.labels
        if self._selected is not None and calibration is not None:
            calibration = calibration.only(self._selected.columns)
        self._follower = follower or EmbeddingFollower(None, 0.0)
        self._calibration = calibration
        self._music = music
        self._music_only = music_only and music is not None
        check_threshold(head_threshold)
        self._heads = [PlayingHead(head, top=top, smooth=smooth, threshold=head_threshold) for head in heads]
        self._rolling = Rolling(self.labels, top=top, smooth=smooth, steady=steady)
        self.set_threshold(threshold)

    @property
    def heads(self) -> tuple[PlainHead, ...]:
        """Your own tags that are predicted too."""
        return tuple(playing.head for playing in self._heads)

    def reset(self) -> None:
        """Forget all scores: the next are taken as they are, and all tags are off."""
        self._rolling.reset()
        self._follower.reset()
        if self._music is not None:
            self._music.reset()
        for head in self._heads:
            head.reset()

    def set_top(self, count: int) -> None:
        """Change how many tags each frame names.

        Raises
        ------
        OptionError
            Less than 1.
        """
        check_top(count)
        self._rolling.top = count
        for head in self._heads:
            head.set_top(count)

    def check_threshold(self, threshold: float | str) -> None:
        """Refuse a threshold that cannot be used; may be called from any thread.

        Raises
        ------
        OptionError
            Out of range; a percentage where there is no calibration.
        """
        if (level := place(threshold)) is None:
            assert not isinstance(threshold, str)
            check_threshold(threshold)
        elif self._calibration is None:
            raise OptionError(
                f"threshold {level:.0%}: a percentage is one of each tag's own scale, and there is none here: add a "
                "calibration, or give a score, for example 0.2"
            )

    def set_threshold(self, threshold: float | str) -> None:
        """Change the rolling score, or the place on each tag's own scale, at which a tag switches on.

        Raises
        ------
        OptionError
            See `check_threshold`.
        """
        of_one = {} if self._selected is None else self._selected.thresholds
        for one in (threshold, *of_one.values()):
            self.check_threshold(one)
        scores = self._as_scores(threshold)
        if of_one:
            scores = np.broadcast_to(np.asarray(scores, np.float32), len(self.labels)).copy()
            for number, one in of_one.items():
                scores[number] = np.broadcast_to(self._as_scores(one), len(self.labels))[number]
        self._rolling.threshold = scores

    def _as_scores(self, threshold: float | str) -> float | Array:
        """A threshold as a score, or as one for each tag."""
        level = place(threshold)
        if level is not None and self._calibration is not None:
            # what has never been heard in the reference is not on in silence
            return np.maximum(self._calibration.scores_at(level), np.float32(NOTHING))
        assert not isinstance(threshold, str)
        return threshold

    def _chosen(self, raw: Array) -> Array:
        """The model's scores of the tags that there are."""
        return raw if self._selected is None else raw[self._selected.columns]

    def set_head_threshold(self, score: float) -> None:
        """Change the rolling probability at which a class of a head switches on.

        Raises
        ------
        OptionError
            Out of range.
        """
        check_threshold(score)
        for head in self._heads:
            head.set_threshold(score)

    def swap_head(self, head: PlainHead) -> None:
        """Go on with a head that has learned again, in place of the one of its name (see `PlayingHead.swap`)."""
        for playing in self._heads:
            if playing.head.name == head.name:
                playing.swap(head)

    def update(
        self,
        moment: Moment,
        raw: Array,
        embedding: Array,
        features: Mapping[str, Array],
        pace: Pace | None = None,
    ) -> TagFrame:
        """Take what the network says of a window.

        Parameters
        ----------
        moment : Moment
            Where the window lies.
        raw : ndarray of float32, shape (tags,)
            The scores.
        embedding : ndarray of float32, shape (units,)
            The layer before them.
        features : mapping of {str: ndarray of float32}
            What heads predict from, by name.
        pace : Pace or None
            How quickly scores follow; None for the usual smoothing.

        Returns
        -------
        TagFrame
            The frame.
        """
        raw = self._chosen(raw)
        heads = tuple(head.update(features, moment.since, pace) for head in self._heads)
        if self._music is not None:
            self._music.update(features, moment.since, pace)
        if self._music_only and self._music is not None and not self._music.is_music:
            switched = self._rolling.rest(moment.since)
        else:
            switched = self._follow(raw, moment.since, pace)
        change = None if pace is None or pace.short is None else pace.change
        return self._frame(moment, raw, embedding, switched, heads, gated=False, change=change)

    def _follow(self, raw: Array, since: float, pace: Pace | None) -> Switched:
        if pace is None or pace.short is None:
            return self._rolling.update(raw, since)
        return self._rolling.update(pace.mixed(raw, self._chosen(pace.short.raw)), since, pace.smooth, margin=pace.long)

    def rest(self, moment: Moment) -> TagFrame:
        """Let all scores fall, as nothing is heard (see `Rolling.rest`)."""
        heads = tuple(head.rest(moment.since) for head in self._heads)
        if self._music is not None:
            self._music.rest(moment.since)
        switched = self._rolling.rest(moment.since)
        raw, embedding = np.zeros(len(self.labels), np.float32), np.zeros(self._spec.embedding_size, np.float32)
        return self._frame(moment, raw, embedding, switched, heads, gated=True)

    def _frame(
        self,
        moment: Moment,
        raw: Array,
        embedding: Array,
        switched: Switched,
        heads: tuple[HeadFrame, ...],
        *,
        gated: bool,
        change: Change | None = None,
    ) -> TagFrame:
        scores = self._rolling.scores
        assert scores is not None
        embedding = self._follower.update(embedding, moment.since)
        calibrated = None if self._calibration is None else self._calibration.calibrated(scores)
        for array in (raw, embedding, scores, *([] if calibrated is None else [calibrated])):
            array.flags.writeable = False
        return TagFrame(
            index=moment.index,
            time=moment.time,
            raw=raw,
            scores=scores,
            top=self._rolling.best(),
            switched=switched,
            on=frozenset(label for label, on in zip(self.labels, self._rolling.on, strict=True) if on),
            embedding=embedding,
            level_dbfs=moment.level,
            heads=heads,
            gated=gated,
            gain_db=moment.gain,
            calibrated=calibrated,
            music=None if self._music is None else self._music.score,
            change=None if change is None else change.probability,
            section=None if change is None else change.section,
            xyz=self._follower.xyz,
        )
