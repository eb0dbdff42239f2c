"""Which rows of the attention's convolution feel a window's edges, and in which order a window's own are computed.

The convolution looks one frame to either side, and what it looks at are four groups of channels: the front end, and
the mid-end's three layers, each of which feels the edges further in than the one before.
"""

from __future__ import annotations

from streamtag.inference.sliding.musicnn.geometry import REACH, Level, level

TAPS = 3
"""Frames of the attention's filters."""
LOOKS = TAPS // 2
"""Frames that they look to either side."""
LAYERS = 3
"""Of the mid-end."""


def sums(window: int) -> tuple[Level, ...]:
    """Rows that feel an edge: of the sum over the front end, and of those over one, two and all layers of the mid-end.

    The three have one level, the last's. They are a quarter of the channels: less would be saved by levels of their own
    than the memory that it takes to keep each of their sums.
    """
    first, last = REACH + LOOKS, (1 + LAYERS) * REACH + LOOKS
    return (level(window, first, first), *LAYERS * (level(window, last, last),))


def edges(window: int) -> tuple[int, int]:
    """How many rows of a window are its own, at its beginning and at its end."""
    before, after = sums(window)[-1]
    return (before, after) if after else ((window + 1) // 2, window // 2)
