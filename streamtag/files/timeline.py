"""When which tag holds in a file, as a live session says it: with the same windows, smoothing, thresholds and gate."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from xml.sax.saxutils import escape

from streamtag.decoding.decode import open_audio
from streamtag.errors import OptionError
from streamtag.files.outputs import replacing
from streamtag.heads.head import common_level
from streamtag.results import TagFrame
from streamtag.tagging.options import GATE_DBFS, TaggingOptions
from streamtag.tagging.tagger import Tagger

HOP_SECONDS = 0.128
"""From one look to the next: fine beside a window of 3 s, and a fraction of what each frame would cost."""
FORMATS = (".csv", ".json", ".svg")


@dataclass(frozen=True, slots=True)
class Span:
    """A tag that held for a while.

    Attributes
    ----------
    start, end : float
        Seconds from the start of the file to where live would switch it on and off: what is heard then lies in the
        window before.
    head : str or None
        Whose class it is; None for a tag of the model's own.
    tag : str
        The tag.
    score : float
        Mean of its rolling score meanwhile.
    """

    start: float
    end: float
    head: str | None
    tag: str
    score: float


def timeline(
    path: str | Path, options: TaggingOptions, check: Callable[[float], None] = lambda _: None
) -> tuple[Span, ...]:
    """When which tag holds in a file.

    Parameters
    ----------
    path : str or Path
        The file.
    options : TaggingOptions
        As of a live session; without a level it is as in one, too: that of the heads, else auto. Where there is no hop
        it is 0.128 s, and where there is no gate that of live sessions.
    check : callable
        Called with the seconds read so far; may raise to give up.

    Returns
    -------
    tuple of Span
        By their start; none of a file shorter than the window, as live says nothing before it is full.

    Raises
    ------
    AudioFileError
        The file cannot be read.
    StreamtagError
        Options that cannot be used (see `Tagger`).
    """
    tagger = Tagger(
        options=replace(
            options,
            hop=options.hop or HOP_SECONDS,
            gate=GATE_DBFS if options.gate is None else options.gate,
            level=options.level or common_level(options.heads) or "auto",
        )
    )
    spans = _Spans(tagger)
    with open_audio(Path(path)) as reader:
        for block in reader.blocks():
            for frame in tagger.push(block, reader.samplerate):
                spans.take(frame)
            check(tagger.seconds_in)
    return spans.finish(tagger.seconds_in)


class _Spans:
    """Collects what is on, frame by frame."""

    def __init__(self, tagger: Tagger) -> None:
        self._labels = [(None, tagger.labels), *((head.name, head.labels) for head in tagger.heads)]
        self._open: dict[tuple[str | None, str], tuple[float, list[float]]] = {}  # since when, and its scores
        self._done: list[Span] = []

    def take(self, frame: TagFrame) -> None:
        said = [(frame.scores, frame.on), *((head.scores, head.on) for head in frame.heads)]
        for (head, labels), (scores, on) in zip(self._labels, said, strict=True):
            for label, score in zip(labels, scores.tolist(), strict=True):
                key = head, label
                if label in on:
                    self._open.setdefault(key, (frame.time, []))[1].append(score)
                elif key in self._open:
                    self._close(key, frame.time)

    def finish(self, end: float) -> tuple[Span, ...]:
        for key in list(self._open):
            self._close(key, end)
        return tuple(sorted(self._done, key=lambda span: (span.start, span.head is None, -span.score)))

    def _close(self, key: tuple[str | None, str], end: float) -> None:
        start, scores = self._open.pop(key)
        self._done.append(Span(start, max(start, end), *key, sum(scores) / len(scores)))


# --- as files -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FileTimeline:
    """The timeline of one file: its name, its length in seconds, and its spans."""

    name: str
    seconds: float
    spans: tuple[Span, ...]


def check_format(target: Path) -> None:
    """Refuse a format that cannot be written, before any long work.

    Raises
    ------
    OptionError
        An ending that is none of `FORMATS`.
    """
    if target.suffix not in FORMATS:
        raise OptionError(f"cannot write {target}: a timeline is {', '.join(FORMATS)}, by the ending of its name")


def write_timelines(target: Path, timelines: Sequence[FileTimeline]) -> None:
    """Write timelines in the format that the ending of the name says.

    Parameters
    ----------
    target : Path
        .csv: a row for each span (file, start, end, head, tag, score); .json: a list with an object for each file;
        .svg: a picture with a bar for each span.
    timelines : sequence of FileTimeline
        Of each file.

    Raises
    ------
    SinkError
        If it cannot be written.
    """
    text = {".csv": _csv, ".json": _json, ".svg": _svg}[target.suffix](timelines)
    with replacing(target) as file:
        file.write(text.encode("utf-8", "backslashreplace"))  # names of files may be no text


def span_as_json(span: Span) -> dict[str, object]:
    """A span as values that JSON knows, times to the millisecond."""
    return {
        **asdict(span),
        "start": round(span.start, 3),
        "end": round(span.end, 3),
        "score": round(span.score, 4),
    }


def _csv(timelines: Sequence[FileTimeline]) -> str:
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["file", "start", "end", "head", "tag", "score"])
    for one in timelines:
        for span in one.spans:
            times = f"{span.start:.3f}", f"{span.end:.3f}"
            rows.writerow([one.name, *times, span.head or "", span.tag, f"{span.score:.4f}"])
    return text.getvalue()


def _json(timelines: Sequence[FileTimeline]) -> str:
    files = [
        {"file": one.name, "seconds": round(one.seconds, 3), "timeline": [span_as_json(span) for span in one.spans]}
        for one in timelines
    ]
    return json.dumps(files, indent=1) + "\n"


# --- as a picture -------------------------------------------------------------------------------------------------

WIDTH, LEFT, ROW, TOP = 1000, 190, 20, 46
"""Pixels: of the axis, to the left of it, of a row, above the first."""
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
"""Seconds between two marks on the axis."""
OWN, MODELS = "#c2410c", "#1d4ed8"
"""Colours of your own tags and of the model's."""


