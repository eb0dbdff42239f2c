"""Which columns of the vgg networks a window needs, which of them feel its edge, and where the others are kept.

A *column* is what a convolution gives at one time: bands x channels. Poolings with a stride of two become steps: the
columns of layer 2 lie 2 frames apart, of layer 3 four, of layer 4 eight, of layer 5 sixteen. Column i of a window that
starts at frame s belongs to *position* s + i * step, and has the same value in every window that has it, unless the
zeros beyond the window reach it. In each layer these are only columns 0 and 1:

* a filter of 3 columns reaches the zeros at column 0; pooling joins columns 0 and 1; in the next layer this pooled
  column reaches columns 0 and 1 again, and no others;
* at the other end nothing is felt at all. The last poolings leave remainders over: layer 5 has 11 columns of 6 bands,
  of which pool 5 takes 8 of 4. Followed back to the input, the tags depend on the first 161 frames of the 187 and on
  the lowest 94 bands of the 96, and nothing of it reaches the zeros after the window or above the bands.
"""

from __future__ import annotations

from math import gcd
from typing import NamedTuple

CHANNELS = 128
"""Filters of every layer."""
LAST_POOL = 4
"""Columns, and bands, that pool 5 takes the maximum of; it does so twice in time and once in frequency."""


class Needed(NamedTuple):
    """What a window needs of a layer's output: columns, each `step` frames from the next, of `bands` bands.

    Of the layer's input it needs a column more on either side, a band more on top, and a row of zeros below.
    """

    step: int
    columns: int
    bands: int


def needed() -> tuple[Needed, ...]:
    """What a window needs of layers 2 to 5; layer 1 is computed together with its pooling."""
    found: list[Needed] = []
    columns, bands = 2 * LAST_POOL, LAST_POOL
    for step in (16, 8, 4, 2):
        found.insert(0, Needed(step, columns, bands))
        columns, bands = 2 * (columns + 1), 2 * (bands + 1)
    return tuple(found)


NEEDED = needed()
STEM_FRAMES = 6
"""Frames behind a column of pool 1: it joins four columns of layer 1, whose filters reach a frame to either side."""
FRAMES_HEARD = NEEDED[0].columns * NEEDED[0].step + STEM_FRAMES - 1
"""Frames of a window, from its first on, that its tags depend on: 161 of 187."""


class Layer(NamedTuple):
    """One of layers 2 to 5 in a stream.

    Attributes
    ----------
    step, columns, bands : int
        As in `Needed`.
    grain : int
        All positions are multiples of it, as windows start at multiples of the hop.
    slots : int
        Columns that the rings of this layer keep; position p is at ``p // grain % slots``.
    """

    step: int
    columns: int
    bands: int
    grain: int
    slots: int


def layers(hop: int, windows: int) -> tuple[Layer, ...]:
    """The layers of a stream whose windows start every `hop` frames, `windows` of which are predicted at once.

    From the first position of the first window to the last position of the last one nothing may be overwritten.
    """
    laid_out = []
    for step, columns, bands in NEEDED:
        grain = gcd(hop, step)
        reach = (columns - 1) * step + (windows - 1) * hop
        laid_out.append(Layer(step, columns, bands, grain, reach // grain + 1))
    return tuple(laid_out)
