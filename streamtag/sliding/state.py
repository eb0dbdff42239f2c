"""What one stream's evaluation consists of between two calls: shapes, rings and scratch, as the kernels take them.

Everything is float32 unless said otherwise, one-dimensional and allocated once. "Rows" lie one after the other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamtag.networks.specs import N_MELS
from streamtag.sliding import geometry
from streamtag.sliding.geometry import REACH, TEMPORAL
from streamtag.sliding.prepared import FRONT_END, WIDTHS, Prepared, aligned, front_end_channels
from streamtag.sliding.simd import LANES
from streamtag.sliding.temporal import FILTERS
from streamtag.sliding.timbral import EDGE, PRODUCTS, SPECTRUM, STRIP

Array = NDArray[np.float32]
Integers = NDArray[np.int64]


class Shape(NamedTuple):
    """What stays the same for a stream.

    Attributes
    ----------
    window, hop : frames of a window, and from one window's start to the next's.
    capacity : rows of a ring.
    at_once : windows of a block at most.
    slots : windows whose left edges are kept.
    edges : int64 (4, 2), `geometry.groups`.
    levels : int64 (6, 2), `geometry.midend`.
    widths : int64 (4,), channels of the front end's groups in memory.
    """

    window: int
    hop: int
    capacity: int
    at_once: int
    slots: int
    edges: Integers
    levels: Integers
    widths: Integers


class Block(NamedTuple):
    """A few windows that are judged together, in frames of the stream.

    Attributes
    ----------
    done : frames that earlier blocks have gone through: the end of the last window that was judged.
    first, windows : number of the block's first window, and how many there are.
    start : the first window's first frame.
    end : the frame after the last window's last.
    """

    done: int
    first: int
    windows: int
    start: int
    end: int


class FrontEnd(NamedTuple):
    """The front end's memory. A tuple has one entry for each of the four groups: timbral, then temporal by length.

    Attributes
    ----------
    normed : ring of frames after the input's batch norm, 96 bands.
    spectra : ring of their spectra, and behind it room for the frames at the edges of a block's windows.
    rows : rings of rows that feel no edge; behind the first, room for the timbral rows at the edges.
    left : the windows' first rows, (windows, edge rows, channels): of a block for the timbral group, else `slots`.
    right : the windows' last rows, of a block.
    running : sums of the temporal columns that later windows will cut further right (see `right_columns`).
    jobs : int64 (1 + 2 * windows, 3) scratch of `timbral_rows`.
    products, best, blank : scratch; `blank` stays zero.
    """

    normed: Array
    spectra: Array
    rows: tuple[Array, ...]
    left: tuple[Array, ...]
    right: tuple[Array, ...]
    running: tuple[Array, ...]
    jobs: Integers
    products: Array
    best: Array
    blank: Array


class MidEnd(NamedTuple):
    """The mid-end's memory.

    Attributes
    ----------
    sums : rings of the first convolution's sum over one group, two, three and all four.
    layers : rings of the three layers' rows that feel no edge.
    patches : for each group, one window's rows as far as they are needed, between two margins of 3 rows of zeros.
    layer_patches : the same for the three layers.
    scratch : one window's rows before their activation.
    maxima, totals : of one window, in the order of memory.
    order : int64, where in these musicnn's channels are.
    biases, dense_bias, tags_bias : those of the weights (Numba would compile `matmul` again for read-only ones).
    hidden, logits : the dense layers' sums, filled up to panels.
    """

    sums: tuple[Array, ...]
    layers: tuple[Array, ...]
    patches: tuple[Array, ...]
    layer_patches: tuple[Array, ...]
    scratch: Array
    maxima: Array
    totals: Array
    order: Integers
    biases: Array
    dense_bias: Array
    tags_bias: Array
    hidden: Array
    logits: Array


def make_shape(window: int, hop: int, at_once: int) -> Shape:
    """Shape of a stream that judges up to `at_once` windows together."""
    capacity = window + (at_once - 1) * hop
    return Shape(
        window,
        hop,
        capacity,
        at_once,
        (capacity - 1) // hop + 1,  # a frame may be in so many windows that are not judged yet
        np.array(geometry.groups(window), np.int64),
        np.array(geometry.midend(window), np.int64),
        np.array(WIDTHS, np.int64),
    )


def make_front_end(shape: Shape) -> FrontEnd:
    """Memory for the front end."""
    ring, at_once = 2 * shape.capacity, shape.at_once
    before, after = shape.edges.T.tolist()
    kept = (at_once, *(shape.slots for _ in TEMPORAL))
    return FrontEnd(
        normed=aligned(ring * N_MELS),
        spectra=aligned((ring + 2 * STRIP * at_once) * SPECTRUM),
        rows=tuple(
            aligned((ring + behind) * width)
            for behind, width in zip((2 * EDGE * at_once, 0, 0, 0), WIDTHS, strict=True)
        ),
        left=tuple(aligned(n * rows * width) for n, rows, width in zip(kept, before, WIDTHS, strict=True)),
        right=tuple(aligned(at_once * rows * width) for rows, width in zip(after, WIDTHS, strict=True)),
        running=tuple(aligned(rows * N_MELS * FILTERS) for rows in after[1:]),
        jobs=np.zeros((1 + 2 * at_once, 3), np.int64),
        products=aligned(PRODUCTS),
        best=aligned(max(*TEMPORAL, at_once) * FILTERS),
        blank=aligned(SPECTRUM),
    )


def make_mid_end(shape: Shape, prepared: Prepared) -> MidEnd:
    """Memory for the mid-end of one model."""
    weights = prepared.midend
    filters = prepared.spec.filters
    patch = shape.window + 2 * REACH
    order, memory = pool_order(filters)
    biases, dense_bias, tags_bias = (
        bias.reshape(-1).copy() for bias in (weights.biases, prepared.dense.dense_bias, prepared.dense.tags_bias)
    )
    return MidEnd(
        sums=tuple(aligned(2 * shape.capacity * filters) for _ in WIDTHS),
        layers=tuple(aligned(2 * shape.capacity * filters) for _ in range(3)),
        patches=tuple(aligned(patch * width) for width in WIDTHS),
        layer_patches=tuple(aligned(patch * filters) for _ in range(3)),
        scratch=aligned(shape.window * filters),
        maxima=aligned(memory),
        totals=aligned(memory),
        order=order,
        biases=biases,
        dense_bias=dense_bias,
        tags_bias=tags_bias,
        hidden=aligned(shape.at_once * len(dense_bias)),
        logits=aligned(shape.at_once * len(tags_bias)),
    )


def pool_order(filters: int) -> tuple[Integers, int]:
    """Where `window_rows` pools musicnn's channels, in musicnn's order; and how many places there are.

    Each group and each layer takes whole registers there.
    """
    sizes = [-(-width // LANES) * LANES for width in (*WIDTHS, filters, filters, filters)]
    starts = np.cumsum([0, *sizes])
    order = np.empty(FRONT_END + 3 * filters, np.int64)
    for channel, count, group, inside in front_end_channels():
        order[channel : channel + count] = starts[group] + inside + np.arange(count)
    for layer in range(3):
        channel = FRONT_END + layer * filters
        order[channel : channel + filters] = starts[len(WIDTHS) + layer] + np.arange(filters)
    return order, int(starts[-1])
