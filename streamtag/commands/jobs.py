"""Ctrl-Z, fg and bg: the terminal is the shell's meanwhile."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Protocol

from streamtag._system.terminal import can_draw

SHOW_CURSOR = "\x1b[?25h"


class OnTerminal(Protocol):
    """What draws on the terminal."""

    def suspend(self) -> None:
        """Leave the terminal to the shell."""

    def resume(self) -> None:
        """Draw again, below what stands there now."""


@contextmanager
def stoppable(view: OnTerminal | None) -> Iterator[None]:
    """Meanwhile, leave the terminal in order when Ctrl-Z stops the program, and draw anew when it goes on.

    Parameters
    ----------
    view : OnTerminal or None
        What draws, if anything does but a spinner or a progress bar.
    """
    if not hasattr(signal, "SIGTSTP") or threading.current_thread() is not threading.main_thread():
        yield
        return
    if (before := signal.getsignal(signal.SIGTSTP)) is signal.SIG_IGN:  # whoever started it wants no job control
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        with suppress(OSError):  # the terminal may be gone
            if view is not None:
                view.suspend()
            if can_draw(sys.stderr):  # a spinner hides it, too
                os.write(sys.stderr.fileno(), SHOW_CURSOR.encode())
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        # here again after `fg` or `bg`
        signal.signal(signal.SIGTSTP, stop)
        go_on(number, frame)

    def go_on(number: int, frame: FrameType | None) -> None:
        if view is not None:
            view.resume()

    before_continued = signal.signal(signal.SIGCONT, go_on)
    signal.signal(signal.SIGTSTP, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTSTP, before or signal.SIG_DFL)
        signal.signal(signal.SIGCONT, before_continued or signal.SIG_DFL)
