"""What one stream's evaluation consists of between two calls: shapes, and places in the stream's memory.

"Rows" lie one after the other in memory. A tuple has one entry for each group or layer.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from streamtag.networks.specs import N_MELS, ModelSpec
from streamtag.sliding import geometry
from streamtag.sliding.arena import Arena, Integers
from streamtag.sliding.geometry import REACH, TEMPORAL
from streamtag.sliding.prepared import FRONT_END, SPECTRUM, WIDTHS, front_end_channels
from streamtag.sliding.simd import PANEL
from streamtag.sliding.temporal import FILTERS, RUNNING
from streamtag.sliding.timbral import EDGE, PRODUCTS, STRIP


class Shape(NamedTuple):
    """What stays the same for a stream.

    Attributes
    ----------
    window, hop : frames of a window, and from one window's start to the next's.
    capacity : rows of a ring.
    at_once : windows of a block at most.
    slots : windows whose left edges are kept.
    filters, units, tags, channels : of the mid-end's layers, the penultimate layer, the model, the pooled features.
    widths : channels of the front end's four groups in memory.
    edges : rows of each group that feel an edge, `geometry.groups`.
    levels : the same for the mid-end, `geometry.midend`.
    """

    window: int
    hop: int
    capacity: int
    at_once: int
    slots: int
    filters: int
    units: int
    tags: int
    channels: int
    widths: tuple[int, ...]
    edges: tuple[geometry.Level, ...]
    levels: tuple[geometry.Level, ...]


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


class Rooms(NamedTuple):
    """Where things are in a stream's memory. The groups are timbral, then the temporal branches, shortest first.

    Attributes
    ----------
    normed : ring of frames after the input's batch norm.
    spectra : ring of their spectra, and behind it room for the frames at the edges of a block's windows.
    rows : for each group, ring of rows that feel no edge; behind the first, room for timbral rows at the edges.
    left : for each group, the windows' first rows, (windows, edge rows, channels): of a block for the timbral group,
        of `slots` windows for the others.
    right : for each group, the windows' last rows, of a block.
    running : for each temporal branch, sums of the columns that later windows will cut further right.
    sums : rings of the first convolution's sum over one group, two, three and all four.
    layers : rings of the three layers' rows that feel no edge.
    patches : for each group, one window's rows as far as they are needed, between two margins of 3 rows of zeros.
    layer_patches : the same for the three layers.
    pools : for each group and layer, its channels among the maxima and totals.
    products, best, scratch, maxima, totals, hidden : scratch.
    pooled, embedding, logits : results of a block, (windows, 2, channels), (windows, units), (windows, tags filled up).
    """

    normed: int
    spectra: int
    rows: tuple[int, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    running: tuple[int, ...]
    sums: tuple[int, ...]
    layers: tuple[int, ...]
    patches: tuple[int, ...]
    layer_patches: tuple[int, ...]
    pools: tuple[int, ...]
    products: int
    best: int
    scratch: int
    maxima: int
    totals: int
    hidden: int
    pooled: int
    embedding: int
    logits: int


def make_shape(spec: ModelSpec, window: int, hop: int, at_once: int) -> Shape:
    """Shape of a stream that judges up to `at_once` windows together."""
    capacity = window + (at_once - 1) * hop
    slots = (capacity - 1) // hop + 1  # a frame may be in so many windows that are not judged yet
    channels = FRONT_END + 3 * spec.filters
    edges, levels = tuple(geometry.groups(window)), tuple(geometry.midend(window))
    sizes = (spec.filters, spec.embedding_size, len(spec.labels), channels)
    return Shape(window, hop, capacity, at_once, slots, *sizes, WIDTHS, edges, levels)


def make_rooms(shape: Shape, arena: Arena) -> Rooms:
    """Room for everything that a stream needs."""
    ring, at_once, filters = 2 * shape.capacity, shape.at_once, shape.filters
    patch = shape.window + 2 * REACH
    behind = (2 * EDGE * at_once, *(0 for _ in TEMPORAL))
    kept = (at_once, *(shape.slots for _ in TEMPORAL))
    groups = list(zip(WIDTHS, shape.edges, behind, kept, strict=True))
    _, pools = pool_order(filters)
    return Rooms(
        normed=arena.room(ring, N_MELS),
        spectra=arena.room(ring + 2 * STRIP * at_once, SPECTRUM),
        rows=tuple(arena.room(ring + more, width) for width, _, more, _ in groups),
        left=tuple(arena.room(windows, edge.before, width) for width, edge, _, windows in groups),
        right=tuple(arena.room(at_once, edge.after, width) for width, edge, _, _ in groups),
        running=tuple(arena.room(edge.after, RUNNING) for edge in shape.edges[1:]),
        sums=tuple(arena.room(ring, filters) for _ in WIDTHS),
        layers=tuple(arena.room(ring, filters) for _ in range(3)),
        patches=tuple(arena.room(patch, width) for width in WIDTHS),
        layer_patches=tuple(arena.room(patch, filters) for _ in range(3)),
        pools=pools[:-1],
        products=arena.room(PRODUCTS),
        best=arena.room(max(*TEMPORAL, at_once), FILTERS),
        scratch=arena.room(shape.window, filters),
        maxima=arena.room(pools[-1]),
        totals=arena.room(pools[-1]),
        hidden=arena.room(at_once, _panels(shape.units)),
        pooled=arena.room(at_once, 2, shape.channels),
        embedding=arena.room(at_once, shape.units),
        logits=arena.room(at_once, _panels(shape.tags)),
    )


def pool_order(filters: int) -> tuple[Integers, tuple[int, ...]]:
    """Where musicnn's channels are while they are pooled, and where each group and layer begins there (and the end)."""
    widths = (*WIDTHS, filters, filters, filters)
    begins = np.cumsum([0, *(_panels(width) for width in widths)])
    order = np.empty(FRONT_END + 3 * filters, np.int64)
    for channel, count, group, inside in front_end_channels():
        order[channel : channel + count] = begins[group] + inside + np.arange(count)
    for layer in range(3):
        channel = FRONT_END + layer * filters
        order[channel : channel + filters] = begins[len(WIDTHS) + layer] + np.arange(filters)
    return order, tuple(begins.tolist())


def _panels(columns: int) -> int:
    """Columns, filled up to whole panels."""
    return -(-columns // PANEL) * PANEL
