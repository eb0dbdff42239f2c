"""Where frames go. One file a sink; the engine knows this protocol and no sink by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from streamtag.frames import Stats, TagFrame


@dataclass(frozen=True, slots=True)
class HeadInfo:
    """A head (your own tags) that plays in the session: its name and its classes."""

    name: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """What a sink is told when it is opened.

    Attributes
    ----------
    model, labels, embedding_size : what judges.
    source, samplerate : what is heard; Hz.
    hop, window : seconds.
    engine : what evaluates the network.
    heads : your own tags, in the order of each frame's `heads`.
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


class Sink(Protocol):
    """Takes frames. Called from one thread at a time; `frame` must not block (wrap a slow sink in `Background`)."""

    @property
    def name(self) -> str:
        """For people."""
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
        """Write what is left and let go."""
        ...
