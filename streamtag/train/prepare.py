"""From an index to a store of spectrograms, on all processors; what is there and unchanged is kept."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from streamtag._system.progress import progress
from streamtag.decoding.decode import open_audio
from streamtag.decoding.reader import AudioReader
from streamtag.dsp.front_end import MEL_POWER
from streamtag.errors import AudioFileError, OptionError
from streamtag.files.outputs import writing
from streamtag.melstream import MelStream
from streamtag.train.index import Index, Track
from streamtag.train.store import (
    ARRAYS,
    INDEX,
    Float,
    Stored,
    array_bytes,
    array_file,
    cells_line,
    read_parameters,
    read_stored,
    write_parameters,
    write_power,
    write_stored,
)

ERRORS = "errors.tsv"
LEAVING_SECONDS = 2.0
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What has become of the tracks of an index: made now, kept from before, and those that cannot be read."""

    made: int
    kept: int
    failed: int


def prepare(
    index: Index,
    folder: str | Path,
    *,
    dtype: Float | None = None,
    jobs: int = 0,
    console: Console | None = None,
    fail: Tell = lambda _: None,
    note: Tell = lambda _: None,
) -> Prepared:
    """Make the spectrograms of an index's tracks, or go on with what was interrupted.

    What a store has of a file that has not changed since (by path, size and time) is kept, also of tracks that are not
    in this index. A file that cannot be read is told, listed in ``errors.tsv`` and left out; the next run tries again.

    Parameters
    ----------
    index : Index
        The tracks.
    folder : str or Path
        The store; made if it is not there.
    dtype : {'float32', 'float16'} or None
        Of its arrays; None: as it is, and float32 of a new one.
    jobs : int
        Files at a time; 0: one for each processor.
    console : Console or None
        Where progress is shown.
    fail, note : callable
        Called with each file that cannot be read, and with what else is off about files, in words.

    Returns
    -------
    Prepared
        How many.

    Raises
    ------
    OptionError
        A folder with something else in it, or a store of another type.
    DataError
        A store that is damaged, or of another kind.
    SinkError
        What cannot be written: all that was made until then stays.
    """
    folder = Path(folder)
    dtype = _begin(folder, dtype)
    there = _whole(folder, dtype)
    write_stored(folder, there.values())  # without what is not whole, and each once
    todo = [track for track in index.tracks if not _unchanged(track, there.get(track.id))]
    made = failed = 0
    with (
        progress(console, "preparing", len(todo)) as steps,
        _Lines(folder / INDEX) as lines,
        _Lines(folder / ERRORS, ("id", "audio", "error")) as errors,
    ):
        work = _Work(folder, dtype, steps.detail)
        for track, result in work.on_all(todo, jobs):
            if isinstance(result, AudioFileError):
                failed += 1
                errors.add(cells_line((track.id, _absolute(track.path), result.reason)))
                fail(str(result))
            else:
                made += 1
                lines.add(result.stored.line())
                if result.note:
                    note(f"{track.path}: {result.note}")
            steps.advance()
    return Prepared(made, len(index.tracks) - len(todo), failed)


def compile_first() -> None:
    """Compile and touch what would make the first file slow."""
    MelStream(44_100, front_end=MEL_POWER).push(np.zeros(1024, np.float32))


# --- what is there ------------------------------------------------------------------------------------------------


def _begin(folder: Path, dtype: Float | None) -> Float:
    """Make the store if it is not there; the type of its arrays."""
    with writing(folder):
        folder.mkdir(exist_ok=True)
    there = read_parameters(folder)
    if there is not None:
        if dtype not in (None, there):
            raise OptionError(f"{folder} holds {there}: give --dtype {there}, or another folder for {dtype}")
        with writing(folder / ERRORS):
            (folder / ERRORS).unlink(missing_ok=True)
        return there
    if any(folder.iterdir()):
        raise OptionError(f"{folder} holds other files, and no store: give a folder that is empty or yet to be made")
    write_parameters(folder, dtype or "float32")
    return dtype or "float32"


