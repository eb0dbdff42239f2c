"""How far long work has come: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from streamtag._system.terminal import can_draw

LINE_SECONDS = 60.0
"""From one line to the next, where there is no terminal to draw a bar on."""


def _draws(console: Console) -> bool:
    return console.is_terminal and can_draw(console.file)


class Steps:
    """Counts steps of work, from any thread.

    Parameters
    ----------
    bar : Progress
        Where they are drawn; disabled where there is no terminal.
    console : Console or None
        Where lines go if it is no terminal; None for nowhere.
    what : str
        The work, in a word.
    total : int
        How many steps there are.
    """

    def __init__(self, bar: Progress, console: Console | None, what: str, total: int) -> None:
        self._bar, self._what, self._total = bar, what, total
        self._console = None if console is None or _draws(console) else console
        self._task = bar.add_task(what, total=total)
        self._done = 0
        self._said = time.monotonic()

    def advance(self, steps: int = 1) -> None:
        """So many more are done."""
        self._done += steps
        self._bar.advance(self._task, steps)
        self._say("")

    def found(self, total: int) -> None:
        """There are so many steps: more than was known before."""
        self._total = total
        self._bar.update(self._task, total=total)

    def detail(self, text: str) -> None:
        """What is to be told of the step at work."""
        self._bar.update(self._task, description=f"{self._what} ({text})")
        self._say(f" ({text})")

    def _say(self, detail: str) -> None:
        if self._console is not None and time.monotonic() - self._said > LINE_SECONDS:
            self._said = time.monotonic()
            self._console.print(f"{self._what}: {self._done} of {self._total}{detail}", markup=False)


@contextmanager
def progress(console: Console | None, what: str, total: int) -> Iterator[Steps]:
    """Show how far the body has come.

    Parameters
    ----------
    console : Console or None
        Where; None for nowhere.
    what : str
        The work, in a word.
    total : int
        How many steps there are.

    Yields
    ------
    Steps
        To be told of each step.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    shown = console is not None and _draws(console)
    with Progress(*columns, console=console, transient=True, disable=not shown) as bar:
        yield Steps(bar, console, what, total)
