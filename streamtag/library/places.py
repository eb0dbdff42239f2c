"""Where music and libraries may lie beside folders: what pyarrow knows as a file system, ``s3://bucket/music`` say.

An address has a scheme; everything else is a path of this machine. Keys and endpoints come from where each system has
them (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``, ``~/.aws``, ``GOOGLE_APPLICATION_CREDENTIALS``), never from the
address, which is written into rows.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pyarrow as pa
from pyarrow import fs

from streamtag.decoding.content import PIECE, content_sha256
from streamtag.decoding.find import EXTENSIONS
from streamtag.errors import AudioFileError, OptionError

ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


class Found(NamedTuple):
    """A file of a file system: its address, its size, and when it was written to (ns since 1970)."""

    path: str
    bytes: int
    modified_ns: int


def is_address(path: str | Path) -> bool:
    """Whether this is an address, and no path."""
    return ADDRESS.match(str(path)) is not None


def located(address: str) -> tuple[fs.FileSystem, str, str]:
    """The file system of an address, the path in it, and what comes before that in an address.

    Raises
    ------
    OptionError
        No file system that pyarrow knows, or one that cannot be used.
    """
    if "@" in address or "?" in address:
        raise OptionError(
            f"{address.partition('://')[0]}://…: an address with keys or options in it, which would be written into "
            "rows; give them by the environment (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL and the like)"
        )
    scheme, _, rest = address.partition("://")
    bucket, _, inner = rest.partition("/")
    try:
        system, root = _system(f"{scheme}://{bucket}")
    except (pa.ArrowException, ValueError, OSError) as error:
        raise OptionError(f"{address}: no file system that can be used ({_short(error)})") from None
    return system, f"{root}/{inner}".rstrip("/"), f"{scheme}://"


@lru_cache(maxsize=16)
def _system(root: str) -> tuple[fs.FileSystem, str]:
    system, path = fs.FileSystem.from_uri(root)
    return system, path


def walk(address: str) -> Iterator[Found]:
    """All files of sound below an address, or the one that it names; sorted.

    Raises
    ------
    OptionError
        There is nothing, or it cannot be listed.
    """
    system, path, before = located(address)
    try:
        infos = system.get_file_info(fs.FileSelector(path, recursive=True, allow_not_found=True))
        if not infos:
            infos = [system.get_file_info(path)]
    except OSError as error:
        raise OptionError(f"{address} cannot be listed ({_short(error)})") from None
    files = [info for info in infos if info.type == fs.FileType.File]
    if not files:
        raise OptionError(f"{address}: there is nothing")
    single = len(files) == 1 and files[0].path == path
    for info in sorted(files, key=lambda info: info.path):
        name = PurePosixPath(info.path)
        hidden = any(part.startswith(".") for part in name.parts[len(PurePosixPath(path).parts) :])
        if single or (name.suffix.lower() in EXTENSIONS and not hidden):
            yield Found(before + info.path, info.size or 0, info.mtime_ns or 0)


def exists(path: str) -> bool:
    """Whether a file is there, at a path (a link that leads nowhere is) or an address."""
    if not is_address(path):
        return os.path.lexists(path)
    system, inner, _ = located(path)
    return bool(system.get_file_info(inner).type != fs.FileType.NotFound)


class Fetched:
    """A file that can be read on this machine, and its checksum.

    Attributes
    ----------
    sha256 : str
        Of its content.
    path : str
        Where it is: the file itself, or a copy of what lies elsewhere.
    """

    def __init__(self, sha256: str, path: str, folder: str | None = None) -> None:
        self.sha256, self.path, self._folder = sha256, path, folder

    def forget(self) -> None:
        """It is not needed any more: a copy is removed."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def fetch(path: str) -> Fetched:
    """Read a file to its end, and copy it here if it is not.

    Parameters
    ----------
    path : str
        A path or an address.

    Returns
    -------
    Fetched
        To be forgotten when it was heard.

    Raises
    ------
    AudioFileError
        It cannot be read.
    """
    if not is_address(path):
        return Fetched(content_sha256(Path(path)), path)
    folder = tempfile.mkdtemp(dir=_spool())
    copy = str(Path(folder, PurePosixPath(path).name or "file"))
    digest = hashlib.sha256()
    try:
        system, inner, _ = located(path)
        with system.open_input_stream(inner) as source, open(copy, "wb") as target:  # noqa: PTH123 - beside the stream
            while piece := source.read(PIECE):
                digest.update(piece)
                target.write(piece)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise AudioFileError(path, f"cannot be read ({_short(error)})") from None
        raise
    return Fetched(digest.hexdigest(), copy, folder)


@lru_cache
def _spool() -> str:
    """Where copies lie; it goes with the process."""
    folder = tempfile.mkdtemp(prefix="streamtag-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def forget_all() -> None:
    """Remove every copy of this process."""
    if _spool.cache_info().currsize:
        shutil.rmtree(_spool(), ignore_errors=True)
        _spool.cache_clear()


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if len(text) < 200 else f"{text[:200]}…"
