"""What goes on beside tagging: rows of files that are gone are marked, small parts are put together."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from streamtag.decoding.find import walk_audio
from streamtag.errors import OptionError
from streamtag.library.claims import TIDYING
from streamtag.library.known import Known
from streamtag.library.places import exists, is_address, walk
from streamtag.library.rows import path_of, row_of, schema_of, table_of
from streamtag.library.store import TRACKS, WHOLE, Store

WHOLE_ROWS = 16_384
"""Rows of a part that others were put into: some 20 MB in memory."""
MANY_PARTS = 16
"""Small parts of a day that are worth being put together."""
AWAY = "holds no music now: nothing of it is marked as removed, as its disk may be away"
STALE_SECONDS = 3600.0
"""Age of something half written that nobody writes any more."""


def prune(paths: Sequence[str | Path], store: Store, said: Callable[[str], None]) -> int:
    """Mark the rows of files that are gone: they stay, with the time in `removed`, and no search finds them.

    Parameters
    ----------
    paths : sequence of str or Path
        The collection: what lies elsewhere is left alone. A folder without any music is, too: its disk may be away.
    store : Store
        Where the rows are.
    said : callable
        Called with what a person should know.

    Returns
    -------
    int
        How many were marked.
    """
    folders, files = [], []
    for path in paths:
        if is_address(path):
            with suppress(OptionError):
                if next(walk(str(path)), None) is not None:
                    folders.append(f"{str(path).rstrip('/')}/")
                    continue
            said(f"{path} {AWAY}")
            continue
        absolute = os.path.abspath(path)  # noqa: PTH100 - as in `files_of`
        if os.path.isdir(absolute):  # noqa: PTH112
            if next(walk_audio([absolute]), None) is None:
                said(f"{path} {AWAY}")
                continue
            folders.append(os.path.join(absolute, ""))  # noqa: PTH118
        elif os.path.isdir(os.path.dirname(absolute)):  # noqa: PTH112, PTH120
            files.append(absolute)
    known = Known(store)
    marked = 0
    for part, rows in list(known.live()):
        names = store.read(part, ["path"]).take(rows)["path"].to_pylist()
        paths_of = map(path_of, names)
        meant = ((row, path) for row, path in zip(rows, paths_of, strict=True) if _lies_in(path, folders, files))
        gone = [row for row, path in meant if not exists(path)]
        if gone:
            whole = store.read(part).take(gone).to_pylist()
            found = [row_of(values, store.settings).now() for values in whole]
            store.write(table_of([replace(row, removed=row.tagged) for row in found], store.settings))
            marked += len(gone)
    return marked


def _lies_in(path: str, folders: Sequence[str], files: Sequence[str]) -> bool:
    return path in files or any(path.startswith(folder) for folder in folders)


def tidy(store: Store) -> None:
    """Put small parts together, and leave out rows that do not hold any more. One run does it at a time.

    Where there are no locks, nobody knows who else is at it: nothing is done.
    """
    claims = store.claims()
    try:
        if claims.take(TIDYING) and claims.possible:
            _remove_stale(store)
            known = Known(store)
            # only what was taken in is looked at: another run may be adding parts, of which nothing is known here
            replaced = {name for part in known.parts if WHOLE in part for name in store.replaced_by(part)}
            store.remove(replaced)  # whoever put them together was interrupted
            holding = {part: rows for part, rows in known.live(removed=True)}
            days: dict[str, list[str]] = {}
            for part in known.parts:
                days.setdefault(part.partition("/")[0], []).append(part)
            for parts in days.values():
                for group in _groups(store, parts, {part: len(holding.get(part, ())) for part in parts}):
                    tables = (store.read(part).take(holding[part]) for part in group if part in holding)
                    _put_together(store, group, tables, any(part in holding for part in group))
    finally:
        claims.close()


def _groups(store: Store, parts: Sequence[str], holding: dict[str, int]) -> Iterator[list[str]]:
    """Parts that are better put together."""
    small, stale = [], []
    for part in parts:
        with store.open(part) as file:
            rows = file.metadata.num_rows
        if holding[part] < rows:
            stale.append(part)
        elif rows < WHOLE_ROWS // 2:
            small.append(part)
    chosen = stale + (small if len(small) > MANY_PARTS or stale else [])
    group: list[str] = []
    for part in sorted(chosen):
        if group and sum(holding[each] for each in group) + holding[part] > WHOLE_ROWS:
            yield group
            group = []
        group.append(part)
    if group:
        yield group


def _put_together(store: Store, group: Sequence[str], tables: Iterator[pa.Table], holds: bool) -> None:
    if holds:
        store.write_all(tables, schema_of(store.settings), group)
    store.remove(group)


def _remove_stale(store: Store) -> None:
    if store.folder.path is None:
        return
    for partial in (store.folder.path / TRACKS).glob("day=*/.streamtag-*.partial"):
        with suppress(OSError):
            if time.time() - partial.stat().st_mtime > STALE_SECONDS:
                partial.unlink()
