"""A file as a decoder shall see it: perhaps without what lies before or behind the sound, or with another header."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Part:
    """What of a file is given to a decoder.

    Attributes
    ----------
    path : Path
        The file.
    start : int
        Its first byte.
    stop : int or None
        Where it ends; None for the end of the file.
    patches : mapping of {int: bytes}
        Bytes of the file, by their position in it, that are shown otherwise.
    """

    path: Path
    start: int = 0
    stop: int | None = None
    patches: Mapping[int, bytes] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether it is the file as it lies there."""
        return not self.start and self.stop is None and not self.patches

    def open(self) -> PartFile:
        """Open it (errors: OSError)."""
        return PartFile(self)


class PartFile(io.RawIOBase):
    """A `Part`, opened: a binary file with positions of its own.

    Parameters
    ----------
    part : Part
        What of which file.
    """

    def __init__(self, part: Part) -> None:
        self._file = part.path.open("rb")
        self._part = part
        size = self._file.seek(0, io.SEEK_END)
        self._stop = size if part.stop is None else min(part.stop, size)
        self.size = max(0, self._stop - part.start)
        self._file.seek(part.start)

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Read up to as many bytes; all if negative."""
        at = self._file.tell()
        left = max(0, self._stop - at)
        data = self._file.read(left if size < 0 else min(size, left))
        for where, patch in self._part.patches.items():
            first, last = max(where, at), min(where + len(patch), at + len(data))
            if first < last:
                data = data[: first - at] + patch[first - where : last - where] + data[last - at :]
        return data

    def readinto(self, buffer: Any, /) -> int:
        """Read into a buffer, and give the number of bytes."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a place, counted as in any file."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: self.size}[whence]
        return self._file.seek(self._part.start + max(0, base + offset)) - self._part.start

    def tell(self) -> int:
        """Where it is."""
        return self._file.tell() - self._part.start

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            self._file.close()
        super().close()
