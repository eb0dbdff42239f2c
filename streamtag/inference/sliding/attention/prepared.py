"""Weights of attention and autopool models, folded and laid out for the kernels, once a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from streamtag.errors import OptionError
from streamtag.inference.networks.playable import as_published
from streamtag.inference.networks.specs import WEIGHTED
from streamtag.inference.networks.tensors import TensorReader
from streamtag.inference.networks.weights import Weights
from streamtag.inference.sliding.arena import Arena
from streamtag.inference.sliding.attention.geometry import LAYERS, TAPS
from streamtag.inference.sliding.musicnn.prepared import Prepared, group_widths, panels, put_layers, read_only


class Weighing(NamedTuple):
    """Where the weights are that say how much a frame counts.

    Attributes
    ----------
    factor : int
        What the softmax multiplies with: autopool's alpha; 1 for attention.
    zeros : int
        As many as there are channels.
    kernels : tuple of int
        Attention's convolution by groups of channels, the front end and each layer of the mid-end: panels
        (3 * width, channels).
    """

    factor: int
    zeros: int
    kernels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PreparedWeighted(Prepared):
    """A model's weights as the kernels want them. Read-only; predictors in several threads share one.

    Attributes
    ----------
    weighing : Weighing
        Where those are that musicnn does not have.
    """

    weighing: Weighing


def prepare_weighted(weights: Weights) -> PreparedWeighted:
    """Fold and lay out an attention or autopool model's weights.

    Parameters
    ----------
    weights : Weights
        The model's.

    Returns
    -------
    PreparedWeighted
        Them, in memory.

    Raises
    ------
    OptionError
        A model of another architecture, or of a size that the kernels do not know.
    WeightsDamagedError
        If a tensor is missing or has another shape than the architecture's.
    """
    spec = weights.spec
    if spec.family not in WEIGHTED or not spec.slides:
        raise OptionError(f"{spec.name} cannot be evaluated so: only attention and autopool models can")
    read, arena = TensorReader(as_published(weights)), Arena()
    places = put_layers(read, arena, *read.penultimate())
    factor, kernels = 1.0, []
    if spec.family == "autopool":
        factor = read("autopool/alpha").item()
    else:
        # The convolution's bias is the same in all frames, and a softmax over time does not see it.
        read("attention_conv/bias", spec.channels)
        kernel = read("attention_conv/kernel", TAPS, spec.channels, spec.channels)
        begin = 0
        for width in (*group_widths(spec.first_layer), *LAYERS * [spec.filters]):
            kernels.append(panels(kernel[:, begin : begin + width].reshape(TAPS * width, spec.channels)))
            begin += width
    weighing = Weighing(arena.put(factor), arena.room(spec.channels), arena.put_all(kernels))
    return PreparedWeighted(spec, read_only(arena), places, weighing)
