"""A calibration from files of music: their rolling scores, as live sessions make them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from streamtag import __version__
from streamtag._system.terminal import can_draw
from streamtag.decoding.decode import open_audio
from streamtag.errors import AudioFileError, CalibrationError, StreamtagError
from streamtag.inference.networks.catalogue import find_spec, weights_sha256
from streamtag.inference.networks.specs import window_frames
from streamtag.tagging.calibration import LEVELS, Calibration, quantiles
from streamtag.tagging.options import TaggingOptions
from streamtag.tagging.tagger import Tagger

Array = NDArray[np.float32]
PART_SECONDS, EVERY_SECONDS = 20.0, 60.0
"""What is heard of a file: that much, again and again. Neighbouring windows say the same; other songs do not."""
HOP = 0.256
ENOUGH = 20
"""Files of which a twentieth is at least one."""


class Stopped(BaseException):
    """Raised in a worker when the work is given up."""


def rolling_scores(
    path: str | Path, options: TaggingOptions, *, progress: Callable[[], None] | None = None
) -> tuple[Array, float]:
    """The rolling scores of a file's parts, as a live session with these options makes them.

    Parameters
    ----------
    path : str or Path
        Any file that libsndfile or FFmpeg reads.
    options : TaggingOptions
        How to tag.
    progress : callable or None
        Called after each block.

    Returns
    -------
    scores : ndarray of float32, shape (n, tags)
        Those while there was something to hear.
    seconds : float
        How much was heard.

    Raises
    ------
    AudioFileError
        The file cannot be read, or there is nothing in it to hear.
    """
    path = Path(path)
    tagger = Tagger(options=options)
    found: list[Array] = []
    heard = 0
    with open_audio(path) as reader:
        part, every = (round(seconds * reader.samplerate) for seconds in (PART_SECONDS, EVERY_SECONDS))
        place = 0  # of the block, in samples
        for block in reader.blocks():
            at = 0
            while at < len(block):
                since = (place + at) % every  # samples since this part began
                if since == 0:
                    tagger.reset()
                end = min(len(block), at + (part if since < part else every) - since)
                if since < part:
                    frames = tagger.push(block[at:end], reader.samplerate)
                    found += [frame.scores for frame in frames if not frame.gated]
                    heard += end - at
                at = end
            place += len(block)
            if progress is not None:
                progress()
        if place and not found:  # shorter than a window
            found += [frame.scores for frame in tagger.flush() if not frame.gated]
    if not found:
        raise AudioFileError(path, "holds nothing to hear")
    return np.array(found, np.float32), heard / reader.samplerate


def calibrate(
    paths: Sequence[Path], options: TaggingOptions, console: Console, *, jobs: int = 0
) -> tuple[Calibration, list[StreamtagError]]:
    """Make a calibration from files, each of which counts the same.

    Parameters
    ----------
    paths : sequence of Path
        The files.
    options : TaggingOptions
        How live sessions tag that shall use it.
    console : Console
        Where progress is shown, if it is a terminal.
    jobs : int
        Files at a time; 0: one for each processor.

    Returns
    -------
    calibration : Calibration
        The calibration.
    failed : list of StreamtagError
        What was wrong with files that were left out.

    Raises
    ------
    CalibrationError
        None of the files could be heard.
    """
    options = replace(options, hop=HOP)
    Tagger(options=options).warm_up()
    stopping = threading.Event()

    def check() -> None:
        if stopping.is_set():
            raise Stopped

    def hear(path: Path) -> tuple[Array, float] | StreamtagError:
        try:
            check()
            return rolling_scores(path, options, progress=check)
        except StreamtagError as error:
            return error

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    shown = console.is_terminal and can_draw(console.file) and len(paths) > 1
    groups: list[Array] = []
    failed: list[StreamtagError] = []
    seconds = 0.0
    executor = ThreadPoolExecutor(jobs or os.cpu_count() or 1, thread_name_prefix="streamtag-calibrate")
    try:
        with Progress(*columns, console=console, transient=True, disable=not shown) as bar:
            task = bar.add_task("hearing", total=len(paths))
            for future in [executor.submit(hear, path) for path in paths]:
                result = future.result()
                if isinstance(result, StreamtagError):
                    failed.append(result)
                else:
                    groups.append(result[0])
                    seconds += result[1]
                bar.advance(task)
    finally:
        stopping.set()
        executor.shutdown(wait=True, cancel_futures=True)
    if not groups:
        raise CalibrationError(
            f"no calibration is made: none of {len(paths)} files could be heard"
            + (f" (the first: {failed[0]})" if failed else "")
        )
    facts = {
        "files": len(groups),
        "hours": round(seconds / 3600, 4),
        "heard": f"{PART_SECONDS:g} s of every {EVERY_SECONDS:g} s of each file; each file counts the same",
        "streamtag": __version__,
    }
    return calibration_of(groups, options, facts), failed


def calibration_of(
    groups: Sequence[Array],
    options: TaggingOptions,
    facts: dict[str, object],
    shares: Sequence[float] | None = None,
) -> Calibration:
    """A calibration from rolling scores.

    Parameters
    ----------
    groups : sequence of ndarray of float32, each of shape (n, tags)
        Rolling scores.
    options : TaggingOptions
        How they were made.
    facts : dict of {str: object}
        What is to be kept about it.
    shares : sequence of float or None
        How much each group counts; None: all the same.

    Returns
    -------
    Calibration
        The calibration.
    """
    return Calibration(
        model=options.model,
        model_sha256=weights_sha256(options.model),
        window_frames=window_frames(find_spec(options.model), options.window),
        smooth=float(options.smooth),
        level=options.level or "off",
        levels=LEVELS.astype(np.float32),
        quantiles=quantiles(groups, shares),
        facts=facts,
    )
