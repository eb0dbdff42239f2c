"""What viewers are sent: JSON, encoded once a frame for all who want the same fields."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from streamtag.errors import OptionError
from streamtag.results import Stats, TagFrame
from streamtag.sinks.base import SessionInfo
from streamtag.sinks.lines import embedding_field, frame_fields, status_fields
from streamtag.sinks.wallclock import unix_times

VERSION = 1
ON_REQUEST = ("scores", "embedding")
"""Fields that are large, and sent only to those who name them."""
FASTEST, DEFAULT_RATE = 62.5, 30.0
"""Frames a second."""
PAST_SECONDS, PAST_STEP = 180.0, 0.25
"""How much a page that comes late is told, and in what steps."""
MOST_FIELDS = 40


@dataclass(frozen=True, slots=True)
class Wish:
    """What a viewer wants.

    Attributes
    ----------
    interval : float
        Seconds of audio between two frames, at least.
    fields : frozenset of str or None
        Names of fields, `type` and `t` apart, which are always there; None: all but those `ON_REQUEST`.
    input : str or None
        Which of several inputs; None for the first.
    """

    interval: float
    fields: frozenset[str] | None
    input: str | None = None


def parse_wish(path: str) -> Wish:
    """What the address of the stream asks for: ``/v1/stream?rate=20&fields=top,on,scores``.

    Raises
    ------
    OptionError
        What cannot be had.
    """
    query = parse_qs(urlsplit(path).query, keep_blank_values=True, max_num_fields=8)
    if unknown := sorted(set(query) - {"rate", "fields", "input"}):
        raise OptionError(f"{', '.join(unknown)}: the stream knows rate, fields and input")
    text = query.get("rate", [f"{DEFAULT_RATE:g}"])[-1]
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= 1000:
        raise OptionError(f"rate={text}: expected frames a second, for example 20")
    interval, name = 1 / min(rate, FASTEST), query.get("input", [None])[-1]
    if "fields" not in query:
        return Wish(interval, None, name)
    fields = frozenset(name.strip() for name in query["fields"][-1].split(",") if name.strip())
    if not 0 < len(fields) <= MOST_FIELDS:
        raise OptionError("fields=: expected names of fields with commas between, for example top,on,level_dbfs")
    return Wish(interval, fields, name)


def parse_input(path: str) -> str | None:
    """Which of several inputs a request is of; None for who names none."""
    return parse_qs(urlsplit(path).query, max_num_fields=8).get("input", [None])[-1]


def hello(info: SessionInfo, names: Sequence[str] = ()) -> str:
    """The first message: what is heard, and what the numbers of `scores` are."""
    several = {"input": info.input, "inputs": list(names)} if info.input else {}
    return json.dumps(
        {
            "type": "hello",
            "version": VERSION,
            **several,
            "model": info.model,
            "labels": info.labels,
            "source": info.source,
            "samplerate": info.samplerate,
            "hop": info.hop,
            "window": info.window,
            "engine": info.engine,
            "embedding_size": info.embedding_size,
            "heads": [{"name": head.name, "labels": head.labels} for head in info.heads],
        }
    )


def status_message(stats: Stats, info: SessionInfo) -> str:
    """The state, each second and at each change."""
    fields = status_fields(stats, info.source)
    more = {
        "seconds": stats.seconds,
        "hop": stats.hop,
        "hops": stats.hops,
        "hops_rested": stats.hops_gated,
        "latency_p50_ms": stats.latency_p50,
        "latency_p99_ms": stats.latency_p99,
        "added_p99_ms": stats.added_p99,
    }
    rounded = {name: round(value, 3) for name, value in more.items()}
    return json.dumps({"type": "status", **fields, **rounded, "outputs_dropped": stats.sink_drops})


class Encoded:
    """One frame, as each kind of viewer gets it.

    Parameters
    ----------
    frame : TagFrame
        The frame.
    labels : tuple of str
        The model's tags.
    """

    def __init__(self, frame: TagFrame, labels: tuple[str, ...]) -> None:
        self.frame = frame
        self._labels = labels
        self._fields: dict[str, Any] | None = None
        self._texts: dict[tuple[frozenset[str] | None, float | None, float | None], str] = {}

    def text(self, wanted: frozenset[str] | None, change: float | None = None, section: float | None = None) -> str:
        """The message with these fields.

        Parameters
        ----------
        wanted : frozenset of str or None
            See `Wish`.
        change, section : float or None
            Those of frames that were left out, if they are to go with this one.

        Returns
        -------
        str
            JSON.
        """
        key = (wanted, change, section)
        if key not in self._texts:
            self._texts[key] = json.dumps({"type": "frame"} | self._chosen(wanted, change, section))
        return self._texts[key]

    def _chosen(self, wanted: frozenset[str] | None, change: float | None, section: float | None) -> dict[str, Any]:
        if self._fields is None:
            self._fields = frame_fields(self.frame, self._labels)
            if self.frame.captured is not None:
                captured, sent = unix_times(self.frame.captured)
                self._fields |= {"captured": round(captured, 6), "sent": round(sent, 6)}
        fields = self._fields.copy()
        if change is not None:
            fields["change"] = round(change, 3)
        if section is not None:
            fields["section"] = round(section, 2)
        if wanted is None:
            return fields
        chosen = {name: value for name, value in fields.items() if name == "t" or name in wanted}
        if "scores" in wanted:
            chosen["scores"] = [round(float(score), 3) for score in self.frame.scores]
        if "embedding" in wanted:
            chosen["embedding"] = embedding_field(self.frame)
        return chosen


class Past:
    """The last minutes, coarsely, for a page that comes late.

    Each column is written once, when it comes: to write all of them at each request would hold Python's lock for 10 ms.
    """

    def __init__(self) -> None:
        self._columns: deque[tuple[str, str]] = deque(maxlen=round(PAST_SECONDS / PAST_STEP))
        self._due = 0.0

    def add(self, frame: TagFrame) -> None:
        """Take a frame, if it is time for one."""
        if frame.time >= self._due:
            self._due = frame.time + PAST_STEP
            percent = [round(100 * score) for score in frame.scores.tolist()]
            self._columns.append((f"{frame.time:.2f}", json.dumps(percent, separators=(",", ":"))))

    def text(self) -> str:
        """JSON: ``step`` (seconds), ``t``, and ``percent``, the scores of each time in percent."""
        times = ",".join(time for time, _ in self._columns)
        percent = ",".join(scores for _, scores in self._columns)
        return f'{{"version":{VERSION},"step":{PAST_STEP},"t":[{times}],"percent":[{percent}]}}'
