"""Several runs on one store: each takes a track before it works on it, and nobody else then does.

A claim is a lock on one byte of one file, at a place that the track's path says. Such locks end with the process that
holds them, however it ends, so that nothing has to be cleaned up after a crash; systems keep them on network shares,
too. Nothing is ever written there.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from streamtag.files.outputs import writing

PLACES = 1 << 62
TIDYING = PLACES + 1
"""Who holds this one puts parts together."""


class Claims:
    """The claims of one run.

    Parameters
    ----------
    path : Path or None
        The file; made if it is not there. None where there can be none.

    Attributes
    ----------
    possible : bool
        Whether the file system knows such locks; if not, every claim is granted.
    """

    def __init__(self, path: Path | None) -> None:
        self._held: set[int] = set()
        self._file: int | None = None
        self.possible = path is not None
        if path is not None:
            with writing(path):
                self._file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)

    def take(self, place: int) -> bool:
        """Whether it is ours now; not if another run has it, or this one already."""
        place = place if place == TIDYING else place % PLACES
        if place in self._held:
            return False
        try:
            if self._file is not None:
                _lock(self._file, place)
        except (BlockingIOError, PermissionError):  # EAGAIN, EACCES: somebody's
            return False
        except OSError:
            self.possible = False
        self._held.add(place)
        return True

    def release(self, place: int) -> None:
        """Give one back."""
        place = place if place == TIDYING else place % PLACES
        self._held.discard(place)
        if self._file is not None:
            with suppress(OSError):
                _unlock(self._file, place)

    def close(self) -> None:
        """Give all back."""
        if self._file is not None:
            os.close(self._file)


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int, place: int) -> None:
        os.lseek(file, place % (1 << 31), os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)

    def _unlock(file: int, place: int) -> None:
        os.lseek(file, place % (1 << 31), os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(file: int, place: int) -> None:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)

    def _unlock(file: int, place: int) -> None:
        fcntl.lockf(file, fcntl.LOCK_UN, 1, place)
