"""The options of tagging and their defaults, in one place for the command line, `live` and `Tagger`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypedDict, get_args

from streamtag.dsp.params import LevelOption, check_level, is_number
from streamtag.errors import OptionError

if TYPE_CHECKING:  # the command line starts without NumPy
    from streamtag.heads.head import PlainHead
    from streamtag.inference.base import Engine
    from streamtag.tagging.calibration import Calibration
    from streamtag.tagging.selection import TagSelection

ReactOption = Literal["off", "calm", "normal", "quick"]
MusicOption = Literal["gate", "tell", "off"]
LIVE_MODEL = "MSD_musicnn"
HEAD_THRESHOLD = 0.5
WINDOW_SECONDS = 3.0
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
        Seconds between two results, rounded to whole frames (16 ms of musicnn's), at least one. None: 0.016 where the
        sliding engine predicts, 0.064 elsewhere; of other networks as often as their published code, or four times a
        window.
    window : float or None
        Seconds that each result hears; None for what the model was trained on, 3 s of musicnn's (vgg: 3 only).
    top : int
        How many tags each result names.
    smooth : float
        Time constant of the rolling scores in seconds; 0 for none. Where they react (`react`), it is not used.
    react : {'off', 'calm', 'normal', 'quick'}
        off: plain smoothing. The others: a window of 1 s is heard, too, scores follow a change at once and are calm
        otherwise, and the top tags keep their order until a lead is clear (see `streamtag.tagging.reaction`).
    embedding_smooth : float
        Time constant of the embedding in seconds; 0 for none.
    threshold : float or str
        Rolling score at which one of the model's tags switches on; or, as in ``95%``, the place on each tag's own scale
        (see `calibration`), which is turned into a score for each tag.
    head_threshold : float
        Rolling probability at which a class of a head switches on: probabilities are calibrated, so that 0.5 is rather
        true than not.
    engine : {'auto', 'sliding', 'tensorflow'}
        See `make_predictor`.
    heads : tuple of PlainHead
        Your own tags, predicted beside the model's (see `load_head`); frames then have `heads`.
    gate : float or None
        Level in dBFS. When no frame of the last second has reached it, the network rests: nothing is predicted, and
        scores fall to 0. The first window with a louder frame is predicted, and exact. None: never.
    level : {'auto', 'off'} or None
        auto: bring what is heard to the level that the models know (see `Leveller`); the gate looks at the level
        before. off: as it comes, which gives the published numbers. None: as the heads were learned; without heads auto
        in live sessions, and off in a `Tagger`.
    calibration : Calibration, 'auto' or None
        Each tag's own scale (see `Calibration`); frames then have `calibrated`. auto: the one that ships with the
        model, if there is one.
    music : {'gate', 'tell', 'off'}
        tell: frames have `music`, how likely it is that music is heard, of models that ship with a head for it. gate:
        tags rest, too, while that is unlikely; `raw`, the embedding and heads go on. off: neither.
    tags : TagSelection or None
        Which of the model's tags there are, what they are called, and where single ones switch; None: all as they are.
    centered : bool
        Frames as musicnn makes them of a file (see `MelStream`); then call `flush` at the end.

    Raises
    ------
    OptionError
        A gate that is no level, or that nothing reaches; a level, a calibration or a way with music that is none. The
        other values are checked by what uses them.
    HeadError
        What is no head.
    """

    model: str = LIVE_MODEL
    hop: float | None = None
    window: float | None = None
    top: int = 5
    smooth: float = 1.0
    react: ReactOption = "off"
    embedding_smooth: float = 0.0
    threshold: float | str = 0.2
    head_threshold: float = HEAD_THRESHOLD
    engine: Engine = "auto"
    heads: tuple[PlainHead, ...] = ()
    gate: float | None = None
    level: LevelOption | None = None
    calibration: Calibration | Literal["auto"] | None = None
    music: MusicOption = "off"
    tags: TagSelection | None = None
    centered: bool = False

    def __post_init__(self) -> None:
        if self.gate is not None and not (is_number(self.gate) and self.gate < 0):
            raise OptionError(
                f"gate {self.gate!r} dBFS: expected a level below 0, which is full scale, for example {GATE_DBFS:g}; "
                "or none to switch it off"
            )
        if self.level is not None:
            check_level(self.level)
        if self.react not in get_args(ReactOption):
            raise OptionError(f"react {self.react!r}: expected {', '.join(get_args(ReactOption))}")
        if self.music not in get_args(MusicOption):
            raise OptionError(f"music {self.music!r}: expected {', '.join(get_args(MusicOption))}")
        if self.calibration is not None and self.calibration != "auto":
            from streamtag.tagging.calibration import Calibration

            if not isinstance(self.calibration, Calibration):
                raise OptionError(
                    f"calibration {self.calibration!r}: expected what streamtag.load_calibration returns, 'auto', or "
                    "None"
                )
        heads: tuple[PlainHead, ...] = ()
        if self.heads:
            from streamtag.heads.head import as_heads

            heads = as_heads(self.heads)
        object.__setattr__(self, "heads", heads)


class TaggingKeywords(TypedDict, total=False):
    """The same options as keywords, for type checkers (the model comes first, and by position)."""

    hop: float | None
    window: float | None
    top: int
    smooth: float
    react: ReactOption
    embedding_smooth: float
    threshold: float | str
    head_threshold: float
    engine: Engine
    heads: tuple[PlainHead, ...] | list[PlainHead]
    gate: float | None
    level: LevelOption | None
    calibration: Calibration | Literal["auto"] | None
    music: MusicOption
    tags: TagSelection | None
    centered: bool


def live_options(changes: TaggingKeywords) -> TaggingOptions:
    """What serves live sessions where nothing else is asked for.

    Parameters
    ----------
    changes : TaggingKeywords
        Single options that will be changed: some of the others depend on them.

    Returns
    -------
    TaggingOptions
        The options, without these changes.
    """
    at_level = changes.get("level") != "off" and changes.get("window") in (None, WINDOW_SECONDS)
    return TaggingOptions(
        gate=GATE_DBFS,
        react="off" if "smooth" in changes else "normal",
        calibration="auto" if at_level else None,
        music="gate" if at_level else "off",
    )


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
