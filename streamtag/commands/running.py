"""A live session, or several, from the start to the summary: until the end, the time or a signal."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from streamtag._system.stderr import c_libraries_silent
from streamtag.commands.console import err, forget_stdout, note_stuck
from streamtag.commands.signals import Terminated, defer_signals, ended_by

if TYPE_CHECKING:
    from streamtag.engine import Session
    from streamtag.sinks.base import Wrapper

LOOK_SECONDS = 0.05
"""How often a running session looks whether a signal has come."""


class Running(Protocol):
    """A session, or an ensemble of some."""

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """End."""

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the end; raises the first error."""
        ...


def run(running: Running, sessions: Mapping[str, Session], screens: Sequence[Wrapper], duration: float | None) -> int:
    """Run until the end, for at most `duration` seconds, or until a signal; print a summary of each session.

    Parameters
    ----------
    running : Running
        What is started and stopped.
    sessions : mapping of {str: Session}
        The session, or those of the ensemble; by name, which is empty for one that is alone.
    screens : sequence of Wrapper
        What writes to stdout for each.
    duration : float or None
        Seconds, if it is to end by itself.

    Returns
    -------
    int
        The exit status.

    Raises
    ------
    StreamtagError
        The first error of the first session that had one.
    """
    from streamtag.results import State

    try:
        try:
            with c_libraries_silent():
                running.start()
                defer_signals()
                _wait(running, duration)
        finally:
            defer_signals()
            running.stop()
    except (KeyboardInterrupt, Terminated):
        pass  # `ended_by` says so
    except BrokenPipeError:  # whoever read stdout has left: nothing more to say there
        forget_stdout()
    finally:
        running.stop()  # again: the one signal that may raise may have done so just before
        note_stuck(any(screen.stuck for screen in screens))
        for name, session in sessions.items():
            if session.stats.state is not State.STARTING:  # else nothing was heard, and the error says why
                _summary(session, f"{name}: " if name else "")
    try:
        running.wait()
    except BrokenPipeError:
        forget_stdout()
    return ended_by() or 0


def _wait(running: Running, seconds: float | None) -> None:
    """Wait for the end: of all, of the time, or by a signal, which is only noted by now."""
    until = math.inf if seconds is None else time.monotonic() + seconds
    while ended_by() is None and (left := until - time.monotonic()) > 0:
        if running.wait(min(left, LOOK_SECONDS)):
            return


def _summary(session: Session, named: str) -> None:
    stats = session.stats
    jumps = stats.clock_jumps
    if session.source.note:
        err.print(f"note: {named or f'{session.source.name}: '}{session.source.note}", markup=False)
    parts = [
        f"{stats.seconds:.1f} s heard: {stats.hops} hops, {stats.hops_skipped} skipped",
        *([f"{stats.hops_gated} rested"] if stats.hops_gated else []),
        *([f"{stats.hops_lost} in gaps"] if stats.hops_lost else []),
        f"{stats.samples_lost} lost samples, {stats.overflows} overflows",
        *([f"{jumps} jump{'s' * (jumps > 1)} of the device's clock"] if jumps else []),
        *([f"{stats.gaps} gap{'s' * (stats.gaps > 1)} of {stats.gap_seconds:.1f} s in all"] if stats.gaps else []),
        f"latency p50 {stats.latency_p50:.1f} ms, p99 {stats.latency_p99:.1f} ms",
        f"added p99 {stats.added_p99:.1f} ms",
        *([f"{stats.frame_drops} frames missed by callers"] if stats.frame_drops else []),
        *(f"{count} messages not taken by {name}" for name, count in stats.sink_drops.items() if count),
        *([f"commands ignored: {stats.control_ignored}"] if stats.control_ignored else []),
    ]
    err.print(
        f"{named}{', '.join(parts)} ({session.tagger.engine})",
        markup=False,
        soft_wrap=not err.is_terminal,  # a terminal gets its lines broken between words
    )
    if told := _corrections(session):
        err.print(f"{named}{told}", markup=False, soft_wrap=not err.is_terminal)


def _corrections(session: Session) -> str:
    """What became of corrections; nothing where there were none."""
    count, waiting, saved = session.stats.corrections, session.corrections_waiting, session.save_heads
    if not count + waiting:
        return ""
    told = f"{count} correction{'s' * (count != 1)}"
    if not saved and count:
        told += ", gone with this session: --save-head FILE.head keeps them"
    elif count:
        told += f", saved to {', '.join(map(str, saved.values()))}"
    return f"{told}, {waiting} given up" if waiting else told
