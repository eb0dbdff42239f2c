"""What the engine thread repeats: take what has come, predict, pass on, report; and how it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from streamtag.osc.control import ControlPort
from streamtag.results import ENDED, State, Stats, TagFrame
from streamtag.session.commands import Requests, Reset
from streamtag.session.intake import Intake
from streamtag.session.listeners import Listeners
from streamtag.session.meter import Meter
from streamtag.session.outlet import Outlet
from streamtag.session.pipeline import Pipeline
from streamtag.session.watch import Counts, Watch
from streamtag.sinks.base import HeadInfo, SessionInfo, Sink
from streamtag.sources.base import Source, notes_of, title_of
from streamtag.tagging.tagger import Tagger

POLL_SECONDS = 0.001
"""How often the ring is looked at. The audio thread wakes nobody: a lock there could make it late."""
RESTING_POLL_SECONDS = 0.008
"""The same while nothing is to be predicted."""
STATUS_SECONDS = 1.0
FIRST_STATUS_SECONDS = 0.25
"""The same until the first result: a level is to be seen at once, not only after a window of sound."""


class Loop:
    """The parts of a session and their life: opened in order, one turn after the other, closed in order.

    A `Session` is a handle on one; the thread holds the loop and not the handle, so that a session which its caller
    has dropped is noticed.

    Parameters
    ----------
    source : Source
        Where samples come from.
    tagger : Tagger
        Predicts.
    sinks : sequence of Sink
        Receive every frame.
    control : ControlPort or None
        A port where OSC messages steer the session.
    save_heads : mapping of {str: path}
        Where each head goes when it was corrected, by name.

    Attributes
    ----------
    name : str
        What the input is called among several; empty where there is one.
    requests : Requests
        What callers and the control port ask for.
    listeners : Listeners
        Callers who iterate over frames.
    state : State
        What the session is doing.
    error : BaseException or None
        The first error of the source, the engine or the control port.
    stopping : threading.Event
        Set by whoever wants the session to end.
    ended : threading.Event
        Set when all is flushed and closed.
    """

    def __init__(
        self,
        source: Source,
        tagger: Tagger,
        sinks: Sequence[Sink],
        control: ControlPort | None,
        save_heads: Mapping[str, str | Path] | None = None,
    ) -> None:
        self.name = ""
        self.source = source
        self.tagger = tagger
        self.control = control
        self.requests = Requests(tagger, save_heads)
        self.listeners = Listeners()
        self.state = State.STARTING
        self.error: BaseException | None = None
        self.stopping = threading.Event()
        self.ended = threading.Event()
        self.outlet = Outlet(sinks, self.listeners)
        self._intake = Intake(source, tagger.front_end.rate)
        self._pipeline = Pipeline(tagger, self._intake, self._pass_on)
        self._watch = Watch()
        self._heard = False  # whether there was a frame
        self._title: str | None = None  # as it was reported last
        self._closed = self._source_stopped = False
        self._finishing = threading.RLock()  # reentrant: a sink that is closed may stop the session once more

    def shared_with(self, other: Loop) -> str | None:
        """What two sessions have in common, of that which only one can use."""
        if self.source is other.source:
            return "source"
        if self.tagger is other.tagger:
            return "tagger"
        return "control port" if self.control is not None and self.control is other.control else None

    def prepare(self) -> None:
        """All that comes before `begin`: sinks opened, kernels and network warm."""
        tagger = self.tagger
        tagger.reset()  # what it heard before is none of this session's
        self.outlet.open(
            SessionInfo(
                model=tagger.spec.name,
                labels=tagger.labels,
                embedding_size=tagger.spec.embedding_size,
                source=self.source.name,
                samplerate=self.source.ring.samplerate,
                hop=tagger.hop,
                window=tagger.window,
                engine=tagger.engine,
                heads=tuple(HeadInfo(head.name, head.labels) for head in tagger.heads),
                input=self.name,
            )
        )
        tagger.warm_up()
        if self.control is not None:
            self.control.open(self.requests)

    def begin(self) -> None:
        """Start the source: turns are to be made from now on."""
        self.source.start()
        self._set_state(State.RUNNING)

    def run(self) -> None:
        """Make turns until the source ends, something fails, or `stopping` is set; then close all."""
        while (rest := self.turn()) is not None:
            if rest:
                self.stopping.wait(rest)

    def turn(self) -> float | None:
        """One `step`, or the end. Returns for how many seconds there may be nothing to do; None when all is closed."""
        try:
            if not self.stopping.is_set() and self._pipeline.ended is None:
                if self.control is not None and self.control.error is not None:
                    raise self.control.error
                if self.step():
                    return 0.0
                return RESTING_POLL_SECONDS if self._pipeline.gate_closed or self._pipeline.gone else POLL_SECONDS
        except BaseException as error:  # surfaces in the caller
            self.error = error
        self.finish()
        return None

    def step(self) -> bool:
        """One turn: take what has come, predict at most one window, pass it on. Returns whether there was any work."""
        began = time.monotonic()
        command = self.requests.take(began)
        if command is not None:
            self._pipeline.handle(command)
            if isinstance(command, Reset):
                self.requests.corrections.forget()
            self.requests.done(began, time.monotonic())
        events = self._intake.take(idle=self._pipeline.idle)
        for event in events:
            self._pipeline.handle(event)
        if self._pipeline.state is not self.state:
            self._set_state(self._pipeline.state)
        predicted = self._pipeline.predict()
        if events or predicted:
            self.meter.worked(time.monotonic() - began, predicted=predicted)
        due = self.meter.since_report(began) >= (STATUS_SECONDS if self._heard else FIRST_STATUS_SECONDS)
        if due or title_of(self.source) != self._title:
            self._report(began)
        return bool(events) or predicted

    def finish(self) -> None:
        """Stop the source, count what was still on its way, and close all; once, whichever thread comes first."""
        with self._finishing:
            ended = self._pipeline.ended
            if ended is not None:
                self.error = self.error or ended.error
            if self.state is not State.STARTING and self.state not in ENDED:
                self._stop_source()
                self._try(self._settle)
                self._try(lambda: self._set_state(State.FAILED if self.error else State.FINISHED))
            self.close()

    def close(self) -> None:
        """Stop the source and close what was opened, once; the first error is kept."""
        self._stop_source()
        if not self._closed:
            self._closed = True
            if self.control is not None:
                self._try(self.control.close)
            self._try(self.outlet.close)
            self._try(self.requests.corrections.close)
        self.listeners.end()
        self.ended.set()

    @property
    def meter(self) -> Meter:
        """Counts hops, latency and work."""
        return self._pipeline.meter

    @property
    def stats(self) -> Stats:
        """Counters so far; may be read from any thread."""
        intake, meter, tagger, control = self._intake, self.meter, self.tagger, self.control
        counters, corrections = intake.counters, self.requests.corrections
        gone = intake.gone_seconds if intake.gone else 0.0  # a gap that is not over yet
        return Stats(
            state=self.state,
            trouble=str(self.error) if self.state is State.FAILED else self.source.recovering,
            hop=tagger.hop,
            samplerate=self.source.ring.samplerate,
            seconds=tagger.seconds_in,
            samples_captured=counters.offered,
            samples_in=tagger.samples_in,
            samples_lost=counters.lost,
            overflows=counters.overflows,
            clock_jumps=counters.clock_jumps,
            nonfinite=counters.nonfinite + tagger.nonfinite,
            gaps=intake.gaps + (gone > 0),
            gap_seconds=intake.gap_seconds + gone,
            hops=meter.hops,
            hops_gated=tagger.hops_gated + meter.paused,
            hops_skipped=meter.skipped,
            hops_lost=tagger.hops_lost,
            gate_closed=self._pipeline.gate_closed,
            level_dbfs=self._pipeline.level.dbfs,
            warnings={**self._watch.warnings, **notes_of(self.source), **corrections.warnings},
            frame_drops=self.listeners.drops,
            sink_drops=self.outlet.drops,
            sink_errors=self.outlet.errors,
            sink_trouble=self.outlet.trouble,
            control_commands=control.commands if control else 0,
            control_ignored=control.ignored if control else 0,
            control_last_ignored=control.last_ignored if control else None,
            load=meter.load,
            latency_p50=meter.latency.at(50),
            latency_p99=meter.latency.at(99),
            latency_p999=meter.latency.at(99.9),
            added_p50=meter.added.at(50),
            added_p99=meter.added.at(99),
            added_p999=meter.added.at(99.9),
            corrections=corrections.count,
            clock_ppm=self.source.ring.clock_ppm,
            title=title_of(self.source),
        )

    def _pass_on(self, frame: TagFrame) -> None:
        self._heard = True
        self.requests.corrections.hear(frame)
        self.outlet.frame(frame)
        self.listeners.publish(frame)

    def _report(self, now: float) -> None:
        self.meter.report(now)
        self._watch.look(now, self._counts(), self._pipeline.level)
        stats = self.stats
        self._title = stats.title
        self.outlet.status(stats)

    def _counts(self) -> Counts:
        counters, meter, level = self._intake.counters, self.meter, self._pipeline.level
        return Counts(
            lost=counters.lost,
            overflows=counters.overflows,
            nonfinite=counters.nonfinite + self.tagger.nonfinite,
            hops=meter.hops,
            skipped=meter.skipped,
            samples=level.samples,
            clipped=level.clipped,
            mad=level.mad,
        )

    def _set_state(self, state: State) -> None:
        self.state = self.state.to(state)
        if state in ENDED:
            self.listeners.end()
        self._report(time.monotonic())

    def _settle(self) -> None:
        """Count what the source, which has been stopped, has left, and what was not predicted any more."""
        for event in self._intake.drain():
            self._pipeline.handle(event)
        self._intake.settle()
        self._pipeline.skip_all()

    def _stop_source(self) -> None:
        """Stop the source, once."""
        if not self._source_stopped:
            self._source_stopped = True
            self._try(self.source.stop)

    def _try(self, close: Callable[[], None]) -> None:
        try:
            close()
        except BaseException as error:  # also SystemExit of somebody's sink: all else is still to be closed
            self.error = self.error or error
