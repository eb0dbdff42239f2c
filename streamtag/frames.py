"""The values that leave the engine. All are immutable: they cross threads without locks."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

SILENCE_DBFS = -120.0
"""What a level of nothing at all is given as."""


@dataclass(frozen=True, slots=True)
class HeadFrame:
    """What one head (your own tags) says at one hop.

    Attributes
    ----------
    name : of the head.
    raw : float32 (classes,), probabilities for this window alone. Not to be written to.
    scores : float32 (classes,), the rolling probabilities. Not to be written to.
    top : the best of `scores`, best first, as (class, score).
    switched : classes that crossed their threshold at this hop, as (class, is on now).
    on : the classes that are on now.
    features : float32, what the head judged. Not to be written to.
    """

    name: str
    raw: NDArray[np.float32]
    scores: NDArray[np.float32]
    top: tuple[tuple[str, float], ...]
    switched: tuple[tuple[str, bool], ...]
    on: frozenset[str]
    features: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TagFrame:
    """What is heard at one hop.

    Attributes
    ----------
    index : number of the hop, counting skipped ones.
    time : seconds of audio from the start of the stream to the newest sample that was heard.
    raw : float32 (tags,), the model's scores for this window, 0..1. Not to be written to.
    scores : float32 (tags,), the rolling scores (smoothed), 0..1. Not to be written to.
    top : the best of `scores`, best first, as (tag, score).
    switched : tags that crossed their threshold at this hop, as (tag, is on now).
    on : the tags that are on now.
    embedding : float32 (units,), the layer before the tags. Not to be written to.
    level_dbfs : level of the newest hop, RMS of the mono mix, 0 dBFS = full scale; -120 for silence.
    captured : when the newest sample was captured, in seconds of `time.monotonic()`; None where there is no clock.
    judged : when the scores were ready, on the same clock; None where there is no clock.
    heads : what each head says, in the order they were given.
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
    judged: float | None = None
    heads: tuple[HeadFrame, ...] = ()
    rested: bool = False

    @property
    def latency_ms(self) -> float:
        """Milliseconds from the capture of the newest sample to the scores being sent; 0 where there is no clock."""
        if self.captured is None or self.judged is None:
            return 0.0
        return 1e3 * (self.judged - self.captured)


class State(enum.Enum):
    """What a live session is doing."""

    STARTING = "starting"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Stats:
    """Counters of a live session so far.

    Attributes
    ----------
    state : what the session is doing.
    seconds : of audio taken in.
    samples_in : samples that reached the engine.
    samples_lost : samples that were captured and found no room in the ring.
    overflows : times the sound system reported that it lost samples of its own (it does not say how many).
    nonfinite : NaN or infinite samples that were replaced by 0.
    hops : windows judged.
    hops_skipped : windows given up because the engine was behind.
    sink_drops : messages lost by sinks that were too slow or could not be reached, by sink.
    load : share of real time the engine spends working, 0..1 and above.
    latency_p50, latency_p99 : milliseconds, of all hops so far.
    """

    state: State
    seconds: float
    samples_in: int
    samples_lost: int
    overflows: int
    nonfinite: int
    hops: int
    hops_skipped: int
    sink_drops: dict[str, int]
    load: float
    latency_p50: float
    latency_p99: float
    latency_p999: float = 0.0
    added_p50: float = 0.0
    added_p99: float = 0.0
    added_p999: float = 0.0
    gaps: int = 0
    gap_seconds: float = 0.0
    hops_rested: int = 0
    hops_lost: int = 0
    samples_captured: int = 0
    control_ignored: int = 0
    resting: bool = False
    sink_errors: dict[str, str] = field(default_factory=dict)


def dbfs(mean_square: float) -> float:
    """Level of a mean square in dBFS, not below -120."""
    return max(SILENCE_DBFS, float(10 * np.log10(mean_square + 1e-30)))
