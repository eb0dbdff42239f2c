"""The embedding for visuals: smoothed, and as three coordinates that mean the same every night.

An embedding has hundreds of numbers and trembles: within a second it goes ten times as far as it gets. A picture wants
few that glide. The three coordinates are the principal components of embeddings (each of length 1, as the cosine sees
them) over reference music (models/README.md), learned once and shipped beside the model.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from streamtag.dsp.params import is_number
from streamtag.errors import ModelError, OptionError
from streamtag.heads.file import arrays_sha256
from streamtag.inference.networks.catalogue import model_folders, weights_sha256
from streamtag.inference.networks.specs import ModelSpec
from streamtag.inference.networks.weights import save_whole

FORMAT = "streamtag-coordinates-1"
SUFFIX = ".xyz"
SMOOTH_SECONDS = 1.0
"""Time constant of coordinates where none is given for the embedding."""
SOFTNESS = 1.5
"""Standard deviations of the reference that are tanh(1) = 0.76: nothing reaches -1 or 1."""

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Coordinates:
    """From a model's embeddings to three coordinates.

    Attributes
    ----------
    mean : ndarray of float32, shape (units,)
        Of the reference's embeddings of length 1.
    axes : ndarray of float32, shape (3, units)
        Principal components, each divided by its standard deviation there.
    """

    mean: Array
    axes: Array

    def __call__(self, embedding: Array) -> Array:
        """Coordinates, -1..1, of an embedding (units,); those of none at all are 0.

        Returns
        -------
        ndarray of float32, shape (3,)
            x, y and z.
        """
        length = float(np.linalg.norm(embedding))
        if length == 0:
            return np.zeros(3, np.float32)
        return np.tanh(self.axes @ (embedding / np.float32(length) - self.mean) / np.float32(SOFTNESS))


def write_coordinates(path: Path, coordinates: Coordinates, model: str, facts: str) -> None:
    """Write coordinates: one small safetensors file.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    arrays = {"mean": coordinates.mean, "axes": np.ascontiguousarray(coordinates.axes)}
    about = {"format": FORMAT, "model_sha256": weights_sha256(model), "facts": facts}
    save_whole(arrays, path, about | {"sha256": arrays_sha256(facts, arrays)})


@lru_cache(maxsize=8)
def shipped_coordinates(spec: ModelSpec) -> Coordinates | None:
    """Those installed beside a model's weights; None if there are none, or they are of other weights.

    Raises
    ------
    ModelError
        A file that is there, and cannot be used.
    """
    for folder in model_folders():
        path = folder / f"{spec.name}{SUFFIX}"
        if path.is_file():
            return _read(path, spec)
    return None


def _read(path: Path, spec: ModelSpec) -> Coordinates | None:
    try:
        with safe_open(path, framework="np") as file:
            metadata: dict[str, str] = file.metadata() or {}
            arrays = {key: file.get_tensor(key) for key in sorted(file.keys())}
    except (SafetensorError, OSError, struct.error, ValueError, TypeError) as error:
        raise ModelError(
            f"{path}: no coordinates, or damaged ({error}): remove it, or install streamtag again"
        ) from error
    shapes = {key: value.shape for key, value in arrays.items()}
    if (
        metadata.get("format") != FORMAT
        or shapes != {"mean": (spec.embedding_size,), "axes": (3, spec.embedding_size)}
        or metadata.get("sha256") != arrays_sha256(metadata.get("facts", ""), arrays)
    ):
        raise ModelError(f"{path}: not the coordinates of {spec.name}: remove it, or install streamtag again")
    return Coordinates(**arrays) if metadata.get("model_sha256") == weights_sha256(spec.name) else None


class EmbeddingFollower:
    """The embedding and the coordinates of one stream, smoothed. For one thread at a time.

    Parameters
    ----------
    coordinates : Coordinates or None
        Those of the model.
    smooth : float
        Time constant of the embedding in seconds; 0 for none.

    Raises
    ------
    OptionError
        A time constant that is none.
    """

    def __init__(self, coordinates: Coordinates | None, smooth: float) -> None:
        if not (is_number(smooth) and smooth >= 0):
            raise OptionError(f"embedding_smooth {smooth!r} s: expected 0 or more seconds")
        self._coordinates = coordinates
        self._smooth = smooth
        self.reset()

    def reset(self) -> None:
        """The next embedding is taken as it is."""
        self.embedding: Array | None = None
        self._place: Array | None = None

    @property
    def xyz(self) -> tuple[float, float, float] | None:
        """The coordinates now; None where the model has none."""
        if self._place is None:
            return None
        x, y, z = self._place.tolist()
        return x, y, z

    def update(self, embedding: Array, seconds: float) -> Array:
        """Take the next embedding (units,), `seconds` after the last; the smoothed one."""
        if self._coordinates is not None:
            self._place = _towards(self._place, self._coordinates(embedding), seconds, self._smooth or SMOOTH_SECONDS)
        self.embedding = _towards(self.embedding, embedding, seconds, self._smooth)
        return self.embedding


def _towards(now: Array | None, target: Array, seconds: float, smooth: float) -> Array:
    if now is None or smooth == 0:
        return target
    return target + np.float32(math.exp(-seconds / smooth)) * (now - target)
