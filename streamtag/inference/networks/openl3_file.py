"""The published files of OpenL3 (Keras' weights in HDF5) into streamtag's weights. h5py reads them; nothing is run."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np

from streamtag.errors import CheckpointError, MissingExtraError
from streamtag.inference.networks.openl3 import shapes
from streamtag.inference.networks.published import OPENL3_SPECS, openl3_name
from streamtag.inference.networks.weights import Tensors, write_weights

NAME = re.compile(r"openl3_audio_(linear|mel128|mel256)_(music|env)(-v[\d_]+)?\.h5")


def is_openl3(path: Path) -> bool:
    """Whether a file is called as the published ones are."""
    return NAME.fullmatch(path.name) is not None


def import_openl3(path: Path, folder: Path) -> list[Path]:
    """Convert ``openl3_audio_{linear,mel128,mel256}_{music,env}.h5`` to two models, of 6144 and of 512 numbers.

    Parameters
    ----------
    path : Path
        The file.
    folder : Path
        Where the weights go.

    Returns
    -------
    list of Path
        The files that were written.

    Raises
    ------
    CheckpointError
        Called otherwise, not such a file, or a damaged one.
    MissingExtraError
        h5py is not installed.
    ModelError
        They cannot be written.
    """
    named = NAME.fullmatch(path.name)
    if named is None:
        raise CheckpointError(f"{path}: expected a name as openl3_audio_mel256_music.h5, which says what is in it")
    tensors = read_openl3(path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    written = []
    for size in (6144, 512):
        spec = OPENL3_SPECS[openl3_name(named[1], named[2], size)]
        origin = {"source": path.name, "source_sha256": digest, "licence": spec.licence}
        written.append(write_weights(folder, spec, tensors, origin))
    return written


def read_openl3(path: Path) -> Tensors:
    """The variables of a file, by our names.

    Keras keeps them in the order of the layers, whatever those were called. Files of the first releases begin with the
    spectrogram's own arrays, which are formulas.

    Raises
    ------
    CheckpointError
        Unreadable, or it holds something else.
    MissingExtraError
        h5py is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError(f"a file of Keras' ({error})", "tensorflow") from error
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such file")
    try:
        with h5py.File(path, "r") as file:
            stored = _in_order(file.get("model_weights", file))
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise CheckpointError(f"{path}: not a file of Keras' weights, or damaged ({error})") from error
    wanted = shapes()
    extra = len(stored) - len(wanted)
    values = stored[max(0, extra) :]
    if extra < 0 or [value.shape for value in values] != list(wanted.values()):
        raise CheckpointError(f"{path}: {len(stored)} arrays, which are not those of an audio network of OpenL3")
    if not all(np.all(np.isfinite(value)) for value in values):
        raise CheckpointError(f"{path}: holds NaN or infinite values")
    return dict(zip(wanted, values, strict=True))


def _in_order(group: Any) -> list[np.ndarray]:
    """All arrays, layer by layer."""
    found = []
    for layer in group.attrs["layer_names"]:
        of_layer = group[_text(layer)]
        for name in of_layer.attrs["weight_names"]:
            found.append(np.ascontiguousarray(of_layer[_text(name)][()], np.float32))
    return found


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
