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
import re
import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from streamtag.errors import DataError, OptionError, SinkError
from streamtag.files.outputs import writing
from streamtag.library.claims import Claims
from streamtag.library.folder import folder_at
from streamtag.library.settings import Settings

SETTINGS, TRACKS, CLAIMS, SEARCH = "streamtag.json", "tracks", "claims", "search"
WHOLE = "part-whole-"
"""How the names of parts begin that others were put into."""
PART = re.compile(r"day=[^/]+/part-[^/]+\.parquet")
REPLACES = b"streamtag.replaces"
GROUP_ROWS = 1024
"""Rows of a row group: what is read to get one."""


class Store:
    """A library.

    Parameters
    ----------
    place : str or Path
        Where it is: a folder, or an address (see `places`).

    Attributes
    ----------
    folder : Folder
        Where it is.
    settings : Settings
        What it was made with.

    Raises
    ------
    DataError
        No library, or one that is damaged.
    OptionError
        An address that cannot be used.
    """

    def __init__(self, place: str | Path) -> None:
        self.folder = folder_at(place)
        self._replaced: dict[str, list[str]] = {}
        try:
            text = self.folder.read(SETTINGS)
        except OSError as error:
            reason = error.strerror or " ".join(str(error).split())[:200]
            raise DataError(f"{place} holds no library ({reason}): make one with `streamtag library tag`") from None
        try:
            self.settings = Settings.from_json(text)
        except DataError as error:
            raise DataError(f"{self.folder}/{SETTINGS}: {error}") from error

    @classmethod
    def there(cls, place: str | Path) -> Store | None:
        """The store in this place; None if there is none (errors: DataError, OptionError)."""
        return cls(place) if SETTINGS in folder_at(place).names("") else None

    @classmethod
    def begun(cls, place: str | Path, settings: Settings) -> Store:
        """The store in this place, begun if there is none.

        Raises
        ------
        OptionError
            A folder with something else in it, or a store that was made otherwise.
        DataError
            A store that is damaged.
        SinkError
            The folder cannot be written to.
        """
        folder = folder_at(place)
        if folder.path is not None:
            with writing(folder.path):
                folder.path.mkdir(exist_ok=True)
        try:
            names = folder.names("")
        except OSError as error:
            raise SinkError(f"cannot write {place}: {error.strerror or error}") from error
        if SETTINGS not in names:
            if [name for name in names if not name.startswith(".")]:
                raise OptionError(f"{place} holds other files, and no library: give a new or an empty folder")
            folder.write(SETTINGS, lambda file: file.write(settings.as_json().encode()))
        store = cls(place)
        if said := store.settings.differences(settings):
            raise OptionError(
                f"{place} was made with {'; '.join(said)}: rows of both are never mixed. Give another --out, or the "
                "options that it was made with"
            )
        return store

    def claims(self) -> Claims:
        """The claims of a run."""
        return Claims(None if self.folder.path is None else self.folder.path / CLAIMS)

    # --- reading --------------------------------------------------------------------------------------------------

    def parts(self) -> list[str]:
        """The parts that hold, by name (``day=2026-11-27/part-….parquet``), those written first before others.

        Raises
        ------
        DataError
            The folder cannot be read.
        """
        try:
            found = [f"{day}/{part}" for day in self._days() for part in self.folder.names(f"{TRACKS}/{day}")]
        except OSError as error:
            raise DataError(f"{self.folder}/{TRACKS} cannot be read: {error.strerror or error}") from error
        names = sorted((name for name in found if PART.fullmatch(name)), key=lambda name: name.rpartition("-20")[2])
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

    def state(self) -> tuple[int, ...] | None:
        """What changes when parts come or go; None where that cannot be known."""
        states = [self.folder.state(TRACKS), *(self.folder.state(f"{TRACKS}/{day}") for day in sorted(self._days()))]
        return None if None in states else tuple(state for state in states if state is not None)

    def open(self, part: str) -> pq.ParquetFile:
        """A part, to be read.

        Raises
        ------
        DataError
            Damaged, or no part of a library.
        FileNotFoundError
            Gone meanwhile: put together with others.
        """
        try:
            return pq.ParquetFile(self.folder.input(f"{TRACKS}/{part}"))
        except FileNotFoundError:
            raise
        except (pa.ArrowException, OSError) as error:
            raise self._damaged(part, error) from error

    def read(self, part: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Columns of a part, all if None (errors: see `open`)."""
        with self.open(part) as file:
            try:
                return file.read(None if columns is None else list(columns))
            except (pa.ArrowException, OSError) as error:
                raise self._damaged(part, error) from error

    def _damaged(self, part: str, error: Exception) -> DataError:
        said = " ".join(str(error).split())[:200]
        return DataError(
            f"{self.folder}/{TRACKS}/{part} is damaged ({said}): move it away, and tag again what was in it"
        )

    def _days(self) -> list[str]:
        return [name for name in self.folder.names(TRACKS) if name.startswith("day=")]

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
        """Add a part of several tables, in the place of others. Returns its name."""
        now = datetime.now(UTC)
        day = next(iter(replaces), f"day={now:%Y-%m-%d}/").partition("/")[0]
        kind = WHOLE if replaces else "part-"
        name = f"{day}/{kind}{now:%Y%m%dT%H%M%S%f}-{uuid.uuid4().hex[:8]}.parquet"
        if replaces:
            schema = schema.with_metadata((schema.metadata or {}) | {REPLACES: json.dumps(list(replaces)).encode()})

        def write(file: IO[bytes]) -> None:
            with pq.ParquetWriter(file, schema, compression="zstd") as writer:
                for table in tables:
                    writer.write_table(table.replace_schema_metadata(schema.metadata), GROUP_ROWS)

        self.folder.write(f"{TRACKS}/{name}", write)
        return name

    def remove(self, parts: Iterable[str]) -> None:
        """Remove parts, those that are gone among them (errors: SinkError)."""
        for part in parts:
            self.folder.remove(f"{TRACKS}/{part}")
