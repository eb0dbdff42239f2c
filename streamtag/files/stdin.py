"""Stdin as a file: whole, for a file is read from its beginning more than once."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from streamtag.errors import AudioFileError, OptionError

STDIN = "-"


@contextmanager
def with_stdin(paths: Sequence[str]) -> Iterator[list[str]]:
    """Paths, with a file in place of ``-`` that holds what stdin gives; it is gone at the end.

    Parameters
    ----------
    paths : sequence of str
        As a user gives them.

    Yields
    ------
    list of str
        Paths of files.

    Raises
    ------
    OptionError
        ``-`` twice, or from a terminal.
    AudioFileError
        It cannot be kept: the disk is full.
    """
    if STDIN not in paths:
        yield list(paths)
        return
    if list(paths).count(STDIN) > 1:
        raise OptionError("- is stdin, of which there is one")
    if sys.stdin.isatty():
        raise OptionError(
            "- is what is written to stdin, and nothing is: ffmpeg -i song.mp3 -f wav - | streamtag file -"
        )
    with TemporaryDirectory(prefix="streamtag-") as folder:
        kept = Path(folder) / "stdin"
        try:
            with kept.open("wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file, 1 << 20)
        except OSError as error:
            raise AudioFileError(STDIN, f"cannot be kept in {folder}: {error.strerror or error}") from error
        yield [str(kept) if path == STDIN else path for path in paths]
