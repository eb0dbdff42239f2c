"""A show file at work in a session: what its rules make of frames goes out over OSC, and a changed file takes over."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from streamtag.errors import OptionError
from streamtag.osc.destination import Destination
from streamtag.osc.sink import message as osc_message
from streamtag.osc.where import parse_destination
from streamtag.results import Stats, TagFrame
from streamtag.rules.messages import Message, OscForm, OscMessage
from streamtag.rules.playing import Rules, UnboundError
from streamtag.rules.reading import read_show
from streamtag.rules.show import Show
from streamtag.sinks.base import BaseSink, SessionInfo


class RulesSink(BaseSink):
    """Plays a show file: see docs/rules.md.

    The file is looked at each second. When it has changed it is read again: rules that are as they were go on as they
    stood, what the others had switched on is switched off. If the new one is wrong, the old one goes on, and `trouble`
    says why.

    Parameters
    ----------
    path : str or Path
        The file.

    Raises
    ------
    OptionError
        What is wrong with it, with the line.
    """

    name = "rules"

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._changed = _stamp(self._path)
        self._show = read_show(self._path)
        self._wrong: str | None = None
        self._info: SessionInfo | None = None
        self._rules: Rules | None = None
        self._destinations: dict[str, Destination] = {}
        self._arrivals: dict[str, int] = {}

    @property
    def drops(self) -> int:
        """Messages that were refused or could not be sent."""
        return sum(destination.drops for destination in self._destinations.copy().values())

    @property
    def trouble(self) -> str | None:
        """What is wrong at present: with the file, with a receiver, or with what a rule waits for in vain."""
        for host, destination in self._destinations.copy().items():
            if destination.trouble:
                return f"{host} {destination.trouble}"
        return self._wrong or (self._rules.lacking if self._rules is not None else None)

    def open(self, info: SessionInfo) -> None:
        """Bind the rules to what the session has, and look their receivers up.

        Parameters
        ----------
        info : SessionInfo
            The session.

        Raises
        ------
        OptionError
            A rule listens to a tag or head that the session does not have; with the line.
        """
        self._info, self._wrong = info, None
        self._rules = self._bound(self._show, info)
        self._connect(self._show)

    def frame(self, frame: TagFrame) -> None:
        """Send what the rules make of a frame."""
        if self._rules is not None:
            self._send(self._rules.step(frame))

    def status(self, stats: Stats) -> None:
        """Send what has become of the state; look whether the file has changed."""
        if self._rules is None:
            return
        self._reload()
        self._send(self._rules.status(stats))
        for host, destination in self._destinations.items():
            if destination.arrivals != self._arrivals[host]:  # somebody has come late: how all stands
                self._arrivals[host] = destination.arrivals
                standing = [each for each in self._rules.standing() if isinstance(each, OscMessage)]
                self._send(each for each in standing if each.host == host)

    def close(self) -> None:
        """Switch off what is on."""
        if self._rules is not None:
            self._send(self._rules.release())
        self._rules = None
        for destination in self._destinations.values():
            destination.close()
        self._destinations = {}

    def _reload(self) -> None:
        stamp = _stamp(self._path)
        if stamp == self._changed or self._info is None or self._rules is None:
            return
        self._changed = stamp
        try:
            show = read_show(self._path)
            rules = self._bound(show, self._info)
        except OptionError as error:
            self._wrong = f"{error}; the rules stay as they were"
            return
        self._send(rules.succeed(self._rules))
        self._show, self._rules, self._wrong = show, rules, None
        self._connect(show)

    def _bound(self, show: Show, info: SessionInfo) -> Rules:
        try:
            return Rules(show.rules, info)
        except UnboundError as error:
            raise OptionError(f"{self._path}:{error.line}: {error.reason}") from error

    def _connect(self, show: Show) -> None:
        """Look up the receivers that are new, and forget those that no rule names."""
        forms = [form for rule in show.rules for form in (*rule.send, *rule.send_off)]
        hosts = {form.host for form in forms if isinstance(form, OscForm)}
        for host in set(self._destinations) - hosts:
            self._destinations.pop(host).close()
        for host in hosts - set(self._destinations):
            destination = Destination(*parse_destination(host))
            destination.open()
            self._destinations[host], self._arrivals[host] = destination, destination.arrivals

    def _send(self, messages: Iterable[Message]) -> None:
        for each in messages:
            assert isinstance(each, OscMessage), "read_show refuses others"
            destination = self._destinations[each.host]
            if destination.ready():
                destination.send(osc_message(each.address, *each.arguments).dgram)


def _stamp(path: Path) -> tuple[int, int] | None:
    """Which state of a file it is; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
