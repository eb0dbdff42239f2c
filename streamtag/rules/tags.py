"""What a show says of the model's tags: which there are, what they are called, where single ones switch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from streamtag._toml.document import Key
from streamtag._toml.tables import Table
from streamtag.errors import OptionError
from streamtag.rules.show import Show
from streamtag.tagging.calibration import place
from streamtag.tagging.selection import TagSelection, selected

TAGS = ("allow", "deny", "rename", "thresholds")
LEAST = 1e-6


def read_selection(table: Table) -> TagSelection:
    """What stands under ``[tags]``.

    Parameters
    ----------
    table : Table
        The table.

    Returns
    -------
    TagSelection
        What it says; whether there are such tags is for `check_selection`.

    Raises
    ------
    OptionError
        What cannot be, with the line.
    """
    table.only(TAGS, "[tags]")
    rename, thresholds = table.table("rename"), table.table("thresholds")
    names = {key: rename.text(key) for key in rename.data} if rename else {}
    limits = {key: _threshold(thresholds, key) for key in thresholds.data} if thresholds else {}
    return TagSelection(table.texts("allow"), table.texts("deny"), names, limits)


def _threshold(table: Table, key: str) -> float | str:
    value = table.data[key]
    if not isinstance(value, str):
        return table.number(key, least=LEAST, most=1.0) or LEAST
    try:
        place(value)
    except OptionError as error:
        table.fail(key, str(error))
    return value


def check_selection(show: Show, labels: Sequence[str]) -> tuple[str, ...]:
    """The tags that a show leaves of a model's, as it calls them.

    Parameters
    ----------
    show : Show
        The show.
    labels : sequence of str
        The model's tags.

    Returns
    -------
    tuple of str
        The tags.

    Raises
    ------
    OptionError
        It names a tag that the model does not have, leaves none, or calls two the same; with the line.
    """
    if show.tags is None or show.document is None:
        return tuple(labels)
    for keys, part in _parts(show.tags):
        try:
            selected(part, labels)
        except OptionError as error:
            show.document.fail(keys, str(error))
    return selected(show.tags, labels).labels


def _parts(wanted: TagSelection) -> Iterator[tuple[tuple[Key, ...], TagSelection]]:
    """A selection piece by piece, so that what is wrong is told of the piece that is."""
    for name in wanted.allow:
        yield ("tags", "allow"), TagSelection(allow=(name,))
    for name in wanted.deny:
        yield ("tags", "deny"), TagSelection(allow=(name,))
    for old, new in wanted.rename.items():
        yield ("tags", "rename", old), TagSelection(allow=(old,), rename={old: new})
    whole = replace(wanted, thresholds={})
    yield ("tags",), whole
    for name, threshold in wanted.thresholds.items():
        yield ("tags", "thresholds", name), replace(whole, thresholds={name: threshold})