def _whole(folder: Path, dtype: Float) -> dict[str, Stored]:
    """The tracks whose arrays are as long as the index says; what interrupted runs left half written is removed."""
    for partial in (folder / ARRAYS).glob("*/.streamtag-*.partial"):
        with suppress(OSError):
            partial.unlink()
    whole = {}
    for name, stored in read_stored(folder).items():
        with suppress(OSError):
            if (folder / stored.file).stat().st_size == array_bytes(stored.frames, dtype):
                whole[name] = stored
    return whole


def _unchanged(track: Track, stored: Stored | None) -> bool:
    """Whether an array was made of this file, as it is now."""
    if stored is None or stored.audio != _absolute(track.path):
        return False
    try:
        status = track.path.stat()
    except (OSError, ValueError):
        return False
    return (status.st_size, status.st_mtime_ns) == (stored.bytes, stored.modified_ns)


def _absolute(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - Path.absolute keeps `..`, and Path.resolve follows links


class _Lines:
    """A file that lines are added to, each whole and on its way to disk; made with its heading when the first comes."""

    def __init__(self, path: Path, heading: tuple[str, ...] = ()) -> None:
        self._path, self._heading = path, heading
        self._file: IO[bytes] | None = None

    def add(self, line: str) -> None:
        with writing(self._path):
            if self._file is None:
                self._file = self._path.open("ab")
                line = cells_line(self._heading) + line if self._heading else line
            self._file.write(line.encode("utf-8", "surrogateescape"))
            self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            with writing(self._path):
                self._file.close()


# --- the work -----------------------------------------------------------------------------------------------------


class Stopped(BaseException):
    """Raised in a worker when the work is given up."""


@dataclass(frozen=True, slots=True)
class _Made:
    """A line for the index, and what is off about the file."""

    stored: Stored
    note: str | None


class _Work:
    """One track's array, on whichever thread: the kernels, NumPy's FFT and the decoders release Python's lock."""

    def __init__(self, folder: Path, dtype: Float, tell: Tell) -> None:
        self._folder, self._dtype, self._tell = folder, dtype, tell
        self._stopping = threading.Event()
        self._seconds = 0.0  # of sound heard so far, for those who wait

    def on_all(self, tracks: Sequence[Track], jobs: int) -> Iterator[tuple[Track, _Made | AudioFileError]]:
        """Each track with what came of it, in the order in which they are done."""
        compile_first()  # once, before several threads want it
        executor = ThreadPoolExecutor(jobs or os.cpu_count() or 1, thread_name_prefix="streamtag-prepare")
        futures: dict[Future[_Made | AudioFileError], Track] = {}
        try:
            futures = {executor.submit(self, track): track for track in tracks}
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException:
            # what is under way is given a moment to notice; it may be somewhere in a library, which nobody waits for
            self._stopping.set()
            executor.shutdown(wait=False, cancel_futures=True)
            wait(futures, LEAVING_SECONDS)
            raise
        executor.shutdown()

    def __call__(self, track: Track) -> _Made | AudioFileError:
        try:
            with open_audio(track.path) as reader:
                status = track.path.stat()
                file = array_file(track.id)
                frames = write_power(self._folder / file, self._power(reader), self._dtype)
        except AudioFileError as error:
            return error
        except OSError as error:
            return AudioFileError(track.path, f"cannot be read: {error.strerror or error}")
        audio = _absolute(track.path)
        return _Made(Stored(track.id, file, frames, audio, status.st_size, status.st_mtime_ns), reader.note)

    def _power(self, reader: AudioReader) -> Iterator[NDArray[np.float32]]:
        """Musicnn's frames, block by block; no error of the system's, which would be taken for one of writing."""
        stream = MelStream(reader.samplerate, reader.channels, front_end=MEL_POWER, centered=True)
        try:
            for block in reader.blocks():
                if self._stopping.is_set():
                    raise Stopped
                self._say(len(block) / reader.samplerate)
                yield stream.push(block).logmel
        except OSError as error:  # of a disk that was pulled, say
            raise AudioFileError(reader.path, f"cannot be read: {error.strerror or error}") from error
        yield stream.flush().logmel

    def _say(self, seconds: float) -> None:
        self._seconds += seconds
        minutes, rest = divmod(int(self._seconds), 60)
        self._tell(f"{minutes // 60}:{minutes % 60:02d}:{rest:02d} of sound")
