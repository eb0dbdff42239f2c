"""A row for each track: what its columns are, and how rows become a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any

import numpy as np
import pyarrow as pa

from streamtag import __version__
from streamtag.library.hearing import Heard
from streamtag.library.settings import Settings
from streamtag.results import best_tags

TOP = 10
"""Tags that are named in a row, best first."""


@dataclass(frozen=True, slots=True)
class File:
    """A file, as it was found.

    Attributes
    ----------
    path : str
        Its absolute path, as the system gives it.
    bytes : int
        Its size.
    modified_ns : int
        When it was last written to, in ns since 1970.
    """

    path: str
    bytes: int
    modified_ns: int

    @property
    def kind(self) -> str:
        """The ending of its name: with the content, it decides how the file is read."""
        return PurePath(self.path).suffix.lower()


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """What a store has of a track.

    Attributes
    ----------
    file : File
        Which.
    sha256 : str or None
        Checksum of its bytes; None where they cannot be read.
    heard : Heard
        What was heard.
    again : bool
        Whether the next run tries it again: what failed was the system, and not the file.
    tagged, removed : datetime or None
        When it was heard or found, and when it was found to be gone.
    """

    file: File
    sha256: str | None
    heard: Heard
    again: bool = False
    tagged: datetime | None = None
    removed: datetime | None = None

    def now(self) -> Row:
        """With the time."""
        return replace(self, tagged=datetime.now(UTC))


def text_of(path: str) -> str:
    r"""A path as text: bytes in it that are no UTF-8 by their numbers (``\xe9``), as `ls -b` shows them."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def path_of(text: str) -> str:
    r"""The path that a text stands for, if `text_of` gave it; of a name that has ``\x`` in it, it may be another."""
    if "\\x" not in text:
        return text
    raw = text.encode("utf-8")
    parts = raw.split(b"\\x")
    out = [parts[0]]
    for part in parts[1:]:
        try:
            out.append(bytes.fromhex(part[:2].decode("ascii")) + part[2:])
        except ValueError:
            return text
    return b"".join(out).decode("utf-8", "surrogateescape")


def schema_of(settings: Settings) -> pa.Schema:
    """The columns of a store, with its settings as metadata."""
    score = pa.float32()
    tags = pa.struct([pa.field(label, score) for label in settings.labels])
    columns = [
        pa.field("path", pa.string(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("modified_ns", pa.int64(), nullable=False),
        pa.field("sha256", pa.string()),
        pa.field("duration", pa.float64()),
        pa.field("samplerate", pa.int32()),
        pa.field("channels", pa.int16()),
        pa.field("decoder", pa.string()),
        pa.field("top_tags", pa.list_(pa.string())),
        *([pa.field("tags", tags), pa.field("tags_max", tags)] if settings.labels else []),
        *(pa.field(name, pa.list_(score, size)) for name, size in settings.sizes.items()),
    ]
    if settings.heads:
        heads = [
            pa.field(head.name, pa.struct([pa.field(name, score) for name in head.labels])) for head in settings.heads
        ]
        columns.append(pa.field("heads", pa.struct(heads)))
    if settings.windows:
        embedding = next((size for name, size in settings.sizes.items() if not name.endswith("_pool")), 0)
        of_each = {"tags": len(settings.labels), "embedding": embedding}
        wide = [pa.field(name, pa.list_(score, size)) for name, size in of_each.items() if size]
        columns.append(pa.field("windows", pa.list_(pa.struct([pa.field("start", pa.float64()), *wide]))))
    columns += [
        pa.field("notes", pa.list_(pa.string())),
        pa.field("error", pa.string()),
        pa.field("again", pa.bool_(), nullable=False),
        pa.field("tagged", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("removed", pa.timestamp("us", tz="UTC")),
        pa.field("version", pa.string(), nullable=False),
    ]
    return pa.schema(columns, metadata={"streamtag.library": settings.as_json()})


def table_of(rows: Sequence[Row], settings: Settings) -> pa.Table:
    """Rows as a table."""
    schema = schema_of(settings)
    return pa.Table.from_pylist([_values(row, settings) for row in rows], schema)


def _values(row: Row, settings: Settings) -> dict[str, Any]:
    heard, good = row.heard, row.heard.error is None
    values: dict[str, Any] = {
        "path": text_of(row.file.path),
        "bytes": row.file.bytes,
        "modified_ns": row.file.modified_ns,
        "sha256": row.sha256,
        "error": heard.error,
        "again": row.again,
        "tagged": row.tagged,
        "removed": row.removed,
        "version": __version__,
    }
    if not good:
        return values
    values |= {
        "duration": heard.seconds,
        "samplerate": heard.samplerate,
        "channels": heard.channels,
        "decoder": heard.decoder,
        "top_tags": [tag for tag, _ in best_tags(settings.labels, heard.tags, TOP)],
        "tags": dict(zip(settings.labels, heard.tags.tolist(), strict=True)),
        "tags_max": dict(zip(settings.labels, heard.tags_max.tolist(), strict=True)),
        "heads": heard.heads,
        "notes": list(heard.notes),
        **{name: heard.features[name] for name in settings.features},
    }
    if settings.windows:
        several = zip(heard.starts.tolist(), heard.window_tags, heard.window_embedding, strict=True)
        values["windows"] = [{"start": start, "tags": tags, "embedding": units} for start, tags, units in several]
    return values


def row_of(values: Mapping[str, Any], settings: Settings) -> Row:
    """A row as it was before it became one of a table (`values`: as `Table.to_pylist` gives them)."""
    file = File(path_of(values["path"]), values["bytes"], values["modified_ns"])
    about = (values["sha256"], values["again"], values["tagged"], values["removed"])
    if values["error"] is not None:
        return Row(file, about[0], Heard(error=values["error"]), *about[1:])

    def array(given: Any) -> Any:
        return np.array(given, np.float32)

    windows = values.get("windows") or ()
    heard = Heard(
        seconds=values["duration"],
        samplerate=values["samplerate"],
        channels=values["channels"],
        decoder=values["decoder"],
        notes=tuple(values["notes"]),
        tags=array(list(values.get("tags", {}).values())),
        tags_max=array(list(values.get("tags_max", {}).values())),
        features={name: array(values[name]) for name in settings.features},
        heads=values.get("heads") or {},
        starts=np.array([window["start"] for window in windows]),
        window_tags=array([window.get("tags", ()) for window in windows]),
        window_embedding=array([window.get("embedding", ()) for window in windows]),
    )
    return Row(file, about[0], heard, *about[1:])
