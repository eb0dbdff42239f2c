"""To the sinks: all of them are called, whatever one of them does."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Sized
from functools import partial
from typing import Any

from streamtag.results import Stats, TagFrame
from streamtag.sinks.base import BaseSink, SessionInfo, Sink, distinct_names, told_by


class Outlet:
    """Passes frames and counters on. For the engine thread; the properties may be read from any.

    An exception of a sink is counted as a drop, and the sink is called again the next time. `BrokenPipeError` says that
    whoever read has left for good: the sink is then left out; when none is left for whose sake the session goes on
    (see `BaseSink.keeps_running`), and nobody iterates over it, it ends the session.

    Parameters
    ----------
    sinks : sequence of Sink
        Called in this order.
    listeners : Sized
        Callers who iterate.

    Attributes
    ----------
    first_error : BaseException or None
        The first error of any sink, to be raised at the end.
    """

    def __init__(self, sinks: Sequence[Sink], listeners: Sized = ()) -> None:
        # by place, since names may be the same, and sinks of a user may be equal or not hashable
        self._sinks = list(sinks)
        self._listeners = listeners
        self._names = distinct_names(self._sinks)
        self._opened: list[int] = []
        self._told: list[int] = []
        self._failures = [0] * len(self._sinks)
        self._errors: dict[str, str] = {}
        self._failing: dict[tuple[int, str], str] = {}  # sink and method, as long as it raises
        self._left: set[int] = set()
        self.first_error: BaseException | None = None

    @property
    def drops(self) -> dict[str, int]:
        """Messages lost, by sink; sinks of one name are numbered (see `distinct_names`)."""
        return {
            name: self._asked(place, "drops") + failures
            for place, (name, failures) in enumerate(zip(self._names, self._failures, strict=True))
        }

    @property
    def errors(self) -> dict[str, str]:
        """The first exception of each sink that raised one; `Background` keeps those of its sink to itself."""
        kept = ((name, self._asked(place, "first_error")) for place, name in enumerate(self._names))
        return {name: _words(error) for name, error in kept if error is not None} | self._errors

    @property
    def trouble(self) -> dict[str, str]:
        """What is wrong with a sink at present: in its own words, or because it raises or has been left."""
        failing = {place: f"fails: {words}" for (place, _), words in self._failing.copy().items()}
        left = dict.fromkeys(self._left.copy(), "its reader has left")
        found = {}
        for place, name in enumerate(self._names):
            trouble = left.get(place) or self._asked(place, "trouble") or failing.get(place)
            if trouble:
                found[name] = trouble
        return found

    def open(self, info: SessionInfo) -> None:
        """Open all; the first that cannot be ends it."""
        for place, sink in enumerate(self._sinks):
            sink.open(info)
            self._opened.append(place)
            self._told.append(place)

    def frame(self, frame: TagFrame) -> None:
        """Pass a frame on."""
        for place in tuple(self._told):
            self._try(place, "frame", partial(self._sinks[place].frame, frame))

    def status(self, stats: Stats) -> None:
        """Pass the counters on."""
        for place in tuple(self._told):
            self._try(place, "status", partial(self._sinks[place].status, stats))

    def close(self) -> None:
        """Close all that were opened."""
        opened, self._opened = self._opened, []
        for place in opened:
            try:
                self._sinks[place].close()
            except BaseException as error:  # also SystemExit: the others are still to be closed
                self._note(place, error)

    def _try(self, place: int, method: str, call: Callable[[], None]) -> None:
        try:
            call()
        except BrokenPipeError as error:
            self._told.remove(place)
            self._left.add(place)
            self._note(place, error)
            if not self._listeners and not any(self._asked(other, "keeps_running") for other in self._told):
                raise
        except Exception as error:
            self._failures[place] += 1
            self._failing[place, method] = _words(error)
            self._note(place, error)
        else:
            self._failing.pop((place, method), None)

    def _asked(self, place: int, name: str) -> Any:
        """What a sink says of itself; one that raises instead is taken to say nothing."""
        try:
            return told_by(self._sinks[place], name)
        except Exception as error:
            self._note(place, error)
            return getattr(BaseSink(), name)

    def _note(self, place: int, error: BaseException) -> None:
        self._errors.setdefault(self._names[place], _words(error))
        self.first_error = self.first_error or error


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
