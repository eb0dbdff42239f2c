"""What the published musicnn-training code gives, where the folder ../shared lies beside the source."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ORACLE = Path(__file__).resolve().parents[3] / "shared" / "oracle" / "training"
VGGISH = ORACLE.parent / "vggish" / "vggish.npz"
needs_oracle = pytest.mark.skipif(not ORACLE.is_dir(), reason="the folder ../shared with the oracle is not here")


@cache
def figures(name: str) -> dict[str, np.ndarray]:
    """The figures of one of its files."""
    with np.load(ORACLE / f"{name}.npz") as file:
        return dict(file)


@cache
def recipe() -> Any:
    """The module that makes its inputs."""
    spec = importlib.util.spec_from_file_location("training_recipe", ORACLE / "recipe.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def vggish_figures() -> dict[str, np.ndarray]:
    """What the published code of VGGish gives for made-up sound and weights."""
    with np.load(VGGISH) as file:
        return dict(file)


@cache
def vggish_weights() -> dict[str, np.ndarray]:
    """The made-up weights, by their published names without the scope; the same recipe as the figures'."""
    found: dict[str, np.ndarray] = {}
    for number, (name, axes) in enumerate(zip(vggish_figures()["names"], vggish_figures()["shapes"], strict=True)):
        shape = tuple(map(int, axes.split()))
        values = np.random.RandomState(52_000 + number).standard_normal(shape)
        values *= 0.05 if len(shape) == 1 else np.sqrt(2 / np.prod(shape[:-1]))
        found[str(name).removeprefix("vggish/")] = values.astype(np.float32)
    return found
