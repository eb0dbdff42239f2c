"""The beginning of a description, from what an ONNX file says of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from streamtag.inference.networks.onnx_safety import read_graph

if TYPE_CHECKING:
    import onnx

START = """\
# What {name} hears, and what it says. Every line is explained in docs/models.md.
name = {quoted}
# licence = "..."
# origin = "https://..."

# inputs
{inputs}
# outputs
{outputs}

[front_end]
{front_end}

[patch]
frames = {frames}           # that the network hears at a time
# step = {frames}           # from one patch to the next, where the published code has them overlap

[input]
name = {input}
{layout}
{rest}
[tags]
output = {output}
labels = ["a", "b"]      # or labels_file = "labels.txt": a file beside this one, one a line, JSON or CSV
activation = "none"      # or sigmoid, softmax: what the graph leaves to be done
# over_time = "mean"     # or max, last: where it gives several rows a patch

# [embedding]
# output = "..."
"""

MEL = """\
# like = "vggish"        # or musicnn, yamnet; what differs can be given beside it. Or all of it:
kind = "mel"             # or spectrum, samples
rate = 16000             # Hz
window = 512             # samples
hop = 256
fft = 512
taper = "hann"           # or hann-symmetric, hamming, hamming-symmetric, rectangular
spectrum = "power"       # or magnitude
bands = {bands}
scale = "slaney"         # or htk
norm = "area"            # or none
low = 0                  # Hz
high = 8000
log = "log10"            # or ln, db, none; of multiply * x + offset
multiply = 10000
offset = 1"""

SAMPLES = """\
kind = "samples"
rate = 16000             # Hz
hop = {hop}                # samples of a frame; a patch is frames * hop samples"""


def template(path: Path) -> str:
    """A description to be filled in, with what the file has of inputs and outputs.

    Parameters
    ----------
    path : Path
        An ONNX file.

    Returns
    -------
    str
        TOML.

    Raises
    ------
    ModelError, MissingExtraError
        See `read_graph`.
    """
    _, graph = read_graph(path)
    given = {tensor.name for tensor in graph.graph.initializer}
    inputs = [port for port in graph.graph.input if port.name not in given]
    outputs = list(graph.graph.output)
    first = max(inputs, key=lambda port: _is_float(port) and len(_dims(port)) <= 4) if inputs else None
    dims = _dims(first) if first else []
    mel = len(dims) >= 3 and dims[-1] not in (1, "?")
    rest = [port.name for port in inputs if first is not None and port.name != first.name]
    if mel:
        frames = dims[-2] if isinstance(dims[-2], int) else 100
        front_end = MEL.format(bands=dims[-1])
        layout = f'# layout = ["batch", "time", "bands"]   # of {_shown(first)}' if first else ""
    else:
        length = next((n for n in reversed(dims) if isinstance(n, int) and n > 1), 16000)
        hop = next((n for n in (512, 480, 400, 320, 256, 160, 100, 80, 64, 50, 32, 16, 8, 4, 2) if length % n == 0), 1)
        frames, front_end = length // hop, SAMPLES.format(hop=hop)
        layout = f'# layout = ["batch", "samples"]   # of {_shown(first)}' if first else ""
    others = [port for port in inputs if port.name in rest]
    constants = [f"# {port.name} = 16000" for port in others if not _is_float(port)]
    states = [f'# {port.name} = "..."  # the output whose value it gets for the next patch' for port in others]
    states = [line for port, line in zip(others, states, strict=True) if _is_float(port)]
    return START.format(
        name=path.name,
        quoted=json.dumps(path.stem),
        inputs="\n".join(f"#   {port.name}: {_shown(port)}" for port in inputs),
        outputs="\n".join(f"#   {port.name}: {_shown(port)}" for port in outputs),
        front_end=front_end,
        frames=frames,
        input=json.dumps(first.name if first else ""),
        layout=layout,
        rest=_table("[constants]", constants) + _table("[state]", states),
        output=json.dumps(outputs[0].name if outputs else ""),
    )


def _table(header: str, lines: list[str]) -> str:
    return "\n".join(["", f"# {header}", *lines, ""]) if lines else ""


def _is_float(port: onnx.ValueInfoProto) -> bool:
    return port.type.tensor_type.elem_type in (1, 10, 11)  # float, float16, double


def _dims(port: onnx.ValueInfoProto) -> list[int | str]:
    return [
        dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else "?"
        for dim in port.type.tensor_type.shape.dim
    ]


def _shown(port: onnx.ValueInfoProto) -> str:
    from onnx import TensorProto

    kind = TensorProto.DataType.Name(port.type.tensor_type.elem_type).lower()
    return f"{kind} {' x '.join(map(str, _dims(port))) or 'a number'}"
