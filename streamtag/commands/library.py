"""streamtag library: a collection of music, tagged once and searched."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from streamtag._compile.cache import is_cached
from streamtag._compile.progress import KERNELS
from streamtag._system.progress import Steps, progress
from streamtag.commands.completion import complete_model
from streamtag.commands.console import EXIT_FAILED, err, note_stuck, out, preparing
from streamtag.commands.options import FILE_MODEL, Heads, all_named, finite, heads_and_model, named
from streamtag.commands.signals import install_signal_handlers
from streamtag.dsp.params import LevelOption
from streamtag.errors import AudioFileError, MissingExtraError, OptionError
from streamtag.inference.networks.catalogue import find_spec
from streamtag.inference.networks.specs import window_frames

if TYPE_CHECKING:
    from streamtag.library.hearing import Heard
    from streamtag.library.ray_workers import RayWorkers
    from streamtag.library.rows import File
    from streamtag.library.tag import Outcome

app = typer.Typer(
    help="Tag a collection of music once, and ask it: more like this, ambient without vocals.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


def place(given: str) -> str:
    """A path or an address, that is not empty."""
    named(given)
    return given


Store = Annotated[
    str, typer.Argument(help="The library, as `streamtag library tag` made it.", metavar="STORE", callback=place)
]
SHOWN_FAILURES = 50
"""One by one, while it is at work."""
REASONS = 10
"""Of failures, that are listed at the end."""


def needs_library(what: str) -> None:
    """Refuse what cannot be done without the extra, naming it (MissingExtraError)."""
    try:
        import mutagen  # noqa: F401
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise MissingExtraError(what, "library") from None


@app.command(
    epilog="Examples: [bold]streamtag library tag ~/Music --out music.library[/bold] (and again, after a stop or when "
    "there is more) · [bold]streamtag library tag /nas/music --out /nas/music.library --prune[/bold] · "
    "then: [bold]streamtag library search music.library --like song.mp3[/bold]"
)
def tag(
    paths: Annotated[
        list[str],
        typer.Argument(
            help="Folders, files, quoted patterns, or addresses (s3://...).", metavar="MUSIC...", callback=all_named
        ),
    ],
    to: Annotated[
        str,
        typer.Option(
            "--out",
            help="The library: a folder or an address (s3://...), made, or gone on with.",
            metavar="STORE",
            callback=place,
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            autocompletion=complete_model,
            help=f"A model's name, or one of your own. Default: {FILE_MODEL}.",
            metavar="NAME",
        ),
    ] = None,
    window: Annotated[
        float | None,
        typer.Option(
            help="Seconds of a patch (vgg models: 3 only). Default: 3 of musicnn's.", metavar="SECONDS", callback=finite
        ),
    ] = None,
    hop: Annotated[
        float | None,
        typer.Option(
            help="Seconds between patches, to the nearest 0.016. Default: patches side by side.", metavar="SECONDS"
        ),
    ] = None,
    level: Annotated[
        LevelOption | None,
        typer.Option(
            help="off: as they are, which gives the published numbers (default). auto: at the level that models know."
        ),
    ] = None,
    head: Heads = None,
    features: Annotated[
        str | None,
        typer.Option(
            help="Further features whose mean is kept: mean_pool, max_pool, joined by +. They make a row 3 kB larger "
            "each.",
            metavar="NAMES",
        ),
    ] = None,
    windows: Annotated[
        bool, typer.Option("--windows", help="Also keep tags and embedding of every window: 1 kB each.")
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Mark what is gone from MUSIC, so that searches do not find it.")
    ] = False,
    retry: Annotated[
        bool, typer.Option("--retry", help="Try files again that could not be heard in an earlier run.")
    ] = False,
    jobs: Annotated[int, typer.Option(help="Files to hear at a time; 0: one for each processor.", min=0)] = 0,
    ray: Annotated[
        str | None,
        typer.Option(
            help="Hear on a Ray cluster (streamtag\\[ray]): auto, or its address. MUSIC then lies on a share, "
            "under the same path on all its machines.",
            metavar="auto|HOST:PORT",
        ),
    ] = None,
) -> None:
    """Tag all music of folders, once, into a library.

    It may be stopped or killed at any time: run again, it goes on where it was. What has not changed is skipped; files
    that were moved or copied are recognised by their content. Several runs may work on one library at once. How files
    are heard is said once: later runs take it from the library.
    """
    needs_library("a library (it is kept as Parquet)")
    from streamtag.decoding.content import content_sha256
    from streamtag.library.settings import Settings
    from streamtag.library.store import Store
    from streamtag.library.tag import tag_library
    from streamtag.library.tidy import prune as mark_removed
    from streamtag.library.tidy import tidy
    from streamtag.library.workers import Workers

    begun = Store.there(to)
    there = None if begun is None else begun.settings
    if there is not None:  # what is not said is as it was
        head = head or [one.file for one in there.heads]
        model = model or there.model_file
        frame = find_spec(model).front_end.frame_seconds
        frame = find_spec(model).front_end.frame_seconds
        window = (there.window_frames + 0.1) * frame if window is None else window  # as it is counted
        hop = there.hop_frames * frame if hop is None else hop
        level = level or there.level
        features = "+".join(name for name in there.features if name.endswith("_pool")) if features is None else features
        windows = windows or there.windows
    level = level or "off"
    heads, model = heads_and_model(head, model, FILE_MODEL, window, level)
    spec = find_spec(model)
    frames = window_frames(spec, window)
    hop_is = spec.step or frames if hop is None else spec.front_end.hop_frames(hop)
    files = [
        (one, os.path.abspath(path), content_sha256(Path(path)))  # noqa: PTH100 - what it is called, not a link's end
        for one, path in zip(heads, head or (), strict=True)
    ]
    names = [name for name in (features or "").split("+") if name]
    settings = Settings.chosen(model, frames, hop_is, level, names, files, windows)
    store = Store.begun(to, settings)
    install_signal_handlers()
    count = jobs or os.cpu_count() or 1
    if not is_cached():  # by one process, and not by all at once
        with preparing(spec.name, KERNELS.get(spec.family, 0)):
            from streamtag.library.hearing import Ear

            Ear(settings).warm_up()
    workers: Workers | RayWorkers
    if ray is None:
        workers = Workers(settings, count)
    else:
        from streamtag.library.ray_workers import RayWorkers

        with preparing("workers on the Ray cluster"):
            workers = RayWorkers(settings, ray, jobs)
        count = workers.count
    began = time.monotonic()
    try:
        # Ray prints to stdout which worker died; how many did is said in the end
        with _shown() as shown, nullcontext() if ray is None else redirect_stdout(io.StringIO()):
            outcome = tag_library(paths, store, workers, shown, jobs=count, retry=retry)
    except BaseException:
        note_stuck(True)  # a thread may be waiting for a disk
        raise
    pruned = mark_removed(paths, store, _say) if prune else 0
    if outcome.rows or pruned:
        tidy(store)
    _sum_up(to, outcome, pruned, time.monotonic() - began, workers.died)
    raise typer.Exit(EXIT_FAILED if outcome.counts["failed"] else 0)


@app.command(
    epilog="Examples: [bold]streamtag library search music.library --like song.mp3[/bold] · "
    "[bold]streamtag library search music.library --where 'ambient > 0.4 and vocals < 0.1 and duration < 300'[/bold] · "
    "[bold]streamtag library search music.library --where 'piano > 0.5' --top 0 --format m3u > piano.m3u8[/bold]"
)
def search(
    store: Store,
    like: Annotated[
        list[str] | None,
        typer.Option(help="Find what is like this file, in the library or not; repeatable.", metavar="FILE"),
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(
            help="Find what this holds of: tags (0..1, mean over the track), tags_max.TAG, heads.NAME.CLASS, duration "
            '(seconds), samplerate, channels, bytes; "text" in path; and, or, not, brackets. Quote what has spaces.',
            metavar="CONDITION",
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            help="Compare by: the model's embedding (default), taggram, or what `tag --features` kept.", metavar="NAME"
        ),
    ] = None,
    top: Annotated[int, typer.Option(help="How many, at the most; 0 for all.", min=0)] = 20,
    exact: Annotated[
        bool,
        typer.Option("--exact", help="Compare with every track, also above 300,000 with streamtag\\[faiss]."),
    ] = False,
    format: Annotated[
        Literal["table", "json", "m3u"],
        typer.Option(help="table; json, an object a line; m3u, a playlist (save it as .m3u8)."),
    ] = "table",
) -> None:
    """Ask a library: more like this, or what a condition holds of; or both."""
    needs_library("a library (it is kept as Parquet)")
    if not like and where is None:
        raise OptionError("nothing to search for: give --like FILE, --where CONDITION, or both")
    from streamtag.files.timeline import clock
    from streamtag.library.rows import text_of
    from streamtag.library.search import search as search_library
    from streamtag.library.store import Store as Opened

    matches = search_library(Opened(store), like=like or (), where=where, by=by, top=top, exact=exact)
    if format == "m3u":
        print("#EXTM3U")
    for match in matches:
        if format == "json":
            values = {
                "path": text_of(match.path),
                "score": None if match.score is None else round(match.score, 4),
                "duration": round(match.duration, 3),
                "top_tags": list(match.top_tags),
                "sha256": match.sha256,
            }
            print(json.dumps(values))
        elif format == "m3u":
            print(f"#EXTINF:{round(match.duration)},{Path(match.path).stem}\n{match.path}")
        else:
            score = "    " if match.score is None else f"{match.score:.2f}"
            print(f"{score}  {clock(match.duration, 0):>6}  {', '.join(match.top_tags[:3]):32}  {match.path}")
    if not matches:
        err.print("note: nothing found", markup=False)


@app.command(epilog="Example: [bold]streamtag library duplicates music.library --format json[/bold]")
def duplicates(
    store: Store,
    format: Annotated[
        Literal["text", "json"], typer.Option(help="text, or a JSON object a line, with a list of paths.")
    ] = "text",
) -> None:
    """List files of the same content, and those that sound the same: one recording in several encodings."""
    needs_library("a library (it is kept as Parquet)")
    from streamtag.library.copies import copies
    from streamtag.library.rows import text_of
    from streamtag.library.store import Store as Opened

    found = copies(Opened(store))
    for one in found:
        same = "content" if one.exact else "sound"
        if format == "json":
            print(json.dumps({"same": same, "paths": [text_of(path) for path in one.paths]}))
        else:
            print(f"the same {same}:")
            for path in one.paths:
                print(f"  {path}")
    if not found:
        err.print("note: nothing is double", markup=False)


@app.command(
    name="write-tags",
    epilog="Examples: [bold]streamtag library write-tags music.library[/bold] (says what it would do) · "
    "[bold]streamtag library write-tags music.library --where 'ambient > 0.4' --write[/bold] · "
    "[bold]streamtag library write-tags music.library --undo music.library/undo-2026-11-27T10-00-00.jsonl[/bold]",
)
def write_tags(
    store: Store,
    where: Annotated[
        str | None, typer.Option(help="Only into files of which this holds, as in `search`.", metavar="CONDITION")
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Do it. Without this, nothing is written.")] = False,
    existing: Annotated[
        Literal["keep", "add", "replace"],
        typer.Option(help="A field that has words already: keep them, add to them, or replace them."),
    ] = "keep",
    threshold: Annotated[float, typer.Option(help="Mean score from which a tag is written.", min=0, max=1)] = 0.3,
    most: Annotated[int, typer.Option(help="Words of a field, at the most.", min=1)] = 3,
    genre: Annotated[
        str | None,
        typer.Option(help="The tags that name a genre, with commas. Default: a list for the published models."),
    ] = None,
    mood: Annotated[str | None, typer.Option(help="The tags that name a mood, with commas; likewise.")] = None,
    undo: Annotated[
        Path | None,
        typer.Option(
            help="Take back what a run has written: the list that it named.", metavar="FILE.jsonl", parser=named
        ),
    ] = None,
) -> None:
    """Write genre and mood into the files themselves, where players look.

    ID3v2.4, Vorbis comments, MP4, APEv2. The sound is not touched: a copy is written, compared packet by packet, and
    put in the file's place. What was there before is kept in a list, with which all can be taken back.
    """
    needs_library("writing into files")
    from streamtag.library.rows import path_of, text_of
    from streamtag.library.search import tracks_where
    from streamtag.library.store import Store as Opened
    from streamtag.library.writing import GENRES, MOODS, Change, UndoList, Words, planned, write_changes

    opened = Opened(store)
    words = Words(_words(genre, GENRES), _words(mood, MOODS), threshold, most, existing)
    install_signal_handlers()
    failures: list[AudioFileError] = []

    def good(results: Iterable[Change | AudioFileError]) -> Iterator[Change]:
        for result in results:
            if isinstance(result, AudioFileError):
                failures.append(result)
            else:
                yield result

    changes: Iterable[Change | AudioFileError]
    kept: UndoList | None = None
    if undo is not None:
        changes = UndoList(undo).read()
    else:
        if not opened.settings.labels:
            raise OptionError(f"{opened.settings.model} has no tags, so that there are no words to write")
        asked = tracks_where(opened, where, ("path", "tags"))
        changes = planned(((path_of(values["path"]), values["tags"]) for values in asked), words)
        kept = UndoList.new(opened) if write else None
    todo = good(changes)
    count = 0
    for change in todo if not write and undo is None else good(write_changes(todo, opened, kept)):
        count += 1
        said = "; ".join(f"{field}: {', '.join(values) or 'none'}" for field, values in change.after.items())
        out.print(f"{text_of(change.path)}: {said}", markup=False)
    for failure in failures:
        err.print(f"note: {failure}", markup=False)
    if not write and undo is None:
        out.print(f"{count} files would be written to: --write does it", markup=False)
    else:
        back = "" if kept is None or not count else f"; --undo {kept.path} takes it back"
        out.print(f"{count} files written to{back}", markup=False)


def _words(given: str | None, default: frozenset[str]) -> frozenset[str]:
    return default if given is None else frozenset(word.strip().lower() for word in given.split(",") if word.strip())


class _Shown:
    """How far it is, on stderr."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._began = time.monotonic()
        self._found = self._done = self._failed = 0
        self._seconds = 0.0

    def found(self, files: int) -> None:
        self._found = files
        self._steps.found(max(self._found, self._done))

    def done(self, what: str, file: File, heard: Heard) -> None:
        self._done += 1
        if self._done > self._found:
            self.found(self._done)
        self._failed += what == "failed"
        self._seconds += heard.seconds if what == "tagged" else 0
        took = max(time.monotonic() - self._began, 0.001)
        rate = self._done / took
        text = f"{rate:.1f} tracks/s, {self._seconds / took:.0f} × real time"
        left = (self._found - self._done) / rate
        text += f", {_clock(left)} left" if left >= 1 else ""
        text += f", {self._failed} failed" if self._failed else ""
        if what == "failed" and self._failed <= SHOWN_FAILURES:
            self.said(f"{file.path}: {heard.error}", red=True)
            if self._failed == SHOWN_FAILURES:
                self.said("further files that cannot be heard are counted only; the library says which and why")
        self._steps.advance()
        self._steps.detail(text)

    def said(self, text: str, *, red: bool = False) -> None:
        _say(text, red=red)


