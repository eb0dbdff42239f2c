"""What a rule can listen to, by the names that OSC addresses have: ``tag/rock``, ``head/cues/drop``, ``level``."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from streamtag._slugs import find_label, slugs
from streamtag._toml.tables import meant
from streamtag.errors import OptionError
from streamtag.results import TagFrame
from streamtag.sinks.base import HeadInfo, SessionInfo


class Kind(enum.Enum):
    """What a signal gives."""

    NUMBER = "a number"
    SWITCH = "on or off"
    TEXT = "a text"


@dataclass(frozen=True, slots=True)
class Heard:
    """What is known at a moment.

    Attributes
    ----------
    time : float
        Seconds of audio.
    state : str
        What the session is doing.
    frame : TagFrame or None
        The newest; None before the first.
    fresh : bool
        Whether the frame has just come.
    """

    time: float
    state: str
    frame: TagFrame | None
    fresh: bool


Reader = Callable[[TagFrame], float | bool | str | None]


@dataclass(frozen=True, slots=True)
class Signal:
    """Something that is heard.

    Attributes
    ----------
    name : str
        What it is called in messages (``$name``).
    kind : Kind
        What it gives.
    read : callable
        Gives it of a frame; None where the frame does not say.
    usual : tuple of (float, float)
        The range that is mapped, where a rule names no other.
    hysteresis : float or None
        That of a threshold, where a rule names no other; None: a fifth of the threshold.
    input : callable or None
        The number behind what is on or off.
    needs : str
        What the session lacks where a frame does not say.
    """

    name: str
    kind: Kind
    read: Reader
    usual: tuple[float, float] = (0.0, 1.0)
    hysteresis: float | None = None
    input: Callable[[TagFrame], float | None] | None = None
    needs: str = ""


def _change(frame: TagFrame) -> float | None:
    return 0.0 if frame.gated else frame.change


def _axis(place: int, frame: TagFrame) -> float | None:
    return None if frame.xyz is None else frame.xyz[place]


STATE, SECTION = "state", "section"
_PLAIN = {
    "level": Signal("level", Kind.NUMBER, lambda frame: frame.level_dbfs, (-60.0, 0.0), 3.0),
    "gain": Signal("gain", Kind.NUMBER, lambda frame: frame.gain_db, (-20.0, 40.0), 3.0, needs="--level auto"),
    "music": Signal("music", Kind.NUMBER, lambda frame: frame.music, needs="--music gate or tell"),
    "change": Signal("change", Kind.NUMBER, _change, needs="--react, and a model of musicnn"),
    **{
        name: Signal(name, Kind.NUMBER, partial(_axis, place), (-1.0, 1.0), 0.1, needs="a model with coordinates")
        for place, name in enumerate("xyz")
    },
    "rest": Signal("rest", Kind.SWITCH, lambda frame: frame.gated),
    "top": Signal("top", Kind.TEXT, lambda frame: frame.top[0][0] if frame.top else ""),
    SECTION: Signal(SECTION, Kind.SWITCH, lambda frame: frame.section is not None, input=lambda frame: frame.section),
    STATE: Signal(STATE, Kind.TEXT, lambda frame: None),  # said by the session, and not by a frame
}
OF_TAGS = ("tag", "cal", "on")
_OF_LABELS = (*OF_TAGS, "head")
WHENS = ("tag/NAME", "on/NAME", "cal/NAME", "head/HEAD/CLASS", "head/HEAD/on/CLASS", "head/HEAD", *_PLAIN)


def is_signal(when: str) -> bool:
    """Whether a text has the form of a signal, whatever the tags are called."""
    first, slash, rest = when.partition("/")
    return first in _OF_LABELS and bool(rest) if slash else first in _PLAIN


def kind_of(when: str) -> Kind:
    """What a signal of that name gives, whatever the tags are called: see `is_signal`."""
    first, _, rest = when.partition("/")
    if first in _PLAIN:
        return _PLAIN[first].kind
    if first == "head":
        return Kind.TEXT if "/" not in rest else Kind.SWITCH if rest.split("/", 1)[1].startswith("on/") else Kind.NUMBER
    return Kind.SWITCH if first == "on" else Kind.NUMBER


def no_signal(when: str) -> str:
    """What is wrong with a text that is none."""
    first, slash, _ = when.partition("/")
    if first in _OF_LABELS:
        return f"when = {when!r}: expected a name after the stroke, for example tag/rock or head/cues/drop"
    if slash:
        return f"when = {when!r}: nothing is called {first!r}: {meant(first, _OF_LABELS)}"
    return f"when = {when!r}: nothing is called so: {meant(when, [*_PLAIN, *_OF_LABELS])} ({', '.join(WHENS)})"


def bind(when: str, info: SessionInfo) -> Signal:
    """The signal of that name, in a session.

    Raises
    ------
    OptionError
        The session has no such tag, head or class; it says what was probably meant.
    """
    first, _, rest = when.partition("/")
    if first in _PLAIN:
        return _PLAIN[first]
    if first == "head":
        signal = _of_head(rest, info.heads)
        if signal.kind is not kind_of(when):  # a stroke in a name
            raise OptionError(f"{when!r}: write the name as OSC addresses have it, with _ for what is no letter")
        return signal
    place = find_label(rest, info.labels)
    if place is None:
        raise OptionError(f"no tag is called {rest!r}: {_meant(rest, info.labels)}")
    label = info.labels[place]
    if first == "tag":
        return Signal(label, Kind.NUMBER, partial(_score, place))
    if first == "cal":
        return Signal(label, Kind.NUMBER, partial(_calibrated, place), needs="--calibration auto, or a file")
    return Signal(label, Kind.SWITCH, lambda frame: label in frame.on, input=partial(_score, place))


def _of_head(rest: str, heads: Sequence[HeadInfo]) -> Signal:
    if not heads:
        raise OptionError("there are no heads in this session: give --head FILE.head")
    names = [head.name for head in heads]
    slug_of = slugs(names)
    for number, head in enumerate(heads):
        for name in dict.fromkeys((head.name, slug_of[head.name])):
            if rest == name:
                return Signal(head.name, Kind.TEXT, partial(_likeliest, number))
            if not rest.startswith(f"{name}/"):
                continue
            wanted = rest.removeprefix(f"{name}/")
            if (place := find_label(wanted, head.labels)) is not None:
                return Signal(head.labels[place], Kind.NUMBER, partial(_probability, number, place))
            switch = wanted.removeprefix("on/")
            if switch != wanted and (place := find_label(switch, head.labels)) is not None:
                label = head.labels[place]
                is_on = partial(_is_on, number, label)
                return Signal(label, Kind.SWITCH, is_on, input=partial(_probability, number, place))
            raise OptionError(f"the head {head.name} has no class {switch!r}: {_meant(switch, head.labels)}")
    given = rest.partition("/")[0]
    raise OptionError(f"no head is called {given!r}: {_meant(given, names)}")


def _meant(name: str, labels: Iterable[str]) -> str:
    return meant(name, tuple(labels))


def _score(place: int, frame: TagFrame) -> float:
    return float(frame.scores[place])


def _calibrated(place: int, frame: TagFrame) -> float | None:
    return None if frame.calibrated is None else float(frame.calibrated[place])


def _probability(number: int, place: int, frame: TagFrame) -> float:
    return float(frame.heads[number].scores[place])


def _is_on(number: int, label: str, frame: TagFrame) -> bool:
    return label in frame.heads[number].on


def _likeliest(number: int, frame: TagFrame) -> str:
    top = frame.heads[number].top
    return top[0][0] if top else ""
