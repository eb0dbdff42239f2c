"""State of one stream of an attention or autopool model, and the order in which the kernels work on it."""

from __future__ import annotations

from streamtag.dsp.params import PATCH_FRAMES
from streamtag.inference.sliding.arena import Arena, Floats
from streamtag.inference.sliding.attention.convolution import convolve_places
from streamtag.inference.sliding.attention.infer import infer_attention, infer_autopool
from streamtag.inference.sliding.attention.layout import make_attention
from streamtag.inference.sliding.attention.prepared import PreparedWeighted
from streamtag.inference.sliding.musicnn.layout import Block
from streamtag.inference.sliding.musicnn.predictor import SlidingPredictor


class WeightedPredictor(SlidingPredictor):
    """Predicts overlapping windows of an attention or autopool model exactly, computing once what they share.

    As `SlidingPredictor` in all other respects. Predictions have no pools: these models end in neither a maximum nor a
    plain mean.

    Parameters
    ----------
    prepared : PreparedWeighted
        What `prepare_weighted` returned.
    window_frames : int
        Frames of a window, at least 1.
    hop_frames : int
        Frames between the starts of two windows, at least 1.

    Raises
    ------
    OptionError
        A window or hop below 1.
    """

    _prepared: PreparedWeighted

    def __init__(self, prepared: PreparedWeighted, window_frames: int = PATCH_FRAMES, hop_frames: int = 1) -> None:
        self._attends = prepared.spec.family == "attention"
        super().__init__(prepared, window_frames, hop_frames)
        if self._attends:
            convolve_places(self._memory, prepared.weights, prepared.weighing, self._attention, self._shape)

    def _more_rooms(self, arena: Arena) -> None:
        if self._attends:
            self._attention = make_attention(self._shape, arena)
        else:
            self._nothing = arena.room(max(*self._shape.widths, self._shape.filters))

    def _evaluate(self, frames: Floats, begin: int, block: Block) -> None:
        weights, places, weighing = self._prepared.weights, self._prepared.places, self._prepared.weighing
        taken = (frames, begin, self._jobs, self._memory, weights, places)
        common = (self._rooms, self._shape, block)
        if self._attends:
            infer_attention(*taken, weighing, self._attention, *common)
        else:
            infer_autopool(*taken, weighing.factor, self._nothing, *common)

    def _pools(self, pooled: Floats) -> tuple[Floats, ...]:
        return ()
