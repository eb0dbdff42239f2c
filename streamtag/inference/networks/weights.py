"""Weights on disk: where they are, reading them, writing them.

One safetensors file a model (no pickle: reading one executes nothing). The tensors are named
``layer/variable`` as in the Keras architecture; the metadata is all strings, with JSON where there is structure.
Nothing here needs TensorFlow.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from streamtag._system.places import user_data
from streamtag.errors import ModelError, WeightsDamagedError, WeightsMissingError
from streamtag.inference.networks.specs import SPECS, ModelSpec, find_spec

FORMAT = "streamtag-weights-1"
NEEDED = {"model", "source", "source_sha256", "licence", "tensors_sha256"}
"""Of the metadata, what others rely on."""
Tensors = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Weights:
    """A model's weights and where they come from.

    Attributes
    ----------
    spec : ModelSpec
        The model they belong to.
    tensors : dict of {str: ndarray of float32}
        Arrays by ``layer/variable``.
    metadata : dict of {str: str}
        The file's metadata, all strings.
    path : Path
        The file.
    """

    spec: ModelSpec
    tensors: Tensors
    metadata: dict[str, str]
    path: Path


def model_folders() -> list[Path]:
    """Where weights are looked for: the user's folder first, then what ships with streamtag."""
    shipped = Path(str(files("streamtag"))) / "models"
    if not shipped.is_dir():  # in a source checkout they lie beside the package
        shipped = Path(str(files("streamtag"))).parent / "models"
    own = user_models_folder()
    return [shipped] if own is None else [own, shipped]


def user_models_folder() -> Path | None:
    """Where `streamtag models import` writes: $STREAMTAG_MODELS, or the user's data folder; None if there is none."""
    chosen = os.environ.get("STREAMTAG_MODELS")
    if chosen:
        return Path(chosen)
    data = user_data()
    return None if data is None else data / "models"


def find_weights(name: str) -> Path | None:
    """Path of a model's installed weights, or None."""
    for folder in model_folders():
        path = folder / f"{name}.safetensors"
        if os.path.isfile(path):  # noqa: PTH113 - false, too, for a folder that this user may not look into
            return path
    return None


def installed_models() -> dict[str, Path]:
    """The published models whose weights are installed, by name."""
    return {name: path for name in SPECS if (path := find_weights(name)) is not None}


def models() -> tuple[ModelSpec, ...]:
    """The models that can be used here: those whose weights are installed.

    Returns
    -------
    tuple of ModelSpec
        With `name`, `labels`, `dataset` and what else is known of each.
    """
    return tuple(spec for name, spec in SPECS.items() if find_weights(name) is not None)


def load_weights(name: str) -> Weights:
    """Read a model's weights.

    Raises
    ------
    UnknownModelError
        No model of that name.
    WeightsMissingError
        Not installed; the message says how to import them.
    WeightsDamagedError
        If the file does not read, or not as it was written.
    """
    spec = find_spec(name)
    path = find_weights(name)
    if path is None:
        raise WeightsMissingError(
            f"the weights of {name} are not installed (looked in {', '.join(map(str, model_folders()))}). "
            f"Get musicnn's source, which has them in musicnn/{name}/, and run: "
            f"streamtag models import PATH/TO/musicnn/{name} — or use one of {', '.join(installed_models())}"
        )
    return read_weights(path, spec)


def weights_sha256(model: str) -> str:
    """Checksum of a model's installed weights.

    Raises
    ------
    ModelError
        Not installed, or damaged.
    """
    path = find_weights(model)
    return (read_metadata(path) if path else load_weights(model).metadata)["tensors_sha256"]


def read_metadata(path: Path) -> dict[str, str]:
    """Read only the metadata of a weights file.

    Raises
    ------
    WeightsDamagedError
        Not a weights file of streamtag's.
    """
    try:
        with safe_open(path, framework="np") as file:
            metadata: dict[str, str] = file.metadata() or {}
    except (SafetensorError, OSError, struct.error) as error:
        raise WeightsDamagedError(
            f"{path}: not readable as safetensors ({error}); import or install it again"
        ) from error
    if metadata.get("format") != FORMAT:
        raise WeightsDamagedError(
            f"{path}: a safetensors file, but not streamtag's ({FORMAT}); import or install it again"
        )
    if lacking := NEEDED - metadata.keys():
        raise WeightsDamagedError(f"{path}: does not say its {', '.join(sorted(lacking))}; import or install it again")
    return metadata


def read_weights(path: Path, spec: ModelSpec) -> Weights:
    """Read and verify one weights file against its own checksum and the model's name."""
    metadata = read_metadata(path)
    if metadata.get("model") != spec.name:
        raise WeightsDamagedError(f"{path}: holds {metadata.get('model')}, not {spec.name}")
    try:
        with safe_open(path, framework="np") as file:
            tensors = {key: file.get_tensor(key) for key in sorted(file.keys())}
    except (SafetensorError, OSError) as error:
        raise WeightsDamagedError(
            f"{path}: not readable as safetensors ({error}); import or install it again"
        ) from error
    if metadata.get("tensors_sha256") != tensors_sha256(tensors):
        raise WeightsDamagedError(f"{path}: the weights are not those that were written (checksum); install it again")
    return Weights(spec, tensors, metadata, path)


def write_weights(folder: Path, spec: ModelSpec, tensors: Tensors, origin: Mapping[str, str]) -> Path:
    """Write a model's weights with all that is known of them.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    spec : ModelSpec
        The model.
    tensors : dict of {str: ndarray of float32}
        Arrays by ``layer/variable``.
    origin : mapping of {str: str}
        `source`, `source_sha256`, `licence` and what else is to be kept, as strings.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    ModelError
        If it cannot be written.
    """
    architecture: dict[str, Any] = {
        "family": spec.family,
        "filters": spec.filters,
        "embedding_size": spec.embedding_size,
    }
    metadata = {
        "format": FORMAT,
        "model": spec.name,
        "architecture": json.dumps(architecture),
        "labels": json.dumps(spec.labels),
        "dataset": spec.dataset,
        "parameters": str(sum(tensor.size for tensor in tensors.values())),
        "roc_auc": str(spec.roc_auc),
        "pr_auc": str(spec.pr_auc),
        "tensors_sha256": tensors_sha256(tensors),
        **origin,
    }
    path = folder / f"{spec.name}.safetensors"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_whole(tensors, path, metadata)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from error
    return path


def save_whole(arrays: Mapping[str, NDArray[Any]], path: Path, metadata: Mapping[str, str]) -> None:
    """Write safetensors beside, and rename: a crash or a full disk leaves no half file under the real name.

    Raises
    ------
    OSError, SafetensorError
        If it cannot be written.
    """
    target = Path(os.path.realpath(path))  # what a link leads to, not the link
    # nobody else's name, and short enough for any
    partial = target.with_name(f".streamtag-{os.getpid()}-{threading.get_ident()}.partial")
    try:
        save_file(dict(arrays), partial, dict(metadata))
        partial.chmod(0o644)  # safetensors makes it readable for its owner only
        partial.replace(target)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def tensors_sha256(tensors: Mapping[str, NDArray[np.float32]]) -> str:
    """SHA-256 over names, shapes and little-endian float32 contents, in name order."""
    digest = hashlib.sha256()
    for key in sorted(tensors):
        digest.update(f"{key} {tensors[key].shape}\n".encode())
        digest.update(np.ascontiguousarray(tensors[key], "<f4").tobytes())
    return digest.hexdigest()
