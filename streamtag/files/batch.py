"""Many files: in parallel, each for itself, with what is to be kept of them."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from streamtag._system.encoding import INSTEAD
from streamtag._system.terminal import can_draw
from streamtag.decoding.find import find_audio
from streamtag.dsp.params import PATCH_FRAMES, LevelOption
from streamtag.errors import OptionError, SinkError, StreamtagError
from streamtag.files.extract import saved_line
from streamtag.files.offline import FileTagger, FileTags, Short
from streamtag.files.outputs import check_outputs, replacing, writing
from streamtag.files.picture import check_picture, picture_names, write_picture
from streamtag.files.timeline import FileTimeline, check_format, timeline, write_timelines
from streamtag.heads.head import PlainHead
from streamtag.inference.base import Engine
from streamtag.inference.networks.specs import ModelSpec, window_frames
from streamtag.tagging.options import TaggingOptions
from streamtag.tagging.tagger import Tagger


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
    def chosen(cls, spec: ModelSpec, window: float | None, hop: float | None, overlap: float | None) -> Geometry:
        """From a user's options, in seconds.

        Raises
        ------
        OptionError
            A patch that the model cannot take, a hop below one frame, or both ways of giving it.
        """
        front_end, window_is = spec.front_end, window_frames(spec, window)
        if window is None:
            window = 3 if spec.frames == PATCH_FRAMES else round(window_is * front_end.frame_seconds, 3)
        length = int(window) if window == int(window) else window
        if hop is not None and overlap is not None:
            raise OptionError("--hop and --overlap both say how far apart patches are: give one of them")
        if hop is not None:
            return cls(window_is, front_end.hop_frames(hop), length, hop)
        if overlap is not None:
            frames = front_end.frames_between(overlap)
            if frames < 1:
                raise OptionError(f"--overlap {overlap:g} s: less than one frame as musicnn counts; use --hop")
            return cls(window_is, frames, length, overlap)
        step = spec.step or window_is
        return cls(window_is, step, length, False if step == window_is else step * front_end.frame_seconds)


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
    level : {'auto', 'off'} or None
        See `FileTagger`.
    timeline : TaggingOptions or None
        Also say when which tag holds, as a live session with these options would (see `timeline`).
    timeline_to : Path or None
        File that gets the timelines of all files, in the format that its ending says.
    plot : Path or None
        Picture of the taggram; with several files one of each, beside it (see `picture_names`).
    abandoned : bool
        Whether `run` was left before its end, and threads may still be at work.
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
    level: LevelOption | None = None
    timeline: TaggingOptions | None = None
    timeline_to: Path | None = None
    plot: Path | None = None
    _done: list[tuple[str, FileTags]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stopping = threading.Event()
        self._save: IO[str] | None = None
        self._told = False  # that lines cannot be saved
        self._undrawn: SinkError | None = None  # the first picture that could not be written
        self.abandoned = False

    def prepare(self, paths: Sequence[str], names: Mapping[str, str] | None = None) -> None:
        """Find the files, build the network, and open what will be written, before any long work.

        Parameters
        ----------
        paths : sequence of str
            Files, folders, patterns.
        names : mapping of {str: str} or None
            What files are called in all that is printed and written, by path, where that is not their path.

        Raises
        ------
        OptionError
            An output that is an input or a folder, is in a folder that does not exist, or of another type than .npz.
        SinkError
            An output that cannot be written.
        ModelError
            If something is wrong with the model.
        """
        for target in (self.taggram, self.embeddings):
            if target is not None and target.suffix != ".npz":
                raise OptionError(f"cannot write {target}: what is written is .npz, so the name must end in that")
        if self.timeline_to is not None:
            check_format(self.timeline_to)
        if self.plot is not None:
            check_picture(self.plot)
            if not self.spec.labels:
                raise OptionError(f"--plot draws scores of tags, and {self.spec.name} has none")
        self._names = names or {}
        self._found = find_audio(paths)
        self._pictures = [] if self.plot is None else picture_names(self.plot, self._found)
        outputs = (
            ("--save", self.save),
            ("--taggram", self.taggram),
            ("--embeddings", self.embeddings),
            ("--timeline-to", self.timeline_to),
            *(("--plot", picture) for picture in self._pictures[:1]),  # the others lie beside it
        )
        check_outputs(outputs, self._found, appended=("--save",))
        if self.save is not None:
            with writing(self.save):
                self._save = self.save.open("a", encoding="utf-8", errors=INSTEAD)
        self._tagger = FileTagger(
            self.spec.name,
            self.geometry.window_frames,
            self.geometry.hop_frames,
            engine=self.engine,
            heads=self.heads,
            level=self.level,
        )
        self._tagger.warm_up()
        if self.timeline is not None:
            Tagger(options=self.timeline)  # refuses what cannot be, once

    def run(self, console: Console) -> Generator[tuple[str, FileTags | StreamtagError]]:
        """Tag all files, in order; what cannot be read is given as its error.

        A line that cannot be saved is told at once, and does not end the batch: other outputs may be well.

        Parameters
        ----------
        console : Console
            Where progress is shown, if it is a terminal and there is more than one file; and trouble.
        """
        jobs = self.jobs or os.cpu_count() or 1
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        shown = console.is_terminal and can_draw(console.file) and len(self._found) > 1
        executor = ThreadPoolExecutor(jobs, thread_name_prefix="streamtag-batch")
        try:
            with Progress(*columns, console=console, transient=True, disable=not shown, redirect_stdout=shown) as bar:
                task = bar.add_task("tagging", total=len(self._found))
                submitted = [(path, executor.submit(self._tag, path)) for path in self._found]
                for place, (path, future) in enumerate(submitted):
                    result = future.result()
                    name = self._names.get(str(path), str(path))
                    if isinstance(result, FileTags):
                        self._keep(name, result, console)
                        if self._pictures:
                            self._draw(self._pictures[place], result)
                    yield name, result
                    bar.advance(task)
        except BaseException:
            # What is under way may be somewhere in a library; nobody who wants to leave shall wait for it.
            self.abandoned = True
            raise
        finally:
            self._stopping.set()
            executor.shutdown(wait=not self.abandoned, cancel_futures=True)

    def finish(self) -> bool:
        """Write the .npz files and timelines from what has been tagged so far, each if it can be.

        Returns
        -------
        bool
            Whether all lines were saved.

        Raises
        ------
        SinkError
            If one of them cannot be written, or several.
        """
        saved = True
        if self._save is not None:
            try:
                self._save.close()
            except OSError:  # it has been told
                saved = False
        failed: list[SinkError] = [] if self._undrawn is None else [self._undrawn]
        if self.timeline_to is not None:
            try:
                whole = [FileTimeline(name, tags.seconds, tags.timeline) for name, tags in self._done]
                write_timelines(self.timeline_to, whole)
            except SinkError as error:
                failed.append(error)
        for target, what in ((self.taggram, "taggram"), (self.embeddings, "embeddings")):
            if target is not None:
                try:
                    with replacing(target) as file:
                        np.savez_compressed(file, **self._arrays(what))
                except SinkError as error:
                    failed.append(error)
        if failed:
            raise SinkError("; ".join(map(str, failed))) from failed[0]
        return saved

    def _tag(self, path: Path) -> FileTags | StreamtagError:
        try:
            tags = self._tagger.tag(path, short=self.short, progress=self._check)
            return tags if self.timeline is None else replace(tags, timeline=timeline(path, self.timeline, self._check))
        except StreamtagError as error:
            return error

    def _check(self, seconds: float) -> None:
        if self._stopping.is_set():
            raise Stopped

    def _keep(self, name: str, tags: FileTags, console: Console) -> None:
        if self._save is not None:
            names = [tag for tag, _ in tags.top(self.top)]
            line = saved_line(name, self.spec.name, self.geometry.length, self.geometry.overlap, names)
            try:
                self._save.write(line)
                self._save.flush()
            except OSError as error:  # what is left in its buffer is tried again with the next line
                if not self._told:
                    said = f"streamtag: cannot write {self.save}: {error.strerror or error}"
                    console.print(said, style="red", markup=False)
                self._told = True
        if self.taggram is not None or self.embeddings is not None or self.timeline_to is not None:
            self._done.append((name, tags))

    def _draw(self, target: Path, tags: FileTags) -> None:
        try:
            write_picture(target, tags)
        except SinkError as error:  # said at the end: what else is written may be on another disk
            self._undrawn = self._undrawn or error

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
