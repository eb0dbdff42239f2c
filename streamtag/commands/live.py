"""streamtag live: tag what is heard now."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from streamtag._compile.progress import KERNELS
from streamtag.commands.console import err, preparing
from streamtag.commands.hearing import hearings
from streamtag.commands.inputs import Inputs, Raw, parse_inputs
from streamtag.commands.jobs import stoppable
from streamtag.commands.options import DEMO_MODEL, EngineOption, Heads, Models, Window, finite, named
from streamtag.commands.outputs import Announce, Osc, Rate, Web, WebAllow, on_stdout, outputs, recording
from streamtag.commands.running import run
from streamtag.commands.shows import (
    Config,
    Midi,
    Mqtt,
    MqttDiscovery,
    MqttLogin,
    RulesOption,
    check_names,
    open_shows,
    selection_of,
)
from streamtag.dsp.params import LevelOption
from streamtag.errors import OptionError
from streamtag.inference.networks.catalogue import find_spec
from streamtag.inference.networks.specs import live_level, window_frames
from streamtag.tagging.options import (
    GATE_DBFS,
    HEAD_THRESHOLD,
    LIVE_MODEL,
    WINDOW_SECONDS,
    MusicOption,
    ReactOption,
    TaggingOptions,
)

if TYPE_CHECKING:
    from streamtag.engine import Session
    from streamtag.heads.head import PlainHead
    from streamtag.tagging.calibration import Calibration

_INSTEAD = {"--midi": "; with several, rules (--rules SHOW.toml) say which input sends which message"}
app = typer.Typer()


@app.command(
    epilog="Examples: [bold]streamtag live --osc 127.0.0.1:9000[/bold] (default input) · "
    "[bold]streamtag live --input Scarlett --channels 3,4 --osc 192.168.1.20:7000 --osc 127.0.0.1:9000[/bold] · "
    "[bold]streamtag live --input song.mp3 --format json --embeddings > song.jsonl[/bold] · "
    "[bold]streamtag live --input stage=Scarlett:1,2 --input deck=Scarlett:3,4 --osc 127.0.0.1:9000[/bold] · "
    "[bold]streamtag live --model MSD_musicnn --model voice.onnx[/bold]"
)
def live(
    model: Models = None,
    input: Inputs = None,
    channels: Annotated[
        str | None,
        typer.Option(
            help="Channels to hear, from 1: for example 1,2. Their mean is tagged. Default: a device's first two.",
            metavar="LIST",
        ),
    ] = None,
    hop: Annotated[
        float | None,
        typer.Option(
            help="Seconds between predictions, to the nearest 0.016. Default: 0.016; 0.064 with TensorFlow.",
            metavar="SECONDS",
            callback=finite,
        ),
    ] = None,
    window: Window = None,
    top: Annotated[int, typer.Option(help="How many tags to name.", min=1)] = 5,
    react: Annotated[
        ReactOption | None,
        typer.Option(
            help="How quickly scores follow. calm, normal, quick: where music changes they are half-way after about "
            "1.0, 0.8, 0.7 s, and steady otherwise. off: plain smoothing (2.4 s). Default: normal; off with --smooth."
        ),
    ] = None,
    smooth: Annotated[
        float | None,
        typer.Option(
            help="Time constant of plain smoothing; 0 for none. Default: 1.0, where --react is off.",
            metavar="SECONDS",
            min=0,
        ),
    ] = None,
    threshold: Annotated[
        str,
        typer.Option(
            help="Score at which one of the model's tags switches on, 0 to 1; or, with %, how rare that is to be on "
            "the tag's own scale: 95% is reached one twentieth of the time in music at large.",
            metavar="SCORE|PERCENT%",
        ),
    ] = "0.2",
    head_threshold: Annotated[
        float, typer.Option(help="Probability at which one of your own tags (--head) switches on, 0 to 1.")
    ] = HEAD_THRESHOLD,
    engine: EngineOption = "auto",
    rate: Rate = 30.0,
    gate: Annotated[
        str | None,
        typer.Option(
            help="Level below which, after 1 s, the network rests and scores fall to 0; or `off`. Default: -60.",
            metavar="DBFS|off",
        ),
    ] = None,
    level: Annotated[
        LevelOption | None,
        typer.Option(
            help="auto: raise quiet input, and lower loud, to the level that the models know (-20 to +40 dB, a step "
            "within 3 s). off: take it as it comes, which gives the published numbers. Default: as --head was learned; "
            "else auto."
        ),
    ] = None,
    calibration: Annotated[
        str | None,
        typer.Option(
            help="Each tag's own scale, sent beside the scores: a file that `streamtag calibrate` made; auto: the "
            "one that ships with the model; off. Default: auto with --level auto.",
            metavar="auto|off|FILE.cal",
        ),
    ] = None,
    music: Annotated[
        MusicOption | None,
        typer.Option(
            help="tell: also say how likely it is that music is heard, and no speech, applause or noise. gate: tags "
            "rest, too, while that is unlikely. Default: gate with --level auto and windows of 3 s."
        ),
    ] = None,
    osc: Osc = None,
    osc_in: Annotated[
        str | None,
        typer.Option(
            help="Hear commands over OSC on this port (PORT: from this machine only; HOST:PORT, for example "
            "0.0.0.0:9001: from its networks): pause, resume, reset, hop, top, threshold, head/threshold, correct. "
            "See docs/osc.md.",
            metavar="[HOST:]PORT",
        ),
    ] = None,
    rules: RulesOption = None,
    config: Config = None,
    midi: Midi = None,
    mqtt: Mqtt = None,
    mqtt_login: MqttLogin = None,
    mqtt_discovery: MqttDiscovery = False,
    web: Web = None,
    web_allow: WebAllow = None,
    record: Annotated[
        Path | None,
        typer.Option(
            help="Keep what is sent in this file, for `streamtag replay`: a show is then programmed without the music. "
            "Several inputs: each in a file of its own, TAKE-NAME.npz.",
            metavar="TAKE.npz",
            parser=named,
        ),
    ] = None,
    announce: Announce = None,
    callback: Annotated[
        Literal["auto", "native", "python"],
        typer.Option(
            help="Audio callback implementation. native: compiled, so that a busy Python loses none. "
            "python: the ordinary way. auto: native where it can be made."
        ),
    ] = "auto",
    format: Annotated[
        Literal["text", "json"] | None,
        typer.Option(help="Lines on stdout. On a terminal the default is a live view; else text."),
    ] = None,
    embeddings: Annotated[bool, typer.Option("--embeddings", help="Put the embedding into the JSON lines.")] = False,
    embedding_smooth: Annotated[
        float,
        typer.Option(
            help="Time constant of the embedding, for visuals; 0: as the network gives it. /streamtag/xyz, three "
            "coordinates of it, is smoothed by as much, or by 1.",
            metavar="SECONDS",
            min=0,
            callback=finite,
        ),
    ] = 0.0,
    head: Heads = None,
    save_head: Annotated[
        list[Path] | None,
        typer.Option(
            help="Write the head there each time it was corrected (/streamtag/correct); with several, one for each "
            "--head, in their order. Never the file of a --head itself.",
            metavar="FILE.head",
            parser=named,
        ),
    ] = None,
    raw: Raw = None,
    loop: Annotated[bool, typer.Option("--loop", help="Play a file again and again.")] = False,
    play: Annotated[
        bool, typer.Option("--play", help="Let a file or the demo be heard on the default output.")
    ] = False,
    duration: Annotated[
        float | None, typer.Option(help="Stop after this many seconds.", metavar="SECONDS", min=0, callback=finite)
    ] = None,
) -> None:
    """Tag live audio and send the results, many times a second."""
    from streamtag._system.ports import parse_listen
    from streamtag.heads.head import common_level
    from streamtag.osc.control import ControlPort
    from streamtag.sinks.background import Background
    from streamtag.sinks.notices import Notices

    if embeddings and format != "json":
        raise OptionError("--embeddings are written in JSON lines: add --format json (over OSC they are always sent)")
    inputs = parse_inputs(input, parse_channels(channels))
    demo = all(one.given == "demo" for one in inputs)
    found = hearings(inputs, model, head, DEMO_MODEL if demo else LIVE_MODEL, window, level)
    several = bool(found[0].name)
    if several:
        for option, given in {"--midi": midi, "--save-head": save_head}.items():
            if given:
                raise OptionError(f"{option} is for one input without a name{_INSTEAD.get(option, '')}")
    if smooth is not None and react not in (None, "off"):
        raise OptionError(f"--smooth {smooth:g} is plain smoothing, and --react {react} is none: leave out either")
    react, smooth = react or ("normal" if smooth is None else "off"), 1.0 if smooth is None else smooth
    shows = [
        open_shows(rules or config, midi, mqtt, mqtt_login, discovery=mqtt_discovery, input=one.name) for one in found
    ]
    show = shows[0][0]
    check_names([each for each, _ in shows], found)
    options: dict[str, TaggingOptions] = {}
    for one in found:
        if one.model in options:
            continue
        of_model = level or common_level(one.heads) or live_level(find_spec(one.model))
        if level is None:
            _note_levels(one.heads)
        options[one.model] = TaggingOptions(
            model=one.model,
            hop=hop,
            window=window,
            top=top,
            smooth=smooth,
            react=react,
            embedding_smooth=embedding_smooth,
            threshold=parse_threshold(threshold),
            head_threshold=head_threshold,
            engine=engine,
            heads=one.heads,
            gate=parse_gate(gate),
            level=of_model,
            calibration=_calibration(calibration, one.model, window, smooth, of_model, threshold),
            music=music or ("gate" if of_model == "auto" and window in (None, WINDOW_SECONDS) else "off"),
            tags=selection_of(show),
        )
    saved = _saved(save_head or [], head or [], found[0].heads)
    control = None if osc_in is None else ControlPort(*parse_listen(osc_in))
    names = [one.name for one in found]
    sent = outputs(osc or [], rate, web, web_allow or [], names, control, announce)
    others = [
        [*to, *of_show, *recording(record, rate, name)]
        for to, (_, of_show), name in zip(sent, shows, names, strict=True)
    ]
    screens, view = on_stdout(format, embeddings, rate, names, others[0])
    sessions: dict[str, Session] = {}
    with preparing(" and ".join(options), max(KERNELS.get(find_spec(each).family, 0) for each in options)):
        from streamtag.ensemble import Ensemble
        from streamtag.opening import open_session  # the first of what is compiled is compiled here
        from streamtag.sources.pipes import is_pipe

        try:
            for one, before, screen in zip(found, others, screens, strict=True):
                # closed in this order: lights go off before a pipe is waited for; a view shows itself what goes wrong
                notices = [] if view is not None else [Background(Notices(_say), count_drops=False)]
                sessions[one.name] = open_session(
                    options[one.model],
                    one.input.given,
                    [*before, screen, *notices],
                    channels=one.input.channels,
                    loop=loop,
                    callback=callback,
                    control=None if several else control,
                    play=play and one.first,
                    raw=raw if not several or is_pipe(one.input.given) else None,
                    save_heads=saved,
                    beside=sessions.values(),
                )
                sessions[one.name].tagger.warm_up()
            # a thread for each of several models: a quick one would else stand in line behind a slow one
            threads = len(found) if len(options) > 1 else None
            running = Ensemble(sessions, control=control, threads=threads) if several else sessions[""]
        except BaseException:
            for session in sessions.values():
                session.stop()
            raise
    with stoppable(view):
        status = run(running, sessions, screens, duration)
    raise typer.Exit(status)


def _note_levels(heads: Sequence[PlainHead]) -> None:
    """A word on heads that will hear another level than they learned from."""
    for each in heads:
        if each.level == "off":
            err.print(
                f"note: the head {each.name} was learned at the level of its clips, and hears the input as it comes: "
                "learn it again, and it is right at any level",
                markup=False,
            )


def _say(line: str) -> None:
    err.print(line, markup=False)


def parse_channels(text: str | None) -> tuple[int, ...] | None:
    """`1,2` to channels, counted from 1."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) >= 1 for part in parts):
        raise OptionError(f"--channels {text!r}: expected numbers from 1, with commas between: 1,2")
    return tuple(int(part) for part in parts)


