"""What is known of each published model before any weights are read."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

from streamtag.dsp.params import FRAME_SECONDS, PATCH_FRAMES, frames_in
from streamtag.errors import OptionError, UnknownModelError
from streamtag.inference.networks.labels import MSD_LABELS, MTT_LABELS

# The front end of musicnn, the same in all three sizes.
TIMBRAL_BANDS = (38, 67)
"""int(0.4 * 96) and int(0.7 * 96): how many mel bands a timbral filter spans."""
TIMBRAL_FILTERS = 204
"""int(1.6 * 128)."""
TEMPORAL_FRAMES = (128, 64, 32)
TEMPORAL_FILTERS = 51
"""int(1.6 * 32)."""

# The vgg models, the same in both.
VGG_POOLS = (((4, 1), (2, 2)), ((2, 2), (2, 2)), ((2, 2), (2, 2)), ((2, 2), (2, 2)), ((4, 4), (4, 4)))
"""Size and stride of the maximum behind each of the five layers, in (time, frequency)."""

MTT = "MagnaTagATune"
MSD = "Million Song Dataset"


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One published model.

    Attributes
    ----------
    name : str
        Name of the model, as musicnn calls it.
    family : {'musicnn', 'vgg'}
        Which of the two architectures.
    dataset : str
        What it was trained on.
    labels : tuple of str
        Its tags, in output order.
    parameters : int
        Number of stored weights, moving averages included.
    filters : int
        Mid-end filters (musicnn) or filters of every layer (vgg).
    embedding_size : int
        Width of `penultimate` (musicnn) or of `pool5`, flattened (vgg).
    roc_auc, pr_auc : float
        As published, macro-averaged over the tags of the test set.
    """

    name: str
    family: Literal["musicnn", "vgg"]
    dataset: str
    labels: tuple[str, ...]
    parameters: int
    filters: int
    embedding_size: int
    roc_auc: float
    pr_auc: float

    @property
    def embedding(self) -> str:
        """Name of the layer that serves as the embedding."""
        return "penultimate" if self.family == "musicnn" else "pool5"

    @property
    def pool_size(self) -> int:
        """Width of `max_pool` and of `mean_pool` (musicnn), 0 for vgg, which has neither."""
        front_end = len(TIMBRAL_BANDS) * TIMBRAL_FILTERS + len(TEMPORAL_FRAMES) * TEMPORAL_FILTERS
        return front_end + 3 * self.filters if self.family == "musicnn" else 0

    @property
    def fixed_length(self) -> bool:
        """Whether only patches of 187 frames fit (vgg flattens its last layer)."""
        return self.family == "vgg"


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


LONGEST_WINDOW_SECONDS = 600
"""musicnn hears a window as one thing; memory grows with its length, some 10 MB a minute and more."""
MOST_WINDOW_FRAMES = frames_in(LONGEST_WINDOW_SECONDS)


def find_spec(name: str) -> ModelSpec:
    """Look a model up by musicnn's name of it.

    Raises
    ------
    UnknownModelError
        No such model; the message names the nearest and lists all.
    """
    given: object = name
    if not isinstance(given, str):  # one of `models()` itself, or a path
        raise UnknownModelError(f"a model is chosen by its name, not by a {type(given).__name__}: {', '.join(SPECS)}")
    if name in SPECS:
        return SPECS[name]
    folded = {known.lower(): known for known in SPECS}
    near = [folded[match] for match in difflib.get_close_matches(name.lower(), folded, n=2, cutoff=0.5)]
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    raise UnknownModelError(f"no model is called {name!r}.{hint} The models are {', '.join(SPECS)}.")


def check_window(spec: ModelSpec, window_frames: int) -> None:
    """Refuse a patch length that the model cannot take.

    Raises
    ------
    OptionError
        A vgg model with anything but 187 frames; a window of hours.
    """
    if window_frames > MOST_WINDOW_FRAMES:
        raise OptionError(
            f"a window of {window_frames * FRAME_SECONDS:.0f} s: at most {LONGEST_WINDOW_SECONDS} s can be used"
        )
    if spec.fixed_length and window_frames != PATCH_FRAMES:
        raise OptionError(
            f"{spec.name} takes patches of 3 s only: set the window (input_length) to 3, "
            "or use a musicnn model, which takes any length"
        )
