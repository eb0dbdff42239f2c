"""Where frames go. One file a sink; the engine knows this protocol and no sink by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from streamtag.errors import OptionError
from streamtag.results import Stats, TagFrame

MUSIC = 0.5
"""Probability that it is music below which it is called none."""


@dataclass(frozen=True, slots=True)
class HeadInfo:
    """A head (your own tags) that plays in the session: its name and its classes."""

    name: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """What a sink receives when it is opened.

    Attributes
    ----------
    model : str
        Name of the model.
    labels : tuple of str
        Its tags.
    embedding_size : int
        How many numbers an embedding has.
    source : str
        What is heard.
    samplerate : int
        Its rate in Hz.
    hop, window : float
        Seconds between two predictions, and seconds that each hears.
    engine : str
        What evaluates the network.
    heads : tuple of HeadInfo
        Your own tags, in the order of each frame's `heads`.
    input : str
        What the input is called among several; empty where there is one.
    """

    model: str
    labels: tuple[str, ...]
    embedding_size: int
    source: str
    samplerate: int
    hop: float
    window: float
    engine: str
    heads: tuple[HeadInfo, ...] = ()
    input: str = ""


class Sink(Protocol):
    """Takes frames. Called from one thread at a time; `frame` must not block (wrap a slow sink in `Background`)."""

    @property
    def name(self) -> str:
        """Human-readable name."""
        ...

    @property
    def drops(self) -> int:
        """Messages that were lost."""
        ...

    def open(self, info: SessionInfo) -> None:
        """Get ready. Raises SinkError if that cannot be."""
        ...

    def frame(self, frame: TagFrame) -> None:
        """Take one frame."""
        ...

    def status(self, stats: Stats) -> None:
        """Take the counters: each second and at each change of state."""
        ...

    def close(self) -> None:
        """Write what is left and release resources."""
        ...


class BaseSink:
    """Defaults for what a sink may say of itself, and for what it need not do."""

    @property
    def drops(self) -> int:
        """Messages that were lost."""
        return 0

    @property
    def trouble(self) -> str | None:
        """What is wrong at present, in words; None if nothing is known to be."""
        return None

    @property
    def first_error(self) -> BaseException | None:
        """The first exception that the sink kept to itself."""
        return None

    @property
    def stuck(self) -> bool:
        """Whether it was left behind in a blocked call."""
        return False

    @property
    def keeps_running(self) -> bool:
        """Whether a session goes on for its sake; not for what only tells of the session itself."""
        return True

    def open(self, info: SessionInfo) -> None:
        """Get ready."""

    def status(self, stats: Stats) -> None:
        """Take the counters."""

    def close(self) -> None:
        """Write what is left and release resources."""


def checked(sinks: Iterable[Sink]) -> list[Sink]:
    """The sinks, if that is what they are.

    Raises
    ------
    OptionError
        One alone, or what is no sink.
    """
    remedy = "a list of sinks is expected, for example [OscSink('127.0.0.1', 9000)]"
    try:
        listed = list(sinks)
    except TypeError as error:
        raise OptionError(f"{sinks!r} is no list: {remedy}") from error
    for sink in listed:
        missing = [name for name in ("name", "open", "close") if not hasattr(sink, name)]
        if missing:
            raise OptionError(f"{sink!r} is no sink, for it has no {', '.join(missing)} (see BaseSink): {remedy}")
    return listed


def told_by(sink: Sink, name: str) -> Any:
    """One of `BaseSink`'s properties, or its default of a sink that only follows the protocol."""
    default = getattr(BaseSink, name).fget(sink)
    return getattr(sink, name, default)


def distinct_names(sinks: Sequence[Sink]) -> list[str]:
    """The sinks' names, numbered where several have the same: ``osc``, ``osc (2)``."""
    names: list[str] = []
    for sink in sinks:
        name, count = sink.name, 1
        while name in names:
            count += 1
            name = f"{sink.name} ({count})"
        names.append(name)
    return names


def troubles(stats: Stats, source: str) -> list[str]:
    """What is wrong at present, with the input and with each sink: ``osc 127.0.0.1:9000: nobody listens there``."""
    with_input = [*([stats.trouble] if stats.trouble else []), *stats.warnings.values()]
    with_sinks = [f"{name}: {trouble}" for name, trouble in stats.sink_trouble.items()]
    return [*(f"{source}: {trouble}" for trouble in with_input), *with_sinks]


class Wrapper(BaseSink):
    """A sink in front of another: what is not changed is passed on.

    Parameters
    ----------
    sink : Sink
        The other.
    """

    def __init__(self, sink: Sink) -> None:
        self.name = sink.name
        self._sink = sink

    @property
    def drops(self) -> int:
        """Messages that the sink lost."""
        return self._sink.drops

    @property
    def trouble(self) -> str | None:
        """What is wrong with the sink at present, in words; None if it says nothing."""
        trouble: str | None = told_by(self._sink, "trouble")
        return trouble

    @property
    def first_error(self) -> BaseException | None:
        """The first exception that the sink kept to itself."""
        error: BaseException | None = told_by(self._sink, "first_error")
        return error

    @property
    def stuck(self) -> bool:
        """Whether the sink was left behind in a blocked call."""
        return bool(told_by(self._sink, "stuck"))

    @property
    def keeps_running(self) -> bool:
        """Whether a session goes on for the sink's sake."""
        return bool(told_by(self._sink, "keeps_running"))

    def open(self, info: SessionInfo) -> None:
        """Open the sink."""
        self._sink.open(info)

    def frame(self, frame: TagFrame) -> None:
        """Pass a frame on."""
        self._sink.frame(frame)

    def status(self, stats: Stats) -> None:
        """Pass the counters on."""
        self._sink.status(stats)

    def close(self) -> None:
        """Close the sink."""
        self._sink.close()
