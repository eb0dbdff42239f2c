"""Rules at work: frames in, messages out, by the time of the frames alone. No thread, no clock, no network."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from streamtag.errors import OptionError
from streamtag.results import State, Stats, TagFrame
from streamtag.rules.messages import Argument, Form, Message, Said, as_text
from streamtag.rules.show import Rule, Type
from streamtag.rules.signals import SECTION, STATE, Heard, Kind, Signal, bind
from streamtag.rules.steady import Steady, Threshold
from streamtag.sinks.base import SessionInfo

HYSTERESIS = 0.2
"""Share of a threshold by which a number has to come back, where nothing else is asked for."""


class Rules:
    """All rules of a show at work. For one thread at a time.

    Parameters
    ----------
    rules : sequence of Rule
        The rules, in the order in which they send.
    info : SessionInfo
        What the session hears: its tags and heads.

    Raises
    ------
    OptionError
        A tag, head or class that the session does not have; with the line of the rule.
    """

    def __init__(self, rules: Sequence[Rule], info: SessionInfo) -> None:
        self._playing = [_Playing(rule, _bound(rule, info), info.hop) for rule in rules]
        self._state = State.STARTING.value
        self._time = 0.0
        self._frame: TagFrame | None = None
        self._heard_since = False  # whether there was a frame since the last status

    @property
    def lacking(self) -> str | None:
        """What a rule waits for in vain, in words: an option of the session that is off; None if there is nothing."""
        for playing in self._playing:
            if playing.lacks:
                return f"line {playing.rule.line}: {playing.rule.when} says nothing without {playing.signal.needs}"
        return None

    def step(self, frame: TagFrame) -> list[Message]:
        """What is to be sent at a frame."""
        self._frame, self._heard_since = frame, True
        self._time = max(self._time, frame.time)
        return self._step(fresh=True)

    def status(self, stats: Stats) -> list[Message]:
        """What is to be sent at a status: of the state, and of what has stood or been held for long enough.

        While the input is gone no frames come, and time goes on all the same.
        """
        self._state = stats.state.value
        if not self._heard_since:  # else the next frame says how late it is: the same audio is to send the same
            self._time = max(self._time, stats.seconds + stats.gap_seconds)
        self._heard_since = False
        return self._step(fresh=False)

    def standing(self) -> list[Message]:
        """How all stands that follows what is heard, for a receiver that comes late. Triggers are not repeated."""
        return [message for playing in self._playing for message in playing.standing()]

    def release(self) -> list[Message]:
        """What switches off all that is on, which then is off."""
        return [message for playing in self._playing for message in playing.release(self._time)]

    def succeed(self, before: Rules) -> list[Message]:
        """Go on in place of other rules: those that are the same stand as they stood.

        Parameters
        ----------
        before : Rules
            The others.

        Returns
        -------
        list of Message
            What switches off what is on of the rest.
        """
        self._state, self._time, self._frame = before._state, before._time, before._frame
        old = list(before._playing)
        for place, playing in enumerate(self._playing):
            same = next(
                (one for one in old if one.rule == playing.rule and one.signal.name == playing.signal.name), None
            )
            if same is not None:
                old.remove(same)
                same.rule, same.signal = playing.rule, playing.signal
                self._playing[place] = same
        return [message for playing in old for message in playing.release(self._time)]

    def _step(self, *, fresh: bool) -> list[Message]:
        heard = Heard(self._time, self._state, self._frame, fresh)
        return [message for playing in self._playing for message in playing.step(heard)]


def _bound(rule: Rule, info: SessionInfo) -> Signal:
    try:
        return bind(rule.when, info)
    except OptionError as error:
        raise UnboundError(rule.line, str(error)) from error


class UnboundError(OptionError):
    """A rule that listens to what the session does not have.

    Parameters
    ----------
    line : int
        Where the rule stands.
    reason : str
        What it has not.
    """

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line, self.reason = line, reason


class _Playing:
    """One rule and what it remembers."""

    def __init__(self, rule: Rule, signal: Signal, hop: float) -> None:
        self.rule, self.signal = rule, signal
        self.lacks = False
        self._threshold = _threshold(rule, signal)
        self._crossed = False
        self._switch = Steady(False, rule.debounce, rule.hold)
        self._text = Steady("", rule.debounce, rule.hold)
        self._told = ""
        self._smoothed: float | None = None
        self._smoothed_at = 0.0
        self._input: float | str = 0.0
        self._last: dict[Form, Message] = {}  # of each that follows what is heard
        self._pace = _Pace(rule.rate, hop)
        # a number is not even looked at before it may be sent again, unless it is smoothed
        self._switches = rule.switches
        self._waits = signal.kind is Kind.NUMBER and not self._switches and not rule.smooth
        self._followed: float | None = None

    def step(self, heard: Heard) -> Iterable[Message]:
        """What is to be sent now."""
        if self._waits and not self._pace.is_due(heard.time):
            return ()
        value = self._read(heard)
        if value is None:
            return ()
        if self._switches:
            return self._switching(value, heard)
        if isinstance(value, str):
            return self._telling(value, heard.time)
        return self._following(value, heard.time)

    def standing(self) -> Iterable[Message]:
        """The last of each message that follows what is heard."""
        return self._last.values()

    def release(self, time: float) -> Iterable[Message]:
        """What switches it off, if it is on."""
        if not self._switch.value:
            return ()
        self._switch, self._crossed = Steady(False, self.rule.debounce, self.rule.hold), False
        return self._switched(False, time)

    def _read(self, heard: Heard) -> float | bool | str | None:
        if self.rule.when == STATE:
            return heard.state
        if heard.frame is None:
            return None
        if self.rule.when == SECTION and not heard.fresh:
            return False
        value = self.signal.read(heard.frame)
        self.lacks = value is None and bool(self.signal.needs) and (self.lacks or not heard.frame.gated)
        if isinstance(value, bool | str) or value is None:
            return value
        return self._smooth(value, heard.time)

    def _smooth(self, value: float, time: float) -> float:
        if self.rule.smooth and self._smoothed is not None:
            keep = math.exp(-(time - self._smoothed_at) / self.rule.smooth)
            value += keep * (self._smoothed - value)
        self._smoothed, self._smoothed_at = value, time
        return value

    # --- on and off -----------------------------------------------------------------------------------------------

    def _switching(self, value: float | bool | str, heard: Heard) -> Iterable[Message]:
        if isinstance(value, str):
            wanted = value in self.rule.equals
        elif self._threshold is None:
            wanted = bool(value)
        else:
            wanted = self._crossed = self._threshold.crossed(value, self._crossed)
        before = self._switch.value
        on = self._switch.update(wanted, heard.time)
        if on != before:
            behind = self.signal.input
            number = behind(heard.frame) if behind is not None and heard.frame is not None else None
            self._input = number if number is not None else value if isinstance(value, str) else float(value)
            return self._switched(on, heard.time)
        return () if self.rule.changes_only else self._again(heard.time)

    def _switched(self, on: bool, time: float) -> Iterator[Message]:
        self._pace.sent(time)
        said = self._said(float(on), self._input, time)
        for form in self.rule.send:
            if on or form.follows:
                yield self._made(form, said)
        if not on:
            yield from (form.message(said) for form in self.rule.send_off)

    # --- numbers and texts ----------------------------------------------------------------------------------------

    def _following(self, value: float, time: float) -> Iterable[Message]:
        if (value == self._followed and self.rule.changes_only) or not self._pace.is_due(time):
            return ()
        self._followed = value
        low, high = self.rule.source or self.signal.usual
        share = min(1.0, max(0.0, (value - low) / (high - low))) ** self.rule.curve
        said = self._said(share, value, time)
        made = []
        for form in self.rule.send:
            before = self._last.get(form)
            message = self._made(form, said)
            if message != before or not self.rule.changes_only:
                made.append(message)
        if made:
            self._pace.sent(time)
        return made

    def _telling(self, value: str, time: float) -> Iterable[Message]:
        text = self._text.update(value, time)
        if not self._pace.is_due(time):
            return ()
        if text == self._told:
            return () if self.rule.changes_only else self._again(time)
        self._told = text
        self._pace.sent(time)
        said = Said(text, 0.0, mapped=False, input=text, name=self.signal.name, time=time)
        return [self._made(form, said) for form in self.rule.send]

    def _again(self, time: float) -> Iterable[Message]:
        if not self._pace.is_due(time):
            return ()
        self._pace.sent(time)
        return tuple(self._last.values())

    def _made(self, form: Form, said: Said) -> Message:
        message = form.message(said)
        if form.follows:
            self._last[form] = message
        return message

    def _said(self, share: float, heard: float | str, time: float) -> Said:
        rule = self.rule
        off, on = rule.target or (0.0, 1.0)
        value = _typed(
            off + share * (on - off), rule.type or ("int" if self._switches and not rule.target else "float")
        )
        return Said(value, share, rule.target is not None, heard, self.signal.name, time)


class _Pace:
    """So many messages a second at the most, in time of the audio; a rate that the hops almost meet is met by them."""

    def __init__(self, rate: float, hop: float) -> None:
        self._interval, self._grace = 1 / rate, hop / 2
        self._next = -math.inf

    def is_due(self, time: float) -> bool:
        return time + self._grace >= self._next

    def sent(self, time: float) -> None:
        kept = 0 <= time - self._next < self._interval
        self._next = self._interval + (self._next if kept else time)


def _threshold(rule: Rule, signal: Signal) -> Threshold | None:
    at = rule.above if rule.above is not None else rule.below
    if at is None:
        return None
    usual = HYSTERESIS * abs(at) if signal.hysteresis is None else signal.hysteresis
    return Threshold(at, usual if rule.hysteresis is None else rule.hysteresis, above=rule.above is not None)


def _typed(value: float, kind: Type) -> Argument:
    match kind:
        case "float":
            return value
        case "int":
            return math.floor(value + 0.5)
        case "bool":
            return value >= 0.5
        case "text":
            return as_text(value)
