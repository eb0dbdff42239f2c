"""streamtag train: networks of your own, in steps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from streamtag._compile.cache import is_cached
from streamtag.commands.completion import complete_architecture, complete_model
from streamtag.commands.console import EXIT_FAILED, err, out, preparing
from streamtag.commands.extraction import Jobs
from streamtag.commands.options import finite, named
from streamtag.commands.signals import install_signal_handlers
from streamtag.commands.training import follow_training
from streamtag.dsp.front_end import MUSICNN
from streamtag.errors import OptionError
from streamtag.inference.networks.architectures import ARCHITECTURES

app = typer.Typer(
    help="Train networks of your own: prepare spectrograms, split, run, evaluate.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

TRUTH = (
    "Lines of id TAB list of numbers (musicnn-training's); a table (.csv, .tsv) of ids or paths and labels; or a "
    "folder with a folder of files for each class."
)
KERNELS = 7
"""How many are ready once spectrograms are made, with an empty cache."""


@app.command(
    epilog="Examples: [bold]streamtag train prepare clips.csv --out data[/bold] · "
    "[bold]streamtag train prepare index_mtt.tsv --audio /music/mtt --out data --dtype float16[/bold]"
)
def prepare(
    index: Annotated[
        Path,
        typer.Argument(
            help="Lines of id TAB path (musicnn-training's index); a table (.csv, .tsv) with paths and, if you like, "
            "ids; or a folder with a folder of files for each class.",
            metavar="INDEX",
            parser=named,
        ),
    ],
    to: Annotated[
        Path,
        typer.Option(
            "--out", help="Folder of spectrograms: made, added to, or gone on with.", metavar="DATA", parser=named
        ),
    ],
    audio: Annotated[
        Path | None,
        typer.Option(help="Where a table's paths lead from. Default: the table's folder.", metavar="FOLDER"),
    ] = None,
    dtype: Annotated[
        Literal["float32", "float16"] | None,
        typer.Option(help="How they are stored: float32, unless DATA has others; float16 is as published, and half."),
    ] = None,
    jobs: Jobs = 0,
) -> None:
    """Make the spectrograms of all files of an index.

    What is there already, of files that have not changed, is kept: an interrupted run goes on. Files that cannot be
    read are named, listed in DATA/errors.tsv and left out.
    """
    from streamtag.train.index import read_index
    from streamtag.train.prepare import ERRORS
    from streamtag.train.prepare import prepare as prepare_tracks

    tracks = read_index(index, audio)
    for line in tracks.notes:
        err.print(f"note: {line}", markup=False)
    install_signal_handlers()
    if not is_cached():
        with preparing("the front end", KERNELS):
            from streamtag.train.prepare import compile_first

            compile_first()
    done = prepare_tracks(
        tracks,
        to,
        dtype=dtype,
        jobs=jobs,
        console=err,
        fail=lambda text: err.print(f"streamtag: {text}", style="red", markup=False),
        note=lambda text: err.print(f"note: {text}", markup=False),
    )
    failed = f", {done.failed} left out: see {to / ERRORS}" if done.failed else ""
    out.print(f"{to}: {done.made} made, {done.kept} kept{failed}", markup=False)
    raise typer.Exit(EXIT_FAILED if done.failed else 0)


@app.command(
    epilog="Example: [bold]streamtag train split clips.csv --out tables[/bold] (tables/train.csv, validation.csv, "
    "test.csv)"
)
def split(
    truth: Annotated[Path, typer.Argument(help=TRUTH, metavar="TABLE", parser=named)],
    to: Annotated[
        Path, typer.Option("--out", help="Folder for train.csv, validation.csv and test.csv.", metavar="FOLDER")
    ],
    labels: Annotated[
        str | None,
        typer.Option(
            help="Names of the tags, where there are lists of numbers: of MTT or MSD, or from a file, one a line.",
            metavar="MTT|MSD|FILE",
        ),
    ] = None,
    validation: Annotated[float, typer.Option(help="Share of the tracks to choose the best epoch by.", min=0)] = 0.1,
    test: Annotated[float, typer.Option(help="Share of the tracks that is only tested on.", min=0)] = 0.1,
    seed: Annotated[int, typer.Option(help="Of all that is random.", min=0)] = 0,
) -> None:
    """Split a ground truth in tracks to train, to validate and to test with.

    Each part has its share of each tag; tracks of one group (an artist, an album) stay together.
    """
    from streamtag.files.outputs import check_outputs
    from streamtag.train.labels import read_labels
    from streamtag.train.split import PARTS, write_part
    from streamtag.train.split import split as split_truth
    from streamtag.train.truth import read_truth

    whole = read_truth(truth, None if labels is None else read_labels(labels))
    for line in whole.notes:
        err.print(f"note: {line}", markup=False)
    paths = [to / f"{name}.csv" for name in PARTS]
    check_outputs([("--out", path) for path in paths], [truth])
    parts = split_truth(whole, (1 - validation - test, validation, test), seed)
    for path, part in zip(paths, parts, strict=True):
        if part.ids:
            write_part(path, part)
        out.print(f"{path}: {len(part.ids) or 'no'} tracks{'' if part.ids else ', not written'}", markup=False)


@app.command(
    epilog="Examples: [bold]streamtag train evaluate my.safetensors data --truth test.csv[/bold] · "
    "[bold]streamtag train evaluate one.safetensors two.safetensors data --truth test_gt_mtt.tsv[/bold]"
)
def evaluate(
    models_and_data: Annotated[
        list[str],
        typer.Argument(
            help="A model, or several as an ensemble (files or names), and behind them the folder of spectrograms.",
            metavar="MODEL... DATA",
        ),
    ],
    truth: Annotated[Path, typer.Option(help=TRUTH, metavar="TABLE", parser=named)],
    per_tag: Annotated[bool, typer.Option("--per-tag", help="Also print each tag's areas.")] = False,
    to: Annotated[
        Path | None, typer.Option("--out", help="Also write all figures: .json or .tsv.", metavar="FILE")
    ] = None,
    drop_short: Annotated[
        bool, typer.Option("--drop-short", help="Leave out tracks shorter than a patch, in place of repeating them.")
    ] = False,
) -> None:
    """How good models are on tracks they have not learned from: ROC-AUC and PR-AUC, the published ones beside them.

    All patches side by side of each track are predicted, and their mean is the track's, as musicnn-training does.
    """
    from streamtag.files.outputs import check_outputs
    from streamtag.train.evaluate import Model
    from streamtag.train.evaluate import evaluate as evaluate_models
    from streamtag.train.report import check_format, print_evaluation, write_evaluation
    from streamtag.train.store import Store
    from streamtag.train.truth import read_truth

    *names, data = models_and_data
    if not names:
        raise OptionError("a model and the folder of spectrograms are needed: streamtag train evaluate MODEL... DATA")
    if to is not None:
        check_format(to)
        check_outputs([("--out", to)], [truth, *(Path(name) for name in names)])
    store = Store.open(data)
    install_signal_handlers()
    with preparing("the models"):
        from streamtag.train.models import load_predictor

        models = [Model(name, *load_predictor(name)) for name in names]
    test = read_truth(truth, models[0].labels)
    for line in test.notes:
        err.print(f"note: {line}", markup=False)
    evaluation = evaluate_models(models, store, test, pad_short=not drop_short, console=err)
    print_evaluation(evaluation, out, per_tag=per_tag)
    if to is not None:
        write_evaluation(to, evaluation)
        out.print(f"written: {to}", markup=False)


@app.command(
    epilog="Examples: [bold]streamtag train run data --truth train.csv --validation validation.csv --out "
    "my.safetensors[/bold] · [bold]streamtag train run data --truth train.csv --validation validation.csv --out "
    "my.safetensors --from MSD_musicnn[/bold] (fine-tuning: with few tracks this is the one to use)"
)
def run(
    data: Annotated[
        Path, typer.Argument(help="Folder of spectrograms that `prepare` made.", metavar="DATA", parser=named)
    ],
    truth: Annotated[Path, typer.Option(help=f"What to learn from. {TRUTH}", metavar="TABLE", parser=named)],
    validation: Annotated[
        Path, typer.Option(help="What decides which epoch is the best.", metavar="TABLE", parser=named)
    ],
    to: Annotated[
        Path,
        typer.Option(
            "--out",
            help="The model. Beside it: a log (.log.tsv), and what is needed to go on (.state).",
            metavar="FILE.safetensors",
            parser=named,
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            help="Architecture, by name or musicnn-training's number: "
            f"{', '.join(f'{each.name} ({each.number})' for each in ARCHITECTURES.values())}. Default: musicnn.",
            metavar="NAME",
            autocompletion=complete_architecture,
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Start at the weights of this model (a name, or your own file), with a new output for your tags.",
            metavar="MODEL",
            autocompletion=complete_model,
        ),
    ] = None,
    freeze: Annotated[
        Literal["none", "front-end", "all-but-head"] | None,
        typer.Option(help="Layers that keep the weights of --from. Default: front-end with --from, else none."),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            help="Names of the tags, where there are lists of numbers: of MTT or MSD, or from a file, one a line.",
            metavar="MTT|MSD|FILE",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted run of the same options and tables.")
    ] = False,
    epochs: Annotated[
        int, typer.Option(help="At most so many; the first only validates the network as it starts.", min=1)
    ] = 600,
    stop_after: Annotated[
        int | None,
        typer.Option(
            help="End after so many epochs without improvement; 0: never. Default: 10 with --from, else never, "
            "as published.",
            min=0,
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Patches that make a step.", min=1)] = 32,
    learning_rate: Annotated[
        float | None, typer.Option(help="Of the first epochs. Default: 0.001; 0.00003 with --from.")
    ] = None,
    head_rate: Annotated[
        float, typer.Option(help="What the rate is multiplied by for the new output of --from.")
    ] = 1.0,
    patience: Annotated[
        int,
        typer.Option(help="Epochs without improvement, not in a row, before the rate is halved; 0: never.", min=0),
    ] = 75,
    optimizer: Annotated[Literal["adam", "sgd", "sgd-clip"], typer.Option(help="As published.")] = "adam",
    weight_decay: Annotated[float, typer.Option(help="Of all kernels, through the optimiser's moments.")] = 1e-5,
    seconds: Annotated[
        float, typer.Option("--window", help="Seconds of a patch: what the model will hear at a time.", callback=finite)
    ] = 3.0,
    patches: Annotated[
        int, typer.Option("--patches-per-track", help="Random patches of each track in an epoch.", min=1)
    ] = 1,
    balance: Annotated[bool, typer.Option("--balance", help="Let rare tags count more.")] = False,
    precision: Annotated[
        Literal["float32", "bfloat16", "float16"], typer.Option(help="Of the computation; weights are float32.")
    ] = "float32",
    tensorboard: Annotated[
        Path | None, typer.Option(help="Write the costs for TensorBoard, too.", metavar="FOLDER")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of all that is random.", min=0)] = 0,
) -> None:
    """Train a network: musicnn-training's recipe, or further from a published model.

    KERAS_BACKEND=tensorflow|jax|torch chooses what computes. After Ctrl-C the best network so far is in FILE, and
    --resume goes on.
    """
    from streamtag.files.outputs import check_outputs
    from streamtag.train.labels import read_labels
    from streamtag.train.options import TrainOptions
    from streamtag.train.store import Store
    from streamtag.train.truth import read_truth

    options = TrainOptions(
        architecture=model or "musicnn",
        base=base,
        freeze=freeze,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        head_rate=head_rate,
        optimizer=optimizer,
        weight_decay=weight_decay,
        patience=patience,
        stop_after=stop_after,
        frames=MUSICNN.frames_in(seconds),
        patches_per_track=patches,
        balance=balance,
        precision=precision,
        seed=seed,
    )
    if model is not None and base is not None:
        raise OptionError(f"--from {base} has an architecture already: leave --model {model} out")
    names = None if labels is None else read_labels(labels)
    check_outputs([("--out", to)], [truth, validation])
    store = Store.open(data)
    train, valid = read_truth(truth, names), read_truth(validation, names)
    install_signal_handlers()
    follow_training(store, train, valid, to, options, resume=resume, tensorboard=tensorboard)
