"""Stores of spectrograms, made without any audio."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from streamtag.train.store import Float, Store, Stored, array_file, write_parameters, write_power, write_stored


def store_of(folder: Path, arrays: Mapping[str, np.ndarray], dtype: Float = "float32") -> Store:
    """A store with these arrays of mel power, (frames, 96), by id."""
    tracks = [
        Stored(name, array_file(name), write_power(folder / array_file(name), [array], dtype), f"{name}.wav", 9, 9)
        for name, array in arrays.items()
    ]
    write_parameters(folder, dtype)
    write_stored(folder, tracks)
    return Store.open(folder)
