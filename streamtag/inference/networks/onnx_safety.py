"""An ONNX file from a stranger, before anything is run: it may compute, and do nothing else.

ONNX Runtime reads weights from other files where a graph says so (*external data*), wherever they are, and runs
operators of libraries that were registered with it. Neither is let through; nor is what is not an ONNX file at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamtag.errors import MissingExtraError, ModelError

if TYPE_CHECKING:
    import onnx

LARGEST_BYTES = 2**31 - 1
"""What protobuf, and so ONNX without external data, can hold."""
DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
"""Of operators that the standard defines; and ONNX Runtime's own, which are part of it."""
RUNTIMES_OWN = frozenset({"com.microsoft"})


def read_graph(path: Path) -> tuple[bytes, onnx.ModelProto]:
    """Read an ONNX file that computes and does nothing else.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    content : bytes
        The file's content.
    graph : ModelProto
        The same, parsed.

    Raises
    ------
    MissingExtraError
        `onnx` is not installed.
    ModelError
        Unreadable, no ONNX file, or one that wants other files or other libraries.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError(f"a network in ONNX ({error})", "onnx") from error
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise ModelError(f"{path}: more than 2 GB: no ONNX file is so large")
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        graph = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf's own, which are not to be imported from there
        raise ModelError(f"{path}: no ONNX file, or a damaged one") from error
    if not graph.graph.node:
        raise ModelError(f"{path}: no ONNX file, or one without a graph")
    check_graph(path, graph)
    return content, graph


def check_graph(path: Path, graph: onnx.ModelProto) -> None:
    """Refuse what is more than a computation.

    Raises
    ------
    ModelError
        Weights in other files; operators that are neither the standard's, nor ONNX Runtime's, nor defined in the file.
    """
    import onnx

    own = {(function.domain, function.name) for function in graph.functions}
    for message in _messages(graph):
        if isinstance(message, onnx.TensorProto):
            if message.data_location == onnx.TensorProto.EXTERNAL or message.external_data:
                raise ModelError(
                    f"{path}: keeps weights in another file ({message.name or 'one without a name'}), which streamtag "
                    "does not open for a network: put them into it, with onnx.save(onnx.load(FILE), FILE)"
                )
        elif isinstance(message, onnx.NodeProto):
            known = message.domain in DOMAINS | RUNTIMES_OWN or (message.domain, message.op_type) in own
            if not known:
                raise ModelError(
                    f"{path}: wants the operator {message.op_type} of {message.domain!r}, a library of somebody's own, "
                    "which streamtag does not load for a network"
                )


def _messages(message: Any) -> Iterator[Any]:
    """A protobuf message and all that are in it, however deep."""
    waiting = [message]
    while waiting:
        one = waiting.pop()
        yield one
        for field, value in one.ListFields():
            if field.message_type is None:
                continue
            waiting += (
                value if isinstance(value, list) or hasattr(value, "append") or hasattr(value, "add") else [value]
            )
