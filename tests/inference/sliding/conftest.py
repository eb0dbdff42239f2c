"""Weights and prepared models that the tests share."""

from __future__ import annotations

import numpy as np
import pytest

from streamtag.inference.networks.catalogue import load_weights
from streamtag.inference.networks.specs import SPECS
from streamtag.inference.networks.weights import Weights
from streamtag.inference.sliding.musicnn.prepared import Prepared, prepare


@pytest.fixture(scope="session")
def weights() -> Weights:
    return load_weights("MSD_musicnn")


@pytest.fixture(scope="session")
def prepared(weights: Weights) -> Prepared:
    return prepare(weights)


@pytest.fixture(scope="session")
def big_weights(weights: Weights) -> Weights:
    """Weights of the big model's shapes, whose own are not published with streamtag: random, but well-behaved."""
    rng = np.random.default_rng(0)
    spec = SPECS["MSD_musicnn_big"]
    channels = 561 + 3 * spec.filters
    shapes = {
        "midend_1_conv/kernel": (7, 561, spec.filters),
        "midend_2_conv/kernel": (7, spec.filters, spec.filters),
        "midend_3_conv/kernel": (7, spec.filters, spec.filters),
        "penultimate_dense/kernel": (2 * channels, spec.embedding_size),
        "tags/kernel": (spec.embedding_size, 50),
    }
    sizes = {"midend": spec.filters, "pool": 2 * channels, "penultimate": spec.embedding_size}
    tensors = {}
    for key, small in weights.tensors.items():
        size = sizes.get(key.split("_")[0])
        if key in shapes:
            fan_in = np.prod(shapes[key][:-1])
            tensors[key] = rng.normal(0, np.sqrt(1 / fan_in), shapes[key]).astype(np.float32)
        elif size is None:
            tensors[key] = small
        else:  # a batch norm or a bias; some scales are negative
            scale = rng.choice([-1.0, 1.0, 1.0], size) if key.endswith("gamma") else 1.0
            low, high = {"gamma": (0.5, 1.5), "moving_variance": (0.5, 4)}.get(key.split("/")[1], (-0.5, 0.5))
            tensors[key] = (scale * rng.uniform(low, high, size)).astype(np.float32)
    return Weights(spec, tensors, {}, weights.path)
