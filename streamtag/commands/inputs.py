"""What `streamtag live` hears: one input, or several with names."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from streamtag._slugs import INPUT_NAME
from streamtag.commands.completion import complete_input
from streamtag.errors import OptionError

NAMED = re.compile(f"({INPUT_NAME})=(.+)", re.DOTALL)
CHANNELS = re.compile(r"(.+):(\d+(?:,\d+)*)")

Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        help="What to hear: a device (index, name, part of it, or NAME, HOST; see `streamtag devices`), `system` (what "
        "the machine plays), a file (./NAME where a device is called so), - (stdin) or a FIFO, an address "
        "(https://..., rtsp://...), or `demo`. Repeatable, each then with a name and, if wanted, its "
        "channels: --input stage=Scarlett:1,2 --input deck=Scarlett:3,4.",
        metavar="[NAME=]DEVICE|system|FILE|-|ADDRESS|demo",
        autocompletion=complete_input,
        show_default="default",
    ),
]
Raw = Annotated[
    str | None,
    typer.Option(
        help="What the samples of a pipe without a header are, for example s16le,44100,2.",
        metavar="TYPE,RATE,CHANNELS",
    ),
]


@dataclass(frozen=True, slots=True)
class NamedInput:
    """An input as it was asked for.

    Attributes
    ----------
    name : str
        What it is called among several; empty where it is alone.
    given : str
        What to hear, see `open_source`.
    channels : tuple of int or None
        Which channels of it, counted from 1; None for the usual.
    """

    name: str
    given: str
    channels: tuple[int, ...] | None = None


def parse_inputs(given: Sequence[str] | None, channels: tuple[int, ...] | None) -> list[NamedInput]:
    """What was given as ``--input``, and the channels of one that is alone.

    Raises
    ------
    OptionError
        Several without names, or with the same; --channels for several.
    """
    found = [_parse(text) for text in given or ["default"]]
    if len(found) == 1 and not found[0].name:
        return [NamedInput("", found[0].given, channels)]
    for one in found:
        if not one.name:
            raise OptionError(
                f"--input {_shown(one.given)}: several inputs need names, for example --input stage={_shown(one.given)}"
            )
    if channels is not None:
        raise OptionError(
            f"--channels is for one input without a name: write {found[0].name}={_shown(found[0].given)}:"
            f"{','.join(map(str, channels))}"
        )
    names = [one.name.lower() for one in found]
    for name in names:
        if names.count(name) > 1:
            raise OptionError(f"two inputs are called {name!r}: give each a name of its own")
    return found


def _shown(given: str) -> str:
    """An input in a message, which may be kept and read by others."""
    if "://" not in given:
        return given
    from streamtag.sources.address import without_secrets

    return without_secrets(given)


def _parse(text: str) -> NamedInput:
    named = NAMED.fullmatch(text)
    if named is None or os.path.exists(text):  # noqa: PTH110 # a file with = in its name
        return NamedInput("", text)
    name, what = named.groups()
    with_channels = CHANNELS.fullmatch(what)
    if with_channels is None or "://" in what or os.path.exists(what):  # noqa: PTH110
        return NamedInput(name, what)
    channels = tuple(map(int, with_channels[2].split(",")))
    if 0 in channels:
        raise OptionError(f"--input {text}: channels are counted from 1")
    return NamedInput(name, with_channels[1], channels)
