"""streamtag file: tag files, folders and patterns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from streamtag._compile.progress import KERNELS
from streamtag.commands.console import EXIT_FAILED, err, forget_stdout, note_stuck, preparing, print_failure, print_tags
from streamtag.commands.options import (
    FILE_MODEL,
    EngineOption,
    Heads,
    Model,
    Window,
    all_named,
    finite,
    heads_and_model,
)
from streamtag.dsp.params import LevelOption
from streamtag.errors import StreamtagError
from streamtag.inference.networks.catalogue import find_spec
from streamtag.tagging.options import HEAD_THRESHOLD, WINDOW_SECONDS, TaggingOptions

if TYPE_CHECKING:
    from streamtag.files.batch import Batch
    from streamtag.inference.networks.specs import ModelSpec

app = typer.Typer()


@app.command(
    epilog="Examples: [bold]streamtag file song.mp3 --save out.tags[/bold] · "
    "[bold]streamtag file ~/Music --format json > tags.jsonl[/bold] · "
    "[bold]streamtag file song.mp3 --hop 0.5 --plot song.svg[/bold] · "
    "[bold]streamtag file set.flac --timeline --timeline-to set.svg[/bold] · "
    "[bold]streamtag file 'set/*.flac' --hop 0.5 --taggram set.npz --embeddings set-emb.npz[/bold]"
)
def file(
    paths: Annotated[
        list[str],
        typer.Argument(help="Files, folders, or quoted patterns; - for stdin.", metavar="PATH...", callback=all_named),
    ],
    model: Model = None,
    top: Annotated[int, typer.Option(help="How many tags to name.", min=1)] = 10,
    window: Window = None,
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
            callback=finite,
        ),
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Append a line for each file, in musicnn's format, as UTF-8.", metavar="FILE")
    ] = None,
    taggram: Annotated[
        Path | None, typer.Option(help="Write the scores of every patch, as .npz.", metavar="FILE.npz")
    ] = None,
    embeddings: Annotated[
        Path | None, typer.Option(help="Write the embedding of every patch, as .npz.", metavar="FILE.npz")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="Draw the scores of every patch over time, as .svg or .png; of several files each, as FILE-song.svg.",
            metavar="FILE.svg|png",
        ),
    ] = None,
    head: Heads = None,
    level: Annotated[
        LevelOption | None,
        typer.Option(
            help="off: hear each file as it is, which gives the published numbers. auto: bring it to the level that "
            "the models know. Default: as --head was learned, for the model's tags beside it, too; else off."
        ),
    ] = None,
    timeline: Annotated[
        bool,
        typer.Option(
            "--timeline",
            help="Also say when which tag holds, as live would: with its reaction, thresholds and level, about one "
            "second after the music.",
        ),
    ] = False,
    timeline_to: Annotated[
        Path | None,
        typer.Option(help="Write that timeline: .csv, .json, or .svg, a picture.", metavar="FILE"),
    ] = None,
    smooth: Annotated[
        float | None,
        typer.Option(help="Of the timeline: as `live --smooth`. Default: as `live`.", metavar="SECONDS", min=0),
    ] = None,
    threshold: Annotated[float, typer.Option(help="Of the timeline: as `live --threshold`.")] = 0.2,
    head_threshold: Annotated[
        float, typer.Option(help="Of the timeline: as `live --head-threshold`.")
    ] = HEAD_THRESHOLD,
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
    """Tag files. One that cannot be read never stops the others; the exit status then is 1.

    Folders are searched with all that is in them, linked folders and films too. What is off about a file (cut, silent,
    not all its header promises) is a note below its tags.
    """
    from streamtag.files.batch import Batch, Geometry
    from streamtag.files.stdin import STDIN, with_stdin

    heads, model = heads_and_model(head, model, FILE_MODEL, window, level)
    if level is None and any(one.level == "auto" for one in heads):
        err.print("note: files are heard at --level auto, as the head was learned; so are the model's own tags")
    spec = find_spec(model)
    live: TaggingOptions | None = None
    if timeline or timeline_to is not None:
        live = TaggingOptions(
            model=model,
            window=window,
            smooth=1.0 if smooth is None else smooth,
            react="normal" if smooth is None else "off",
            music="gate" if level != "off" and window in (None, WINDOW_SECONDS) else "off",
            threshold=threshold,
            head_threshold=head_threshold,
            engine=engine,
            heads=tuple(heads),
            level=level,
        )
    writes = save or taggram or embeddings or timeline_to or plot
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
        level=level,
        timeline=live,
        timeline_to=timeline_to,
        plot=plot,
    )
    with with_stdin(paths) as files:
        names = {file: "stdin" for file, path in zip(files, paths, strict=True) if path == STDIN}
        with preparing(spec.name, KERNELS.get(spec.family, 0)):
            batch.prepare(files, names)
        status = _run(batch, spec, top, format, timeline=timeline, writes=bool(writes))
    raise typer.Exit(status)


def _run(
    batch: Batch,
    spec: ModelSpec,
    top: int,
    format: Literal["text", "json"],
    *,
    timeline: bool,
    writes: bool,
) -> int:
    """Tag all, and print what comes. Returns the exit status."""
    failed = 0
    saved = True
    results = batch.run(err)
    try:
        for name, result in results:
            failed += isinstance(result, StreamtagError)
            try:
                if isinstance(result, StreamtagError):
                    print_failure(name, result, format)
                else:
                    print_tags(name, result, spec.name, top, format, timeline=timeline)
            except BrokenPipeError:  # whoever read stdout has left: nothing more to say there
                forget_stdout()
                break
            except OSError as error:  # a full disk: what else is written may be on another
                failed += 1
                err.print(f"streamtag: cannot write to stdout: {error.strerror}", style="red", markup=False)
                forget_stdout()
                if not writes:
                    break
    finally:
        results.close()
        note_stuck(batch.abandoned)
        saved = batch.finish()
    return EXIT_FAILED if failed or not saved else 0
