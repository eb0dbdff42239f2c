"""Which files a user means by files, folders and patterns."""

from __future__ import annotations

import contextlib
import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

EXTENSIONS = frozenset(
    (  # noqa: SIM905 - as a list, one a line, it would be longer than what uses it
        # sound
        ".wav .wave .bwf .rf64 .bw64 .w64 .aif .aiff .aifc .au .snd .caf .flac .fla .ogg .oga .ogx .opus .spx .mp3 .mp2"
        " .mp1 .mpa .mpga .m4a .m4b .m4r .m4p .mp4 .aac .adts .loas .latm .ac3 .eac3 .ec3 .dts .dtshd .thd .truehd .mlp"
        " .wma .ape .wv .mpc .mpp .mp+ .tta .tak .ofr .shn .mka .weba .amr .awb .3ga .gsm .qcp .ra .dsf .dff .aa .aax"
        " .oma .aa3 .at3 .vqf .voc .sph .nist .sf .ircam .avr .htk .paf .sds .xi"
        # films
        " .mkv .mk3d .webm .avi .mov .qt .m4v .mpg .mpeg .mpe .m1v .m2v .vob .ts .mts .m2ts .m2t .trp .flv .f4v .wmv"
        " .asf .3gp .3g2 .ogv .ogm .rm .rmvb .mxf .gxf .nut .wtv .dv .divx .ivf .amv"
    ).split()
)
"""What counts as a file of sound when a folder is searched."""
PACKET = b"\x47"
"""First byte of each packet of a transport stream: what else is called .ts is a program, and no film."""


def walk_audio(paths: Iterable[str | Path]) -> Iterator[Path]:
    """As `find_audio`, one after the other, for folders of any size: what is found is not remembered.

    A file that is meant twice, or is linked to, is given twice.

    Parameters
    ----------
    paths : iterable of str or Path
        Files, folders and patterns.

    Yields
    ------
    Path
        A file; sorted within each folder.
    """
    for given in paths:
        if os.path.isdir(given):  # noqa: PTH112 - Path.is_dir raises for some names
            for where, names, broken in _walk(Path(given)):
                yield from broken
                yield from (path for name in sorted(names) if _is_sound(path := where / name))
        else:
            yield from find_audio([given])


def find_audio(paths: Iterable[str | Path]) -> list[Path]:
    """Find the files that are meant by files, folders and patterns.

    Nothing is raised, and nothing vanishes: a path that leads to no file stays in the list as it is, and `open_audio`
    says what is wrong with it. Links are followed, each folder being searched once, however many ways lead to it.

    Parameters
    ----------
    paths : iterable of str or Path
        Files (taken whatever their name), folders (with all folders in them; files with a known extension, hidden ones
        left out) and patterns (`*`, `?`, `[]`, and `**` for any depth).

    Returns
    -------
    list of Path
        Each file once, under the first name that it is found by, in the order of `paths`, sorted within a folder or
        pattern.
    """
    found: dict[str, Path] = {}  # by what is really there
    for given in paths:
        path = Path(given)
        matches = [path]
        if glob.has_magic(str(given)) and not os.path.lexists(path):  # a name goes before a pattern
            matches = _matches(str(given))
        files: list[Path] = []
        for match in matches:
            is_folder = os.path.isdir(match)  # noqa: PTH112 - Path.is_dir raises for some names
            files += _in_folder(match) if is_folder else [match]
        if path not in matches and not path.suffix:  # music/* or music/** does not say which kind
            files = [file for file in files if _is_sound(file)] or files
        for file in files or [path]:
            found.setdefault(_real(file), file)
    return list(found.values())


def _matches(pattern: str) -> list[Path]:
    """What a pattern matches, sorted. ** leads into linked folders, too, but into none twice."""
    parts = Path(pattern).parts
    if "**" not in parts:
        with contextlib.suppress(OSError, ValueError):
            return sorted(map(Path, glob.glob(pattern)))  # noqa: PTH207 - may be absolute
        return []
    at = parts.index("**")
    before, after = str(Path(*parts[:at])), parts[at + 1 :]
    found: set[Path] = set()
    for root in _matches(before) if glob.has_magic(before) else [Path(before)]:
        for folder, names, _ in _walk(root):
            if after:
                found.update(_matches(str(Path(glob.escape(str(folder)), *after))))
            else:
                found.update(folder / name for name in names)
    return sorted(found)


def _in_folder(folder: Path) -> list[Path]:
    found: list[Path] = []
    for where, names, broken in _walk(folder):
        found += broken
        paths = (where / name for name in names)
        found += (path for path in paths if _is_sound(path))
    return sorted(found)


def _walk(root: Path) -> Iterator[tuple[Path, list[str], list[Path]]]:
    """Each folder, the names in it that are no folders, and folders in it that cannot be listed; hidden ones left out.

    Links to folders are followed behind all else, so that a folder goes by its own name where it has one here.
    """
    seen: set[str] = set()
    broken: list[Path] = []
    roots = [root]
    for start in roots:  # which grows on the way
        if _real(start) in seen:
            continue
        for where, folders, names in os.walk(start, onerror=lambda error: broken.append(Path(error.filename))):
            seen.add(_real(where))
            kept = sorted(name for name in folders if not name.startswith("."))
            roots += [Path(where, name) for name in kept if _is_link(where, name)]
            folders[:] = [name for name in kept if not _is_link(where, name) and _real(Path(where, name)) not in seen]
            yield Path(where), [name for name in names if not name.startswith(".")], []
    yield root, [], broken


def _is_link(where: str, name: str) -> bool:
    return os.path.islink(os.path.join(where, name))  # noqa: PTH114, PTH118 - Path.is_link raises for some names


def _is_sound(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix != ".ts":
        return suffix in EXTENSIONS
    with contextlib.suppress(OSError, ValueError):
        if path.is_file():
            with path.open("rb") as file:
                return file.read(1) in (b"", PACKET)
    return True  # to be reported


def _real(path: str | Path) -> str:
    """What is the same for all names of a file."""
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):
        return str(path)
