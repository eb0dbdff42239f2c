"""Libraries that talk to file descriptor 2 while they load, kept from spoiling a user's screen."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def c_libraries_silent() -> Iterator[None]:
    """Keep what C code writes to stderr off it; Python's own still goes there. STREAMTAG_DEBUG shows all.

    PortAudio and ALSA write a dozen lines whenever a device cannot be opened, and on the audio thread when a sound
    server dies: what they say is in streamtag's own message, and theirs would spoil the live view.
    """
    try:
        kept = os.dup(2) if sys.stderr is not None and not os.environ.get("STREAMTAG_DEBUG") else None
    except OSError:  # started with stderr closed
        kept = None
    if kept is None:
        yield
        return
    assert sys.stderr is not None
    sys.stderr.flush()
    ours, sys.stderr = sys.stderr, os.fdopen(kept, "w", buffering=1, errors="backslashreplace", closefd=False)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    os.close(nothing)
    try:
        yield
    finally:
        sys.stderr.flush()
        sys.stderr = ours
        os.dup2(kept, 2)
        os.close(kept)


@contextmanager
def stderr_held_unless_failing() -> Iterator[None]:
    """Hold back what C and C++ code writes to stderr meanwhile; show it if the body raises."""
    try:
        kept = os.dup(2)
    except OSError:  # started with stderr closed
        yield
        return
    with tempfile.TemporaryFile() as held:
        if sys.stderr is not None:
            sys.stderr.flush()
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(kept, 2)
            held.seek(0)
            os.write(2, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
