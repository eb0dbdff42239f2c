"""Which model hears which input: each input with each model, and what each of these is called."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from streamtag.commands.inputs import NamedInput
from streamtag.commands.options import heads_and_model
from streamtag.errors import OptionError

if TYPE_CHECKING:
    from streamtag.dsp.params import LevelOption
    from streamtag.heads.head import PlainHead

LONGEST_NAME = 32


@dataclass(frozen=True, slots=True)
class Hearing:
    """One model on one input.

    Attributes
    ----------
    name : str
        What it is called among several; empty where it is alone.
    input : NamedInput
        What it hears.
    model : str
        Name of the model.
    heads : tuple of PlainHead
        Your own tags that were learned on it.
    first : bool
        Whether no other model before it hears the same input.
    """

    name: str
    input: NamedInput
    model: str
    heads: tuple[PlainHead, ...]
    first: bool = True


def hearings(
    inputs: Sequence[NamedInput],
    models: Sequence[str] | None,
    paths: list[str] | None,
    default: str,
    window: float | None,
    level: LevelOption | None,
) -> list[Hearing]:
    """Each input with each model, and the heads that belong to it.

    Parameters
    ----------
    inputs : sequence of NamedInput
        What is heard.
    models : sequence of str or None
        The models that were asked for.
    paths : list of str or None
        Files of heads.
    default : str
        The model where none was asked for, by a head neither.
    window, level : float or None, str or None
        See `heads_and_model`.

    Returns
    -------
    list of Hearing
        Input after input.

    Raises
    ------
    OptionError
        Two would have the same name.
    HeadError, ModelError
        Something is wrong with a head or a model.
    """
    asked = list(dict.fromkeys(models or ()))
    if len(asked) < 2:
        heads, model = heads_and_model(paths, asked[0] if asked else None, default, window, level)
        return [Hearing(one.name, one, model, tuple(heads)) for one in inputs]
    of_each = [(model, tuple(heads)) for model, heads in _shared_out(paths, asked, window, level)]
    found = [
        Hearing(_name(one.name, model), one, model, heads, first=not place)
        for one in inputs
        for place, (model, heads) in enumerate(of_each)
    ]
    names = [one.name.lower() for one in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise OptionError(f"two of the models would be called {twice!r}: give the files other names")
    return found


def _shared_out(
    paths: list[str] | None, models: Sequence[str], window: float | None, level: LevelOption | None
) -> list[tuple[str, list[PlainHead]]]:
    """The heads of each model."""
    from streamtag.errors import HeadError
    from streamtag.heads.file import load_heads

    said = {} if not paths else {path: head.model for path, head in zip(paths, load_heads(paths), strict=True)}
    if lost := next((path for path, model in said.items() if model not in models), None):
        raise HeadError(f"{lost}: learned on {said[lost]}, which is not among the models here: {', '.join(models)}")
    shared = []
    for model in models:
        own = [path for path, of in said.items() if of == model]
        heads, _ = heads_and_model(own, model, model, window, level)
        shared.append((model, heads))
    return shared


def _name(of_input: str, model: str) -> str:
    """Of a model that is one of several: its name, behind that of the input where that has one."""
    word = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(model).stem if "." in model else model).strip("-") or "model"
    return (f"{of_input}-{word}" if of_input else word)[:LONGEST_NAME].strip("-")
