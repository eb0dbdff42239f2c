"""A show at work as a sink: what its rules say is sent, and the file is read again when it changes."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from streamtag.errors import OptionError, SinkError
from streamtag.results import Stats, TagFrame
from streamtag.rules.messages import Message
from streamtag.rules.playing import Rules, UnboundError
from streamtag.rules.show import Show
from streamtag.rules.ways import MqttAccess, Way, key_of, way_of
from streamtag.sinks.base import BaseSink, SessionInfo

Stamp = tuple[int, int, int] | None


class RulesSink(BaseSink):
    """Sends what the rules of a show make of what is heard.

    The file is looked at once a second, and read again when it has changed. One with a mistake changes nothing: the
    rules of before go on, and `trouble` says what is wrong and where. Reading may take its time, so wrap the sink in
    `Background`.

    Parameters
    ----------
    show : Show
        The show, as it was read at the start.
    read : callable or None
        Reads the file again, or raises OptionError; None for rules that stay as they are.
    mqtt : MqttAccess or None
        The broker that rules publish to.
    name : str
        What the sink is called.

    Raises
    ------
    MissingExtraError
        A rule needs a library that is not installed.
    """

    def __init__(
        self,
        show: Show,
        read: Callable[[], Show] | None = None,
        *,
        mqtt: MqttAccess | None = None,
        name: str = "rules",
    ) -> None:
        self.name = name
        self._mqtt = mqtt
        self._show = show
        self._read = read
        self._path = show.document.path if show.document is not None else None
        self._info: SessionInfo | None = None
        self._rules: Rules | None = None
        self._ways = self._new_ways(show, {})
        self._arrivals: dict[str, int] = {}
        self._lost = 0  # of ways that are closed
        self._wrong: str | None = None  # with the file
        self._later: str | None = None  # what of the file is for the next start
        self._stamp: Stamp = None if self._path is None else _stamp(self._path)

    @property
    def drops(self) -> int:
        """Messages that could not be sent."""
        return self._lost + sum(way.drops for way in self._ways.copy().values())

    @property
    def trouble(self) -> str | None:
        """What is wrong with the file, with a receiver, or with what a rule waits for; None if nothing is."""
        if self._wrong is not None:
            return f"{self._wrong}; what was there before goes on"
        for key, way in self._ways.copy().items():
            if trouble := way.trouble:
                return f"{key}: {trouble}"
        lacking = self._rules.lacking if self._rules is not None else None
        return lacking or self._later

    def open(self, info: SessionInfo) -> None:
        """Get ready.

        Raises
        ------
        SinkError
            A rule names what the session does not have.
        """
        try:
            self._rules = Rules(self._show.rules, info)
        except UnboundError as error:
            raise SinkError(self._placed(error)) from error
        self._info = info
        self._ways = self._ways or self._new_ways(self._show, {})  # after a session before
        self._open_ways(self._ways)

    def frame(self, frame: TagFrame) -> None:
        """Send what the rules make of a frame."""
        if self._rules is not None:
            self._send(self._rules.step(frame))

    def status(self, stats: Stats) -> None:
        """Send what the rules make of the state, and look whether the file has changed."""
        if self._rules is not None:
            self._look()
            for way in self._ways.values():
                way.tend()
            self._send(self._rules.status(stats))

    def close(self) -> None:
        """Switch off what is on, and close all ways."""
        rules, self._rules = self._rules, None
        if rules is not None:
            self._send(rules.release())
        for key in list(self._ways):
            self._close_way(key)

    # --- sending --------------------------------------------------------------------------------------------------

    def _send(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self._ways[key_of(message)].send(message)
        for key, way in self._ways.items():
            if way.arrivals != self._arrivals[key]:
                self._arrivals[key] = way.arrivals
                for message in self._rules.standing() if self._rules is not None else ():
                    if key_of(message) == key:
                        way.send(message)

    def _new_ways(self, show: Show, known: Collection[str]) -> dict[str, Way]:
        """Ways to all that the show sends to, and that is not known."""
        forms = {key_of(form): form for rule in show.rules for form in (*rule.send, *rule.send_off)}
        return {key: way_of(form, self._mqtt) for key, form in forms.items() if key not in known}

    def _open_ways(self, ways: Mapping[str, Way]) -> None:
        for key, way in ways.items():
            way.open()
            self._arrivals[key] = way.arrivals

    def _close_way(self, key: str) -> None:
        way = self._ways.pop(key)
        way.close()
        self._lost += way.drops

    # --- the file -------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Read the file again if it has changed."""
        if self._read is None or self._path is None:
            return
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._take(self._read())
        except UnboundError as error:
            self._wrong = self._placed(error)
        except OptionError as error:
            self._wrong = str(error)
        else:
            self._wrong = None

    def _take(self, show: Show) -> None:
        assert self._info is not None
        assert self._rules is not None
        rules = Rules(show.rules, self._info)
        new = self._new_ways(show, self._ways)
        self._send(rules.succeed(self._rules))
        self._rules = rules
        self._open_ways(new)
        self._ways = {**self._ways, **new}
        used = {key_of(form) for rule in show.rules for form in (*rule.send, *rule.send_off)}
        for key in set(self._ways) - used:
            self._close_way(key)
        changed = [name for name in ("live", "tags") if getattr(show, name) != getattr(self._show, name)]
        parts = " and ".join(f"[{name}]" for name in changed)
        self._later = f"{self._path}: what has changed under {parts} holds from the next start on" if changed else None

    def _placed(self, error: UnboundError) -> str:
        return f"{self._path}:{error.line}: {error.reason}" if self._path is not None else str(error)


def _stamp(path: Path) -> Stamp:
    """What tells a file from what it was; None where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - no path makes this raise anything else
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
