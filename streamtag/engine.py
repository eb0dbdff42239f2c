"""The live session: from a source, through a tagger, to sinks, on a thread of its own.

`Session.step` is one turn of the loop. The thread only repeats it; tests call it by hand.

Who owns what: the source's thread writes the ring; the engine thread reads it and owns the tagger, the counters and the
sinks; callers read `stats`, iterate over frames, and leave requests (`pause`, `set_hop` ...), which the engine thread
carries out between two turns. The first error of the source, the engine or the control port ends the session and is
raised where the caller waits, iterates, or leaves the `with` block. An exception of a sink ends nothing: it is counted
and shown, the sink is called again, and the first of them is raised at the end.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import TracebackType

from streamtag.errors import OptionError, StreamtagError
from streamtag.osc.control import ControlPort
from streamtag.results import ENDED, TRANSITIONS, State, Stats, TagFrame
from streamtag.session.commands import Command, Pause, Reset, Resume, SetHop, SetThreshold, SetTop
from streamtag.session.intake import Intake
from streamtag.session.listeners import Listeners
from streamtag.session.meter import Meter
from streamtag.session.outlet import Outlet
from streamtag.sinks.base import HeadInfo, SessionInfo, Sink
from streamtag.sources.base import Source
from streamtag.tagging.smoothing import check_threshold, check_top
from streamtag.tagging.tagger import Tagger

POLL_SECONDS = 0.001
"""How often the ring is looked at. The audio thread wakes nobody: a lock there could make it late."""
RESTING_POLL_SECONDS = 0.008
"""The same while nothing is to be predicted."""
STATUS_SECONDS = 1.0
TOLERATED_BACKLOG_SECONDS = 0.1
"""Sound cards deliver in bursts: this much may be predicted late before windows are given up for the newest."""


class Session:
    """Listens to a source until it ends or `stop` is called.

    Parameters
    ----------
    source : Source
        Where samples come from; started and stopped by the session.
    tagger : Tagger
        Predicts; used by the session alone from `start` on.
    sinks : sequence of Sink
        Receive every frame; opened and closed by the session.
    control : ControlPort or None
        A port where OSC messages steer the session; opened and closed by it.
    """

    def __init__(
        self, source: Source, tagger: Tagger, sinks: Sequence[Sink] = (), *, control: ControlPort | None = None
    ) -> None:
        self.source = source
        self.tagger = tagger
        self.sinks = list(sinks)
        self.control = control
        self._intake = Intake(source, tagger)
        self._outlet = Outlet(self.sinks)
        self._listeners = Listeners()
        self._meter = Meter()
        self._commands: deque[Command] = deque()
        self._paused = False
        self._state = State.STARTING
        self._error: BaseException | None = None
        self._stopping = threading.Event()
        # waited for in place of the thread: before Python 3.13, a join that a signal interrupts takes it for ended
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="streamtag-engine", daemon=True)
        self._process = os.getpid()
        self._closed = self._source_stopped = False
        self._gate_closed = False
        self._absent = False  # whether the input is gone, and the sinks were notified that nothing is heard

    # --- for the caller -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Open the sinks, warm up, open the source, and begin.

        Raises
        ------
        StreamtagError
            What could not be opened; everything else is then closed again.
        """
        try:
            self.prepare()
        except BaseException:
            self._close()
            raise
        self._thread.start()

    def stop(self) -> None:
        """End the session; returns when all is flushed and closed.

        Within a sink it returns at once, and the session ends after this turn. In a forked process it does nothing.
        """
        if not self._is_here():  # a lock that was held at the fork is held for ever
            return
        self._stopping.set()
        if self._thread.ident is None:  # never started: nobody else releases the source
            self._close()
        elif threading.current_thread() is not self._thread:
            self._ended.wait()
            self._thread.join()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait up to `seconds` for the session to end. Returns whether it has.

        Raises
        ------
        Exception
            The first error of any thread of the session, or the first of a sink.
        """
        if self._thread.ident is not None:  # else it could not be started, and there is nothing to wait for
            self._check_here()
            if not self._ended.wait(seconds):
                return False
            self._thread.join()
        self._raise()
        return True

    def pause(self) -> None:
        """Predict and send nothing until `resume`; what is heard meanwhile counts for the windows after."""
        self._commands.append(Pause())

    def resume(self) -> None:
        """Predict again, at once and exactly."""
        self._commands.append(Resume())

    def reset(self) -> None:
        """Discard what was heard: scores go to 0, what is on is switched off, windows begin anew with silence."""
        self._commands.append(Reset())

    def set_hop(self, seconds: float) -> None:
        """Change the seconds between two predictions.

        Raises
        ------
        OptionError
            Shorter than a frame (0.016 s), or longer than an hour; or the tagger was given its predictor.
        """
        self.tagger.check_hop(seconds)
        self._commands.append(SetHop(seconds))

    def set_top(self, count: int) -> None:
        """Change how many tags each result names.

        Raises
        ------
        OptionError
            Less than 1, or more tags than there are.
        """
        check_top(count)
        if count > len(self.tagger.labels):
            raise OptionError(f"top {count}: {self.tagger.spec.name} has {len(self.tagger.labels)} tags")
        self._commands.append(SetTop(count))

    def set_threshold(self, score: float) -> None:
        """Change the score at which a tag switches on.

        Raises
        ------
        OptionError
            0 or less, or more than 1.
        """
        check_threshold(score)
        self._commands.append(SetThreshold(score))

    @property
    def stats(self) -> Stats:
        """Counters so far; may be read from any thread."""
        intake, meter, tagger, control = self._intake, self._meter, self.tagger, self.control
        counters = intake.counters
        gone = intake.gone_seconds if self._absent else 0.0  # a gap that is not over yet
        return Stats(
            state=self._state,
            trouble=self.source.recovering,
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
            gate_closed=self._gate_closed,
            frame_drops=self._listeners.drops,
            sink_drops=self._outlet.drops,
            sink_errors=self._outlet.errors,
            sink_trouble=self._outlet.trouble,
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
        )

    @property
    def frame_drops(self) -> int:
        """Frames that callers who iterate came too late for; see `stats.frame_drops`, where it belongs."""
        return self._listeners.drops

    def __enter__(self) -> Session:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        if error is None:
            self._raise()

    def __iter__(self) -> Iterator[TagFrame]:
        """Frames from now on, until the session ends; raises its first error."""
        if self._thread.ident is None:
            raise StreamtagError("this session was not started: use it in a with block, or call start() first")
        with self._listeners.listening() as listener:
            while True:
                self._check_here()
                frame = self._listeners.next(listener)
                if frame is None:
                    break
                yield frame
        self._ended.wait()
        self._raise()

    def _raise(self) -> None:
        error = self._error or self._outlet.first_error
        if error is not None and self._is_here():
            raise error

    def _is_here(self) -> bool:
        return self._process == os.getpid()

    def _check_here(self) -> None:
        if not self._is_here():  # its threads are the parent's
            raise StreamtagError("this session goes on in the process that started it, and not in this fork of it")
        if threading.current_thread() is self._thread:
            raise StreamtagError("a sink cannot wait for the session that calls it; stop() is possible")

    # --- one turn -------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """All that comes before the first turn: sinks opened, kernels and network warm, source started."""
        self._outlet.open(
            SessionInfo(
                model=self.tagger.spec.name,
                labels=self.tagger.labels,
                embedding_size=self.tagger.spec.embedding_size,
                source=self.source.name,
                samplerate=self.source.ring.samplerate,
                hop=self.tagger.hop,
                window=self.tagger.window,
                engine=self.tagger.engine,
                heads=tuple(HeadInfo(head.name, head.labels) for head in self.tagger.heads),
            )
        )
        self.tagger.warm_up()
        if self.control is not None:
            self.control.open(self)
        self.source.start()
        self._set_state(State.RUNNING)

    def step(self) -> bool:
        """Take what has come, predict at most one window, pass it on. Returns whether there was anything to do.

        When windows pile up beyond a burst of the sound card, all but the newest are given up, and counted.
        """
        began = time.monotonic()
        while self._commands:
            self._carry_out(self._commands[0])
            self._commands.popleft()  # only now: who sees none waiting may rely on all being carried out
        self._follow_source()
        took = self._intake.take()
        predicted = False
        if self.tagger.due:
            self._skip_if_behind()
            if self.tagger.due:
                self._predict()
            predicted = True
        if took or predicted:
            self._meter.worked(time.monotonic() - began, predicted=predicted)
        if self._meter.since_report(began) >= STATUS_SECONDS:
            self._report(began)
        return predicted or took

    def finish(self) -> None:
        """The source has ended: take the rest of the ring, end the stream, predict all that is left."""
        while self.step():
            pass
        if not self._paused:
            for frame in self.tagger.flush():
                self._pass_on(frame)

    def _follow_source(self) -> None:
        """Say so when the input goes or comes back."""
        gone = self.source.recovering is not None and not self._intake.waiting
        if not gone:
            self._absent = False
        elif not self._absent:  # also when paused: a light that is on would stay on
            self._absent = True
            self._pass_on(self.tagger.release_all(self._intake.now()), counted=False)
        here = State.RECOVERING if gone else State.PAUSED if self._paused else State.RUNNING
        if here is not self._state and self._state is not State.STARTING:
            self._set_state(here)

    def _skip_if_behind(self) -> None:
        due, hop = self.tagger.due, self.tagger.hop
        if self._paused:
            self.tagger.skip(due)
            self._meter.paused += due
            return
        keeps_up = self._meter.step_cost < hop
        allowed = max(1, int(TOLERATED_BACKLOG_SECONDS / hop)) if keeps_up else 1
        if due > allowed:
            self.tagger.skip(due - 1)
            self._meter.skipped += due - 1

    def _predict(self) -> None:
        for frame in self.tagger.step():
            self._pass_on(frame)

    def _pass_on(self, frame: TagFrame, *, counted: bool = True) -> None:
        now = time.monotonic()
        captured, arrived = self._intake.times(frame.time) if counted else (now, now)
        stamped = replace(frame, captured=captured, arrived=arrived, predicted=now)
        self._gate_closed = frame.gated
        self._meter.hops += counted and not frame.gated
        self._outlet.frame(stamped)
        if counted and not frame.gated:
            self._meter.sent(captured, arrived, time.monotonic())
        self._listeners.publish(stamped)

    def _report(self, now: float) -> None:
        self._meter.report(now)
        self._outlet.status(self.stats)

    def _set_state(self, state: State) -> None:
        if state not in TRANSITIONS[self._state]:
            raise StreamtagError(f"a session that is {self._state.value} cannot become {state.value}")
        self._state = state
        if state in ENDED:
            self._listeners.end()
        self._report(time.monotonic())

    def _carry_out(self, command: Command) -> None:
        match command:
            case Pause():
                self._paused = True
            case Resume():
                self._paused = False
            case Reset():
                self._pass_on(self.tagger.release_all(self._intake.now()), counted=False)
                self.tagger.reset_history()
            case SetHop(seconds):
                self._skip_all()
                self.tagger.set_hop(seconds)
            case SetTop(count):
                self.tagger.set_top(count)
            case SetThreshold(score):
                self.tagger.set_threshold(score)

    def _skip_all(self) -> None:
        due = self.tagger.due
        self.tagger.skip(due)
        self._meter.skipped += due

    # --- the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        ended = State.FINISHED
        try:
            while not self._stopping.is_set():
                # asked before the ring is read: what came before the end is then certainly in it
                over = self.source.finished
                if self.control is not None and self.control.error is not None:
                    raise self.control.error
                if not self.step():
                    if over:
                        break
                    self._stopping.wait(RESTING_POLL_SECONDS if self._gate_closed or self._absent else POLL_SECONDS)
            if self.source.error is not None:
                raise self.source.error
            if not self._stopping.is_set():
                self.finish()
        except BaseException as error:  # surfaces in the caller
            self._error, ended = error, State.FAILED
        self._settle()
        try:
            self._set_state(ended)
        except Exception as error:  # a mistake of ours
            self._error = self._error or error
        self._close()
        self._ended.set()

    def _settle(self) -> None:
        """Stop the source, and count what was still on its way."""
        self._stop_source()
        try:
            self._intake.drain()
            self._intake.settle(self._absent)
            self._absent = False
            self._skip_all()
        except Exception as error:
            self._error = self._error or error

    def _stop_source(self) -> None:
        """Stop the source, once."""
        if not self._source_stopped:
            self._source_stopped = True
            self._try(self.source.stop)

    def _close(self) -> None:
        """Stop the source and close what was opened, once; the first error is kept."""
        self._stop_source()
        if not self._closed:
            self._closed = True
            if self.control is not None:
                self._try(self.control.close)
            self._try(self._outlet.close)
            self._listeners.end()

    def _try(self, close: Callable[[], None]) -> None:
        try:
            close()
        except Exception as error:
            self._error = self._error or error
