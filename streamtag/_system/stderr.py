"""Libraries that talk to file descriptor 2 while they load, kept from spoiling a user's screen."""

from __future__ import annotations

import io
import os
import select
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

LOOK_MS = 50
PATIENCE_MS = 1000
"""How long a reader who does not read is waited for once the program is to end."""
AT_ONCE = 512
"""Bytes: so many find room wherever there is said to be room, but for the last few of a terminal's."""


class Heedless(io.RawIOBase):
    """A descriptor for what is said beside the work: nothing that becomes of it ends the program, or holds up its end.

    What nobody reads any more, or finds no room, is dropped. One who reads later (a stopped terminal, a full pipe) is
    waited for, but not for long once the program is to end. There is no buffer, whose lock a thread that waits here
    would hold, and the interpreter want at its exit.

    Parameters
    ----------
    descriptor : int
        Written to; left open.
    ending : callable
        Whether the program is to end.
    """

    name = "<stderr>"

    def __init__(self, descriptor: int, ending: Callable[[], bool]) -> None:
        self._descriptor = descriptor
        self._ending = ending
        self._deaf = False

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: ReadableBuffer) -> int:
        """Write all of it, or drop the rest; says that all was written."""
        rest = bytes(data)
        size = len(rest)
        with suppress(OSError):
            while rest and self._takes_more():
                with suppress(BlockingIOError):
                    rest = rest[os.write(self._descriptor, rest[:AT_ONCE]) :]
        return size

    def _takes_more(self) -> bool:
        """Wait until there is room; False if that is given up."""
        if not hasattr(select, "poll"):
            return True
        looks = 0
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        while not poll.poll(0 if self._deaf else LOOK_MS):
            looks += self._ending()
            if self._deaf or looks * LOOK_MS > PATIENCE_MS:
                self._deaf = True
                return False
        self._deaf = False
        return True


def keep_stderr_for_python(ending: Callable[[], bool]) -> None:
    """Give Python's stderr a descriptor of its own, so that what is done to descriptor 2 does not touch it.

    A library that hangs while descriptor 2 is held back would otherwise keep the message from the user that it hangs.
    What is written is written as by `Heedless`.

    Parameters
    ----------
    ending : callable
        Whether the program is to end.
    """
    try:
        if sys.stderr is None or sys.stderr.fileno() != 2:
            return
        own = os.dup(2)
    except (OSError, ValueError):  # started with stderr closed, or it is no file
        return
    with suppress(OSError):
        sys.stderr.flush()
    raw: io.RawIOBase = Heedless(own, ending)
    encoding = sys.stderr.encoding
    sys.stderr = io.TextIOWrapper(raw, encoding=encoding, errors="backslashreplace", write_through=True)


@contextmanager
def c_libraries_silent() -> Iterator[None]:
    """Drop what C code writes to descriptor 2 (not what Python says, after `keep_stderr_for_python`).

    PortAudio and ALSA write a dozen lines whenever a device cannot be opened, and on the audio thread when a sound
    server dies: what they say is in streamtag's own message, and theirs would spoil the live view. STREAMTAG_DEBUG
    shows all.
    """
    try:
        separate = sys.stderr is not None and sys.stderr.fileno() != 2
        kept = os.dup(2) if separate and not os.environ.get("STREAMTAG_DEBUG") else None
    except (OSError, ValueError):
        kept = None
    if kept is None:
        yield
        return
    with suppress(OSError):  # no /dev, or too many files open
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 2)
        os.close(nothing)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextmanager
def stderr_held_unless_failing() -> Iterator[None]:
    """Hold back what C and C++ code writes to stderr meanwhile; show it if the body raises."""
    with ExitStack() as opened:
        try:
            kept = os.dup(2)
            opened.callback(os.close, kept)
            held = _scratch()
            opened.callback(os.close, held)
        except OSError:  # started with stderr closed, or too many files are open
            yield
            return
        if sys.stderr is not None:
            sys.stderr.flush()
        os.dup2(held, 2)
        try:
            yield
        except BaseException:
            os.dup2(kept, 2)
            _copy(held, kept)
            raise
        finally:
            os.dup2(kept, 2)


def _scratch() -> int:
    """Open a file without a name, in memory where that is possible: there need be no folder that can be written to."""
    with suppress(AttributeError, OSError):  # Linux only; forbidden in some sandboxes
        return os.memfd_create("stderr")
    try:
        with tempfile.TemporaryFile() as file:
            return os.dup(file.fileno())
    except OSError:
        return os.open(os.devnull, os.O_RDWR)


def _copy(held: int, to: int) -> None:
    """What was written into a scratch file, onto another."""
    with suppress(OSError):  # a reader that has gone, a disk that is full: the error itself matters more
        os.lseek(held, 0, os.SEEK_SET)
        while part := os.read(held, 1 << 16):
            os.write(to, part)
