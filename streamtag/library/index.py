"""For libraries that are too large to be compared whole each time: an index of faiss, which finds almost all.

Vectors lie in cells around centres (an inverted file), a byte for each number; of a query's nearest cells all vectors
are compared, and what is found is then scored exactly. Figures: docs/library.md.
"""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamtag.files.outputs import replacing, writing
from streamtag.library.store import Store
from streamtag.library.vectors import Array, Live, kept_path

LEAST = 300_000
"""Tracks from which an index is worth its making: fewer are compared whole in a tenth of a second."""
TRAINED = 100_000
"""Vectors that the centres are found from."""
PROBED = 64
"""Cells that are looked into."""
SPARE = 4
"""As many times more are found as are asked for, since their order is that of rounded vectors."""
AT_ONCE = 1 << 16


def is_worth_it(tracks: Live) -> bool:
    """Whether there are so many tracks that an index is made, if faiss is there."""
    return len(tracks.places) > LEAST


def is_installed() -> bool:
    """Whether faiss is there."""
    return find_spec("faiss") is not None


def nearest(
    store: Store, tracks: Live, name: str, matrix: Array, wanted: Array, count: int
) -> tuple[NDArray[np.int64], Array]:
    """The tracks whose vectors are nearest to one, best first, with their cosines; a few may be missed.

    Parameters
    ----------
    store : Store
        The library.
    tracks : Live
        Its tracks.
    name : str
        What they are compared by.
    matrix : ndarray of float32, shape (tracks, units)
        Their unit vectors.
    wanted : ndarray of float32, shape (units,)
        A unit vector.
    count : int
        How many.

    Returns
    -------
    numbers : ndarray of int64
        The tracks.
    scores : ndarray of float32
        Their cosines.

    Raises
    ------
    SinkError
        An index cannot be written.
    """
    path = kept_path(store, tracks.parts, f"{name}.faiss", lambda path: write_index(path, matrix))
    return nearest_in(path, matrix, wanted, count)


def nearest_in(path: Path, matrix: Array, wanted: Array, count: int) -> tuple[NDArray[np.int64], Array]:
    """As `nearest`, with the index in this file."""
    import faiss

    index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)
    faiss.extract_index_ivf(index).nprobe = PROBED
    _, found = index.search(np.ascontiguousarray(wanted[None], np.float32), min(SPARE * count, len(matrix)))
    numbers = np.sort(found[0][found[0] >= 0])
    scores: Array = np.asarray(matrix[numbers] @ wanted, np.float32)
    order = np.argsort(-scores, kind="stable")[:count]
    return numbers[order], scores[order]


def write_index(path: Path, matrix: Array) -> None:
    """Make an index of unit vectors, in this file (errors: SinkError)."""
    import faiss

    cells = int(4 * math.sqrt(len(matrix)))
    index: Any = faiss.index_factory(matrix.shape[1], f"IVF{cells},SQ8", faiss.METRIC_INNER_PRODUCT)
    chosen = np.random.default_rng(0).choice(len(matrix), min(TRAINED, len(matrix)), replace=False)
    index.train(np.ascontiguousarray(matrix[np.sort(chosen)]))
    for begin in range(0, len(matrix), AT_ONCE):
        index.add(np.ascontiguousarray(matrix[begin : begin + AT_ONCE]))
    with replacing(path) as file, writing(path):
        file.write(faiss.serialize_index(index).tobytes())
