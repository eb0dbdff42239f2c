"""Predictions against a ground truth: ROC-AUC and PR-AUC by scikit-learn, as musicnn-training computes them."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from rich.console import Console
from rich.table import Table

from streamtag.decoding.regular import unopenable
from streamtag.errors import DataError
from streamtag.inference.networks.specs import SPECS
from streamtag.labelled.data import NONE
from streamtag.labelled.rows import LABEL_COLUMNS, PATH_COLUMNS, parse_labels
from streamtag.labelled.scores import Scores, Values, score
from streamtag.labelled.tables import Row, read_table, read_text

ID_COLUMNS = (*PATH_COLUMNS, "id", "clip_id", "track_id")


@dataclass(frozen=True, slots=True)
class Rows:
    """A vector for each file.

    Attributes
    ----------
    values : mapping of {str: ndarray of float64}
        Vectors of shape (tags,), by file or id.
    tags : tuple of str or None
        Names of the columns; None where the file does not say.
    """

    values: Mapping[str, Values]
    tags: tuple[str, ...] | None


def compare(
    predictions: Path, groundtruth: Path, index: Path | None = None, tags: tuple[str, ...] | None = None
) -> Scores:
    """Compare two files.

    Parameters
    ----------
    predictions : Path
        `.npz` of `streamtag file --taggram` (patches are averaged file by file), `.csv` or `.tsv` with a heading (path,
        then a column of scores for each tag), or lines of id TAB list of scores.
    groundtruth : Path
        Lines of id TAB list of 0 and 1 (musicnn-training's), or `.csv` or `.tsv` with a heading: path, then a column of
        0 and 1 for each tag, or path and label.
    index : Path or None
        Lines of id TAB path (musicnn-training's), where ids are not paths.
    tags : tuple of str or None
        Names of the columns where neither file has them (musicnn-training's lists are in its models' order).

    Returns
    -------
    Scores
        The areas, and of how many files they are.

    Raises
    ------
    DataError
        A file that cannot be read, or files that do not fit each other.
    """
    predicted = read_rows(predictions)
    predicted = replace(predicted, tags=predicted.tags or tags)
    truth = read_rows(groundtruth, tags=predicted.tags)
    if predicted.tags and truth.tags and predicted.tags != truth.tags:
        predicted, truth = _common(predicted, truth, groundtruth)
    paths = _read_index(index) if index else {}
    pairs = _paired(
        {key: paths.get(key, key) for key in predicted.values}, {key: paths.get(key, key) for key in truth.values}
    )
    if not pairs:
        raise DataError(
            f"no file of {predictions} is in {groundtruth} (for example {next(iter(predicted.values), '-')!r} and "
            f"{next(iter(truth.values), '-')!r}); where ids are not paths, --index says which is which"
        )
    scores = np.stack([predicted.values[mine] for mine, _ in pairs])
    true = np.stack([truth.values[theirs] for _, theirs in pairs])
    if scores.shape != true.shape:
        raise DataError(
            f"{predictions} has {scores.shape[1]} tags and {groundtruth} has {true.shape[1]}: these are not the same"
        )
    if not np.isin(true, (0, 1)).all():
        raise DataError(f"{groundtruth}: holds values other than 0 and 1; the predictions come first, then the truth")
    names = predicted.tags or truth.tags or tuple(f"tag {k}" for k in range(scores.shape[1]))
    if len(names) != scores.shape[1]:
        raise DataError(f"{predictions} has {scores.shape[1]} columns, and there are {len(names)} tags")
    return score(names, true == 1, scores, (len(predicted.values) - len(pairs), len(truth.values) - len(pairs)))


def print_scores(scores: Scores, console: Console, *, per_tag: bool) -> None:
    """The areas, the published ones beside them."""
    measured = sum(one.roc_auc is not None for one in scores.tags)
    table = Table(box=None, pad_edge=False)
    for heading in ("", "ROC-AUC", "PR-AUC"):
        table.add_column(heading, justify="right" if heading else "left")
    table.add_row(f"these {scores.files} files, {measured} tags", f"{scores.roc_auc:.4f}", f"{scores.pr_auc:.4f}")
    for spec in SPECS.values():
        table.add_row(
            f"{spec.name}, as published on {spec.dataset}", f"{spec.roc_auc:.4f}", f"{spec.pr_auc:.4f}", style="dim"
        )
    console.print(table)
    for count, what in zip(scores.unmatched, ("predictions without truth", "truth without predictions"), strict=True):
        if count:
            console.print(f"note: {count} {what}, left out")
    if measured < len(scores.tags):
        missing = ", ".join(one.tag for one in scores.tags if one.roc_auc is None)
        console.print(f"note: on none or all of the files, left out: {missing}", markup=False)
    if per_tag:
        table = Table(box=None, pad_edge=False)
        for heading in ("tag", "files", "ROC-AUC", "PR-AUC"):
            table.add_column(heading, justify="left" if heading == "tag" else "right")
        for one in scores.tags:
            areas = ("-" if area is None else f"{area:.4f}" for area in (one.roc_auc, one.pr_auc))
            table.add_row(one.tag, str(one.files), *areas)
        console.print()
        console.print(table)


# --- reading ------------------------------------------------------------------------------------------------------


def read_rows(path: Path, tags: tuple[str, ...] | None = None) -> Rows:
    """Read predictions or a ground truth (see `compare`); `tags` are those that labels are looked up in.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    try:
        if path.suffix.lower() == ".npz":
            if (why := unopenable(path)) is not None:
                raise DataError(f"{path}: {why}; expected what `streamtag file --taggram` writes")
            return _read_npz(path)
        text, _ = read_text(path)
        first = text.lstrip().partition("\n")[0]
        if "\t" in first and first.rstrip().endswith("]"):
            return _read_lists(path, text)
        return _read_table(path, tags)
    except (OSError, ValueError, LookupError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: cannot be read as predictions or ground truth: {error}") from error


def _read_npz(path: Path) -> Rows:
    with path.open("rb") as stream, zipfile.ZipFile(stream):
        stream.seek(0)
        file = np.load(stream, allow_pickle=False)
        missing = {"taggram", "file_index", "files", "tags"} - set(file)
        if missing:
            raise DataError(f"{path}: no {', '.join(sorted(missing))} in it; `streamtag file --taggram` writes them")
        taggram, owner, names, tags = (file[key] for key in ("taggram", "file_index", "files", "tags"))
        fits = (
            taggram.dtype.kind in "fiu"
            and tags.ndim == names.ndim == 1
            and taggram.shape == (*owner.shape, *tags.shape)
        )
        if not fits or set(owner.tolist()) != set(range(len(names))):
            raise DataError(f"{path}: its arrays do not fit each other; `streamtag file --taggram` writes them anew")
        values = {str(name): taggram[owner == i].mean(axis=0, dtype=np.float64) for i, name in enumerate(names)}
        return Rows(values, tuple(map(str, tags)))


def _read_lists(path: Path, text: str) -> Rows:
    """Lines of id TAB list."""
    values: dict[str, Values] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        name, _, items = line.partition("\t")
        name = name.strip()
        try:
            scores = np.array(json.loads(items), float)
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise DataError(f"{path}: line {number} is not id TAB list of numbers: {line[:60]!r}") from error
        if values.setdefault(name, scores) is not scores:
            raise DataError(f"{path}: line {number}: {name} is there twice")
    if len({value.shape for value in values.values()}) > 1:
        raise DataError(f"{path}: its lists are not all of one length")
    return Rows(values, None)


def _read_table(path: Path, tags: tuple[str, ...] | None) -> Rows:
    """A heading and rows: a column for each tag, or a column of labels (and perhaps further labels behind it)."""
    rows = read_table(path, (*ID_COLUMNS, *LABEL_COLUMNS)).rows
    if len(rows) < 2 or len(rows[0].cells) < 2:
        raise DataError(f"{path}: expected a heading and rows: path, then a column for each tag")
    head, body = rows[0].cells, rows[1:]
    lowered = [name.lower() for name in head]
    name_at = next((lowered.index(name) for name in ID_COLUMNS if name in lowered), 0)
    label_at = next((lowered.index(name) for name in LABEL_COLUMNS if name in lowered), None)
    if label_at is not None:
        return _of_labels(path, body, name_at, label_at, len(head), tags)
    columns = [i for i, name in enumerate(lowered) if i != name_at and name not in ("", *ID_COLUMNS)]
    values: dict[str, Values] = {}
    for row in body:
        if len(row.cells) != len(head):
            raise DataError(f"{path}: line {row.line} has {len(row.cells)} cells, and the heading has {len(head)}")
        try:
            scores = np.array([float(row.cells[i]) for i in columns])
        except ValueError as error:
            raise DataError(f"{path}: line {row.line} is not a path and a number for each tag ({error})") from error
        if values.setdefault(row.cells[name_at], scores) is not scores:
            raise DataError(f"{path}: line {row.line}: {row.cells[name_at]} is there twice")
    return Rows(values, tuple(head[i] for i in columns))


def _of_labels(
    path: Path, body: Sequence[Row], name_at: int, label_at: int, width: int, tags: tuple[str, ...] | None
) -> Rows:
    given: dict[str, set[str]] = defaultdict(set)
    for row in body:
        if len(row.cells) <= max(name_at, label_at):
            raise DataError(f"{path}: line {row.line} has no label: {' '.join(row.cells)[:80]!r}")
        cells = (row.cells[label_at], *(row.cells[width:] if label_at == width - 1 else ()))
        given[row.cells[name_at]].update(label for cell in cells for label in parse_labels(cell))
    seen = set[str]().union(*given.values())
    names = tags or tuple(sorted(seen))
    if strange := sorted(seen - {*names, NONE}):
        raise DataError(f"{path}: labels that the predictions do not have: {', '.join(strange[:5])}")
    return Rows({key: np.array([tag in on for tag in names], float) for key, on in given.items()}, names)


def _read_index(path: Path) -> dict[str, str]:
    """Lines of id TAB path."""
    lines = [line.split("\t") for line in read_text(path)[0].splitlines() if line.strip()]
    if any(len(line) < 2 for line in lines):
        raise DataError(f"{path}: expected lines of id TAB path")
    return {line[0].strip(): line[1].strip() for line in lines}


def _common(predicted: Rows, truth: Rows, groundtruth: Path) -> tuple[Rows, Rows]:
    """Both with the tags that both have, in the same order."""
    assert predicted.tags is not None
    assert truth.tags is not None
    tags = tuple(tag for tag in predicted.tags if tag in truth.tags)
    if set(truth.tags) - set(tags):
        lacking = ", ".join(sorted(set(truth.tags) - set(tags))[:5])
        raise DataError(f"{groundtruth}: tags that the predictions do not have: {lacking}")
    return _picked(predicted, tags), _picked(truth, tags)


def _picked(rows: Rows, tags: tuple[str, ...]) -> Rows:
    assert rows.tags is not None
    places = [rows.tags.index(tag) for tag in tags]
    return Rows({key: value[places] for key, value in rows.values.items()}, tags)


def _paired(mine: Mapping[str, str], theirs: Mapping[str, str]) -> list[tuple[str, str]]:
    """Which id here is which there: those whose paths are the same, or one the end of the other, endings left aside.

    Raises
    ------
    DataError
        A path that could be several.
    """
    by_stem: dict[str, list[tuple[str, tuple[str, ...]]]] = defaultdict(list)
    for key, path in mine.items():
        by_stem[_parts(path)[0]].append((key, _parts(path)))
    pairs = []
    for key, path in theirs.items():
        parts = _parts(path)
        near = [(other, its) for other, its in by_stem.get(parts[0], []) if _same(its, parts)]
        near = [(other, its) for other, its in near if its == parts] or near
        if len(near) > 1:
            raise DataError(f"{path!r} could be {near[0][0]!r} or {near[1][0]!r}: give paths with their folders")
        pairs += [(other, key) for other, _ in near]
    if len({other for other, _ in pairs}) < len(pairs):
        twice = next(other for other, count in Counter(other for other, _ in pairs).items() if count > 1)
        raise DataError(f"{twice!r} could be several files of the ground truth: give paths with their folders")
    return sorted(pairs)


def _parts(path: str) -> tuple[str, ...]:
    """A path from its end: the name without its ending, then the folders."""
    pure = PurePosixPath(path.replace("\\", "/"))
    return (pure.stem if pure.suffix else pure.name, *reversed(pure.parts[:-1]))


def _same(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return all(a == b for a, b in zip(one, other, strict=False))
