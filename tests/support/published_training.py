"""The oracle of training in our names: which of our variables is the published one of which number.

Run as a program, it computes our figures of some architectures in float64, which Keras must be told before it is used:
``python -m tests.support.published_training OUT.npz ARCHITECTURE...``.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from streamtag.inference.networks.architectures import find_architecture
from streamtag.inference.networks.specs import ModelSpec
from tests.support.oracle import figures, recipe

TAGS = tuple(f"tag {n}" for n in range(50))
CONVOLUTION, NORM = ("kernel", "bias"), ("gamma", "beta", "moving_mean", "moving_variance")
NO_GRADIENT = "attention_conv/bias"
"""The softmax over time ignores it: what is found as its gradient is rounding noise, on which Adam takes steps."""
STEPS = 5
STEPPED = ("dieleman", "vgg32")
"""Those that take all steps of Adam, as training does; the others one, with the gradients that are there anyway.

The quickest two. What more steps add is the same for all: Adam's averages, and those of the norms.
"""


def spec_of(name: str) -> ModelSpec:
    """An architecture as it is published."""
    return find_architecture(name).spec(TAGS)


def keys(spec: ModelSpec) -> list[str]:
    """Our variables in the order in which the published code makes its own."""
    layers: list[tuple[str, tuple[str, ...]]] = [("input_norm", NORM)]

    def add(name: str, *, normed: bool = True) -> None:
        layers.append((f"{name}_conv", CONVOLUTION))
        if normed:
            layers.append((f"{name}_norm", NORM))

    if spec.family == "vgg":
        for number in range(1, 6):
            add(f"cnn{number}")
    elif spec.family == "dieleman":
        add("cnn1", normed=False)
    elif spec.family == "timbre":
        for share in (0.8, 0.6, 0.2):
            for taps in (7, 5, 3, 1):
                add(f"timbre_{taps}x{int(share * spec.bands)}")
    else:
        for bands in spec.first_layer.timbral:
            add(f"timbral_{bands}")
        for frames in spec.first_layer.temporal:
            add(f"temporal_{frames}")
        for number in (1, 2, 3):
            add(f"midend_{number}")
    last: dict[str, list[tuple[str, tuple[str, ...]]]] = {
        "attention": [("attention_conv", CONVOLUTION)],
        "autopool": [("autopool", ("alpha",))],
        "lstm": [(f"lstm_{number}", ("kernel", "recurrent_kernel", "bias")) for number in (1, 2)],
        "dieleman": [("cnn2_conv", CONVOLUTION)],
        "timbre": [("cnn2_conv", CONVOLUTION)],
    }
    layers += last.get(spec.family, [])
    if spec.family in ("dieleman", "timbre"):
        layers.append(("penultimate_dense", CONVOLUTION))
    elif spec.family != "vgg":
        layers += [("pool_norm", NORM), ("penultimate_dense", CONVOLUTION), ("penultimate_norm", NORM)]
    layers.append(("tags", CONVOLUTION))
    return [f"{layer}/{variable}" for layer, variables in layers for variable in variables]


def interleaves(spec: ModelSpec, key: str) -> bool:
    """Whether a variable's first axis is the pools, of which the published training code has all maxima first."""
    return spec.pool_size > 0 and (key.startswith("pool_norm/") or key == "penultimate_dense/kernel")


def to_ours(spec: ModelSpec, key: str, value: np.ndarray) -> np.ndarray:
    """A published variable as ours."""
    if not interleaves(spec, key):
        return value
    return np.stack(np.split(value, 2), axis=1).reshape(value.shape)


def to_published(spec: ModelSpec, key: str, value: np.ndarray) -> np.ndarray:
    """One of our variables as the published."""
    if not interleaves(spec, key):
        return value
    return np.concatenate((value[::2], value[1::2]))


def set_recipe(spec: ModelSpec, variables: dict[str, Any]) -> None:
    """Set the oracle's weights."""
    number = find_number(spec)
    published = figures(f"model_{number:02d}")
    for place, key in enumerate(keys(spec)):
        shape = tuple(int(size) for size in str(published["shapes"][place]).split())
        value = recipe().weight(number, place, str(published["names"][place]), shape)
        variables[key].assign(to_ours(spec, key, value).reshape(variables[key].shape))


