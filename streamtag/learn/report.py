"""What was learned and how good it is: printed, and as a page that needs no other file."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

from rich.console import Console
from rich.table import Table

from streamtag.files.outputs import replacing
from streamtag.learn.metrics import Figures
from streamtag.learn.training import Lesson

WIDEST_PRINTED = 20
"""Classes of a confusion matrix that a terminal has room for."""


def sentences(lesson: Lesson) -> Iterator[str]:
    """The head in words, one thing a line.

    Yields
    ------
    str
        A line.
    """
    head, figures = lesson.head, lesson.figures
    files = head.facts["files"]
    learned = "the mean of each file" if head.statistic == "mean" else "single patches"
    yield (
        f"{head.name}: {len(files)} classes; {'+'.join(head.features)} of {head.model}, {learned}; "
        f"{head.facts['classifier']}"
    )
    if len(lesson.candidates) > 1:
        tried = ", ".join(f"{name} {merit:.3f}" for name, merit in lesson.candidates.items())
        yield f"features chosen by cross-validation, by single windows as live hears them: {tried}"
    if figures is None:
        return
    what = "files" if figures.confusion is not None else "labels"
    yield (
        f"accuracy {figures.accuracy:.3f} of {what}, on {figures.tested} files left out "
        f"(always the most frequent: {figures.chance:.3f})"
    )
    yield f"accuracy of single windows, before smoothing: {figures.window_accuracy:.3f}"
    yield f"mean average precision {figures.macro_precision:.3f}"
    yield (
        f"expected calibration error {figures.calibration_error:.3f} (mean probability stated "
        f"{figures.confidence:.3f}; log loss {figures.log_loss:.3f})"
    )


def print_report(lesson: Lesson, console: Console) -> None:
    """The report on a console."""
    for line in sentences(lesson):
        console.print(line, markup=False)
    if lesson.figures is not None:
        console.print()
        console.print(_classes(lesson.figures))
        matrix = lesson.figures.confusion
        if matrix is not None and len(matrix) <= WIDEST_PRINTED:
            console.print(_confusion(lesson.figures, matrix))
    for note in lesson.notes:
        console.print(f"note: {note}", markup=False)
    if lesson.skipped:
        console.print(f"left out, {_files(len(lesson.skipped))}:", markup=False)
    for reason in lesson.skipped:
        console.print(f"  {reason}", markup=False)


def _files(count: int) -> str:
    return f"{count} file{'s' if count != 1 else ''}"


def _classes(figures: Figures) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("class", "files", "tested", "recall", "precision"):
        table.add_column(heading, justify="left" if heading == "class" else "right")
    for one in figures.classes:
        table.add_row(_plain(one.label), str(one.files), str(one.tested), _share(one.recall), _share(one.precision))
    return table


def _confusion(figures: Figures, matrix: tuple[tuple[int, ...], ...]) -> Table:
    table = Table(box=None, pad_edge=False, title="files of (row) predicted as (column)", title_justify="left")
    table.add_column("")
    for number, one in enumerate(figures.classes, 1):
        table.add_column(f"{number}" if len(matrix) > 6 else _plain(one.label), justify="right")
    for number, (one, row) in enumerate(zip(figures.classes, matrix, strict=True), 1):
        name = f"{number} {one.label}" if len(matrix) > 6 else one.label
        cells = [
            f"[bold]{count}[/bold]" if column == number else str(count or "·") for column, count in enumerate(row, 1)
        ]
        table.add_row(_plain(name), *cells)
    return table


def _plain(text: str) -> str:
    """Text in which rich sees no markup."""
    return text.replace("[", r"\[")


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


# --- the page -----------------------------------------------------------------------------------------------------

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: 1rem 0 }
td, th { padding: .25rem .6rem; text-align: right; font-variant-numeric: tabular-nums }
td:first-child, th:first-child { text-align: left }
thead th { border-bottom: 1px solid #999; font-weight: 600 }
.matrix td { text-align: center; min-width: 2.2rem }
.matrix thead th { writing-mode: vertical-rl; transform: rotate(180deg); text-align: left; border: 0 }
.note { color: #850 }
"""


def write_page(path: Path, lesson: Lesson) -> None:
    """The report as one HTML file: no scripts, nothing from elsewhere.

    Raises
    ------
    SinkError
        If it cannot be written.
    """
    figures = lesson.figures
    parts = [f"<h1>{escape(lesson.head.name)}</h1>", *(f"<p>{escape(line)}</p>" for line in sentences(lesson))]
    if figures is not None:
        rows = "".join(
            f"<tr><td>{escape(one.label)}</td><td>{one.files}</td><td>{one.tested}</td>"
            f"<td>{_share(one.recall)}</td><td>{_share(one.precision)}</td></tr>"
            for one in figures.classes
        )
        head = "".join(f"<th>{name}</th>" for name in ("class", "files", "tested", "recall", "precision"))
        parts.append(f"<h2>Classes</h2><table><thead><tr>{head}</tr></thead>{rows}</table>")
        if figures.confusion is not None:
            parts.append(_matrix(figures, figures.confusion))
    parts += [f'<p class="note">{escape(note)}</p>' for note in lesson.notes]
    if lesson.skipped:
        parts.append(
            f"<h2>Left out, {_files(len(lesson.skipped))}</h2><ul>"
            + "".join(f"<li>{escape(why)}</li>" for why in lesson.skipped)
            + "</ul>"
        )
    title = escape(lesson.head.name)
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style><body>{''.join(parts)}</body></html>\n"
    )
    with replacing(path) as file:
        file.write(page.encode("utf-8", "backslashreplace"))  # names of files may be no text


def _matrix(figures: Figures, matrix: tuple[tuple[int, ...], ...]) -> str:
    names = [escape(one.label) for one in figures.classes]
    rows = []
    for i, (name, row) in enumerate(zip(names, matrix, strict=True)):
        whole = max(1, sum(row))
        cells = "".join(
            f'<td style="background:rgb({"40 140 70" if i == j else "200 60 50"} / {count / whole:.2f})">'
            f"{count or ''}</td>"
            for j, count in enumerate(row)
        )
        rows.append(f"<tr><th>{name}</th>{cells}</tr>")
    heads = "".join(f"<th>{name}</th>" for name in names)
    return (
        "<h2>Confusion</h2><p>Files of (row) predicted as (column).</p>"
        f'<table class="matrix"><thead><tr><th></th>{heads}</tr></thead>{"".join(rows)}</table>'
    )
