"""streamtag calibrate: each tag's own scale, from your own music."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streamtag._compile.cache import is_cached
from streamtag._compile.progress import KERNELS
from streamtag.commands.completion import complete_model
from streamtag.commands.console import EXIT_FAILED, err, out, preparing
from streamtag.commands.extraction import Jobs
from streamtag.commands.options import Window, all_named
from streamtag.commands.signals import install_signal_handlers
from streamtag.dsp.params import LevelOption
from streamtag.errors import OptionError
from streamtag.inference.networks.catalogue import find_spec
from streamtag.inference.networks.specs import SPECS, window_frames
from streamtag.tagging.options import GATE_DBFS, LIVE_MODEL, TaggingOptions

app = typer.Typer()


@app.command(
    epilog="Examples: [bold]streamtag calibrate ~/Music --out mine.cal[/bold] · "
    "[bold]streamtag live --calibration mine.cal --threshold 95%[/bold]"
)
def calibrate(
    music: Annotated[
        list[str], typer.Argument(help="Files, folders, or quoted patterns.", metavar="MUSIC...", callback=all_named)
    ],
    to: Annotated[Path, typer.Option("--out", help="Where to write.", metavar="FILE.cal")],
    model: Annotated[
        str,
        typer.Option(
            help=f"One of {', '.join(SPECS)}, or one of your own: a file, or its imported name.",
            metavar="NAME",
            autocompletion=complete_model,
        ),
    ] = LIVE_MODEL,
    window: Window = None,
    smooth: Annotated[
        float, typer.Option(help="Time constant of the scores; 0 for none.", metavar="SECONDS", min=0)
    ] = 1.0,
    level: Annotated[LevelOption, typer.Option(help="As `streamtag live` will be run.")] = "auto",
    jobs: Jobs = 0,
) -> None:
    """Make each tag's own scale from music of yours, for `streamtag live --calibration FILE.cal`.

    20 s of every minute are heard, as live sessions hear them. Only figures are kept: 32 quantiles a tag. Take music as
    broad as what is to be played: on a scale made of metal alone, metal is nothing unusual.
    """
    spec = find_spec(model)
    if not spec.labels:
        raise OptionError(f"{model} has no tags, and so no scales of tags")
    window_frames(spec, window)  # refuses one that it cannot take
    options = TaggingOptions(model=model, window=window, smooth=smooth, level=level, gate=GATE_DBFS)
    from streamtag.decoding.find import find_audio
    from streamtag.files.outputs import check_outputs

    found = find_audio(music)
    check_outputs([("--out", to)], found)
    install_signal_handlers()
    if not is_cached():
        with preparing(model, KERNELS.get(spec.family, 0)):
            from streamtag.tagging.tagger import Tagger

            Tagger(options=options).warm_up()
    from streamtag.files.calibrate import ENOUGH
    from streamtag.files.calibrate import calibrate as make
    from streamtag.tagging.calibration_file import write_calibration

    calibration, failed = make(found, options, err, jobs=jobs)
    for error in failed:
        err.print(f"streamtag: {error}", style="red", markup=False)
    heard = int(calibration.facts["files"])
    if heard < ENOUGH:
        err.print(
            f"note: {heard} file{'s' * (heard != 1)} say{'s' * (heard == 1)} little about music at large: what is "
            f"reached one twentieth of the time wants some {ENOUGH} at least, better hundreds",
            markup=False,
        )
    write_calibration(to, calibration)
    minutes = 60 * float(calibration.facts["hours"])
    out.print(f"written: {to} ({model}, {heard} file{'s' * (heard != 1)}, {minutes:.1f} minutes heard)", markup=False)
    raise typer.Exit(EXIT_FAILED if failed else 0)
