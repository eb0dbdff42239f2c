"""A steady view of several inputs on a terminal: a row for each, and what is wrong below."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from rich.cells import set_cell_size
from rich.console import Console
from rich.text import Text

from streamtag._system.encoding import writable
from streamtag._system.terminal import on_one_line
from streamtag.results import ENDED, SILENCE_DBFS, State, Stats, TagFrame
from streamtag.sinks.base import BaseSink, SessionInfo, troubles
from streamtag.sinks.lines import only_embedding
from streamtag.sinks.painter import Painter
from streamtag.sinks.terminal import QUIETEST_SHOWN_DBFS, REDRAWS_PER_SECOND, bar

LEVEL_CELLS = 8
STATE_CELLS = 10
NAMED = 3
"""Tags of an input, at the most."""


class InputView(BaseSink):
    """One input's row. Wrap it in `Background`."""

    name = "terminal"

    def __init__(self, view: InputsView) -> None:
        self._view = view
        self.info: SessionInfo | None = None
        self.newest: TagFrame | None = None
        self.stats: Stats | None = None

    def open(self, info: SessionInfo) -> None:
        """Learn its name."""
        self.info = info

    def frame(self, frame: TagFrame) -> None:
        """Show a frame, soon."""
        self.newest = frame
        self._view.draw()

    def status(self, stats: Stats) -> None:
        """Show the counters."""
        self.stats = stats
        self._view.draw(soon=False)

    def close(self) -> None:
        """Leave the last picture standing, once all have ended."""
        self._view.leave(self)


class InputsView:
    """Draws all rows, ten times a second at the most, whichever input has something new.

    Parameters
    ----------
    console : Console
        Where to draw.
    names : sequence of str
        What the inputs are called.

    Attributes
    ----------
    rows : list of InputView
        A sink for each input, in their order.
    """

    def __init__(self, console: Console, names: Sequence[str]) -> None:
        self._console = console
        self._width = max(map(len, names))
        self._painter = Painter(console, self._fitting)
        self._lock = threading.Lock()  # over what follows
        self._drawn = 0.0
        self.rows = [InputView(self) for _ in names]
        self._open = list(self.rows)

    def draw(self, *, soon: bool = True) -> None:
        """Draw, unless that was done just now, and what there is can wait."""
        with self._lock:
            now = time.monotonic()
            if soon and now - self._drawn < 1 / REDRAWS_PER_SECOND:
                return
            self._drawn = now
        self._painter.paint()

    def leave(self, row: InputView) -> None:
        """A row has ended; the last one leaves the picture standing."""
        with self._lock:
            self._open = [other for other in self._open if other is not row]
            last = not self._open
        if last:
            self._painter.close()

    def suspend(self) -> None:
        """Leave the terminal to the shell until `resume`; for the main thread."""
        self._painter.suspend()

    def resume(self) -> None:
        """Draw again, below what stands there now; for the main thread."""
        self._painter.resume()

    def _fitting(self, columns: int, lines: int) -> list[Text]:
        """All rows, then what is wrong, as far as there is room."""
        rows = [self._row(row, columns) for row in self.rows]
        wrong = [
            Text(self._writable(f"{row.info.input}: {text}"), "yellow", overflow="ellipsis")
            for row in self.rows
            if row.info is not None and row.stats is not None
            for text in troubles(row.stats, row.info.source)
        ]
        room = max(1, lines)
        if len(rows) > room:
            rows = [*rows[: room - 1], Text(f"and {len(rows) - room + 1} more inputs: the window is too low", "dim")]
        return [*rows, *wrong[: room - len(rows)]]

    def _row(self, row: InputView, columns: int) -> Text:
        name = row.info.input if row.info is not None else ""
        frame, stats = row.newest, row.stats
        state = stats.state if stats is not None else State.STARTING
        level = SILENCE_DBFS if frame is None else frame.level_dbfs
        if stats is not None and state is not State.RUNNING:
            level = stats.level_dbfs if state not in ENDED else SILENCE_DBFS
        lost = 0 if stats is None else stats.hops_skipped + stats.samples_lost
        parts = [
            (set_cell_size(name, self._width), "bold"),
            (f" {state.value:{STATE_CELLS}}", "" if state in (State.RUNNING, State.STARTING) else "bold red"),
            (f" {bar(1 - level / QUIETEST_SHOWN_DBFS, LEVEL_CELLS):{LEVEL_CELLS}}", "green"),
            (f" {level:6.1f} dBFS " if level > SILENCE_DBFS else " silence     ", ""),
        ]
        if lost and stats is not None:  # before the tags: a narrow window cuts off what comes last
            parts.append((f" skipped {stats.hops_skipped}, lost {stats.samples_lost} ", "bold red"))
        if frame is not None:
            if not len(frame.raw):
                parts.append((f" {only_embedding(frame)}", "dim"))
            for tag, score in frame.top[:NAMED]:
                if score >= 0.005:
                    parts.append((f" {tag} {score:.2f}", "bold green" if tag in frame.on else ""))
            for head in frame.heads:
                parts += [
                    (f" | {tag} {score:.2f}", "bold green" if tag in head.on else "") for tag, score in head.top[:1]
                ]
        text = Text.assemble(*((self._writable(part), style) for part, style in parts))
        text.truncate(columns)
        return text

    def _writable(self, text: str) -> str:
        return writable(on_one_line(text), self._console.encoding)
