"""The network that a run starts with: new, or another model's with a new output."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from streamtag.errors import OptionError, TrainingError
from streamtag.inference.networks.architectures import find_architecture
from streamtag.inference.networks.catalogue import load_weights
from streamtag.inference.networks.network import build, variables
from streamtag.inference.networks.specs import OTHERS, ModelSpec
from streamtag.train.options import Freeze, TrainOptions

if TYPE_CHECKING:
    import keras

    from streamtag.inference.networks.weights import Tensors

OUTPUT = "tags"
"""Name of the last layer."""
FRONT_ENDS = ("input_norm", "timbral_", "temporal_", "timbre_", "cnn1_")
"""How the names of a first layer's parts begin, in all architectures."""


def start_spec(options: TrainOptions, labels: tuple[str, ...], mels: int, name: str) -> ModelSpec:
    """What is to be trained, before it is built.

    Parameters
    ----------
    options : TrainOptions
        Resolved ones.
    labels : tuple of str
        The tags.
    mels : int
        Bands of the spectrograms.
    name : str
        How the model is called.

    Returns
    -------
    ModelSpec
        Of the architecture, or of the base with other tags.

    Raises
    ------
    OptionError
        Patches that do not fit.
    ModelError
        Something is wrong with the base.
    """
    if options.base is None:
        return find_architecture(options.architecture).spec(labels, name, options.frames, mels)
    base = load_weights(options.base).spec
    if base.family in OTHERS:
        raise OptionError(f"{options.base} is none of musicnn's networks: `streamtag learn` learns on it, and no more")
    if base.bands != mels:
        raise OptionError(f"{options.base} was trained on {base.bands} mel bands, and the spectrograms have {mels}")
    if base.fixed_length and base.frames != options.frames:
        raise OptionError(f"{options.base} takes patches of {base.frames} frames: leave --frames out")
    return replace(base, name=name, labels=labels, frames=options.frames, dataset="", trained=True)


def start_network(spec: ModelSpec, options: TrainOptions) -> keras.Model:
    """Build it; with a base, at the base's weights, some of them frozen.

    Parameters
    ----------
    spec : ModelSpec
        What `start_spec` gave.
    options : TrainOptions
        Resolved ones.

    Returns
    -------
    keras.Model
        The network, its outputs by name.

    Raises
    ------
    TrainingError
        A base whose weights do not fit its own description.
    """
    network = build(spec, spec.frames)
    if options.base is not None:
        given = load_weights(options.base).tensors
        for key, variable in variables(network):
            if key.startswith(f"{OUTPUT}/"):
                continue
            if key not in given or given[key].shape != tuple(variable.shape):
                raise TrainingError(f"{options.base}: {key} is missing, or not of the shape {tuple(variable.shape)}")
            variable.assign(given[key])
    freeze(network, options.freeze or "none")
    return network


def freeze(network: keras.Model, what: Freeze) -> None:
    """Let some layers keep their weights, and their batch norms the moving averages.

    Parameters
    ----------
    network : keras.Model
        Changed.
    what : {'none', 'front-end', 'all-but-head'}
        Which.
    """
    for layer in network.layers:
        front = layer.name.startswith(FRONT_ENDS)
        layer.trainable = what == "none" or (what == "front-end" and not front) or layer.name == OUTPUT


def tensors_of(network: keras.Model) -> Tensors:
    """The weights of a network, as they are saved: float32 by ``layer/variable``."""
    return {key: value_of(variable).astype(np.float32) for key, variable in variables(network)}


def value_of(variable: Any) -> NDArray[Any]:
    """What a variable of Keras' is, whatever backend holds it."""
    from keras import backend, ops

    # NumPy 2 warns of how Keras 3.15 makes an array of TensorFlow's variables
    value = variable.value
    return np.array(value.numpy() if backend.backend() == "tensorflow" else ops.convert_to_numpy(value))
