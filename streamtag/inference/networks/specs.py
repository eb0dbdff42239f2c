"""What is known of a model before any weights are read: published ones, and the shape of what one trains oneself."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Literal, NamedTuple

from streamtag.dsp.front_end import MUSICNN, FrontEnd
from streamtag.dsp.params import N_MELS, PATCH_FRAMES
from streamtag.errors import OptionError
from streamtag.inference.networks.labels import MSD_LABELS, MTT_LABELS

# The front end of musicnn, the same in all three sizes.
TIMBRAL_BANDS = (38, 67)
"""int(0.4 * 96) and int(0.7 * 96): how many mel bands a timbral filter spans."""
TIMBRAL_FILTERS = 204
"""int(1.6 * 128)."""
WIDE_TIMBRAL_FILTERS = 576
"""int(4.5 * 128): where there are no other branches."""
TEMPORAL_FRAMES = (128, 64, 32)
TEMPORAL_FILTERS = 51
"""int(1.6 * 32)."""

# The vgg models, the same in both.
VGG_POOLS = (((4, 1), (2, 2)), ((2, 2), (2, 2)), ((2, 2), (2, 2)), ((2, 2), (2, 2)), ((4, 4), (4, 4)))
"""Size and stride of the maximum behind each of the five layers, in (time, frequency)."""

MTT = "MagnaTagATune"
MSD = "Million Song Dataset"

Family = Literal[
    "musicnn", "residual", "attention", "autopool", "lstm", "vgg", "dieleman", "timbre", "vggish", "openl3", "onnx"
]
"""The architectures of musicnn-training, `architectures` says which is which number there; and those of others."""
OTHERS: tuple[Family, ...] = ("vggish", "openl3", "onnx")
"""Those that are nobody's of musicnn: another front-end, features of their own."""
FLATTENED: tuple[Family, ...] = ("vgg", "dieleman", "timbre")
"""Those whose last layer has a weight for each time, so that a patch has one length."""
POOLED: tuple[Family, ...] = ("musicnn", "residual")
"""Those that end in the maximum and the mean over time, which musicnn names as features."""
WEIGHTED: tuple[Family, ...] = ("attention", "autopool")
"""Those that end in a mean over time with weights of their own for each channel."""


