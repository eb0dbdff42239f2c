"""Heads at work on one stream: beside the model's tags, with the same smoothing and thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamtag.errors import HeadError
from streamtag.frames import HeadFrame
from streamtag.learn.headfile import load_head
from streamtag.learn.plain import PlainHead
from streamtag.networks.specs import ModelSpec
from streamtag.networks.weights import weights_sha256
from streamtag.rolling import Rolling, best_tags
from streamtag.slugs import slug


class PlayingHead:
    """One head and its rolling probabilities.

    Parameters
    ----------
    head : what judges.
    top, smooth, threshold : see `Rolling`.
    """

    def __init__(self, head: PlainHead, *, top: int, smooth: float, threshold: float) -> None:
        self.head = head
        self._rolling = Rolling(head.labels, top=top, smooth=smooth, threshold=threshold)

    def reset(self) -> None:
        """Forget the past."""
        self._rolling.reset()

    def set(self, *, top: int, threshold: float) -> None:
        """Change what `Rolling` was made with."""
        self._rolling.top, self._rolling.threshold = top, threshold

    def rest(self, seconds: float) -> HeadFrame:
        """Let probabilities fall, as nothing is heard (see `Rolling.rest`)."""
        nothing = np.zeros(len(self.head.labels), np.float32)
        return self._frame(nothing, self._rolling.rest(seconds), np.empty(0, np.float32))

    def update(self, features: Mapping[str, NDArray[np.float32]], seconds: float) -> HeadFrame:
        """Judge a window.

        Parameters
        ----------
        features : all features of one window by name, each float32 (units,).
        seconds : since the window before, skipped ones included.
        """
        judged = self.head.joined(features)
        raw = self.head.decision.probabilities(judged[None])[0].astype(np.float32)
        return self._frame(raw, self._rolling.update(raw, seconds), judged)

    def _frame(
        self, raw: NDArray[np.float32], switched: tuple[tuple[str, bool], ...], judged: NDArray[np.float32]
    ) -> HeadFrame:
        assert self._rolling.scores is not None
        for array in (raw, self._rolling.scores, judged):
            array.flags.writeable = False
        return HeadFrame(
            name=self.head.name,
            raw=raw,
            scores=self._rolling.scores,
            top=self._rolling.best(),
            switched=switched,
            on=frozenset(label for label, on in zip(self.head.labels, self._rolling.on, strict=True) if on),
            features=judged,
        )


def load_heads(paths: Sequence[str | Path]) -> list[PlainHead]:
    """Read several heads that are to play together.

    Raises
    ------
    HeadError : one that cannot be read, or two that cannot play together.
    """
    heads = [load_head(path) for path in paths]
    models = {head.model for head in heads}
    if len(models) > 1:
        told = ", ".join(f"{head.name} on {head.model}" for head in heads)
        raise HeadError(f"heads learned on different models cannot play together ({told}): learn them on one model")
    return heads


def check_heads(heads: Sequence[PlainHead], spec: ModelSpec) -> None:
    """Refuse heads that do not fit a model, or each other.

    Raises
    ------
    HeadError : learned on another model or other weights of it, or two of one name.
    """
    names: set[str] = set()
    for head in heads:
        if head.model != spec.name:
            raise HeadError(
                f"the head {head.name} was learned on {head.model}, not on {spec.name}: give --model {head.model}, "
                f"or learn it again with --model {spec.name}"
            )
        if head.model_sha256 and head.model_sha256 != weights_sha256(spec.name):
            raise HeadError(
                f"the head {head.name} was learned on other weights of {spec.name} than those installed: learn it again"
            )
        if slug(head.name) in names:
            raise HeadError(f"two heads are called {head.name}: learn one of them again with another --name")
        names.add(slug(head.name))


def whole_file(head: PlainHead, patches: NDArray[np.float32]) -> tuple[tuple[str, float], ...]:
    """What a head says of a whole file: (class, probability), best first.

    Parameters
    ----------
    patches : float32 (patches, units), what the head judged of each.
    """
    return best_tags(head.labels, head.of_file(patches), len(head.labels))
