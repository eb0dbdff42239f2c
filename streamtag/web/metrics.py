"""The counters of sessions as Prometheus reads them: its text format, version 0.0.4."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from streamtag.results import State, Stats
from streamtag.sinks.base import SessionInfo, troubles
from streamtag.web.hubs import Hubs

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


Rows = Sequence[tuple[str, float]]


def metrics(hubs: Hubs) -> str:
    """The page that Prometheus scrapes.

    Parameters
    ----------
    hubs : Hubs
        All sessions, whose input's name, if it has one, is a label of its metrics.

    Returns
    -------
    str
        Lines of text.
    """
    conflated = sum(hub.conflated for hub in hubs)
    lines = [
        *_metric("web_viewers", "gauge", "Connected to the stream.", [("", hubs.looking)]),
        *_metric("web_conflated_total", "counter", "Frames that slow viewers did without.", [("", conflated)]),
    ]
    told = [(hub.info, hub.stats) for hub in hubs if hub.stats is not None]
    if not told:
        return _text(lines)

    def add(
        name: str, kind: str, about: str, rows: Callable[[SessionInfo, Stats], Iterable[tuple[str, float]]]
    ) -> None:
        found = [(_labels(info, label), value) for info, stats in told for label, value in rows(info, stats)]
        lines.extend(_metric(name, kind, about, found))

    add("state", "gauge", "What the session is doing.", _states)
    add("info", "gauge", "What is heard, and by which model.", _about)
    add("troubles", "gauge", "How many things are wrong at present.", _wrong)
    for kind, suffix, metrics in (("counter", "_total", _COUNTERS), ("gauge", "", _GAUGES)):
        for name, field, about in metrics:
            add(f"{name}{suffix}", kind, about, partial(_field, field))
    add("input_clock_ppm", "gauge", "How much faster than this machine's the input's clock is.", _clock)
    for name, about in (("latency", "From capture to tags being sent"), ("added", "What streamtag itself adds")):
        add(f"{name}_seconds", "gauge", f"{about}, of all hops so far.", partial(_quantiles, name))
    add("output_dropped_total", "counter", "Messages that an output did not take.", _dropped)
    return _text(lines)


def _states(_: SessionInfo, stats: Stats) -> Rows:
    return [(f'state="{state.value}"', int(state is stats.state)) for state in State]


def _about(info: SessionInfo, _: Stats) -> Rows:
    return [(f'model="{_escaped(info.model)}",source="{_escaped(info.source)}"', 1)]


def _wrong(info: SessionInfo, stats: Stats) -> Rows:
    return [("", len(troubles(stats, info.source)))]


def _field(field: str, _: SessionInfo, stats: Stats) -> Rows:
    return [("", getattr(stats, field))]


def _clock(_: SessionInfo, stats: Stats) -> Rows:
    return [] if stats.clock_ppm is None else [("", stats.clock_ppm)]


def _quantiles(name: str, _: SessionInfo, stats: Stats) -> Rows:
    return [(f'quantile="{q}"', getattr(stats, f"{name}_{field}") / 1e3) for q, field in _QUANTILES]


def _dropped(_: SessionInfo, stats: Stats) -> Rows:
    return [(f'output="{_escaped(name)}"', count) for name, count in stats.sink_drops.items()]


def _labels(info: SessionInfo, more: str) -> str:
    labels = ",".join(filter(None, (f'input="{_escaped(info.input)}"' if info.input else "", more)))
    return f"{{{labels}}}" if labels else ""


def _metric(name: str, kind: str, about: str, values: Rows) -> list[str]:
    full = f"streamtag_{name}"
    rows = [f"{full}{labels} {_number(value)}" for labels, value in values]
    return [f"# HELP {full} {about}", f"# TYPE {full} {kind}", *rows] if rows else []


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.9g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _text(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"
