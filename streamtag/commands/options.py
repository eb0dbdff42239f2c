"""Options that several commands share, and what is made of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from streamtag.commands.completion import complete_head, complete_model
from streamtag.commands.console import err
from streamtag.dsp.params import LevelOption
from streamtag.inference.networks.catalogue import find_spec
from streamtag.inference.networks.specs import SPECS, window_frames
from streamtag.tagging.options import LIVE_MODEL

if TYPE_CHECKING:
    from streamtag.heads.head import PlainHead

FILE_MODEL = "MTT_musicnn"
DEMO_MODEL = "MTT_musicnn"
"""Its words fit what is played: piano, ambient, techno, rock."""


def finite(seconds: float | None) -> float | None:
    """Refuse what is no number of seconds."""
    if seconds is not None and not math.isfinite(seconds):
        raise typer.BadParameter(f"{seconds:g}: expected a number of seconds")
    return seconds


def named(path: str) -> Path:
    """A path; an empty one, as a script's variable that is not set gives it, would be the current folder."""
    if not path:
        raise typer.BadParameter("an empty name; for the current folder, give a dot")
    return Path(path)


def all_named(paths: list[str]) -> list[str]:
    """Paths and patterns, none of them empty (see `named`)."""
    for path in paths:
        named(path)
    return paths


_MODEL_HELP = (
    f"One of {', '.join(SPECS)}, VGGish; a network in ONNX (FILE.onnx, see docs/models.md); or one of your own: a "
    "file, or its imported name. Default: the one that --head was learned on; "
)
Model = Annotated[
    str | None,
    typer.Option(autocompletion=complete_model, help=f"{_MODEL_HELP}else {FILE_MODEL}.", metavar="NAME"),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        autocompletion=complete_model,
        help=f"{_MODEL_HELP}else {LIVE_MODEL}; for the demo {DEMO_MODEL}. Repeatable: several hear side by side, "
        "and their names are in their results.",
        metavar="NAME",
    ),
]
Heads = Annotated[
    list[str] | None,
    typer.Option(
        help="Your own tags: a file that `streamtag learn` made; repeatable.",
        metavar="FILE.head",
        autocompletion=complete_head,
    ),
]
Window = Annotated[
    float | None,
    typer.Option(
        help="Seconds of sound behind each result (vgg models: 3 only). Default: what the model was trained on, 3 of "
        "musicnn's.",
        metavar="SECONDS",
        callback=finite,
    ),
]


EngineOption = Annotated[
    Literal["auto", "sliding", "tensorflow"],
    typer.Option(
        help="What evaluates the network. sliding: on the CPU, computing once what windows share. "
        "tensorflow: each window whole, on a GPU where there is one. auto: sliding."
    ),
]


def heads_and_model(
    paths: list[str] | None, model: str | None, default: str, window: float | None, level: LevelOption | None
) -> tuple[list[PlainHead], str]:
    """The heads that were asked for, and the model: theirs, unless another is named (which then is refused)."""
    if not paths:
        return [], model or default
    from streamtag.heads.file import check_heads, load_heads
    from streamtag.heads.head import common_level

    heads = load_heads(paths)
    model = model or heads[0].model
    spec = find_spec(model)
    check_heads(heads, spec)
    if level is None:
        common_level(heads)  # refuses those that differ, before any long work
    frame = spec.front_end.frame_seconds
    for head in heads:
        if head.window_frames != window_frames(spec, window):
            err.print(
                f"note: the head {head.name} was learned from windows of {head.window_frames * frame:.2f} s, "
                f"and hears windows of {window_frames(spec, window) * frame:.2f} s now",
                markup=False,
            )
        if level is not None and head.level != level:
            err.print(
                f"note: the head {head.name} was learned with --level {head.level}, and hears --level {level} now: it "
                "is less often right",
                markup=False,
            )
    return heads, model
