"""From a stream of frames to judged windows: the interface, and the plain way of doing it.

An evaluator takes frames in any chunking and, every `hop_frames` frames, judges the newest `window_frames` of them.
Window w covers frames ``[w * hop_frames, w * hop_frames + window_frames)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from streamtag.errors import OptionError
from streamtag.networks.specs import N_MELS, ModelSpec, check_window, find_spec
from streamtag.networks.weights import load_weights

if TYPE_CHECKING:
    from streamtag.sliding import Prepared
    from streamtag.sliding.vgg_prepared import PreparedVgg

Array = NDArray[np.float32]
Engine = Literal["auto", "sliding", "tensorflow"]


@dataclass(frozen=True, slots=True)
class Judged:
    """What an evaluator says of n consecutive windows (fewer if some were skipped before them).

    Attributes
    ----------
    first : number of the first of these windows.
    taggram : float32 (n, tags), 0..1.
    embedding : float32 (n, units).
    """

    first: int
    taggram: Array
    embedding: Array


@dataclass(frozen=True, slots=True)
class JudgedPools(Judged):
    """The same with musicnn's pooled features, from an evaluator that has them.

    Attributes
    ----------
    max_pool, mean_pool : float32 (n, channels), musicnn's features of these names.
    """

    max_pool: Array
    mean_pool: Array


class Evaluator(Protocol):
    """State of one stream. Not for several threads at once; several evaluators may run side by side."""

    @property
    def spec(self) -> ModelSpec:
        """The model that judges."""
        ...

    @property
    def name(self) -> str:
        """What does the work, for people: `TensorFlow`, `sliding` ..."""
        ...

    @property
    def window_frames(self) -> int:
        """Frames of a window."""
        ...

    @property
    def hop_frames(self) -> int:
        """Frames between the starts of two windows."""
        ...

    @property
    def due(self) -> int:
        """Windows that are complete and neither judged nor skipped."""
        ...

    def push(self, frames: Array) -> None:
        """Take frames: float32 (n, 96) log-mel, any n from 0."""
        ...

    def skip(self, windows: int) -> None:
        """Give up the oldest `windows` of those that are due."""
        ...

    def take(self, limit: int) -> Judged:
        """Judge the oldest windows that are due, `limit` of them at the most."""
        ...

    def repeat_to_window(self) -> bool:
        """With less than one window taken, repeat its frames until one is due (musicnn's repeat-pad).

        Returns whether there was anything to repeat.
        """
        ...

    def reset(self) -> None:
        """Forget all frames; the next one is frame 0 again."""
        ...

    def warm_up(self) -> None:
        """Compile and touch whatever would make the first window late."""
        ...


class PatchJudge(Protocol):
    """What `PatchEvaluator` needs of a network: `networks.network.Network` is one."""

    spec: ModelSpec
    window_frames: int

    def __call__(self, patches: Array) -> tuple[Array, Array]:
        """(n, window, 96) patches to taggram (n, tags) and embedding (n, units)."""
        ...

    def warm_up(self) -> None:
        """Make the first real call a quick one."""
        ...


class PoolJudge(PatchJudge, Protocol):
    """A network that also gives musicnn's pools."""

    def with_pools(self, patches: Array) -> tuple[Array, Array, Array, Array]:
        """(n, window, 96) patches to taggram, embedding, max_pool and mean_pool."""
        ...


class PatchEvaluator:
    """Judges each window whole, whatever it shares with the one before.

    Parameters
    ----------
    network : judges patches.
    hop_frames : frames between the starts of two windows, at least 1.
    name : for people.
    pools : the same network, where musicnn's pools are wanted too: results are then `JudgedPools`.
    """

    def __init__(
        self, network: PatchJudge, hop_frames: int, name: str = "full patch", pools: PoolJudge | None = None
    ) -> None:
        self.spec = network.spec
        self.window_frames = network.window_frames
        self.hop_frames = hop_frames
        self.name = name
        self._network = network
        self._pools = pools
        self.reset()

    def reset(self) -> None:
        """Forget all frames; the next one is frame 0 again."""
        self._frames: Array = np.empty((0, N_MELS), np.float32)
        self._ahead = 0  # frames of the gap before the next window that have not come yet (hop > window)
        self._next = 0

    @property
    def due(self) -> int:
        """Windows that are complete and neither judged nor skipped."""
        if self._ahead:
            return 0
        return max(0, (len(self._frames) - self.window_frames) // self.hop_frames + 1)

    def push(self, frames: Array) -> None:
        """Take frames: float32 (n, 96) log-mel."""
        self._frames = np.concatenate((self._frames, frames))
        self._drop(0)

    def skip(self, windows: int) -> None:
        """Give up the oldest `windows` of those that are due."""
        self._next += windows
        self._drop(windows * self.hop_frames)

    def take(self, limit: int) -> Judged:
        """Judge the oldest windows that are due, `limit` of them at the most."""
        count = min(limit, self.due)
        if not count:  # not every backend takes an empty batch
            tags, units = len(self.spec.labels), self.spec.embedding_size
            return Judged(self._next, np.empty((0, tags), np.float32), np.empty((0, units), np.float32))
        starts = range(0, count * self.hop_frames, self.hop_frames)
        patches = np.empty((count, self.window_frames, N_MELS), np.float32)
        for patch, start in zip(patches, starts, strict=True):
            patch[:] = self._frames[start : start + self.window_frames]
        first = self._next
        if self._pools is not None:
            judged: Judged = JudgedPools(first, *self._pools.with_pools(patches))
        else:
            judged = Judged(first, *self._network(patches))
        self.skip(count)
        return judged

    def repeat_to_window(self) -> bool:
        """With less than one window taken, repeat its frames until one is due (musicnn's repeat-pad)."""
        if self._next or self.due or not len(self._frames):
            return False
        self._frames = repeated(self._frames, self.window_frames)
        return True

    def warm_up(self) -> None:
        """Make the first window a quick one."""
        self._network.warm_up()
        if self._pools is not None:
            self._pools.with_pools(np.zeros((1, self.window_frames, N_MELS), np.float32))

    def _drop(self, frames: int) -> None:
        """Let go of frames before the next window, also of those that are still to come."""
        gone = min(self._ahead + frames, len(self._frames))
        self._ahead += frames - gone
        self._frames = self._frames[gone:]


def repeated(frames: Array, length: int) -> Array:
    """Frames, one after the other again and again, to `length` of them: musicnn's repeat-pad, for what is too short."""
    return np.tile(frames, (-(-length // len(frames)), 1))[:length]


FINE_HOP, COARSE_HOP = 0.016, 0.064
"""Seconds between results, where none are asked for: sliding, and judging each window whole."""
ENGINES: tuple[Engine, ...] = ("auto", "sliding", "tensorflow")


def make_evaluator(
    model: str, window_frames: int, hop_frames: int, engine: Engine = "auto", *, pools: bool = False
) -> Evaluator:
    """The evaluator for a model. Weights are read and networks built once a process, and shared.

    Parameters
    ----------
    model : musicnn's name of the model.
    window_frames, hop_frames : frames of a window, and from one to the next.
    engine : `sliding`: on the CPU, computing once what windows share. `tensorflow`: each window whole, through Keras,
        on a GPU where there is one (`KERAS_BACKEND` may name another backend). `auto`: sliding, which is the quicker on
        a CPU for every model and hop (docs/sliding.md); both give the same numbers.
    pools : whether results of musicnn models must be `JudgedPools` (sliding: they always are).

    Raises
    ------
    OptionError : a window or an engine that the model cannot take.
    ModelError : no such model, or something is wrong with its weights.
    """
    spec = find_spec(model)
    check_window(spec, window_frames)
    if not slides(model, engine):
        from streamtag.networks.network import shared_network

        network = shared_network(model, window_frames)
        return PatchEvaluator(network, hop_frames, name=network.backend, pools=network if pools else None)
    if spec.family == "vgg":
        from streamtag.sliding.vgg import SlidingVggEvaluator

        return SlidingVggEvaluator(_prepared_vgg(model), hop_frames)
    from streamtag.sliding import SlidingEvaluator

    return SlidingEvaluator(_prepared(model), window_frames, hop_frames)


def slides(model: str, engine: Engine) -> bool:
    """Whether the sliding engine is what `engine` means for a model.

    Raises
    ------
    UnknownModelError : no such model.
    OptionError : no such engine.
    """
    find_spec(model)
    if engine not in ENGINES:
        raise OptionError(f"the engine {engine!r}: {', '.join(ENGINES)} are known")
    return engine != "tensorflow"


@lru_cache(maxsize=4)
def _prepared(model: str) -> Prepared:
    from streamtag.sliding import prepare

    return prepare(load_weights(model))


@lru_cache(maxsize=4)
def _prepared_vgg(model: str) -> PreparedVgg:
    from streamtag.sliding.vgg_prepared import prepare_vgg

    return prepare_vgg(load_weights(model))
