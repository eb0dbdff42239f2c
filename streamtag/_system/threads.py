"""Threads of streamtag's own."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Result = TypeVar("Result")

_FAULTS = {
    getattr(signal, name) for name in ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT") if hasattr(signal, name)
}
"""What a processor raises in the thread itself is not put off."""


def start_whole(thread: threading.Thread) -> None:
    """Start a thread wholly or not at all, whatever signal comes: an exception half-way would leave it to nobody.

    The thread takes no signals: they wake the main thread, whose task they are.
    """
    if not hasattr(signal, "pthread_sigmask"):
        thread.start()
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:  # from here on, for a handler may be called, and raise, as soon as they are blocked
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - _FAULTS)
        thread.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def apart(work: Callable[[], Result]) -> Result:
    """Do long work of a library on a thread and wait for it here, so that a signal ends the wait.

    Python calls no handler while the main thread is in C. What is no longer waited for goes on until the process ends.
    """
    outcome: Future[Result] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)

    start_whole(threading.Thread(target=run, name="streamtag-apart", daemon=True))
    return outcome.result()
