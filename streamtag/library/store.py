"""The folder of a library: its settings, and the parts in which its rows lie.

    STORE/streamtag.json                                the settings
    STORE/tracks/day=2026-11-27/part-….parquet          some hundred rows each
    STORE/claims                                        see `Claims`; empty
    STORE/search/                                       what searches keep for the next one; may be removed

A part is written beside its place and then renamed: it is there whole, or not at all, and never changed. A row that is
written later goes before an earlier one of the same path. Parts that were put together name those that they replace,
so that nothing is double when it was interrupted between the two.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from streamtag.errors import DataError, OptionError
from streamtag.files.outputs import replacing, writing
from streamtag.library.claims import Claims
from streamtag.library.settings import Settings

SETTINGS, TRACKS, CLAIMS, SEARCH = "streamtag.json", "tracks", "claims", "search"
WHOLE = "part-whole-"
"""How the names of parts begin that others were put into."""
REPLACES = b"streamtag.replaces"
GROUP_ROWS = 1024
"""Rows of a row group: what is read to get one."""


class Store:
    """A library on disk.

    Parameters
    ----------
    folder : str or Path
        Where it is.

    Attributes
    ----------
    folder : Path
        Where it is.
    settings : Settings
        What it was made with.

    Raises
    ------
    DataError
        No library, or one that is damaged.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._replaced: dict[str, list[str]] = {}
        try:
            text = (self.folder / SETTINGS).read_bytes()
        except OSError as error:
            what = "holds no library" if self.folder.is_dir() else "is no folder"
            raise DataError(f"{folder} {what} ({error.strerror}): make one with `streamtag library tag`") from None
        try:
            self.settings = Settings.from_json(text)
        except DataError as error:
            raise DataError(f"{self.folder / SETTINGS}: {error}") from error

    @classmethod
    def begun(cls, folder: str | Path, settings: Settings) -> Store:
        """The store in this folder, begun if there is none.

        Raises
        ------
        OptionError
            A folder with something else in it, or a store that was made otherwise.
        DataError
            A store that is damaged.
        SinkError
            The folder cannot be written to.
        """
        folder = Path(folder)
        with writing(folder):
            folder.mkdir(exist_ok=True)
            if not (folder / SETTINGS).exists():
                if [path for path in folder.iterdir() if not path.name.startswith(".")]:
                    raise OptionError(
                        f"{folder} holds other files, and no library: give one that is empty, or a new one"
                    )
                with replacing(folder / SETTINGS) as file:
                    file.write(settings.as_json().encode())
            (folder / TRACKS).mkdir(exist_ok=True)
        store = cls(folder)
        if said := store.settings.differences(settings):
            raise OptionError(
                f"{folder} was made with {'; '.join(said)}: rows of both are never mixed. Give another --out, or the "
                "options that it was made with"
            )
        return store

    def claims(self) -> Claims:
        """The claims of a run."""
        return Claims(self.folder / CLAIMS)

    # --- reading --------------------------------------------------------------------------------------------------

    def parts(self) -> list[str]:
        """The parts that hold, by name (``day=2026-11-27/part-….parquet``), those written first before others."""
        names = sorted(
            (f"{day.name}/{part}" for day in self._days() for part in _names(day.path)),
            key=lambda name: name.rpartition("part-")[2],
        )
        replaced: set[str] = set()
        for name in names:
            if WHOLE in name:
                with suppress(FileNotFoundError):  # put together with others since
                    replaced.update(self.replaced_by(name))
        return [name for name in names if name not in replaced]

    def replaced_by(self, part: str) -> list[str]:
        """The parts that are in this one, too; those that are not there any more among them."""
        if part not in self._replaced:
            with self.open(part) as file:
                self._replaced[part] = list(json.loads((file.schema_arrow.metadata or {}).get(REPLACES, b"[]")))
        return self._replaced[part]

    def state(self) -> tuple[int, ...]:
        """What changes when parts come or go."""
        return tuple(day.stat().st_mtime_ns for day in sorted(self._days(), key=lambda day: day.name))

    def open(self, part: str) -> pq.ParquetFile:
        """A part, to be read.

        Raises
        ------
        DataError
            Damaged, or no part of a library.
        FileNotFoundError
            Gone meanwhile: put together with others.
        """
        path = self.folder / TRACKS / part
        try:
            return pq.ParquetFile(path)
        except FileNotFoundError:
            raise
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{path} is damaged ({error}): move it away, and tag again what was in it") from error

    def read(self, part: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Columns of a part, all if None."""
        with self.open(part) as file:
            try:
                return file.read(None if columns is None else list(columns))
            except (pa.ArrowException, OSError) as error:
                raise DataError(f"{self.folder / TRACKS / part} is damaged ({error}): move it away") from error

    # --- writing --------------------------------------------------------------------------------------------------

    def write(self, table: pa.Table) -> str:
        """Add a part. Returns its name.

        Raises
        ------
        SinkError
            It cannot be written.
        """
        return self.write_all([table], table.schema)

    def write_all(self, tables: Iterable[pa.Table], schema: pa.Schema, replaces: Sequence[str] = ()) -> str:
        """Add a part of several tables, in the place of others. Returns its name; "" if there is no row."""
        now = datetime.now(UTC)
        day = next(iter(replaces), f"day={now:%Y-%m-%d}/").partition("/")[0]
        kind = WHOLE if replaces else "part-"
        name = f"{day}/{kind}{now:%Y%m%dT%H%M%S%f}-{uuid.uuid4().hex[:8]}.parquet"
        path = self.folder / TRACKS / name
        if replaces:
            schema = schema.with_metadata((schema.metadata or {}) | {REPLACES: json.dumps(list(replaces)).encode()})
        rows = 0
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            options: dict[str, Any] = {"compression": "zstd"}
            with pq.ParquetWriter(file, schema, **options) as writer:
                for table in tables:
                    rows += len(table)
                    writer.write_table(table.replace_schema_metadata(schema.metadata), GROUP_ROWS)
            file.flush()
            os.fsync(file.fileno())
        _sync(path.parent)
        return name

    def remove(self, parts: Iterable[str]) -> None:
        """Remove parts, those that are gone among them."""
        for part in parts:
            path = self.folder / TRACKS / part
            with suppress(FileNotFoundError), writing(path):
                path.unlink()
            with suppress(OSError):  # the last one of its day
                path.parent.rmdir()

    def _days(self) -> Iterator[os.DirEntry[str]]:
        try:
            with os.scandir(self.folder / TRACKS) as entries:
                yield from [entry for entry in entries if entry.name.startswith("day=")]
        except FileNotFoundError:
            return
        except OSError as error:
            raise DataError(f"{self.folder / TRACKS} cannot be read: {error.strerror}") from error


def _names(day: str) -> list[str]:
    with suppress(FileNotFoundError):
        return [path.name for path in Path(day).iterdir() if path.match("part-*.parquet")]
    return []


def _sync(folder: Path) -> None:
    """That a name is there after a power cut, too, where systems know how."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
