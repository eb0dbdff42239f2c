"""Pipes: stdin, named pipes (FIFOs), and what a shell makes of ``<(command)``."""

from __future__ import annotations

import array
import logging
import os
import select
import stat
import sys
import threading
import time
from collections import deque
from collections.abc import Callable

from streamtag._system.threads import start_whole
from streamtag.decoding.reader import RefusedError
from streamtag.decoding.stream import FFmpegStream, RawFormat, RawReader, StreamReader
from streamtag.errors import DeviceError

if sys.platform != "win32":
    import fcntl
    import termios

log = logging.getLogger("streamtag")
LOOK_SECONDS = 0.1
"""How often a pipe that gives nothing is left, to see whether all is to end."""
REST_SECONDS = 0.005
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
        self._reading: _Reading | None = None
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
        """Wait for a writer, or go on to the next one."""
        if self._reading is None:
            try:
                descriptor = os.dup(0) if self._stdin else os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
            except OSError as error:
                raise RefusedError(f"cannot be read: {error.strerror}") from None
            self._reading = _Reading(descriptor, self.name, stopping, awaited=self.again)
        read = self._reading
        read.begin()
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
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.close()


class _Reading:
    """Reads what there is; waits where there is nothing; gives nothing at the end, or when all is to end.

    A FIFO stays open from one writer to the next, which would else find nobody who reads. The system forgets that a
    writer has left as soon as the next one comes, and what both wrote lies in the pipe without a mark between. So a
    thread waits for nothing but writers to leave, and counts at once what they have left: that far goes the first.
    Whoever comes within a millisecond, as `cat` does in a shell's loop, may be taken for the one before all the same.

    Attributes
    ----------
    begun : bool
        Whether anything has come from this writer.
    """

    def __init__(self, descriptor: int, name: str, stopping: Callable[[], bool], *, awaited: bool) -> None:
        self._descriptor, self._name, self._stopping = descriptor, name, stopping
        self._awaited = awaited  # whether a writer may come yet
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN | select.POLLHUP)
        self._lock = threading.Lock()  # over what follows
        self._position = self._first = 0  # bytes read; of them, those of writers before
        self._ends: deque[int] = deque()  # how many there will have been when each is done that has left
        self._closed = threading.Event()
        self._watch = threading.Thread(target=self._note_ends, name="streamtag-pipe", daemon=True)
        if awaited:
            start_whole(self._watch)

    @property
    def begun(self) -> bool:
        """Whether anything has come from this writer."""
        return self._position > self._first

    def begin(self) -> None:
        """Go on to the next writer, past what is left of this one."""
        with self._lock:
            if self._ends and self.begun:
                end = self._ends.popleft()
                while self._position < end and (left := os.read(self._descriptor, end - self._position)):
                    self._position += len(left)
            self._first = self._position

    def __call__(self, size: int) -> bytes:
        while (ready := self._ready()) is not None:
            with self._lock:
                most = min(size, self._ends[0] - self._position) if self._ends else size
                try:
                    data = os.read(self._descriptor, most) if most and ready & select.POLLIN else b""
                except BlockingIOError:  # one writer has left, and the next has written nothing yet
                    continue
                self._position += len(data)
            if data or self.begun or not self._awaited:
                return data
            time.sleep(LOOK_SECONDS)  # nobody has come yet
        return b""

    def wait(self) -> bool:
        """Wait for something to read. Returns whether there is; not if all is to end."""
        return self._ready() is not None

    def close(self) -> None:
        """Close it."""
        self._closed.set()
        if self._awaited:
            self._watch.join()
        os.close(self._descriptor)

    def _ready(self) -> int | None:
        """What poll says of it, as soon as it says anything, or the end is known; None if all is to end."""
        since, told = time.monotonic(), self.begun
        while not self._stopping():
            if self._ends and self._ends[0] == self._position:
                return 0
            for _, event in self._poll.poll(1e3 * LOOK_SECONDS):
                return event
            if not told and time.monotonic() - since > PATIENT_SECONDS:
                told = True
                log.warning("streamtag: %s: nobody writes to it yet: waiting", self._name)
        return None

    def _note_ends(self) -> None:
        """Wait until nobody writes any more, and note how much was written."""
        poll = select.poll()
        poll.register(self._descriptor, 0)  # no more than POLLHUP
        while not self._closed.is_set():
            if not poll.poll(1e3 * LOOK_SECONDS):
                continue
            with self._lock:
                end = self._position + _waiting(self._descriptor)
                if end > (self._ends[-1] if self._ends else self._first):
                    self._ends.append(end)
            self._closed.wait(REST_SECONDS)  # it says so until the next one comes


def _waiting(descriptor: int) -> int:
    """How many bytes are in a pipe."""
    count = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, count)
    return count[0]
