"""What a person must know, on stderr while it happens: for whoever has no live view, and for a service's journal."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from streamtag.results import ENDED, Stats, TagFrame
from streamtag.sinks.base import BaseSink, SessionInfo

FIRST_REPEAT_SECONDS = 60.0
"""What lasts is said again after this long, then after twice as long, and so on,"""
LONGEST_REPEAT_SECONDS = 3600.0
"""but never after longer than this."""
BURST, BURST_SECONDS = 12, 60.0
"""So many lines within this time are not exceeded, whatever comes and goes: the rest is counted."""


@dataclass(slots=True)
class _Trouble:
    text: str
    since: float
    repeat_at: float
    repeat_after: float = FIRST_REPEAT_SECONDS


class Notices(BaseSink):
    """Writes a line when something goes wrong, when it is over, and rarely while it lasts.

    Parameters
    ----------
    write : callable
        Takes a line, without its end. Wrap the sink in `Background` where that may block.
    """

    name = "notices"
    keeps_running = False

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._source = ""
        self._one_of_several = False
        self._present: dict[tuple[str, str], _Trouble] = {}  # by kind and name
        self._lines: list[float] = []  # when they were written
        self._kept_back = 0
        self._ignored = 0  # commands, when that was last told
        self._ignored_again_at = 0.0

    def open(self, info: SessionInfo) -> None:
        """Learn the input's name."""
        self._source = info.input or info.source
        self._one_of_several = bool(info.input)  # else what ends the session is said by whoever waits for it

    def frame(self, frame: TagFrame) -> None:
        """Nothing of what is heard is told here."""

    def status(self, stats: Stats) -> None:
        """Compare what is wrong with what was."""
        now = time.monotonic()
        wrong = self._wrong(stats)
        for key in [key for key in self._present if key not in wrong]:
            lasted = now - self._present.pop(key).since
            if stats.state not in ENDED:
                self._say(now, f"{key[1]}: {_OVER[key[0]]} after {lasted:.0f} s")
        for key, text in wrong.items():
            known = self._present.get(key)
            if known is None:
                self._present[key] = _Trouble(text, now, now + FIRST_REPEAT_SECONDS)
                self._say(now, f"{key[1]}: {text}")
            elif key[0] == "note" and text != known.text:  # of one source, which has only one to give
                known.text = text
                self._say(now, f"{key[1]}: {text}")
            elif now >= known.repeat_at:
                known.repeat_after = min(2 * known.repeat_after, LONGEST_REPEAT_SECONDS)
                known.repeat_at = now + known.repeat_after
                self._say(now, f"{key[1]}: {text} (for {now - known.since:.0f} s now)")
        if stats.control_ignored > self._ignored and now >= self._ignored_again_at:
            self._ignored, self._ignored_again_at = stats.control_ignored, now + FIRST_REPEAT_SECONDS
            self._say(now, f"commands ignored: {stats.control_ignored}, the last: {stats.control_last_ignored}")

    def _wrong(self, stats: Stats) -> dict[tuple[str, str], str]:
        """What is wrong at present, by kind and by the name of what it is wrong with."""
        wrong = {}
        if stats.trouble and (stats.state not in ENDED or self._one_of_several):
            wrong["input", self._source] = stats.trouble
        for kind, text in stats.warnings.items():
            wrong[kind, self._source] = text
        for name, text in stats.sink_trouble.items():
            wrong["sink", name] = text
        return wrong

    def _say(self, now: float, line: str) -> None:
        self._lines = [moment for moment in self._lines if now - moment < BURST_SECONDS]
        if len(self._lines) >= BURST:
            self._kept_back += 1
            return
        if self._kept_back:
            line += f" ({self._kept_back} more notes were left out)"
            self._kept_back = 0
        self._lines.append(now)
        self._write(f"note: {line}")


class _Endings(dict[str, str]):
    def __missing__(self, kind: str) -> str:
        return f"no longer ({kind})"


_OVER = _Endings(
    input="is back",
    note="is all right again",
    sink="works again",
    zeros="is heard now",
    scale="is of a usual scale again",
    clipping="does not clip any more",
    numbers="gives numbers again",
    lost="no samples are lost any more",
    overflows="no samples are lost by the sound system any more",
    behind="is kept up with again",
    correction="corrections are learned again",
)
