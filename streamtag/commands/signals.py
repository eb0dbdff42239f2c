"""The signals that end a program: Ctrl-C, SIGTERM, and SIGHUP of a terminal that was closed.

They come in any number: systemd sends SIGTERM and SIGHUP when a login session ends, and people press Ctrl-C again. The
first one is raised in the main thread as an exception, wherever that happens to be, and begins the orderly end; until
that is through, further ones are harmless, but for the third: it says that the end hangs, and forces it.

Where the exception is raised in a function that C calls (llvmlite's, while compiled code is loaded) or in a finaliser,
Python prints it and throws it away: the program would go on as if nobody had pressed a key. Such a signal is sent
again, a moment later.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

AGAIN_SECONDS = 0.05
FORCING = 3
"""So many signals force the end,"""
PATIENCE_SECONDS = 1.0
"""not before this long after the first: three at once are one wish, and lights are to be switched off all the same."""
_ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name))


class Terminated(BaseException):
    """SIGTERM came, or the terminal was closed (SIGHUP).

    Parameters
    ----------
    number : int
        The signal's number.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self.status = 128 + number


class _Ending:
    """What has come so far. Its methods run in the main thread, between any two instructions of it."""

    def __init__(self) -> None:
        self.first: int | None = None
        self.count = 0
        self.began = 0.0
        self.deferred = False  # whether the first one, too, is only noted

    def handle(self, number: int, frame: FrameType | None) -> None:
        """A signal has come."""
        self.count += 1
        if self.first is None:
            self.first, self.began = number, time.monotonic()
            if not self.deferred:
                raise _exception(number)
        elif self.count >= FORCING:
            self._force(self.first)

    def _force(self, number: int) -> None:
        left = PATIENCE_SECONDS - (time.monotonic() - self.began)
        if left <= 0:
            _leave_now(number)
        timer = threading.Timer(left, _leave_now, [number])  # on a thread: the main one may be stuck in C
        timer.daemon = True
        with suppress(RuntimeError):  # none can be started any more: the program is ending
            timer.start()


_ending = _Ending()


def _exception(number: int) -> BaseException:
    return KeyboardInterrupt() if number == signal.SIGINT else Terminated(number)


def _leave_now(number: int) -> None:
    with suppress(OSError):
        if os.isatty(2):
            os.write(2, b"\x1b[?25h\nstreamtag: the end was forced\n")  # the cursor may be hidden
    os._exit(128 + number)


def install_signal_handlers(*numbers: int) -> None:
    """Handle the signals that end a program, or those of `numbers`; one that is ignored (nohup) stays so."""
    global _ending
    _ending = _Ending()
    for number in numbers or _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _ending.handle)


def defer_signals() -> None:
    """From now on raise nothing: `ended_by` tells what has come. A second call is as good as one."""
    _ending.deferred = True


def ended_by() -> int | None:
    """The exit status for the first signal that came, if any did; also where its exception was caught by others."""
    return None if _ending.first is None else 128 + _ending.first


def ignore_signals() -> None:
    """The work is done and the status known: nothing may change that any more."""
    for number in _ENDING:
        if signal.getsignal(number) == _ending.handle:
            signal.signal(number, signal.SIG_IGN)


def _send_again(number: int) -> None:
    if hasattr(signal, "pthread_kill") and (main := threading.main_thread().ident) is not None:
        signal.pthread_kill(main, number)  # a real one: it wakes the main thread from a wait
    else:
        _thread.interrupt_main(signal.Signals(number))


def _unraisable(unraisable: UnraisableHookArgs) -> None:
    if isinstance(unraisable.exc_value, Terminated):
        number = unraisable.exc_value.number
    elif issubclass(unraisable.exc_type, KeyboardInterrupt):
        number = int(signal.SIGINT)
    else:
        sys.__unraisablehook__(unraisable)
        return
    if _ending.deferred:  # it is known to whoever asks `ended_by`
        return
    _ending.first, _ending.count = None, 0  # it does not count: the next to come begins the end
    again = threading.Timer(AGAIN_SECONDS, _send_again, [number])
    again.daemon = True
    with suppress(RuntimeError):  # no thread can be started any more: the program is ending
        again.start()


def resend_lost_signals() -> None:
    """From now on in this process, send a signal again whose exception Python had to throw away."""
    sys.unraisablehook = _unraisable
