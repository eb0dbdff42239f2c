"""The signals that end a program: Ctrl-C, SIGQUIT, SIGTERM, SIGHUP of a terminal that was closed, and their like.

They come in any number: systemd sends SIGTERM and SIGHUP when a login session ends, and people press Ctrl-C again. The
first one is raised in the main thread as an exception, wherever that happens to be, and begins the orderly end; until
that is through, further ones are harmless, but for the third: it says that the end hangs, and forces it. A thread
counts them, for the main one may be somewhere in C, where Python calls no handler.

Where the exception is raised in a function that C calls (llvmlite's, while compiled code is loaded) or in a finaliser,
Python prints it and throws it away: the program would go on as if nobody had pressed a key. Such a signal is sent
again, a moment later.
"""

from __future__ import annotations

import _thread
import os
import select
import signal
import sys
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING

from streamtag._system.threads import start_whole

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

AGAIN_SECONDS = 0.05
FORCING = 3
"""So many signals force the end,"""
PATIENCE_SECONDS = 1.0
"""not before this long after the first: three at once are one wish, and lights are to be switched off all the same."""
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGBREAK", "SIGXCPU", "SIGUSR1", "SIGUSR2", "SIGALRM")
"""What ends a program that does not handle it, and is sent by people, terminals, limits and batch systems."""
_ENDING = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))


class Terminated(BaseException):
    """A signal other than Ctrl-C came that ends a program.

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
    """What has come so far."""

    def __init__(self) -> None:
        self.first: int | None = None
        self.deferred = False  # whether the first one, too, is only noted
        self.came: list[int] = []

    def handle(self, number: int, frame: FrameType | None) -> None:
        """A signal has come; in the main thread, between any two instructions of it."""
        if self.first is None:
            self.first = number
            if not self.deferred:
                raise _exception(number)

    def watch(self, numbers: set[int], wakeups: int) -> None:
        """Count the signals as they come, on a thread, and force the end."""
        began = 0.0
        while data := os.read(wakeups, 1):
            if data[0] not in numbers:
                continue
            if not self.came:
                began = time.monotonic()
            self.came.append(data[0])
            if len(self.came) >= FORCING:
                time.sleep(max(0.0, PATIENCE_SECONDS - (time.monotonic() - began)))
                _leave_now(self.came[0])


_ending = _Ending()


def _exception(number: int) -> BaseException:
    return KeyboardInterrupt() if number == signal.SIGINT else Terminated(number)


def _leave_now(number: int) -> None:
    for stream in (sys.stderr, sys.stdout):
        with suppress(OSError, ValueError, AttributeError):  # closed, no file, or Windows, which has no poll
            terminal = select.poll()
            terminal.register(stream.fileno(), select.POLLOUT)
            if stream.isatty() and terminal.poll(0):  # else it is stopped, and would hold us
                os.write(stream.fileno(), b"\x1b[?25h\nstreamtag: the end was forced\n")  # the cursor may be hidden
                break
    os._exit(128 + number)


def install_signal_handlers(*numbers: int) -> None:
    """Handle the signals that end a program, or those of `numbers`; one that is ignored (nohup) stays so."""
    global _ending
    _ending = _Ending()
    handled = {number for number in numbers or _ENDING if signal.getsignal(number) is not signal.SIG_IGN}
    with suppress(OSError, RuntimeError):  # no descriptor, no thread: then a third signal is as the second
        wakeups, wakes = os.pipe()
        os.set_blocking(wakes, False)
        signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
        start_whole(threading.Thread(target=_ending.watch, args=(handled, wakeups), name="signals", daemon=True))
    for number in handled:
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
    _ending.first = None  # what was thrown away does not count: this one begins the end
    _ending.came.clear()
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
    # here nothing may be raised: until it is sent again, it stays the first
    again = threading.Timer(AGAIN_SECONDS, _send_again, [number])
    again.daemon = True
    with suppress(RuntimeError):  # no thread can be started any more: the program is ending
        again.start()


def resend_lost_signals() -> None:
    """From now on in this process, send a signal again whose exception Python had to throw away."""
    sys.unraisablehook = _unraisable
