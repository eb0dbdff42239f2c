"""A published model with its weights, ready to predict patches. Importing this imports Keras and its backend."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from streamtag._system.stderr import stderr_held_unless_failing
from streamtag.dsp.params import N_MELS
from streamtag.errors import MissingExtraError, WeightsDamagedError
from streamtag.inference.networks.catalogue import WeightsState, load_weights, weights_state
from streamtag.inference.networks.specs import ModelSpec, check_window
from streamtag.inference.networks.weights import Weights

if TYPE_CHECKING:
    import keras

Array = NDArray[np.float32]


class Network:
    """A model that predicts whole patches, through Keras on whichever backend is configured.

    Parameters
    ----------
    weights : Weights
        What `load_weights` returned.
    window_frames : int
        Frames of a patch; vgg takes 187 only.

    Raises
    ------
    OptionError
        A patch length that the model cannot take.
    WeightsDamagedError
        Weights that do not fit the architecture.
    """

    def __init__(self, weights: Weights, window_frames: int) -> None:
        check_window(weights.spec, window_frames)
        keras = import_keras()
        self.spec = weights.spec
        self.window_frames = window_frames
        self.backend: str = keras.backend.backend()
        built = build(weights.spec, window_frames)
        set_weights(built, weights)
        named = {name: output for name, output in built.output.items() if name != "logits"}
        self._features = keras.Model(built.input, named)
        self._readout = self._of([named["taggram"], named[self.spec.embedding]])
        self._features.jit_compile = self._readout.jit_compile

    @classmethod
    def load(cls, name: str, window_frames: int) -> Network:
        """Read a model's installed weights and build it (errors: those of `load_weights` and of the class)."""
        return cls(load_weights(name), window_frames)

    def __call__(self, patches: Array) -> tuple[Array, Array]:
        """Predict patches.

        Parameters
        ----------
        patches : ndarray of float32, shape (n, window_frames, 96)
            Log-mel.

        Returns
        -------
        taggram : ndarray of float32, shape (n, tags)
            Scores, 0..1.
        embedding : ndarray of float32, shape (n, units)
            `penultimate` of musicnn, `pool5` flattened of vgg.
        """
        taggram, embedding = self._readout.predict_on_batch(patches)
        return np.asarray(taggram), np.asarray(embedding).reshape(len(patches), -1)

    def with_pools(self, patches: Array) -> tuple[Array, Array, Array, Array]:
        """Predict patches, and give `max_pool` and `mean_pool` too: float32 (n, channels). musicnn models only."""
        taggram, embedding, max_pool, mean_pool = self._pooled.predict_on_batch(patches)
        return np.asarray(taggram), np.asarray(embedding), np.asarray(max_pool), np.asarray(mean_pool)

    @cached_property
    def _pooled(self) -> keras.Model:
        named = self._features.output
        outputs = [named[name] for name in ("taggram", self.spec.embedding, "max_pool", "mean_pool")]
        return self._of(outputs)

    def _of(self, outputs: list[Any]) -> keras.Model:
        model = import_keras().Model(self._features.input, outputs)
        # As JAX is meant to be used. For TensorFlow Keras would choose it, too, and these convolutions would take twice
        # as long on a CPU.
        model.jit_compile = self.backend == "jax"
        return model

    def features(self, patches: Array) -> dict[str, Array]:
        """All named features of the patches, `taggram` among them, each with the patches as its first axis."""
        return {name: np.asarray(value) for name, value in self._features.predict_on_batch(patches).items()}

    def warm_up(self) -> None:
        """Predict one silent patch, so that the first real one is not late."""
        self(np.zeros((1, self.window_frames, N_MELS), np.float32))


def shared_network(name: str, window_frames: int) -> Network:
    """A network that is built once and used for many files and streams (errors: those of `Network.load`)."""
    return _shared_network(name, window_frames, weights_state(name))


@lru_cache(maxsize=4)
def _shared_network(name: str, window_frames: int, state: WeightsState) -> Network:
    return Network.load(name, window_frames)


def build(spec: ModelSpec, frames: int | None) -> keras.Model:
    """The architecture of a model, weights unset."""
    import_keras()
    from streamtag.inference.networks import baselines, musicnn, vgg

    if spec.family in ("dieleman", "timbre"):
        return getattr(baselines, spec.family)(spec, frames)
    return (vgg if spec.family == "vgg" else musicnn).build(spec, frames)


def layer_shapes(spec: ModelSpec) -> dict[str, tuple[int, ...]]:
    """Shape of every weight of an architecture, by ``layer/variable``."""
    return {key: tuple(variable.shape) for key, variable in variables(build(spec, spec.frames))}


def set_weights(model: keras.Model, weights: Weights) -> None:
    """Copy weights into a network, all of them, none left over."""
    given = dict(weights.tensors)
    for key, variable in variables(model):
        if key not in given or given[key].shape != tuple(variable.shape):
            got = f"has shape {given[key].shape}" if key in given else "is missing"
            raise WeightsDamagedError(
                f"{weights.path}: does not fit {weights.spec.name}: {key} {got}, and {tuple(variable.shape)} is needed"
            )
        variable.assign(given.pop(key))
    if given:
        raise WeightsDamagedError(f"{weights.path}: does not fit {weights.spec.name}: {', '.join(given)} left over")


def variables(model: keras.Model) -> Iterator[tuple[str, Any]]:
    """Weights of a network by ``layer/variable``, moving averages included."""
    for layer in model.layers:
        for variable in layer.weights:
            if "seed" not in variable.name:  # dropout's random state is no weight
                yield f"{layer.name}/{variable.name}", variable


def import_keras() -> Any:
    """Import Keras, and TensorFlow under it unless another backend is configured, without its start-up chatter.

    Raises
    ------
    MissingExtraError
        If they are not installed.
    """
    if sys.modules.get("keras") is None:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        try:
            with stderr_held_unless_failing():
                import keras
        except ImportError as error:
            raise MissingExtraError(f"the engine tensorflow ({error})", "tensorflow") from error
    import keras

    _compute_in_full_float32(keras.backend.backend())
    return keras


def import_tensorflow() -> Any:
    """Import TensorFlow itself, quietly.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with stderr_held_unless_failing():
            import tensorflow
    except ImportError as error:
        raise MissingExtraError(f"TensorFlow ({error})", "tensorflow") from error
    return tensorflow


@lru_cache
def _compute_in_full_float32(backend: str) -> None:
    """Switch TensorFloat-32 off: on GPUs, all three use it, with 10 bits of the mantissa, which moves tags by 1e-3."""
    if backend == "tensorflow":
        import_tensorflow().config.experimental.enable_tensor_float_32_execution(False)
    elif backend == "jax":
        import jax

        config: Any = jax.config
        config.update("jax_default_matmul_precision", "highest")
    elif backend == "torch":
        import torch

        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.benchmark = (
            True  # of what computes in float32, it would guess what takes twenty times as long
        )
