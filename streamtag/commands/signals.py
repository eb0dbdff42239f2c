"""The signals that end a program: Ctrl-C, SIGTERM, and SIGHUP of a terminal that was closed.

Each is raised in the main thread as an exception, wherever that happens to be. Where it is in a function that C calls
(llvmlite's, while compiled code is loaded) or in a finaliser, Python prints the exception and throws it away: the
program would go on as if nobody had pressed a key. Such a signal is sent again, a moment later.
"""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

AGAIN_SECONDS = 0.05
_ENDING = (signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))


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


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated(number)


def _handle(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    """Handle the signals that end a program; one that is ignored (nohup) stays so."""
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def install_signal_handlers() -> None:
    """Raise `Terminated` when SIGTERM or SIGHUP comes, for an orderly end."""
    _handle(_terminate)


def restore_default_handlers() -> None:
    """Let SIGTERM and SIGHUP end the program as they do any other."""
    _handle(signal.SIG_DFL)


def _send_again(number: int) -> None:
    if not callable(signal.getsignal(number)):
        return  # it would kill the program in the middle of its orderly end
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
    again = threading.Timer(AGAIN_SECONDS, _send_again, [number])
    again.daemon = True
    with suppress(RuntimeError):  # no thread can be started any more: the program is ending
        again.start()


def resend_lost_signals() -> None:
    """From now on in this process, send a signal again whose exception Python had to throw away."""
    sys.unraisablehook = _unraisable
