"""Models of one's own with random weights, which no training has to make first."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from streamtag.inference.networks.network import layer_shapes
from streamtag.inference.networks.specs import ModelSpec
from streamtag.inference.networks.weights import Tensors, write_model

ORIGIN = {"source": "a test", "source_sha256": "0", "licence": "yours"}


def random_tensors(spec: ModelSpec, seed: int = 0) -> Tensors:
    """Weights of an architecture that keep signals at a sensible size."""
    rng = np.random.default_rng(seed)
    tensors = {}
    for key, shape in layer_shapes(spec).items():
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
