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
from typing import TYPE_CHECKING

from streamtag.control import ControlPort
from streamtag.errors import OptionError, StreamtagError
from streamtag.evaluator import Engine
from streamtag.frames import ENDED, TRANSITIONS, State, Stats, TagFrame
from streamtag.intake import Intake
from streamtag.learn.plain import PlainHead
from streamtag.outlet import Outlet
from streamtag.percentiles import Percentiles
from streamtag.rolling import check_threshold, check_top
from streamtag.sinks import HeadInfo, SessionInfo, Sink
from streamtag.sources import Source
from streamtag.tagger import GATE_DBFS, Tagger

if TYPE_CHECKING:
    from streamtag.sources.device import Callback

POLL_SECONDS = 0.001
"""How often the ring is looked at. The audio thread wakes nobody: a lock there could make it late."""
RESTING_POLL_SECONDS = 0.008
"""The same while nothing is to be judged."""
STATUS_SECONDS = 1.0
TOLERATED_BACKLOG_SECONDS = 0.1
"""Sound cards deliver in bursts: so much may be judged late before windows are given up for the newest."""
WAITING_FRAMES = 256
"""Frames kept for a caller who iterates and is late."""


class Session:
    """Listens to a source until it ends or `stop` is called.

    Parameters
    ----------
    source : where samples come from; started and stopped by the session.
    tagger : judges; used by the session alone from `start` on.
    sinks : told of every frame; opened and closed by the session.
    control : a port where OSC messages steer the session; opened and closed by it.

    Attributes
    ----------
    frame_drops : frames that a caller who iterates came too late for.
    """

    def __init__(
        self, source: Source, tagger: Tagger, sinks: Sequence[Sink] = (), *, control: ControlPort | None = None
    ) -> None:
        self.source = source
        self.tagger = tagger
        self.sinks = list(sinks)
        self.control = control
        self.frame_drops = 0
        self._intake = Intake(source, tagger)
        self._outlet = Outlet(self.sinks)
        self._requests: deque[Callable[[], None]] = deque()
        self._paused = False
        self._state = State.STARTING
        self._error: BaseException | None = None
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._listeners: list[deque[TagFrame]] = []  # one for each caller who iterates
        # waited for in place of the thread: before Python 3.13, a join that a signal interrupts takes it for ended
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="streamtag-engine", daemon=True)
        self._process = os.getpid()
        self._hops = 0
        self._skipped = 0
        self._paused_hops = 0
        self._resting = False
        self._absent = False  # whether the input is gone, and the sinks have been told that nothing is heard
        self._latency, self._added = Percentiles(), Percentiles()
        self._busy = 0.0
        self._load = 0.0
        self._step_cost = 0.0  # seconds of a hop, averaged
        self._last_status = 0.0
        self._busy_at_status = 0.0

    # --- for the caller -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Open the sinks, warm up, open the source, and begin.

        Raises
        ------
        StreamtagError : what could not be opened; everything else is then closed again.
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
        if self._thread.ident is not None and threading.current_thread() is not self._thread:
            self._ended.wait()
            self._thread.join()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the session has ended, or for so long. Returns whether it has ended.

        Raises
        ------
        the first error of any thread of the session, or the first of a sink.
        """
        if self._thread.ident is not None:  # else it could not be started, and there is nothing to wait for
            self._check_here()
            if not self._ended.wait(seconds):
                return False
            self._thread.join()
        self._raise()
        return True

    def pause(self) -> None:
        """Judge and send nothing until `resume`; what is heard meanwhile counts for the windows after."""
        self._requests.append(lambda: self._pause(True))

    def resume(self) -> None:
        """Judge again, at once and exactly."""
        self._requests.append(lambda: self._pause(False))

    def reset(self) -> None:
        """Forget what was heard: scores go to 0, what is on is switched off, windows begin anew with silence."""
        self._requests.append(self._forget)

    def set_hop(self, seconds: float) -> None:
        """Change the seconds between two judgements.

        Raises
        ------
        OptionError : shorter than a frame (0.016 s), or longer than an hour; or the tagger was given its evaluator.
        """
        self.tagger.check_hop(seconds)
        self._requests.append(lambda: self._set_hop(seconds))

    def set_top(self, count: int) -> None:
        """Change how many tags each result names.

        Raises
        ------
        OptionError : less than 1, or more tags than there are.
        """
        check_top(count)
        if count > len(self.tagger.labels):
            raise OptionError(f"top {count}: {self.tagger.spec.name} has {len(self.tagger.labels)} tags")
        self._requests.append(lambda: self.tagger.set_top(count))

    def set_threshold(self, score: float) -> None:
        """Change the score at which a tag switches on.

        Raises
        ------
        OptionError : 0 or less, or more than 1.
        """
        check_threshold(score)
        self._requests.append(lambda: self.tagger.set_threshold(score))

    @property
    def stats(self) -> Stats:
        """Counters so far; may be read from any thread."""
        intake, tagger, control = self._intake, self.tagger, self.control
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
            hops=self._hops,
            hops_rested=tagger.hops_rested + self._paused_hops,
            hops_skipped=self._skipped,
            hops_lost=tagger.hops_lost,
            resting=self._resting,
            sink_drops=self._outlet.drops,
            sink_errors=self._outlet.errors,
            sink_trouble=self._outlet.trouble,
            control_commands=control.commands if control else 0,
            control_ignored=control.ignored if control else 0,
            control_last_ignored=control.last_ignored if control else None,
            load=self._load,
            latency_p50=self._latency.at(50),
            latency_p99=self._latency.at(99),
            latency_p999=self._latency.at(99.9),
            added_p50=self._added.at(50),
            added_p99=self._added.at(99),
            added_p999=self._added.at(99.9),
        )

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
        frames: deque[TagFrame] = deque(maxlen=WAITING_FRAMES)
        with self._changed:
            self._listeners.append(frames)
        try:
            while True:
                self._check_here()
                with self._changed:
                    while not frames and self._state not in ENDED:
                        self._changed.wait()
                    if not frames:
                        break
                    frame = frames.popleft()
                yield frame
        finally:
            with self._changed:
                self._listeners = [each for each in self._listeners if each is not frames]
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
        """Take what has come, judge at most one window, pass it on. Returns whether there was anything to do.

        When windows pile up beyond a burst of the sound card, all but the newest are given up, and counted.
        """
        began = time.monotonic()
        while self._requests:
            self._requests.popleft()()
        self._follow_source()
        took = self._intake.take()
        judged = False
        if self.tagger.due:
            self._skip_if_behind()
            if self.tagger.due:
                self._judge()
            judged = True
            cost = time.monotonic() - began
            self._step_cost += 0.1 * (cost - self._step_cost)
        if took or judged:
            self._busy += time.monotonic() - began
        if began - self._last_status >= STATUS_SECONDS:
            self._report(began)
        return judged or took

    def finish(self) -> None:
        """The source has ended: take the rest of the ring, end the stream, judge all that is left."""
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
            self._pass_on(self.tagger.let_go(self._intake.now()), counted=False)
        here = State.RECOVERING if gone else State.PAUSED if self._paused else State.RUNNING
        if here is not self._state and self._state is not State.STARTING:
            self._set_state(here)

    def _skip_if_behind(self) -> None:
        due, hop = self.tagger.due, self.tagger.hop
        if self._paused:
            self.tagger.skip(due)
            self._paused_hops += due
            return
        keeps_up = self._step_cost < hop
        allowed = max(1, int(TOLERATED_BACKLOG_SECONDS / hop)) if keeps_up else 1
        if due > allowed:
            self.tagger.skip(due - 1)
            self._skipped += due - 1

    def _judge(self) -> None:
        for frame in self.tagger.step():
            self._pass_on(frame)

    def _pass_on(self, frame: TagFrame, *, counted: bool = True) -> None:
        now = time.monotonic()
        captured, arrived = self._intake.times(frame.time) if counted else (now, now)
        stamped = replace(frame, captured=captured, arrived=arrived, judged=now)
        self._resting = frame.rested
        self._hops += counted and not frame.rested
        self._outlet.frame(stamped)
        if counted and not frame.rested:
            sent = time.monotonic()
            self._latency.add(1e3 * (sent - captured))
            self._added.add(1e3 * (sent - arrived))
        with self._changed:
            for frames in self._listeners:
                self.frame_drops += len(frames) == frames.maxlen
                frames.append(stamped)
            self._changed.notify_all()

    def _report(self, now: float) -> None:
        elapsed = now - self._last_status
        if self._last_status:
            self._load = (self._busy - self._busy_at_status) / elapsed
        self._last_status, self._busy_at_status = now, self._busy
        self._outlet.status(self.stats)

    def _set_state(self, state: State) -> None:
        if state not in TRANSITIONS[self._state]:
            raise StreamtagError(f"a session that is {self._state.value} cannot become {state.value}")
        with self._changed:
            self._state = state
            self._changed.notify_all()
        self._report(time.monotonic())

    # --- requests ---------------------------------------------------------------------------------------------------

    def _pause(self, paused: bool) -> None:
        self._paused = paused

    def _forget(self) -> None:
        self._pass_on(self.tagger.let_go(self._intake.now()), counted=False)
        self.tagger.forget()

    def _set_hop(self, seconds: float) -> None:
        due = self.tagger.due
        self.tagger.skip(due)
        self._skipped += due
        self.tagger.set_hop(seconds)

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
                    self._stopping.wait(RESTING_POLL_SECONDS if self._resting or self._absent else POLL_SECONDS)
            if self.source.error is not None:
                raise self.source.error
            if not self._stopping.is_set():
                self.finish()
        except BaseException as error:  # surfaces in the caller
            self._error, ended = error, State.FAILED
        self._stop_source()
        try:
            self._set_state(ended)
        except Exception as error:  # a mistake of ours
            self._error = self._error or error
        self._close()
        self._ended.set()

    def _stop_source(self) -> None:
        """Stop the source, and count what was still on its way."""
        try:
            self.source.stop()
            self._intake.drain()
            self._intake.settle(self._absent)
            self._absent = False
            self._skipped += self.tagger.due
            self.tagger.skip(self.tagger.due)
        except Exception as error:
            self._error = self._error or error

    def _close(self) -> None:
        """Stop the source and close what was opened; the first error is kept."""
        for close in (self.source.stop, *([self.control.close] if self.control else ()), self._outlet.close):
            try:
                close()
            except Exception as error:
                self._error = self._error or error


def live(
    model: str = "MSD_musicnn",
    input: str | int = "default",  # the word users know it by
    sinks: Sequence[Sink] = (),
    *,
    channels: tuple[int, ...] | None = None,
    hop: float | None = None,
    window: float = 3.0,
    top: int = 5,
    smooth: float = 1.0,
    threshold: float = 0.2,
    engine: Engine = "auto",
    loop: bool = False,
    heads: Sequence[PlainHead] = (),
    gate: float | None = GATE_DBFS,
    callback: Callback = "auto",
    control: ControlPort | None = None,
) -> Session:
    """Listen to a device, a file or the demo clip: ``with streamtag.live(...) as session: for frame in session: ...``.

    Parameters
    ----------
    model : musicnn's name of the model.
    input : ``default``, a device's index or (part of its) name, a file's path, or ``demo``.
    sinks : where frames go besides the iteration.
    channels : which channels to hear, counted from 1.
    hop, window, top, smooth, threshold, engine : see `Tagger`.
    loop : start a file again at its end.
    heads : your own tags, judged beside the model's (see `load_head`).
    gate : level in dBFS below which, after a second, the network rests (see `Tagger`); None: never.
    callback : what PortAudio calls (see `DeviceSource`).
    control : a port where OSC messages steer the session.

    Raises
    ------
    StreamtagError : what cannot be used or opened.
    """
    from streamtag.sources import open_source

    tagger = Tagger(
        model,
        hop=hop,
        window=window,
        top=top,
        smooth=smooth,
        threshold=threshold,
        engine=engine,
        heads=heads,
        gate=gate,
    )
    source = open_source(input, channels=channels, loop=loop, callback=callback)
    return Session(source, tagger, sinks, control=control)
