"""Whether a stream is a terminal on which something can be drawn: where not, plain lines are what is understood."""

from __future__ import annotations

import os
from typing import IO

MUTE = frozenset({"dumb", "unknown"})


def can_draw(stream: IO[str] | None) -> bool:
    """Whether the cursor of a stream can be moved, and its lines be written anew.

    Colours are another matter: FORCE_COLOR makes no terminal of a pipe, and NO_COLOR no pipe of a terminal.
    """
    try:
        if stream is None or not stream.isatty():
            return False
    except ValueError:  # it is closed
        return False
    kind = os.environ.get("TERM", "")
    if kind.lower() in MUTE or (os.name == "posix" and not kind):
        return False
    # as Rich reads them
    return "0" not in (os.environ.get("TTY_COMPATIBLE"), os.environ.get("TTY_INTERACTIVE"))
