"""What one stream's evaluation consists of between two calls: shapes, and places in the stream's memory.

"Rows" lie one after the other in memory. A tuple has one entry for each group or layer.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from streamtag._compile.simd import PANEL, SLICE
from streamtag.dsp.params import N_MELS
from streamtag.inference.networks.specs import TEMPORAL_FILTERS, WEIGHTED, FirstLayer, ModelSpec
from streamtag.inference.sliding.arena import Arena, Integers
from streamtag.inference.sliding.musicnn import geometry
from streamtag.inference.sliding.musicnn.geometry import REACH, TEMPORAL
from streamtag.inference.sliding.musicnn.prepared import BINS, SPECTRUM, front_end_channels, group_widths

COLUMNS = 3
"""Timbral columns whose products are summed side by side: the edge of a window has three."""
PRODUCTS = COLUMNS * BINS * 2 * SLICE
"""Float32 of their products for a slice of filters."""
EDGE = 2 * REACH
"""Rows of a window's edge at most: 3, or all of a window that is too short to have two edges."""
STRIP = EDGE + 2 * REACH
"""Rows of spectra for it."""
FILTERS = -(-TEMPORAL_FILTERS // PANEL) * PANEL
"""Filters of a temporal branch, filled up to whole panels."""
RUNNING = N_MELS * TEMPORAL_FILTERS + PANEL
"""Float32 of a temporal column's running sums."""


class Shape(NamedTuple):
    """What stays the same for a stream.

    Attributes
    ----------
    window, hop : int
        Frames of a window, and from one window's start to the next's.
    capacity : int
        Rows of a ring.
    at_once : int
        Windows of a block at most.
    slots : int
        Windows whose left edges are kept.
    filters, units, tags, channels, pooled : int
        Widths of the mid-end's layers, of the penultimate layer, of the model's output, of a frame's features, and of
        what they are summed up to over time: musicnn has a maximum and a mean of each.
    widths : tuple of int
        Channels of the front end's groups in memory.
    edges : tuple of Level
        Rows of each group that feel an edge, `geometry.groups`.
    levels : tuple of Level
        The same for the mid-end, `geometry.midend`.
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
    pooled: int
    widths: tuple[int, ...]
    edges: tuple[geometry.Level, ...]
    levels: tuple[geometry.Level, ...]


class Branch(NamedTuple):
    """One temporal branch: its filters, and where things are.

    Attributes
    ----------
    length : int
        Frames of its filters.
    filters, activation : int
        Where these and its activation are in the weights.
    left, right : int
        The windows' first rows, (slots, (length - 1) // 2, 51), and last rows, (windows, length // 2, 51).
    running : int
        Running sums of the newest columns, (length // 2, RUNNING).
    whole : int
        Ring of whole rows.
    """

    length: int
    filters: int
    activation: int
    left: int
    right: int
    running: int
    whole: int


class Block(NamedTuple):
    """A few windows that are predicted together, in frames of the stream.

    Attributes
    ----------
    done : int
        Frames that earlier blocks have gone through: the end of the last window that was predicted.
    first, windows : int
        Number of the block's first window, and how many there are.
    start : int
        The first window's first frame.
    end : int
        The frame after the last window's last.
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
    normed : int
        Ring of frames after the input's batch norm.
    spectra : int
        Ring of their spectra, and behind it room for the frames at the edges of a block's windows.
    rows : tuple of int
        For each group, ring of rows that feel no edge; behind the first, room for timbral rows at the edges.
    left : tuple of int
        For each group, the windows' first rows, (windows, edge rows, channels): of a block for the timbral group, of
        `slots` windows for the others.
    right : tuple of int
        For each group, the windows' last rows, of a block.
    running : tuple of int
        For each temporal branch, sums of the columns that later windows will cut further right.
    sums : tuple of int
        Rings of the first convolution's sum over one group, two, three and all four.
    layers : tuple of int
        Rings of the three layers' rows that feel no edge.
    patches : tuple of int
        For each group, one window's rows as far as they are needed, between two margins of 3 rows of zeros.
    layer_patches : tuple of int
        The same for the three layers.
    pools : tuple of int
        For each group and layer, its channels among the maxima and totals.
    products, best, scratch, maxima, totals, hidden : int
        Scratch.
    pooled, embedding, logits : int
        Results of a block, (windows, pooled), (windows, units), (windows, tags filled up).
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
    """Shape of a stream that predicts up to `at_once` windows together."""
    capacity = window + (at_once - 1) * hop
    slots = (capacity - 1) // hop + 1  # a frame may be in this many windows that are not predicted yet
    front_end = spec.first_layer
    channels = front_end.channels + 3 * spec.filters
    pooled = channels if spec.family in WEIGHTED else 2 * channels
    temporal = tuple(sorted(front_end.temporal))
    edges, levels = tuple(geometry.groups(window, temporal)), tuple(geometry.midend(window, temporal))
    sizes = (spec.filters, spec.embedding_size, len(spec.labels), channels, pooled)
    return Shape(window, hop, capacity, at_once, slots, *sizes, group_widths(front_end), edges, levels)


def make_rooms(shape: Shape, arena: Arena) -> Rooms:
    """Room for everything that a stream needs."""
    ring, at_once, filters, widths = 2 * shape.capacity, shape.at_once, shape.filters, shape.widths
    patch = shape.window + 2 * REACH
    behind = (2 * EDGE * at_once, *(0 for _ in widths[1:]))
    kept = (at_once, *(shape.slots for _ in widths[1:]))
    groups = list(zip(widths, shape.edges, behind, kept, strict=True))
    pools = pool_places(widths, filters)
    return Rooms(
        normed=arena.room(ring, N_MELS),
        spectra=arena.room(ring + 2 * STRIP * at_once, SPECTRUM),
        rows=tuple(arena.room(ring + more, width) for width, _, more, _ in groups),
        left=tuple(arena.room(windows, edge.before, width) for width, edge, _, windows in groups),
        right=tuple(arena.room(at_once, edge.after, width) for width, edge, _, _ in groups),
        running=tuple(arena.room(edge.after, RUNNING) for edge in shape.edges[1:]),
        sums=tuple(arena.room(ring, filters) for _ in widths),
        layers=tuple(arena.room(ring, filters) for _ in range(3)),
        patches=tuple(arena.room(patch, width) for width in widths),
        layer_patches=tuple(arena.room(patch, filters) for _ in range(3)),
        pools=pools[:-1],
        products=arena.room(PRODUCTS),
        best=arena.room(max(*TEMPORAL, at_once), FILTERS),
        scratch=arena.room(shape.window, filters),
        maxima=arena.room(pools[-1]),
        totals=arena.room(pools[-1]),
        hidden=arena.room(at_once, _panels(shape.units)),
        pooled=arena.room(at_once, shape.pooled),
        embedding=arena.room(at_once, shape.units),
        logits=arena.room(at_once, _panels(shape.tags)),
    )


def pool_places(widths: tuple[int, ...], filters: int) -> tuple[int, ...]:
    """Where each group and layer begins among the maxima and totals, and the end."""
    return tuple(np.cumsum([0, *(_panels(width) for width in (*widths, *3 * [filters]))]).tolist())


def pool_order(front_end: FirstLayer, filters: int) -> Integers:
    """Where musicnn's channels are among the maxima and totals."""
    widths = group_widths(front_end)
    begins = pool_places(widths, filters)
    order = np.empty(front_end.channels + 3 * filters, np.int64)
    for channel, count, group, inside in front_end_channels(front_end):
        order[channel : channel + count] = begins[group] + inside + np.arange(count)
    for layer in range(3):
        channel = front_end.channels + layer * filters
        order[channel : channel + filters] = begins[len(widths) + layer] + np.arange(filters)
    return order


def _panels(columns: int) -> int:
    """Columns, filled up to whole panels."""
    return -(-columns // PANEL) * PANEL
