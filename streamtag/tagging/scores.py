"""From what the network says of each window to frames: smoothing, switches and heads, hop after hop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamtag.heads.head import PlainHead
from streamtag.inference.networks.specs import ModelSpec
from streamtag.results import HeadFrame, TagFrame
from streamtag.tagging.heads import PlayingHead
from streamtag.tagging.smoothing import Rolling, Switched, check_threshold, check_top

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
    """

    index: int
    time: float
    level: float
    since: float


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
    smooth, threshold : float
        See `Rolling`.
    """

    def __init__(
        self, spec: ModelSpec, heads: Sequence[PlainHead], *, top: int, smooth: float, threshold: float
    ) -> None:
        self._spec = spec
        self._heads = [PlayingHead(head, top=top, smooth=smooth, threshold=threshold) for head in heads]
        self._rolling = Rolling(spec.labels, top=top, smooth=smooth, threshold=threshold)

    @property
    def heads(self) -> tuple[PlainHead, ...]:
        """Your own tags that are predicted too."""
        return tuple(playing.head for playing in self._heads)

    def reset(self) -> None:
        """Forget all scores: the next are taken as they are, and all tags are off."""
        self._rolling.reset()
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
        self._tell_heads()

    def set_threshold(self, score: float) -> None:
        """Change the rolling score at which a tag switches on.

        Raises
        ------
        OptionError
            Out of range.
        """
        check_threshold(score)
        self._rolling.threshold = score
        self._tell_heads()

    def update(self, moment: Moment, raw: Array, embedding: Array, features: Mapping[str, Array]) -> TagFrame:
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

        Returns
        -------
        TagFrame
            The frame.
        """
        heads = tuple(head.update(features, moment.since) for head in self._heads)
        switched = self._rolling.update(raw, moment.since)
        return self._frame(moment, raw, embedding, switched, heads, gated=False)

    def rest(self, moment: Moment) -> TagFrame:
        """Let all scores fall, as nothing is heard (see `Rolling.rest`)."""
        heads = tuple(head.rest(moment.since) for head in self._heads)
        switched = self._rolling.rest(moment.since)
        raw, embedding = np.zeros(len(self._spec.labels), np.float32), np.zeros(self._spec.embedding_size, np.float32)
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
    ) -> TagFrame:
        scores = self._rolling.scores
        assert scores is not None
        for array in (raw, embedding, scores):
            array.flags.writeable = False
        return TagFrame(
            index=moment.index,
            time=moment.time,
            raw=raw,
            scores=scores,
            top=self._rolling.best(),
            switched=switched,
            on=frozenset(label for label, on in zip(self._spec.labels, self._rolling.on, strict=True) if on),
            embedding=embedding,
            level_dbfs=moment.level,
            heads=heads,
            gated=gated,
        )

    def _tell_heads(self) -> None:
        for head in self._heads:
            head.set(top=self._rolling.top, threshold=self._rolling.threshold)
