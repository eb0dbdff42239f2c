"""A show file at work in a session: what its rules make of frames is sent, and a changed file takes over."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

from streamtag.errors import OptionError
from streamtag.results import Stats, TagFrame
from streamtag.rules.messages import Form, Message, MidiForm
from streamtag.rules.playing import Rules, UnboundError
from streamtag.rules.reading import read_show
from streamtag.rules.show import Rule, Show
from streamtag.rules.tags import check_selection
from streamtag.rules.ways import MqttAccess, Way, key_of, way_of
from streamtag.sinks.base import BaseSink, HeadInfo, SessionInfo


class Sender(BaseSink):
    """Sends what rules make of frames, by whatever way each message goes.

    Parameters
    ----------
    rules : sequence of Rule
        The rules.
    mqtt : MqttAccess or None
        The broker that they publish to.

    Raises
    ------
    MissingExtraError
        A rule needs a library that is not installed.
    """

    name = "rules"

    def __init__(self, rules: Collection[Rule] = (), mqtt: MqttAccess | None = None) -> None:
        self._mqtt = mqtt
        self._given = tuple(rules)
        self._info: SessionInfo | None = None
        self._beside: tuple[SessionInfo, ...] = ()  # what other models have that hear the same
        self._rules: Rules | None = None
        self._ways = self._new_ways(self._given, ())
        self._arrivals: dict[str, int] = {}
        self._lost = 0  # by ways that are closed

    @property
    def drops(self) -> int:
        """Messages that were refused or could not be sent."""
        return self._lost + sum(way.drops for way in self._ways.copy().values())

    @property
    def trouble(self) -> str | None:
        """What is wrong at present with a receiver, or what a rule waits for in vain."""
        for key, way in self._ways.copy().items():
            if trouble := way.trouble:
                return f"{key}: {trouble}"
        return self._rules.lacking if self._rules is not None else None

    def open(self, info: SessionInfo) -> None:
        """Bind the rules to what the session has, and begin to look for their receivers.

        Parameters
        ----------
        info : SessionInfo
            The session.

        Raises
        ------
        OptionError
            A rule listens to a tag or head that the session does not have; with the line.
        """
        self._info = info
        self._rules = self._bound(self._given)
        used = _forms(self._of_input(self._given))
        ways = self._ways or self._new_ways(self._given, ())  # after a session before
        self._ways = {key: way for key, way in ways.items() if key in used}  # the others are other inputs'
        self._open_ways(self._ways)

    def frame(self, frame: TagFrame) -> None:
        """Send what the rules make of a frame."""
        if self._rules is not None:
            self._send(self._rules.step(frame))

    def status(self, stats: Stats) -> None:
        """Send what has become of the state, and see to the receivers."""
        if self._rules is None:
            return
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

    def take(self, given: Collection[Rule]) -> None:
        """Go on with other rules: those that are as they were stand as they stood, of the rest what is on goes off.

        Parameters
        ----------
        given : sequence of Rule
            The rules.

        Raises
        ------
        OptionError
            They cannot be used; then nothing has changed.
        """
        rules, new = self._bound(given), self._new_ways(self._of_input(given), self._ways)
        if self._rules is not None:
            self._send(rules.succeed(self._rules))
        self._given, self._rules = tuple(given), rules
        self._open_ways(new)
        self._ways = {**self._ways, **new}
        for key in set(self._ways) - _forms(self._of_input(given)).keys():
            self._close_way(key)

    def _bound(self, given: Collection[Rule]) -> Rules:
        assert self._info is not None
        return Rules(self._of_input(given), self._info)

    def _of_input(self, given: Collection[Rule]) -> tuple[Rule, ...]:
        """Those that are meant for this input, and this model."""
        info = self._info
        if info is None:
            return tuple(rule for rule in given if not rule.input)
        return tuple(rule for rule in given if rule.input in ("", info.input) and not self._of_another(rule, info))

    def _of_another(self, rule: Rule, info: SessionInfo) -> bool:
        """Whether a rule names what this model has not, and one beside it has."""
        return not rule.input and not _binds(rule, info) and any(_binds(rule, other) for other in self._beside)

    def _send(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self._ways[key_of(message)].send(message)
        for key, way in self._ways.items():
            if way.arrivals != self._arrivals[key]:  # somebody has come late: how all stands
                self._arrivals[key] = way.arrivals
                for message in self._rules.standing() if self._rules is not None else ():
                    if key_of(message) == key:
                        way.send(message)

    def _new_ways(self, given: Collection[Rule], known: Collection[str]) -> dict[str, Way]:
        """Ways to all that the rules send to, and that is not known."""
        return {key: way_of(form, self._mqtt) for key, form in _forms(given).items() if key not in known}

    def _open_ways(self, ways: Mapping[str, Way]) -> None:
        for key, way in ways.items():
            way.open()
            self._arrivals[key] = way.arrivals

    def _close_way(self, key: str) -> None:
        way = self._ways.pop(key)
        way.close()
        self._lost += way.drops


class RulesSink(Sender):
    """Plays a show file: see docs/rules.md.

    The file is looked at each second. When it has changed it is read again: rules that are as they were go on as they
    stood, what the others had switched on is switched off. If the new one is wrong, the old one goes on, and `trouble`
    says why.

    Parameters
    ----------
    path : str or Path
        The file.
    midi : str or None
        The port of MIDI messages that name none.
    mqtt : MqttAccess or None
        The broker that rules publish to.

    Attributes
    ----------
    show : Show
        What the file says.

    Raises
    ------
    OptionError
        What is wrong with it, with the line.
    """

    def __init__(self, path: str | Path, *, midi: str | None = None, mqtt: MqttAccess | None = None) -> None:
        self._path = Path(path)
        self._changed = _stamp(self._path)
        self._read: Callable[[], Show] = lambda: read_show(self._path, midi=midi, mqtt=mqtt is not None)
        self.show = self._read()
        self._wrong: str | None = None
        self._later: str | None = None  # what of the file is for the next start
        super().__init__(self.show.rules, mqtt)

    @property
    def trouble(self) -> str | None:
        """What is wrong at present: with the file, with a receiver, or with what a rule waits for in vain."""
        return self._wrong or super().trouble or self._later

    def open(self, info: SessionInfo) -> None:
        """Bind the rules to what the session has, and begin to look for their receivers (see `Sender.open`)."""
        self._wrong = None
        super().open(info)

    def status(self, stats: Stats) -> None:
        """Look whether the file has changed; send what has become of the state."""
        if self._rules is not None:
            self._look()
        super().status(stats)

    def check(
        self,
        labels: Sequence[str],
        heads: tuple[HeadInfo, ...],
        inputs: Sequence[str] = ("",),
        beside: Sequence[tuple[Sequence[str], tuple[HeadInfo, ...]]] = (),
        name: str = "",
    ) -> None:
        """Refuse tags, heads and inputs that a session will not have, before there is one.

        Parameters
        ----------
        labels : sequence of str
            The model's tags.
        heads : tuple of HeadInfo
            The heads.
        inputs : sequence of str
            What the inputs are called; one that is alone has no name.
        beside : sequence of (sequence of str, tuple of HeadInfo)
            Tags and heads of other models that hear the same: rules that name those, and no input, are theirs.
        name : str
            What this input is called; rules of others are theirs to check.

        Raises
        ------
        OptionError
            The show names another; with the line.
        """
        for rule in self.show.rules:
            if rule.input and rule.input not in inputs:
                there = f"there are {', '.join(inputs)}" if any(inputs) else "there is one, without a name"
                raise OptionError(f"{self._path}:{rule.line}: no input is called {rule.input!r}: {there}")
        if beside and self.show.tags is not None:
            raise OptionError(f"{self._path}: [tags] is for one model, and there are {1 + len(beside)}: leave it out")
        self._beside = tuple(_with(tuple(others), heads) for others, heads in beside)
        own = _with(check_selection(self.show, labels), heads)
        meant = [rule for rule in self.show.rules if rule.input in ("", name)]
        mine = [rule for rule in meant if not self._of_another(rule, own)]
        self._placed(lambda: Rules(mine, own))

    def uses_midi(self, port: str) -> bool:
        """Whether a rule sends to this MIDI port."""
        forms = _forms(self.show.rules).values()
        return any(isinstance(form, MidiForm) and form.port == port for form in forms)

    def _look(self) -> None:
        stamp = _stamp(self._path)
        if stamp == self._changed:
            return
        self._changed = stamp
        try:
            show = self._read()
            self.take(show.rules)
        except OptionError as error:
            self._wrong = f"{error}; the rules stay as they were"
            return
        self._wrong = None
        changed = [f"[{name}]" for name in ("live", "tags") if getattr(show, name) != getattr(self.show, name)]
        self._later = f"{self._path}: what has changed in {' and '.join(changed)} holds from the next start on"
        self._later = self._later if changed else None

    def _bound(self, given: Collection[Rule]) -> Rules:
        return self._placed(lambda: super(RulesSink, self)._bound(given))

    def _placed(self, make: Callable[[], Rules]) -> Rules:
        """Make rules; what they name in vain is told with the file."""
        try:
            return make()
        except UnboundError as error:
            raise OptionError(f"{self._path}:{error.line}: {error.reason}") from error


def _with(labels: tuple[str, ...], heads: tuple[HeadInfo, ...]) -> SessionInfo:
    """A session with these tags and heads, as far as rules can tell."""
    return SessionInfo("", labels, 0, "", 0, 0.016, 3.0, "", heads)


def _binds(rule: Rule, info: SessionInfo) -> bool:
    """Whether a session has what a rule names."""
    try:
        Rules((rule,), info)
    except UnboundError:
        return False
    return True


def _forms(given: Collection[Rule]) -> dict[str, Form]:
    """A message for each way that rules send by."""
    return {key_of(form): form for rule in given for form in (*rule.send, *rule.send_off)}


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Which state of a file it is; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
