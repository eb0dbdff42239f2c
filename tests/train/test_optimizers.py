"""Steps of the published optimisers, worked out by hand in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from streamtag.errors import OptionError
from streamtag.inference.networks.network import import_keras

pytestmark = pytest.mark.tensorflow

RATE = 0.01
GRADIENTS = [[3.0, -4.0, 0.0], [30.0, 40.0, 1e-3], [-1.0, 2.0, 0.5]]


def stepped(name: str, **options: object) -> np.ndarray:
    """A variable of three numbers, at first 1, after these gradients."""
    keras = import_keras()
    from streamtag.train.optimizers import make_optimizer
    from streamtag.train.start import value_of

    variable = keras.Variable(np.ones(3, np.float32), name="kernel")
    optimizer = make_optimizer(name, RATE, **options)  # type: ignore[arg-type]
    optimizer.build([variable])
    for gradient in GRADIENTS:
        optimizer.apply([keras.ops.convert_to_tensor(np.array(gradient, np.float32))], [variable])
    return value_of(variable)


def test_adam_with_the_epsilon_of_tensorflow_1() -> None:
    value, first, second = np.ones(3), np.zeros(3), np.zeros(3)
    for step, gradient in enumerate(np.array(GRADIENTS), start=1):
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        rate = RATE * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        value = value - rate * first / (np.sqrt(second) + 1e-8)
    np.testing.assert_allclose(stepped("adam"), value, rtol=1e-5)


def test_sgd_is_plain_and_sgd_clip_keeps_the_norm_to_5() -> None:
    plain = 1 - RATE * np.sum(GRADIENTS, axis=0)
    np.testing.assert_allclose(stepped("sgd"), plain, rtol=1e-5)
    clipped = [np.array(each) * min(1, 5 / np.linalg.norm(each)) for each in GRADIENTS]
    np.testing.assert_allclose(stepped("sgd-clip"), 1 - RATE * np.sum(clipped, axis=0), rtol=1e-5)


def test_a_part_may_have_another_rate() -> None:
    asked = []

    def factor(path: str) -> float:
        asked.append(path)
        return 10.0

    np.testing.assert_allclose(stepped("sgd", factor=factor), 1 - 10 * RATE * np.sum(GRADIENTS, axis=0), rtol=1e-5)
    assert set(asked) == {"kernel"}


def test_another_name_is_refused() -> None:
    with pytest.raises(OptionError, match="'rmsprop': adam, sgd, sgd-clip are known"):
        stepped("rmsprop")
