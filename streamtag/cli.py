"""The command line: parse, build, run, print, exit status. No signal processing."""

from __future__ import annotations

import math
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from streamtag import __version__, cli_learn, cli_models
from streamtag.console import err, forget_stdout, leave, note_stuck, out, preparing, print_failure, print_tags
from streamtag.errors import OptionError, StreamtagError, UnknownModelError
from streamtag.interrupts import Terminated, heed, heed_no_longer
from streamtag.networks.specs import SPECS, find_spec, frames_in
from streamtag.quiet import c_libraries_silent, keep_stderr_for_python

if TYPE_CHECKING:
    from streamtag.engine import Session
    from streamtag.learn.plain import PlainHead

LIVE_MODEL, FILE_MODEL = "MSD_musicnn", "MTT_musicnn"
EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130

app = typer.Typer(
    name="streamtag",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Hears music as it plays: tags and embeddings of any sound, live over OSC, or of files.",
    epilog="Try it: streamtag live --input demo",
)


def _finite(seconds: float | None) -> float | None:
    if seconds is not None and not math.isfinite(seconds):
        raise typer.BadParameter(f"{seconds:g}: a number of seconds is wanted")
    return seconds


Model = Annotated[
    str | None,
    typer.Option(
        help=f"One of {', '.join(SPECS)}. Default: the one that --head was learned on; "
        f"else {LIVE_MODEL} (live), {FILE_MODEL} (file).",
        metavar="NAME",
    ),
]
Heads = Annotated[
    list[str] | None,
    typer.Option(
        help="Your own tags: a file that `streamtag learn` made; may be given several times.", metavar="FILE.head"
    ),
]
Window = Annotated[
    float,
    typer.Option(help="Seconds of sound behind each result (vgg models: 3 only).", metavar="SECONDS", callback=_finite),
]


EngineOption = Annotated[
    Literal["auto", "sliding", "tensorflow"],
    typer.Option(
        help="What evaluates the network. sliding: on the CPU, computing once what windows share. "
        "tensorflow: each window whole, on a GPU where there is one. auto: sliding."
    ),
]


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False) -> None:
    if version:
        print(f"streamtag {__version__}")
        raise typer.Exit


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
            help="What to hear: a device (index, name or part of it; see `streamtag devices`), a file, or `demo`.",
            metavar="DEVICE|FILE|demo",
        ),
    ] = "default",
    channels: Annotated[
        str | None,
        typer.Option(help="Channels to hear, from 1: for example 1,2. Their mean is tagged.", metavar="LIST"),
    ] = None,
    hop: Annotated[
        float | None,
        typer.Option(
            help="Seconds between judgements, to the nearest 0.016. Default: 0.016; 0.064 with TensorFlow.",
            metavar="SECONDS",
            callback=_finite,
        ),
    ] = None,
    window: Window = 3.0,
    top: Annotated[int, typer.Option(help="How many tags to name.", min=1)] = 5,
    smooth: Annotated[
        float, typer.Option(help="Time constant of the scores; 0 for none.", metavar="SECONDS", min=0)
    ] = 1.0,
    threshold: Annotated[float, typer.Option(help="Score at which a tag switches on, 0 to 1.")] = 0.2,
    engine: EngineOption = "auto",
    rate: Annotated[
        float,
        typer.Option(help="Results a second that are sent and printed, at the most.", metavar="HZ", callback=_finite),
    ] = 30.0,
    gate: Annotated[
        str | None,
        typer.Option(
            help="Level below which, after 1 s, the network rests and scores fall to 0; or `off`. Default: -60.",
            metavar="DBFS|off",
        ),
    ] = None,
    osc: Annotated[
        list[str] | None, typer.Option(help="Send OSC there; may be given several times.", metavar="HOST:PORT")
    ] = None,
    osc_in: Annotated[
        str | None,
        typer.Option(
            help="Hear commands over OSC on this port (PORT: from this machine only; HOST:PORT, for example "
            "0.0.0.0:9001: from its networks): pause, resume, reset, hop, top, threshold. See docs/osc.md.",
            metavar="[HOST:]PORT",
        ),
    ] = None,
    callback: Annotated[
        Literal["auto", "native", "python"],
        typer.Option(
            help="What takes samples from a device. native: compiled, so that a busy Python loses none. "
            "python: the ordinary way. auto: native where it can be made."
        ),
    ] = "auto",
    format: Annotated[
        Literal["text", "json"] | None,
        typer.Option(help="Lines on stdout. On a terminal the default is a live view; else text."),
    ] = None,
    embeddings: Annotated[bool, typer.Option("--embeddings", help="Put the embedding into the JSON lines.")] = False,
    head: Heads = None,
    loop: Annotated[bool, typer.Option("--loop", help="Play a file again and again.")] = False,
    duration: Annotated[
        float | None, typer.Option(help="Stop after so long.", metavar="SECONDS", min=0, callback=_finite)
    ] = None,
) -> None:
    """Listen, and say what is heard, many times a second."""
    from streamtag.control import ControlPort, parse_listen
    from streamtag.engine import Session
    from streamtag.frames import State
    from streamtag.sinks import Sink
    from streamtag.sinks.background import Background
    from streamtag.sinks.lines import JsonLines, TextLines
    from streamtag.sinks.osc import OscSink, parse_destination
    from streamtag.sinks.throttled import Throttled

    if embeddings and format != "json":
        raise OptionError("--embeddings are written in JSON lines: add --format json (over OSC they are always sent)")
    heads, model = _heads_and_model(head, model, LIVE_MODEL, window)
    chosen = _channels(channels)
    level = _gate(gate)
    control = None if osc_in is None else ControlPort(*parse_listen(osc_in))
    others: list[Sink] = [Throttled(OscSink(*parse_destination(text)), rate) for text in osc or []]
    if format == "json":
        screen: Sink = Throttled(Background(JsonLines(sys.stdout, embeddings=embeddings)), rate)
    elif format == "text" or not out.is_terminal:
        screen = Throttled(Background(TextLines(sys.stdout)), rate)
    else:
        from rich.console import Console

        from streamtag.sinks.terminal import TerminalView

        console = Console(highlight=False)  # breaks lines that are too long, which `out` does not
        screen = Background(TerminalView(console, others), waiting=1, count_drops=False)

    heed()
    with preparing(model):
        from streamtag.sources import open_source
        from streamtag.tagger import Tagger

        source = open_source(input, channels=chosen, loop=loop, callback=callback)
        try:
            tagger = Tagger(
                model,
                hop=hop,
                window=window,
                top=top,
                smooth=smooth,
                threshold=threshold,
                engine=engine,
                heads=heads,
                gate=level,
            )
            tagger.warm_up()
        except BaseException:
            source.stop()
            raise
    session = Session(source, tagger, [screen, *others], control=control)
    status = 0
    try:
        with c_libraries_silent():
            try:
                session.start()
                if screen.name != "terminal":  # the view shows it itself
                    for name, trouble in session.stats.sink_trouble.items():
                        err.print(f"note: {name} {trouble}; trying again", markup=False)
                session.wait(None if duration is None else min(duration, threading.TIMEOUT_MAX))
            finally:
                heed_no_longer()
                session.stop()
    except KeyboardInterrupt:
        status = EXIT_INTERRUPTED
    except Terminated as end:
        status = end.status
    except BrokenPipeError:  # whoever read stdout has left: nothing more to say there
        forget_stdout()
    finally:
        note_stuck(getattr(screen, "stuck", False))
        if session.stats.state is not State.STARTING:  # else nothing was heard, and the error says why
            _summary(session)
    try:
        session.wait()
    except BrokenPipeError:
        forget_stdout()
    raise typer.Exit(status)


