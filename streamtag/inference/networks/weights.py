"""Weights files: reading them, writing them.

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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from streamtag.errors import ModelError, WeightsDamagedError
from streamtag.inference.networks.published import PUBLISHED
from streamtag.inference.networks.specs import Family, ModelSpec

FORMAT = "streamtag-weights-1"
NEEDED = {"model", "source", "source_sha256", "licence", "tensors_sha256"}
"""Of the metadata, what others rely on."""
MOST_LABELS = 100_000
"""More would be no list of labels, but somebody's idea of a joke."""
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


def stored_spec(name: str, path: Path, metadata: Mapping[str, str]) -> ModelSpec:
    """What a weights file says of its model.

    Parameters
    ----------
    name : str
        How the model is called here.
    path : Path
        The file.
    metadata : mapping of {str: str}
        What `read_metadata` gave.

    Returns
    -------
    ModelSpec
        That of the published model, if it is one's.

    Raises
    ------
    WeightsDamagedError
        What it says is no description of a model.
    """
    if "trained" not in metadata:
        if metadata["model"] not in PUBLISHED:
            raise WeightsDamagedError(f"{path}: of {metadata['model']!r}, which is no model that is known here")
        return replace(PUBLISHED[metadata["model"]], name=name)
    try:
        about = json.loads(metadata["architecture"])
        labels = json.loads(metadata["labels"])
        numbers = [about[key] for key in ("filters", "embedding_size", "frames", "bands")] + [
            int(metadata["parameters"])
        ]
        scores = [float(metadata[key]) for key in ("roc_auc", "pr_auc")]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise WeightsDamagedError(f"{path}: does not describe its model ({error})") from error
    proper = (
        about["family"] in get_args(Family)
        and about.get("residuals") in ("norm", "convolution")
        and all(type(number) is int and 0 < number < 2**31 for number in numbers)
        and isinstance(labels, list)
        and 0 < len(labels) <= MOST_LABELS
        and all(isinstance(label, str) and label for label in labels)
        and len(set(labels)) == len(labels)
    )
    if not proper:
        raise WeightsDamagedError(f"{path}: what it says of its model cannot be: {metadata['architecture'][:200]}")
    return ModelSpec(
        name=name,
        family=about["family"],
        dataset=metadata.get("dataset", ""),
        labels=tuple(labels),
        parameters=numbers[4],
        filters=numbers[0],
        embedding_size=numbers[1],
        roc_auc=scores[0],
        pr_auc=scores[1],
        frames=numbers[2],
        bands=numbers[3],
        residuals=about["residuals"],
        trained=True,
    )


def read_weights(path: Path, spec: ModelSpec) -> Weights:
    """Read and verify one weights file against its own checksum and the model's name."""
    metadata = read_metadata(path)
    if not spec.trained and spec.name in PUBLISHED and metadata.get("model") != spec.name:
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
    path = folder / f"{spec.name}.safetensors"
    write_model(path, spec, tensors, {"model": spec.name, **origin})
    return path


def write_model(path: Path, spec: ModelSpec, tensors: Tensors, origin: Mapping[str, str]) -> None:
    """Write a model as a file of its own, with all that is known of it.

    Parameters
    ----------
    path : Path
        The file; its folder is made if it is not there.
    spec : ModelSpec
        The model.
    tensors : dict of {str: ndarray of float32}
        Arrays by ``layer/variable``.
    origin : mapping of {str: str}
        As for `write_weights`, and `model`, its name.

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
    if spec.trained:
        architecture |= {"frames": spec.frames, "bands": spec.bands, "residuals": spec.residuals}
    metadata = {
        "format": FORMAT,
        "architecture": json.dumps(architecture),
        "labels": json.dumps(spec.labels),
        "dataset": spec.dataset,
        "parameters": str(sum(tensor.size for tensor in tensors.values())),
        "roc_auc": str(spec.roc_auc),
        "pr_auc": str(spec.pr_auc),
        "tensors_sha256": tensors_sha256(tensors),
        **({"trained": "1"} if spec.trained else {}),
        **origin,
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_whole(tensors, path, metadata)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from error


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
