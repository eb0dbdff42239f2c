"""To the sinks: all of them are called, whatever one of them does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from streamtag.results import Stats, TagFrame
from streamtag.sinks.base import SessionInfo, Sink, told_by


class Outlet:
    """Passes frames and counters on. For the engine thread; the properties may be read from any.

    An exception of a sink is counted as a drop, and the sink is called again the next time. `BrokenPipeError` says that
    whoever read has left for good: the sink is then left out; when none is left, it ends the session.

    Parameters
    ----------
    sinks : sequence of Sink
        Called in this order.

    Attributes
    ----------
    first_error : BaseException or None
        The first error of any sink, to be raised at the end.
    """

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = list(sinks)
        self._opened: list[Sink] = []
        self._told: list[Sink] = []
        self._failures: dict[str, int] = {}
        self._errors: dict[str, str] = {}
        self.first_error: BaseException | None = None

    @property
    def drops(self) -> dict[str, int]:
        """Messages lost, by sink."""
        return {sink.name: sink.drops + self._failures.get(sink.name, 0) for sink in self._sinks}

    @property
    def errors(self) -> dict[str, str]:
        """The first exception of each sink that raised one; `Background` keeps those of its sink to itself."""
        kept = ((sink.name, told_by(sink, "first_error")) for sink in self._sinks)
        return {name: _words(error) for name, error in kept if error is not None} | self._errors

    @property
    def trouble(self) -> dict[str, str]:
        """What is wrong with a sink at present, in the words of those that say so."""
        said = ((sink.name, told_by(sink, "trouble")) for sink in self._sinks)
        return {name: trouble for name, trouble in said if trouble}

    def open(self, info: SessionInfo) -> None:
        """Open all; the first that cannot be ends it."""
        for sink in self._sinks:
            sink.open(info)
            self._opened.append(sink)
            self._told.append(sink)

    def frame(self, frame: TagFrame) -> None:
        """Pass a frame on."""
        for sink in tuple(self._told):
            self._try(sink, partial(sink.frame, frame))

    def status(self, stats: Stats) -> None:
        """Pass the counters on."""
        for sink in tuple(self._told):
            self._try(sink, partial(sink.status, stats))

    def close(self) -> None:
        """Close all that were opened."""
        opened, self._opened = self._opened, []
        for sink in opened:
            try:
                sink.close()
            except BaseException as error:  # also SystemExit: the others are still to be closed
                self._note(sink, error)

    def _try(self, sink: Sink, call: Callable[[], None]) -> None:
        try:
            call()
        except BrokenPipeError as error:
            self._told.remove(sink)
            self._note(sink, error)
            if not self._told:
                raise
        except Exception as error:
            self._failures[sink.name] = self._failures.get(sink.name, 0) + 1
            self._note(sink, error)

    def _note(self, sink: Sink, error: BaseException) -> None:
        self._errors.setdefault(sink.name, _words(error))
        self.first_error = self.first_error or error


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
