"""Places to write, tried before the work whose result goes there."""

from __future__ import annotations

import errno
import os
import zlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from streamtag.decoding.regular import irregular
from streamtag.errors import OptionError, SinkError

TRIAL = bytes(4096)


def check_output(target: Path, inputs: Iterable[Path] = (), *, appended: bool = False) -> None:
    """Refuse a place where nothing can be written, or where something would be lost, before any long work.

    Parameters
    ----------
    target : Path
        The file that is to be written (beside, and renamed).
    inputs : iterable of Path
        What is read, and so must not be overwritten.
    appended : bool
        Whether it is added to what is there: a pipe or a device may take that, too.

    Raises
    ------
    OptionError
        A folder, a missing one, no regular file, a pipe that nobody reads, or one of the inputs.
    SinkError
        The system does not let anything be written there: no permission, read-only, no space.
    """
    with writing(target):
        folder = target.absolute().parent
        if not folder.is_dir():
            raise OptionError(f"cannot write {target}: the folder {folder} does not exist")
        if target.is_dir():
            raise OptionError(f"cannot write {target}: it is a folder")
        with suppress(FileNotFoundError):
            if (other := irregular(target.stat().st_mode)) is not None:
                if appended:
                    _check_read(target)
                    return
                raise OptionError(f"cannot write {target}: {other}")
            if not os.access(target, os.W_OK):
                raise SinkError(f"cannot write {target}: it is read-only")
            if (same := next((path for path in inputs if _same(path, target)), None)) is not None:
                raise OptionError(f"cannot write {target}: it is read, too ({same}); give another name")
        _try(_beside(target), needed=not (appended and target.exists()))


def _try(trial: Path, needed: bool) -> None:
    """Write something; whether the folder must allow it depends on what is to be written."""
    try:
        with trial.open("wb") as file:
            file.write(TRIAL)
            file.flush()
            os.fsync(file.fileno())  # some systems say only now that there is no space
    except PermissionError:
        if needed:
            raise
    finally:
        with suppress(OSError):
            trial.unlink(missing_ok=True)


@contextmanager
def writing(target: str | Path) -> Iterator[None]:
    """Name the file in what the system says of it: a full disk, no permission."""
    try:
        yield
    except OSError as error:
        raise SinkError(f"cannot write {target}: {error.strerror or error}") from error


@contextmanager
def replacing(target: Path) -> Iterator[IO[bytes]]:
    """A file to write to, put in the place of the target when it is whole: a full disk leaves the old one.

    Parameters
    ----------
    target : Path
        What is written.

    Yields
    ------
    binary file
        To be written.

    Raises
    ------
    SinkError
        If it cannot be written.
    """
    partial = _beside(target)
    try:
        with writing(target):
            with partial.open("wb") as file:
                yield file
            partial.replace(os.path.realpath(target))  # what a link leads to, not the link
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _beside(target: Path) -> Path:
    real = Path(os.path.realpath(target))
    # Nobody else's name, not even that of another run with the same target, and never longer than a name may be.
    return real.with_name(f".streamtag-{os.getpid()}-{zlib.crc32(os.fsencode(real.name)):08x}.partial")


def _check_read(target: Path) -> None:
    """Refuse a pipe that nobody reads: opening it would wait for a reader, for ever."""
    try:
        os.close(os.open(target, os.O_WRONLY | os.O_NONBLOCK))
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        raise OptionError(f"cannot write {target}: nobody reads this pipe; start what reads it first") from None


def _same(path: Path, target: Path) -> bool:
    try:
        return path.samefile(target)
    except (OSError, ValueError):  # what is not there is not overwritten
        return False


def check_outputs(
    targets: Iterable[tuple[str, Path | None]], inputs: Iterable[Path] = (), *, appended: Collection[str] = ()
) -> None:
    """Check several, each with the name of its option; two must not be the same.

    Parameters
    ----------
    targets : iterable of (str, Path or None)
        Options and what they name; None for those not given.
    inputs : iterable of Path
        What is read.
    appended : collection of str
        The options whose files are added to.

    Raises
    ------
    OptionError
        See `check_output`; or two of one place.
    SinkError
        See `check_output`.
    """
    inputs, taken = tuple(inputs), dict[Path, str]()
    for option, target in targets:
        if target is None:
            continue
        check_output(target, inputs, appended=option in appended)
        if (other := taken.setdefault(target.resolve(), option)) != option:
            raise OptionError(f"{other} and {option} both name {target}: give each a file of its own")
