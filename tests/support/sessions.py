"""Sessions whose source, network and clock a test holds in its hands."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import settings

from streamtag.engine import Session
from streamtag.errors import SinkError
from streamtag.inference.networks.specs import SPECS
from streamtag.inference.patches import PatchPredictor
from streamtag.osc.control import ControlPort
from streamtag.results import Stats, TagFrame
from streamtag.ringbuffer import RingBuffer
from streamtag.sinks.base import SessionInfo
from streamtag.tagging.tagger import Tagger
from tests.support.networks import PlainNetwork

RATE = 16_000


WINDOW = 20
"""Frames of a window here: 0.336 s."""


HOP = 4
"""Frames between two: 0.064 s, as by default."""


FRAME, FFT = 256, 512


HOP_SAMPLES = HOP * FRAME


SOUND = np.random.default_rng(5).normal(0, 0.1, 8 * RATE).astype(np.float32) * np.repeat(
    np.array([1, 0.2, 0.6, 0], np.float32), 2 * RATE
)


few = settings(max_examples=25, deadline=None, derandomize=True)


def last_sample(window: int, hop: int = HOP) -> int:
    """The newest sample of a window."""
    return (window * hop + WINDOW - 1) * FRAME + FFT


def windows_in(samples: int, hop: int = HOP) -> int:
    """How many windows so many samples at 16 kHz hold."""
    frames = max(0, (samples - FFT) // FRAME + 1)
    return max(0, (frames - WINDOW) // hop + 1)


class ScriptedSource:
    """Delivers what the test tells it to, when it tells it to."""

    name = "script"
    note = None

    def __init__(self, refusal: Exception | None = None, log: list[str] | None = None) -> None:
        self.ring = RingBuffer(RATE)
        self.recovering: str | None = None
        self.finished = False
        self.error: BaseException | None = None
        self.position = 0
        self.log = [] if log is None else log
        self._refusal = refusal

    def start(self) -> None:
        if self._refusal:
            raise self._refusal
        self.log.append("source started")

    def stop(self) -> None:
        if "source stopped" not in self.log:  # it may be stopped again
            self.log.append("source stopped")

    def deliver(self, samples: int, captured: float | None = None) -> None:
        block = np.resize(SOUND, self.position + samples)[self.position :]
        self.ring.write(block, time.monotonic() if captured is None else captured)
        self.position += samples

    def go(self) -> None:
        """The device is unplugged."""
        self.recovering = "unplugged"

    def come_back(self, rate: int = RATE) -> None:
        """Begin again, into another ring."""
        self.ring.successor = self.ring = RingBuffer(rate)
        self.recovering = None

    def end(self, error: BaseException | None = None) -> None:
        self.error = error
        self.finished = True


class Judge(PlainNetwork):
    """Scores that are arithmetic on the patch. May be slow, or fail, from a call on."""

    spec = SPECS["MSD_musicnn"]
    window_frames = WINDOW

    def __init__(self, cost: float = 0, fails_at: int | None = None, error: Exception | None = None) -> None:
        self._cost, self._fails_at, self._error = cost, fails_at, error
        self.calls = 0

    def __call__(self, patches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.calls += 1
        if self._fails_at is not None and self.calls >= self._fails_at:
            raise self._error or RuntimeError("the judge is ill")
        time.sleep(self._cost)
        means = np.stack([patch.mean(axis=0) for patch in patches])
        return (means[:, :50] / 6).astype(np.float32), np.repeat(means, 3, axis=1)[:, :200].copy()


class Recorder:
    """A sink that keeps what it is told, and fails where it is told to."""

    def __init__(self, name: str = "recorder", fails: Sequence[str] = (), log: list[str] | None = None) -> None:
        self.name, self.drops = name, 0
        self.frames: list[TagFrame] = []
        self.states: list[Stats] = []
        self.info: SessionInfo | None = None
        self.log = [] if log is None else log
        self._fails = fails

    def _may_fail(self, at: str) -> None:
        if at in self._fails:
            raise SinkError(f"{self.name} failed at {at}")

    def open(self, info: SessionInfo) -> None:
        self._may_fail("open")
        self.info = info
        self.log.append(f"{self.name} opened")

    def frame(self, frame: TagFrame) -> None:
        self._may_fail("frame")
        self.frames.append(frame)

    def status(self, stats: Stats) -> None:
        self._may_fail(stats.state.value)
        self.states.append(stats)

    def close(self) -> None:
        self.log.append(f"{self.name} closed")
        self._may_fail("close")


def make_tagger(judge: Judge | None = None, hop: int = HOP, **options: Any) -> Tagger:
    return Tagger(predictor=PatchPredictor(judge or Judge(), hop), **options)


class ScriptedSession(Session):
    """A session that a test may ask for its scripted source."""

    source: ScriptedSource


def make_session(
    *sinks: Recorder,
    judge: Judge | None = None,
    hop: int = HOP,
    source: ScriptedSource | None = None,
    control: ControlPort | None = None,
    **options: Any,
) -> ScriptedSession:
    return ScriptedSession(source or ScriptedSource(), make_tagger(judge, hop, **options), sinks, control=control)


class Clock:
    """Stands where it is put, in place of `time.monotonic`."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def play(self, session: ScriptedSession, seconds: float, block: int = 800) -> None:
        """Let sound come in blocks, each when it has been captured, and the session keep up with it."""
        rate = session.source.ring.samplerate
        for _ in range(round(seconds * rate / block)):
            self.now += block / rate
            session.source.deliver(block)
            pump(session)

    def wait(self, session: Session, seconds: float) -> None:
        """Let time pass in which nothing comes."""
        self.now += seconds
        pump(session)


def pump(session: Session) -> None:
    while session.step() or session.requests_waiting:
        pass
