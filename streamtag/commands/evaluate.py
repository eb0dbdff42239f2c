"""streamtag evaluate: ROC-AUC and PR-AUC of predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streamtag.commands.completion import complete_model
from streamtag.commands.console import out
from streamtag.inference.networks.catalogue import find_spec

app = typer.Typer()


@app.command(
    epilog="Examples: [bold]streamtag evaluate taggrams.npz truth.csv[/bold] (from `streamtag file --taggram`) · "
    "[bold]streamtag evaluate predictions.tsv test_gt_mtt.tsv --index index_mtt.tsv --model MTT_musicnn "
    "--per-tag[/bold]"
)
def evaluate(
    predictions: Annotated[
        Path,
        typer.Argument(
            help=".npz of `streamtag file --taggram`, .csv (path, then a column of scores a tag), or lines of id "
            "TAB list of scores.",
            metavar="PREDICTIONS",
        ),
    ],
    groundtruth: Annotated[
        Path,
        typer.Argument(
            help="Lines of id TAB list of 0 and 1 (musicnn-training's), or .csv: path, then a column of 0 and 1 a "
            "tag, or path and label.",
            metavar="GROUNDTRUTH",
        ),
    ],
    index: Annotated[
        Path | None,
        typer.Option(help="Lines of id TAB path (musicnn-training's), where ids are no paths.", metavar="FILE"),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Whose tags the columns are, where neither file names them (musicnn-training's order).",
            metavar="NAME",
            autocompletion=complete_model,
        ),
    ] = None,
    per_tag: Annotated[bool, typer.Option("--per-tag", help="Also print each tag's areas.")] = False,
) -> None:
    """ROC-AUC and PR-AUC of predictions, beside the published figures."""
    from streamtag.learn.evaluate import compare, print_scores

    print_scores(
        compare(predictions, groundtruth, index, find_spec(model).labels if model else None), out, per_tag=per_tag
    )
