"""One line a hop, for pipes and files: text for people, JSON Lines for programs."""

from __future__ import annotations

import json
from typing import IO, Any

from streamtag.errors import SinkError
from streamtag.frames import Stats, TagFrame
from streamtag.sinks import SessionInfo


class TextLines:
    """``12.34 s  -18.2 dBFS  rock 0.43  pop 0.31``: seconds of audio, input level, the top tags and their scores."""

    name = "text"

    def __init__(self, stream: IO[str]) -> None:
        self.drops = 0
        self._stream = stream

    def open(self, info: SessionInfo) -> None:
        """Nothing to do."""

    def frame(self, frame: TagFrame) -> None:
        """Write a line, at once."""
        tags = "  ".join(f"{tag} {score:.2f}" for tag, score in frame.top)
        for head in frame.heads:
            tags += f"  | {head.name}: " + "  ".join(f"{tag} {score:.2f}" for tag, score in head.top)
        _write(self._stream, f"{frame.time:8.2f} s  {frame.level_dbfs:6.1f} dBFS  {tags}")

    def status(self, stats: Stats) -> None:
        """Nothing to do: lines are frames."""

    def close(self) -> None:
        """Write what is left."""
        self._stream.flush()


class JsonLines:
    """One JSON object a hop: t (seconds), top, level_dbfs, latency_ms, heads (if any play), embedding (on request)."""

    name = "json"

    def __init__(self, stream: IO[str], *, embeddings: bool = False) -> None:
        self.drops = 0
        self._stream = stream
        self._embeddings = embeddings

    def open(self, info: SessionInfo) -> None:
        """Nothing to do."""

    def frame(self, frame: TagFrame) -> None:
        """Write an object on a line, at once."""
        line: dict[str, Any] = {
            "t": round(frame.time, 3),
            "top": [[tag, round(score, 4)] for tag, score in frame.top],
            "level_dbfs": round(frame.level_dbfs, 1),
            "latency_ms": round(frame.latency_ms, 1),
        }
        if frame.heads:
            line["heads"] = {head.name: [[tag, round(score, 4)] for tag, score in head.top] for head in frame.heads}
        if self._embeddings:
            line["embedding"] = [round(float(value), 6) for value in frame.embedding]
        _write(self._stream, json.dumps(line))

    def status(self, stats: Stats) -> None:
        """Nothing to do: lines are frames."""

    def close(self) -> None:
        """Write what is left."""
        self._stream.flush()


def _write(stream: IO[str], line: str) -> None:
    """Write a line, at once."""
    try:
        print(line, file=stream, flush=True)
    except BrokenPipeError:  # the reader has left: for the caller to decide
        raise
    except OSError as error:
        raise SinkError(
            f"cannot write to {getattr(stream, 'name', 'the output')}: {error.strerror or error}"
        ) from error
