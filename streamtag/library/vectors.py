"""One vector for each track of a library, side by side in a file that is mapped into memory, made when first used.

It lies in STORE/search (or, where nothing can be written there, in the user's cache) under a name that says which parts
it was made from, and may be removed at any time.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamtag._system.places import user_cache
from streamtag.errors import OptionError, SinkError
from streamtag.files.outputs import replacing
from streamtag.library.known import Known, hashed
from streamtag.library.store import SEARCH, Store

Array = NDArray[np.float32]
TAGGRAM = "taggram"
"""The name of the mean tags, among the features."""
PLACE = np.dtype([("part", "u4"), ("row", "u4")])
FORMAT = 1


@dataclass(frozen=True, slots=True, eq=False)
class Live:
    """The tracks that were heard and are there, in the order of their vectors.

    Attributes
    ----------
    parts : list of str
        The parts of the store,
    places : structured array of (part, row)
        and where each track's row is in them, sorted.
    """

    parts: list[str]
    places: NDArray[np.void]

    def __iter__(self) -> Iterator[tuple[str, int, NDArray[np.uint32]]]:
        """Each part with the number of its first track, and the rows."""
        bounds = [*np.flatnonzero(np.diff(self.places["part"].astype(np.int64), prepend=-1)), len(self.places)]
        for begin, end in pairwise(bounds):
            yield self.parts[int(self.places["part"][begin])], int(begin), self.places["row"][begin:end]


def names_of(store: Store) -> tuple[str, ...]:
    """What tracks of a store can be compared by."""
    return (*store.settings.features, *([TAGGRAM] if store.settings.labels else []))


def live(store: Store) -> Live:
    """The tracks that vectors are of."""
    parts = store.parts()
    places = _kept(store, parts, "live", lambda path: _write_live(store, parts, path))
    return Live(parts, places)


def vectors(store: Store, tracks: Live, name: str) -> Array:
    """A unit vector for each track: their inner products are cosines.

    Parameters
    ----------
    store : Store
        The library.
    tracks : Live
        Its tracks.
    name : str
        One of `names_of`.

    Returns
    -------
    ndarray of float32, shape (tracks, units)
        Mapped from a file.

    Raises
    ------
    OptionError
        The store does not have it.
    """
    if name not in names_of(store):
        raise OptionError(f"--by {name}: this library has {', '.join(names_of(store))}")
    found: Array = _kept(store, tracks.parts, name, lambda path: _write_vectors(store, tracks, name, path))
    return found


def unit(vector: Any) -> Array:
    """A vector, or several, with the length 1."""
    array = np.asarray(vector, np.float32)
    length = np.linalg.norm(array, axis=-1, keepdims=True)
    divided: Array = array / np.maximum(length, np.finfo(np.float32).tiny)
    return divided


def places_of(store: Store, tracks: Live, column: str, values: Collection[str]) -> NDArray[np.int64]:
    """The tracks whose path or checksum is one of some values; by 64 bits of each, which are kept."""
    hashes = _kept(store, tracks.parts, column, lambda path: _write_hashes(store, tracks, column, path))
    wanted = np.array([hashed(value) for value in values], np.uint64)
    return np.flatnonzero(np.isin(hashes, wanted))


def kept_path(store: Store, parts: list[str], file: str, write: Callable[[Path], None]) -> Path:
    """A file that is kept for these parts of a store, made if it is not there (errors: SinkError)."""
    own = None if store.folder.path is None else store.folder.path / SEARCH
    place = str(store.folder) if own is None else str(own.resolve())
    mark = hashlib.sha256("\n".join((str(FORMAT), place, *parts)).encode()).hexdigest()[:16]
    cache = user_cache()
    folders = [folder for folder in (own, None if cache is None else cache / SEARCH) if folder is not None]
    for folder in folders:
        if (folder / mark / file).is_file():
            return folder / mark / file
    for folder in folders:
        try:
            with suppress(OSError):
                (folder / mark).mkdir(parents=True, exist_ok=True)
            write(folder / mark / file)
        except SinkError:
            if folder is folders[-1]:
                raise
            continue
        if folder == own:
            _forget_others(folder, mark)
        return folder / mark / file
    raise SinkError(f"{store.folder}: there is no folder in which the vectors for a search could be kept")


def _kept(store: Store, parts: list[str], name: str, write: Callable[[Path], None]) -> Any:
    path = kept_path(store, parts, f"{name}.npy", write)
    try:
        return np.load(path, mmap_mode="r")
    except (OSError, ValueError):  # damaged, or empty, which cannot be mapped
        write(path)
        return np.load(path)


def _forget_others(folder: Path, mark: str) -> None:
    """What was made from parts of before."""
    for other in folder.iterdir():
        if other.name != mark:
            shutil.rmtree(other, ignore_errors=True)


def _write_live(store: Store, parts: list[str], path: Path) -> None:
    numbers = {part: number for number, part in enumerate(parts)}
    found = [np.empty(0, PLACE)]
    for part, rows in Known(store).live():
        if part not in numbers:
            continue
        heard = np.asarray(store.read(part, ["error"])["error"].is_null())
        places = np.empty(int(heard[rows].sum()), PLACE)
        places["part"], places["row"] = numbers[part], rows[heard[rows]]
        found.append(places)
    places = np.concatenate(found)
    with replacing(path) as file:
        np.save(file, places[np.lexsort((places["row"], places["part"]))])


def _write_hashes(store: Store, tracks: Live, column: str, path: Path) -> None:
    hashes = [np.empty(0, np.uint64)]
    for part, _, rows in tracks:
        values = store.read(part, [column])[column].take(rows).to_pylist()
        hashes.append(np.array([hashed(value) for value in values], np.uint64))
    with replacing(path) as file:
        np.save(file, np.concatenate(hashes))


def _write_vectors(store: Store, tracks: Live, name: str, path: Path) -> None:
    size = len(store.settings.labels) if name == TAGGRAM else store.settings.sizes[name]
    with replacing(path) as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (len(tracks.places), size)}
        np.lib.format.write_array_header_2_0(file, header)
        for part, _, rows in tracks:
            column = "tags" if name == TAGGRAM else name
            values = store.read(part, [column])[column].take(rows).combine_chunks()
            flat = values.flatten()
            array = np.stack([one.to_numpy() for one in flat], 1) if name == TAGGRAM else flat.to_numpy()
            file.write(unit(array.reshape(len(rows), size)).tobytes())
