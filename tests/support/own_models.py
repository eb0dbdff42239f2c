"""Models of one's own with random weights, which no training has to make first."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from streamtag.inference.networks.network import layer_shapes
from streamtag.inference.networks.specs import ModelSpec
from streamtag.inference.networks.weights import Tensors, Weights, write_model

ORIGIN = {"source": "a test", "source_sha256": "0", "licence": "yours"}


def random_tensors(spec: ModelSpec, seed: int = 0) -> Tensors:
    """Weights of an architecture that keep signals at a sensible size. Needs Keras, which knows the shapes."""
    return random_values(layer_shapes(spec), seed)


def random_weights(spec: ModelSpec, **given: ArrayLike) -> Weights:
    """The same of an attention or autopool model, without Keras, and some of its weights as they are given."""
    channels, filters, units, tags = spec.channels, spec.filters, spec.embedding_size, len(spec.labels)
    kernels = {
        "timbral_38_conv": (7, 38, 1, 576),
        "midend_1_conv": (7, 576, filters),
        "midend_2_conv": (7, filters, filters),
        "midend_3_conv": (7, filters, filters),
        "penultimate_dense": (channels, units),
        "tags": (units, tags),
    }
    if spec.family == "attention":
        kernels["attention_conv"] = (3, channels, channels)
    norms = {"input": 1, "timbral_38": 576, **dict.fromkeys(("midend_1", "midend_2", "midend_3"), filters)}
    norms |= {"pool": channels, "penultimate": units}
    shapes: dict[str, tuple[int, ...]] = {"autopool/alpha": ()} if spec.family == "autopool" else {}
    for layer, shape in kernels.items():
        shapes |= {f"{layer}/kernel": shape, f"{layer}/bias": shape[-1:]}
    for layer, size in norms.items():
        shapes |= {f"{layer}_norm/{key}": (size,) for key in ("gamma", "beta", "moving_mean", "moving_variance")}
    tensors = random_values(shapes, 0)
    tensors |= {key.replace("__", "/"): np.asarray(value, np.float32) for key, value in given.items()}
    return Weights(spec, tensors, {}, Path("random.safetensors"))


def random_values(shapes: Mapping[str, tuple[int, ...]], seed: int) -> Tensors:
    """Weights of these shapes."""
    rng = np.random.default_rng(seed)
    tensors = {}
    for key, shape in shapes.items():
        values = rng.standard_normal(shape)
        kind = key.rpartition("/")[2]
        if kind in ("kernel", "recurrent_kernel"):
            values *= np.sqrt(1.5 / np.prod(shape[:-1]))
        elif kind == "moving_variance":
            values = np.exp(0.3 * values)
        else:
            values = 0.1 * values + (kind == "gamma") - 0.2 * (kind == "gamma") * (rng.random(shape) < 0.3)
        tensors[key] = np.asarray(values, np.float32)
    return tensors


def write_random(path: Path, spec: ModelSpec, seed: int = 0) -> Path:
    """A file of one."""
    write_model(path, spec, random_tensors(spec, seed), {"model": path.stem, **ORIGIN})
    return path
