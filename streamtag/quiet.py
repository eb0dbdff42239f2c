"""Libraries that talk to file descriptor 2 while they load, kept from spoiling a user's screen."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


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
