"""Machine code on disk, which never keeps a program from starting.

What cannot be read, is damaged or is another user's is as good as absent; what cannot be written is kept in memory.
One line on stderr (the logger ``streamtag``) then names the folder. Each file begins with a checksum of its name and
content, because machine code with a wrong bit ends the process; it appears whole or not at all, even if power is cut.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
from pathlib import Path

from streamtag._compile.progress import log
from streamtag._system.places import user_cache

SUFFIX = ".kernel"
LARGEST = 64 << 20
PACKAGE = Path(__file__).parents[1]
_SOURCES = (
    "_compile/jit.py",
    "_compile/cache.py",
    "_compile/simd.py",
    "_compile/tiles.py",
    "dsp",
    "realtime",
    "inference/sliding",
    "inference/networks/specs.py",
)


class DamagedError(Exception):
    """A file in the cache that must not be loaded; says why."""


def cache_folder() -> Path:
    """Where the machine code of these sources goes: in the user's cache, or under NUMBA_CACHE_DIR where that is set.

    A change to a function that another file's kernel calls makes that kernel another one, too; so the folder is named
    after the source of all kernels, and of the constants that are compiled into them.

    Raises
    ------
    OSError
        There is no such place: no home folder, or a working directory that is gone.
    """
    digest = hashlib.sha256()
    for source in (PACKAGE / name for name in _SOURCES):
        for path in sorted(source.rglob("*.py")) if source.is_dir() else [source]:
            digest.update(path.read_bytes())
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    parent = Path(chosen).absolute() if chosen else user_cache()
    if parent is None:
        raise FileNotFoundError("this user has no home folder; HOME or NUMBA_CACHE_DIR would name one")
    return parent / f"kernels-{digest.hexdigest()[:16]}"


def kept_kernels() -> list[Path]:
    """The kernels that this machine has compiled from these sources.

    Raises
    ------
    OSError
        There is a folder, or something in its place, and it cannot be read; or there is no place for one.
    """
    folder = cache_folder()
    try:
        return [path for path in folder.iterdir() if path.suffix == SUFFIX]
    except FileNotFoundError:
        return []


def is_cached() -> bool:
    """Whether this machine has compiled these sources before."""
    try:
        return bool(kept_kernels())
    except OSError:
        return False


class KernelStore:
    """Kernels by name. Nothing here raises for what is wrong with the disk."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._gone = False  # not to be written to any more
        self._damage: str | None = None
        self._told = False

    def load(self, name: str) -> bytes | None:
        """What was saved under this name; None if it is not there or must not be used."""
        try:
            return self._verified(name)
        except FileNotFoundError:
            pass
        except (OSError, DamagedError) as error:
            self.distrust(error)
        return None

    def save(self, name: str, content: bytes) -> None:
        """Keep this under its name, in one step."""
        if self._gone:
            return
        try:
            self._replace(name, _checksum(name, content) + content)
        except OSError as error:
            self.give_up(error)
        else:
            if self._damage:
                self._tell(
                    f"the kernel cache in {self._told_folder()} could not be used as it was ({self._damage}): "
                    "what was unusable is compiled anew"
                )

    def give_up(self, error: Exception) -> None:
        """Keep nothing from now on, and say why."""
        self._gone = True
        self._tell(
            f"compiled kernels cannot be kept in {self._told_folder()} ({_reason(error)}): "
            "until they can, each start compiles them anew"
        )

    def distrust(self, error: Exception) -> None:
        """Remember that something there could not be used; it is told when it is known whether it can be replaced."""
        self._damage = self._damage or _reason(error)

    def _path(self, name: str) -> Path:
        if self._folder is None:
            self._folder = cache_folder()
        return self._folder / (name + SUFFIX)

    def _verified(self, name: str) -> bytes:
        path = self._path(name)
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST:  # a pipe would be waited for
            raise DamagedError(f"{path.name} is no kernel")
        if hasattr(os, "geteuid") and found.st_uid not in (0, os.geteuid()):
            raise DamagedError(f"{path.name} is another user's")  # whose code would run as this one
        kept = path.read_bytes()
        content = kept[hashlib.sha256().digest_size :]
        if kept != _checksum(name, content) + content:
            raise DamagedError(f"{path.name} is damaged")
        return content

    def _replace(self, name: str, kept: bytes) -> None:
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{name}.{secrets.token_hex(8)}.tmp")
        try:
            with temporary.open("xb") as file:
                file.write(kept)
                file.flush()
                os.fsync(file.fileno())  # else a power cut may leave the new name with nothing in it
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise

    def _told_folder(self) -> str:
        return str(self._folder) if self._folder else "the user's cache"

    def _tell(self, what: str) -> None:
        if not self._told:
            self._told = True
            log.warning("streamtag: %s", what)


def _checksum(name: str, content: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + content).digest()


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
