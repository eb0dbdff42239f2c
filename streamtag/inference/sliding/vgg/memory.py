"""What the kernels of one stream write."""

from __future__ import annotations

from typing import NamedTuple

from streamtag.inference.sliding.arena import Floats


class Memory(NamedTuple):
    """What the kernels write; all flat float32, columns of (bands, 128). Lists are by layer, 2 to 5.

    Attributes
    ----------
    inputs : tuple of ndarray of float32
        Newest input columns, each behind a row of zeros.
    ahead, both, whole : tuple of ndarray of float32
        Rings of a layer's sums over one, two and three input columns.
    begun : ndarray of float32
        For each window that is predicted, column 0 of the input of the layer at hand.
    cut : ndarray of float32
        Columns 0 and 1 of the layer and window at hand.
    patch : ndarray of float32
        The stem's frames.
    biases, tags_bias : ndarray of float32
        Copies from the weights (here, as the kernels take the start of a sum from what they write).
    embedding, logits : ndarray of float32
        Results of the windows that are predicted, (windows, 256) and, for each 128 tags, (windows, 128).
    """

    inputs: tuple[Floats, ...]
    ahead: tuple[Floats, ...]
    both: tuple[Floats, ...]
    whole: tuple[Floats, ...]
    begun: Floats
    cut: Floats
    patch: Floats
    biases: Floats
    tags_bias: Floats
    embedding: Floats
    logits: Floats
