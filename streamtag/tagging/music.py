"""Whether what is heard is music: a small head that ships beside the model, and what follows from it.

The networks were trained on music alone and name tags for anything: a voice is Hip-Hop, applause electronic. A head
learned on both says which it is (models/README.md has how it was made). Its probability is smoothed, and while that is
low the model's tags rest as they do in silence.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from streamtag.heads.file import check_heads, load_head
from streamtag.heads.head import PlainHead
from streamtag.inference.networks.catalogue import model_folders, weights_sha256
from streamtag.inference.networks.specs import ModelSpec
from streamtag.tagging.reaction import Pace
from streamtag.tagging.smoothing import Rolling

SMOOTH_SECONDS = 1.0
THRESHOLD = 0.5
"""Rolling probability at which music begins; it ends below 0.8 times that, as tags do."""
SUFFIX = ".music.head"


def shipped_music_head(spec: ModelSpec) -> PlainHead | None:
    """The head that is installed beside a model's weights; None if there is none, or it is of other weights.

    Raises
    ------
    HeadError
        One that is there, and cannot be read.
    """
    for folder in model_folders():
        path = folder / f"{spec.name}{SUFFIX}"
        if path.is_file():
            head = load_head(path)
            if head.model_sha256 != weights_sha256(spec.name):
                return None
            check_heads([head], spec)
            return head
    return None


class MusicGate:
    """Follows whether one stream is music. For one thread at a time.

    Parameters
    ----------
    head : PlainHead
        Says of a window how likely it is music: its first class.
    """

    def __init__(self, head: PlainHead) -> None:
        self._head = head
        self._rolling = Rolling(head.labels, top=1, smooth=SMOOTH_SECONDS, threshold=THRESHOLD)

    @property
    def is_music(self) -> bool:
        """Whether it is music now."""
        return bool(self._rolling.on[0])

    @property
    def score(self) -> float:
        """Rolling probability that it is, 0..1."""
        return 0.0 if self._rolling.scores is None else float(self._rolling.scores[0])

    def reset(self) -> None:
        """Start a new stream: the next window says how it is."""
        self._rolling.reset()

    def update(self, features: Mapping[str, NDArray[np.float32]], seconds: float, pace: Pace | None = None) -> None:
        """Take a window.

        Parameters
        ----------
        features : mapping of {str: ndarray of float32}
            All features of the window by name, each of shape (units,).
        seconds : float
            Time since the window before, skipped ones included.
        pace : Pace or None
            How quickly the probability follows, never more slowly than usual; None for the usual smoothing.
        """
        observed = self._predicted(features)
        if pace is not None and pace.short is not None and pace.long < 1:
            observed = pace.mixed(observed, self._predicted(pace.short.features))
        self._rolling.update(observed, seconds, None if pace is None else min(SMOOTH_SECONDS, pace.smooth))

    def rest(self, seconds: float) -> None:
        """Take time in which nothing is heard, which is no music."""
        self._rolling.rest(seconds)

    def _predicted(self, features: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        joined = self._head.joined(features)
        return np.asarray(self._head.decision.probabilities(joined[None])[0], np.float32)
