"""Published musicnn checkpoints (TensorFlow 1) into streamtag's weights. The only code that must have TensorFlow."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import numpy as np

from streamtag.decoding.regular import unopenable
from streamtag.errors import CheckpointError
from streamtag.inference.networks.specs import SPECS, TEMPORAL_FRAMES, TIMBRAL_BANDS, ModelSpec
from streamtag.inference.networks.weights import Tensors, write_weights

LICENCE = "ISC, Copyright (c) Music Technology Group, Universitat Pompeu Fabra 2019 (see LICENSE-musicnn.md)"
INDEX = ".index"
DATA = ".data-00000-of-00001"
READ_ERRORS = (ValueError, RuntimeError, IndexError)
"""What TensorFlow's reader raises, besides its own errors, for files that were cut or changed."""
UNZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError)
"""What zipfile raises for files that were cut or changed, encrypted, or packed in a way that it does not know."""
BATCH_NORM = ("gamma", "beta", "moving_mean", "moving_variance")


def import_models(source: Path, folder: Path, only: str | None = None) -> list[Path]:
    """Convert every checkpoint found in `source` and write it into `folder`.

    Parameters
    ----------
    source : Path
        A checkpoint's folder, a folder of such folders, or the musicnn wheel. A checkpoint's folder is named after its
        model (``MSD_musicnn``) and holds ``.index`` and ``.data-00000-of-00001``.
    folder : Path
        Where the safetensors files go.
    only : str or None
        Import this model and no other; with a folder that is itself a checkpoint, its model.

    Returns
    -------
    list of Path
        The files that were written.

    Raises
    ------
    CheckpointError
        Nothing to import, or a variable is missing, has another shape, or is damaged.
    """
    with _unpacked(source) as root:
        found = [(root, only)] if only and (root / INDEX).is_file() else list(_checkpoints(root, only))
        if not found:
            raise CheckpointError(
                f"{source}: no checkpoint of {only or ', '.join(SPECS)} in it. Wanted: a folder named after the model, "
                f"with the files {INDEX} and {DATA}, or the musicnn-0.1.0 wheel"
            )
        converted = [
            (SPECS[name or ""], read_checkpoint(path, SPECS[name or ""]), _sha256(path)) for path, name in found
        ]
    return [
        write_weights(
            folder,
            spec,
            tensors,
            {"source": f"{source.name} ({spec.name})", "source_sha256": digest, "licence": LICENCE},
        )
        for spec, tensors, digest in converted
    ]


def read_checkpoint(path: Path, spec: ModelSpec) -> Tensors:
    """Read a TensorFlow 1 checkpoint folder as float32 arrays under the names of the Keras architecture.

    Optimiser slots and counters are left out. Convolution kernels lose the axes that musicnn kept at length 1.

    Raises
    ------
    CheckpointError
        Unreadable, or a variable is missing or has another shape than the architecture's.
    """
    from streamtag.inference.networks.network import import_tensorflow, layer_shapes

    tf = import_tensorflow()
    for part in (INDEX, DATA):
        if not (path / part).is_file():
            raise CheckpointError(f"{path}: the file {part} is missing")
    try:
        reader = tf.compat.v1.train.NewCheckpointReader(f"{path}/")
        variables = reader.get_variable_to_shape_map()
    except (tf.errors.OpError, *READ_ERRORS) as error:
        raise CheckpointError(f"{path}: not a TensorFlow checkpoint, or damaged ({first_line(error)})") from error

    names = published_names(spec)
    wanted = layer_shapes(spec)
    tensors: Tensors = {}
    for key, shape in wanted.items():
        published = names[key]
        if published not in variables:
            raise CheckpointError(f"{path}: not a checkpoint of {spec.name}: the variable {published} is missing")
        stored = tuple(variables[published])
        if tuple(n for n in stored if n != 1) != tuple(n for n in shape if n != 1):
            raise CheckpointError(
                f"{path}: not a checkpoint of {spec.name}: {published} has shape {stored}, "
                f"and {shape} is needed for {key}"
            )
        try:
            value = reader.get_tensor(published)
        except (tf.errors.OpError, *READ_ERRORS) as error:
            raise CheckpointError(f"{path}: {published} is damaged ({first_line(error)})") from error
        if not np.all(np.isfinite(value)):
            raise CheckpointError(f"{path}: {published} holds NaN or infinite values")
        tensors[key] = np.ascontiguousarray(value.reshape(shape), np.float32)
    return tensors


