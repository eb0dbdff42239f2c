"""What is met under the name of a file of sound, and is none."""

from __future__ import annotations

import re

SHORTEST_TEXT = 12
HEAD = 4_096
"""Bytes that are looked at."""

_BEGINNINGS = (
    (rb"version https://git-lfs", "a pointer of Git LFS, whose file has not been fetched (`git lfs pull` does)"),
    (rb"(?i)\s*<(?:!doctype html|html|head)", "a web page"),
    (rb"(?i)\s*(?:#extm3u|\[playlist\]|<asx|ffconcat)", "a playlist; give the files that it names"),
    (rb"(?i)\[internetshortcut\]", "a link to a web page"),
    (rb"PK\x03\x04|Rar!\x1a|7z\xbc\xaf|\x1f\x8b\x08", "an archive; unpack it first"),
    (rb"%PDF", "a PDF"),
    (rb"MThd", "MIDI, which is notes and no sound"),
)


def mistaken(head: bytes) -> str | None:
    """What begins with some bytes, up to `HEAD`, in words; None if it is not known.

    Parameters
    ----------
    head : bytes
        The first bytes of what no library takes for sound.

    Returns
    -------
    str or None
        Such as `a web page`.
    """
    head = head.removeprefix(b"\xef\xbb\xbf")
    for beginning, what in _BEGINNINGS:
        if re.match(beginning, head):
            return what
    text = head.decode("utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8", errors="replace")
    strange = sum(not letter.isprintable() and not letter.isspace() for letter in text.rstrip("\ufffd"))
    return "text" if len(text) >= SHORTEST_TEXT and not strange and "\ufffd" not in text.rstrip("\ufffd") else None
