"""Frames and counters as arrays and JSON, and back: what a part of a take holds. Nothing in it is code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamtag.results import HeadFrame, State, Stats, TagFrame
from streamtag.sinks.base import HeadInfo, SessionInfo

Arrays = Mapping[str, NDArray[Any]]
PLAIN = ("index", "time", "level_dbfs", "gated", "gain_db", "music", "change", "section")
"""Of a frame, what JSON knows as it is."""


def info_as_json(info: SessionInfo) -> dict[str, Any]:
    """What a sink is told of the session, for JSON."""
    return asdict(info)


def info_from_json(told: Mapping[str, Any]) -> SessionInfo:
    """The same, back."""
    heads = tuple(HeadInfo(head["name"], tuple(head["labels"])) for head in told["heads"])
    return SessionInfo(**{**told, "labels": tuple(told["labels"]), "heads": heads})


def pack(said: Sequence[tuple[float, TagFrame | Stats]]) -> tuple[list[dict[str, Any]], dict[str, NDArray[np.float32]]]:
    """What was said, and when, as values for JSON and arrays with a row for each frame.

    Parameters
    ----------
    said : sequence of (float, TagFrame or Stats)
        Seconds since the beginning, and what a sink was given then.

    Returns
    -------
    events : list of dict
        An object for each.
    arrays : dict of {str: ndarray of float32}
        ``raw``, ``scores``, ``embedding``, ``calibrated``; ``head0_raw``, ``head0_scores`` and so on. What a head
        predicts from is left out: it is for corrections, which a take does not know.
    """
    frames = [one for _, one in said if isinstance(one, TagFrame)]
    events = [
        {"at": round(at, 6), **({"frame": _frame(one)} if isinstance(one, TagFrame) else {"status": _status(one)})}
        for at, one in said
    ]
    columns: dict[str, list[NDArray[np.float32]]] = {}
    for frame in frames:
        columns.setdefault("raw", []).append(frame.raw)
        columns.setdefault("scores", []).append(frame.scores)
        columns.setdefault("embedding", []).append(frame.embedding)
        if frame.calibrated is not None:
            columns.setdefault("calibrated", []).append(frame.calibrated)
        for place, head in enumerate(frame.heads):
            columns.setdefault(f"head{place}_raw", []).append(head.raw)
            columns.setdefault(f"head{place}_scores", []).append(head.scores)
    return events, {name: np.stack(rows).astype(np.float32) for name, rows in columns.items()}


def unpack(events: Sequence[Mapping[str, Any]], arrays: Arrays) -> Iterator[tuple[float, TagFrame | Stats]]:
    """What `pack` was given; times of a clock are relative to `TagFrame.predicted`, which is 0 (see `stamped`)."""
    rows = dict.fromkeys(arrays, 0)

    def row(name: str) -> NDArray[np.float32]:
        rows[name] += 1
        taken: NDArray[np.float32] = arrays[name][rows[name] - 1]
        return taken

    for event in events:
        at = float(event["at"])
        if "status" in event:
            yield at, Stats(**{**event["status"], "state": State(event["status"]["state"])})
            continue
        told = event["frame"]
        heads = tuple(
            HeadFrame(
                name=head["name"],
                raw=row(f"head{place}_raw"),
                scores=row(f"head{place}_scores"),
                features=np.empty(0, np.float32),
                **_named(head),
            )
            for place, head in enumerate(told["heads"])
        )
        yield (
            at,
            TagFrame(
                **{name: told[name] for name in PLAIN},
                **_named(told),
                raw=row("raw"),
                scores=row("scores"),
                embedding=row("embedding"),
                calibrated=row("calibrated") if told["calibrated"] else None,
                xyz=None if told["xyz"] is None else tuple(told["xyz"]),
                heads=heads,
                captured=None if told["captured"] is None else -told["captured"],
                arrived=None if told["arrived"] is None else -told["arrived"],
                predicted=None if told["captured"] is None else 0.0,
            ),
        )


def stamped(frame: TagFrame, now: float) -> TagFrame:
    """A frame of a take as if it had just been predicted, with the latency that it had."""
    if frame.predicted is None or frame.captured is None:
        return frame
    arrived = None if frame.arrived is None else now + frame.arrived
    return replace(frame, captured=now + frame.captured, arrived=arrived, predicted=now)


def _frame(frame: TagFrame) -> dict[str, Any]:
    def before(moment: float | None) -> float | None:
        return None if moment is None or frame.predicted is None else round(frame.predicted - moment, 6)

    return {
        **{name: getattr(frame, name) for name in PLAIN},
        **_names(frame),
        "calibrated": frame.calibrated is not None,
        "xyz": frame.xyz,
        "heads": [{"name": head.name, **_names(head)} for head in frame.heads],
        "captured": before(frame.captured),
        "arrived": before(frame.arrived),
    }


def _names(one: TagFrame | HeadFrame) -> dict[str, Any]:
    return {"top": one.top, "switched": one.switched, "on": sorted(one.on)}


def _named(told: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "top": tuple((str(tag), float(score)) for tag, score in told["top"]),
        "switched": tuple((str(tag), bool(on)) for tag, on in told["switched"]),
        "on": frozenset(map(str, told["on"])),
    }


def _status(stats: Stats) -> dict[str, Any]:
    return {**asdict(stats), "state": stats.state.value}
