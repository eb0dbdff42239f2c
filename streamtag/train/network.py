"""A network in training: the published cost, and steps on batches, whichever backend Keras runs on."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

WEIGHT_DECAY = 1e-5
"""As published."""


class Trainee(keras.Model):
    """A network that learns, from patches to logits.

    The cost is the mean cross-entropy of all tags of all patches, plus half of `weight_decay` times the sum of the
    squares of all kernels. It is coupled with the optimiser: its gradient goes through Adam's moments (no AdamW).

    Parameters
    ----------
    network : keras.Model
        What `streamtag.inference.networks.network.build` gave.
    weight_decay : float
        As published 1e-5; 0: none.
    tag_weights : ndarray of float or None
        Shape (tags,): how much a tag's positives count, 1 being as published; None: all 1.
    """

    def __init__(
        self, network: keras.Model, weight_decay: float = WEIGHT_DECAY, tag_weights: NDArray[np.float64] | None = None
    ) -> None:
        super().__init__(inputs=network.input, outputs=network.output["logits"])
        self.weight_decay = weight_decay
        self.tag_weights = tag_weights

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The published cost of a batch."""
        y_pred = ops.cast(y_pred, self.variable_dtype)  # under mixed precision
        y = ops.cast(y, y_pred.dtype)
        # log(1 + exp(-z)) for a tag that is there, log(1 + exp(z)) for one that is not
        present, absent = ops.softplus(-y_pred), ops.softplus(y_pred)
        if self.tag_weights is not None:
            present = present * ops.cast(self.tag_weights, y_pred.dtype)
        return ops.mean(y * present + (1 - y) * absent) + self._decay()

    def decay(self) -> float:
        """What weight decay adds to the cost at present."""
        return float(ops.convert_to_numpy(self._decay())) if self.weight_decay else 0.0

    def _decay(self) -> Any:
        if not self.weight_decay:
            return 0.0
        return self.weight_decay / 2 * sum(ops.sum(ops.square(kernel)) for kernel in self._kernels())

    def _kernels(self) -> list[Any]:
        """What the published code decays: trained variables with `kernel` in their name, recurrent ones too."""
        return [variable for variable in self.trainable_variables if "kernel" in variable.name]
