"""The counters of a session as Prometheus reads them: its text format, version 0.0.4."""

from __future__ import annotations

from collections.abc import Sequence

from streamtag.results import State, Stats
from streamtag.sinks.base import SessionInfo, troubles

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_COUNTERS = (
    ("samples_captured", "samples_captured", "Samples that the source delivered."),
    ("samples_lost", "samples_lost", "Samples that were delivered and found no room."),
    ("overflows", "overflows", "Times the sound system lost samples of its own."),
    ("gaps", "gaps", "Times the input was gone."),
    ("gap_seconds", "gap_seconds", "How long these were altogether."),
    ("hops", "hops", "Windows predicted."),
    ("hops_rested", "hops_gated", "Windows for which the network was at rest."),
    ("hops_skipped", "hops_skipped", "Windows given up because the engine was behind."),
    ("hops_lost", "hops_lost", "Windows that would have ended while no samples came."),
)
_GAUGES = (
    ("load", "load", "Share of real time that the engine spends working."),
    ("level_dbfs", "level_dbfs", "Level of the input, dBFS."),
)
_QUANTILES = (("0.5", "p50"), ("0.99", "p99"), ("0.999", "p999"))


def metrics(stats: Stats | None, info: SessionInfo | None, viewers: int, conflated: int) -> str:
    """The page that Prometheus scrapes.

    Parameters
    ----------
    stats : Stats or None
        The counters; None before there are any.
    info : SessionInfo or None
        The session.
    viewers : int
        Connected to the stream.
    conflated : int
        Frames that viewers who were slower than the stream did without.

    Returns
    -------
    str
        Lines of text.
    """
    lines = [
        *_metric("web_viewers", "gauge", "Connected to the stream.", [("", viewers)]),
        *_metric("web_conflated_total", "counter", "Frames that slow viewers did without.", [("", conflated)]),
    ]
    if stats is None or info is None:
        return _text(lines)
    states = [(f'{{state="{state.value}"}}', int(state is stats.state)) for state in State]
    lines += _metric("state", "gauge", "What the session is doing.", states)
    labels = f'{{model="{_escaped(info.model)}",source="{_escaped(info.source)}"}}'
    lines += _metric("info", "gauge", "What is heard, and by which model.", [(labels, 1)])
    wrong = len(troubles(stats, info.source))
    lines += _metric("troubles", "gauge", "How many things are wrong at present.", [("", wrong)])
    for name, field, about in _COUNTERS:
        lines += _metric(f"{name}_total", "counter", about, [("", getattr(stats, field))])
    for name, field, about in _GAUGES:
        lines += _metric(name, "gauge", about, [("", getattr(stats, field))])
    for name, about in (("latency", "From capture to tags being sent"), ("added", "What streamtag itself adds")):
        values = [(f'{{quantile="{q}"}}', getattr(stats, f"{name}_{field}") / 1e3) for q, field in _QUANTILES]
        lines += _metric(f"{name}_seconds", "gauge", f"{about}, of all hops so far.", values)
    drops = [(f'{{output="{_escaped(name)}"}}', count) for name, count in stats.sink_drops.items()]
    lines += _metric("output_dropped_total", "counter", "Messages that an output did not take.", drops)
    return _text(lines)


def _metric(name: str, kind: str, about: str, values: Sequence[tuple[str, float]]) -> list[str]:
    full = f"streamtag_{name}"
    rows = [f"{full}{labels} {_number(value)}" for labels, value in values]
    return [f"# HELP {full} {about}", f"# TYPE {full} {kind}", *rows]


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.9g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _text(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"
