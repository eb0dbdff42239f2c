"""What rules send: OSC, MIDI and MQTT messages as plain values, and the forms they are made from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from string import Template
from typing import Literal

from streamtag._toml.tables import meant
from streamtag.errors import OptionError

NAMES = ("value", "input", "name", "time")
"""What stands for what was heard in texts: ``$value`` and so on."""
Argument = int | float | bool | str
MIDI_LARGEST = 127


@dataclass(frozen=True, slots=True)
class OscMessage:
    """An OSC message to a host: numbers are sent as int32 or float32, true and false as T or F."""

    host: str
    address: str
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class MidiMessage:
    """Two or three bytes to a MIDI port."""

    port: str
    data: bytes


@dataclass(frozen=True, slots=True)
class MqttMessage:
    """A text to a topic."""

    topic: str
    payload: str
    retain: bool
    qos: int


Message = OscMessage | MidiMessage | MqttMessage


@dataclass(frozen=True, slots=True)
class Said:
    """What a message may speak of.

    Attributes
    ----------
    value : bool, int, float or str
        What the rule makes of what it hears: mapped, or 1 and 0 of a switch.
    share : float
        The same before it was mapped, 0..1.
    mapped : bool
        Whether the rule maps to a range of its own.
    input : float or str
        What is heard.
    name : str
        What it is called.
    time : float
        Seconds of audio.
    """

    value: Argument
    share: float
    mapped: bool
    input: float | str
    name: str
    time: float

    def of(self, name: str) -> Argument:
        """What one of `NAMES` stands for."""
        return {"value": self.value, "input": self.input, "name": self.name, "time": self.time}[name]


@dataclass(frozen=True, slots=True)
class Text:
    """A text in which ``$value`` and its like stand for what is heard; ``$$`` is a dollar.

    Attributes
    ----------
    text : str
        The text.

    Raises
    ------
    OptionError
        A dollar with another name.
    """

    text: str

    def __post_init__(self) -> None:
        template = Template(self.text)
        wrong = [name for name in template.get_identifiers() if name not in NAMES]
        if wrong:
            raise OptionError(f"{self.text!r}: ${wrong[0]} stands for nothing: {meant(wrong[0], NAMES)}")
        if not template.is_valid():
            known = ", ".join(f"${name}" for name in NAMES)
            raise OptionError(f"{self.text!r}: a $ without a name: expected {known}; $$ is a dollar")

    @property
    def follows(self) -> bool:
        """Whether it says anything of what is heard."""
        return bool(Template(self.text).get_identifiers())

    def filled(self, said: Said) -> Argument:
        """The text; one that is nothing but ``$value`` stays a number where that is one."""
        alone = re.fullmatch(r"\$(?:\{(\w+)\}|(\w+))", self.text)
        return said.of(alone[1] or alone[2]) if alone else self.as_text(said)

    def as_text(self, said: Said) -> str:
        """The text, as text."""
        return Template(self.text).substitute({name: as_text(said.of(name)) for name in NAMES})


def as_text(value: Argument) -> str:
    """A value for people and for payloads: at most three decimals; true and false."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{round(value, 3) + 0.0:g}" if abs(value) < 1e5 else f"{value:.0f}"  # + 0.0: there is no -0
    return value if isinstance(value, str) else str(value)


@dataclass(frozen=True, slots=True)
class OscForm:
    """How a rule sends OSC."""

    host: str
    address: str
    arguments: tuple[int | float | bool | Text, ...]

    @property
    def follows(self) -> bool:
        """Whether it says anything of what is heard; else it is a trigger."""
        return any(isinstance(argument, Text) and argument.follows for argument in self.arguments)

    def message(self, said: Said) -> OscMessage:
        """The message."""
        filled = (argument.filled(said) if isinstance(argument, Text) else argument for argument in self.arguments)
        return OscMessage(self.host, self.address, tuple(filled))


@dataclass(frozen=True, slots=True)
class MidiForm:
    """How a rule sends MIDI: a control change, a note, or a program change.

    Attributes
    ----------
    port : str
        Which port.
    kind : {'cc', 'note', 'program'}
        What is sent.
    number : int
        Of the controller, the note or the program, 0..127.
    channel : int
        1..16.
    constant : int or None
        A note's velocity; what a controller is set to, where it does not follow.
    """

    port: str
    kind: Literal["cc", "note", "program"]
    number: int
    channel: int
    constant: int | None

    @property
    def follows(self) -> bool:
        """Whether it says anything of what is heard; else it is a trigger."""
        return self.kind == "note" or (self.kind == "cc" and self.constant is None)

    def message(self, said: Said) -> MidiMessage:
        """The message: of a note, its end where the value is 0."""
        channel = self.channel - 1
        if self.kind == "program":
            return MidiMessage(self.port, bytes([0xC0 | channel, self.number]))
        if self.kind == "note":
            on = bool(said.share)
            velocity = (self.constant or 0) if on else 0
            return MidiMessage(self.port, bytes([(0x90 if on else 0x80) | channel, self.number, velocity]))
        if self.constant is not None:
            value: float = self.constant
        elif said.mapped and not isinstance(said.value, str):
            value = said.value
        else:
            value = MIDI_LARGEST * said.share
        data = min(MIDI_LARGEST, max(0, int(value + 0.5)))
        return MidiMessage(self.port, bytes([0xB0 | channel, self.number, data]))


@dataclass(frozen=True, slots=True)
class MqttForm:
    """How a rule sends to an MQTT topic."""

    topic: str
    payload: Text
    retain: bool
    qos: int

    @property
    def follows(self) -> bool:
        """Whether it says anything of what is heard; else it is a trigger."""
        return self.payload.follows

    def message(self, said: Said) -> MqttMessage:
        """The message."""
        return MqttMessage(self.topic, self.payload.as_text(said), self.retain, self.qos)


Form = OscForm | MidiForm | MqttForm
