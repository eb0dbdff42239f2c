"""A collection to a store: what is not there yet is heard, on all processors, and kept part by part.

    scan -> is it done? -> claim -> read ahead: checksum -> the content is known? -> hear -> row -> part

All decisions are made on one thread; reading ahead and hearing have threads of their own, which wait for disks and for
workers. How much is under way is bounded, whatever the size of the collection.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from streamtag._system.threads import start_whole
from streamtag.decoding.find import walk_audio
from streamtag.errors import AudioFileError
from streamtag.library.hearing import Heard
from streamtag.library.known import Known, hashed
from streamtag.library.places import Fetched, exists, fetch, forget_all, is_address, walk
from streamtag.library.rows import File, Row, table_of, text_of
from streamtag.library.store import Store
from streamtag.library.workers import Hearing

PART_ROWS = 512
"""Rows of a part: some minutes of work, and a fraction of a second to write."""
PART_SECONDS = 30.0
"""And no row waits longer than that: what is lost when the power goes."""
READERS = 8
"""Threads that read ahead, at the least: so many requests a slow disk or a share gets at once."""
AHEAD = 16
"""Files that are read before they are heard, beside those at work; they stay in the system's cache meanwhile."""
WAIT_SECONDS = 1.0
"""From one look to the next at what another run works on."""
CHANGED = Heard(error="changed while it was read: run again")


class Tell(Protocol):
    """Who is told how far it is, while it is done."""

    def found(self, files: int) -> None:
        """So many files are to be done, as far as is known."""

    def done(self, what: str, file: File, heard: Heard) -> None:
        """A file is 'tagged', 'kept', 'moved', a 'copy', or 'failed'."""

    def said(self, text: str) -> None:
        """Something that a person should know."""


@dataclass
class Outcome:
    """What has become of a collection.

    Attributes
    ----------
    counts : Counter of str
        Files that were ``tagged``, ``moved``, a ``copy`` of another, ``kept`` from before, or ``failed`` now, and those
        ``known`` to have failed before.
    reasons : Counter of str
        Why files failed now, and how many for each reason.
    seconds : float
        Of sound that was heard.
    rows : int
        That were written.
    """

    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    rows: int = 0


@dataclass(slots=True)
class _Track:
    """A file at work."""

    file: File
    claim: int
    sha256: str | None = None
    fetched: Fetched | None = None  # until it was heard


def files_of(paths: Iterable[str | Path]) -> Iterator[File]:
    """The files of a collection, by address or absolute path; one that cannot be looked at has the size -1.

    Raises
    ------
    OptionError
        An address where there is nothing, or that cannot be used.
    """
    given = list(paths)
    for address in filter(is_address, given):
        for found in walk(str(address)):
            yield File(*found)
    for path in walk_audio(path for path in given if not is_address(path)):
        absolute = os.path.abspath(path)  # noqa: PTH100 - Path.absolute keeps `..`, and Path.resolve follows links
        try:
            status = os.stat(absolute)  # noqa: PTH116 - Path raises for some names
            yield File(absolute, status.st_size, status.st_mtime_ns)
        except (OSError, ValueError):
            yield File(absolute, -1, 0)


def _is_there(path: str) -> bool:
    """Whether there is something, and no folder: one that cannot be listed is found as itself."""
    is_folder = os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises for some names
    return is_address(path) or (os.path.lexists(path) and not is_folder)


def tag_library(
    paths: Iterable[str | Path],
    store: Store,
    hearing: Hearing,
    tell: Tell,
    *,
    jobs: int,
    retry: bool = False,
) -> Outcome:
    """Hear what a store does not have yet. May be stopped or killed at any time, and run again.

    Parameters
    ----------
    paths : iterable of str or Path
        Files, folders and patterns.
    store : Store
        Where rows go.
    hearing : Hearing
        Who hears.
    tell : Tell
        Who is told.
    jobs : int
        Files that are heard at a time.
    retry : bool
        Whether files that could not be heard are tried again.

    Returns
    -------
    Outcome
        What has become of them.

    Raises
    ------
    SinkError
        A part cannot be written: what was written before stays.
    """
    given = list(paths)
    run = _Run(store, hearing, tell, jobs, retry)
    try:
        run.count(files_of(given))
        run.all(files_of(given))
    finally:
        run.close()
    return run.outcome


