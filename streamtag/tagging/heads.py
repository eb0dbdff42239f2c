"""Heads at work on one stream: beside the model's tags, with the same smoothing, and a threshold of their own."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from streamtag.heads.head import PlainHead
from streamtag.results import HeadFrame
from streamtag.tagging.reaction import Pace
from streamtag.tagging.smoothing import Rolling, Switched


class PlayingHead:
    """One head and its rolling probabilities.

    Parameters
    ----------
    head : PlainHead
        Makes the predictions.
    top : int
        See `Rolling`.
    smooth, threshold : float
        See `Rolling`.
    """

    def __init__(self, head: PlainHead, *, top: int, smooth: float, threshold: float) -> None:
        self.head = head
        self._rolling = Rolling(head.labels, top=top, smooth=smooth, threshold=threshold)

    def reset(self) -> None:
        """Reset the rolling probabilities."""
        self._rolling.reset()

    def swap(self, head: PlainHead) -> None:
        """Go on with another decision for the same classes; the rolling probabilities stay as they are."""
        self.head = head

    def set_top(self, count: int) -> None:
        """Change how many classes are named."""
        self._rolling.top = count

    def set_threshold(self, score: float) -> None:
        """Change the rolling probability at which a class switches on."""
        self._rolling.threshold = score

    def rest(self, seconds: float) -> HeadFrame:
        """Let probabilities fall, as nothing is heard (see `Rolling.rest`)."""
        nothing = np.zeros(len(self.head.labels), np.float32)
        return self._frame(nothing, self._rolling.rest(seconds), np.empty(0, np.float32))

    def update(
        self, features: Mapping[str, NDArray[np.float32]], seconds: float, pace: Pace | None = None
    ) -> HeadFrame:
        """Make the prediction for a window.

        Parameters
        ----------
        features : mapping of {str: ndarray of float32}
            All features of one window by name, each of shape (units,).
        seconds : float
            Time since the window before, skipped ones included.
        pace : Pace or None
            How quickly the probabilities follow; None for the usual smoothing.

        Returns
        -------
        HeadFrame
            The head's prediction at this hop.
        """
        joined = self.head.joined(features)
        raw = observed = self._predicted(joined)
        if pace is not None and pace.short is not None and pace.long < 1:
            observed = pace.mixed(raw, self._predicted(self.head.joined(pace.short.features)))
        switched = self._rolling.update(observed, seconds, None if pace is None else pace.smooth)
        return self._frame(raw, switched, joined)

    def _predicted(self, joined: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(self.head.decision.probabilities(joined[None])[0], np.float32)

    def _frame(self, raw: NDArray[np.float32], switched: Switched, joined: NDArray[np.float32]) -> HeadFrame:
        assert self._rolling.scores is not None
        for array in (raw, self._rolling.scores, joined):
            array.flags.writeable = False
        return HeadFrame(
            name=self.head.name,
            raw=raw,
            scores=self._rolling.scores,
            top=self._rolling.best(),
            switched=switched,
            on=frozenset(label for label, on in zip(self.head.labels, self._rolling.on, strict=True) if on),
            features=joined,
        )
