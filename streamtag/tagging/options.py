"""The options of tagging and their defaults, in one place for the command line, `live` and `Tagger`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypedDict

from streamtag.dsp.params import is_number
from streamtag.errors import OptionError

if TYPE_CHECKING:  # the command line starts without NumPy
    from streamtag.heads.head import PlainHead
    from streamtag.inference.base import Engine

LIVE_MODEL = "MSD_musicnn"
GATE_DBFS = -60.0
"""What live sessions take for silence, where nothing else is asked for."""


@dataclass(frozen=True, slots=True)
class TaggingOptions:
    """How a stream is tagged.

    Attributes
    ----------
    model : str
        Name of the model, as musicnn calls it.
    hop : float or None
        Seconds between two results, rounded to whole frames of 16 ms, at least one. None: 0.016 where the sliding
        engine predicts, 0.064 elsewhere.
    window : float
        Seconds that each result hears (vgg: 3 only).
    top : int
        How many tags each result names.
    smooth : float
        Time constant of the rolling scores in seconds; 0 for none.
    threshold : float
        Rolling score at which a tag switches on.
    engine : {'auto', 'sliding', 'tensorflow'}
        See `make_predictor`.
    heads : tuple of PlainHead
        Your own tags, predicted beside the model's (see `load_head`); frames then have `heads`.
    gate : float or None
        Level in dBFS. When no frame of the last second has reached it, the network rests: nothing is predicted, and
        scores fall to 0. The first window with a louder frame is predicted, and exact. None: never.
    centered : bool
        Frames as musicnn makes them of a file (see `MelStream`); then call `flush` at the end.

    Raises
    ------
    OptionError
        A gate that is no level, or that nothing reaches. The other values are checked by what uses them.
    HeadError
        What is no head.
    """

    model: str = LIVE_MODEL
    hop: float | None = None
    window: float = 3.0
    top: int = 5
    smooth: float = 1.0
    threshold: float = 0.2
    engine: Engine = "auto"
    heads: tuple[PlainHead, ...] = ()
    gate: float | None = None
    centered: bool = False

    def __post_init__(self) -> None:
        if self.gate is not None and not (is_number(self.gate) and self.gate < 0):
            raise OptionError(
                f"gate {self.gate!r} dBFS: expected a level below 0, which is full scale, for example {GATE_DBFS:g}; "
                "or none to switch it off"
            )
        heads: tuple[PlainHead, ...] = ()
        if self.heads:
            from streamtag.heads.head import as_heads

            heads = as_heads(self.heads)
        object.__setattr__(self, "heads", heads)


class TaggingKeywords(TypedDict, total=False):
    """The same options as keywords, for type checkers (the model comes first, and by position)."""

    hop: float | None
    window: float
    top: int
    smooth: float
    threshold: float
    engine: Engine
    heads: tuple[PlainHead, ...] | list[PlainHead]
    gate: float | None
    centered: bool


def chosen(model: str | None, options: TaggingOptions | None, changes: TaggingKeywords) -> TaggingOptions:
    """The options with a model and single options in place of theirs.

    Raises
    ------
    OptionError
        A name that is no option, or a gate that is no level.
    """
    unknown = set(changes) - set(TaggingKeywords.__annotations__)
    if unknown:
        known = ", ".join(TaggingKeywords.__annotations__)
        raise OptionError(f"no option is called {', '.join(sorted(unknown))}; the options are {known}")
    options = options or TaggingOptions()
    return replace(options, **({} if model is None else {"model": model}), **changes)  # type: ignore[arg-type] # lists too
