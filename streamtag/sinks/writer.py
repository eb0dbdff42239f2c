"""Whole lines to a pipe or a file that may be blocked, full for a while, or gone."""

from __future__ import annotations

import io
import os
import stat
import threading
from collections.abc import Callable
from typing import IO

from streamtag._system.encoding import INSTEAD, writable
from streamtag.errors import SinkError


class LineWriter:
    """Writes lines at once and whole, and survives a full disk.

    A line that cannot be written is dropped and counted. What is left of one that was begun goes before anything else,
    so that no line is torn but perhaps the very last. A file that is made shorter meanwhile (log rotation by copying)
    is gone on with at its new end, without a hole.

    Several threads may write: a line is whole before the next begins.

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
    trouble : str or None
        Why lines are missing at present, or will be; None if nothing is known to be wrong.
    """

    def __init__(self, stream: IO[str]) -> None:
        self.drops = 0
        self.trouble: str | None = None
        self._stream = stream
        self._plain = _plain(stream)
        self._rest = b""  # of a line that was begun
        self._error: OSError | None = None  # the first
        self._lock = threading.Lock()

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
        with self._lock:
            self._write(line)

    def _write(self, line: str) -> None:
        if self._plain is None:
            text = writable(line, getattr(self._stream, "encoding", None))
            if self._attempt(lambda: print(text, file=self._stream, flush=True)):
                self.trouble = None
            else:
                self.drops += 1
            return
        errors = self._plain.errors
        data = f"{line}\n".encode(self._plain.encoding, errors if errors and errors != "strict" else INSTEAD)
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
        with self._lock:
            self._close()

    def _close(self) -> None:
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
            self.trouble = f"cannot be written: {error.strerror or error}"
            return False
        return True

    def _push(self) -> None:
        if not self._rest:
            return
        descriptor = self._stream.fileno()  # asked for each time: that of a closed file may be another's by now
        wrong = _follow(descriptor)
        while self._rest:
            self._rest = self._rest[os.write(descriptor, self._rest) :]
        self.trouble = wrong


def _follow(descriptor: int) -> str | None:
    """Go to the end of a file that others have made shorter. Returns what is wrong with it, if anything."""
    told = os.fstat(descriptor)
    if not stat.S_ISREG(told.st_mode):
        return None
    if told.st_size < os.lseek(descriptor, 0, os.SEEK_CUR):
        os.lseek(descriptor, 0, os.SEEK_END)
    return "the file was removed: what is written to it is lost" if told.st_nlink == 0 else None


def _plain(stream: IO[str]) -> io.TextIOWrapper | None:
    """The stream, if its descriptor gets what is written as it is (a compressed file has a descriptor, too)."""
    if isinstance(stream, io.TextIOWrapper) and isinstance(getattr(stream.buffer, "raw", stream.buffer), io.FileIO):
        return stream
    return None
