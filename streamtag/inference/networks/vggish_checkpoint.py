"""Google's published checkpoint of VGGish into streamtag's weights. TensorFlow reads it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from streamtag.errors import CheckpointError
from streamtag.inference.networks.checkpoint import READ_ERRORS, first_line
from streamtag.inference.networks.published import VGGISH_SPEC
from streamtag.inference.networks.vggish import SHAPES
from streamtag.inference.networks.weights import Tensors, write_weights

SCOPE = "vggish/"
DATA = ".data-00000-of-00001"


def import_vggish(path: Path, folder: Path) -> Path:
    """Convert a checkpoint of VGGish (``vggish_model.ckpt``, one file or with ``.index`` and ``.data``).

    Parameters
    ----------
    path : Path
        The checkpoint.
    folder : Path
        Where the weights go.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    CheckpointError
        Not a checkpoint of VGGish, or a damaged one.
    ModelError
        It cannot be written.
    """
    tensors = read_vggish(path)
    data = path if path.is_file() else path.with_name(path.name + DATA)
    with data.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    origin = {"source": path.name, "source_sha256": digest, "licence": VGGISH_SPEC.licence}
    return write_weights(folder, VGGISH_SPEC, tensors, origin)


def read_vggish(path: Path) -> Tensors:
    """The variables of a checkpoint, by their published names without the scope.

    Raises
    ------
    CheckpointError
        Unreadable; or a variable is missing, has another shape, or holds what is no number.
    """
    from streamtag.inference.networks.network import import_tensorflow

    tf = import_tensorflow()
    if path.suffix == ".index":
        path = path.with_suffix("")
    if not (path.is_file() or path.with_name(path.name + ".index").is_file()):
        raise CheckpointError(f"{path}: there is no such checkpoint")
    try:
        reader = tf.compat.v1.train.NewCheckpointReader(str(path))
        stored = {name: tuple(shape) for name, shape in reader.get_variable_to_shape_map().items()}
        tensors: Tensors = {}
        for name, shape in SHAPES.items():
            found = stored.get(SCOPE + name)
            if found != shape:
                what = "is missing" if found is None else f"has shape {found}, and {shape} is needed"
                raise CheckpointError(f"{path}: not a checkpoint of VGGish: {SCOPE}{name} {what}")
            value = np.ascontiguousarray(reader.get_tensor(SCOPE + name), np.float32)
            if not np.all(np.isfinite(value)):
                raise CheckpointError(f"{path}: {SCOPE}{name} holds NaN or infinite values")
            tensors[name] = value
    except (tf.errors.OpError, *READ_ERRORS) as error:
        raise CheckpointError(f"{path}: not a TensorFlow checkpoint, or damaged ({first_line(error)})") from error
    return tensors