def find_number(spec: ModelSpec) -> int:
    """Number of an architecture in musicnn-training."""
    name = {32: "vgg32", 128: "vgg128"}[spec.filters] if spec.family == "vgg" else spec.family
    return find_architecture(name).number


def our_figures(name: str) -> dict[str, np.ndarray]:
    """What our network of an architecture gives for the oracle's batches, by the oracle's names."""
    import keras
    from keras import layers

    from streamtag.inference.networks.network import build, variables
    from streamtag.train.network import Trainee
    from streamtag.train.optimizers import make_optimizer

    spec = spec_of(name)
    number, oracle = find_number(spec), recipe()
    made: list[Any] = []

    class Masked(layers.Layer):  # type: ignore[misc] # in place of dropout: nothing, or the oracle's masks
        masks = False

        def __init__(self, rate: float, name: str) -> None:
            super().__init__(name=name)
            self.rate, self.place = rate, len(made)
            made.append(self)

        def call(self, x: Any, training: bool = False) -> Any:
            if not (training and Masked.masks):
                return x
            kept = oracle.mask(number, self.place, tuple(x.shape[1:]), self.rate)
            if spec.pool_size and self.place == 0:
                kept = np.stack(np.split(kept, 2, axis=1), axis=-1).reshape(kept.shape)
            return x * kept / (1 - self.rate)

    dropout, layers.Dropout = layers.Dropout, Masked
    try:
        network = build(spec, spec.frames)
    finally:
        layers.Dropout = dropout
    ours, trainee = dict(variables(network)), Trainee(network)
    floats = keras.config.floatx()
    x, y = oracle.inputs(0).astype(floats), oracle.labels(0)
    found = {"parameters": np.array([_count(network.trainable_variables), _count(ours.values())])}

    def start() -> None:
        set_recipe(spec, ours)

    start()
    found["logits_infer"] = np.asarray(trainee(x, training=False))
    if made:
        Masked.masks = True
        found["logits_mask"] = np.asarray(trainee(x, training=True))
        Masked.masks = False
        start()
    found["cost_train"], found["logits_train"], gradients = _gradients(trainee, x, y)
    names = {id(variable): key for key, variable in ours.items()}
    places = {key: place for place, key in enumerate(keys(spec))}
    for variable, gradient in zip(trainee.trainable_variables, gradients, strict=True):
        key = names[id(variable)]
        found[f"gradient/{places[key]}"] = oracle.sample(to_published(spec, key, np.asarray(gradient)))
    adam, losses = make_optimizer("adam", 1e-3), []

    def keep(step: int) -> None:
        for key, place in places.items():
            value = to_published(spec, key, np.asarray(ours[key].value))
            found[f"adam_weights_{step}/{place}"] = oracle.sample(value)

    if name not in STEPPED:  # norms have moved their averages already
        adam.apply(gradients, trainee.trainable_variables)
        keep(1)
        return found | {"adam_losses": found["cost_train"].reshape(1)}
    start()
    trainee.compile(optimizer=adam, jit_compile=False)
    for step in range(STEPS):
        trainee.reset_metrics()
        losses.append(float(trainee.train_on_batch(oracle.inputs(step).astype(floats), oracle.labels(step))))
        if step + 1 in (1, STEPS):
            keep(step + 1)
    return found | {"adam_losses": np.array(losses)}


def _gradients(trainee: Any, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[Any]]:
    """The cost, the logits, and the gradients of all that is trained."""
    import tensorflow as tf

    @tf.function  # as training does: an LSTM's steps one by one are slow
    def found(x: Any, y: Any) -> tuple[Any, Any, Any]:
        with tf.GradientTape() as tape:
            logits = trainee(x, training=True)
            cost = trainee.compute_loss(None, y, logits)
        return cost, logits, tape.gradient(cost, [variable.value for variable in trainee.trainable_variables])

    cost, logits, gradients = found(tf.constant(x), tf.constant(y))
    return np.asarray(cost), np.asarray(logits), gradients


def _count(variables: Any) -> int:
    return sum(int(np.prod(variable.shape)) for variable in variables)


if __name__ == "__main__":
    import keras

    keras.config.set_floatx("float64")
    _, out, *names = sys.argv
    arrays: Any = {f"{name}/{key}": value for name in names for key, value in our_figures(name).items()}
    np.savez(out, **arrays)
