"""The vgg baseline that musicnn publishes beside its own architecture (after Choi et al., 2016).

Keras layers and ops only, so that the same file runs on TensorFlow, JAX and PyTorch.
"""

from __future__ import annotations

import keras
from keras import layers, ops

from streamtag.dsp.params import PATCH_FRAMES
from streamtag.inference.networks.layers import FirstConvolution, InputNorm, Norm, convolution, scores, spread
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
        The network: (batch, frames, bands) log-mel patches to a dict of `pool1` to `pool5`, `taggram` and `logits`.
    """
    patch = keras.Input((frames, spec.bands), name="patch")
    image = ops.expand_dims(patch, -1)
    first = FirstConvolution(spec.filters, (3, 3), "cnn1_conv", "same", initializer=spread())
    x = ops.relu(first(image, *InputNorm("input_norm")(image)))
    outputs = {}
    for number, (size, stride) in enumerate(VGG_POOLS, start=1):
        if number > 1:
            x = convolution(spec.filters, (3, 3), f"cnn{number}_conv", padding="same", activation="relu")(x)
        x = Norm(f"cnn{number}_norm")(x)
        x = layers.MaxPooling2D(size, stride, name=f"pool{number}")(x)
        outputs[f"pool{number}"] = x
        x = layers.Dropout(0.25 if number < 5 else 0.5, name=f"dropout{number}")(x)
    return keras.Model(patch, outputs | scores(layers.Flatten()(x), len(spec.labels)), name=spec.family)
