"""An evaluation on a console, as JSON and as TSV."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from streamtag.errors import OptionError
from streamtag.files.outputs import replacing
from streamtag.inference.networks.architectures import ARCHITECTURES
from streamtag.labelled.scores import TagScores
from streamtag.train.evaluate import Evaluation
from streamtag.train.store import cells_line

FORMATS = (".json", ".tsv")
NAMED = 10
"""Tracks or tags that a note names."""


def print_evaluation(evaluation: Evaluation, console: Console, *, per_tag: bool = False) -> None:
    """The areas, the published ones of all architectures beside them, and what was left out."""
    scores = evaluation.scores
    table = Table(box=None, pad_edge=False)
    for heading in ("", "ROC-AUC", "PR-AUC", "parameters"):
        table.add_column(heading, justify="right" if heading else "left")
    measured = len(scores.tags) - len(evaluation.unmeasured)
    what = f"{scores.files} tracks, {evaluation.patches} patches, {measured} tags"
    table.add_row(f"these {what}", f"[bold]{scores.roc_auc:.4f}[/bold]", f"[bold]{scores.pr_auc:.4f}[/bold]", "")
    for each in ARCHITECTURES.values():
        table.add_row(
            f"{each.name} ({each.number}), as published on MagnaTagATune",
            f"{each.roc_auc:.4f}",
            f"{each.pr_auc:.4f}",
            f"{each.parameters:,}",
            style="dim",
        )
    names = " + ".join(evaluation.models)
    console.print(f"{names}{' (their ensemble)' if len(evaluation.models) > 1 else ''}", markup=False)
    console.print(table)
    for what, left_out in (
        ("on none or all of the tracks, not in the means", evaluation.unmeasured),
        ("not among the spectrograms, left out", evaluation.absent),
        ("shorter than a patch, left out", evaluation.short),
    ):
        if left_out:
            console.print(f"note: {what}: {_named(left_out)}", markup=False)
    if per_tag:
        console.print()
        console.print(_by_tag(scores.tags))


def _by_tag(tags: Sequence[TagScores]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("tag", "tracks", "ROC-AUC", "PR-AUC"):
        table.add_column(heading, justify="left" if heading == "tag" else "right")
    for one in tags:
        areas = ("-" if area is None else f"{area:.4f}" for area in (one.roc_auc, one.pr_auc))
        table.add_row(one.tag.replace("[", r"\["), str(one.files), *areas)
    return table


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def check_format(path: Path) -> None:
    """Refuse an ending that says no format, before any long work.

    Raises
    ------
    OptionError
        Neither .json nor .tsv.
    """
    if path.suffix not in FORMATS:
        raise OptionError(f"cannot write {path}: figures are written as {' or '.join(FORMATS)}, by the name's ending")


def write_evaluation(path: Path, evaluation: Evaluation) -> None:
    """Write the figures, all digits of them.

    Parameters
    ----------
    path : Path
        ``.json``: an object of all there is; ``.tsv``: a line for each tag (tag, tracks, ROC-AUC, PR-AUC; empty where
        there is none), behind one for all.
    evaluation : Evaluation
        What to write.

    Raises
    ------
    OptionError
        Another ending.
    SinkError
        If it cannot be written.
    """
    check_format(path)
    text = json.dumps(as_json(evaluation), indent=1) + "\n" if path.suffix == ".json" else _tsv(evaluation)
    with replacing(path) as file:
        file.write(text.encode("utf-8", "backslashreplace"))


def as_json(evaluation: Evaluation) -> dict[str, object]:
    """The figures as values that JSON knows."""
    scores = evaluation.scores
    return {
        "models": list(evaluation.models),
        "tracks": scores.files,
        "patches": evaluation.patches,
        "roc_auc": scores.roc_auc,
        "pr_auc": scores.pr_auc,
        "tags": [
            {"tag": one.tag, "tracks": one.files, "roc_auc": one.roc_auc, "pr_auc": one.pr_auc} for one in scores.tags
        ],
        "not_in_store": list(evaluation.absent),
        "shorter_than_a_patch": list(evaluation.short),
    }


def _tsv(evaluation: Evaluation) -> str:
    scores = evaluation.scores
    rows: list[tuple[object, ...]] = [
        ("tag", "tracks", "roc_auc", "pr_auc"),
        ("(mean)", scores.files, scores.roc_auc, scores.pr_auc),
    ]
    for one in scores.tags:
        areas = ("" if area is None else area for area in (one.roc_auc, one.pr_auc))
        rows.append((one.tag, one.files, *areas))
    return "".join(cells_line(row) for row in rows)
