"""streamtag features: all features of many files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streamtag.commands.console import err, out
from streamtag.commands.extraction import (
    Hop,
    Jobs,
    Model,
    NoCache,
    Window,
    compile_first,
    extraction_of,
    feature_cache,
)
from streamtag.commands.options import all_named
from streamtag.commands.signals import install_signal_handlers
from streamtag.dsp.params import LevelOption
from streamtag.errors import StreamtagError

app = typer.Typer()


@app.command(
    epilog="Examples: [bold]streamtag features clips/ --out features.npz[/bold] · "
    "[bold]streamtag features 'set/*.flac' --model MTT_musicnn --hop 3 --out features.parquet[/bold]"
)
def features(
    paths: Annotated[
        list[str], typer.Argument(help="Files, folders, or quoted patterns.", metavar="PATH...", callback=all_named)
    ],
    to: Annotated[
        Path,
        typer.Option("--out", help="Where to write: .npz, or .parquet (streamtag\\[parquet]).", metavar="FILE"),
    ],
    model: Model = "MSD_musicnn",
    window: Window = None,
    hop: Hop = 1.0,
    level: Annotated[
        LevelOption,
        typer.Option(help="auto: bring files to the level that the models know, as `learn` does. off: as they are."),
    ] = "off",
    jobs: Jobs = 0,
    no_cache: NoCache = False,
) -> None:
    """All features of many files, for those who train elsewhere.

    Files that cannot be read are named and left out; what is off about others (cut, silent, clipped, a copy) is told.
    """
    from streamtag.decoding.find import find_audio
    from streamtag.files.outputs import check_outputs
    from streamtag.learn.export import check_format, write_features
    from streamtag.learn.features import FileFeatures, extract, notes_on

    check_format(to)
    extraction = extraction_of(model, window, hop, level)
    found = find_audio(paths)
    check_outputs([("--out", to)], found)
    install_signal_handlers()
    compile_first(extraction)
    results = extract(found, extraction, feature_cache(no_cache), jobs=jobs, console=err)
    heard = [result for result in results if isinstance(result, FileFeatures)]
    failed = [result for result in results if isinstance(result, StreamtagError)]
    for error in failed:
        err.print(f"streamtag: {error}", style="red", markup=False)
    for note in notes_on(heard):
        err.print(f"note: {note}", markup=False)
    if not heard:
        raise StreamtagError(f"{to} is not written: none of {len(found)} files could be read")
    write_features(to, heard, extraction)
    patches = sum(len(file.features["taggram"]) for file in heard)
    out.print(f"written: {to} ({len(heard)} files, {patches} patches)", markup=False)
    raise typer.Exit(1 if failed else 0)
