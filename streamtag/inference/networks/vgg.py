"""The vgg baseline that musicnn publishes beside its own architecture (after Choi et al., 2016).

Keras layers and ops only, so that the same file runs on TensorFlow, JAX and PyTorch.
"""

from __future__ import annotations

import keras
from keras import layers, ops

from streamtag.dsp.params import N_MELS, PATCH_FRAMES
from streamtag.inference.networks.specs import VGG_POOLS, ModelSpec


def build(spec: ModelSpec, frames: int | None = PATCH_FRAMES) -> keras.Model:
    """Build the network, with weights yet to be set.

    Parameters
    ----------
    spec : ModelSpec
        Which model: sets the number of filters and of tags.
    frames : int or None
        Frames of a patch; the published weights need 187.

    Returns
    -------
    keras.Model
        The network: (batch, frames, 96) log-mel patches to a dict of `pool1` to `pool5` and `taggram`.
    """
    patch = keras.Input((frames, N_MELS), name="patch")
    x = layers.BatchNormalization(name="input_norm")(ops.expand_dims(patch, -1))
    outputs = {}
    for number, (size, stride) in enumerate(VGG_POOLS, start=1):
        x = layers.Conv2D(spec.filters, 3, padding="same", activation="relu", name=f"cnn{number}_conv")(x)
        x = layers.BatchNormalization(name=f"cnn{number}_norm")(x)
        x = layers.MaxPooling2D(size, stride, name=f"pool{number}")(x)
        outputs[f"pool{number}"] = x
        x = layers.Dropout(0.25 if number < 5 else 0.5, name=f"dropout{number}")(x)
    outputs["taggram"] = layers.Dense(len(spec.labels), activation="sigmoid", name="tags")(layers.Flatten()(x))
    return keras.Model(patch, outputs, name=spec.name)
