"""Text for streams whose encoding does not have every character: something is written for each, and nothing raised.

A file name may hold bytes that are no text at all (Python keeps them as lone surrogates, which not even UTF-8 can
write), and a pipe on Windows, or one with PYTHONIOENCODING set, may know 256 characters or fewer. Neither is a reason
to end a batch or a show. Importing this module registers `INSTEAD` for use as `errors=` wherever text is encoded.
"""

from __future__ import annotations

import codecs
import io

INSTEAD = "streamtag.instead"
"""Error handler: bars and arrows in ASCII, a byte that is no text as ``\\xe9``, all else as ``\\u65e5``."""

_CHARACTERS: dict[str, str] = {
    **dict.fromkeys("█▉▊▋▌▐▀▄━", "#"),
    **dict.fromkeys("▍▎▏─╸╺–—·•", "-"),
    **dict.fromkeys("│┃", "|"),
    **dict.fromkeys(map(chr, range(0x2800, 0x2900)), "*"),  # Braille: what a spinner is drawn with
    "→": "->",
    "←": "<-",
    "…": "...",
    **{chr(0xDC00 + byte): f"\\x{byte:02x}" for byte in range(0x80, 0x100)},
}
_ASCII = str.maketrans(_CHARACTERS)


def _instead(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_ASCII)
    return text.encode("ascii", "backslashreplace").decode("ascii"), error.end


codecs.register_error(INSTEAD, _instead)


def never_fail_to_encode(stream: object) -> None:
    """Let a text stream write what its encoding cannot take in another way.

    One for which the user chose a way (``PYTHONIOENCODING=ascii:replace``), or that is no stream of Python's own, is
    left as it is.
    """
    if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape", "backslashreplace"):
        stream.reconfigure(errors=INSTEAD)


def writable(text: str, encoding: str | None) -> str:
    """A text with another in place of what this encoding (None: UTF-8) cannot take."""
    encoding = encoding or "utf-8"
    return text.encode(encoding, INSTEAD).decode(encoding)