def parse_threshold(text: str) -> float | str:
    """A score, or a percentage, which stays as it is."""
    try:
        score = text if text.strip().endswith("%") else float(text)
        if isinstance(score, float) and score > 1:
            raise ValueError
        return score
    except ValueError:
        raise OptionError(
            f"--threshold {text}: expected a score up to 1, for example 0.2, or a percentage, for example 95%"
        ) from None


def _calibration(
    name: str | None, model: str, window: float | None, smooth: float, level: LevelOption, threshold: str
) -> Calibration | None:
    """Each tag's own scale, as it was asked for; and a word where it is not of what is heard now."""
    wanted = name or ("auto" if level == "auto" or threshold.strip().endswith("%") else "off")
    if wanted == "off":
        return None
    from streamtag.tagging.calibration_file import check_calibration, differs, load_calibration, shipped_calibration

    if wanted == "auto":
        found = shipped_calibration(model)
        if found is None and name is not None:
            raise OptionError(
                f"--calibration auto: none ships with {model}; `streamtag calibrate MUSIC --model {model} --out "
                "FILE.cal` makes one"
            )
    else:
        found = load_calibration(wanted)
        check_calibration(found, find_spec(model))
    asked = name is not None or threshold.strip().endswith("%")
    if found is not None and asked and (note := differs(found, window_frames(find_spec(model), window), smooth, level)):
        err.print(f"note: {note}", markup=False)
    return found


def _saved(targets: list[Path], paths: list[str], heads: Sequence[PlainHead]) -> dict[str, Path]:
    """Where each head goes when it was corrected, tried before anything is heard."""
    if not targets:
        return {}
    if len(targets) != len(heads):
        raise OptionError(f"{len(targets)} --save-head for {len(heads)} --head: give one for each, in their order")
    from streamtag.files.outputs import check_output

    for target in targets:
        check_output(target, map(Path, paths))
    if len({target.resolve() for target in targets}) < len(targets):
        raise OptionError("two --save-head name the same file: give each head a file of its own")
    return {head.name: target for head, target in zip(heads, targets, strict=True)}


def parse_gate(text: str | None) -> float | None:
    """A level in dBFS, or `off`."""
    if text is None:
        return GATE_DBFS
    if text.strip().lower() == "off":
        return None
    try:
        level = float(text)
    except ValueError:
        level = math.nan
    if not -math.inf < level < 0:
        raise OptionError(f"--gate {text!r}: expected a level in dBFS, below 0, for example -60; or off")
    return level
