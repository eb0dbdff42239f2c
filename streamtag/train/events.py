"""Costs for TensorBoard, by Keras' own callback."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any

import keras

from streamtag.errors import MissingExtraError
from streamtag.train.state import Epoch


def events_writer(folder: Path, trainee: Any) -> Callable[[Epoch], None]:
    """What writes an epoch's costs, areas and learning rate.

    Parameters
    ----------
    folder : Path
        Where the events go.
    trainee : keras.Model
        The network.

    Returns
    -------
    callable
        To be called with each epoch.

    Raises
    ------
    MissingExtraError
        TensorBoard, or TensorFlow, which writes its files, is not installed.
    """
    try:
        import tensorboard  # noqa: F401 - Keras' callback says less clearly that it is missing

        callback = keras.callbacks.TensorBoard(str(folder), write_graph=False)
        callback.set_model(trainee)
    except ImportError as error:
        raise MissingExtraError(f"--tensorboard ({error})", "tensorboard") from error

    def write(epoch: Epoch) -> None:
        values = {
            "loss": epoch.train_cost,
            "val_loss": epoch.val_cost,
            "val_roc_auc": epoch.roc_auc,
            "val_pr_auc": epoch.pr_auc,
            "learning_rate": epoch.learning_rate,
        }
        callback.on_epoch_end(epoch.number, {name: value for name, value in values.items() if isfinite(value)})

    return write
