"""A head as plain arrays: from features to probabilities with NumPy and nothing else.

Every classifier is one against the rest: a margin for each class from its own decision, so that one class or several
may be true of a clip. Margins become probabilities by a sigmoid for each class (Platt, 1999), fitted on clips that the
classifier had not seen; where exactly one class is true they are then scaled to a sum of 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from streamtag.dsp.params import LevelOption
from streamtag.errors import HeadError
from streamtag.heads.examples import TrainingSet
from streamtag.results import Value

Array = NDArray[np.float64]
Kind = Literal["svm", "linear", "knn", "mlp"]
Statistic = Literal["mean", "patches"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Decision(Value):
    """A fitted classifier as arrays.

    Attributes
    ----------
    kind : {'svm', 'linear', 'knn', 'mlp'}
        How margins come of the arrays; see `margins`.
    exclusive : bool
        Whether exactly one class is true of a clip.
    arrays : mapping of {str: ndarray of float64}
        The arrays by name. All kinds: `projection` (features, units) and `offset` (units,), which scale and turn the
        features; `slope` and `intercept` (classes,) of the sigmoids. svm: `vectors` (n, units), `weights` (n, classes),
        `bias` (classes,), `gamma` (1,). linear: `weights` (units, classes), `bias`. knn: `vectors`, `targets`
        (n, classes) of 0 and 1, `neighbours` (1,). mlp: `weights` (units, hidden), `bias` (hidden,), `weights_out`
        (hidden, classes), `bias_out` (classes,).
    """

    kind: Kind
    exclusive: bool
    arrays: Mapping[str, Array]

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in self.arrays.items())
        return f"Decision({self.kind!r}, exclusive={self.exclusive}: {shapes})"

    def margins(self, features: NDArray[np.floating[Any]]) -> Array:
        """How far inside each class: (n, features) to float64 (n, classes)."""
        a = self.arrays
        z = features.astype(np.float64) @ a["projection"] + a["offset"]
        margins: Array
        match self.kind:
            case "linear":
                margins = z @ a["weights"] + a["bias"]
            case "mlp":
                margins = np.maximum(z @ a["weights"] + a["bias"], 0) @ a["weights_out"] + a["bias_out"]
            case "svm":
                margins = np.exp(-a["gamma"] * _squared_distances(z, a["vectors"])) @ a["weights"] + a["bias"]
            case "knn":
                order = np.argsort(_squared_distances(z, a["vectors"]), axis=1, kind="stable")
                margins = a["targets"][order[:, : int(a["neighbours"][0])]].mean(axis=1)
        return margins

    def logits(self, features: NDArray[np.floating[Any]]) -> Array:
        """Calibrated log-odds of each class: (n, features) to float64 (n, classes)."""
        logits: Array = self.margins(features) * self.arrays["slope"] + self.arrays["intercept"]
        return logits

    def probabilities(self, features: NDArray[np.floating[Any]]) -> Array:
        """Calibrated probabilities: (n, features) to float64 (n, classes), 0..1."""
        chances: Array = np.exp(-np.logaddexp(0, -self.logits(features)))
        if not self.exclusive:
            return chances
        totals: Array = np.maximum(chances.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
        return chances / totals


def _squared_distances(a: Array, b: Array) -> Array:
    squares = (a**2).sum(axis=1)[:, None] - 2 * (a @ b.T) + (b**2).sum(axis=1)
    return np.asarray(np.maximum(squares, 0), np.float64)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PlainHead(Value):
    """Your own tags, ready to be used: a decision, and what it was learned from.

    Attributes
    ----------
    name : str
        Its human-readable name, also used in OSC addresses.
    model : str
        The model whose features it uses.
    model_sha256 : str
        Checksum of that model's weights.
    features : tuple of str
        Names of the features, in the order in which they are joined.
    statistic : {'mean', 'patches'}
        `mean`: learned from the mean over each file's patches; `patches`: from single patches.
    window_frames : int
        Frames of the patches it was learned from.
    labels : tuple of str
        Its classes.
    decision : Decision
        How features become probabilities.
    facts : mapping of {str: object}
        What else is known of it, JSON values only: figures, counts, versions.
    level : {'auto', 'off'}
        At which level it heard what it was learned from (see `TaggingOptions`), and so should hear what it plays on.
    examples : TrainingSet or None
        What it was learned from, for corrections; None where that was not kept, as in heads of streamtag 0.1.
    """

    name: str
    model: str
    model_sha256: str
    features: tuple[str, ...]
    statistic: Statistic
    window_frames: int
    labels: tuple[str, ...]
    decision: Decision
    facts: Mapping[str, Any] = field(default_factory=dict)
    level: LevelOption = "off"
    examples: TrainingSet | None = None

    def __repr__(self) -> str:
        return f"PlainHead({self.name!r}: {', '.join(self.labels)}; {self.decision.kind} on {self.model})"

    @property
    def needs_pools(self) -> bool:
        """Whether it uses `max_pool` or `mean_pool`, which a predictor gives only when asked."""
        return any(name.endswith("_pool") for name in self.features)

    def fits_in_place_of(self, other: PlainHead) -> bool:
        """Whether this can go on where another played: the same name, classes, and features of the same model."""
        mine, theirs = (
            (head.name, head.labels, head.model, head.features, head.window_frames) for head in (self, other)
        )
        return mine == theirs

    def joined(self, features: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """Its features out of all of them, joined along the last axis: float32 (..., features)."""
        if len(self.features) == 1:
            return features[self.features[0]]
        return np.concatenate([features[name] for name in self.features], axis=-1)

    def of_file(self, patches: NDArray[np.float32]) -> Array:
        """Probabilities for a whole file: float64 (classes,).

        Parameters
        ----------
        patches : ndarray of float32, shape (patches, features)
            Features of each patch, joined.

        Returns
        -------
        ndarray of float64, shape (classes,)
            Probabilities.
        """
        rows = patches.mean(axis=0, keepdims=True, dtype=np.float64) if self.statistic == "mean" else patches
        chances: Array = self.decision.probabilities(rows).mean(axis=0)
        return chances


def as_heads(given: Any) -> tuple[PlainHead, ...]:
    """Heads as callers give them.

    Parameters
    ----------
    given : sequence of PlainHead, or PlainHead
        Several, or one.

    Returns
    -------
    tuple of PlainHead
        The same.

    Raises
    ------
    HeadError
        What is no head.
    """
    heads = tuple(given) if isinstance(given, Iterable) and not isinstance(given, str) else (given,)
    for head in heads:
        if not isinstance(head, PlainHead):
            raise HeadError(f"{head!r} is no head: give what streamtag.load_head returns")
    return heads


def common_level(heads: Iterable[PlainHead]) -> LevelOption | None:
    """The level at which heads that play together were learned; None where there are none.

    Parameters
    ----------
    heads : iterable of PlainHead
        The heads.

    Returns
    -------
    {'auto', 'off'} or None
        Their level.

    Raises
    ------
    HeadError
        Learned at different levels: the sound is heard once, at one level.
    """
    told = {head.level: head.name for head in heads}
    if len(told) > 1:
        raise HeadError(
            f"heads learned at different levels cannot play together ({told['auto']}: auto, {told['off']}: off): "
            f"learn {told['off']} again with --level auto, or give --level, and all hear that"
        )
    return next(iter(told), None)
