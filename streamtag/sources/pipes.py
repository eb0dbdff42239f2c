"""Pipes: stdin, named pipes (FIFOs), and what a shell makes of ``<(command)``."""

from __future__ import annotations

import logging
import os
import select
import stat
import sys
import time
from collections.abc import Callable

from streamtag.decoding.reader import RefusedError
from streamtag.decoding.stream import FFmpegStream, RawFormat, RawReader, StreamReader
from streamtag.errors import DeviceError

log = logging.getLogger("streamtag")
LOOK_SECONDS = 0.1
"""How often a pipe that gives nothing is left, to see whether all is to end."""
PATIENT_SECONDS = 2.0
"""After so long without a writer it is said that one is waited for."""
STDIN = ("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")


def is_pipe(given: str) -> bool:
    """Whether this names stdin or a FIFO."""
    if given in STDIN:
        return True
    try:
        return stat.S_ISFIFO(os.stat(os.path.expanduser(given)).st_mode)  # noqa: PTH111, PTH116
    except (OSError, ValueError):
        return False


class PipeOpener:
    """Opens a pipe.

    Parameters
    ----------
    given : str
        ``-``, or the path of a FIFO. A FIFO may have one writer after the other; all else ends with its first.
    raw : RawFormat or None
        What its samples are, if they have no header.

    Raises
    ------
    DeviceError
        Stdin is a terminal; pipes cannot be heard on this system.
    """

    def __init__(self, given: str, raw: RawFormat | None = None) -> None:
        self._stdin = given in STDIN
        self._path = os.path.expanduser(given)  # noqa: PTH111
        self._raw = raw
        self._descriptor: int | None = None
        self.name = "stdin" if self._stdin else given
        # what a shell gives a number has one writer, and so have pipes that were opened by others
        self.again = not self._stdin and not self._path.startswith(("/dev/fd/", "/proc/"))
        self.ended = "nobody writes to it"
        self.ahead = False
        if os.name == "nt":
            raise DeviceError(f"{given}: pipes can be heard on Linux and macOS only")
        if self._stdin and sys.stdin is not None and sys.stdin.isatty():
            raise DeviceError(
                "--input - hears what is written to it, and nothing is: for example, "
                "ffmpeg -i song.mp3 -f wav - | streamtag live --input -"
            )

    def open(self, stopping: Callable[[], bool]) -> StreamReader:
        """Open it and wait for a writer."""
        self.close()
        try:
            self._descriptor = os.dup(0) if self._stdin else os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise RefusedError(f"cannot be read: {error.strerror}") from None
        read = _Reading(self._descriptor, self.name, stopping, awaited=self.again)
        if self._raw is not None:
            read.wait()
            return RawReader(read, self._raw)
        try:
            return FFmpegStream(read, {"protocol_whitelist": "none"})
        except RefusedError as error:
            if not read.begun:
                raise RefusedError("it ended before anything was written") from None
            if error.plain:
                raise
            told = "what comes is no sound that FFmpeg knows; samples without a header need --raw TYPE,RATE,CHANNELS"
            raise RefusedError(f"{told} ({error})", plain=True) from None

    def close(self) -> None:
        """Close it."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


class _Reading:
    """Reads what there is; waits where there is nothing; gives nothing at the end, or when all is to end.

    Attributes
    ----------
    begun : bool
        Whether anything has come.
    """

    def __init__(self, descriptor: int, name: str, stopping: Callable[[], bool], *, awaited: bool) -> None:
        self._descriptor, self._name, self._stopping = descriptor, name, stopping
        self._awaited = awaited  # whether a writer may come yet
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN | select.POLLHUP)
        self.begun = False

    def __call__(self, size: int) -> bytes:
        while self.wait():
            try:
                data = os.read(self._descriptor, size)
            except BlockingIOError:
                continue
            self.begun = self.begun or bool(data)
            if self.begun or not self._awaited:
                return data
            time.sleep(LOOK_SECONDS)  # a FIFO that nobody has opened for writing yet is at its end, as it were
        return b""

    def wait(self) -> bool:
        """Wait for something to read. Returns whether there is; not if all is to end."""
        since, told = time.monotonic(), self.begun
        while not self._stopping():
            if self._poll.poll(1e3 * LOOK_SECONDS):
                return True
            if not told and time.monotonic() - since > PATIENT_SECONDS:
                told = True
                log.warning("streamtag: %s: nobody writes to it yet: waiting", self._name)
        return False