class _Run:
    """One run."""

    def __init__(self, store: Store, hearing: Hearing, tell: Tell, jobs: int, retry: bool) -> None:
        self.outcome = Outcome()
        self._store, self._hearing, self._tell, self._retry = store, hearing, tell, retry
        self._known = Known(store)
        self._claims = store.claims()
        self._most = jobs + AHEAD
        self._readers = ThreadPoolExecutor(max(READERS, jobs // 2), thread_name_prefix="streamtag-reader")
        self._hearers = ThreadPoolExecutor(jobs, thread_name_prefix="streamtag-hearer")
        self._events: SimpleQueue[tuple[Callable[[_Track, Any], None], _Track, Future[Any]]] = SimpleQueue()
        self._under_way: dict[str, _Track] = {}  # by path
        self._same: dict[tuple[str, str], list[_Track]] = {}  # by content: the first is being heard, others wait for it
        self._rows: list[Row] = []
        self._unwritten: dict[tuple[str, str], Row] = {}  # by content, as in `_rows`
        self._held: list[int] = []  # claims on what is in `_rows`
        self._oldest = 0.0  # when the first of `_rows` came
        self._tried: set[str] = set()  # what has failed in this run
        self._ending = threading.Event()

    def count(self, files: Iterator[File]) -> None:
        """Tell how much there is to do, from a thread that runs ahead."""

        def count() -> None:
            found = 0
            try:
                for file in files:
                    if self._ending.is_set():
                        return
                    if self._known.is_done(file) and not (self._retry and self._known.failed_before(file)):
                        continue
                    found += 1
                    if found % 100 == 1:
                        self._tell.found(found)
                self._tell.found(found)
            except Exception as error:  # said where the work is
                failed: Future[Any] = Future()
                failed.set_exception(error)
                self._events.put((self._heard, _Track(File("", -1, 0), 0), failed))

        start_whole(threading.Thread(target=count, name="streamtag-count", daemon=True))

    def all(self, files: Iterator[File]) -> None:
        """Do all, and wait for what another run has claimed."""
        others: deque[File] = deque()
        for file in files:
            self._begin(file, others)
            self._settle(self._most)
        self._settle(0)
        self._write()
        said = False
        while others:
            for _ in range(len(others)):
                self._begin(others.popleft(), others)
                self._settle(self._most)
            self._settle(0)
            self._write()
            if others:
                if not said:
                    self._tell.said(f"another run works on {len(others)} of these files: waiting for it")
                said = True
                time.sleep(WAIT_SECONDS)
        if not self._claims.possible:
            self._tell.said("this file system keeps no locks: let one run at a time work on this library")

    def close(self) -> None:
        """Write what is done, and let go of all else."""
        self._ending.set()
        try:
            self._write()
        finally:
            for pool in (self._readers, self._hearers):
                pool.shutdown(wait=False, cancel_futures=True)
            self._hearing.close()
            self._claims.close()
            forget_all()

    # --- a file's way ---------------------------------------------------------------------------------------------

    def _begin(self, file: File, others: deque[File]) -> None:
        if file.path in self._under_way or self._is_done(file):
            return
        claim = hashed(text_of(file.path))
        if not self._claims.take(claim):
            if not any(claim == held for held in self._held):  # else it is in `_rows`: meant twice
                others.append(file)
            return
        self._known.refresh()
        if self._is_done(file):  # by another run, since we last looked
            self._claims.release(claim)
            return
        track = self._under_way[file.path] = _Track(file, claim)
        if self._hearing.fetches:
            self._submit(self._hearers, self._heard_there, track, lambda: self._hearing.hear(file.path))
        else:
            self._submit(self._readers, self._read, track, lambda: fetch(file.path))

    def _is_done(self, file: File) -> bool:
        if not self._known.is_done(file):
            return False
        failed = self._known.failed_before(file)
        if failed and self._retry and file.path not in self._tried:
            return False
        self.outcome.counts["known" if failed else "kept"] += 1
        return True

    def _read(self, track: _Track, result: Any) -> None:
        """It has been read to its end, and is in the system's cache now."""
        if isinstance(result, AudioFileError):
            self._keep(track, "failed", Heard(error=result.reason), again=True)
            return
        track.fetched, track.sha256 = result, result.sha256
        content = (track.sha256 or "", track.file.kind)
        if (row := self._same_content(track)) is not None:
            self._found_again(track, row)
        elif content in self._same:
            self._same[content].append(track)
        else:
            self._same[content] = [track]
            self._hear(track)

    def _hear(self, track: _Track) -> None:
        path = track.file.path if track.fetched is None else track.fetched.path
        self._submit(self._hearers, self._heard, track, lambda: self._hearing.hear(path))

    def _same_content(self, track: _Track) -> Row | None:
        """A row of the same content, which is then not heard again."""
        content = (track.sha256 or "", track.file.kind)
        row = self._unwritten.get(content) or self._known.with_content(*content)
        return None if row is not None and self._retry and row.heard.error is not None else row

    def _heard_there(self, track: _Track, heard: Heard) -> None:
        """Read and heard by who reads itself: it may turn out to be known."""
        track.sha256 = heard.sha256
        if track.sha256 is None:
            self._keep(track, "failed", heard, again=True)
        elif (row := self._same_content(track)) is not None:
            self._found_again(track, row)
        elif self._has_changed(track):
            self._keep(track, "failed", CHANGED, again=True)
        else:
            self._keep(track, "tagged" if heard.error is None else "failed", heard)

    def _heard(self, track: _Track, heard: Heard) -> None:
        content = (track.sha256 or "", track.file.kind)
        waiting = self._same.pop(content)
        if self._has_changed(track):
            self._keep(track, "failed", CHANGED, again=True)
            if waiting[1:]:  # who waited for it is heard itself
                self._same[content] = waiting[1:]
                self._hear(waiting[1])
            return
        self._keep(track, "tagged" if heard.error is None else "failed", heard)
        for other in waiting[1:]:
            self._keep(other, "copy" if heard.error is None else "failed", heard)

    def _has_changed(self, track: _Track) -> bool:
        """Whether it is another file now than the one that was found."""
        if is_address(track.file.path):
            return False
        with suppress(OSError, ValueError):
            status = os.stat(track.file.path)  # noqa: PTH116
            return (status.st_size, status.st_mtime_ns) != (track.file.bytes, track.file.modified_ns)
        return False

    def _found_again(self, track: _Track, row: Row) -> None:
        """The same content, under another path: a copy; or it was moved here."""
        what = "copy" if row.heard.error is None else "failed"
        if row.file.path == track.file.path and what == "copy":  # only its time has changed
            what = "kept"
        elif row.removed is None and not exists(row.file.path):
            what = "moved"
            gone = replace(row, removed=row.now().tagged).now()
            claim = hashed(text_of(row.file.path))
            if self._claims.take(claim):
                self._add(gone, claim)
        self._keep(track, what, row.heard)

    def _keep(self, track: _Track, what: str, heard: Heard, *, again: bool = False) -> None:
        row = Row(track.file, track.sha256, heard, again).now()
        if again and not _is_there(track.file.path):
            self._claims.release(track.claim)  # told, but no track
        else:
            self._add(row, track.claim)
        if track.sha256 is not None and not again:
            self._unwritten[track.sha256, track.file.kind] = row
        del self._under_way[track.file.path]
        if track.fetched is not None:
            track.fetched.forget()
        self.outcome.counts[what] += 1
        if what == "failed":
            self._tried.add(track.file.path)
            reason = re.sub(r" \(.*\)$", "", heard.error or "")  # without what differs from file to file
            self.outcome.reasons[reason] += 1
        elif what == "tagged":
            self.outcome.seconds += heard.seconds
        self._tell.done(what, track.file, heard)

    def _add(self, row: Row, claim: int) -> None:
        self._oldest = self._oldest if self._rows else time.monotonic()
        self._rows.append(row)
        self._held.append(claim)

    # --- together -------------------------------------------------------------------------------------------------

    def _submit(
        self,
        pool: ThreadPoolExecutor,
        then: Callable[[_Track, Any], None],
        track: _Track,
        work: Callable[[], Any],
    ) -> None:
        future = pool.submit(work)
        future.add_done_callback(lambda future: self._events.put((then, track, future)))

    def _settle(self, most: int) -> None:
        """Take what is done, until no more than `most` files are under way."""
        while True:
            wait = len(self._under_way) > most
            try:
                then, track, future = self._events.get(wait, PART_SECONDS if wait else None)
            except Empty:
                if not wait:
                    break
            else:
                error = future.exception()
                if error is not None and not isinstance(error, AudioFileError):
                    raise error
                then(track, error if error is not None else future.result())
            if self._rows and (len(self._rows) >= PART_ROWS or time.monotonic() - self._oldest >= PART_SECONDS):
                self._write()

    def _write(self) -> None:
        """A part of what is done."""
        if not self._rows:
            return
        rows, self._rows = self._rows, []
        try:
            part = self._store.write(table_of(rows, self._store.settings))
        except BaseException:  # Ctrl-C, perhaps: they are written at the end
            self._rows = rows
            raise
        self._unwritten = {}
        self.outcome.rows += len(rows)
        self._known.add(part)
        for claim in self._held:
            self._claims.release(claim)
        self._held = []
