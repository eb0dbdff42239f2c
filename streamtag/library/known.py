"""What a store has, in memory: which files are done, and where the row of a content is.

About 40 bytes a track, in sorted arrays: paths and contents by 64-bit hashes. That two of ten million have the same is
less likely than one in 300,000; then a file would be taken for another.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from hashlib import blake2b
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streamtag.library.rows import File, Row, path_of, row_of, text_of
from streamtag.library.store import Store

COLUMNS = ("path", "bytes", "modified_ns", "sha256", "again", "tagged", "removed", "error")
MERGED = 50_000
"""Rows that are held as objects until they go to the arrays."""
PLACE = np.dtype(
    [
        ("path", "u8"),
        ("file", "u8"),
        ("content", "u8"),
        ("part", "u4"),
        ("row", "u4"),
        ("tagged", "i8"),
        ("state", "u1"),
    ]
)
MOST_COPIES = 100
"""Of a content, that are looked at for one that is still there."""
LOOK_SECONDS = 10.0
UNSURE_SECONDS = 2.0
"""A folder that was looked at within this time of its last change may have changed again without its time saying so."""
DONE, FAILED, AGAIN, REMOVED = range(4)


def hashed(text: str) -> int:
    """64 bits that stand for a text."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest(), "little")


def _file_hash(path: str, size: int, modified_ns: int) -> int:
    return hashed(f"{path}\0{size}\0{modified_ns}")


def content_hash(sha256: str | None, kind: str) -> int:
    """What is the same for files that are heard alike; 0 for those that cannot be read."""
    return 0 if sha256 is None else hashed(f"{sha256}{kind}") or 1


