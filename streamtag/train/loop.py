"""Epoch after epoch: train, validate, keep the best."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from math import isfinite, nan
from typing import TYPE_CHECKING, Any

import numpy as np

from streamtag.errors import TrainingError
from streamtag.train.network import Trainee
from streamtag.train.schedule import Schedule
from streamtag.train.start import value_of
from streamtag.train.state import Arrays, Epoch
from streamtag.train.validation import Validation

if TYPE_CHECKING:
    from streamtag.train.patches import TrainingBatches


OnStep = Callable[[int, float], None]
"""Called after each step with its number in the epoch, from 1, and the batch's cost."""


class Training:
    """A run.

    Parameters
    ----------
    trainee : Trainee
        The network, compiled.
    batches : TrainingBatches
        What it learns from.
    validate : callable
        Gives the validation of the network as it is.
    schedule : Schedule
        The learning rate and the best cost.
    devices : int
        That share each batch. Of a last batch that they cannot share evenly, the patches left over are left out.
    """

    def __init__(
        self,
        trainee: Trainee,
        batches: TrainingBatches,
        validate: Callable[[], Validation],
        schedule: Schedule,
        devices: int = 1,
    ) -> None:
        self.trainee, self.schedule, self._devices = trainee, schedule, devices
        self.epochs: tuple[Epoch, ...] = ()
        self._batches, self._validate = batches, validate

    def run(self, epochs: int, stop_after: int = 0, on_step: OnStep | None = None) -> Iterator[Epoch]:
        """Train.

        Parameters
        ----------
        epochs : int
            The run ends after the epoch of this number.
        stop_after : int
            Epochs without improvement after which it ends before; 0: never, as published.
        on_step : callable or None
            See `OnStep`.

        Yields
        ------
        Epoch
            Each one that is done; where it is the best, the network is to be kept before going on.

        Raises
        ------
        TrainingError
            A cost that is no number: the network is lost (the published code would keep it as its best).
        DataError
            A damaged spectrogram.
        """
        while len(self.epochs) < epochs and not (stop_after and self.schedule.since_best >= stop_after):
            number, rate, began = len(self.epochs) + 1, self.schedule.learning_rate, time.monotonic()
            # the first epoch only validates, "to see random weights"
            train_cost = self._train(number, rate, on_step) if number > 1 else nan
            validation = self._validate()
            if not isfinite(validation.cost):
                raise TrainingError(_lost(number, "validation cost", validation.cost))
            best = self.schedule.take(validation.cost)
            epoch = Epoch(
                number,
                train_cost,
                validation.cost,
                validation.roc_auc,
                validation.pr_auc,
                time.monotonic() - began,
                rate,
                best,
            )
            self.epochs += (epoch,)
            yield epoch

    def _train(self, number: int, rate: float, on_step: OnStep | None) -> float:
        self.trainee.optimizer.learning_rate = rate
        costs = []
        batches = self._batches.epoch(number)
        with closing(batches):
            for step, (x, y) in enumerate(batches, start=1):
                shared = len(x) - len(x) % self._devices
                if not shared:
                    continue
                self.trainee.reset_metrics()
                cost = float(self.trainee.train_on_batch(x[:shared], y[:shared]))
                if not isfinite(cost):
                    raise TrainingError(_lost(number, f"cost of batch {step}", cost))
                costs.append(cost)
                if on_step is not None:
                    on_step(step, cost)
        return float(np.mean(costs))

    @property
    def variables(self) -> list[Any]:
        """All that changes: the network's variables, its random state, the optimiser's."""
        return [*self.trainee.variables, *self.trainee.optimizer.variables]

    def values(self) -> Arrays:
        """What they are."""
        return [value_of(variable) for variable in self.variables]

    def restore(self, values: Arrays, epochs: tuple[Epoch, ...], schedule: Schedule) -> None:
        """Go back to where a run was."""
        for variable, value in zip(self.variables, values, strict=True):
            variable.assign(value)
        self.epochs, self.schedule = epochs, schedule


def _lost(epoch: int, what: str, cost: float) -> str:
    remedy = "try a smaller --learning-rate, or --precision float32"
    return f"epoch {epoch}: the {what} is {cost}: the network is lost; {remedy}"