class FirstLayer(NamedTuple):
    """The first layer of musicnn and its relatives, whose filters are long in frequency or in time.

    Attributes
    ----------
    timbral : tuple of int
        Mel bands that the filters of each timbral branch span.
    timbral_filters : int
        Filters of each of these.
    temporal : tuple of int
        Frames that the filters of each temporal branch span.
    temporal_filters : int
        Filters of each of these.
    """

    timbral: tuple[int, ...]
    timbral_filters: int
    temporal: tuple[int, ...]
    temporal_filters: int

    @property
    def channels(self) -> int:
        """How many there are of all branches."""
        return len(self.timbral) * self.timbral_filters + len(self.temporal) * self.temporal_filters


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model: a published one, or one of your own.

    Attributes
    ----------
    name : str
        Name of the model, as musicnn calls it; of one's own, its file, or the name under which it was imported.
    family : Family
        Which of the architectures.
    dataset : str
        What it was trained on.
    labels : tuple of str
        Its tags, in output order; none of a network that gives an embedding only.
    parameters : int
        Number of stored weights, moving averages included.
    filters : int
        Mid-end filters (musicnn and its relatives) or filters of every layer (vgg); 32 for the others.
    embedding_size : int
        Width of `penultimate`, of `pool5`, flattened (vgg), or of `embedding`; 0 of a network that gives tags only.
    roc_auc, pr_auc : float
        Macro-averaged over the tags: as published, on the test set; of one's own, on the validation set. NaN: unknown.
    frames, bands : int
        Of the patches that it was trained on.
    residuals : {'norm', 'convolution'}
        What the mid-end's second and third layer add to what they were given: their batch norm, as in the published
        library, or their convolution, as in the published training code, where the norm then has no effect.
    trained : bool
        Whether it is one's own.
    front_end : FrontEnd
        What it hears; musicnn's, unless it is somebody else's.
    step : int or None
        Frames from one patch to the next where published code has them overlap; None: side by side.
    licence, origin : str
        Its licence, and where it comes from, where it is somebody else's.
    stateful : bool
        Whether what it says of a patch depends on those before.
    """

    name: str
    family: Family
    dataset: str
    labels: tuple[str, ...]
    parameters: int
    filters: int
    embedding_size: int
    roc_auc: float = nan
    pr_auc: float = nan
    frames: int = PATCH_FRAMES
    bands: int = N_MELS
    residuals: Literal["norm", "convolution"] = "norm"
    trained: bool = False
    front_end: FrontEnd = MUSICNN
    step: int | None = None
    licence: str = ""
    origin: str = ""
    stateful: bool = False

    @property
    def embedding(self) -> str:
        """Name of the layer that serves as the embedding."""
        if self.family in OTHERS:
            return "embedding"
        return "pool5" if self.family == "vgg" else "penultimate"

    @property
    def first_layer(self) -> FirstLayer:
        """Its first layer (musicnn and its relatives)."""
        narrow, wide = int(0.4 * self.bands), int(0.7 * self.bands)
        if self.family in WEIGHTED:
            return FirstLayer((narrow,), WIDE_TIMBRAL_FILTERS, (), 0)
        return FirstLayer((narrow, wide), TIMBRAL_FILTERS, TEMPORAL_FRAMES, TEMPORAL_FILTERS)

    @property
    def channels(self) -> int:
        """How many features of a frame are summed up over time (musicnn and its relatives)."""
        return self.filters if self.family in ("residual", "lstm") else self.first_layer.channels + 3 * self.filters

    @property
    def pool_size(self) -> int:
        """Width of `max_pool` and of `mean_pool`, 0 where there is neither."""
        return self.channels if self.family in POOLED else 0

    @property
    def fixed_length(self) -> bool:
        """Whether only patches of `frames` fit."""
        return self.family in FLATTENED + OTHERS

    @property
    def slides(self) -> bool:
        """Whether the sliding engine can evaluate it, which then needs neither Keras nor TensorFlow."""
        if self.bands != N_MELS or self.front_end != MUSICNN:
            return False
        if self.family == "vgg":
            return self.frames == PATCH_FRAMES and self.filters <= 128
        # its kernels work on whole registers
        return self.family in POOLED or (self.family in WEIGHTED and self.filters % 64 == 0)


# Scores: the `experiment.result` file beside each published checkpoint.
SPECS: dict[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        ModelSpec("MTT_musicnn", "musicnn", MTT, MTT_LABELS, 792_079, 64, 200, 0.9066769123674747, 0.38310571748763617),
        ModelSpec("MSD_musicnn", "musicnn", MSD, MSD_LABELS, 792_079, 64, 200, 0.8801927178090048, 0.28906431196994925),
        ModelSpec(
            "MSD_musicnn_big", "musicnn", MSD, MSD_LABELS, 7_993_819, 512, 500, 0.8841298349917005, 0.3002986500522167
        ),
        ModelSpec("MTT_vgg", "vgg", MTT, MTT_LABELS, 607_030, 128, 256, 0.9030268990308291, 0.382267685217377),
        ModelSpec("MSD_vgg", "vgg", MSD, MSD_LABELS, 607_030, 128, 256, 0.8767615259520635, 0.28192480359001065),
    )
}


def live_level(spec: ModelSpec) -> Literal["auto", "off"]:
    """The level at which live sessions hear where nothing else is asked for: the models of others hear what comes."""
    return "off" if spec.family in OTHERS else "auto"


LONGEST_WINDOW_SECONDS = 600
"""musicnn hears a window as one thing; memory grows with its length, some 10 MB a minute and more."""


def window_frames(spec: ModelSpec, seconds: float | None) -> int:
    """Frames of a patch that is `seconds` long; None for what the model was trained on, 3 s of musicnn's.

    Raises
    ------
    OptionError
        A length that the model cannot take.
    """
    if seconds is None:
        return spec.frames if spec.fixed_length else PATCH_FRAMES
    frames = spec.front_end.frames_in(seconds)
    check_window(spec, frames)
    return frames


def check_window(spec: ModelSpec, window_frames: int) -> None:
    """Refuse a patch length that the model cannot take.

    Raises
    ------
    OptionError
        A model that takes patches of one length with another; a window of hours.
    """
    frame_seconds = spec.front_end.frame_seconds
    if window_frames > spec.front_end.frames_in(LONGEST_WINDOW_SECONDS):
        raise OptionError(
            f"a window of {window_frames * frame_seconds:.0f} s: at most {LONGEST_WINDOW_SECONDS} s can be used"
        )
    if spec.fixed_length and window_frames != spec.frames:
        seconds = 3 if spec.frames == PATCH_FRAMES else round(spec.frames * frame_seconds, 3)
        raise OptionError(
            f"{spec.name} takes patches of {seconds:g} s only: set the window (input_length) to {seconds:g}, "
            "or use a musicnn model, which takes any length"
        )
