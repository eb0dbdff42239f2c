"""What can be opened without waiting: regular files. A pipe, a device or a socket may never end, or never begin."""

from __future__ import annotations

import stat
from pathlib import Path


def irregular(mode: int) -> str | None:
    """What a path leads to, in words, by its `st_mode`; None for a regular file."""
    if stat.S_ISREG(mode):
        return None
    kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
    kind = next((name for test, name in kinds if test(mode)), "a device")
    return f"not a regular file ({kind})"


def unopenable(path: Path) -> str | None:
    """Why a path must not be opened to be read, in words; None for a regular file.

    Parameters
    ----------
    path : Path
        Any path; links are followed.

    Returns
    -------
    str or None
        `no such file`, `not a regular file (a pipe)` and the like, or None.
    """
    try:
        return irregular(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return "no such file"
    except PermissionError:
        return "no permission to read it"
    except (OSError, ValueError) as error:  # a loop of links, a name that is too long, or with a null in it
        return f"cannot be opened ({getattr(error, 'strerror', None) or error})"
