"""What of `streamtag live` a show file, MIDI and MQTT are: options from a file, and outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamtag.commands.inputs import NAMED
from streamtag.commands.options import named
from streamtag.errors import OptionError

if TYPE_CHECKING:
    from streamtag._toml.tables import Table
    from streamtag.commands.hearing import Hearing
    from streamtag.rules.sink import RulesSink
    from streamtag.sinks.base import Sink
    from streamtag.tagging.selection import TagSelection

NOT_IN_FILES = ("config", "rules", "help")
PATHS = ("head", "save_head", "calibration", "input", "mqtt_login")
"""Options that may name files: those are looked for beside the show first."""


def take_config(context: typer.Context, path: Path | None) -> Path | None:
    """Take a show's options as defaults for those that the command line does not give.

    Parameters
    ----------
    context : typer.Context
        Of the command.
    path : Path or None
        The show.

    Returns
    -------
    Path or None
        The same.

    Raises
    ------
    OptionError
        What is wrong with the file, or with one of the options in it; with the line.
    """
    if path is not None and not context.resilient_parsing:
        from streamtag._toml.document import Document
        from streamtag._toml.tables import Table

        document = Document(path)
        table = Table(document, document.data).table("live")
        context.default_map = {**(context.default_map or {}), **(_defaults(context, table) if table else {})}
    return path


def _defaults(context: typer.Context, table: Table) -> Mapping[str, Any]:
    """Values of options by their parameters' names, each as the command line would take it."""
    from streamtag._toml.tables import meant

    known = {
        name.removeprefix("--"): parameter
        for parameter in context.command.params
        for name in parameter.opts
        if name.startswith("--") and name.removeprefix("--") not in NOT_IN_FILES
    }
    found: dict[str, Any] = {}
    for key, value in table.data.items():
        parameter = known.get(key.replace("_", "-"))
        if parameter is None:
            table.fail(key, f"[live] has no option {key!r}: {meant(key.replace('_', '-'), known)}")
        assert parameter.name is not None
        given = _as_given(table, key, value, multiple=getattr(parameter, "multiple", False), flag=_is_flag(parameter))
        if parameter.name in PATHS:
            given = _beside(table.document.path.parent, given, saved=parameter.name == "save_head")
        try:
            parameter.process_value(context, given)
        except (OptionError, typer.BadParameter) as error:
            words = str(getattr(error, "message", None) or error)
            table.fail(key, f"{key}: {words.removeprefix('Value error, ')}")
        found[parameter.name] = given
    return found


def _is_flag(parameter: Any) -> bool:
    return bool(getattr(parameter, "is_flag", False))


def _as_given(table: Table, key: str, value: object, *, multiple: bool, flag: bool) -> Any:
    """A value as the command line gives it: text, a list of texts, true or false."""
    from streamtag._toml.tables import shown

    if flag:
        return table.switch(key, False)
    plain = [value] if not isinstance(value, list) else value
    if any(isinstance(one, bool | dict | list) or not isinstance(one, str | int | float) for one in plain):
        table.fail(key, f"{key} = {shown(value)}: expected a text or a number{', or a list of them' * multiple}")
    if multiple:
        return [str(one) for one in plain]
    if isinstance(value, list):
        if key != "channels":
            table.fail(key, f"{key} = {shown(value)}: expected one value")
        return ",".join(map(str, plain))
    return str(value)


def _beside(folder: Path, given: Any, *, saved: bool) -> Any:
    """A file's name as seen from the current folder, if it lies beside the show, or is to."""
    if isinstance(given, list):
        return [_beside(folder, one, saved=saved) for one in given]
    if (named := NAMED.fullmatch(given)) is not None:  # of several inputs
        return f"{named[1]}={_beside(folder, named[2], saved=saved)}"
    path = Path(given).expanduser()
    return given if path.is_absolute() or not (saved or (folder / path).is_file()) else str(folder / path)


# --- options ------------------------------------------------------------------------------------------------------

