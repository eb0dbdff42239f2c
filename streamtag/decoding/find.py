"""Which files a user means by files, folders and patterns."""

from __future__ import annotations

import contextlib
import glob
import os
from collections.abc import Iterable
from pathlib import Path

EXTENSIONS = frozenset(
    (  # noqa: SIM905 - as a list, one a line, it would be longer than what uses it
        ".wav .wave .bwf .rf64 .w64 .aif .aiff .aifc .au .snd .caf .flac .ogg .oga .opus .spx .mp3 .mp2 .m4a .m4b .mp4"
        " .aac .ac3 .eac3 .dts .wma .ape .wv .mpc .tta .tak .mka .webm .amr .3gp .dsf .dff"
    ).split()
)
"""What counts as a file of sound when a folder is searched."""


def find_audio(paths: Iterable[str | Path]) -> list[Path]:
    """Find the files that are meant by files, folders and patterns.

    Nothing is raised, and nothing vanishes: a path that leads to no file stays in the list as it is, and `open_audio`
    says what is wrong with it.

    Parameters
    ----------
    paths : iterable of str or Path
        Files (taken whatever their name), folders (with all folders in them; files with a known extension, hidden ones
        left out) and patterns (`*`, `?`, `[]`, and `**` for any depth).

    Returns
    -------
    list of Path
        Each file once, in the order of `paths`, sorted within a folder or pattern.
    """
    found: dict[Path, None] = {}
    for given in paths:
        path = Path(given)
        matches = [path]
        if glob.has_magic(str(given)) and not os.path.lexists(path):  # a name goes before a pattern
            with contextlib.suppress(OSError, ValueError):
                matches = sorted(map(Path, glob.glob(str(given), recursive=True)))  # noqa: PTH207 - may be absolute
        files: list[Path] = []
        for match in matches:
            is_folder = os.path.isdir(match)  # noqa: PTH112 - Path.is_dir raises for some names
            files += _in_folder(match) if is_folder else [match]
        if path not in matches and not path.suffix:  # music/* or music/** does not say which kind
            files = [file for file in files if file.suffix.lower() in EXTENSIONS] or files
        found.update(dict.fromkeys(files or [path]))
    return list(found)


def _in_folder(folder: Path) -> list[Path]:
    found: list[Path] = []
    # What cannot be listed is kept, to be reported.
    for where, folders, files in os.walk(folder, onerror=lambda error: found.append(Path(error.filename))):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = (Path(where, name) for name in files if not name.startswith("."))
        found.extend(path for path in paths if path.suffix.lower() in EXTENSIONS)
    return sorted(found)
