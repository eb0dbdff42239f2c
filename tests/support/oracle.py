"""What the published musicnn-training code gives, where the folder ../shared lies beside the source."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ORACLE = Path(__file__).resolve().parents[3] / "shared" / "oracle" / "training"
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
