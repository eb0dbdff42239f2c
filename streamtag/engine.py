"""The live session: from a source, through a tagger, to sinks, on a thread of its own.

`Session.step` is one turn of the loop. The thread only repeats it; tests call it by hand.

Who owns what: the source's thread writes the ring; the engine thread reads it and owns the tagger, the counters and the
sinks; callers only read `stats` and iterate over frames. The first error of any of them ends the session and is raised
where the caller waits, iterates, or leaves the `with` block.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import TracebackType

from streamtag.errors import StreamtagError
from streamtag.evaluator import Engine
from streamtag.frames import State, Stats, TagFrame
from streamtag.learn.plain import PlainHead
from streamtag.percentiles import Percentiles
from streamtag.ringbuffer import RingBuffer
from streamtag.sinks import HeadInfo, SessionInfo, Sink
from streamtag.sources import Source
from streamtag.tagger import Tagger

POLL_SECONDS = 0.002
"""How often the ring is looked at. The audio thread wakes nobody: a lock there could make it late."""
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

    Attributes
    ----------
    frame_drops : frames that a caller who iterates came too late for.
    """

    def __init__(self, source: Source, tagger: Tagger, sinks: Sequence[Sink] = ()) -> None:
        self.source = source
        self.tagger = tagger
        self.sinks = list(sinks)
        self.ring = RingBuffer(source.samplerate)
        self.frame_drops = 0
        self._state = State.STARTING
        self._error: BaseException | None = None
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._frames: deque[TagFrame] | None = None  # made when a caller iterates
        # waited for in place of the thread: before Python 3.13, a join that a signal interrupts takes it for ended
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="streamtag-engine", daemon=True)
        self._opened: list[Sink] = []
        self._hops = 0
        self._skipped = 0
        self._latency = Percentiles()
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
        """End the session; returns when all is flushed and closed."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._ended.wait()
            self._thread.join()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the session has ended, or for so long. Returns whether it has ended.

        Raises
        ------
        the first error of any thread of the session.
        """
        if self._thread.ident is not None:  # else it could not be started, and there is nothing to wait for
            if not self._ended.wait(seconds):
                return False
            self._thread.join()
        self._raise()
        return True

    @property
    def stats(self) -> Stats:
        """Counters so far; may be read from any thread."""
        return Stats(
            state=self._state,
            seconds=self.tagger.samples_in / self.source.samplerate,
            samples_in=self.tagger.samples_in,
            samples_lost=self.ring.lost,
            overflows=self.ring.overflows,
            nonfinite=self.ring.nonfinite + self.tagger.nonfinite,
            hops=self._hops,
            hops_skipped=self._skipped,
            sink_drops={sink.name: sink.drops for sink in self.sinks},
            load=self._load,
            latency_p50=self._latency.at(50),
            latency_p99=self._latency.at(99),
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
        with self._changed:
            if self._frames is None:
                self._frames = deque(maxlen=WAITING_FRAMES)
        while True:
            with self._changed:
                while not self._frames and self._state in (State.STARTING, State.RUNNING):
                    self._changed.wait()
                if not self._frames:
                    break
                frame = self._frames.popleft()
            yield frame
        self._ended.wait()
        self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    # --- one turn -------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """All that comes before the first turn: sinks opened, kernels and network warm, source started."""
        info = SessionInfo(
            model=self.tagger.spec.name,
            labels=self.tagger.labels,
            embedding_size=self.tagger.spec.embedding_size,
            source=self.source.name,
            samplerate=self.source.samplerate,
            hop=self.tagger.hop,
            window=self.tagger.window,
            engine=self.tagger.engine,
            heads=tuple(HeadInfo(head.name, head.labels) for head in self.tagger.heads),
        )
        for sink in self.sinks:
            sink.open(info)
            self._opened.append(sink)
        self.tagger.warm_up()
        self.source.start(self.ring)
        self._set_state(State.RUNNING)

    def step(self) -> bool:
        """Take what has come, judge at most one window, pass it on. Returns whether there was anything to do.

        When windows pile up beyond a burst of the sound card, all but the newest are given up, and counted.
        """
        began = time.monotonic()
        samples = self.ring.read()
        if len(samples):
            self.tagger.feed(samples, self.source.samplerate)
        judged = False
        if self.tagger.due:
            self._skip_if_behind()
            self._judge()
            judged = True
            cost = time.monotonic() - began
            self._step_cost += 0.1 * (cost - self._step_cost)
        self._busy += time.monotonic() - began
        if began - self._last_status >= STATUS_SECONDS:
            self._report(began)
        return judged or len(samples) > 0

    def finish(self) -> None:
        """The source has ended: take the rest of the ring, end the stream, judge all that is left."""
        while self.step():
            pass
        for frame in self.tagger.flush():
            self._pass_on(frame)

    def _skip_if_behind(self) -> None:
        hop = self.tagger.hop
        keeps_up = self._step_cost < hop
        allowed = max(1, int(TOLERATED_BACKLOG_SECONDS / hop)) if keeps_up else 1
        if self.tagger.due > allowed:
            behind = self.tagger.due - 1
            self.tagger.skip(behind)
            self._skipped += behind

    def _judge(self) -> None:
        for frame in self.tagger.step():
            self._pass_on(frame)

    def _pass_on(self, frame: TagFrame) -> None:
        # the window of a file shorter than it ends after the newest sample there is
        newest = min(frame.time * self.source.samplerate, self.ring.written)
        captured = self.ring.captured_at(newest)
        stamped = replace(frame, captured=captured, judged=time.monotonic())
        self._hops += 1
        self._latency.add(stamped.latency_ms)
        for sink in self.sinks:
            sink.frame(stamped)
        with self._changed:
            if self._frames is not None:
                self.frame_drops += len(self._frames) == self._frames.maxlen
                self._frames.append(stamped)
                self._changed.notify_all()

    def _report(self, now: float) -> None:
        elapsed = now - self._last_status
        if self._last_status:
            self._load = (self._busy - self._busy_at_status) / elapsed
        self._last_status, self._busy_at_status = now, self._busy
        stats = self.stats
        for sink in self._opened:
            sink.status(stats)

    def _set_state(self, state: State) -> None:
        with self._changed:
            self._state = state
            self._changed.notify_all()
        self._report(time.monotonic())

    # --- the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        ended = State.FINISHED
        try:
            while not self._stopping.is_set():
                # asked before the ring is read: what came before the end is then certainly in it
                over = self.source.finished
                if not self.step():
                    if over:
                        break
                    self._stopping.wait(POLL_SECONDS)
            if self.source.error is not None:
                raise self.source.error
            if not self._stopping.is_set():
                self.finish()
        except BaseException as error:  # surfaces in the caller
            self._error, ended = error, State.FAILED
        try:
            self._set_state(ended)
        except Exception as error:  # a sink that fails at the very end
            self._error = self._error or error
        self._close()
        self._ended.set()

    def _close(self) -> None:
        """Stop the source and close what was opened; the first error is kept."""
        for close in (self.source.stop, *(sink.close for sink in self._opened)):
            try:
                close()
            except Exception as error:
                self._error = self._error or error
        self._opened = []


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

    Raises
    ------
    StreamtagError : what cannot be used or opened.
    """
    from streamtag.sources import open_source

    tagger = Tagger(
        model, hop=hop, window=window, top=top, smooth=smooth, threshold=threshold, engine=engine, heads=heads
    )
    return Session(open_source(input, channels=channels, loop=loop), tagger, sinks)