class Known:
    """The newest row of each path.

    Parameters
    ----------
    store : Store
        The store; read at once.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._parts: list[str] = []
        self._state: tuple[int, ...] | None = None
        self._looked = 0.0
        self._places = np.empty(0, PLACE)
        self._by_content: NDArray[np.uint32] = np.empty(0, np.uint32)
        self._contents: NDArray[np.uint64] = np.empty(0, np.uint64)
        self._newer: dict[int, np.void] = {}
        self._newer_contents: dict[int, list[int]] = {}  # to the paths that have them
        self._cache: tuple[tuple[str, int], pa.Table] | None = None
        self.refresh()

    def refresh(self) -> None:
        """Take in the parts that others have written meanwhile."""
        state = self._store.state()
        if self._is_fresh(state):
            return
        self._state, self._looked = state, time.time()
        there = set(self._parts)
        for part in self._store.parts():
            if part not in there:
                with suppress(FileNotFoundError):  # what has taken its place is of a later time
                    self._take(part)

    def _is_fresh(self, state: tuple[int, ...] | None) -> bool:
        if state is None:  # then it is looked at now and then: what others have written is known a little later
            return time.time() - self._looked < LOOK_SECONDS
        return state == self._state and self._looked - max(state, default=0) / 1e9 > UNSURE_SECONDS

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that were taken in, those that others have replaced since among them."""
        return tuple(self._parts)

    def add(self, part: str) -> None:
        """Take in a part of our own."""
        self._take(part)

    def is_done(self, file: File) -> bool:
        """Whether this very file, as it is now, has a row that holds."""
        place = self._of_path(hashed(text_of(file.path)))
        if place is None or place["state"] not in (DONE, FAILED):
            return False
        return int(place["file"]) == _file_hash(text_of(file.path), file.bytes, file.modified_ns)

    def failed_before(self, file: File) -> bool:
        """Whether a file that `is_done` could not be heard."""
        place = self._of_path(hashed(text_of(file.path)))
        return place is not None and place["state"] == FAILED

    def of_file(self, file: File) -> Row | None:
        """The row of this very file, as it is now; None if there is none that holds."""
        if not self.is_done(file):
            return None
        place = self._of_path(hashed(text_of(file.path)))
        return None if place is None else self.row(int(place["part"]), int(place["row"]))

    def with_content(self, sha256: str, kind: str) -> Row | None:
        """A row of the same content, of whichever path, a removed one where no other is; None if there is none."""
        wanted = content_hash(sha256, kind)
        # one that is there goes before one that is not: a file that comes back was moved from there
        for place in sorted(self._with_content(wanted), key=lambda place: bool(place["state"] == REMOVED)):
            with suppress(FileNotFoundError):
                row = self.row(int(place["part"]), int(place["row"]))
                if row.sha256 == sha256 and row.file.kind == kind:
                    return row
        return None

    def row(self, part: int, number: int) -> Row:
        """A row, by its place."""
        name = self._parts[part]
        with self._store.open(name) as file:
            group, begin = 0, 0
            while number >= begin + file.metadata.row_group(group).num_rows:
                begin += file.metadata.row_group(group).num_rows
                group += 1
            if self._cache is None or self._cache[0] != (name, group):
                self._cache = (name, group), file.read_row_group(group)
        table = self._cache[1]
        return row_of(table.slice(number - begin, 1).to_pylist()[0], self._store.settings)

    def live(self, *, removed: bool = False) -> Iterator[tuple[str, NDArray[np.uint32]]]:
        """Parts with the numbers of the rows in them that hold, in order; without what is removed, if not asked for."""
        self._merge()
        places = self._places if removed else self._places[self._places["state"] != REMOVED]
        order = np.lexsort((places["row"], places["part"]))
        places = places[order]
        bounds = [*np.flatnonzero(np.diff(places["part"].astype(np.int64), prepend=-1)), len(places)]
        for begin, end in pairwise(bounds):
            yield self._parts[int(places["part"][begin])], places["row"][begin:end].copy()

    def __len__(self) -> int:
        """How many paths have a row, removed ones among them."""
        self._merge()
        return len(self._places)

    def _of_path(self, path: int) -> np.void | None:
        if (place := self._newer.get(path)) is not None:
            return place
        places = self._places  # another thread counts while this one puts together
        at = int(np.searchsorted(places["path"], np.uint64(path)))
        if at < len(places) and places["path"][at] == path:
            found: np.void = places[at]
            return found
        return None

    def _with_content(self, wanted: int) -> list[np.void]:
        """The newest rows of some paths that have a content, those written last first."""
        paths = self._newer_contents.get(wanted, [])[::-1]
        contents, by_content, places = self._contents, self._by_content, self._places
        first = int(np.searchsorted(contents, np.uint64(wanted)))
        last = min(int(np.searchsorted(contents, np.uint64(wanted), "right")), first + MOST_COPIES)
        paths += [int(places["path"][by_content[at]]) for at in range(first, last)]
        found = (self._of_path(path) for path in dict.fromkeys(paths))
        return [place for place in found if place is not None and place["content"] == wanted]

    def _take(self, part: str) -> None:
        table = self._store.read(part, COLUMNS)
        number = len(self._parts)
        self._parts.append(part)
        places = np.zeros(len(table), PLACE)
        paths, sizes, times, sums, again = (table[name].to_pylist() for name in COLUMNS[:5])
        kinds = (File(path_of(path), 0, 0).kind for path in paths)
        places["path"] = [hashed(path) for path in paths]
        places["file"] = [_file_hash(*about) for about in zip(paths, sizes, times, strict=True)]
        places["content"] = [content_hash(*about) for about in zip(sums, kinds, strict=True)]
        places["part"], places["row"] = number, np.arange(len(table))
        places["tagged"] = table["tagged"].cast(pa.int64()).to_numpy()
        removed, failed = (np.asarray(table[name].is_valid()) for name in ("removed", "error"))
        places["state"] = np.select([removed, again, failed], [REMOVED, AGAIN, FAILED], DONE)
        if len(places) > MERGED:
            self._merge(places)
            return
        for place in places:
            other = self._of_path(int(place["path"]))
            if other is None or other["tagged"] <= place["tagged"]:
                self._newer[int(place["path"])] = place
            if place["content"]:
                self._newer_contents.setdefault(int(place["content"]), []).append(int(place["path"]))
        if len(self._newer) > MERGED:
            self._merge()

    def _merge(self, more: NDArray[np.void] | None = None) -> None:
        """Newer rows to the arrays: the newest of each path stays."""
        if not self._newer and more is None:
            return
        newer = np.array(list(self._newer.values()), PLACE)
        places = np.concatenate([self._places, newer, *(() if more is None else (more,))])
        places = places[np.lexsort((places["tagged"], places["path"]))]
        last = np.append(places["path"][1:] != places["path"][:-1], True)[: len(places)]
        self._places = places[last]
        self._newer, self._newer_contents = {}, {}
        order = np.argsort(self._places["content"], kind="stable").astype(np.uint32)
        self._by_content = order[np.searchsorted(self._places["content"][order], 1) :]
        self._contents = self._places["content"][self._by_content]
