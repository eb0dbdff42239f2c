"""What goes to a MIDI port without rules: docs/midi.md has the table. It is made of rules, like any other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from streamtag._slugs import slugs
from streamtag.bridges.midi import check_extra
from streamtag.rules.messages import MidiForm
from streamtag.rules.show import Rule
from streamtag.rules.signals import SECTION
from streamtag.rules.sink import Sender
from streamtag.sinks.base import SessionInfo

FIRST_CONTROLLER, MOST_TAGS = 14, 50
"""Controllers 14 to 63: what an instrument takes for a pedal, a bank or a mode lies outside."""
FIRST_NOTE = 36
SECTION_NOTE = 35
MOST_HEADS = 15
VELOCITY = 100
OTHERS = {"level": 102, "music": 103, "change": 104, "x": 105, "y": 106, "z": 107}
"""Controllers of channel 1 that MIDI leaves undefined."""


def default_rules(port: str, info: SessionInfo) -> Iterator[Rule]:
    """The rules: channel 1 for the model's tags, the next ones for heads.

    Parameters
    ----------
    port : str
        The port.
    info : SessionInfo
        The session.

    Yields
    ------
    Rule
        A controller for each number, a note for each switch.
    """
    yield from _of_labels(port, 1, "tag", "on", info.labels)
    for name, number in OTHERS.items():
        yield Rule(name, (MidiForm(port, "cc", number, 1, None),))
    yield Rule(SECTION, (MidiForm(port, "note", SECTION_NOTE, 1, VELOCITY),), hold=0.1)
    for head, slug in zip(info.heads[:MOST_HEADS], slugs(head.name for head in info.heads).values(), strict=False):
        channel = info.heads.index(head) + 2
        yield from _of_labels(port, channel, f"head/{slug}", f"head/{slug}/on", head.labels)


def _of_labels(port: str, channel: int, number: str, switch: str, labels: Sequence[str]) -> Iterator[Rule]:
    for place, slug in enumerate(list(slugs(labels).values())[:MOST_TAGS]):
        yield Rule(f"{number}/{slug}", (MidiForm(port, "cc", FIRST_CONTROLLER + place, channel, None),))
        note = MidiForm(port, "note", FIRST_NOTE + place, channel, VELOCITY)
        yield Rule(f"{switch}/{slug}", (note,))


class MidiSink(Sender):
    """Sends tags and classes of heads to a MIDI port: numbers as control changes, switches as notes.

    Parameters
    ----------
    port : str
        ``virtual``, or a port's name or a part of it (see `streamtag.bridges.midi.MidiPort`).

    Raises
    ------
    MissingExtraError
        python-rtmidi is not installed.
    """

    def __init__(self, port: str) -> None:
        check_extra(f"the MIDI port {port!r}")
        super().__init__()
        self.name = f"midi {port}"
        self._port = port

    @property
    def trouble(self) -> str | None:
        """What is wrong with the port at present, in words; None if nothing is known to be."""
        return next((way.trouble for way in self._ways.copy().values() if way.trouble), None)

    def open(self, info: SessionInfo) -> None:
        """Begin to look for the port."""
        self._given = tuple(default_rules(self._port, info))
        super().open(info)
