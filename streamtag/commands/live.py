"""streamtag live: tag what is heard now."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from streamtag._compile.progress import KERNELS
from streamtag._system.stderr import c_libraries_silent
from streamtag.commands.completion import complete_input
from streamtag.commands.console import err, forget_stdout, note_stuck, preparing
from streamtag.commands.jobs import stoppable
from streamtag.commands.options import DEMO_MODEL, EngineOption, Heads, Model, Window, finite, heads_and_model, named
from streamtag.commands.outputs import Announce, Osc, Rate, Web, WebAllow, on_stdout, outputs, recording
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
from streamtag.commands.signals import Terminated, defer_signals, ended_by
from streamtag.dsp.params import LevelOption
from streamtag.errors import OptionError
from streamtag.inference.networks.catalogue import find_spec
from streamtag.tagging.options import GATE_DBFS, HEAD_THRESHOLD, LIVE_MODEL, MusicOption, ReactOption, TaggingOptions

if TYPE_CHECKING:
    from streamtag.engine import Session
    from streamtag.heads.head import PlainHead
    from streamtag.sinks.base import Sink, Wrapper
    from streamtag.tagging.calibration import Calibration

LOOK_SECONDS = 0.05
"""How often a running session looks whether a signal has come."""
app = typer.Typer()


@app.command(
    epilog="Examples: [bold]streamtag live --osc 127.0.0.1:9000[/bold] (default input) · "
    "[bold]streamtag live --input Scarlett --channels 3,4 --osc 192.168.1.20:7000 --osc 127.0.0.1:9000[/bold] · "
    "[bold]streamtag live --input song.mp3 --format json --embeddings > song.jsonl[/bold]"
)
def live(
    model: Model = None,
    input: Annotated[
        str,
        typer.Option(
            help="What to hear: a device (index, name, part of it, or NAME, HOST; see `streamtag devices`), a file "
            "(./NAME where a device is called so), or `demo`.",
            metavar="DEVICE|FILE|demo",
            autocompletion=complete_input,
        ),
    ] = "default",
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
    window: Window = 3.0,
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
            help="Keep what is sent in this file, for `streamtag replay`: a show is then programmed without the music.",
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
    heads, model = heads_and_model(head, model, DEMO_MODEL if input == "demo" else LIVE_MODEL, window, level)
    for one in heads:
        if level is None and one.level == "off":
            err.print(
                f"note: the head {one.name} was learned at the level of its clips, and hears the input as it comes: "
                "learn it again, and it is right at any level",
                markup=False,
            )
    level = level or common_level(heads) or "auto"
    if smooth is not None and react not in (None, "off"):
        raise OptionError(f"--smooth {smooth:g} is plain smoothing, and --react {react} is none: leave out either")
    react, smooth = react or ("normal" if smooth is None else "off"), 1.0 if smooth is None else smooth
    show, of_show = open_shows(rules or config, midi, mqtt, mqtt_login, discovery=mqtt_discovery)
    check_names(show, model, heads)
    options = TaggingOptions(
        model=model,
        hop=hop,
        window=window,
        top=top,
        smooth=smooth,
        react=react,
        embedding_smooth=embedding_smooth,
        threshold=parse_threshold(threshold),
        head_threshold=head_threshold,
        engine=engine,
        heads=tuple(heads),
        gate=parse_gate(gate),
        level=level,
        calibration=_calibration(calibration, model, window, smooth, level, threshold),
        music=music or ("gate" if level == "auto" and window == 3 else "off"),
        tags=selection_of(show),
    )
    saved = _saved(save_head or [], head or [], heads)
    chosen = parse_channels(channels)
    control = None if osc_in is None else ControlPort(*parse_listen(osc_in))
    others = [*outputs(osc or [], rate, web, web_allow or [], control, announce), *of_show, *recording(record, rate)]
    screen, view = on_stdout(format, embeddings, rate, others)
    sinks: list[Sink] = [*others, screen]  # closed in this order: lights go off before a pipe is waited for
    if view is None:  # else that shows what goes wrong
        sinks.append(Background(Notices(_say), count_drops=False))
    with preparing(model, KERNELS.get(find_spec(model).family, 0)):
        from streamtag.opening import open_session  # the first of what is compiled is compiled here

        session = open_session(
            options,
            input,
            sinks,
            channels=chosen,
            loop=loop,
            callback=callback,
            control=control,
            play=play,
            save_heads=saved,
        )
        try:
            session.tagger.warm_up()
        except BaseException:
            session.stop()
            raise
    with stoppable(view):
        status = run_session(session, screen, duration)
    raise typer.Exit(status)


def _say(line: str) -> None:
    err.print(line, markup=False)


def run_session(session: Session, screen: Wrapper, duration: float | None) -> int:
    """Run a session until it ends, for at most `duration` seconds, or until a signal; print its summary.

    Returns
    -------
    int
        The exit status.

    Raises
    ------
    StreamtagError
        The session's first error.
    """
    from streamtag.results import State

    try:
        try:
            with c_libraries_silent():
                session.start()
                defer_signals()
                _wait(session, duration)
        finally:
            defer_signals()
            session.stop()
    except (KeyboardInterrupt, Terminated):
        pass  # `ended_by` says so
    except BrokenPipeError:  # whoever read stdout has left: nothing more to say there
        forget_stdout()
    finally:
        session.stop()  # again: the one signal that may raise may have done so just before
        note_stuck(screen.stuck)
        if session.stats.state is not State.STARTING:  # else nothing was heard, and the error says why
            _summary(session)
    try:
        session.wait()
    except BrokenPipeError:
        forget_stdout()
    return ended_by() or 0


def _wait(session: Session, seconds: float | None) -> None:
    """Wait for the end: of the session, of the time, or by a signal, which is only noted by now."""
    until = math.inf if seconds is None else time.monotonic() + seconds
    while ended_by() is None and (left := until - time.monotonic()) > 0:
        if session.wait(min(left, LOOK_SECONDS)):
            return


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
    name: str | None, model: str, window: float, smooth: float, level: LevelOption, threshold: str
) -> Calibration | None:
    """Each tag's own scale, as it was asked for; and a word where it is not of what is heard now."""
    wanted = name or ("auto" if level == "auto" or threshold.strip().endswith("%") else "off")
    if wanted == "off":
        return None
    from streamtag.dsp.params import frames_in
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
    if found is not None and asked and (note := differs(found, frames_in(window), smooth, level)):
        err.print(f"note: {note}", markup=False)
    return found


