"""A network in ONNX, evaluated by ONNX Runtime: patches in, tags and embedding out, state kept from patch to patch."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamtag.errors import FeedError, MissingExtraError, ModelError
from streamtag.inference.networks.onnx_description import Output, beside, read_description
from streamtag.inference.networks.onnx_safety import read_graph
from streamtag.inference.networks.specs import ModelSpec

Array = NDArray[np.float32]
Anything = NDArray[Any]

TYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
}
FATAL = 4
"""Of ONNX Runtime's log levels: what is wrong is raised, and said once."""


class Port(NamedTuple):
    """An input or output of a graph.

    Attributes
    ----------
    name : str
        What the graph calls it.
    dtype : type
        NumPy's.
    shape : tuple of (int or None)
        None where it is open.
    """

    name: str
    dtype: type[np.generic]
    shape: tuple[int | None, ...]


class OnnxModel:
    """A file and its description: read once, shared by all who predict with it.

    Parameters
    ----------
    name : str
        How the model is called here: its file, or the name under which it was imported.
    path : Path
        The file.

    Attributes
    ----------
    spec : ModelSpec
        What it is.
    description : Description
        What was said of it.
    sha256 : str
        Checksum of the file and of its description.

    Raises
    ------
    ModelError
        The file, or what it wants; a description that does not fit it.
    OptionError
        What is wrong with the description, with its line.
    MissingExtraError
        ONNX Runtime is not installed.
    """

    def __init__(self, name: str, path: Path) -> None:
        self.path = path
        content, graph = read_graph(path)
        self.description = read_description(path, {entry.key: entry.value for entry in graph.metadata_props})
        self.sha256 = hashlib.sha256(content + repr(self.description).encode()).hexdigest()
        parameters = sum(int(np.prod(tensor.dims, dtype=np.int64)) for tensor in graph.graph.initializer)
        del graph
        self._session = self._open(content)
        self._inputs = {port.name: port for port in map(self._port, self._session.get_inputs())}
        self._outputs = {port.name: port for port in map(self._port, self._session.get_outputs())}
        self._constants = self._constant_inputs()
        self._input = self._patch_input()
        self._layout = self._chosen_layout()
        wanted = [output for output in (self.description.tags, self.description.embedding) if output is not None]
        self._wanted = [self._output_name(output) for output in wanted] + list(self.description.state.values())
        self.spec = self._tried(name, parameters)

    def _open(self, content: bytes) -> Any:
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingExtraError(f"a network in ONNX ({error})", "onnx") from error
        options = onnxruntime.SessionOptions()
        # one thread: predictions run beside each other already, and what is live must leave room for what captures
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = FATAL
        try:
            return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's own classes, one for each kind of trouble
            raise self._unfit(f"ONNX Runtime does not take it: {_first_line(error)}") from error

    def _port(self, given: Any) -> Port:
        if given.type not in TYPES:
            raise self._unfit(f"{given.name} is a {given.type}, which is not known here: {', '.join(TYPES)}")
        return Port(given.name, TYPES[given.type], tuple(n if isinstance(n, int) else None for n in given.shape))

    def _unfit(self, what: str) -> ModelError:
        return ModelError(f"{self.path}: {what}")

    # --- what goes in ---------------------------------------------------------------------------------------------

    def _constant_inputs(self) -> dict[str, Anything]:
        found = {}
        for name, value in self.description.constants.items():
            port = self._known(self._inputs, name, "input")
            found[name] = np.full([n or 1 for n in port.shape], value, port.dtype)
        return found

    def _patch_input(self) -> Port:
        given = self.description.input
        if given is not None:
            return self._known(self._inputs, given, "input")
        left = [port for name, port in self._inputs.items() if name not in {*self._constants, *self.description.state}]
        if len(left) != 1:
            names = ", ".join(port.name for port in left) or "none"
            raise self._unfit(
                f"which input gets the patches? [input] name = ... is one of {names}; the others are "
                "[constants] or [state]"
            )
        return left[0]

    def _chosen_layout(self) -> tuple[str | int, ...]:
        if self.description.layout is not None:
            return self.description.layout
        plain = self.description.front_end.kind == "samples"
        rank = len(self._input.shape)
        usual: dict[int, tuple[str | int, ...]] = (
            {1: ("samples",), 2: ("batch", "samples"), 3: ("batch", 1, "samples")}
            if plain
            else {2: ("time", "bands"), 3: ("batch", "time", "bands"), 4: ("batch", 1, "time", "bands")}
        )
        if rank not in usual:
            raise self._unfit(f"{self._input.name} has {rank} axes: [input] layout = [...] says which they are")
        return usual[rank]

    def start(self) -> dict[str, Anything]:
        """The state before the first patch: zeros."""
        state = {}
        for name, output in self.description.state.items():
            port = self._known(self._inputs, name, "input")
            self._known(self._outputs, output, "output")
            shape = self.description.shapes.get(name) or [n or 1 for n in port.shape]
            state[name] = np.zeros(shape, port.dtype)
        return state

    def _known(self, ports: Mapping[str, Port], name: str, kind: str) -> Port:
        if name not in ports:
            raise self._unfit(f"it has no {kind} {name!r}: {', '.join(ports)}")
        return ports[name]

    # --- what comes out -------------------------------------------------------------------------------------------

    def _output_name(self, output: Output) -> str:
        name = next(iter(self._outputs)) if output.name is None else output.name
        return self._known(self._outputs, name, "output").name

    def run(self, patches: Array, state: dict[str, Anything]) -> tuple[Array, Array]:
        """Predict patches; the state is advanced.

        Parameters
        ----------
        patches : ndarray of float32, shape (n, frames, width)
            At most `batch`.
        state : dict of {str: ndarray}
            From `start`.

        Returns
        -------
        tags : ndarray of float32, shape (n, tags)
            Scores.
        embedding : ndarray of float32, shape (n, units)
            The embedding.

        Raises
        ------
        ModelError
            The network cannot compute them, or gives what does not fit its description.
        """
        count = len(patches)
        fixed = (self._input.shape[0] or 0) if self._layout[0] == "batch" else 0
        if fixed > count:  # exported for so many at a time, and no fewer
            patches = np.concatenate((patches, np.zeros((fixed - count, *patches.shape[1:]), np.float32)))
        fed = {self._input.name: self._laid_out(patches), **self._constants, **state}
        try:
            found = self._session.run(self._wanted, fed)
        except Exception as error:  # the same classes
            raise self._unfit(f"ONNX Runtime: {_first_line(error)}; patches were given as {self._shown()}") from error
        state.update(zip(self.description.state, found[len(found) - len(state) :], strict=True))
        rows = iter(found)
        tags, embedding = (
            np.empty((len(patches), 0), np.float32) if output is None else self._rows(output, next(rows), len(patches))
            for output in (self.description.tags, self.description.embedding)
        )
        return tags[:count], embedding[:count]

    def _laid_out(self, patches: Array) -> Anything:
        count, frames, width = patches.shape
        if "samples" in self._layout:
            lengths: dict[str | int, int] = {"batch": count, "samples": frames * width, 1: 1}
            return patches.reshape([lengths[axis] for axis in self._layout]).astype(self._input.dtype, copy=False)
        turned = patches.swapaxes(1, 2) if self._layout.index("bands") < self._layout.index("time") else patches
        lengths = {"batch": count, "time": frames, "bands": width, 1: 1}
        shape = [lengths[axis] for axis in self._layout]
        return np.ascontiguousarray(turned).reshape(shape).astype(self._input.dtype, copy=False)

    def _shown(self) -> str:
        front_end, frames = self.description.front_end, self.description.frames
        lengths = {"time": frames, "bands": front_end.width, "samples": frames * front_end.width}
        return " x ".join(f"{lengths.get(str(axis), 1)} {axis}" if axis != 1 else "1" for axis in self._layout)

    def _rows(self, output: Output, value: Anything, count: int) -> Array:
        """A row for each patch, of an output of any shape."""
        name, units = output.name or "the first output", len(output.labels)
        array = np.asarray(value, np.float32)
        if count == 1 and (array.ndim == 0 or array.shape[0] != 1):
            array = array[None]  # a network that knows of no batch
        if array.ndim == 1:
            array = array[:, None]
        if array.shape[0] != count or not -array.ndim < output.axis < array.ndim or output.axis == 0:
            raise self._unfit(
                f"{name} has shape {np.shape(value)} for {count} patches: no rows with axis {output.axis}"
            )
        rows = np.moveaxis(array, output.axis, -1).reshape(count, -1, array.shape[output.axis])
        if rows.shape[1] > 1 and output.over_time == "none":
            raise self._unfit(
                f'{name} has shape {np.shape(value)}, several rows a patch: over_time = "mean", "max" or "last" '
                "says what becomes of them"
            )
        if units and rows.shape[2] != units:
            raise self._unfit(f"{name} has shape {np.shape(value)}, and {units} labels are given")
        if output.activation == "sigmoid":
            rows = np.asarray(1 / (1 + np.exp(-rows)), np.float32)
        elif output.activation == "softmax":
            raised = np.exp(rows - rows.max(axis=2, keepdims=True))
            rows = raised / raised.sum(axis=2, keepdims=True)
        if output.over_time == "max":
            return np.ascontiguousarray(rows.max(axis=1), np.float32)
        return np.ascontiguousarray(rows[:, -1] if output.over_time == "last" else rows.mean(axis=1), np.float32)

    def _tried(self, name: str, parameters: int) -> ModelSpec:
        """What it is, as one patch of silence shows: shapes that a file leaves open are known then."""
        said = self.description
        front_end = said.front_end
        silence = np.full((1, said.frames, front_end.width), front_end.silence, np.float32)
        tags, embedding = self.run(silence, self.start())
        if not (np.all(np.isfinite(tags)) and np.all(np.isfinite(embedding))):
            raise self._unfit("gives NaN or infinite values for silence: its front-end is another one")
        return ModelSpec(
            name=name,
            family="onnx",
            dataset=said.dataset,
            labels=said.tags.labels if said.tags else (),
            parameters=parameters,
            filters=0,
            embedding_size=embedding.shape[1],
            frames=said.frames,
            bands=front_end.width,
            front_end=front_end,
            step=said.step,
            licence=said.licence,
            origin=said.origin,
            stateful=bool(said.state),
        )


