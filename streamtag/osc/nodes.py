"""What streamtag sends and hears over OSC, node by node: for programs that ask for it (OSCQuery).

The same addresses and arguments as `streamtag.osc.sink` sends, but for the embedding, whose messages are one address in
several parts; and the commands of `streamtag.osc.control`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import NamedTuple

from streamtag.osc.addresses import ROOT, Addresses
from streamtag.osc.sink import exact, message
from streamtag.results import HeadFrame, Stats, TagFrame
from streamtag.sinks.base import SessionInfo, troubles
from streamtag.sinks.wallclock import unix_times

Arguments = tuple[str | int | float, ...]
Range = tuple[float | None, float | None]
READ, WRITE = 1, 2
SHARE: Range = (0.0, 1.0)
SWITCH: Range = (0, 1)
ANY: Range = (None, None)


class Heard(NamedTuple):
    """What was last heard and counted."""

    frame: TagFrame | None
    stats: Stats | None


def _nothing(heard: Heard) -> Arguments | None:
    return None


@dataclass(frozen=True, slots=True)
class Node:
    """One address.

    Attributes
    ----------
    address : str
        Where messages go.
    about : str
        What it is.
    types : str
        OSC types of its arguments; empty where they vary.
    ranges : tuple of (least, greatest)
        Of each argument; None where there is none.
    unit : str or None
        Of the arguments, as libossia calls it.
    access : int
        1: it is sent; 2: it is heard.
    value : callable
        The arguments at present; None if there are none.
    """

    address: str
    about: str
    types: str
    ranges: tuple[Range, ...] = ()
    unit: str | None = None
    access: int = READ
    value: Callable[[Heard], Arguments | None] = _nothing


def packet(node: Node, arguments: Arguments) -> bytes:
    """One OSC message, never a bundle: Chataigne reads no others over a WebSocket."""
    return bytes(message(node.address, *arguments).dgram)


def nodes(info: SessionInfo, commands: bool) -> dict[str, Node]:
    """All of them, by address.

    Parameters
    ----------
    info : SessionInfo
        The session.
    commands : bool
        Whether commands are heard.

    Returns
    -------
    dict of {str: Node}
        What is sent goes before a command of the same address.
    """
    found = list(_commands(with_heads=bool(info.heads))) if commands else []
    found += [*_results(), *_tags(info), *_heads(info), *_counters(info)]
    if info.input:
        own = Addresses(input=info.input)
        found = [replace(node, address=own.of(node.address.removeprefix(f"{ROOT}/"))) for node in found]
    return {node.address: node for node in found}


def commands_for_all() -> dict[str, Node]:
    """Commands that all of several inputs hear, by address."""
    return {node.address: node for node in _commands(with_heads=False)}


# --- from frames --------------------------------------------------------------------------------------------------


def _of_frame(get: Callable[[TagFrame], Arguments | None]) -> Callable[[Heard], Arguments | None]:
    return lambda heard: None if heard.frame is None else get(heard.frame)


def _number(name: str) -> Callable[[Heard], Arguments | None]:
    """An attribute of a frame, where it is there."""

    def get(frame: TagFrame) -> Arguments | None:
        value = attrgetter(name)(frame)
        return None if value is None else (float(value),)

    return _of_frame(get)


def _results() -> Iterator[Node]:
    about = "index of the hop, seconds of audio, latency in ms, level in dBFS"
    yield Node(
        "/streamtag/frame",
        about,
        "ifff",
        value=_of_frame(lambda frame: (frame.index, frame.time, frame.latency_ms, frame.level_dbfs)),
    )
    seconds = "seconds of audio: whole ones and microseconds"
    yield Node("/streamtag/seconds", seconds, "ii", value=_of_frame(lambda frame: exact(frame.time)))
    yield Node("/streamtag/time", "Unix time of capture and of sending: seconds, microseconds", "iiii", value=_times)
    yield Node("/streamtag/top", "the best tags and their scores", "", value=_of_frame(_flat))
    gain = "dB by which the input is raised to the models' level"
    yield Node("/streamtag/gain", gain, "f", (ANY,), "gain.db", value=_number("gain_db"))
    yield Node("/streamtag/music", "how likely it is that music is heard", "f", (SHARE,), value=_number("music"))
    change = "how likely it is that the music has just changed"
    yield Node("/streamtag/change", change, "f", (SHARE,), value=_number("change"))
    section = "how many seconds ago a new section began"
    yield Node("/streamtag/section", section, "f", (ANY,), "time.second", value=_number("section"))
    place = "the embedding as three coordinates"
    yield Node("/streamtag/xyz", place, "fff", 3 * ((-1.0, 1.0),), value=_of_frame(lambda frame: frame.xyz))
    yield Node("/streamtag/active", "the tags that are on", "", value=_of_frame(lambda frame: tuple(sorted(frame.on))))


def _times(heard: Heard) -> Arguments | None:
    if heard.frame is None or heard.frame.captured is None:
        return None
    captured, sent = unix_times(heard.frame.captured)
    return (*exact(captured), *exact(sent))


def _flat(frame: TagFrame | HeadFrame) -> Arguments:
    return tuple(part for named in frame.top for part in named)


def _tags(info: SessionInfo) -> Iterator[Node]:
    addresses = Addresses(info.labels, info.heads)
    for place, (label, score, scale) in enumerate(
        zip(info.labels, addresses.scores(""), addresses.calibrated(), strict=True)
    ):
        yield Node(score, f"score of {label}", "f", (SHARE,), value=_score(place))
        about = f"{label} on its own scale: 0.5 is usual, 0.95 rare"
        yield Node(scale, about, "f", (SHARE,), value=_calibrated(place))
        yield Node(addresses.switch("", label), f"whether {label} is on", "i", (SWITCH,), value=_is_on(label))


def _score(place: int) -> Callable[[Heard], Arguments | None]:
    return _of_frame(lambda frame: (float(frame.scores[place]),))


def _calibrated(place: int) -> Callable[[Heard], Arguments | None]:
    return _of_frame(lambda frame: None if frame.calibrated is None else (float(frame.calibrated[place]),))


def _is_on(label: str) -> Callable[[Heard], Arguments | None]:
    return _of_frame(lambda frame: (int(label in frame.on),))


def _heads(info: SessionInfo) -> Iterator[Node]:
    addresses = Addresses(info.labels, info.heads)
    for number, head in enumerate(info.heads):
        best = addresses.best(head.name)
        yield Node(best, f"likeliest class of {head.name}, and its probability", "sf", value=_of_head(number, _best))
        active = addresses.active(head.name)
        on = _of_head(number, lambda heard: tuple(sorted(heard.on)))
        yield Node(active, f"classes of {head.name} that are on", "", value=on)
        for place, (label, score) in enumerate(zip(head.labels, addresses.scores(head.name), strict=True)):
            yield Node(score, f"probability of {label}", "f", (SHARE,), value=_of_head(number, _probability(place)))
            switch = addresses.switch(head.name, label)
            yield Node(switch, f"whether {label} is on", "i", (SWITCH,), value=_of_head(number, _has_on(label)))


def _of_head(number: int, get: Callable[[HeadFrame], Arguments | None]) -> Callable[[Heard], Arguments | None]:
    return _of_frame(lambda frame: get(frame.heads[number]))


def _best(head: HeadFrame) -> Arguments | None:
    return head.top[0] if head.top else None


def _probability(place: int) -> Callable[[HeadFrame], Arguments | None]:
    return lambda head: (float(head.scores[place]),)


def _has_on(label: str) -> Callable[[HeadFrame], Arguments | None]:
    return lambda head: (int(label in head.on),)


# --- from counters ------------------------------------------------------------------------------------------------


def _of_stats(get: Callable[[Stats], Arguments]) -> Callable[[Heard], Arguments | None]:
    return lambda heard: None if heard.stats is None else get(heard.stats)


def _floats(*names: str) -> Callable[[Heard], Arguments | None]:
    return _of_stats(lambda stats: tuple(float(getattr(stats, name)) for name in names))


def _told(name: str) -> Callable[[Heard], Arguments | None]:
    """A counter that is not always known."""

    def get(heard: Heard) -> Arguments | None:
        value = None if heard.stats is None else getattr(heard.stats, name)
        return None if value is None else (value,)

    return get


def _counters(info: SessionInfo) -> Iterator[Node]:
    status = "state, lost samples, skipped hops, load"
    yield Node(
        "/streamtag/status",
        status,
        "siif",
        value=_of_stats(
            lambda stats: (stats.state.value, stats.samples_lost, stats.hops_skipped, float(stats.load)),
        ),
    )
    about = "ms from capture to sending: p50, p99, p99.9"
    yield Node("/streamtag/latency", about, "fff", value=_floats("latency_p50", "latency_p99", "latency_p999"))
    about = "ms of it that streamtag adds: p50, p99, p99.9"
    yield Node("/streamtag/added", about, "fff", value=_floats("added_p50", "added_p99", "added_p999"))
    about = "times the input was gone, seconds in all, losses that the sound system reported"
    gaps = _of_stats(lambda stats: (stats.gaps, float(stats.gap_seconds), stats.overflows))
    yield Node("/streamtag/gaps", about, "ifi", value=gaps)
    yield Node("/streamtag/rested", "hops at rest", "i", value=_of_stats(lambda stats: (stats.hops_gated,)))
    level = "level of the input; -120 for silence"
    yield Node("/streamtag/level", level, "f", ((-120.0, 0.0),), "gain.db", value=_floats("level_dbfs"))
    wrong = _of_stats(lambda stats: tuple(troubles(stats, info.source)))
    yield Node("/streamtag/trouble", "what is wrong at present", "", value=wrong)
    yield Node("/streamtag/title", "what plays, as the radio station says", "s", value=_told("title"))
    clock = "how much faster the input's clock is than this machine's, in parts per million"
    yield Node("/streamtag/clock", clock, "f", (ANY,), value=_told("clock_ppm"))


# --- commands -----------------------------------------------------------------------------------------------------


def _commands(*, with_heads: bool) -> Iterator[Node]:
    for name, about in (("pause", "1: pause, 0: go on"), ("resume", "go on"), ("reset", "discard what was heard")):
        yield Node(f"/streamtag/{name}", about, "i", (SWITCH,), access=WRITE)
    hop = "seconds between two predictions"
    yield Node("/streamtag/hop", hop, "f", ((0.016, 3600.0),), "time.second", WRITE)
    yield Node("/streamtag/threshold", "where the model's tags switch on", "f", (SHARE,), access=WRITE)
    scale = "the same on each tag's own scale, in percent"
    yield Node("/streamtag/threshold/percent", scale, "f", ((0.0, 100.0),), access=WRITE)
    yield Node("/streamtag/head/threshold", "where your own tags switch on", "f", (SHARE,), access=WRITE)
    if with_heads:
        yield Node("/streamtag/correct", "what the last seconds were, by a class of a head", "s", access=WRITE)
