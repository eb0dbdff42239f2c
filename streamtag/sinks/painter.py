"""Rows on a terminal, drawn over those drawn before; it shares the terminal with a shell."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.control import Control
from rich.segment import ControlType
from rich.text import Text

SIGNAL_SECONDS = 0.5
"""How long a signal handler waits for a drawing that may be stuck in a stopped terminal."""


class Painter:
    """Draws rows where it drew the last ones.

    While another job has the terminal, nothing is drawn; once it is ours again, what stands there is the shell's, and
    the next rows begin below. `suspend` and `resume` are for the main thread, the rest for the thread that draws.

    Parameters
    ----------
    console : Console
        Where to draw; one that is no terminal gets the last rows only, at the end.
    make : callable
        Gives the rows for so many columns and lines.
    """

    def __init__(self, console: Console, make: Callable[[int, int], list[Text]]) -> None:
        self._console = console
        self._make = make
        self._lock = threading.Lock()  # over all below
        self._rows: list[Text] = []  # that stand there
        self._cursor_hidden = False
        self._suspended = False

    def paint(self) -> None:
        """Draw, if there is a terminal to draw on.

        Raises
        ------
        BrokenPipeError
            The terminal was closed.
        """
        with _closed_is_left(), self._lock:
            if not self._console.is_terminal:
                return
            if self._suspended or not self._in_foreground():
                self._forget()
                return
            self._draw()

    def close(self) -> None:
        """Draw once more, and leave that standing; raises as `paint`."""
        with _closed_is_left(), self._lock:
            if self._console.is_terminal and not self._in_foreground():
                self._forget()
                return
            self._draw()
            self._leave()

    def suspend(self) -> None:
        """Leave the terminal to the shell until `resume`."""
        locked = self._lock.acquire(timeout=SIGNAL_SECONDS)
        try:
            self._suspended = True
            if locked and self._in_foreground():
                self._leave()
        finally:
            if locked:
                self._lock.release()

    def resume(self) -> None:
        """Draw again, below what stands there now."""
        locked = self._lock.acquire(timeout=SIGNAL_SECONDS)
        self._suspended = False
        self._forget()
        if locked:
            self._lock.release()

    def _draw(self) -> None:
        columns, lines = self._console.size
        before, self._rows = self._rows, self._make(columns, max(1, lines - 1))
        with self._console:  # all in one write
            if not self._cursor_hidden:
                self._cursor_hidden = self._console.show_cursor(False)
            if any(row.cell_len > columns for row in before):
                # the window is narrower now, and whether the terminal has broken these rows in two nobody knows
                self._console.control(Control(ControlType.CLEAR, ControlType.HOME))
            elif before:
                up = ((ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2)) * (len(before) - 1)
                self._console.control(Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2), *up))
            for place, row in enumerate(self._rows):
                row.truncate(columns)
                self._console.print(row, end="\n" if place < len(self._rows) - 1 else "", no_wrap=True, crop=True)

    def _leave(self) -> None:
        if self._rows:
            self._console.print()
        if self._cursor_hidden:
            self._console.show_cursor(True)
        self._forget()

    def _forget(self) -> None:
        self._rows, self._cursor_hidden = [], False

    def _in_foreground(self) -> bool:
        """Whether the terminal is ours, as far as can be known."""
        try:
            return os.tcgetpgrp(self._console.file.fileno()) == os.getpgrp()
        except (AttributeError, OSError, ValueError):  # Windows; not the terminal that this process belongs to; no file
            return True


@contextmanager
def _closed_is_left() -> Iterator[None]:
    """A terminal that was closed is a reader who has left."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.EIO:
            raise BrokenPipeError(error.errno, "the terminal was closed") from error
        raise