@app.command(
    epilog="Examples: [bold]streamtag file song.mp3 --save out.tags[/bold] · "
    "[bold]streamtag file ~/Music --format json > tags.jsonl[/bold] · "
    "[bold]streamtag file 'set/*.flac' --hop 0.5 --taggram set.npz --embeddings set-emb.npz[/bold]"
)
def file(
    paths: Annotated[list[str], typer.Argument(help="Files, folders, or quoted patterns.", metavar="PATH...")],
    model: Model = None,
    top: Annotated[int, typer.Option(help="How many tags to name.", min=1)] = 10,
    window: Window = 3.0,
    hop: Annotated[
        float | None,
        typer.Option(
            help="Seconds between patches, to the nearest 0.016. Default: patches side by side.", metavar="SECONDS"
        ),
    ] = None,
    overlap: Annotated[
        float | None,
        typer.Option(
            help="musicnn's input_overlap: as --hop, counted in frames as musicnn counts.",
            metavar="SECONDS",
            callback=_finite,
        ),
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Append a line for each file, in musicnn's format.", metavar="FILE")
    ] = None,
    taggram: Annotated[
        Path | None, typer.Option(help="Write the scores of every patch, as .npz.", metavar="FILE.npz")
    ] = None,
    embeddings: Annotated[
        Path | None, typer.Option(help="Write the embedding of every patch, as .npz.", metavar="FILE.npz")
    ] = None,
    head: Heads = None,
    format: Annotated[
        Literal["text", "json"], typer.Option(help="What to print: text, or a JSON object a line.")
    ] = "text",
    short: Annotated[
        Literal["repeat", "error"],
        typer.Option(help="A file shorter than the window: repeat it to length, or refuse it."),
    ] = "repeat",
    engine: EngineOption = "auto",
    jobs: Annotated[int, typer.Option(help="Files to work on at a time; 0: one for each processor.", min=0)] = 0,
) -> None:
    """Tag files. One that cannot be read never stops the others; the exit status then is 1."""
    from streamtag.batch import Batch, Geometry

    heads, model = _heads_and_model(head, model, FILE_MODEL, window)
    spec = find_spec(model)
    batch = Batch(
        spec,
        Geometry.chosen(spec, window, hop, overlap),
        short=short,
        engine=engine,
        jobs=jobs,
        top=top,
        save=save,
        taggram=taggram,
        embeddings=embeddings,
        heads=heads,
    )
    heed()
    with preparing(model):
        batch.prepare(paths)
    failed = 0
    try:
        for name, result in batch.run(err):
            if isinstance(result, StreamtagError):
                failed += 1
                print_failure(name, result, format)
            else:
                print_tags(name, result, model, top, format)
    except BrokenPipeError:  # whoever read stdout has left: nothing more to say there
        forget_stdout()
    finally:
        batch.finish()
    raise typer.Exit(EXIT_FAILED if failed else 0)


