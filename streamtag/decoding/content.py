"""What is in a file, whatever its name: the same checksum, the same sound."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from streamtag.decoding.decode import open_audio
from streamtag.decoding.regular import unopenable
from streamtag.errors import AudioFileError

PIECE = 1 << 22
"""Bytes read at a time."""


def content_sha256(path: Path, check: Callable[[], None] = lambda: None) -> str:
    """Checksum of a file's bytes.

    Parameters
    ----------
    path : Path
        The file.
    check : callable
        Called now and then; may raise to give up.

    Returns
    -------
    str
        SHA-256, in hexadecimal digits.

    Raises
    ------
    AudioFileError
        If it cannot be read, or is no regular file, whose end might never come.
    """
    if unopenable(path) is not None:
        open_audio(path).close()  # knows best what to say of it
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                check()
                digest.update(piece)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise AudioFileError(path, f"cannot be read: {reason}") from error
    return digest.hexdigest()
