"""The live session: from a source, through a tagger, to sinks, on a thread of its own.

`Session` is what callers hold. Its thread repeats `streamtag.session.loop.Loop.step`: what has come enters as events
(samples, lost, gone, a new stream, the end, commands), and leaves as frames.

Who owns what: the source's thread writes the ring; the engine thread reads it and owns the tagger, the counters and the
sinks; callers read `stats`, iterate over frames, and leave requests (`pause`, `set_hop` ...), which the engine thread
carries out between two turns. The first error of the source, the engine or the control port ends the session and is
raised where the caller waits, iterates, or leaves the `with` block. An exception of a sink ends nothing: it is counted
and shown, the sink is called again, and the first of them is raised at the end.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import time
import warnings
import weakref
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from streamtag._system.threads import start_whole
from streamtag.errors import StreamtagError
from streamtag.osc.control import ControlPort
from streamtag.results import Stats, TagFrame
from streamtag.session.corrections import CORRECTED_SECONDS
from streamtag.session.loop import Loop
from streamtag.sinks.base import Sink, checked
from streamtag.sources.base import Source
from streamtag.tagging.tagger import Tagger

LEAVING_SECONDS = 10.0
"""How long the end of the program waits for sessions."""
ASYNC_SECONDS = 0.5
"""How long a thread waits for a frame at the most, on behalf of a task."""
_RUNNING: weakref.WeakSet[Session] = weakref.WeakSet()
"""Sessions whose thread was started, for the end of the program."""
_BEGUN: weakref.WeakSet[Loop] = weakref.WeakSet()
"""Whose source, tagger and control port are in use: two at a tagger would get wrong numbers, at a source half of it."""
_BEGINNING = threading.Lock()


class Session:
    """Listens to a source until it ends or `stop` is called.

    A session that runs when its program ends, or whose last reference is gone, is ended as by `stop`.

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
    save_heads : mapping of {str: path} or None
        Where heads that were corrected (`correct`) are written, by name.

    Raises
    ------
    OptionError
        What is no sink.
    """

    def __init__(
        self,
        source: Source,
        tagger: Tagger,
        sinks: Sequence[Sink] = (),
        *,
        control: ControlPort | None = None,
        save_heads: Mapping[str, str | Path] | None = None,
    ) -> None:
        self.source = source
        self.tagger = tagger
        self.sinks = checked(sinks)
        self.control = control
        self._loop = Loop(source, tagger, self.sinks, control, save_heads)
        self._thread = threading.Thread(target=self._loop.run, name="streamtag-engine", daemon=True)
        self._process = os.getpid()
        self._started = False
        self._turned_by: tuple[threading.Thread, ...] = ()  # of an ensemble

    # --- its life -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Open the sinks, warm up, open the source, and begin.

        Raises
        ------
        StreamtagError
            What could not be opened; everything else is then closed again. Or it was started or stopped before, or its
            source, tagger or control port serves another session.
        """
        self.prepare()
        start_whole(self._thread)
        weakref.finalize(self, _end_dropped, self._loop).atexit = False  # see `_end_all` for that
        _RUNNING.add(self)

    def prepare(self) -> None:
        """Do all that `start` does, but begin: turns are then made by hand (`step`), and ended by `stop`.

        Raises
        ------
        StreamtagError
            As `start`.
        """
        self._check_new()
        with _BEGINNING:
            if what := self._shared():
                raise StreamtagError(f"this {what} serves a session that runs: give each session a {what} of its own")
            _BEGUN.add(self._loop)
        self._started = True
        try:
            self._loop.prepare()
            if not self._turned_by:  # an ensemble lets all begin together
                self._loop.begin()
        except BaseException:
            self._loop.close()
            raise

    def step(self) -> bool:
        """One turn of the engine, for who does not `start` its thread. Returns whether there was anything to do."""
        return self._loop.step()

    def stop(self) -> None:
        """End the session; returns when all is flushed and closed.

        Within a sink it returns at once, and the session ends after this turn. In a forked process it does nothing.
        """
        if not self._is_here():  # a lock that was held at the fork is held for ever
            return
        self._loop.stopping.set()
        if not self._runs:  # never started: nobody else releases the source
            with _BEGINNING:
                shared = self._shared()
            if shared != "source":
                self._loop.finish()
        elif not self._on_its_threads():
            self._join(None)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait up to `seconds` for the session to end. Returns whether it has.

        Raises
        ------
        Exception
            The first error of any thread of the session, or the first of a sink.
        """
        if self._runs:  # else it could not be started, and there is nothing to wait for
            self._check_here()
            if not self._join(seconds):
                return False
        self._raise()
        return True

    def __enter__(self) -> Session:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        if error is None:
            self._raise()

    # --- what is asked of it --------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Predict and send nothing until `resume`; what is heard meanwhile counts for the windows after."""
        self._loop.requests.pause()

    def resume(self) -> None:
        """Predict again, at once and exactly."""
        self._loop.requests.resume()

    def reset(self) -> None:
        """Discard what was heard: scores go to 0, what is on is switched off, windows begin anew with silence."""
        self._loop.requests.reset()

    def set_hop(self, seconds: float) -> None:
        """Change the seconds between two predictions.

        Raises
        ------
        OptionError
            Shorter than a frame (0.016 s), or longer than an hour; or the tagger was given its predictor.
        """
        self._loop.requests.set_hop(seconds)

    def set_top(self, count: int) -> None:
        """Change how many tags each result names.

        Raises
        ------
        OptionError
            Less than 1, or more tags than there are.
        """
        self._loop.requests.set_top(count)

    def set_threshold(self, threshold: float | str) -> None:
        """Change the score, or the place on its own scale (``95%``), at which one of the model's tags switches on.

        Raises
        ------
        OptionError
            Out of range; a percentage where there is no calibration.
        """
        self._loop.requests.set_threshold(threshold)

    def set_head_threshold(self, score: float) -> None:
        """Change the probability at which a class of your own tags switches on.

        Raises
        ------
        OptionError
            0 or less, or more than 1.
        """
        self._loop.requests.set_head_threshold(score)

    def correct(self, label: str, seconds: float = CORRECTED_SECONDS) -> None:
        """Say what was heard in the last seconds: the head learns again in the background, and then goes on with it.

        Windows count of which at least half lies in these seconds, and the newest. What the head says changes after
        some seconds, between two results; `stats.corrections` counts, and `stats.warnings` say what was wrong.

        Parameters
        ----------
        label : str
            A class of a head, or how OSC addresses have it; ``HEAD/LABEL`` where several heads have it.
        seconds : float
            How much of what was heard, at most 10.

        Raises
        ------
        OptionError
            No such class, no such time; nothing was heard in it; a head without examples, as those of streamtag 0.1.
        """
        self._loop.requests.correct(label, seconds)

    # --- what it tells --------------------------------------------------------------------------------------------

    @property
    def stats(self) -> Stats:
        """Counters so far; may be read from any thread."""
        return self._loop.stats

    @property
    def frame_drops(self) -> int:
        """Frames that callers who iterate came too late for; see `stats.frame_drops`, where it belongs."""
        return self._loop.listeners.drops

    @property
    def requests_waiting(self) -> bool:
        """Whether anything that was asked for (`set_hop` ...) is still to be carried out."""
        return self._loop.requests.waiting

    @property
    def corrections_waiting(self) -> int:
        """How many corrections (`correct`) are still to be learned; at the end, how many were given up."""
        return self._loop.requests.corrections.waiting

    @property
    def save_heads(self) -> Mapping[str, Path]:
        """Where heads that were corrected are written, by name."""
        return self._loop.requests.corrections.save

    @property
    def listening(self) -> int:
        """How many callers iterate over frames now."""
        return len(self._loop.listeners)

    def __iter__(self) -> Iterator[TagFrame]:
        """Frames from now on, until the session ends; raises its first error."""
        if not self._runs:
            raise StreamtagError("this session was not started: use it in a with block, or call start() first")
        with self._loop.listeners.listening() as listener:
            while True:
                self._check_here()
                frame = self._loop.listeners.next(listener)
                if frame is None:
                    break
                yield frame
        self._join(None)
        self._raise()

    async def __aiter__(self) -> AsyncIterator[TagFrame]:
        """As `__iter__`, for asyncio: ``async for frame in session``; other tasks go on meanwhile."""
        if not self._runs:
            raise StreamtagError("this session was not started: use it in a with block, or call start() first")
        listeners = self._loop.listeners
        with listeners.listening() as listener:
            while not listeners.over(listener):
                self._check_here()
                # with a limit: a task that is cancelled leaves its thread behind, which must not wait for ever
                frame = await asyncio.to_thread(listeners.next, listener, ASYNC_SECONDS)
                if frame is not None:
                    yield frame
        await asyncio.to_thread(self._join, None)
        self._raise()

    # --- its own --------------------------------------------------------------------------------------------------

    @property
    def _runs(self) -> bool:
        """Whether somebody makes its turns: its own thread, or those of an ensemble."""
        return self._thread.ident is not None or bool(self._turned_by)

    def _on_its_threads(self) -> bool:
        """Whether a sink calls this, of this session or of one beside it: who makes turns must not wait for turns."""
        return threading.current_thread() in (self._thread, *self._turned_by)

    def _check_new(self) -> None:
        if self._started or self._loop.ended.is_set():
            before = "started before" if self._started else "stopped before it began"
            raise StreamtagError(f"this session was {before}: make another")

    def _join_ensemble(self, name: str, threads: Sequence[threading.Thread]) -> None:
        """Have its turns made by an `Ensemble`, from `prepare` on."""
        self._loop.name = name
        self._turned_by = tuple(threads)
        _RUNNING.add(self)

    def _leave_ensemble(self) -> None:
        """End, as there is no ensemble to make its turns."""
        self._turned_by = ()
        _RUNNING.discard(self)
        self.stop()

    def _join(self, seconds: float | None) -> bool:
        # waited for in place of the thread: before Python 3.13, a join that a signal interrupts takes it for ended
        if not self._loop.ended.wait(seconds):
            return False
        if self._thread.ident is not None:
            self._thread.join()
        return True

    def _raise(self) -> None:
        error = self._loop.error or self._loop.outlet.first_error
        if error is not None and self._is_here():
            raise error

    def _shared(self) -> str | None:
        """What of this session's serves another that runs, if anything does."""
        others = [loop for loop in _BEGUN if loop is not self._loop and not loop.ended.is_set()]
        return next(filter(None, map(self._loop.shared_with, others)), None)

    def _is_here(self) -> bool:
        return self._process == os.getpid()

    def _check_here(self) -> None:
        if not self._is_here():  # its threads are the parent's
            raise StreamtagError("this session goes on in the process that started it, and not in this fork of it")
        if self._on_its_threads():
            raise StreamtagError("a sink cannot wait for the session that calls it; stop() is possible")


def _end_dropped(loop: Loop) -> None:
    """Nobody holds the session any more: what is on at its receivers is switched off, and its device released."""
    if not loop.ended.is_set():
        loop.stopping.set()
        warnings.warn("a session was dropped without stop(), and ended", ResourceWarning, stacklevel=2)


@atexit.register
def _end_all() -> None:
    """End all that runs, and wait for it; not for ever, since a sink that does not return would hold the program."""
    running = [session for session in tuple(_RUNNING) if session._is_here()]
    for session in running:
        session._loop.stopping.set()
    until = time.monotonic() + LEAVING_SECONDS
    for session in running:
        if not session._join(max(0.0, until - time.monotonic())):
            warnings.warn("a session did not end: one of its sinks does not return", ResourceWarning, stacklevel=1)
