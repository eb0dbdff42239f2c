"""streamtag models: what is installed, and how to import more."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streamtag.commands.completion import complete_model
from streamtag.commands.console import out, preparing
from streamtag.errors import ModelError, OptionError
from streamtag.inference.networks.catalogue import (
    SUFFIX,
    find_spec,
    find_weights,
    import_own,
    load_weights,
    own_models,
    user_models_folder,
)
from streamtag.inference.networks.specs import SPECS

app = typer.Typer(
    help="List models: labels, parameters, source, licence, sha256, scores as published.",
    invoke_without_command=True,
    rich_markup_mode="rich",
)


@app.callback()
def models(
    context: typer.Context,
    labels: Annotated[
        str | None,
        typer.Option(help="Print the labels of this model, one a line.", metavar="NAME", autocompletion=complete_model),
    ] = None,
) -> None:
    """List models: labels, parameters, source, licence, sha256, scores as published."""
    if context.invoked_subcommand is not None:
        return
    if labels is not None:
        print("\n".join(find_spec(labels).labels))
        return
    for name, spec in SPECS.items():
        out.print(f"[bold]{name}[/bold]  {len(spec.labels)} tags of the {spec.dataset}, {spec.parameters:,} parameters")
        out.print(f"  as published: ROC-AUC {spec.roc_auc:.4f}, PR-AUC {spec.pr_auc:.4f}")
        if find_weights(name) is None:
            out.print("  not installed: get musicnn's source and run: streamtag models import PATH/TO/musicnn/" + name)
        else:
            _print_origin(name)
    for name in own_models():
        try:
            spec = find_spec(name)
        except ModelError as error:
            out.print(f"{name}", style="bold", markup=False)
            out.print(f"  damaged: {error}", style="red", markup=False)
            continue
        out.print(f"{name}", style="bold", end="", markup=False)
        out.print(
            f"  {len(spec.labels)} tags, learned from {spec.dataset}, {spec.parameters:,} parameters", markup=False
        )
        played = "slides" if spec.slides else "window by window, through Keras"
        out.print(f"  {spec.family} ({played}), patches of {spec.frames} frames", markup=False)
        out.print(f"  on the tracks that chose it: ROC-AUC {spec.roc_auc:.4f}, PR-AUC {spec.pr_auc:.4f}")
        _print_origin(name)


def _print_origin(name: str) -> None:
    """Where a model comes from, and where it is."""
    try:
        weights = load_weights(name)
    except ModelError as error:
        out.print(f"  damaged: {error}", style="red", markup=False)
        return
    known = weights.metadata
    out.print(f"  source:  {known['source']}, sha256 {known['source_sha256']}", markup=False)
    out.print(f"  licence: {known['licence']}", markup=False)
    out.print(f"  weights: {weights.path}, sha256 of the tensors {known['tensors_sha256']}", markup=False)


@app.command("import", epilog="Example: [bold]streamtag models import musicnn-0.1.0-py3-none-any.whl[/bold]")
def import_(
    path: Annotated[
        Path,
        typer.Argument(
            help="A checkpoint's folder, a folder of them, or the musicnn wheel; VGGish's vggish_model.ckpt; or a "
            "model of your own, which is then known by the name of its file."
        ),
    ],
    model: Annotated[
        str | None, typer.Option(help="Import only this model.", metavar="NAME", autocompletion=complete_model)
    ] = None,
    to: Annotated[
        Path | None, typer.Option(help="Where to write; default: your own data folder.", metavar="FOLDER")
    ] = None,
) -> None:
    """Convert published checkpoints (TensorFlow 1) to streamtag's format, or install a model of your own."""
    target = to or user_models_folder()
    if target is None:
        raise OptionError("this user has no home folder to write models to: name one with --to FOLDER")
    if path.suffix == SUFFIX:
        out.print(f"{path.stem}: written to {import_own(path, target)}", markup=False)
        return
    if ".ckpt" in path.name:
        with preparing("TensorFlow"):
            from streamtag.inference.networks.vggish_checkpoint import import_vggish

            file = import_vggish(path, target)
        out.print(f"{file.stem}: written to {file}", markup=False)
        return
    only = None if model is None else find_spec(model).name
    with preparing("TensorFlow"):
        from streamtag.inference.networks.checkpoint import import_models

        written = import_models(path, target, only)
    for file in written:
        out.print(f"{file.stem}: written to {file}", markup=False)
