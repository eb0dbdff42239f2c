"""A TOML file whose every mistake is told with its line, what is wrong, and what is expected.

tomllib says where the syntax is wrong, but not where a value stood. So keys are looked for in the text again, once
something is wrong with one.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from streamtag.errors import OptionError

Key = str | int
LARGEST_FILE = 1 << 20
"""Bytes: such a file is written by hand."""

_NAME = r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|[\w-]+)"""
_KEY = re.compile(rf"\s*({_NAME}(?:\s*\.\s*{_NAME})*)\s*=")
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_NAME}(?:\s*\.\s*{_NAME})*)\s*\]\]?")
_STRINGS = re.compile(
    r'"""(?:[^\\]|\\.)*?"""|' + r"'''.*?'''|" + r'"(?:[^"\\\n]|\\.)*"' + r"|'[^'\n]*'|#[^\n]*", re.DOTALL
)


class Document:
    """A file, and where in it things are said.

    Parameters
    ----------
    path : Path
        The file.
    text : str or None
        What it says, where that is known already: then nothing is read, and `path` is its name in messages.

    Attributes
    ----------
    path : Path
        The file.
    data : dict
        What it says.

    Raises
    ------
    OptionError
        It cannot be read, or is no TOML; with the line.
    """

    def __init__(self, path: Path, text: str | None = None) -> None:
        self.path = path
        try:
            if text is not None:
                self._text = text.replace("\r\n", "\n")
                self.data: dict[str, Any] = tomllib.loads(self._text)
                return
            if not path.is_file():
                raise OptionError(f"{path}: {'no file' if path.exists() else 'no such file'}")
            with path.open("rb") as file:
                raw = file.read(LARGEST_FILE + 1)
            if len(raw) > LARGEST_FILE:
                raise OptionError(f"{path}: more than {LARGEST_FILE >> 20} MB: nobody writes that by hand")
            self._text = raw.decode("utf-8-sig").replace("\r\n", "\n")
            self.data = tomllib.loads(self._text)
        except OSError as error:
            raise OptionError(f"{path}: cannot be read: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            line = raw[: error.start].count(b"\n") + 1
            raise OptionError(f"{path}:{line}: not UTF-8: save it as UTF-8") from error
        except tomllib.TOMLDecodeError as error:
            raise OptionError(self._of_syntax(str(error))) from error
        except RecursionError as error:
            raise OptionError(f"{path}: nested too deeply") from error

    def fail(self, keys: Sequence[Key], what: str) -> NoReturn:
        """Raise an OptionError that says where.

        Raises
        ------
        OptionError
            Always.
        """
        raise OptionError(f"{self.path}:{self.line(keys)}: {what}")

    def line(self, keys: Sequence[Key]) -> int:
        """The line, from 1, where a value is given by these keys; an int counts in a list, from 0.

        Of what a list or table in one line holds, the line where it begins. Text in strings is never taken for a key.
        """
        places = _places(self._text)
        known = tuple(keys)
        while known and known not in places:
            known = known[:-1]
        if not known:
            return 1
        start = places[known]
        after = [place for place in places.values() if place > start]
        text = _without_strings(self._text)
        end = min(after, default=len(text))
        for key in keys[len(known) :]:
            start = _inner(text, self._text, start, end, key)
        return self._text.count("\n", 0, start) + 1

    def _of_syntax(self, words: str) -> str:
        found = re.search(r"\(at line (\d+), column (\d+)\)", words)
        reason = words.partition(" (at ")[0]
        reason = f"no TOML: {reason[:1].lower()}{reason[1:]}"
        if not found:  # at the end of the document
            return f"{self.path}:{self._text.rstrip().count(chr(10)) + 1}: {reason}"
        line = self._text.splitlines()[int(found[1]) - 1]
        if line.count("{") > line.count("}"):
            reason += "; what stands in { } has to be on one line"
        return f"{self.path}:{found[1]}: {reason} (column {found[2]})"


def _parts(text: str) -> tuple[str, ...]:
    """A dotted key as its parts."""
    return tuple(str(tomllib.loads(f"x={name}")["x"]) if name[0] in "\"'" else name for name in re.findall(_NAME, text))


def _without_strings(text: str) -> str:
    """The same text, as long, with blanks in place of strings' and comments' insides."""
    return _STRINGS.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)


def _places(text: str) -> dict[tuple[Key, ...], int]:
    """Where each key at the beginning of a line is, and each header, by all keys that lead there."""
    plain = _without_strings(text)
    places: dict[tuple[Key, ...], int] = {}
    counts: dict[tuple[Key, ...], int] = {}
    header: tuple[Key, ...] = ()
    depth = at = 0
    for line, bare in zip(text.splitlines(keepends=True), plain.splitlines(keepends=True), strict=True):
        if depth == 0:
            # a line that begins within a string is blank in `bare`, and matches neither
            if bare.lstrip()[:1] == "[" and (found := _HEADER.match(line)):
                header = ()
                for part in _parts(found[2]):
                    header = (*header, part)
                    if header in counts:
                        header = (*header, counts[header])
                if found[1] == "[[":
                    name = header[:-1] if isinstance(header[-1], int) else header
                    counts[name] = counts.get(name, -1) + 1
                    header = (*name, counts[name])
                    places.setdefault(name, at)
                places[header] = at
            elif "=" in bare and (found := _KEY.match(line)):
                keys = header
                for part in _parts(found[1]):
                    keys = (*keys, part)
                    places.setdefault(keys, at)
                depth = _depth(bare[bare.index("=") :])
        else:
            depth += _depth(bare)
        at += len(line)
    return places


def _depth(text: str) -> int:
    return sum(text.count(mark) for mark in "[{") - sum(text.count(mark) for mark in "]}")


def _inner(plain: str, text: str, start: int, end: int, key: Key) -> int:
    """Where a key, or the item of a number, is within a value; where the value is, if it is not found."""
    if isinstance(key, int):
        braces = [found.start() for found in re.finditer(r"\{", plain[start:end])]
        return start + braces[key] if key < len(braces) else start
    found = re.search(rf"(?<![\w-])[\"']?{re.escape(key)}[\"']?\s*[=.]", text[start:end])
    return start + found.start() if found else start
