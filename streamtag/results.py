"""The values that leave the engine. All are immutable: they cross threads without locks."""

from __future__ import annotations

import enum
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamtag.errors import StreamtagError

SILENCE_DBFS = -120.0
"""What a level of nothing at all is given as."""


def _renamed(old: str, new: str) -> Callable[[object], Any]:
    """The getter of an attribute's former name, which is kept for one release."""

    def get(self: object) -> Any:
        """Former name, deprecated since 0.2."""
        warnings.warn(f"{old} is now called {new}", DeprecationWarning, stacklevel=2)
        return getattr(self, new)

    return get


class Value:
    """Values with arrays: equal where all fields are, usable in sets, and short to read."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        mine, theirs = _values(self), _values(other)
        return all(_equal(one, another) for one, another in zip(mine, theirs, strict=True))

    def __hash__(self) -> int:
        return hash(tuple(value for value in _values(self) if not isinstance(value, np.ndarray | Mapping)))


def _values(value: Any) -> tuple[Any, ...]:
    """The fields of a dataclass, in order."""
    return tuple(getattr(value, field.name) for field in fields(value))


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(_equal(value, other[key]) for key, value in one.items())
    return bool(one == other)


def shown(top: Sequence[tuple[str, float]]) -> str:
    """Tags and their scores, for a `repr`."""
    return ", ".join(f"{tag} {score:.2f}" for tag, score in top) or "nothing"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class HeadFrame(Value):
    """The prediction of one head (your own tags) at one hop.

    Attributes
    ----------
    name : str
        The head's name.
    raw : ndarray of float32, shape (classes,)
        Probabilities for this window alone. Not to be written to.
    scores : ndarray of float32, shape (classes,)
        The rolling probabilities. Not to be written to.
    top : tuple of tuple of (str, float)
        The best of `scores`, best first, as (class, score).
    switched : tuple of tuple of (str, bool)
        Classes that crossed their threshold at this hop, as (class, is on now).
    on : frozenset of str
        The classes that are on now.
    features : ndarray of float32
        What the head predicted from; empty where it made no prediction. Not to be written to.
    """

    name: str
    raw: NDArray[np.float32]
    scores: NDArray[np.float32]
    top: tuple[tuple[str, float], ...]
    switched: tuple[tuple[str, bool], ...]
    on: frozenset[str]
    features: NDArray[np.float32]

    def __repr__(self) -> str:
        return f"HeadFrame({self.name!r}: {shown(self.top)}; on: {', '.join(sorted(self.on)) or 'nothing'})"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TagFrame(Value):
    """What is heard at one hop.

    Attributes
    ----------
    index : int
        Number of the hop, counting skipped ones.
    time : float
        Seconds of audio from the start of the stream to the newest sample that was heard; time in which the input was
        gone counts.
    raw : ndarray of float32, shape (tags,)
        The model's scores for this window, 0..1. Not to be written to.
    scores : ndarray of float32, shape (tags,)
        The rolling scores (smoothed), 0..1. Not to be written to.
    top : tuple of tuple of (str, float)
        The best of `scores`, best first, as (tag, score).
    switched : tuple of tuple of (str, bool)
        Tags that crossed their threshold at this hop, as (tag, is on now).
    on : frozenset of str
        The tags that are on now.
    embedding : ndarray of float32, shape (units,)
        The layer before the tags, smoothed where that is asked for. Not to be written to.
    level_dbfs : float
        Level of the newest hop, RMS of the mono mix, 0 dBFS = full scale; -120 for silence.
    captured : float or None
        When the newest sample was captured, in seconds of `time.monotonic()`; None where there is no clock.
    arrived : float or None
        When that sample arrived at streamtag, on the same clock; None where there is no clock.
    predicted : float or None
        When the scores were ready and began to be sent, on the same clock; None where there is no clock.
    heads : tuple of HeadFrame
        The prediction of each head, in the order they were given.
    gated : bool
        Whether the network was at rest, because of silence or because the input is gone. `raw` and `embedding` are then
        zeros, and `scores` are falling to 0.
    calibrated : ndarray of float32, shape (tags,), or None
        The rolling scores, each on its tag's own scale: 0.5 is usual in music, 0.95 rare (see `Calibration`). None
        without a calibration. Not to be written to.
    music : float or None
        How likely it is that what is heard is music, 0..1, smoothed; None where it is not asked (option `music`).
    gain_db : float or None
        What the newest frame was raised by, in dB, to be at the level that the models know; None where the level stays
        as it is (option `level`), and where no window was heard.
    change : float or None
        How likely it is that the music has changed within about the last second, 0..1; None where nobody listens for it
        (option `react`), and at rest.
    section : float or None
        Where a new section of the music is found: how many seconds ago it began.
    xyz : tuple of float or None
        The embedding as three coordinates, each -1..1, which glide and mean the same every night (see `Coordinates`);
        None where the model has none.
    """

    index: int
    time: float
    raw: NDArray[np.float32]
    scores: NDArray[np.float32]
    top: tuple[tuple[str, float], ...]
    switched: tuple[tuple[str, bool], ...]
    on: frozenset[str]
    embedding: NDArray[np.float32]
    level_dbfs: float
    captured: float | None = None
    arrived: float | None = None
    predicted: float | None = None
    heads: tuple[HeadFrame, ...] = ()
    gated: bool = False
    gain_db: float | None = None
    calibrated: NDArray[np.float32] | None = None
    music: float | None = None
    change: float | None = None
    section: float | None = None
    xyz: tuple[float, float, float] | None = None

    def __repr__(self) -> str:
        heads = "".join(f"; {head.name}: {shown(head.top)}" for head in self.heads)
        return (
            f"TagFrame({self.index} at {self.time:.3f} s, {self.level_dbfs:.1f} dBFS{', gated' * self.gated}: "
            f"{shown(self.top)}; on: {', '.join(sorted(self.on)) or 'nothing'}{heads})"
        )

    @property
    def latency_ms(self) -> float:
        """Milliseconds from the capture of the newest sample to the scores being sent; 0 where there is no clock."""
        if self.captured is None or self.predicted is None:
            return 0.0
        return 1e3 * (self.predicted - self.captured)

    rested = property(_renamed("TagFrame.rested", "gated"))
    judged = property(_renamed("TagFrame.judged", "predicted"))


class State(enum.Enum):
    """What a live session is doing. `TRANSITIONS` says what may follow what."""

    STARTING = "starting"
    RUNNING = "running"
    RECOVERING = "recovering"
    PAUSED = "paused"
    FINISHED = "finished"
    FAILED = "failed"

    def to(self, after: State) -> State:
        """The state that follows, if the table lets it.

        Raises
        ------
        StreamtagError
            If it does not: a mistake of the program.
        """
        if after not in TRANSITIONS[self]:
            raise StreamtagError(f"a session that is {self.value} cannot become {after.value}")
        return after


ENDED = frozenset({State.FINISHED, State.FAILED})
TRANSITIONS: dict[State, frozenset[State]] = {
    # all is ready and the source has begun; a session that cannot start stays as it is
    State.STARTING: frozenset({State.RUNNING}),
    # the input is gone; pause() was called; the source has ended
    State.RUNNING: frozenset({State.RECOVERING, State.PAUSED}) | ENDED,
    # the input is back; so it is, and the session is paused
    State.RECOVERING: frozenset({State.RUNNING, State.PAUSED}) | ENDED,
    # resume() was called; the input is gone
    State.PAUSED: frozenset({State.RUNNING, State.RECOVERING}) | ENDED,
    State.FINISHED: frozenset(),
    State.FAILED: frozenset(),
}


@dataclass(frozen=True, slots=True, eq=False)
class Stats(Value):
    """Counters of a live session so far.

    What comes in adds up: ``samples_captured == samples_in + samples_lost`` once the session has ended (before that,
    some are on their way). So do hops: every hop of the time that passed is in `hops` or in one of the other three.

    Attributes
    ----------
    state : State
        What the session is doing.
    trouble : str or None
        Why it is recovering, or None.
    hop : float
        Seconds between two predictions.
    samplerate : int
        Hz of the input.
    seconds : float
        How much audio was taken in.
    samples_captured : int
        Samples that the source delivered.
    samples_in : int
        Samples that reached the engine.
    samples_lost : int
        Samples that were delivered and found no room in the ring.
    overflows : int
        Times the sound system reported that it lost samples of its own (it does not say how many).
    clock_jumps : int
        Times the device's clock jumped: it was suspended, or samples were lost before they arrived here.
    nonfinite : int
        NaN or infinite samples that were replaced by 0.
    gaps : int
        Times the input was gone; also if it is now.
    gap_seconds : float
        How long these were altogether, from the last sample before to the first after, or to now.
    hops : int
        Windows predicted.
    hops_gated : int
        Windows for which the network was at rest: silence below the gate, or paused.
    hops_skipped : int
        Windows given up because the engine was behind.
    hops_lost : int
        Windows that would have ended while no samples came.
    gate_closed : bool
        Whether the gate is closed now.
    level_dbfs : float
        Level of what came in of late, from the first block on; -120 for silence.
    warnings : dict of {str: str}
        What is wrong with what is heard at present, in words, by kind: exact zeros, clipping, lost samples ...
    frame_drops : int
        Frames that callers who iterate over the session came too late for.
    sink_drops : dict of {str: int}
        Messages lost by sinks that were too slow or could not be reached, by sink.
    sink_errors : dict of {str: str}
        The first exception of each sink that raised one, by sink.
    sink_trouble : dict of {str: str}
        What is wrong with a sink at present, by sink.
    control_commands, control_ignored : int
        Messages to the control port that were carried out, and that were not.
    control_last_ignored : str or None
        Why the last of these was not.
    load : float
        Share of real time the engine spends working, 0..1 and above.
    latency_p50, latency_p99, latency_p999 : float
        Milliseconds from the capture of the newest sample to its tags being sent, of all hops predicted so far.
    added_p50, added_p99, added_p999 : float
        The same from that sample's arrival at streamtag: what streamtag itself adds, the sound system's buffers apart.
    corrections : int
        Times a head was corrected, has learned again, and played on.
    clock_ppm : float or None
        How much faster than this machine's clock the input's is, in parts per million: a sound card's, a station's;
        None before it is known, after some ten seconds.
    title : str or None
        What plays, in the words of the radio station that is heard; None where nobody says.
    """

    state: State
    trouble: str | None
    hop: float
    samplerate: int
    seconds: float
    samples_captured: int
    samples_in: int
    samples_lost: int
    overflows: int
    clock_jumps: int
    nonfinite: int
    gaps: int
    gap_seconds: float
    hops: int
    hops_gated: int
    hops_skipped: int
    hops_lost: int
    gate_closed: bool
    level_dbfs: float
    warnings: dict[str, str]
    frame_drops: int
    sink_drops: dict[str, int]
    sink_errors: dict[str, str]
    sink_trouble: dict[str, str]
    control_commands: int
    control_ignored: int
    control_last_ignored: str | None
    load: float
    latency_p50: float
    latency_p99: float
    latency_p999: float
    added_p50: float
    added_p99: float
    added_p999: float
    corrections: int = 0
    clock_ppm: float | None = None
    title: str | None = None

    hops_rested = property(_renamed("Stats.hops_rested", "hops_gated"))
    resting = property(_renamed("Stats.resting", "gate_closed"))


def dbfs(mean_square: float) -> float:
    """Level of a mean square in dBFS, not below -120."""
    return max(SILENCE_DBFS, float(10 * np.log10(mean_square + 1e-30)))


def best_tags(labels: Sequence[str], scores: NDArray[np.floating[Any]], count: int) -> tuple[tuple[str, float], ...]:
    """The `count` best tags and their scores, best first; ties as musicnn breaks them."""
    order = scores.argsort()[::-1][:count]
    return tuple((labels[i], float(scores[i])) for i in order)
