"""Places to write, tried before the work whose result goes there."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from streamtag.decoding.regular import irregular
from streamtag.errors import OptionError, SinkError

TRIAL = bytes(4096)


def check_output(target: Path, inputs: Iterable[Path] = ()) -> None:
    """Refuse a place where nothing can be written, or where something would be lost, before any long work.

    Parameters
    ----------
    target : Path
        The file that is to be written (beside, and renamed).
    inputs : iterable of Path
        What is read, and so must not be overwritten.

    Raises
    ------
    OptionError
        A folder, a missing one, no regular file, or one of the inputs.
    SinkError
        The system does not let anything be written there: no permission, read-only, no space.
    """
    folder = target.absolute().parent
    if not folder.is_dir():
        raise OptionError(f"cannot write {target}: the folder {folder} does not exist")
    if target.is_dir():
        raise OptionError(f"cannot write {target}: it is a folder")
    with suppress(FileNotFoundError):
        if (other := irregular(target.stat().st_mode)) is not None:
            raise OptionError(f"cannot write {target}: {other}")
        if not os.access(target, os.W_OK):
            raise SinkError(f"cannot write {target}: it is read-only")
        if (same := next((path for path in inputs if _same(path, target)), None)) is not None:
            raise OptionError(f"cannot write {target}: it is read, too ({same}); give another name")
    trial = target.with_name(f"{target.name}.partial")
    try:
        try:
            with trial.open("wb") as file:
                file.write(TRIAL)
                file.flush()
                os.fsync(file.fileno())  # some systems say only now that there is no space
        finally:
            trial.unlink(missing_ok=True)
    except OSError as error:
        raise SinkError(f"cannot write {target}: {error.strerror or error}") from error


def _same(path: Path, target: Path) -> bool:
    try:
        return path.samefile(target)
    except (OSError, ValueError):  # what is not there is not overwritten
        return False


def check_outputs(targets: Iterable[tuple[str, Path | None]], inputs: Iterable[Path] = ()) -> None:
    """Check several, each with the name of its option; two must not be the same.

    Parameters
    ----------
    targets : iterable of (str, Path or None)
        Options and what they name; None for those not given.
    inputs : iterable of Path
        What is read.

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
        check_output(target, inputs)
        if (other := taken.setdefault(target.resolve(), option)) != option:
            raise OptionError(f"{other} and {option} both name {target}: give each a file of its own")
