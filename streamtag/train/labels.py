"""Names for the columns of a ground truth that has none: those of a published data set, or out of a file."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

from streamtag.errors import DataError
from streamtag.inference.networks.labels import MSD_LABELS, MTT_LABELS
from streamtag.labelled.rows import tidy
from streamtag.labelled.tables import lines_of, read_text

PUBLISHED = {"MTT": MTT_LABELS, "MSD": MSD_LABELS}
LARGEST = 1 << 20
"""Characters of a file of labels: what is longer is something else."""


def read_labels(given: str) -> tuple[str, ...]:
    """Labels by the name of a data set, or from a file.

    Parameters
    ----------
    given : str
        ``MTT`` or ``MSD``: the 50 tags of the published models. Else a file: one name a line, or musicnn-training's
        ``output_labels_*.txt``, which assigns a list of them in Python. It is read as a literal: nothing is executed.

    Returns
    -------
    tuple of str
        The labels, in order.

    Raises
    ------
    DataError
        No such file, no labels in it, or one twice.
    """
    if (published := PUBLISHED.get(given)) is not None:
        return published
    path = Path(given)
    if not path.exists():
        raise DataError(
            f"{given}: no such file of labels; expected {' or '.join(PUBLISHED)}, or a file with one a line"
        )
    text, _ = read_text(path)
    if len(text) > LARGEST:
        raise DataError(f"{path}: larger than any list of labels; expected one a line")
    code = re.sub(r"\A(?:[ \t]*(?:#[^\n]*)?\n)*", "", text)  # without the comment that stands above
    found = _assigned(path, code) if re.match(r"(?:\w+\s*=\s*)?[\[(]", code) else lines_of(text)
    labels = tuple(label for name in found if (label := tidy(name)))
    if not labels:
        raise DataError(f"{path}: no labels in it; expected one a line")
    if twice := [label for label, count in Counter(labels).items() if count > 1]:
        raise DataError(f"{path}: twice in it: {', '.join(twice[:5])}; each column has a label of its own")
    return labels


def _assigned(path: Path, code: str) -> list[str]:
    """The list of strings that Python source consists of, assigned to a name or by itself."""
    try:
        (statement,) = ast.parse(code).body
        value = ast.literal_eval(statement.value) if isinstance(statement, ast.Assign | ast.Expr) else None
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        value = None
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise DataError(f"{path}: begins as a Python list, but is not one of names alone; expected that, or one a line")
    return list(value)
