"""One line a hop, for pipes and files: human-readable text, or JSON Lines for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import IO, Any

import numpy as np

from streamtag._system.terminal import on_one_line
from streamtag.results import SILENCE_DBFS, State, Stats, TagFrame, best_tags
from streamtag.sinks.base import MUSIC, SessionInfo, troubles
from streamtag.sinks.wallclock import unix_times
from streamtag.sinks.writer import LineWriter

WITHOUT_HOPS = frozenset({State.RECOVERING, State.PAUSED, State.FAILED})

SILENCE = "silence"


class _Lines:
    """What both have in common. A line that finds no room (a full disk) is dropped and counted, and `close` says so."""

    def __init__(self, stream: IO[str] | LineWriter) -> None:
        self._writer = stream if isinstance(stream, LineWriter) else LineWriter(stream)
        self._input = ""

    @property
    def drops(self) -> int:
        """Lines that are missing."""
        return self._writer.drops

    @property
    def trouble(self) -> str | None:
        """Why lines are missing at present, or will be; None if nothing is known to be wrong."""
        return self._writer.trouble

    def open(self, info: SessionInfo) -> None:
        """Let what the stream holds back go first. Raises SinkError if that cannot be written."""
        self._input = info.input
        self._writer.open()

    def status(self, stats: Stats) -> None:
        """Nothing to do: lines are frames."""

    def close(self) -> None:
        """Write what is left. Raises SinkError if lines are missing."""
        self._writer.close()


class TextLines(_Lines):
    """``12.34 s  -18.2 dBFS  rock 0.43  pop 0.31``: seconds of audio, input level, the top tags and their scores.

    At rest, tags whose score has fallen to 0.00 are left out; ``silence`` is what stands there in the end. The name of
    an input that is one of several comes first.
    """

    name = "text"

    def frame(self, frame: TagFrame) -> None:
        """Write a line, at once."""
        without = frame.music is not None and frame.music < MUSIC and not frame.gated
        tags = _named(frame.top, frame.gated or without) if len(frame.raw) else only_embedding(frame)
        if without and not frame.on:
            tags = f"{'' if tags == SILENCE else tags + '  '}no music ({frame.music:.2f})"
        for head in frame.heads:
            tags += f"  | {head.name}: {_named(head.top, frame.gated)}"
        named = f"{self._input:12}" if self._input else ""
        self._writer.write(f"{named}{frame.time:8.2f} s  {frame.level_dbfs:6.1f} dBFS  {on_one_line(tags)}")


def only_embedding(frame: TagFrame) -> str:
    """What stands in place of the tags of a model that has none."""
    if frame.gated:
        return SILENCE
    return f"embedding of {len(frame.embedding)}, length {float(np.linalg.norm(frame.embedding)):.3g}"


def _named(top: Sequence[tuple[str, float]], gated: bool) -> str:
    shown = [f"{tag} {score:.2f}" for tag, score in top if not gated or score >= 0.005]
    return "  ".join(shown) or SILENCE


class JsonLines(_Lines):
    """One JSON object a hop.

    input, of one of several; t (seconds), top, on, level_dbfs, latency_ms; gain_db, where the level is brought to the
    models'; calibrated (the tags that are highest on their own scales, best first) and music, where they are asked
    for; change (0..1) and section (how many seconds ago a new one began), where scores react; xyz (the embedding as
    three coordinates); captured and sent (seconds since 1970) where there is a clock; rested, where the network was
    not asked; heads and heads_on, if any play; embedding, on request; status, each second and at each change of
    state: where no hops come, on a line that else repeats the last one.
    """

    name = "json"

    def __init__(self, stream: IO[str] | LineWriter, *, embeddings: bool = False) -> None:
        super().__init__(stream)
        self._embeddings = embeddings
        self._source, self._labels = "", tuple[str, ...]()
        self._begin()

    def _begin(self) -> None:
        """Be ready for a session."""
        self._status: dict[str, Any] | None = None  # to go with the next line
        self._last: dict[str, Any] = {"t": 0.0, "top": [], "on": [], "level_dbfs": SILENCE_DBFS, "latency_ms": 0.0}

    def open(self, info: SessionInfo) -> None:
        """Let what the stream holds back go first. Raises SinkError if that cannot be written."""
        self._source, self._labels = info.source, info.labels
        self._begin()
        super().open(info)

    def frame(self, frame: TagFrame) -> None:
        """Write an object on a line, at once."""
        line = frame_fields(frame, self._labels)
        self._last = line.copy()
        if frame.captured is not None:
            line["captured"], line["sent"] = (round(moment, 6) for moment in unix_times(frame.captured))
        if self._embeddings:
            line["embedding"] = embedding_field(frame)
        self._write(line)

    def status(self, stats: Stats) -> None:
        """Put the state on the next line; on one of its own where none may come soon."""
        self._status = status_fields(stats, self._source)
        if stats.state in WITHOUT_HOPS:
            self._write(self._last)

    def _write(self, line: dict[str, Any]) -> None:
        status, self._status = self._status, None
        line = {"input": self._input, **line} if self._input else line
        self._writer.write(json.dumps(line if status is None else {**line, "status": status}))


def frame_fields(frame: TagFrame, labels: Sequence[str]) -> dict[str, Any]:
    """What a frame is as JSON, but for the times at which it is sent and for what is only there on request.

    Parameters
    ----------
    frame : TagFrame
        The frame.
    labels : sequence of str
        The model's tags.

    Returns
    -------
    dict
        See `JsonLines`.
    """
    line: dict[str, Any] = {
        "t": round(frame.time, 3),
        "top": _rounded(frame.top),
        "on": sorted(frame.on),
        "level_dbfs": round(frame.level_dbfs, 1),
        "latency_ms": round(frame.latency_ms, 1),
    }
    if frame.gain_db is not None:
        line["gain_db"] = round(frame.gain_db, 1)
    if frame.calibrated is not None:
        line["calibrated"] = _rounded(best_tags(labels, frame.calibrated, len(frame.top)))
    if frame.music is not None:
        line["music"] = round(frame.music, 3)
    if frame.change is not None:
        line["change"] = round(frame.change, 3)
    if frame.section is not None:
        line["section"] = round(frame.section, 2)
    if frame.xyz is not None:
        line["xyz"] = [round(value, 3) for value in frame.xyz]
    if frame.gated:
        line["rested"] = True
    if frame.heads:
        line["heads"] = {head.name: _rounded(head.top) for head in frame.heads}
        line["heads_on"] = {head.name: sorted(head.on) for head in frame.heads}
    return line


def embedding_field(frame: TagFrame) -> list[float]:
    """The embedding, as JSON has it."""
    return [round(float(value), 6) for value in frame.embedding]


def status_fields(stats: Stats, source: str) -> dict[str, Any]:
    """The state of a session, as JSON has it.

    Parameters
    ----------
    stats : Stats
        Its counters.
    source : str
        What is heard.

    Returns
    -------
    dict
        See `JsonLines`.
    """
    fields = {
        "state": stats.state.value,
        "level_dbfs": round(stats.level_dbfs, 1),
        "trouble": troubles(stats, source),
        "samples_lost": stats.samples_lost,
        "overflows": stats.overflows,
        "hops_skipped": stats.hops_skipped,
        "gaps": stats.gaps,
        "gap_seconds": round(stats.gap_seconds, 3),
        "load": round(float(stats.load), 3),
    }
    if stats.clock_ppm is not None:
        fields["clock_ppm"] = round(stats.clock_ppm, 1)
    if stats.title is not None:
        fields["title"] = stats.title
    return fields


def _rounded(top: Sequence[tuple[str, float]]) -> list[list[str | float]]:
    return [[tag, round(score, 4)] for tag, score in top]