def published_names(spec: ModelSpec) -> dict[str, str]:
    """Our ``layer/variable`` to the published variable's name.

    musicnn let TensorFlow number its layers in the order they were made: ``conv2d``, ``conv2d_1``, ...
    """
    if spec.family == "vgg":
        convolutions = {f"cnn{n}_conv": f"{n}CNN" for n in range(1, 6)}
        norms = ["input_norm", *(f"cnn{n}_norm" for n in range(1, 6))]
        dense = ["tags"]
    else:
        branches = [*(f"timbral_{n}" for n in TIMBRAL_BANDS), *(f"temporal_{n}" for n in TEMPORAL_FRAMES)]
        stages = [*branches, "midend_1", "midend_2", "midend_3"]
        convolutions = {f"{stage}_conv": _numbered("conv2d", n) for n, stage in enumerate(stages)}
        norms = ["input_norm", *(f"{stage}_norm" for stage in stages), "pool_norm", "penultimate_norm"]
        dense = ["penultimate_dense", "tags"]
    layers = {
        **{layer: (name, ("kernel", "bias")) for layer, name in convolutions.items()},
        **{layer: (_numbered("batch_normalization", n), BATCH_NORM) for n, layer in enumerate(norms)},
        **{layer: (_numbered("dense", n), ("kernel", "bias")) for n, layer in enumerate(dense)},
    }
    return {
        f"{layer}/{variable}": f"{name}/{variable}"
        for layer, (name, variables) in layers.items()
        for variable in variables
    }


def _numbered(name: str, n: int) -> str:
    return f"{name}_{n}" if n else name


def _checkpoints(root: Path, only: str | None) -> Iterator[tuple[Path, str]]:
    for index in sorted(root.rglob(INDEX)):
        name = index.parent.resolve().name
        if name in SPECS and only in (None, name):
            yield index.parent, name


@contextmanager
def _unpacked(source: Path) -> Iterator[Path]:
    """The folder itself, or a temporary one with the checkpoints of a wheel."""
    if os.path.isdir(source):  # noqa: PTH112 - Path.is_dir raises for some names
        yield source
        return
    if (why := unopenable(source)) is not None:
        raise CheckpointError(
            f"{source}: {why}; expected a checkpoint's folder, a folder of them, or the musicnn wheel"
        )
    with tempfile.TemporaryDirectory() as folder:
        try:
            _unpack(source, Path(folder))
        except UNZIP_ERRORS as error:
            raise CheckpointError(f"{source}: neither a folder nor a readable wheel ({error})") from error
        yield Path(folder)


def _unpack(source: Path, folder: Path) -> None:
    with zipfile.ZipFile(source) as wheel:
        for member in wheel.infolist():
            parts = PurePosixPath(member.filename).parts
            # only what a checkpoint consists of, and only under names we choose ourselves
            if len(parts) >= 2 and parts[-2] in SPECS and parts[-1] in (INDEX, DATA):
                target = folder / parts[-2] / parts[-1]
                target.parent.mkdir(exist_ok=True)
                target.write_bytes(wheel.read(member))


def _sha256(path: Path) -> str:
    with (path / DATA).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def first_line(error: Exception) -> str:
    """An error of TensorFlow's, on one line and not too long."""
    return re.sub(r"\s+", " ", str(error))[:160]