Config = Annotated[
    Path | None,
    typer.Option(
        help="Take options from [live] of this file, and its tags and rules: a show in one file. What the command line "
        "gives comes first. See docs/rules.md.",
        metavar="SHOW.toml",
        is_eager=True,
        callback=take_config,
        parser=named,
    ),
]
RulesOption = Annotated[
    Path | None,
    typer.Option(
        help="Send what the rules of this file say: OSC to addresses of others (Ableton Live, Resolume, VRChat ...), "
        "MIDI, MQTT. Read again when it changes. See docs/rules.md.",
        metavar="SHOW.toml",
        parser=named,
    ),
]
Midi = Annotated[
    str | None,
    typer.Option(
        help="Send tags and your own tags as control changes and notes to this MIDI port: a name or a part of it "
        "(`streamtag devices --midi`), NAME, HOST, or `virtual` for a port that others find. See docs/midi.md.",
        metavar="PORT|virtual",
    ),
]
Mqtt = Annotated[
    str | None,
    typer.Option(
        help="Publish the state to this MQTT broker, once a second and at changes; mqtts://HOST encrypts. See "
        "docs/mqtt.md.",
        metavar="HOST[:PORT][/PREFIX]",
    ),
]
MqttLogin = Annotated[
    Path | None,
    typer.Option(
        help="A file with the user for the broker on its first line and the password on its second. Default: "
        "STREAMTAG_MQTT_USER and STREAMTAG_MQTT_PASSWORD of the environment.",
        metavar="FILE",
        parser=named,
    ),
]
MqttDiscovery = Annotated[
    bool, typer.Option("--mqtt-discovery", help="Let Home Assistant find the entities by itself.")
]


# --- outputs ------------------------------------------------------------------------------------------------------


def open_shows(
    path: Path | None,
    midi: str | None,
    mqtt: str | None,
    login: Path | None,
    *,
    discovery: bool = False,
    input: str = "",
) -> tuple[RulesSink | None, list[Sink]]:
    """The rules of a show, if there is one, and all outputs that rules, MIDI and MQTT are.

    Parameters
    ----------
    path : Path or None
        The show.
    midi, mqtt : str or None
        As on the command line.
    login : Path or None
        Who logs in at the broker.
    discovery : bool
        Whether Home Assistant is told.
    input : str
        What the input is called among several; its topics then begin with ``PREFIX/in/NAME``.

    Returns
    -------
    RulesSink or None
        The show.
    list of Sink
        The outputs.

    Raises
    ------
    OptionError
        What cannot be used.
    """
    if mqtt is None and (login is not None or discovery):
        raise OptionError("--mqtt-login and --mqtt-discovery are for a broker: add --mqtt HOST")
    if path is None and midi is None and mqtt is None:
        return None, []
    from streamtag.bridges.broker import find_login, parse_broker
    from streamtag.bridges.mqtt import MqttSink
    from streamtag.rules.default_midi import MidiSink
    from streamtag.rules.sink import RulesSink
    from streamtag.rules.ways import MqttAccess
    from streamtag.sinks.background import Background

    if midi is not None and not midi.strip():
        raise OptionError("--midi: expected a port's name, or a part of it, or virtual")
    access = None if mqtt is None else MqttAccess(parse_broker(mqtt), find_login(login))
    show = None if path is None else RulesSink(path, midi=midi, mqtt=access)
    outputs: list[Sink] = [] if show is None else [Background(show)]
    if midi is not None and not (show is not None and show.uses_midi(midi)):
        outputs.append(Background(MidiSink(midi)))
    if access is not None:
        address = access.address
        address = replace(address, prefix=f"{address.prefix}/in/{input}") if input else address
        outputs.append(Background(MqttSink(address, access.login, discovery=discovery)))
    return show, outputs


def selection_of(show: RulesSink | None) -> TagSelection | None:
    """What a show says of the model's tags."""
    return None if show is None else show.show.tags


def check_names(shows: Sequence[RulesSink | None], heard: Sequence[Hearing]) -> None:
    """Refuse shows that name tags, heads or inputs which there will not be, before anything is opened.

    Parameters
    ----------
    shows : sequence of RulesSink or None
        That of each.
    heard : sequence of Hearing
        Which model hears which input.

    Raises
    ------
    OptionError
        They do; with the line.
    """
    if shows[0] is None:
        return
    from streamtag.inference.networks.catalogue import find_spec
    from streamtag.sinks.base import HeadInfo

    has = {
        one.model: (find_spec(one.model).labels, tuple(HeadInfo(head.name, head.labels) for head in one.heads))
        for one in heard
    }
    for show, one in zip(shows, heard, strict=True):
        if show is not None:
            beside = [others for model, others in has.items() if model != one.model]
            show.check(*has[one.model], [each.name for each in heard], beside, one.name)
