"""Networks in ONNX: small ones made here, and published ones that packages ship."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SILERO = """
name = "silero-vad"
licence = "MIT"
origin = "https://github.com/snakers4/silero-vad"

[front_end]
kind = "samples"
rate = 16000
hop = 64
lead = 64

[patch]
frames = 9
step = 8

[input]
name = "input"

[constants]
sr = 16000

[state]
state = { output = "stateN", shape = [2, 1, 128] }

[tags]
output = "output"
labels = ["speech"]
"""
MEL = """
[front_end]
like = "musicnn"

[patch]
frames = 20

[tags]
output = "scores"
labels = ["low", "middle", "high"]

[embedding]
output = "means"
"""


def shipped(package: str, *parts: str) -> Path:
    """A file of an installed package, which is not imported."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent.joinpath(*parts)


def graph(
    nodes: Sequence[onnx.NodeProto],
    inputs: dict[str, Sequence[int | str]],
    outputs: dict[str, Sequence[int | str]],
    weights: dict[str, np.ndarray] | None = None,
    **options: Any,
) -> onnx.ModelProto:
    """A model of these nodes, float32 throughout."""

    def ports(given: dict[str, Sequence[int | str]]) -> list[onnx.ValueInfoProto]:
        return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in given.items()]

    initializers = [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()]
    made = helper.make_graph(list(nodes), "test", ports(inputs), ports(outputs), initializers)
    opset = [helper.make_opsetid("", 17), *(options.pop("opset", []))]
    return helper.make_model(made, opset_imports=opset, ir_version=9, **options)


def three_bands(shape: Sequence[int | str] = ("n", 20, 96), axis: int = 1) -> onnx.ModelProto:
    """Means of a patch over time, and scores of three groups of its bands."""
    weights = np.zeros((96, 3), np.float32)
    for place in range(3):
        weights[32 * place : 32 * place + 32, place] = 1 / 64
    nodes = [
        helper.make_node("ReduceMean", ["patch"], ["means"], axes=[axis], keepdims=0),
        helper.make_node("MatMul", ["means", "weights"], ["scores"]),
    ]
    outputs: dict[str, Sequence[int | str]] = {"scores": ["n", 3], "means": ["n", 96]}
    return graph(nodes, {"patch": shape}, outputs, {"weights": weights})


def write(folder: Path, model: onnx.ModelProto, description: str | None, name: str = "net") -> Path:
    """A file and its description."""
    path = folder / f"{name}.onnx"
    path.write_bytes(model.SerializeToString())
    if description is not None:
        path.with_suffix(".toml").write_text(description, encoding="utf-8")
    return path
