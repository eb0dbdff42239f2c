"""A steady view of a live session on a terminal: what it shows, and what of that where there is little room."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

from rich.cells import set_cell_size
from rich.console import Console, Group
from rich.text import Text

from streamtag._system.encoding import writable
from streamtag._system.terminal import on_one_line
from streamtag.results import SILENCE_DBFS, HeadFrame, State, Stats, TagFrame
from streamtag.sinks.base import MUSIC, BaseSink, SessionInfo, Sink, distinct_names
from streamtag.sinks.lines import only_embedding
from streamtag.sinks.painter import Painter

BAR_CELLS = 32
SHORTEST_BAR_CELLS = 4
REDRAWS_PER_SECOND = 10
EIGHTHS = " ▏▎▍▌▋▊▉█"
QUIETEST_SHOWN_DBFS = -60.0
PACE_SECONDS = 3.0
"""Over how long hops are counted to say how many come in a second."""
LONGEST_TROUBLE_ROWS = 3

# what goes first where there is no room for all: the greatest number, and of equal ones the last
STATE, TROUBLE, LOSSES, LEVEL, HEADING, NO_LOSSES, TITLE, TAGS, QUIET_SINK, BLANK = 0, 1, 2, 3, 5, 6, 7, 10, 900, 1000


@dataclass(frozen=True, slots=True)
class _Row:
    text: Text
    importance: int


class TerminalView(BaseSink):
    """Bars for the top tags, input level, hop rate, latency and losses. Wrap it in `Background`.

    Parameters
    ----------
    console : Console
        Where to draw.
    others : list of Sink
        The session's other sinks, whose losses are shown.
    """

    name = "terminal"

    def __init__(self, console: Console, others: list[Sink]) -> None:
        self._console = console
        self._others = distinct_names([self, *others])[1:]
        self._painter = Painter(console, self._fitting)
        self._frame: TagFrame | None = None
        self._stats: Stats | None = None
        self._pace: deque[tuple[float, int]] = deque()  # when so many hops had been made
        self._most_tags: dict[str, int] = {}  # by head, as last named: so many rows stay where nothing is heard
        self._drawn = 0.0

    def open(self, info: SessionInfo) -> None:
        """Get ready: the first picture comes with the first status."""
        self._info = info

    def frame(self, frame: TagFrame) -> None:
        """Show a frame, ten times a second at the most."""
        self._frame = frame
        named = {"": frame.top, **{head.name: head.top for head in frame.heads}}
        self._most_tags |= {name: len(top) for name, top in named.items() if top}
        if time.monotonic() - self._drawn >= 1 / REDRAWS_PER_SECOND:
            self._draw()

    def status(self, stats: Stats) -> None:
        """Show the counters."""
        self._stats = stats
        now = time.monotonic()
        self._pace.append((now, stats.hops))
        while len(self._pace) > 2 and now - self._pace[1][0] >= PACE_SECONDS:
            self._pace.popleft()
        self._draw()

    def close(self) -> None:
        """Leave the last picture standing."""
        if self._frame is not None or self._stats is not None:
            self._painter.close()

    def suspend(self) -> None:
        """Leave the terminal to the shell until `resume`; for the main thread."""
        self._painter.suspend()

    def resume(self) -> None:
        """Draw again, below what stands there now; for the main thread."""
        self._painter.resume()

    def picture(self) -> Group:
        """What is shown now, where there is room for all of it."""
        return Group(*(row.text for row in self._rows(self._console.width)))

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        self._painter.paint()

    def _fitting(self, columns: int, lines: int) -> list[Text]:
        """The most important rows, as many as there is room for."""
        rows = self._rows(columns)
        while len(rows) > lines:
            del rows[max(range(len(rows)), key=lambda place: (rows[place].importance, place))]
        return [row.text for row in rows]

    def _rows(self, columns: int) -> list[_Row]:
        info, stats = self._info, self._stats
        hop, rate = (stats.hop, stats.samplerate) if stats else (info.hop, info.samplerate)
        title = [] if stats is None or not stats.title else [_Row(self._text((f"  {stats.title}", "italic")), TITLE)]
        about = f"  {info.model}  ·  {info.source}, {rate} Hz  ·  hop {hop * 1e3:.0f} ms"
        return [
            _Row(self._text(("streamtag", "bold"), (about, "")), HEADING),
            *title,
            _Row(Text(), BLANK),
            *self._tags(columns),
            _Row(Text(), BLANK),
            _Row(self._level(columns), LEVEL),
            *self._counters(columns),
        ]

    def _text(self, *parts: tuple[str, str]) -> Text:
        """Parts with their styles, in characters that the terminal's encoding has."""
        encoding = self._console.encoding
        return Text.assemble(*((writable(on_one_line(part), encoding), style) for part, style in parts))

    # --- what is heard --------------------------------------------------------------------------------------------

    def _tags(self, columns: int) -> list[_Row]:
        if self._frame is None:
            first = "tags come" if self._info.labels else "embedding comes"
            waiting = f"listening: the first {first} after {self._info.window:.2g} s"
            return [_Row(self._text((waiting, "dim")), TAGS)]
        groups = (self._info.labels, *(head.labels for head in self._info.heads))
        width = max((len(label) for labels in groups for label in labels), default=0)
        if self._info.labels:
            rows = self._bars("", self._frame, width, columns)
        else:
            rows = [_Row(self._text((only_embedding(self._frame), "dim")), TAGS)]
        for head in self._frame.heads:
            rows += [_Row(self._text((head.name, "bold")), TAGS), *self._bars(head.name, head, width, columns)]
        return rows

    def _bars(self, name: str, heard: TagFrame | HeadFrame, width: int, columns: int) -> list[_Row]:
        score_cells = len(" 0.00")
        cells = min(BAR_CELLS, columns - width - score_cells - 1)
        if cells < SHORTEST_BAR_CELLS:
            width, cells = max(1, min(width, columns - score_cells)), -1
        rows = []
        for place in range(self._most_tags.get(name, 1)):
            tag, score = heard.top[place] if place < len(heard.top) else ("", 0.0)
            if not score:  # nothing is heard: which tags come first then means nothing
                rows.append(_Row(self._text(("–", "dim")), TAGS + place))
                continue
            style = "bold green" if tag in heard.on else ""
            label = set_cell_size(writable(on_one_line(tag), self._console.encoding), width)
            drawn = f" {bar(score, cells):{cells}}" if cells > 0 else ""
            row = self._text((label, style), (drawn, style or "cyan"), (f" {score:.2f}", ""))
            rows.append(_Row(row, TAGS + place))
        return rows

    def _level(self, columns: int) -> Text:
        if self._frame is None and self._stats is None:
            return self._text(("level  -", ""))
        level = self._frame.level_dbfs if self._frame else self._stats.level_dbfs if self._stats else SILENCE_DBFS
        share = 1 - level / QUIETEST_SHOWN_DBFS
        colour = "red" if level > -1 else "yellow" if level > -6 else "green"
        shown = "silence" if level <= SILENCE_DBFS else f"{level:6.1f} dBFS"
        if self._frame is not None and self._frame.gain_db is not None:
            shown += f"  gain {self._frame.gain_db:+5.1f} dB"
        if self._frame is not None and self._frame.music is not None and self._frame.music < MUSIC:
            shown += "  no music"
        cells = min(BAR_CELLS, columns - len(f"level   {shown}"))
        drawn = (f"{bar(share, cells)} ", colour) if cells >= SHORTEST_BAR_CELLS else ("", "")
        return self._text(("level  ", ""), drawn, (shown, ""))

    # --- how well -------------------------------------------------------------------------------------------------

    def _counters(self, columns: int) -> list[_Row]:
        stats = self._stats
        if stats is None:
            return []
        lost = self._losses(stats)
        return [
            _Row(self._state(stats), STATE),
            _Row(lost, LOSSES if any(span.style != "dim" for span in lost.spans) else NO_LOSSES),
            *(row for text in self._troubles(stats) for row in self._wrapped(text, columns)),
        ]

    def _state(self, stats: Stats) -> Text:
        minutes, seconds = divmod(int(stats.seconds + stats.gap_seconds), 60)
        latency = f"latency {stats.latency_p50:.0f} ms (p99 {stats.latency_p99:.0f})" if stats.hops else "latency -"
        resting = ", resting" if stats.gate_closed and stats.state is State.RUNNING else ""
        rest = (f"{minutes}:{seconds:02d}", f"{self._rate()} hops/s", latency, f"load {100 * stats.load:.0f} %")
        colour = "bold red" if stats.state is State.RECOVERING else ""
        return self._text((stats.state.value, colour), (f"{resting} {'  ·  '.join(rest)}", ""))

    def _rate(self) -> str:
        """How many hops were made in a second of late."""
        (began, first), (ended, last) = self._pace[0], self._pace[-1]
        return f"{(last - first) / (ended - began):.1f}" if ended > began else "-"

    def _losses(self, stats: Stats) -> Text:
        rare = (
            ("overflows", stats.overflows),
            ("clock jumps", stats.clock_jumps),
            ("replaced samples", stats.nonfinite),
        )
        counts = (
            (f"gaps ({stats.gap_seconds:.0f} s)" if stats.gaps else "gaps", stats.gaps),
            ("lost samples", stats.samples_lost),
            ("skipped hops", stats.hops_skipped),
            *(each for each in rare if each[1]),
        )
        return self._text(*((f"{name} {count}   ", "bold red" if count else "dim") for name, count in counts))

    def _troubles(self, stats: Stats) -> list[tuple[str, str]]:
        lines = []
        if stats.trouble:
            lines.append((f"{self._info.source}: {stats.trouble}", "bold red"))
        lines += [(f"{self._info.source}: {warning}", "yellow") for warning in stats.warnings.values()]
        for name in self._others:
            troubled = stats.sink_trouble.get(name) or stats.sink_errors.get(name)
            lost = f", {stats.sink_drops[name]} not taken" if stats.sink_drops.get(name) else ""
            said = f", {troubled}" if troubled else ""
            lines.append((f"→ {name}{lost}{said}", "yellow" if lost or said else "dim"))
        if stats.control_ignored:
            why = f", the last: {stats.control_last_ignored}" if stats.control_last_ignored else ""
            lines.append((f"← commands ignored: {stats.control_ignored}{why}", "yellow"))
        return lines

    def _wrapped(self, text: tuple[str, str], columns: int) -> list[_Row]:
        """What is wrong, in full where a few rows can hold it."""
        importance = QUIET_SINK if text[1] == "dim" else TROUBLE
        lines = self._text(text).wrap(self._console, columns)
        return [_Row(line, importance) for line in lines[:LONGEST_TROUBLE_ROWS]]


def bar(share: float, cells: int = BAR_CELLS) -> str:
    """A bar of 0 to so many cells for a share of 0..1, to the eighth of a cell."""
    eighths = round(min(max(share, 0.0), 1.0) * cells * 8)
    return "█" * (eighths // 8) + (EIGHTHS[eighths % 8] if eighths % 8 else "")