# --- what the commands share --------------------------------------------------------------------------------------


def _channels(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) >= 1 for part in parts):
        raise OptionError(f"--channels {text!r}: numbers from 1 are wanted, with commas between: 1,2")
    return tuple(int(part) for part in parts)


def _gate(text: str | None) -> float | None:
    if text is None:
        from streamtag.tagger import GATE_DBFS

        return GATE_DBFS
    if text.strip().lower() == "off":
        return None
    try:
        level = float(text)
    except ValueError:
        level = math.nan
    if not math.isfinite(level):
        raise OptionError(f"--gate {text!r}: a level in dBFS is wanted, for example -60; or off")
    return level


def _heads_and_model(
    paths: list[str] | None, model: str | None, default: str, window: float
) -> tuple[list[PlainHead], str]:
    """The heads that were asked for, and the model: theirs, unless another is named (which then is refused)."""
    if not paths:
        return [], model or default
    from streamtag.learn.play import check_heads, load_heads

    heads = load_heads(paths)
    model = model or heads[0].model
    check_heads(heads, find_spec(model))
    for head in heads:
        if head.window_frames != frames_in(window):
            err.print(
                f"note: the head {head.name} was learned from windows of {head.window_frames * 0.016:.2f} s, "
                f"and hears windows of {window:g} s now",
                markup=False,
            )
    return heads, model


def _summary(session: Session) -> None:
    stats = session.stats
    jumps = stats.clock_jumps
    if session.source.note:
        err.print(f"note: {session.source.name}: {session.source.note}", markup=False)
    parts = [
        f"{stats.seconds:.1f} s heard: {stats.hops} hops, {stats.hops_skipped} skipped",
        *([f"{stats.hops_rested} rested"] if stats.hops_rested else []),
        *([f"{stats.hops_lost} in gaps"] if stats.hops_lost else []),
        f"{stats.samples_lost} lost samples, {stats.overflows} overflows",
        *([f"{jumps} jump{'s' * (jumps > 1)} of the device's clock"] if jumps else []),
        *([f"{stats.gaps} gap{'s' * (stats.gaps > 1)} of {stats.gap_seconds:.1f} s in all"] if stats.gaps else []),
        f"latency p50 {stats.latency_p50:.1f} ms, p99 {stats.latency_p99:.1f} ms",
        f"added p99 {stats.added_p99:.1f} ms",
        *(f"{count} messages not taken by {name}" for name, count in stats.sink_drops.items() if count),
        *([f"commands ignored: {stats.control_ignored}"] if stats.control_ignored else []),
    ]
    err.print(
        f"{', '.join(parts)} ({session.tagger.engine})",
        markup=False,
        soft_wrap=not err.is_terminal,  # a terminal gets its lines broken between words
    )


def _fail(error: BaseException, status: int) -> int:
    what = "out of memory" if isinstance(error, MemoryError) else str(error)
    err.print(f"streamtag: {what}", style="red", markup=False)
    return status


app.command()(cli_models.devices)
app.add_typer(cli_models.app, name="models")
cli_learn.register(app, out, err)


def main() -> None:
    """Run the command line; every failure is a message and an exit status, never a traceback."""
    status: int | None = 0
    if sys.stdout is None:  # started with stdout closed
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - for as long as the process lives
    keep_stderr_for_python()
    try:
        app()
    except (OptionError, UnknownModelError) as error:
        status = _fail(error, EXIT_USAGE)
    except (StreamtagError, OSError, MemoryError) as error:
        status = _fail(error, EXIT_FAILED)
    except KeyboardInterrupt:
        status = EXIT_INTERRUPTED
    except Terminated as end:
        status = end.status
    except Exception as error:  # a mistake of ours
        if os.environ.get("STREAMTAG_DEBUG"):
            raise
        what = f"{type(error).__name__}: {error}"
        status = _fail(
            StreamtagError(f"this should not happen: {what}. STREAMTAG_DEBUG=1 shows where; please report it"),
            EXIT_FAILED,
        )
    leave(status or 0)
