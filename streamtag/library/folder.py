"""The folder that a library lies in: of this machine (or a share), or of a file system that has an address."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Protocol

from streamtag.errors import OptionError, SinkError
from streamtag.files.outputs import replacing, writing
from streamtag.library.places import is_address, located

Write = Callable[[IO[bytes]], Any]


class Folder(Protocol):
    """Where files of a library are, by names like ``tracks/day=2026-11-27/part-….parquet``.

    Attributes
    ----------
    path : Path or None
        If it is one of this machine's.
    """

    path: Path | None

    def read(self, name: str) -> bytes:
        """A file's content (errors: OSError)."""

    def input(self, name: str) -> Any:
        """A file, for pyarrow to read from (errors: OSError)."""

    def write(self, name: str, write: Write) -> None:
        """Write a file that is there whole or not at all (errors: SinkError)."""

    def names(self, inside: str) -> list[str]:
        """What is in a folder inside, nothing if there is none (errors: OSError)."""

    def remove(self, name: str) -> None:
        """Remove a file, or what is gone already; and its folder, if it was the last one (errors: SinkError)."""

    def state(self, inside: str) -> int | None:
        """When something in a folder inside has come or gone, ns since 1970; None where that cannot be known."""


class LocalFolder:
    """Of this machine, or a share.

    Parameters
    ----------
    path : Path
        Where.
    """

    def __init__(self, path: Path) -> None:
        self.path: Path | None = path
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    def read(self, name: str) -> bytes:
        """See `Folder`."""
        return (self._path / name).read_bytes()

    def input(self, name: str) -> Any:
        """See `Folder`."""
        if not (path := self._path / name).is_file():
            raise FileNotFoundError(path)
        return str(path)

    def write(self, name: str, write: Write) -> None:
        """See `Folder`. It is on the disk before it has its name, and its name is, before this returns."""
        path = self._path / name
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        with suppress(OSError):  # of folders, not every system knows that
            handle = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def names(self, inside: str) -> list[str]:
        """See `Folder`."""
        try:
            return [path.name for path in (self._path / inside).iterdir()]
        except FileNotFoundError:
            return []

    def remove(self, name: str) -> None:
        """See `Folder`."""
        path = self._path / name
        with writing(path):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # there are others
            path.parent.rmdir()

    def state(self, inside: str) -> int | None:
        """See `Folder`."""
        with suppress(OSError):
            return (self._path / inside).stat().st_mtime_ns
        return 0


class RemoteFolder:
    """Of an object store, say.

    Parameters
    ----------
    address : str
        Where.
    """

    def __init__(self, address: str) -> None:
        self.path: Path | None = None
        self._address = address.rstrip("/")
        self._system, self._root, _ = located(address)

    def __str__(self) -> str:
        return self._address

    def read(self, name: str) -> bytes:
        """See `Folder`."""
        with self._system.open_input_stream(f"{self._root}/{name}") as stream:
            return bytes(stream.readall())

    def input(self, name: str) -> Any:
        """See `Folder`."""
        return self._system.open_input_file(f"{self._root}/{name}")

    def write(self, name: str, write: Write) -> None:
        """See `Folder`. Object stores show a file when all of it has come."""
        whole = io.BytesIO()
        write(whole)
        try:
            with self._system.open_output_stream(f"{self._root}/{name}") as stream:
                stream.write(whole.getbuffer())
        except OSError as error:
            raise SinkError(f"cannot write {self}/{name}: {' '.join(str(error).split())[:200]}") from error

    def names(self, inside: str) -> list[str]:
        """See `Folder`."""
        from pyarrow import fs

        selector = fs.FileSelector(f"{self._root}/{inside}".rstrip("/"), allow_not_found=True)
        return [info.base_name for info in self._system.get_file_info(selector)]

    def remove(self, name: str) -> None:
        """See `Folder`."""
        try:
            self._system.delete_file(f"{self._root}/{name}")
        except FileNotFoundError:
            pass
        except OSError as error:
            raise SinkError(f"cannot remove {self}/{name}: {error}") from error

    def state(self, inside: str) -> int | None:
        """See `Folder`."""
        return None


def folder_at(place: str | Path) -> Folder:
    """The folder at a path or an address (errors: OptionError)."""
    if not is_address(place):
        return LocalFolder(Path(place))
    try:
        return RemoteFolder(str(place))
    except OSError as error:
        raise OptionError(f"{place}: {error}") from None
