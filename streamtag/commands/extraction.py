"""Options of the commands that hear labelled files: which features, where they are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from streamtag._compile.cache import is_cached
from streamtag._compile.progress import KERNELS
from streamtag.commands.completion import complete_model
from streamtag.commands.console import preparing
from streamtag.dsp.params import LevelOption
from streamtag.inference.networks.catalogue import find_spec
from streamtag.inference.networks.specs import SPECS, window_frames

if TYPE_CHECKING:
    from streamtag.learn.features import Extraction, FeatureCache

Model = Annotated[
    str,
    typer.Option(
        help=f"One of {', '.join(SPECS)}, or one of your own: a file, or its imported name.",
        metavar="NAME",
        autocompletion=complete_model,
    ),
]
Jobs = Annotated[int, typer.Option(help="Files to work on at a time; 0: one for each processor.", min=0)]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Neither use nor keep the features of earlier runs.")]
Window = Annotated[
    float | None,
    typer.Option(
        help="Seconds of a patch (vgg models: 3 only). Default: what the model was trained on, 3 of musicnn's.",
        metavar="SECONDS",
    ),
]
Hop = Annotated[float, typer.Option(help="Seconds from one patch to the next.", metavar="SECONDS")]


def extraction_of(model: str, window: float | None, hop: float, level: LevelOption) -> Extraction:
    """Which features of which patches, heard at which level."""
    spec = find_spec(model)
    frames = window_frames(spec, window)
    from streamtag.learn import features

    return features.Extraction(model, frames, spec.front_end.hop_frames(hop), level)


def compile_first(extraction: Extraction) -> None:
    """On a machine where nothing has been compiled, do that now, and show how far it is."""
    if not is_cached():
        with preparing(extraction.model, KERNELS.get(extraction.spec.family, 0)):
            extraction.predictor().warm_up()


def feature_cache(off: bool) -> FeatureCache:
    """Where features are kept between runs."""
    from streamtag.learn import features

    return features.FeatureCache(None) if off else features.FeatureCache.default()
