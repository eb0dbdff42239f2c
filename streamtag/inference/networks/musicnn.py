"""The musicnn architecture (Pons & Serra, "musicnn: pre-trained CNNs for music audio tagging", ISMIR 2019).

Keras layers and ops only, so that the same file runs on TensorFlow, JAX and PyTorch.
"""

from __future__ import annotations

import keras
from keras import layers, ops

from streamtag.dsp.params import N_MELS
from streamtag.inference.networks.specs import (
    TEMPORAL_FILTERS,
    TEMPORAL_FRAMES,
    TIMBRAL_BANDS,
    TIMBRAL_FILTERS,
    ModelSpec,
)


def build(spec: ModelSpec, frames: int | None = None) -> keras.Model:
    """Build the network, with weights yet to be set.

    Parameters
    ----------
    spec : ModelSpec
        Which model: sets the mid-end filters, the penultimate units and the number of tags.
    frames : int or None
        Frames of a patch; None for any number.

    Returns
    -------
    keras.Model
        The network: (batch, frames, 96) log-mel patches to a dict of every named feature and `taggram`.
    """
    patch = keras.Input((frames, N_MELS), name="patch")
    image = layers.BatchNormalization(name="input_norm")(ops.expand_dims(patch, -1))

    # Zero padding comes after the input's batch norm, and in time only.
    padded = layers.ZeroPadding2D(((3, 3), (0, 0)), name="timbral_pad")(image)
    timbral = ops.concatenate(
        [_branch(padded, TIMBRAL_FILTERS, (7, bands), "valid", f"timbral_{bands}") for bands in TIMBRAL_BANDS], axis=-1
    )
    temporal = ops.concatenate(
        [_branch(image, TEMPORAL_FILTERS, (n, 1), "same", f"temporal_{n}") for n in TEMPORAL_FRAMES], axis=-1
    )
    front_end = ops.concatenate([timbral, temporal], axis=-1)

    cnn1 = _midend(front_end, spec.filters, "midend_1")
    cnn2 = _midend(cnn1, spec.filters, "midend_2") + cnn1
    cnn3 = _midend(cnn2, spec.filters, "midend_3") + cnn2

    dense = ops.concatenate([front_end, cnn1, cnn2, cnn3], axis=-1)
    max_pool = ops.max(dense, axis=1)
    mean_pool = ops.mean(dense, axis=1)
    # The published flatten interleaves: max of channel 0, mean of channel 0, max of channel 1, ...
    pooled = layers.Flatten(name="pool")(ops.stack([max_pool, mean_pool], axis=-1))
    pooled = layers.BatchNormalization(name="pool_norm")(pooled)
    pooled = layers.Dropout(0.5, name="pool_dropout")(pooled)
    hidden = layers.Dense(spec.embedding_size, activation="relu", name="penultimate_dense")(pooled)
    penultimate = layers.BatchNormalization(name="penultimate_norm")(hidden)
    dropped = layers.Dropout(0.5, name="penultimate_dropout")(penultimate)
    taggram = layers.Dense(len(spec.labels), activation="sigmoid", name="tags")(dropped)

    outputs = {
        "taggram": taggram,
        "timbral": timbral,
        "temporal": temporal,
        "cnn1": cnn1,
        "cnn2": cnn2,
        "cnn3": cnn3,
        "mean_pool": mean_pool,
        "max_pool": max_pool,
        "penultimate": penultimate,
    }
    return keras.Model(patch, outputs, name=spec.name)


def _branch(x: keras.KerasTensor, filters: int, kernel: tuple[int, int], padding: str, name: str) -> keras.KerasTensor:
    """Convolution, relu, batch norm, then the maximum over frequency."""
    x = layers.Conv2D(filters, kernel, padding=padding, activation="relu", name=f"{name}_conv")(x)
    x = layers.BatchNormalization(name=f"{name}_norm")(x)
    return ops.max(x, axis=2)


def _midend(x: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    """Seven frames of all channels at once: relu, then batch norm."""
    x = layers.Conv1D(filters, 7, padding="same", activation="relu", name=f"{name}_conv")(x)
    return layers.BatchNormalization(name=f"{name}_norm")(x)