def _saved(targets: list[Path], paths: list[str], heads: list[PlainHead]) -> dict[str, Path]:
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


def _summary(session: Session) -> None:
    stats = session.stats
    jumps = stats.clock_jumps
    if session.source.note:
        err.print(f"note: {session.source.name}: {session.source.note}", markup=False)
    parts = [
        f"{stats.seconds:.1f} s heard: {stats.hops} hops, {stats.hops_skipped} skipped",
        *([f"{stats.hops_gated} rested"] if stats.hops_gated else []),
        *([f"{stats.hops_lost} in gaps"] if stats.hops_lost else []),
        f"{stats.samples_lost} lost samples, {stats.overflows} overflows",
        *([f"{jumps} jump{'s' * (jumps > 1)} of the device's clock"] if jumps else []),
        *([f"{stats.gaps} gap{'s' * (stats.gaps > 1)} of {stats.gap_seconds:.1f} s in all"] if stats.gaps else []),
        f"latency p50 {stats.latency_p50:.1f} ms, p99 {stats.latency_p99:.1f} ms",
        f"added p99 {stats.added_p99:.1f} ms",
        *([f"{stats.frame_drops} frames missed by callers"] if stats.frame_drops else []),
        *(f"{count} messages not taken by {name}" for name, count in stats.sink_drops.items() if count),
        *([f"commands ignored: {stats.control_ignored}"] if stats.control_ignored else []),
    ]
    err.print(
        f"{', '.join(parts)} ({session.tagger.engine})",
        markup=False,
        soft_wrap=not err.is_terminal,  # a terminal gets its lines broken between words
    )
    if told := _corrections(session):
        err.print(told, markup=False, soft_wrap=not err.is_terminal)


def _corrections(session: Session) -> str:
    """What became of corrections; nothing where there were none."""
    count, waiting, saved = session.stats.corrections, session.corrections_waiting, session.save_heads
    if not count + waiting:
        return ""
    told = f"{count} correction{'s' * (count != 1)}"
    if not saved and count:
        told += ", gone with this session: --save-head FILE.head keeps them"
    elif count:
        told += f", saved to {', '.join(map(str, saved.values()))}"
    return f"{told}, {waiting} given up" if waiting else told
