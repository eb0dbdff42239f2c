"""What is printed, and where: the consoles, the wait at the start, the tags of a file."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, NoReturn

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from streamtag._compile.cache import is_cached
from streamtag._compile.progress import COMPILING, listening
from streamtag._system.terminal import can_draw
from streamtag.errors import StreamtagError

if TYPE_CHECKING:
    from streamtag.files.offline import FileTags
    from streamtag.files.timeline import Span

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130
SECONDS_BETWEEN_LINES = 5.0
"""Where progress cannot be drawn."""
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def preparing(what: str, kernels: int = 0) -> Iterator[None]:
    """Say that there is something to wait for, and for how long; while `kernels` are compiled, how many are ready."""
    shown = can_draw(sys.stderr)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not shown) as progress:
        task = progress.add_task(f"starting {what}", total=None)
        next_line = 0.0

        def tell(ready: int, compiled: bool) -> None:
            nonlocal next_line
            if not compiled:
                return
            text = f"{COMPILING}: {min(ready, kernels)} of {kernels}"
            if shown:
                progress.update(task, description=text)
            elif time.monotonic() >= next_line:
                err.print(text)
                next_line = time.monotonic() + SECONDS_BETWEEN_LINES

        if kernels and not is_cached():
            tell(0, True)  # at once: to import what compiles takes a moment, too
        with listening(tell) if kernels else nullcontext():
            yield


def print_tags(name: str, tags: FileTags, model: str, top: int, format: str, *, timeline: bool = False) -> None:
    """What was heard in a file: a short table, or a JSON object on a line."""
    best = tags.top(top)
    if format == "json":
        line = {
            "file": name,
            "model": model,
            "seconds": round(tags.seconds, 3),
            "patches": len(tags.taggram),
            "top": [[tag, round(score, 4)] for tag, score in best],
            "notes": list(tags.notes),
        }
        if tags.heads:
            line["heads"] = {name: [[tag, round(score, 4)] for tag, score in said] for name, said in tags.heads.items()}
        if timeline:
            from streamtag.files.timeline import span_as_json

            line["timeline"] = [span_as_json(span) for span in tags.timeline]
        print(json.dumps(line), flush=True)
        return
    minutes, seconds = divmod(round(tags.seconds), 60)
    patches = f"{len(tags.taggram)} patch{'es' if len(tags.taggram) != 1 else ''}"
    print(f"{name}  ({minutes}:{seconds:02d}, {tags.samplerate} Hz, {tags.channels} ch, {patches})")
    if not tags.labels:
        print(f"  no tags of its own: an embedding of {tags.embeddings.shape[1]} a patch, for --head and --embeddings")
    width = max((len(tag) for tag, _ in best), default=0)
    for tag, score in best:
        print(f"  {tag:{width}}  {score:.2f}  {'█' * round(score * 30)}")
    for name_of_head, said in tags.heads.items():
        print(f"  {name_of_head}: " + "  ".join(f"{tag} {score:.2f}" for tag, score in said[:top]))
    if timeline:
        _print_timeline(tags.timeline)
    for note in tags.notes:
        print(f"  note: {note}")
    print(flush=True)


def _print_timeline(spans: Sequence[Span]) -> None:
    from streamtag.files.timeline import clock

    print("  timeline, as live says it:" + ("" if spans else " nothing"))
    names = [span.tag if span.head is None else f"{span.head}: {span.tag}" for span in spans]
    times = [(clock(span.start), clock(span.end)) for span in spans]
    wide, wide_end = (max((len(pair[side]) for pair in times), default=0) for side in (0, 1))
    width = max(map(len, names), default=0)
    for name, (start, end), span in zip(names, times, spans, strict=True):
        print(f"  {start:>{wide}} to {end:>{wide_end}}  {name:{width}}  {span.score:.2f}")


def print_failure(name: str, error: StreamtagError, format: str) -> None:
    """Why a file was not tagged."""
    if format == "json":
        print(json.dumps({"file": name, "error": str(error)}), flush=True)
    err.print(f"streamtag: {error}", style="red", markup=False)


_stuck = False


def note_stuck(stuck: bool) -> None:
    """Remember whether a thread is stuck in writing to stdout: it holds a lock that Python would wait for at exit."""
    global _stuck
    _stuck = _stuck or stuck


def leave(status: int, *, at_once: bool = False) -> NoReturn:
    """End the process; at once: without waiting for threads that may be somewhere in a library."""
    if not (_stuck or at_once):
        sys.exit(status)
    for stream in (sys.stderr, None if _stuck else sys.stdout):
        if stream is not None:
            with suppress(OSError, ValueError):  # nobody reads it any more, or it is closed
                stream.flush()
    os._exit(status)


def forget_stdout() -> None:
    """Keep Python from complaining, at exit, about a stdout whose reader has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
