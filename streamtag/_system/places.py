"""The user's own folders. A user may have none: a service without HOME, a container whose user is in no list."""

from __future__ import annotations

from pathlib import Path

import platformdirs


def user_cache() -> Path | None:
    """The user's folder for what can be made again."""
    return _absolute("user_cache_path")


def user_data() -> Path | None:
    """The user's folder for what is to be kept."""
    return _absolute("user_data_path")


def _absolute(kind: str) -> Path | None:
    try:
        path: Path = getattr(platformdirs, kind)("streamtag")
    except (RuntimeError, OSError):  # platformdirs: no home
        return None
    return path if path.is_absolute() else None  # its older releases leave "~" as it is
