"""Several sessions at once, on as many threads as there are processors.

A session alone has a thread of its own. Forty of them would have forty threads that all want Python's lock, and the
system would choose whose turn it is. Here they stand in line: whichever thread is free takes the session that has
waited longest, has it make one turn (take what has come, predict at most one window), and puts it back at the end. So a
session is never served by two threads, each gets as many turns as any other that has work, and where there is too much
to do all of them skip windows alike, each counting its own.
"""

from __future__ import annotations

import heapq
import itertools
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping
from types import MappingProxyType, TracebackType

from streamtag._slugs import INPUT_NAME
from streamtag._system.threads import start_whole
from streamtag.engine import Session
from streamtag.errors import OptionError
from streamtag.osc.control import ControlPort
from streamtag.results import Stats
from streamtag.session.corrections import CORRECTED_SECONDS
from streamtag.session.loop import Loop

LOOKS_A_HOP = 16
"""How often an input is looked at in the time of a hop: each look takes some microseconds, and there may be forty."""
LONGEST_REST_SECONDS = 0.032
"""And how long that takes at the most: a result may come so much later."""


class Ensemble:
    """Runs several sessions, each with its own source, tagger and sinks; one that fails harms no other.

    Weights are read and prepared once for all sessions of one model. Sinks learn their session's name (see
    `SessionInfo.input`): `OscSink` sends to ``/streamtag/in/NAME/...``, JSON lines have an ``input``.

    Parameters
    ----------
    sessions : mapping of {str: Session}
        Sessions that were not started (see `live`), by name: up to 32 letters, digits, ``-`` and ``_``.
    control : ControlPort or None
        A port where OSC messages steer all sessions (``/streamtag/pause``), or one (``/streamtag/in/NAME/pause``).
    threads : int or None
        How many threads make turns; None for one each processor, and no more than there are sessions.

    Attributes
    ----------
    sessions : mapping of {str: Session}
        The same.

    Raises
    ------
    OptionError
        No session, a name that cannot be used, or no threads.

    Examples
    --------
    >>> import streamtag
    >>> stage = streamtag.live(input="demo", sinks=[streamtag.OscSink("127.0.0.1", 9000)])
    >>> with streamtag.Ensemble({"stage": stage}) as ensemble:  # doctest: +SKIP
    ...     ensemble.wait()
    """

    def __init__(
        self, sessions: Mapping[str, Session], *, control: ControlPort | None = None, threads: int | None = None
    ) -> None:
        if not sessions:
            raise OptionError("an ensemble of no sessions: give at least one")
        for name in sessions:
            check_name(name)
        if len({name.lower() for name in sessions}) < len(sessions):
            raise OptionError(f"{', '.join(sessions)}: two inputs are called the same, but for capitals")
        if threads is not None and threads < 1:
            raise OptionError(f"{threads} threads: give at least 1")
        self.sessions: Mapping[str, Session] = MappingProxyType(dict(sessions))
        self.control = control
        count = min(threads or os.cpu_count() or 1, len(sessions))
        self._waiting: list[tuple[float, int, Loop]] = []  # a heap: when each is due
        self._order = itertools.count()
        self._lock = threading.Lock()  # over both
        self._threads = [
            threading.Thread(target=self._run, name=f"streamtag-engine-{number}", daemon=True)
            for number in range(1, count + 1)
        ]

    def start(self) -> None:
        """Open all sinks and sources, and begin.

        Raises
        ------
        StreamtagError
            What could not be opened; everything else is then closed again. Or one of the sessions was started before.
        """
        for session in self.sessions.values():
            session._check_new()  # before anything is touched: one that runs elsewhere is left alone
        try:
            for name, session in self.sessions.items():
                session._join_ensemble(name, self._threads)
                session.prepare()
            if self.control is not None:
                self.control.open(Together(self.sessions))
            for session in self.sessions.values():
                session._loop.begin()
                self._put(session._loop, 0.0)
        except BaseException:
            if self.control is not None:
                self.control.close()
            for session in self.sessions.values():
                session._leave_ensemble()
            raise
        for thread in self._threads:
            start_whole(thread)

    def stop(self) -> None:
        """End all sessions; returns when all is flushed and closed. Within a sink it returns at once."""
        for session in self.sessions.values():  # all at once, so that one which is slow to end keeps no other
            session._loop.stopping.set()
        if self.control is not None:
            self.control.close()
        for session in self.sessions.values():
            session.stop()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait up to `seconds` for all sessions to end. Returns whether they have.

        Raises
        ------
        Exception
            The first error of the first session that had one, when all have ended; or that of the control port.
        """
        if self.control is not None and self.control.error is not None:
            raise self.control.error
        until = None if seconds is None else time.monotonic() + seconds
        for session in self.sessions.values():
            left = None if until is None else max(0.0, until - time.monotonic())
            if session._runs and not session._loop.ended.wait(left):  # else it could not be started
                return False
        for session in self.sessions.values():
            session.wait()
        return True

    @property
    def stats(self) -> dict[str, Stats]:
        """Counters of each session so far; may be read from any thread."""
        return {name: session.stats for name, session in self.sessions.items()}

    def __getitem__(self, name: str) -> Session:
        return self.sessions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.sessions)

    def __len__(self) -> int:
        return len(self.sessions)

    def __enter__(self) -> Ensemble:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        if error is None:
            self.wait()

    def _run(self) -> None:
        """Make turns, until there is no session left that another thread does not serve."""
        loop, due = self._next()
        while loop is not None:
            if (wait := due - time.monotonic()) > 0:
                loop.stopping.wait(wait)  # the others' turns come later, or belong to other threads
            rest = loop.turn()
            if rest is not None:
                rest = max(rest, min(LONGEST_REST_SECONDS, loop.tagger.hop / LOOKS_A_HOP)) if rest else 0.0
                self._put(loop, time.monotonic() + rest)
            loop, due = self._next()

    def _put(self, loop: Loop, due: float) -> None:
        with self._lock:
            heapq.heappush(self._waiting, (due, next(self._order), loop))

    def _next(self) -> tuple[Loop | None, float]:
        """The one whose turn it is, or will be first, and when."""
        with self._lock:
            if not self._waiting:
                return None, 0.0
            due, _, loop = heapq.heappop(self._waiting)
            return loop, due


class Together:
    """What a control port asks, of all sessions at once, or of one by its name."""

    def __init__(self, sessions: Mapping[str, Session]) -> None:
        self._sessions = sessions

    def input(self, name: str) -> Session:
        """One of them.

        Raises
        ------
        OptionError
            There is none of this name.
        """
        for known, session in self._sessions.items():
            if known.lower() == name.lower():
                return session
        raise OptionError(f"no input is called {name!r}")

    def pause(self) -> None:
        """Pause all."""
        for session in self._sessions.values():
            session.pause()

    def resume(self) -> None:
        """Resume all."""
        for session in self._sessions.values():
            session.resume()

    def reset(self) -> None:
        """Reset all."""
        for session in self._sessions.values():
            session.reset()

    def set_hop(self, seconds: float) -> None:
        """Change the hop of all."""
        for session in self._sessions.values():
            session.set_hop(seconds)

    def set_top(self, count: int) -> None:
        """Change how many tags all name."""
        for session in self._sessions.values():
            session.set_top(count)

    def set_threshold(self, threshold: float | str) -> None:
        """Change the threshold of all."""
        for session in self._sessions.values():
            session.set_threshold(threshold)

    def set_head_threshold(self, score: float) -> None:
        """Change the threshold of all for your own tags."""
        for session in self._sessions.values():
            session.set_head_threshold(score)

    def correct(self, label: str, seconds: float = CORRECTED_SECONDS) -> None:
        """Refuse: what is right for one input is wrong for another."""
        raise OptionError("which input? Send it to /streamtag/in/NAME/correct")


def check_name(name: str) -> None:
    """Refuse what an input cannot be called.

    Raises
    ------
    OptionError
        It cannot.
    """
    if not isinstance(name, str) or re.fullmatch(INPUT_NAME, name) is None:
        raise OptionError(
            f"an input called {name!r}: expected up to 32 letters, digits, - and _, for example stage or deck-2"
        )