def _svg(timelines: Sequence[FileTimeline]) -> str:
    parts: list[str] = []
    height = 0
    for one in timelines:
        rows = _rows(one.spans)
        parts.append(f'<g transform="translate(0 {height})">{_panel(one, rows)}</g>')
        height += TOP + ROW * max(1, len(rows)) + 30
    size = f'width="{LEFT + WIDTH + 30}" height="{height}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="system-ui, sans-serif" font-size="12">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _rows(spans: Sequence[Span]) -> list[tuple[str | None, str]]:
    """The tags that hold anywhere: your own first, then by how long they hold."""
    lengths: dict[tuple[str | None, str], float] = {}
    for span in spans:
        key = span.head, span.tag
        lengths[key] = lengths.get(key, 0.0) + span.end - span.start
    return sorted(lengths, key=lambda key: (key[0] is None, key[0] or "", -lengths[key]))


def _panel(one: FileTimeline, rows: Sequence[tuple[str | None, str]]) -> str:
    scale = WIDTH / max(one.seconds, 1.0)
    bottom = TOP + ROW * max(1, len(rows))
    parts = [f'<text x="10" y="18" font-weight="600">{escape(printable(one.name))}</text>']
    step = next((step for step in STEPS if step * scale >= 50), STEPS[-1])
    for mark in range(0, int(one.seconds) + 1, step):
        x = LEFT + mark * scale
        parts.append(f'<line x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{bottom}" stroke="#ddd"/>')
        parts.append(f'<text x="{x:.1f}" y="{TOP - 10}" text-anchor="middle" fill="#666">{clock(mark, 0)}</text>')
    for place, (head, tag) in enumerate(rows):
        y = TOP + ROW * place
        name = tag if head is None else f"{head}: {tag}"
        parts.append(f'<text x="{LEFT - 8}" y="{y + 14}" text-anchor="end">{escape(printable(name))}</text>')
        for span in one.spans:
            if (span.head, span.tag) == (head, tag):
                bar = f'x="{LEFT + span.start * scale:.1f}" width="{max(1.0, (span.end - span.start) * scale):.1f}"'
                shade = f'fill="{MODELS if head is None else OWN}" fill-opacity="{0.25 + 0.75 * span.score:.2f}"'
                said = escape(f"{printable(name)} {span.score:.2f}, {clock(span.start)} to {clock(span.end)}")
                parts.append(f'<rect {bar} y="{y + 3}" height="{ROW - 6}" rx="2" {shade}><title>{said}</title></rect>')
    if not rows:
        parts.append(f'<text x="{LEFT}" y="{TOP + 14}" fill="#666">nothing holds anywhere</text>')
    return "".join(parts)


def printable(text: str) -> str:
    """Text that XML can hold: no control characters, and bytes that are no text by their numbers."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def clock(seconds: float, digits: int = 1) -> str:
    """`83.25` as `1:23.2`."""
    minutes, rest = divmod(round(seconds, digits), 60)
    return f"{int(minutes)}:{rest:0{digits + 3 if digits else 2}.{digits}f}"
