"""What a run needs to go on after it was interrupted: one file beside the model, written whole after each epoch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from streamtag.errors import TrainingError
from streamtag.inference.networks.weights import save_whole
from streamtag.train.schedule import Schedule

SUFFIX = ".state"
FORMAT = "streamtag-training-state-1"
Arrays = list[NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Epoch:
    """One line of the log.

    Attributes
    ----------
    number : int
        From 1; the first does not train, as published.
    train_cost : float
        Mean of its batches' costs before each step; NaN for the first epoch.
    val_cost, roc_auc, pr_auc : float
        See `Validation`.
    seconds : float
        It took.
    learning_rate : float
        With which it trained.
    best : bool
        Whether it was the best so far, and its network was kept.
    """

    number: int
    train_cost: float
    val_cost: float
    roc_auc: float
    pr_auc: float
    seconds: float
    learning_rate: float
    best: bool


@dataclass(frozen=True, slots=True)
class State:
    """A run after an epoch.

    Attributes
    ----------
    recipe : dict
        What must be the same for the run to be the same: options and checksums of the tables.
    schedule : Schedule
        The rate for the next epoch, and the best cost.
    epochs : tuple of Epoch
        All so far.
    variables : list of ndarray
        The network's, the random state of its dropout, and the optimiser's, in this order.
    """

    recipe: dict[str, Any]
    schedule: Schedule
    epochs: tuple[Epoch, ...]
    variables: Arrays


def state_path(model: Path) -> Path:
    """Where the state of a run is kept that writes this model."""
    return model.with_suffix(SUFFIX)


def write_state(path: Path, state: State) -> None:
    """Write it, whole or not at all.

    Raises
    ------
    TrainingError
        It cannot be written.
    """
    about = json.dumps(
        {"recipe": state.recipe, "schedule": asdict(state.schedule), "epochs": [asdict(each) for each in state.epochs]}
    )
    arrays = {f"{place:05d}": np.atleast_1d(array) for place, array in enumerate(state.variables)}
    try:
        save_whole(arrays, path, {"format": FORMAT, "state": about})
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from error


def check_state(path: Path) -> None:
    """Refuse to go on where nothing was left.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    TrainingError
        There is none.
    """
    if not path.is_file():
        raise TrainingError(f"{path}: no such file: there is nothing to resume; leave --resume out to begin")


def read_state(path: Path, recipe: dict[str, Any], shapes: Sequence[tuple[int, ...]]) -> State:
    """Read what a run that was interrupted left.

    Parameters
    ----------
    path : Path
        The file.
    recipe : dict
        The one to go on with.
    shapes : sequence of tuple of int
        Of the variables.

    Returns
    -------
    State
        The run after its last whole epoch.

    Raises
    ------
    TrainingError
        There is none, it cannot be read, or it is of another recipe.
    """
    check_state(path)
    try:
        with safe_open(path, framework="np") as file:
            metadata: dict[str, str] = file.metadata() or {}
            arrays = [file.get_tensor(key) for key in sorted(file.keys())]
        if metadata.get("format") != FORMAT:
            raise TrainingError(f"{path}: not the state of a run of `streamtag train run`")
        about = json.loads(metadata["state"])
        schedule, epochs = Schedule(**about["schedule"]), tuple(Epoch(**each) for each in about["epochs"])
        stored = dict(about["recipe"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise TrainingError(f"{path}: damaged ({error}); leave --resume out to begin anew") from error
    if differing := [name for name in recipe if stored.get(name) != recipe[name]]:
        told = ", ".join(f"{name} {stored.get(name)!r} (now {recipe[name]!r})" for name in differing)
        raise TrainingError(f"{path} is of another run: {told}; leave --resume out to begin anew")
    if [array.size for array in arrays] != [int(np.prod(shape)) for shape in shapes]:
        raise TrainingError(f"{path}: not of this network; leave --resume out to begin anew")
    values = [array.reshape(shape) for array, shape in zip(arrays, shapes, strict=True)]
    return State(recipe, schedule, epochs, values)


def log_lines(epochs: Sequence[Epoch]) -> str:
    """The log in the columns of musicnn-training's ``train_log.tsv``, spelled as there, and three more.

    The seconds have the published ``s`` behind them.
    """
    lines = ["Epoch\ttrain_cost\tval_cost\tepoch_time\tlearing_rate\tval_roc_auc\tval_pr_auc\tbest"]
    lines += [
        f"{each.number}\t{each.train_cost:g}\t{each.val_cost:g}\t{each.seconds:g}s\t{each.learning_rate:g}\t"
        f"{each.roc_auc:g}\t{each.pr_auc:g}\t{int(each.best)}"
        for each in epochs
    ]
    return "\n".join(lines) + "\n"
