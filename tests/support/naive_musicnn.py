"""musicnn in plain NumPy and float64, straight from the published architecture. Imports nothing of streamtag."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Double = NDArray[np.float64]
EPSILON = 1e-3  # of Keras' batch norm


def norm(tensors: Mapping[str, np.ndarray], layer: str, x: Double) -> Double:
    """Batch norm with its moving averages."""
    gamma, beta, mean, variance = (
        tensors[f"{layer}/{key}"].astype(np.float64) for key in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    return (x - mean) / np.sqrt(variance + EPSILON) * gamma + beta


def same(x: Double, length: int) -> Double:
    """Zero padding in time such that a 'valid' filter of `length` frames gives 'same' results."""
    return np.pad(x, ((((length - 1) // 2), length // 2), (0, 0)))


def timbral(x: Double, kernel: np.ndarray) -> Double:
    """(frames, 96) and (7, bands, filters): sums (frames, places in frequency, filters)."""
    taps, bands, _ = kernel.shape
    views = sliding_window_view(same(x, taps), (taps, bands))
    return np.einsum("tfab,abc->tfc", views, kernel.astype(np.float64), optimize=True)


def temporal(x: Double, kernel: np.ndarray) -> Double:
    """(frames, 96) and (taps, filters): sums (frames, 96, filters)."""
    return sliding_window_view(same(x, len(kernel)), len(kernel), axis=0) @ kernel.astype(np.float64)


def convolution(x: Double, kernel: np.ndarray, bias: np.ndarray) -> Double:
    """(frames, channels) and (taps, channels, filters), 'same'."""
    views = sliding_window_view(same(x, len(kernel)), len(kernel), axis=0)
    return np.einsum("tca,acf->tf", views, kernel.astype(np.float64), optimize=True) + bias


def musicnn(tensors: Mapping[str, np.ndarray], patch: np.ndarray) -> dict[str, Double]:
    """One patch (frames, 96) of log-mel to all features by musicnn's names, and taggram."""

    def after(name: str, sums: Double) -> Double:
        return norm(tensors, f"{name}_norm", np.maximum(sums, 0))

    x = norm(tensors, "input_norm", patch.astype(np.float64)[..., None])[..., 0]
    front = []
    for bands in (38, 67):
        name = f"timbral_{bands}"
        sums = timbral(x, tensors[f"{name}_conv/kernel"][:, :, 0]) + tensors[f"{name}_conv/bias"]
        front.append(after(name, sums).max(axis=1))
    for frames in (128, 64, 32):
        name = f"temporal_{frames}"
        sums = temporal(x, tensors[f"{name}_conv/kernel"][:, 0, 0]) + tensors[f"{name}_conv/bias"]
        front.append(after(name, sums).max(axis=1))
    layers = [np.concatenate(front, axis=1)]
    for n in (1, 2, 3):
        name = f"midend_{n}"
        sums = convolution(layers[-1], tensors[f"{name}_conv/kernel"], tensors[f"{name}_conv/bias"])
        layers.append(after(name, sums) + (layers[-1] if n > 1 else 0))
    dense = np.concatenate(layers, axis=1)
    max_pool, mean_pool = dense.max(axis=0), dense.mean(axis=0)
    pooled = norm(tensors, "pool_norm", np.stack((max_pool, mean_pool), axis=-1).reshape(-1))
    hidden = pooled @ tensors["penultimate_dense/kernel"].astype(np.float64) + tensors["penultimate_dense/bias"]
    penultimate = after("penultimate", hidden)
    logits = penultimate @ tensors["tags/kernel"].astype(np.float64) + tensors["tags/bias"]
    return {
        "taggram": 1 / (1 + np.exp(-logits)),
        "timbral": np.concatenate(front[:2], axis=1),
        "temporal": np.concatenate(front[2:], axis=1),
        **{f"cnn{n}": layers[n] for n in (1, 2, 3)},
        "penultimate": penultimate,
        "max_pool": max_pool,
        "mean_pool": mean_pool,
    }
