"""From a show file to its rules: what each key may be, and what goes with what. docs/rules.md says what they mean."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal, get_args

from streamtag._slugs import slug
from streamtag._toml.document import Document
from streamtag._toml.tables import Table, meant, shown
from streamtag.errors import OptionError
from streamtag.osc.where import parse_destination
from streamtag.rules.messages import MIDI_LARGEST, Form, MidiForm, MqttForm, OscForm, Text
from streamtag.rules.show import RATE, Rule, Show, Type
from streamtag.rules.signals import OF_TAGS, SECTION, Kind, is_signal, kind_of, no_signal
from streamtag.rules.tags import read_selection
from streamtag.tagging.selection import TagSelection

MQTT_RATE = 1.0
"""The same of one that only speaks to an MQTT broker, whose receivers keep what they hear."""
REPEATS = 1.0
"""The same of switches and texts that are repeated without a change."""
SECTION_SECONDS = 0.1
"""How long the beginning of a section is on: a flash that a button takes for a press."""
LONGEST_SECONDS = 3600.0

TOP = ("host", "live", "tags", "rule")
SWITCHING = ("above", "below", "is")
RULE = (
    *("when", "input", *SWITCHING, "hysteresis", "debounce", "hold", "smooth"),
    *("from", "to", "curve", "type", "rate", "changes_only", "send", "send_off"),
)
OSC = ("osc", "host", "arguments")
MIDI = {"cc": ("cc", "value"), "note": ("note", "velocity"), "program": ("program",)}
MQTT = ("mqtt", "payload", "retain", "qos")
VELOCITY = 100


def read_show(path: str | Path, *, midi: str | None = None, mqtt: bool = False) -> Show:
    """Read a show file.

    Parameters
    ----------
    path : str or Path
        The file.
    midi : str or None
        The port of MIDI messages that name none.
    mqtt : bool
        Whether there is a broker.

    Returns
    -------
    Show
        What it says.

    Raises
    ------
    OptionError
        Whatever is wrong with it, with the line, and what is expected.
    """
    document = Document(Path(path))
    top = Table(document, document.data)
    top.only(TOP, "a show")
    host = _host(top) if "host" in top else None
    live, tags = top.table("live"), top.table("tags")
    selection = None if tags is None else read_selection(tags)
    reader = _Reader(host, midi, mqtt, selection)
    found = tuple(reader.rule(table) for table in top.tables("rule"))
    return Show(found, live.data if live else {}, selection, document)


def _host(table: Table) -> str:
    host = table.text("host")
    try:
        parse_destination(host)
    except OptionError as error:
        table.fail("host", str(error))
    return host


class _Reader:
    """Reads rules, one after the other."""

    def __init__(self, host: str | None, midi: str | None, mqtt: bool, tags: TagSelection | None) -> None:
        self._host, self._midi, self._mqtt = host, midi, mqtt
        self._names = {slug(old): new for old, new in tags.rename.items()} if tags else {}
        self._kind = Kind.NUMBER
        self._switches = False

    def rule(self, table: Table) -> Rule:
        self._table = table
        table.only(RULE, "a rule")
        for key in ("when", "send"):
            if key not in table and not (key == "send" and "send_off" in table):
                table.fail(None, f"a rule without {key}: expected when = ... and send = ...")
        when = table.text("when")
        if not is_signal(when):
            table.fail("when", no_signal(when))
        self._kind = kind_of(when)
        above, below, equals = self._limits()
        limited = [key for key in SWITCHING if key in table]
        self._switches = bool(limited) or self._kind is Kind.SWITCH
        source, target = table.pair("from"), table.pair("to")
        self._check_mapping(source)
        kind = table.text("type") or None
        if kind is not None and kind not in get_args(Type):
            table.fail("type", f"type = {kind!r}: {meant(kind, get_args(Type))}")
        if "hysteresis" in table and above is None and below is None:
            table.fail("hysteresis", "hysteresis belongs to a threshold: add above or below")
        if "hold" in table and not self._switches and self._kind is Kind.NUMBER:
            table.fail("hold", "hold belongs to a switch: add above or below")
        send = tuple(self._form(one) for one in table.tables("send"))
        smooth = table.number("smooth", 0.0, 0.0, LONGEST_SECONDS, "of seconds")
        curve, rate = table.number("curve", 1.0, 0.01, 100.0), table.number("rate", least=0.001, most=1000.0)
        changes_only = table.switch("changes_only", True)
        hold = SECTION_SECONDS if when == SECTION else 0.0
        return Rule(
            when=self._renamed(when),
            send=send,
            send_off=self._send_off(),
            above=above,
            below=below,
            equals=equals,
            hysteresis=table.number("hysteresis", None, 0.0),
            debounce=table.number("debounce", 0.0, 0.0, LONGEST_SECONDS, "of seconds") or 0.0,
            hold=table.number("hold", hold, 0.0, LONGEST_SECONDS, "of seconds") or 0.0,
            smooth=smooth or 0.0,
            source=source,
            target=target,
            curve=curve or 1.0,
            type=kind,  # type: ignore[arg-type] # one of them, as was checked
            rate=rate or self._usual_rate(send, changes_only),
            changes_only=changes_only,
            input=table.text("input"),
            line=table.line,
        )

    def _usual_rate(self, send: tuple[Form, ...], changes_only: bool) -> float:
        """Messages a second, where the rule does not say: switches and texts change seldom, and are told at once."""
        if self._switches or self._kind is Kind.TEXT:
            return math.inf if changes_only else REPEATS
        return MQTT_RATE if send and all(isinstance(form, MqttForm) for form in send) else RATE

    def _limits(self) -> tuple[float | None, float | None, tuple[str, ...]]:
        table, kind = self._table, self._kind
        given = [key for key in SWITCHING if key in table]
        if len(given) > 1:
            table.fail(given[1], f"{' and '.join(given)}: expected one of them; two rules can send the same")
        wrong = given if kind is Kind.SWITCH else [key for key in given if (key == "is") != (kind is Kind.TEXT)]
        if wrong:
            expected = {
                Kind.NUMBER: 'a number has above or below, and is = "..." is for top, head/HEAD and state',
                Kind.TEXT: 'a text has is = "..."',
                Kind.SWITCH: "it is on or off by itself; tag/NAME or head/HEAD/CLASS is the number behind it",
            }[kind]
            table.fail(wrong[0], f"{wrong[0]} does not go with {table.text('when')}: {expected}")
        texts = table.texts("is")
        if table.text("when") == "top":
            texts = tuple(self._names.get(slug(text), text) for text in texts)
        return table.number("above"), table.number("below"), texts

    def _renamed(self, when: str) -> str:
        """A signal of a tag by what the tag is called in this show."""
        first, _, name = when.partition("/")
        return f"{first}/{self._names[slug(name)]}" if first in OF_TAGS and slug(name) in self._names else when

    def _check_mapping(self, source: tuple[float, float] | None) -> None:
        table = self._table
        if source is not None and source[0] == source[1]:
            table.fail("from", "from: two different numbers are expected")
        if source is not None and self._switches:
            table.fail("from", "from: a switch is 0 or 1 already; to = [OFF, ON] says what is sent for them")
        for key in ("from", "to", "curve", "smooth", "type"):
            if key in table and self._kind is Kind.TEXT and not (key in ("to", "type") and self._switches):
                table.fail(key, f"{key} is for numbers, and {table.text('when')} is a text")

    def _send_off(self) -> tuple[Form, ...]:
        forms = self._table.tables("send_off")
        if forms and not self._switches:
            self._table.fail("send_off", "send_off belongs to a switch: add above, below or is")
        return tuple(self._form(one, off=True) for one in forms)

    # --- messages -------------------------------------------------------------------------------------------------

    def _form(self, table: Table, *, off: bool = False) -> Form:
        kinds = [kind for kind in ("osc", *MIDI, "mqtt") if kind in table]
        if len(kinds) != 1:
            known = "osc = ADDRESS, cc = NUMBER, note = NUMBER, program = NUMBER or mqtt = TOPIC"
            wrong = f"{' and '.join(kinds)} in one message" if kinds else self._no_kind(table)
            table.fail(None, f"{wrong}: expected one of {known}")
        (kind,) = kinds
        form = (
            self._osc(table) if kind == "osc" else self._mqtt_form(table) if kind == "mqtt" else self._midi_form(table)
        )
        if not (off or self._switches or form.follows or self._kind is Kind.TEXT):
            table.fail(
                kind,
                "always the same is sent, whatever is heard: put $value into it, or add above or below to the rule",
            )
        return form

    @staticmethod
    def _no_kind(table: Table) -> str:
        known = (*OSC, *(key for keys in MIDI.values() for key in keys), *MQTT, "port", "channel")
        unknown = [key for key in table.data if key not in known]
        return f"{unknown[0]!r} is no message ({meant(unknown[0], known)})" if unknown else "no message"

    def _osc(self, table: Table) -> OscForm:
        table.only(OSC, "an OSC message")
        address = table.text("osc")
        if (
            not address.startswith("/")
            or not address.isascii()
            or not address.isprintable()
            or set(address) & set(" #*,?[]{}")
        ):
            table.fail(
                "osc",
                f"osc = {address!r}: expected an address that begins with /, without blanks and # * , ? [ ] {{ }}",
            )
        host = _host(table) if "host" in table else self._host
        if host is None:
            table.fail("osc", 'where to? Add host = "127.0.0.1:9000" to the message, or at the top of the file for all')
        given = table.data.get("arguments", ["$value"])
        if not isinstance(given, list):
            table.fail("arguments", f'arguments = {shown(given)}: expected a list, for example ["$value"]')
        return OscForm(host, address, tuple(self._argument(table, one) for one in given))

    @staticmethod
    def _argument(table: Table, given: object) -> int | float | bool | Text:
        if isinstance(given, str):
            return _text(table, "arguments", given)
        if isinstance(given, bool | float) or (isinstance(given, int) and -(2**31) <= given < 2**31):
            return given
        table.fail("arguments", f"the argument {shown(given)}: expected a text, a number, true or false")

    def _midi_form(self, table: Table) -> MidiForm:
        kind: Literal["cc", "note", "program"] = "cc" if "cc" in table else "note" if "note" in table else "program"
        table.only((*MIDI[kind], "channel", "port"), f"a MIDI message with {kind}")
        number = table.whole(kind, 0, 0, MIDI_LARGEST)
        channel = table.whole("channel", 1, 1, 16)
        port = table.text("port") or self._midi
        if port is None:
            table.fail(kind, 'to which MIDI port? Give --midi PORT, midi = "PORT" under [live], or port = "PORT" here')
        if kind != "cc" and not self._switches:
            table.fail(kind, f"a {kind} is a matter of on and off: add above, below or is to the rule, or send a cc")
        constant = None
        if kind == "note":
            constant = table.whole("velocity", VELOCITY, 1, MIDI_LARGEST)
        elif kind == "cc" and "value" in table:
            constant = table.whole("value", 0, 0, MIDI_LARGEST)
        elif kind == "cc" and self._kind is Kind.TEXT and not self._switches:
            table.fail(kind, f"{self._table.text('when')} is a text, and a cc a number: add is, or value = NUMBER")
        return MidiForm(port, kind, number, channel, constant)

    def _mqtt_form(self, table: Table) -> MqttForm:
        table.only(MQTT, "an MQTT message")
        topic = table.text("mqtt")
        if set(topic) & set("#+\0") or topic.startswith("$") or len(topic.encode()) > 65535:
            table.fail("mqtt", f"mqtt = {topic!r}: expected a topic, without # and +, that begins with no $")
        if not self._mqtt:
            table.fail("mqtt", 'to which broker? Give --mqtt HOST, or mqtt = "HOST" under [live]')
        payload = table.data.get("payload", "$value")
        if not isinstance(payload, str):
            table.fail("payload", f"payload = {shown(payload)}: expected a text in quotes")
        return MqttForm(
            topic, _text(table, "payload", payload), table.switch("retain", False), table.whole("qos", 0, 0, 2)
        )


def _text(table: Table, key: str, text: str) -> Text:
    try:
        return Text(text)
    except OptionError as error:
        table.fail(key, f"{key}: {error}")
