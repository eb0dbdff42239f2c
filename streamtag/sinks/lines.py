"""One line a hop, for pipes and files: human-readable text, or JSON Lines for programs."""

from __future__ import annotations

import json
from typing import IO, Any

from streamtag.results import Stats, TagFrame
from streamtag.sinks.base import SessionInfo
from streamtag.sinks.wallclock import unix_times
from streamtag.sinks.writer import LineWriter


class _Lines:
    """What both have in common. A line that finds no room (a full disk) is dropped and counted, and `close` says so."""

    def __init__(self, stream: IO[str]) -> None:
        self._writer = LineWriter(stream)

    @property
    def drops(self) -> int:
        """Lines that are missing."""
        return self._writer.drops

    def open(self, info: SessionInfo) -> None:
        """Let what the stream holds back go first. Raises SinkError if that cannot be written."""
        self._writer.open()

    def status(self, stats: Stats) -> None:
        """Nothing to do: lines are frames."""

    def close(self) -> None:
        """Write what is left. Raises SinkError if lines are missing."""
        self._writer.close()


class TextLines(_Lines):
    """``12.34 s  -18.2 dBFS  rock 0.43  pop 0.31``: seconds of audio, input level, the top tags and their scores."""

    name = "text"

    def frame(self, frame: TagFrame) -> None:
        """Write a line, at once."""
        tags = "  ".join(f"{tag} {score:.2f}" for tag, score in frame.top)
        for head in frame.heads:
            tags += f"  | {head.name}: " + "  ".join(f"{tag} {score:.2f}" for tag, score in head.top)
        self._writer.write(f"{frame.time:8.2f} s  {frame.level_dbfs:6.1f} dBFS  {tags}")


class JsonLines(_Lines):
    """One JSON object a hop.

    t (seconds), top, level_dbfs, latency_ms; captured and sent (seconds since 1970) where there is a clock; rested,
    where the network was not asked; heads, if any play; embedding, on request.
    """

    name = "json"

    def __init__(self, stream: IO[str], *, embeddings: bool = False) -> None:
        super().__init__(stream)
        self._embeddings = embeddings

    def frame(self, frame: TagFrame) -> None:
        """Write an object on a line, at once."""
        line: dict[str, Any] = {
            "t": round(frame.time, 3),
            "top": [[tag, round(score, 4)] for tag, score in frame.top],
            "level_dbfs": round(frame.level_dbfs, 1),
            "latency_ms": round(frame.latency_ms, 1),
        }
        if frame.captured is not None:
            line["captured"], line["sent"] = (round(moment, 6) for moment in unix_times(frame.captured))
        if frame.gated:
            line["rested"] = True
        if frame.heads:
            line["heads"] = {head.name: [[tag, round(score, 4)] for tag, score in head.top] for head in frame.heads}
        if self._embeddings:
            line["embedding"] = [round(float(value), 6) for value in frame.embedding]
        self._writer.write(json.dumps(line))