@contextmanager
def _shown() -> Iterator[_Shown]:
    with progress(err, "tagging", 0) as steps:
        yield _Shown(steps)


def _say(text: str, *, red: bool = False) -> None:
    if red:
        err.print(f"streamtag: {text}", style="red", markup=False)
    else:
        err.print(f"note: {text}", markup=False)


def _sum_up(to: str, outcome: Outcome, pruned: int, took: float, died: int) -> None:
    counts = outcome.counts
    words = {
        "tagged": "tagged",
        "copy": "copies of others",
        "moved": "moved",
        "kept": "kept from before",
        "failed": "could not be heard",
        "known": "could not be heard before (--retry tries again)",
    }
    said = [f"{counts[what]:,} {text}" for what, text in words.items() if counts[what]]
    said += [f"{pruned:,} gone and marked as removed"] if pruned else []
    out.print(f"{to}: {', '.join(said) or 'nothing to do'}", markup=False)
    if counts["tagged"]:
        rate = f"{counts['tagged'] / took:.2f} tracks/s, {outcome.seconds / took:.0f} × real time"
        out.print(f"  {_clock(outcome.seconds)} of music in {_clock(took)}: {rate}", markup=False)
    if died:
        err.print(f"note: {died} worker{'' if died == 1 else 's'} died on the way, and started anew", markup=False)
    for reason, count in outcome.reasons.most_common(REASONS):
        out.print(f"  {count} could not be heard: {reason}", markup=False)
    if (more := len(outcome.reasons) - REASONS) > 0:
        out.print(f"  and {more} further reasons: column `error` of the library", markup=False)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
