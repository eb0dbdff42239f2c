"""streamtag models: what is installed, and how to import more."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streamtag.commands.completion import complete_model
from streamtag.commands.console import out, preparing
from streamtag.commands.cost import second_of_sound
from streamtag.errors import ModelError, OptionError, StreamtagError
from streamtag.inference.networks.catalogue import (
    ONNX,
    SUFFIX,
    find_spec,
    find_weights,
    import_onnx,
    import_own,
    load_weights,
    own_models,
    published_file,
    user_models_folder,
)
from streamtag.inference.networks.published import PUBLISHED
from streamtag.inference.networks.specs import OTHERS, ModelSpec

app = typer.Typer(
    help="List models: what each hears and gives, parameters, source, licence, sha256, scores as published.",
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
    cost: Annotated[
        bool, typer.Option("--cost", help="Measure what a second of sound costs on this machine; some seconds each.")
    ] = False,
) -> None:
    """List models: what each hears and gives, parameters, source, licence, sha256, scores as published."""
    if context.invoked_subcommand is not None:
        return
    if labels is not None:
        print("\n".join(find_spec(labels).labels))
        return
    for name, spec in PUBLISHED.items():
        if spec.family == "openl3" and find_weights(name) is None:
            continue  # twelve of them
        if spec.labels:
            out.print(
                f"[bold]{name}[/bold]  {len(spec.labels)} tags of the {spec.dataset}, {spec.parameters:,} parameters"
            )
            out.print(f"  as published: ROC-AUC {spec.roc_auc:.4f}, PR-AUC {spec.pr_auc:.4f}")
        else:
            out.print(f"[bold]{name}[/bold]  an embedding of {spec.embedding_size}, {spec.parameters:,} parameters")
        out.print(f"  hears:   {_heard(spec)}", markup=False)
        if find_weights(name) is not None:
            _print_origin(name)
        elif spec.family in OTHERS:
            _print_how(spec)
        else:
            out.print("  not installed: get musicnn's source and run: streamtag models import PATH/TO/musicnn/" + name)
        _print_cost(name, cost)
    if not any(spec.family == "openl3" and find_weights(name) is not None for name, spec in PUBLISHED.items()):
        out.print("[bold]OpenL3[/bold]  embeddings of 512 and 6144, for music and for other sound")
        _print_how(PUBLISHED["OpenL3_music_mel256_512"])
    for name in own_models():
        try:
            spec = find_spec(name)
        except StreamtagError as error:
            out.print(f"{name}", style="bold", markup=False)
            out.print(f"  cannot be used: {error}", style="red", markup=False)
            continue
        out.print(f"{name}", style="bold", end="", markup=False)
        if spec.family in OTHERS:
            _print_other(name, spec)
        else:
            _print_trained(name, spec)
        _print_cost(name, cost)


def _print_how(spec: ModelSpec) -> None:
    """How to get a network of somebody else."""
    out.print(f"  not installed: get {published_file(spec)} from {spec.origin}", markup=False)
    out.print(f"  and run: streamtag models import PATH/TO/{published_file(spec)}", markup=False)


def _print_trained(name: str, spec: ModelSpec) -> None:
    """A model that was trained here."""
    out.print(f"  {len(spec.labels)} tags, learned from {spec.dataset}, {spec.parameters:,} parameters", markup=False)
    played = "slides" if spec.slides else "window by window, through Keras"
    out.print(f"  {spec.family} ({played}), patches of {spec.frames} frames", markup=False)
    out.print(f"  on the tracks that chose it: ROC-AUC {spec.roc_auc:.4f}, PR-AUC {spec.pr_auc:.4f}")
    _print_origin(name)


def _print_other(name: str, spec: ModelSpec) -> None:
    """Somebody else's network, in ONNX."""
    gives = [f"{len(spec.labels)} tag{'s' * (len(spec.labels) > 1)}"] if spec.labels else []
    gives += [f"an embedding of {spec.embedding_size}"] if spec.embedding_size else []
    size = f", {spec.parameters:,} parameters" if spec.parameters else ""
    trained = f", learned from {spec.dataset}" if spec.dataset else ""
    out.print(f"  {', '.join(gives)}{trained}{size}, ONNX", markup=False)
    out.print(f"  hears:   {_heard(spec)}", markup=False)
    out.print(f"  source:  {spec.origin or 'not said'}", markup=False)
    out.print(f"  licence: {spec.licence or 'not said'}", markup=False)
    out.print(f"  file:    {find_weights(name)}", markup=False)


def _heard(spec: ModelSpec) -> str:
    """A front-end and a window in a few words."""
    front_end, frame = spec.front_end, spec.front_end.frame_seconds
    frames = spec.frames * frame
    if front_end.kind == "samples":
        values = "plain samples"
    elif front_end.kind == "mel":
        values = f"{front_end.bands} mel bands every {1e3 * frame:.3g} ms"
    else:
        values = f"{front_end.width} bins every {1e3 * frame:.3g} ms"
    window = f"{frames:.3g} s" if spec.fixed_length else "3 s or any other"
    step = f", every {spec.step * frame:.3g} s" if spec.step else ""
    return f"{front_end.rate} Hz, {values}, windows of {window}{step}"


def _print_cost(name: str, asked: bool) -> None:
    """What a second of sound costs here, where that was asked for."""
    if not asked:
        return
    if find_weights(name) is None:
        return
    try:
        cost = second_of_sound(name)
    except StreamtagError as error:
        out.print(f"  cost:    not measured: {error}", markup=False)
        return
    out.print(
        f"  cost:    {1e3 * cost.seconds:.3g} ms a second of sound, a result every {1e3 * cost.hop:.3g} ms",
        markup=False,
    )


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


@app.command(epilog="Example: [bold]streamtag models describe net.onnx > net.toml[/bold]")
def describe(
    path: Annotated[Path, typer.Argument(help="A network in ONNX.", metavar="FILE.onnx")],
) -> None:
    """Write the beginning of the description that a network in ONNX needs beside it (see docs/models.md)."""
    from streamtag.inference.networks.onnx_template import template

    print(template(path), end="")


@app.command("import", epilog="Example: [bold]streamtag models import musicnn-0.1.0-py3-none-any.whl[/bold]")
def import_(
    path: Annotated[
        Path,
        typer.Argument(
            help="A checkpoint's folder, a folder of them, or the musicnn wheel; VGGish's vggish_model.ckpt, OpenL3's "
            ".h5; or a model of your own, or a network in ONNX, which are then known by the name of their file."
        ),
    ],
    model: Annotated[
        str | None, typer.Option(help="Import only this model.", metavar="NAME", autocompletion=complete_model)
    ] = None,
    to: Annotated[
        Path | None, typer.Option(help="Where to write; default: your own data folder.", metavar="FOLDER")
    ] = None,
) -> None:
    """Convert published checkpoints (TensorFlow 1) to streamtag's format, or install a model."""
    target = to or user_models_folder()
    if target is None:
        raise OptionError("this user has no home folder to write models to: name one with --to FOLDER")
    if path.suffix == ONNX:
        out.print(f"{path.stem}: written to {import_onnx(path, target)}", markup=False)
        return
    if path.suffix == SUFFIX:
        out.print(f"{path.stem}: written to {import_own(path, target)}", markup=False)
        return
    if path.suffix == ".h5":
        from streamtag.inference.networks.openl3_file import import_openl3

        for file in import_openl3(path, target):
            out.print(f"{file.stem}: written to {file}", markup=False)
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
