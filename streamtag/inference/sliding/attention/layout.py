"""What attention needs of a stream between two calls, beside what musicnn needs: shapes, and places in its memory."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from streamtag.inference.networks.numpy_pooling import encoding
from streamtag.inference.sliding.arena import Arena
from streamtag.inference.sliding.attention import geometry
from streamtag.inference.sliding.attention.geometry import LAYERS, LOOKS, TAPS
from streamtag.inference.sliding.musicnn.geometry import Level
from streamtag.inference.sliding.musicnn.layout import Shape


class Attention(NamedTuple):
    """Where the convolution's sums are, and what a place in the window adds to them.

    Attributes
    ----------
    levels : tuple of Level
        Rows of the sum over one group of channels, two, three and all that feel an edge, `geometry.sums`.
    left, right : int
        Rows of a window that are its own, `geometry.edges`.
    sums : tuple of int
        Ring of the sums over one group, two, three and all. The last three share one: they are begun and finished in
        the same rows.
    edges : int
        The sums of a window's own rows, from its edges to its middle: first, last, second, second last ...
    seen : int
        What the convolution sees in these.
    places : tuple of int
        For each group of channels, what stands for the places in a window, (window, width), between two rows of zeros.
    place_sums : int
        The convolution of that, (window, channels).
    """

    levels: tuple[Level, ...]
    left: int
    right: int
    sums: tuple[int, ...]
    edges: int
    seen: int
    places: tuple[int, ...]
    place_sums: int


def make_attention(shape: Shape, arena: Arena) -> Attention:
    """Room for it; `place_sums` is yet to be filled."""
    levels, (left, right) = geometry.sums(shape.window), geometry.edges(shape.window)
    widths = (*shape.widths, *LAYERS * (shape.filters,))
    ring = 2 * shape.capacity
    first, rest = arena.room(ring, shape.channels), arena.room(ring, shape.channels)
    own = left + right
    placed = np.pad(encoding(shape.window, shape.channels), ((LOOKS, LOOKS), (0, 0)))
    begins = np.cumsum(widths)[:-1]
    return Attention(
        levels=levels,
        left=left,
        right=right,
        sums=(first, *LAYERS * (rest,)),
        edges=arena.room(own, shape.channels),
        seen=arena.room(own, TAPS * max(widths)),
        places=arena.put_all(np.split(placed, begins, axis=1)),
        place_sums=arena.room(shape.window, shape.channels),
    )
