"""Which rows of a window feel its edges, level by level.

The network sees each window alone, with zeros beyond its first and last frame. A row (a frame's column of features)
whose receptive field lies inside the window does not feel them: it has the same value in every window and is computed
once. The others are computed for their window. ``Level`` counts them.
"""

from __future__ import annotations

from typing import NamedTuple

from streamtag.inference.networks.specs import TEMPORAL_FRAMES

TAPS = 7
"""Frames of a timbral filter and of a mid-end filter."""
REACH = TAPS // 2
"""Frames that such a filter looks to either side."""

# From the narrowest receptive field to the widest: each level's edge then contains the one before.
TEMPORAL = tuple(sorted(TEMPORAL_FRAMES))


class Level(NamedTuple):
    """Rows of a window that depend on its edges: the first `before` and the last `after`.

    Where the two would overlap, every row counts as `before`: nothing is shared between windows.
    """

    before: int
    after: int


def level(window: int, before: int, after: int) -> Level:
    """The edge rows of a receptive field that looks this many frames back and ahead."""
    return Level(before, after) if before + after <= window else Level(window, 0)


def groups(window: int, temporal: tuple[int, ...] = TEMPORAL) -> list[Level]:
    """The front end's groups of channels: timbral, then the temporal branches, whose lengths are given.

    'same' padding of an even filter of K frames looks (K - 1) // 2 frames back and K // 2 ahead.
    """
    return [level(window, REACH, REACH), *(level(window, (frames - 1) // 2, frames // 2) for frames in temporal)]


def midend(window: int, temporal: tuple[int, ...] = TEMPORAL) -> list[Level]:
    """The mid-end: the first convolution's sum over one group, two, ... all; then the second and third."""
    reach = [(REACH, REACH), *(((frames - 1) // 2, frames // 2) for frames in temporal)]
    reach = [(before + REACH, after + REACH) for before, after in reach]
    for _ in range(2):
        reach.append((reach[-1][0] + REACH, reach[-1][1] + REACH))
    return [level(window, *looks) for looks in reach]
