"""Libraries that talk to file descriptor 2 while they load, kept from spoiling a user's screen."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress


def keep_stderr_for_python() -> None:
    """Give Python's stderr a descriptor of its own, so that what is done to descriptor 2 does not touch it.

    A library that hangs while descriptor 2 is held back would otherwise keep the message from the user that it hangs.
    """
    try:
        if sys.stderr is None or sys.stderr.fileno() != 2:
            return
        own = os.dup(2)
    except (OSError, ValueError):  # started with stderr closed, or it is no file
        return
    sys.stderr.flush()
    encoding = sys.stderr.encoding
    sys.stderr = os.fdopen(own, "w", buffering=1, encoding=encoding, errors="backslashreplace", closefd=False)


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
