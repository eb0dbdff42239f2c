"""Many files: in parallel, each for itself, with what is to be kept of them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from streamtag._encoding import INSTEAD
from streamtag._terminal import can_draw
from streamtag.decoding.find import find_audio
from streamtag.dsp.params import frames_between, frames_in, hop_frames
from streamtag.errors import OptionError, SinkError, StreamtagError
from streamtag.files.extract import saved_line
from streamtag.files.offline import FileTagger, FileTags, Short
from streamtag.heads.head import PlainHead
from streamtag.inference.base import Engine
from streamtag.inference.networks.specs import ModelSpec, check_window


@dataclass(frozen=True, slots=True)
class Geometry:
    """Which patches of a file are predicted.

    Attributes
    ----------
    window_frames, hop_frames : int
        Frames of a patch, and from one to the next.
    length : float
        Seconds of a patch, as musicnn would write them in a saved line.
    overlap : float or False
        Seconds from one patch to the next, as musicnn would write them; False for patches side by side.
    """

    window_frames: int
    hop_frames: int
    length: float
    overlap: float | Literal[False]

    @classmethod
    def chosen(cls, spec: ModelSpec, window: float, hop: float | None, overlap: float | None) -> Geometry:
        """From a user's options, in seconds.

        Raises
        ------
        OptionError
            A patch that the model cannot take, a hop below one frame, or both ways of giving it.
        """
        window_frames = frames_in(window)
        check_window(spec, window_frames)
        length = int(window) if window == int(window) else window
        if hop is not None and overlap is not None:
            raise OptionError("--hop and --overlap both say how far apart patches are: give one of them")
        if hop is not None:
            return cls(window_frames, hop_frames(hop), length, hop)
        if overlap is not None:
            frames = frames_between(overlap)
            if frames < 1:
                raise OptionError(f"--overlap {overlap:g} s: less than one frame as musicnn counts; use --hop")
            return cls(window_frames, frames, length, overlap)
        return cls(window_frames, window_frames, length, False)


class Stopped(BaseException):
    """Raised in a worker when the batch is given up."""


@dataclass
class Batch:
    """Tags files and keeps what was asked for.

    Attributes
    ----------
    spec : ModelSpec
        The model.
    geometry : Geometry
        Which patches are predicted.
    short : {'repeat', 'error'}
        See `FileTagger.tag`.
    engine : {'auto', 'sliding', 'tensorflow'}
        See `make_predictor`.
    jobs : int
        Files at a time; 0: one for each processor.
    top : int
        Tags named in a saved line.
    save : Path or None
        Text file that gets musicnn's line for each file, appended.
    taggram, embeddings : Path or None
        .npz files to be written at the end.
    heads : sequence of PlainHead
        Your own tags, predicted beside the model's.
    """

    spec: ModelSpec
    geometry: Geometry
    short: Short = "repeat"
    engine: Engine = "auto"
    jobs: int = 0
    top: int = 10
    save: Path | None = None
    taggram: Path | None = None
    embeddings: Path | None = None
    heads: Sequence[PlainHead] = ()
    _done: list[tuple[str, FileTags]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stopping = threading.Event()
        self._save: IO[str] | None = None

    def prepare(self, paths: Sequence[str]) -> None:
        """Find the files, build the network, and open what will be written, before any long work.

        Raises
        ------
        OptionError
            An output in a folder that does not exist, or of another type than .npz.
        SinkError
            An output that cannot be opened.
        ModelError
            If something is wrong with the model.
        """
        for target in (self.taggram, self.embeddings):
            if target is not None and target.suffix != ".npz":
                raise OptionError(f"cannot write {target}: what is written is .npz, so the name must end in that")
        if self.taggram is not None and self.taggram == self.embeddings:
            raise OptionError(f"--taggram and --embeddings both name {self.taggram}: give each a file of its own")
        for target in (self.save, self.taggram, self.embeddings):
            if target is not None and not target.absolute().parent.is_dir():
                raise OptionError(f"cannot write {target}: the folder {target.absolute().parent} does not exist")
        if self.save is not None:
            with _writing(self.save):
                self._save = self.save.open("a", encoding="utf-8", errors=INSTEAD)
        self._found = find_audio(paths)
        self._tagger = FileTagger(
            self.spec.name,
            self.geometry.window_frames,
            self.geometry.hop_frames,
            engine=self.engine,
            heads=self.heads,
        )
        self._tagger.warm_up()

    def run(self, console: Console) -> Iterator[tuple[str, FileTags | StreamtagError]]:
        """Tag all files, in order; what cannot be read is given as its error.

        Parameters
        ----------
        console : Console
            Where progress is shown, if it is a terminal and there is more than one file.
        """
        jobs = self.jobs or os.cpu_count() or 1
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        shown = console.is_terminal and can_draw(console.file) and len(self._found) > 1
        executor = ThreadPoolExecutor(jobs, thread_name_prefix="streamtag-batch")
        try:
            with Progress(*columns, console=console, transient=True, disable=not shown, redirect_stdout=shown) as bar:
                task = bar.add_task("tagging", total=len(self._found))
                for path, future in [(path, executor.submit(self._tag, path)) for path in self._found]:
                    result = future.result()
                    if isinstance(result, FileTags):
                        self._keep(str(path), result)
                    yield str(path), result
                    bar.advance(task)
        finally:
            self._stopping.set()
            executor.shutdown(wait=True, cancel_futures=True)

    def finish(self) -> None:
        """Write the .npz files from what has been tagged so far.

        Raises
        ------
        SinkError
            If they cannot be written.
        """
        if self._save is not None:
            with suppress(OSError):  # every line was flushed; one that failed has been reported
                self._save.close()
        for target, what in ((self.taggram, "taggram"), (self.embeddings, "embeddings")):
            if target is not None:
                _write_npz(target, self._arrays(what))

    def _tag(self, path: Path) -> FileTags | StreamtagError:
        try:
            return self._tagger.tag(path, short=self.short, progress=self._check)
        except StreamtagError as error:
            return error

    def _check(self, seconds: float) -> None:
        if self._stopping.is_set():
            raise Stopped

    def _keep(self, name: str, tags: FileTags) -> None:
        if self._save is not None:
            names = [tag for tag, _ in tags.top(self.top)]
            line = saved_line(name, self.spec.name, self.geometry.length, self.geometry.overlap, names)
            with _writing(self._save.name):
                self._save.write(line)
                self._save.flush()
        if self.taggram is not None or self.embeddings is not None:
            self._done.append((name, tags))

    def _arrays(self, what: str) -> dict[str, Any]:
        """All files' patches, one after the other, with what each belongs to."""
        width = len(self.spec.labels) if what == "taggram" else self.spec.embedding_size
        parts = [tags.taggram if what == "taggram" else tags.embeddings for _, tags in self._done]
        return {
            what: np.concatenate([np.empty((0, width), np.float32), *parts]),
            "start": np.concatenate([np.empty(0), *(tags.starts for _, tags in self._done)]),
            "file_index": np.repeat(np.arange(len(parts)), [len(part) for part in parts]),
            "files": np.array([name for name, _ in self._done], dtype=np.str_),
            "tags": np.array(self.spec.labels),
            "model": np.array(self.spec.name),
        }


def _write_npz(target: Path, arrays: dict[str, Any]) -> None:
    """Write beside and rename, so that a full disk leaves no half file under the real name."""
    partial = target.with_name(target.name + ".partial")
    try:
        with _writing(target):
            with partial.open("wb") as file:
                np.savez_compressed(file, **arrays)
            partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _writing(target: str | Path) -> Iterator[None]:
    """Name the file in what the system says of it: a full disk, no permission."""
    try:
        yield
    except OSError as error:
        raise SinkError(f"cannot write {target}: {error.strerror or error}") from error
