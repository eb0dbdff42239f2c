"""Which of a model's tags a session knows, what they are called there, and where each of them switches."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from streamtag._slugs import find_label
from streamtag.errors import OptionError

LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class TagSelection:
    """Tags that are allowed, denied, renamed, and their thresholds.

    A tag is named as the model names it, or as OSC addresses do; case does not matter.

    Attributes
    ----------
    allow : tuple of str
        The tags that there are; none: all.
    deny : tuple of str
        Tags that there are not.
    rename : mapping of {str: str}
        What tags are called, by tag.
    thresholds : mapping of {str: float or str}
        Rolling score at which a tag switches on, or a percentage of its own scale (``95%``), by tag; for the others
        what holds for all.
    """

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    thresholds: Mapping[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Selected:
    """What a selection makes of a model's tags.

    Attributes
    ----------
    labels : tuple of str
        The tags that are left, in the model's order, as they are called.
    columns : ndarray of int, shape (tags,)
        Where their scores are among the model's.
    thresholds : mapping of {int: float or str}
        Those of single tags, by their number among `labels`.
    """

    labels: tuple[str, ...]
    columns: NDArray[np.intp]
    thresholds: Mapping[int, float | str]


def selected(selection: TagSelection, labels: Sequence[str]) -> Selected:
    """Apply a selection to a model's tags.

    Parameters
    ----------
    selection : TagSelection
        What is wanted.
    labels : sequence of str
        The model's tags.

    Returns
    -------
    Selected
        What is left.

    Raises
    ------
    OptionError
        No such tag; nothing is left; two are called the same; a name that cannot be shown.
    """
    allowed = {_place(name, labels) for name in selection.allow} or set(range(len(labels)))
    left = sorted(allowed - {_place(name, labels) for name in selection.deny})
    if not left:
        raise OptionError("no tag is left: all that are allowed are denied, too")
    names = {_place(name, labels): new for name, new in selection.rename.items()}
    called = tuple(names.get(place, labels[place]) for place in left)
    for name in called:
        if not (name.strip() and name.isprintable() and len(name) <= LONGEST_NAME):
            raise OptionError(f"the name {name[:LONGEST_NAME]!r}: expected 1 to {LONGEST_NAME} printable characters")
    if twice := next((name for place, name in enumerate(called) if name in called[:place]), None):
        raise OptionError(f"two tags are called {twice!r}: give them different names, or deny one")
    thresholds: dict[int, float | str] = {}
    for name, threshold in selection.thresholds.items():
        new = find_label(name, called)
        place = left.index(_place(name, labels)) if new is None and _place(name, labels) in left else new
        if place is None:
            raise OptionError(f"a threshold of {name!r}, which is not among the tags that are left")
        thresholds[place] = threshold
    return Selected(called, np.array(left, np.intp), thresholds)


def _place(name: str, labels: Sequence[str]) -> int:
    place = find_label(name, labels)
    if place is None:
        close = difflib.get_close_matches(name.lower(), {label.lower(): label for label in labels}, n=1)
        meant = next((label for label in labels if close and label.lower() == close[0]), None)
        hint = f"did you mean {meant}?" if meant else f"expected one of {', '.join(labels)}"
        raise OptionError(f"no tag is called {name!r}: {hint}")
    return place