class OnnxNetwork:
    """A network with the state of one stream.

    Parameters
    ----------
    model : OnnxModel
        The file.
    """

    backend = "ONNX Runtime"

    def __init__(self, model: OnnxModel) -> None:
        self.spec = model.spec
        self.window_frames = model.spec.frames
        self._model = model
        self.reset()

    def reset(self) -> None:
        """Begin another stream."""
        self._state = self._model.start()

    def __call__(self, patches: Array) -> tuple[Array, Array]:
        """Predict patches, in their order: (n, frames, width) to tags (n, tags) and embedding (n, units).

        Raises
        ------
        FeedError
            Patches of another shape.
        """
        if patches.ndim != 3 or patches.shape[1:] != (self.window_frames, self.spec.bands):
            raise FeedError(f"patches have shape {patches.shape}: (n, {self.window_frames}, {self.spec.bands}) needed")
        tags = np.empty((len(patches), len(self.spec.labels)), np.float32)
        embedding = np.empty((len(patches), self.spec.embedding_size), np.float32)
        # one at a time, unless its file says otherwise: what comes of a patch then depends on no other
        size = 1 if self.spec.stateful else self._model.description.batch
        for start in range(0, len(patches), size):
            these = slice(start, start + size)
            tags[these], embedding[these] = self._model.run(patches[these], self._state)
        return tags, embedding

    def warm_up(self) -> None:
        """Run it once, on silence, without a trace in its state."""
        front_end = self.spec.front_end
        silence = np.full((1, self.window_frames, self.spec.bands), front_end.silence, np.float32)
        self._model.run(silence, self._model.start())

    def with_pools(self, patches: Array) -> tuple[Array, Array, Array, Array]:
        """Refuse: there are none."""
        raise FeedError(f"{self.spec.name} has no max_pool and no mean_pool")


@lru_cache(maxsize=4)
def read_onnx(name: str, path: str, state: tuple[tuple[int, int] | None, ...]) -> OnnxModel:
    """A model, read once a process; `state` says which states of its files (see `onnx_state`)."""
    return OnnxModel(name, Path(path))


def onnx_state(path: Path) -> tuple[tuple[int, int] | None, ...]:
    """Which states an ONNX file and its description are in: time of change (ns) and size (bytes)."""
    found: list[tuple[int, int] | None] = []
    for each in (path, beside(path)):
        try:
            status = each.stat()
            found.append((status.st_mtime_ns, status.st_size))
        except OSError:
            found.append(None)
    return tuple(found)


def _first_line(error: Exception) -> str:
    """What ONNX Runtime says, without its codes and the places in its source."""
    words = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", " ".join(str(error).split()))
    return re.sub(r"/onnxruntime_src/\S+ [^)]*\) *", "", words)[:200]
