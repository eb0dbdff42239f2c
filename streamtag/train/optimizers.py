"""The optimisers of musicnn-training, in Keras, with a learning rate of its own for each part of a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from streamtag.errors import OptionError

MOMENTS = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}
"""TensorFlow 1's defaults; Keras 3 has an epsilon of 1e-7."""
GREATEST_NORM = 5.0
"""Of all gradients together, for `sgd-clip`."""
OPTIMIZERS = ("adam", "sgd", "sgd-clip")


class Adam(keras.optimizers.Adam):
    """Adam (Kingma & Ba, 2015) as TensorFlow 1 computes it: ``v -= lr_t * m / (sqrt(v) + epsilon)``.

    Keras 3 has the same formula, but takes the powers of float32 roundings of its constants, in float64 as well.
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move a variable, and the two averages of its gradient."""
        dtype = variable.dtype
        beta_1, beta_2 = (ops.convert_to_tensor(beta, dtype) for beta in (self.beta_1, self.beta_2))
        gradient = ops.cast(gradient, dtype)
        step = ops.cast(self.iterations + 1, dtype)
        place = self._get_variable_index(variable)
        first, second = self._momentums[place], self._velocities[place]
        self.assign_add(first, (gradient - first) * (1 - beta_1))
        self.assign_add(second, (ops.square(gradient) - second) * (1 - beta_2))
        rate = ops.cast(learning_rate, dtype) * ops.sqrt(1 - beta_2**step) / (1 - beta_1**step)
        self.assign_sub(variable, rate * first / (ops.sqrt(second) + self.epsilon))


def make_optimizer(
    name: str, learning_rate: float, factor: Callable[[str], float] | None = None
) -> keras.optimizers.Optimizer:
    """One of the published optimisers.

    Parameters
    ----------
    name : {'adam', 'sgd', 'sgd-clip'}
        As musicnn-training's ``Adam``, ``SGD`` and ``SGD_clip``.
    learning_rate : float
        The first one; the schedule halves it.
    factor : callable or None
        What the learning rate is multiplied by, of a variable's path (``layer/variable``); None: 1.

    Returns
    -------
    keras.optimizers.Optimizer
        The optimiser.

    Raises
    ------
    OptionError
        No such optimiser.
    """
    if name == "adam":
        return _factored(Adam, factor)(learning_rate, **MOMENTS)
    if name == "sgd":
        return _factored(keras.optimizers.SGD, factor)(learning_rate)
    if name == "sgd-clip":
        return _factored(keras.optimizers.SGD, factor)(learning_rate, global_clipnorm=GREATEST_NORM)
    raise OptionError(f"the optimiser {name!r}: {', '.join(OPTIMIZERS)} are known")


def _factored(kind: Any, factor: Callable[[str], float] | None) -> Any:
    """An optimiser's class whose learning rate depends on the variable."""
    if factor is None:
        return kind
    factor_of = factor

    class Factored(kind):
        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            # TensorFlow's own variable comes here, which knows no path
            path = self._trainable_variables[self._get_variable_index(variable)].path
            super().update_step(gradient, variable, learning_rate * factor_of(path))

    return Factored
