"""The values that leave the engine. All are immutable: they cross threads without locks."""

from __future__ import annotations

import enum
from dataclasses import dataclass

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
    features : float32, what the head judged; empty where nothing was. Not to be written to.
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
    time : seconds of audio from the start of the stream to the newest sample that was heard; time in which the input
        was gone counts.
    raw : float32 (tags,), the model's scores for this window, 0..1. Not to be written to.
    scores : float32 (tags,), the rolling scores (smoothed), 0..1. Not to be written to.
    top : the best of `scores`, best first, as (tag, score).
    switched : tags that crossed their threshold at this hop, as (tag, is on now).
    on : the tags that are on now.
    embedding : float32 (units,), the layer before the tags. Not to be written to.
    level_dbfs : level of the newest hop, RMS of the mono mix, 0 dBFS = full scale; -120 for silence.
    captured : when the newest sample was captured, in seconds of `time.monotonic()`; None where there is no clock.
    arrived : when that sample came to streamtag, on the same clock; None where there is no clock.
    judged : when the scores were ready and began to be sent, on the same clock; None where there is no clock.
    heads : what each head says, in the order they were given.
    rested : whether the network was at rest, because of silence or because the input is gone. `raw` and `embedding` are
        then zeros, and `scores` are falling to 0.
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
    """What a live session is doing. `TRANSITIONS` says what may follow what."""

    STARTING = "starting"
    RUNNING = "running"
    RECOVERING = "recovering"
    PAUSED = "paused"
    FINISHED = "finished"
    FAILED = "failed"


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


@dataclass(frozen=True, slots=True)
class Stats:
    """Counters of a live session so far.

    What comes in adds up: ``samples_captured == samples_in + samples_lost`` once the session has ended (before that,
    some are on their way). So do hops: every hop of the time that passed is in `hops` or in one of the other three.

    Attributes
    ----------
    state : what the session is doing.
    trouble : why it is recovering, or None.
    hop : seconds between two judgements.
    samplerate : Hz of the input.
    seconds : of audio taken in.
    samples_captured : samples that the source delivered.
    samples_in : samples that reached the engine.
    samples_lost : samples that were delivered and found no room in the ring.
    overflows : times the sound system reported that it lost samples of its own (it does not say how many).
    clock_jumps : times the device's clock jumped: it was suspended, or samples were lost before they came here.
    nonfinite : NaN or infinite samples that were replaced by 0.
    gaps : times the input was gone; also if it is now.
    gap_seconds : for how long altogether, from the last sample before to the first after, or to now.
    hops : windows judged.
    hops_rested : windows for which the network was at rest: silence below the gate, or paused.
    hops_skipped : windows given up because the engine was behind.
    hops_lost : windows that would have ended while no samples came.
    resting : whether the gate is closed now.
    sink_drops : messages lost by sinks that were too slow or could not be reached, by sink.
    sink_errors : the first exception of each sink that raised one, by sink.
    sink_trouble : what is wrong with a sink at present, by sink.
    control_commands, control_ignored : messages to the control port that were carried out, and that were not.
    control_last_ignored : why the last of these was not.
    load : share of real time the engine spends working, 0..1 and above.
    latency_p50, latency_p99, latency_p999 : milliseconds from the capture of the newest sample to its tags being sent,
        of all hops judged so far.
    added_p50, added_p99, added_p999 : the same from when that sample came to streamtag: what streamtag itself adds,
        the sound system's buffers apart.
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
    hops_rested: int
    hops_skipped: int
    hops_lost: int
    resting: bool
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


def dbfs(mean_square: float) -> float:
    """Level of a mean square in dBFS, not below -120."""
    return max(SILENCE_DBFS, float(10 * np.log10(mean_square + 1e-30)))
