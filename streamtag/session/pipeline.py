"""Events in, frames out: what a live session does with what it hears, without a thread and without a source."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from streamtag.results import State, TagFrame
from streamtag.session.commands import Pause, Reset, Resume, SetHeadThreshold, SetHop, SetThreshold, SetTop, SwapHead
from streamtag.session.events import Back, Ended, Event, Gone, Lost, NewStream, Samples
from streamtag.session.level import Level
from streamtag.session.meter import Meter
from streamtag.tagging.tagger import Tagger

TOLERATED_BACKLOG_SECONDS = 0.1
"""Sound cards deliver in bursts: this much may be predicted late before windows are given up for the newest."""


class Times(Protocol):
    """Where the frames' time lies to the clock."""

    def times(self, at: float) -> tuple[float, float]:
        """Capture and arrival time (`time.monotonic()`) of what is heard at `at`, in seconds of the frames' time."""
        ...

    def now(self) -> float:
        """Seconds of the frames' time at this moment."""
        ...


class Pipeline:
    """Feeds a tagger with events, and passes on its frames. For one thread at a time.

    Parameters
    ----------
    tagger : Tagger
        Predicts.
    times : Times
        Stamps the frames.
    pass_on : callable
        Takes each frame; returns when it has been sent.

    Attributes
    ----------
    meter : Meter
        Counts hops and their latency.
    level : Level
        How loud what comes in is.
    paused : bool
        Whether nothing is to be predicted and sent.
    gone : bool
        Whether the input is gone.
    gate_closed : bool
        Whether the newest frame was gated.
    ended : Ended or None
        Set when nothing more will come, and all that was heard has been passed on.
    """

    def __init__(self, tagger: Tagger, times: Times, pass_on: Callable[[TagFrame], None]) -> None:
        self.meter = Meter()
        self.level = Level()
        self.paused = False
        self.gone = False
        self.gate_closed = False
        self.ended: Ended | None = None
        self._tagger = tagger
        self._times = times
        self._send = pass_on

    @property
    def state(self) -> State:
        """What the session is doing as long as it runs."""
        return State.RECOVERING if self.gone else State.PAUSED if self.paused else State.RUNNING

    @property
    def idle(self) -> bool:
        """Whether all windows that are complete are done with."""
        return not self._tagger.due

    def handle(self, event: Event) -> None:
        """Act on one event."""
        match event:
            case Samples(samples, samplerate):
                self.level.feed(samples, samplerate)
                self._tagger.feed_mono(samples, samplerate)
            case Lost(samples=count, samplerate=samplerate):
                self._tagger.lose(count, samplerate)
            case NewStream(samplerate, gap):
                self._tagger.begin_stream(gap, samplerate)
            case Gone(at):
                self.gone = True  # also when paused: a light that is on would stay on
                self._announce(self._tagger.release_all(at))
            case Back():
                self.gone = False
            case Ended(error):
                if error is None and not self.paused:
                    for frame in self._tagger.flush():
                        self._pass_on(frame)
                self.ended = event
            case Pause():
                self.paused = True
            case Resume():
                self.paused = False
            case Reset():
                self._announce(self._tagger.release_all(self._times.now()))
                self._tagger.reset_history()
            case SetHop(seconds):
                self.skip_all()
                self._tagger.set_hop(seconds)
            case SetTop(count):
                self._tagger.set_top(count)
            case SetThreshold(threshold):
                self._tagger.set_threshold(threshold)
            case SetHeadThreshold(score):
                self._tagger.set_head_threshold(score)
            case SwapHead(head):
                self._tagger.swap_head(head)

    def predict(self) -> bool:
        """Predict the oldest window that is due, and pass it on. Returns whether there was anything to do.

        When windows pile up beyond a burst of the sound card, all but the newest are given up, and counted.
        """
        if self.idle:
            return False
        self._skip_if_behind()
        if not self.idle:
            for frame in self._tagger.step():
                self._pass_on(frame)
        return True

    def skip_all(self) -> None:
        """Give up all windows that are due, and count them."""
        due = self._tagger.due
        self._tagger.skip(due)
        self.meter.skipped += due

    def _skip_if_behind(self) -> None:
        due, hop = self._tagger.due, self._tagger.hop
        if self.paused:
            self._tagger.skip(due)
            self.meter.paused += due
            return
        keeps_up = self.meter.step_cost < hop
        allowed = max(1, int(TOLERATED_BACKLOG_SECONDS / hop)) if keeps_up else 1
        if due > allowed:
            self._tagger.skip(due - 1)
            self.meter.skipped += due - 1

    def _pass_on(self, frame: TagFrame) -> None:
        """Pass on what was heard in a window."""
        captured, arrived = self._times.times(frame.time)
        self.gate_closed = frame.gated
        self._send(replace(frame, captured=captured, arrived=arrived, predicted=time.monotonic()))
        if not frame.gated:
            self.meter.hops += 1
            self.meter.sent(captured, arrived, time.monotonic())

    def _announce(self, frame: TagFrame) -> None:
        """Pass on what is true from now on, and stands for no window."""
        now = time.monotonic()
        self.gate_closed = frame.gated
        self._send(replace(frame, captured=now, arrived=now, predicted=now))
