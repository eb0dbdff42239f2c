"""A run of `streamtag train run`, as it is told on a terminal: a line an epoch, and how far the present one is."""

from __future__ import annotations

from collections.abc import Callable
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from streamtag._system.terminal import can_draw
from streamtag.commands.console import err, out, preparing
from streamtag.commands.signals import Terminated

if TYPE_CHECKING:
    from streamtag.train.options import TrainOptions
    from streamtag.train.state import Epoch
    from streamtag.train.store import Store
    from streamtag.train.truth import Truth

HEADING = "epoch  train cost  validation  ROC-AUC  PR-AUC  learning rate  seconds"


def follow_training(
    store: Store,
    train: Truth,
    validation: Truth,
    to: Path,
    options: TrainOptions,
    *,
    resume: bool,
    tensorboard: Path | None,
) -> None:
    """Run, and tell of it.

    Parameters
    ----------
    store : Store
        The spectrograms.
    train, validation : Truth
        Both sets.
    to : Path
        The model's file.
    options : TrainOptions
        The recipe.
    resume : bool
        Whether to go on with an interrupted run.
    tensorboard : Path or None
        Folder for TensorBoard's events.

    Raises
    ------
    StreamtagError
        What cannot be trained, or not like this.
    """
    from streamtag.train.run import Run, Told

    def note(text: str) -> None:
        err.print(f"note: {text}", markup=False)

    for truth in (train, validation):
        for line in truth.notes:
            note(line)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    shown = err.is_terminal and can_draw(err.file)
    with Progress(*columns, console=err, transient=True, disable=not shown) as bar:
        task = bar.add_task("epoch", total=None, visible=False)

        def step(number: int, steps: int, cost: float) -> None:
            bar.update(task, total=steps, completed=number, description=f"training, cost {cost:.4f}", visible=True)

        told = Told(note, step, lambda epoch: tell(epoch))
        run = Run(store, train, validation, to, options, told)
        with preparing("the network"):
            training = run.start(resume=resume)
            from streamtag.train.backend import describe_backend

            where = describe_backend()
        write = _events(tensorboard, run.trainee) if tensorboard is not None else None
        err.print(
            f"{run.spec.family}, {run.network.count_params():,} parameters, {len(train.labels)} tags; "
            f"{len(run.train.ids)} tracks to learn from, {len(run.validation.ids)} to validate; {where}",
            markup=False,
        )
        out.print(HEADING, markup=False)

        def tell(epoch: Epoch) -> None:
            bar.update(task, visible=False)
            out.print(_line(epoch), markup=False, highlight=False)
            if write is not None:
                write(epoch)

        for epoch in training.epochs:
            out.print(_line(epoch), markup=False, highlight=False)
        try:
            best = run.go(training)
        except (KeyboardInterrupt, Terminated):
            _tell_interrupted(training.epochs, to)
            raise
    out.print(
        f"best: epoch {best.number}, validation cost {best.val_cost:.4f}; written to {to}. Play it: streamtag live "
        f"--model {to}",
        markup=False,
        highlight=False,
    )


def _tell_interrupted(epochs: tuple[Epoch, ...], to: Path) -> None:
    kept = [epoch for epoch in epochs if epoch.best]
    if not kept:
        err.print("stopped before the first epoch was through: nothing is written", markup=False)
        return
    err.print(
        f"stopped in epoch {len(epochs) + 1}; the best so far (epoch {kept[-1].number}, validation cost "
        f"{kept[-1].val_cost:.4f}) is in {to}. To go on: the same command with --resume",
        markup=False,
        highlight=False,
    )


def _line(epoch: Epoch) -> str:
    costs = [f"{value:10.4f}" for value in (epoch.train_cost, epoch.val_cost)]
    areas = [f"{value:7.4f}" for value in (epoch.roc_auc, epoch.pr_auc)]
    cells = ["-".rjust(len(cell)) if isnan(float(cell)) else cell for cell in (*costs, *areas)]
    rate, seconds = f"{epoch.learning_rate:13g}", f"{epoch.seconds:7.1f}"
    text = "  ".join((f"{epoch.number:5d}", *cells, rate, seconds))
    return text + ("  best" if epoch.best else "")


def _events(folder: Path, trainee: object) -> Callable[[Epoch], None]:
    """What writes an epoch for TensorBoard, through Keras.

    Raises
    ------
    MissingExtraError
        TensorBoard, or TensorFlow, which writes its files, is not installed.
    """
    from streamtag.train.events import events_writer

    return events_writer(folder, trainee)
