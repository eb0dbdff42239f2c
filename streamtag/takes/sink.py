"""What is sent, kept in a file."""

from __future__ import annotations

import time
from pathlib import Path

from streamtag.errors import SinkError
from streamtag.results import Stats, TagFrame
from streamtag.sinks.base import BaseSink, SessionInfo
from streamtag.takes.file import append_part, create_take
from streamtag.takes.parts import pack

PART_SECONDS = 5.0
"""From one part of the file to the next."""
MOST_WAITING = 10_000
"""Frames and counters that are kept while nothing can be written: minutes of them."""


class RecordSink(BaseSink):
    """Keeps a session's frames and counters in a file, a take, that `streamtag replay` sends again.

    It writes every few seconds: wrap it in `Background`. While nothing can be written (a full disk) it tries again with
    what has come meanwhile, some minutes of it; what is older is dropped, and counted.

    Parameters
    ----------
    path : str or Path
        File to be made; one that is there already is left as it is.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.name = f"record {self.path.name}"
        self._drops = 0
        self._trouble: str | None = None

    @property
    def drops(self) -> int:
        """Frames and counters that are missing."""
        return self._drops

    @property
    def trouble(self) -> str | None:
        """Why nothing can be written at present; None if nothing is known to be wrong."""
        return self._trouble

    def open(self, info: SessionInfo) -> None:
        """Make the file. Raises SinkError if it cannot be made, or is there already."""
        create_take(self.path, info)
        self._began = self._due = time.monotonic()
        self._number = 0
        self._said: list[tuple[float, TagFrame | Stats]] = []

    def frame(self, frame: TagFrame) -> None:
        """Keep a frame."""
        self._keep(time.monotonic() if frame.predicted is None else frame.predicted, frame)

    def status(self, stats: Stats) -> None:
        """Keep the counters."""
        self._keep(time.monotonic(), stats)

    def close(self) -> None:
        """Write what is left. Raises SinkError if something is missing."""
        self._write()
        if self._said:
            self._drops += len(self._said)
            raise SinkError(f"{self._trouble}; the last {len(self._said)} results are not in it")

    def _keep(self, moment: float, one: TagFrame | Stats) -> None:
        self._said.append((max(0.0, moment - self._began), one))
        if time.monotonic() - self._due >= PART_SECONDS:
            self._due = time.monotonic()
            self._write()

    def _write(self) -> None:
        if not self._said:
            return
        try:
            append_part(self.path, self._number, *pack(self._said))
        except SinkError as error:
            self._trouble = str(error)
            lost = max(0, len(self._said) - MOST_WAITING)
            del self._said[:lost]
            self._drops += lost
        else:
            self._trouble = None
            self._number += 1
            self._said = []
