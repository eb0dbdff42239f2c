"""Attention and autopool models in plain NumPy and float64, straight from the published architecture."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tests.support.naive_musicnn import Double, convolution, norm, timbral


def features(tensors: Mapping[str, np.ndarray], patch: np.ndarray) -> dict[str, Double]:
    """One patch (frames, 96) of log-mel to timbral (frames, 576) and three layers (frames, 64)."""
    x = norm(tensors, "input_norm", patch.astype(np.float64)[..., None])[..., 0]
    sums = timbral(x, tensors["timbral_38_conv/kernel"][:, :, 0]) + tensors["timbral_38_conv/bias"]
    front = norm(tensors, "timbral_38_norm", np.maximum(sums, 0)).max(axis=1)

    def convolved(x: Double, name: str) -> Double:
        return np.maximum(convolution(x, tensors[f"{name}_conv/kernel"], tensors[f"{name}_conv/bias"]), 0)

    cnn1 = norm(tensors, "midend_1_norm", convolved(front, "midend_1"))
    cnn2 = convolved(cnn1, "midend_2") + cnn1  # musicnn-training adds the convolution, not its norm
    cnn3 = convolved(cnn2, "midend_3") + cnn2
    return {"timbral": front, "cnn1": cnn1, "cnn2": cnn2, "cnn3": cnn3}


def weighted_mean(values: Double, logits: Double) -> Double:
    """Mean over time with a softmax over time of the logits as weights, channel by channel."""
    weights = np.exp(logits - logits.max(axis=0))
    return (weights * values).sum(axis=0) / weights.sum(axis=0)


def encoding(frames: int, channels: int) -> Double:
    """Sines and cosines for a frame's place, one period a channel."""
    placed = np.empty((frames, channels))
    for i in range(channels):
        angle = np.arange(frames) / 10000.0 ** (2 * i / channels)
        placed[:, i] = np.cos(angle) if i % 2 else np.sin(angle)
    return placed


def predicted(tensors: Mapping[str, np.ndarray], patch: np.ndarray) -> dict[str, Double]:
    """One patch (frames, 96) of log-mel to all features by musicnn's names, and taggram."""
    found = features(tensors, patch)
    values = np.concatenate(list(found.values()), axis=1)
    if "autopool/alpha" in tensors:
        logits = float(tensors["autopool/alpha"]) * values
    else:
        values = values + encoding(*values.shape)
        logits = convolution(values, tensors["attention_conv/kernel"], tensors["attention_conv/bias"])
    pooled = norm(tensors, "pool_norm", weighted_mean(values, logits))
    hidden = pooled @ tensors["penultimate_dense/kernel"].astype(np.float64) + tensors["penultimate_dense/bias"]
    penultimate = norm(tensors, "penultimate_norm", np.maximum(hidden, 0))
    tags = penultimate @ tensors["tags/kernel"].astype(np.float64) + tensors["tags/bias"]
    return {**found, "penultimate": penultimate, "taggram": 1 / (1 + np.exp(-tags))}
