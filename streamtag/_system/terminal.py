"""What may be written where: whether something can be drawn on a stream, and text that cannot steer a terminal."""

from __future__ import annotations

import os
from typing import IO

MUTE = frozenset({"dumb", "unknown"})
_CONTROLS = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0), *range(0x2028, 0x202F), *range(0x2066, 0x206A)], " ")
"""C0, C1, ends of lines and paragraphs, and what turns the direction of writing (Unicode's bidirectional controls)."""


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


def on_one_line(text: str) -> str:
    """A text from elsewhere (a device's name, a label), with spaces for whatever steers a terminal."""
    return text.translate(_CONTROLS)
