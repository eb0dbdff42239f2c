"""The musicnn architecture and its relatives: one front-end and mid-end, four ways to sum up time.

musicnn: Pons & Serra, "musicnn: pre-trained CNNs for music audio tagging", ISMIR 2019. Its relatives are the others of
musicnn-training. Keras layers and ops only, so that the same file runs on TensorFlow, JAX and PyTorch.
"""

from __future__ import annotations

import keras
from keras import layers, ops

from streamtag.inference.networks.layers import (
    AutoPool,
    FirstConvolution,
    GreatestNorm,
    InputNorm,
    Lstm,
    Norm,
    PositionalEncoding,
    convolution,
    dense,
    scores,
)
from streamtag.inference.networks.specs import ModelSpec

LSTM_UNITS = 512


def build(spec: ModelSpec, frames: int | None = None) -> keras.Model:
    """Build the network, with weights yet to be set.

    Parameters
    ----------
    spec : ModelSpec
        Which model: sets the family, the mid-end filters, the penultimate units and the number of tags.
    frames : int or None
        Frames of a patch; None for any number.

    Returns
    -------
    keras.Model
        The network: (batch, frames, bands) log-mel patches to a dict of every named feature, `taggram` and `logits`.
    """
    patch = keras.Input((frames, spec.bands), name="patch")
    features = _front_end(patch, spec)
    front_end = ops.concatenate(list(features.values()), axis=-1) if len(features) > 1 else features["timbral"]
    cnn1 = Norm("midend_1_norm")(_midend(front_end, spec.filters, "midend_1"))
    cnn2 = _residual(cnn1, spec, "midend_2")
    cnn3 = _residual(cnn2, spec, "midend_3")
    features |= {"cnn1": cnn1, "cnn2": cnn2, "cnn3": cnn3}

    alone = spec.family in ("residual", "lstm")
    summed_up = cnn3 if alone else ops.concatenate([front_end, cnn1, cnn2, cnn3], axis=-1)
    if spec.family == "attention":
        pooled = _attention(summed_up)
    elif spec.family == "autopool":
        pooled = AutoPool(name="autopool")(summed_up)
    elif spec.family == "lstm":
        pooled = Lstm(LSTM_UNITS, False, "lstm_2")(Lstm(LSTM_UNITS, True, "lstm_1")(summed_up))
    else:
        features["max_pool"] = ops.max(summed_up, axis=1)
        features["mean_pool"] = ops.mean(summed_up, axis=1)
        # The published flatten interleaves: max of channel 0, mean of channel 0, max of channel 1, ...
        pooled = layers.Flatten(name="pool")(ops.stack([features["max_pool"], features["mean_pool"]], axis=-1))

    pooled = Norm("pool_norm")(pooled)
    pooled = layers.Dropout(0.5, name="pool_dropout")(pooled)
    hidden = dense(spec.embedding_size, "penultimate_dense", "relu")(pooled)
    penultimate = Norm("penultimate_norm")(hidden)
    dropped = layers.Dropout(0.5, name="penultimate_dropout")(penultimate)
    return keras.Model(
        patch, scores(dropped, len(spec.labels)) | features | {"penultimate": penultimate}, name=spec.family
    )


def _front_end(patch: keras.KerasTensor, spec: ModelSpec) -> dict[str, keras.KerasTensor]:
    """Timbral and temporal features, (batch, frames, channels) each."""
    image = ops.expand_dims(patch, -1)
    norm = InputNorm("input_norm")(image)
    shape = spec.first_layer

    def branch(filters: int, kernel: tuple[int, int], name: str) -> keras.KerasTensor:
        """Convolution, relu, batch norm, then the maximum over frequency."""
        return GreatestNorm(f"{name}_norm")(FirstConvolution(filters, kernel, f"{name}_conv")(image, *norm))

    timbral = [branch(shape.timbral_filters, (7, n), f"timbral_{n}") for n in shape.timbral]
    temporal = [branch(shape.temporal_filters, (n, 1), f"temporal_{n}") for n in shape.temporal]
    groups = {"timbral": timbral, "temporal": temporal}
    return {
        name: ops.concatenate(group, axis=-1) if len(group) > 1 else group[0] for name, group in groups.items() if group
    }


def _midend(x: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    """Seven frames of all channels at once, then relu."""
    return convolution(filters, 7, f"{name}_conv", padding="same", activation="relu")(x)


def _residual(x: keras.KerasTensor, spec: ModelSpec, name: str) -> keras.KerasTensor:
    """A mid-end layer added to what it was given."""
    convolved = _midend(x, spec.filters, name)
    norm = Norm(f"{name}_norm")
    if spec.residuals == "norm":
        return norm(convolved) + x
    # The published training code adds the convolution, and keeps a norm that has no effect: its moving averages are
    # updated, and it is saved and counted. It stays a part of the network by adding nothing, with gradients of 0.
    return convolved + x + 0 * norm(ops.stop_gradient(convolved))


def _attention(x: keras.KerasTensor) -> keras.KerasTensor:
    """Mean over time, weighted channel by channel by a softmax of what a convolution of three frames says."""
    placed = PositionalEncoding(name="position")(x)
    attention = convolution(x.shape[-1], 3, "attention_conv", padding="same")(placed)
    return ops.sum(ops.softmax(attention, axis=1) * placed, axis=1)
