"""The tables of a document, read key by key: each value is checked, and what is wrong is told with its line."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Sequence
from typing import Any, NoReturn

from streamtag._toml.document import Document, Key


class Table:
    """A table of a document, read key by key.

    Parameters
    ----------
    document : Document
        Whose it is.
    data : dict
        What it holds.
    keys : sequence of (str or int)
        The keys that lead to it.
    """

    def __init__(self, document: Document, data: dict[str, Any], keys: Sequence[Key] = ()) -> None:
        self.document = document
        self.data = data
        self.keys = tuple(keys)

    def __contains__(self, key: str) -> bool:
        return key in self.data

    @property
    def line(self) -> int:
        """Where it begins."""
        return self.document.line(self.keys)

    def fail(self, key: str | None, what: str) -> NoReturn:
        """Raise an OptionError with the line of one of its keys, or of itself.

        Raises
        ------
        OptionError
            Always.
        """
        self.document.fail(self.keys if key is None else (*self.keys, key), what)

    def only(self, known: Collection[str], where: str) -> None:
        """Refuse keys that mean nothing, with the one that was probably meant.

        Raises
        ------
        OptionError
            There is one.
        """
        for key in self.data:
            if key not in known:
                self.fail(key, f"{where} has no key {key!r}: {meant(key, known)}")

    def text(self, key: str, default: str = "") -> str:
        """A text, if it is given. Raises OptionError if it is something else, or empty."""
        value = self.data.get(key, default)
        if not isinstance(value, str) or (key in self.data and not value.strip()):
            self.fail(key, f"{key} = {shown(value)}: expected a text in quotes")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; one alone will do. Raises OptionError if it is something else."""
        value = self.data.get(key, [])
        listed = [value] if isinstance(value, str) else value
        if not (isinstance(listed, list) and all(isinstance(item, str) and item.strip() for item in listed)):
            self.fail(key, f'{key} = {shown(value)}: expected a list of texts, for example ["rock", "pop"]')
        return tuple(listed)

    def number(
        self, key: str, default: float | None = None, least: float = -math.inf, most: float = math.inf, unit: str = ""
    ) -> float | None:
        """A number, if it is given. Raises OptionError if it is something else, or out of range."""
        if key not in self.data:
            return default
        value = self.data[key]
        if not _is_number(value) or not least <= value <= most:
            self.fail(key, f"{key} = {shown(value)}: expected a number{_range(least, most)}{unit and ' ' + unit}")
        return float(value)

    def whole(self, key: str, default: int, least: int, most: int) -> int:
        """A whole number, if it is given. Raises OptionError if it is something else, or out of range."""
        value = self.data.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.fail(key, f"{key} = {shown(value)}: expected a whole number{_range(least, most)}")
        return value

    def switch(self, key: str, default: bool) -> bool:
        """True or false. Raises OptionError if it is something else."""
        value = self.data.get(key, default)
        if not isinstance(value, bool):
            self.fail(key, f"{key} = {shown(value)}: expected true or false")
        return value

    def pair(self, key: str) -> tuple[float, float] | None:
        """Two numbers, if they are given. Raises OptionError if it is something else."""
        value = self.data.get(key)
        if value is None:
            return None
        if not (isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))):
            self.fail(key, f"{key} = {shown(value)}: expected two numbers, for example [0.0, 1.0]")
        return float(value[0]), float(value[1])

    def table(self, key: str) -> Table | None:
        """A table, if it is given. Raises OptionError if it is something else."""
        if key not in self.data:
            return None
        return self.within(key, self.data[key], (*self.keys, key))

    def tables(self, key: str) -> list[Table]:
        """A list of tables, or one alone. Raises OptionError if it is something else."""
        value = self.data.get(key, [])
        if not isinstance(value, list):
            return [self.within(key, value, (*self.keys, key))]
        return [self.within(key, item, (*self.keys, key, place)) for place, item in enumerate(value)]

    def within(self, key: str, value: object, keys: Sequence[Key]) -> Table:
        """What is found under a key, as a table. Raises OptionError if it is something else."""
        if not isinstance(value, dict):
            self.fail(key, f"{key} = {shown(value)}: expected a table")
        return Table(self.document, value, keys)


def meant(given: str, known: Collection[str]) -> str:
    """The one that was probably meant, or all there are."""
    close = difflib.get_close_matches(given.lower(), {name.lower(): name for name in known}, n=1, cutoff=0.6)
    if close:
        return f"did you mean {next(name for name in known if name.lower() == close[0])}?"
    return f"expected {'one of ' if len(known) > 1 else ''}{', '.join(known)}"


def shown(value: object) -> str:
    """A value as it was written, about: short, and on one line."""
    text = {True: "true", False: "false"}.get(value, repr(value)) if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _range(least: float, most: float) -> str:
    if math.isinf(least) and math.isinf(most):
        return ""
    if math.isinf(most):
        return f", {least:g} or more"
    return f" from {least:g} to {most:g}"
