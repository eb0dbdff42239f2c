"""A steady view of a live session on a terminal. The only importer of rich's live display."""

from __future__ import annotations

import errno
import time

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from streamtag.results import SILENCE_DBFS, HeadFrame, State, Stats, TagFrame
from streamtag.sinks.base import SessionInfo, Sink

BAR_CELLS = 32
REDRAWS_PER_SECOND = 10
EIGHTHS = " ▏▎▍▌▋▊▉█"
QUIETEST_SHOWN_DBFS = -60.0


class TerminalView:
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
        self.drops = 0
        self._console = console
        self._others = others
        self._frame: TagFrame | None = None
        self._stats: Stats | None = None
        self._drawn = 0.0

    def open(self, info: SessionInfo) -> None:
        """Begin to draw."""
        self._info = info
        self._live = Live(console=self._console, auto_refresh=False, transient=False)
        self._live.start()

    def frame(self, frame: TagFrame) -> None:
        """Show a frame, ten times a second at the most."""
        self._frame = frame
        if time.monotonic() - self._drawn >= 1 / REDRAWS_PER_SECOND:
            self._draw()

    def status(self, stats: Stats) -> None:
        """Show the counters."""
        self._stats = stats
        self._draw()

    def close(self) -> None:
        """Leave the last picture standing."""
        self._draw()
        self._live.stop()

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        try:
            self._live.update(self.picture(), refresh=True)
        except OSError as error:
            if error.errno == errno.EIO:  # the terminal was closed
                raise BrokenPipeError(error.errno, "the terminal was closed") from error
            raise

    def picture(self) -> Group:
        """What is shown now."""
        info = self._info
        hop, rate = (self._stats.hop, self._stats.samplerate) if self._stats else (info.hop, info.samplerate)
        head = Text.assemble(
            ("streamtag", "bold"),
            f"  {info.model}  ·  {info.source}, {rate} Hz  ·  hop {hop * 1e3:.0f} ms",
        )
        return Group(head, Text(), *self._tags(), Text(), self._level(), *self._counters())

    def _tags(self) -> list[Table | Text]:
        if self._frame is None:
            return [Text(f"listening: the first tags come after {self._info.window:.0f} s", style="dim")]
        width = max(
            len(label)
            for labels in (self._info.labels, *(head.labels for head in self._info.heads))
            for label in labels
        )
        shown: list[Table | Text] = [self._bars(self._frame, width)]
        for head in self._frame.heads:
            shown += [Text(head.name, style="bold"), self._bars(head, width)]
        return shown

    def _bars(self, heard: TagFrame | HeadFrame, width: int) -> Table:
        table = Table.grid(padding=(0, 1))
        table.add_column(width=width)
        table.add_column(width=BAR_CELLS)
        for tag, score in heard.top:
            if not score:  # nothing is heard: which tags come first then means nothing
                table.add_row(Text("–", "dim"), "", "")
                continue
            style = "bold green" if tag in heard.on else ""
            table.add_row(Text(tag, style), Text(bar(score), style or "cyan"), f"{score:.2f}")
        return table

    def _level(self) -> Text:
        if self._frame is None:
            return Text("level  -")
        level = self._frame.level_dbfs
        share = 1 - level / QUIETEST_SHOWN_DBFS
        colour = "red" if level > -1 else "yellow" if level > -6 else "green"
        shown = "silence" if level <= SILENCE_DBFS else f"{level:6.1f} dBFS"
        return Text.assemble("level  ", (bar(share), colour), f" {shown}")

    def _counters(self) -> list[Text]:
        stats = self._stats
        if stats is None:
            return []
        minutes, seconds = divmod(int(stats.seconds + stats.gap_seconds), 60)
        latency = f"latency {stats.latency_p50:.0f} ms (p99 {stats.latency_p99:.0f})" if stats.hops else "latency -"
        calm = stats.state is not State.RECOVERING
        parts = Text.assemble(
            (stats.state.value, "" if calm else "bold red"),
            ", resting" if stats.gate_closed and stats.state is State.RUNNING else "",
            f" {minutes}:{seconds:02d}  ·  {1 / stats.hop:.1f} hops/s  ·  {latency}",
            f"  ·  load {100 * stats.load:.0f} %",
        )
        losses = Text()
        rare = (
            ("overflows", stats.overflows),
            ("clock jumps", stats.clock_jumps),
            ("replaced samples", stats.nonfinite),
        )
        for name, count in (
            (f"gaps ({stats.gap_seconds:.0f} s)" if stats.gaps else "gaps", stats.gaps),
            ("lost samples", stats.samples_lost),
            ("skipped hops", stats.hops_skipped),
            *(each for each in rare if each[1]),
        ):
            losses.append(f"{name} {count}   ", style="bold red" if count else "dim")
        lines = [parts, losses]
        if stats.trouble:
            lines.append(Text(f"{self._info.source}: {stats.trouble}", style="bold red"))
        for sink in self._others:
            troubled = stats.sink_trouble.get(sink.name) or stats.sink_errors.get(sink.name)
            lost = f", {stats.sink_drops[sink.name]} not taken" if stats.sink_drops.get(sink.name) else ""
            said = f", {troubled}" if troubled else ""
            lines.append(Text(f"→ {sink.name}{lost}{said}", style="yellow" if lost or said else "dim"))
        if stats.control_ignored:
            why = f", the last: {stats.control_last_ignored}" if stats.control_last_ignored else ""
            lines.append(Text(f"← commands ignored: {stats.control_ignored}{why}", style="yellow"))
        return lines


def bar(share: float) -> str:
    """A bar of 0 to 32 cells for a share of 0..1, to the eighth of a cell."""
    eighths = round(min(max(share, 0.0), 1.0) * BAR_CELLS * 8)
    return "█" * (eighths // 8) + (EIGHTHS[eighths % 8] if eighths % 8 else "")
