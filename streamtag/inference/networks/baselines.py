"""The baselines of musicnn-training beside vgg: Dieleman & Schrauwen (ICASSP 2014), and Pons et al. (EUSIPCO 2017).

Keras layers and ops only, so that the same file runs on TensorFlow, JAX and PyTorch.
"""

from __future__ import annotations

import keras
from keras import layers, ops

from streamtag.inference.networks.layers import (
    FirstConvolution,
    GreatestNorm,
    InputNorm,
    convolution,
    dense,
    scores,
    spread,
)
from streamtag.inference.networks.specs import ModelSpec

TIMBRES = ((0.8, (3, 3, 6, 10)), (0.6, (5, 5, 10, 15)), (0.2, (5, 5, 10, 15)))
"""Of the bands that a filter of `timbre` spans; how many filters there are of 7, 5, 3 and 1 frames."""
SECOND_FRAMES = 8
"""That filters of the second layer span, and dieleman's of the first."""


def dieleman(spec: ModelSpec, frames: int) -> keras.Model:
    """Filters that span all bands, twice, each with a maximum over four times.

    Parameters
    ----------
    spec : ModelSpec
        Sets filters, units, bands and tags.
    frames : int
        Frames of a patch.

    Returns
    -------
    keras.Model
        (batch, frames, bands) log-mel to a dict of `penultimate`, `taggram` and `logits`.
    """
    patch = keras.Input((frames, spec.bands), name="patch")
    image = ops.expand_dims(patch, -1)
    first = FirstConvolution(spec.filters, (SECOND_FRAMES, spec.bands), "cnn1_conv", time="valid", initializer=spread())
    x = ops.relu(first(image, *InputNorm("input_norm")(image)))
    x = layers.MaxPooling2D((4, 1), name="pool1")(x)
    return _end(patch, ops.squeeze(x, 2), spec)


def timbre(spec: ModelSpec, frames: int) -> keras.Model:
    """Filters of twelve shapes, as timbres have, each with its maximum over frequency.

    Parameters
    ----------
    spec : ModelSpec
        Sets filters, units, bands and tags.
    frames : int
        Frames of a patch.

    Returns
    -------
    keras.Model
        (batch, frames, bands) log-mel to a dict of `penultimate`, `taggram` and `logits`.
    """
    patch = keras.Input((frames, spec.bands), name="patch")
    image = ops.expand_dims(patch, -1)
    norm = InputNorm("input_norm")(image)
    found = []
    for share, counts in TIMBRES:
        bands = int(share * spec.bands)
        for taps, filters in zip((7, 5, 3, 1), counts, strict=True):
            name = f"timbre_{taps}x{bands}"
            x = FirstConvolution(filters, (taps, bands), f"{name}_conv", initializer=spread())(image, *norm)
            found.append(GreatestNorm(f"{name}_norm")(x))
    return _end(patch, ops.concatenate(found, axis=-1), spec)


def _end(patch: keras.KerasTensor, x: keras.KerasTensor, spec: ModelSpec) -> keras.Model:
    """A second layer of filters over all channels, a maximum over four times, and two dense layers."""
    x = convolution(spec.filters, SECOND_FRAMES, "cnn2_conv", activation="relu")(x)
    x = layers.Flatten(name="flatten")(layers.MaxPooling1D(4, name="pool2")(x))
    penultimate = dense(spec.embedding_size, "penultimate_dense", "relu")(x)
    return keras.Model(patch, scores(penultimate, len(spec.labels)) | {"penultimate": penultimate}, name=spec.family)
