"""Whole lines to a pipe or a file that may be blocked, full for a while, or gone."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import IO

from streamtag.errors import SinkError


class LineWriter:
    """Writes lines at once and whole, and survives a full disk.

    A line that cannot be written is dropped and counted. What is left of one that was begun goes before anything else,
    so that no line is torn but perhaps the very last.

    A stream that is a file, a pipe or a terminal is written past Python's buffer: a thread that is stuck in that
    buffer holds its lock, and the interpreter, which wants the lock to flush at its exit, aborts.

    Parameters
    ----------
    stream : text file
        Where the lines go; left open.

    Attributes
    ----------
    drops : int
        Lines that are missing.
    """

    def __init__(self, stream: IO[str]) -> None:
        self.drops = 0
        self._stream = stream
        self._plain = _plain(stream)
        self._rest = b""  # of a line that was begun
        self._error: OSError | None = None  # the first

    def open(self) -> None:
        """Let what was written through the buffer go first.

        Raises
        ------
        SinkError
            If it does not.
        """
        try:
            self._stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise SinkError(f"cannot write to {self._name}: {error.strerror or error}") from error

    def write(self, line: str) -> None:
        """Write a line.

        Raises
        ------
        BrokenPipeError
            If the reader has left.
        """
        if self._plain is None:
            self.drops += not self._attempt(lambda: print(line, file=self._stream, flush=True))
            return
        data = f"{line}\n".encode(self._plain.encoding, self._plain.errors or "strict")
        if self._attempt(self._push):
            self._rest = data
            try:
                self._attempt(self._push)
            finally:
                begun = len(self._rest) < len(data)
                if not begun:
                    self._rest = b""
            if begun:
                return
        self.drops += 1

    def close(self) -> None:
        """Write what is left.

        Raises
        ------
        SinkError
            If lines are missing.
        """
        if not self._attempt(self._stream.flush if self._plain is None else self._push) and self._rest:
            self.drops += 1
            self._rest = b""
        error, self._error = self._error, None
        if error is not None and self.drops:
            missing = "1 line is missing" if self.drops == 1 else f"{self.drops} lines are missing"
            raise SinkError(f"cannot write to {self._name}: {error.strerror or error}; {missing}") from error

    @property
    def _name(self) -> object:
        return getattr(self._stream, "name", "the output")

    def _attempt(self, write: Callable[[], object]) -> bool:
        try:
            write()
        except BrokenPipeError:  # for the caller to decide
            raise
        except OSError as error:  # no room, at present
            self._error = self._error or error
            return False
        return True

    def _push(self) -> None:
        while self._rest:
            # asked for each time: the number of a closed file may be another's by now
            self._rest = self._rest[os.write(self._stream.fileno(), self._rest) :]


def _plain(stream: IO[str]) -> io.TextIOWrapper | None:
    """The stream, if its descriptor gets what is written as it is (a compressed file has a descriptor, too)."""
    if isinstance(stream, io.TextIOWrapper) and isinstance(getattr(stream.buffer, "raw", stream.buffer), io.FileIO):
        return stream
    return None
