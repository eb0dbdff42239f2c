"""The mid-end's three convolutions over time, pooling over the window, and the dense layers.

A convolution is linear in its input channels. So the first one's sum over the front end is built up group by group, the
groups whose edges are narrowest first (timbral 3 rows, temporal 15, 31, 63): a window takes over the sums of all groups
that are whole in a row, and adds only the groups that are cut there. All levels are in `geometry.midend`. Relatives of
musicnn without temporal branches have the first group only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from streamtag._compile.jit import jit
from streamtag._compile.simd import PANEL
from streamtag.inference.sliding.arena import Floats, Integers
from streamtag.inference.sliding.kernels import (
    LOWEST,
    ONE,
    ZERO,
    activate,
    copy_rows,
    matmul,
    mirror,
    not_literal,
    pool,
)
from streamtag.inference.sliding.musicnn.geometry import REACH, TAPS, Level
from streamtag.inference.sliding.musicnn.prepared import Places

if TYPE_CHECKING:
    from streamtag.inference.sliding.musicnn.layout import Block, Rooms, Shape

LAYERS = 3
NOWHERE = not_literal(-1)


@jit
def shared_rows(memory: Floats, weights: Floats, places: Places, rooms: Rooms, shape: Shape, block: Block) -> None:
    """New rows of the mid-end that do not feel an edge, into the rings.

    Parameters
    ----------
    memory : ndarray of float32
        The stream's memory.
    weights : ndarray of float32
        The model's weights.
    places : Places
        Where each of them is.
    rooms : Rooms
        Where things are in `memory`.
    shape : Shape
        What stays the same for the stream.
    block : Block
        The windows.
    """
    capacity, filters, groups = shape.capacity, shape.filters, len(shape.widths)
    for group in range(groups):
        first, rows = new_rows(shape.levels[group], block)
        ring, at = rooms.sums[group], first % capacity * filters
        start, step = (rooms.sums[group - 1] + at, filters) if group else (places.biases[0], 0)
        width, panels = shape.widths[group], places.first[group]
        x = rooms.rows[group] + (first - REACH) % capacity * width
        matmul(memory, x, width, TAPS * width, weights, panels, filters, start, step, ring + at, filters, rows)
        mirror(memory, ring, capacity, filters, first, rows)
    for layer in range(LAYERS):
        first, rows = new_rows(shape.levels[groups - 1 + layer], block)
        ring, at = rooms.layers[layer], first % capacity * filters
        if layer == 0:
            sums = rooms.sums[groups - 1] + at
            finish(memory, sums, weights, places.activations[0], NOWHERE, ring + at, filters, rows)
        else:
            before, panels, bias = rooms.layers[layer - 1], places.later[layer - 1], places.biases[layer]
            x = before + (first - REACH) % capacity * filters
            depth = TAPS * filters
            matmul(memory, x, filters, depth, weights, panels, filters, bias, ZERO, ring + at, filters, rows)
            finish(memory, ring + at, weights, places.activations[layer], before + at, ring + at, filters, rows)
        mirror(memory, ring, capacity, filters, first, rows)


@jit
def new_rows(level: Level, block: Block) -> tuple[int, int]:
    """First and number of a level's rows that feel no edge of the block's windows and are not in the rings yet."""
    first = max(block.done - level.after, block.start + level.before)
    return first, max(block.end - level.after - first, 0)


@jit
def finish(
    memory: Floats, sums: int, weights: Floats, activation: int, residual: int, out: int, filters: int, rows: int
) -> None:
    """Relu and batch norm of rows of a layer, plus the residual (the layer before), unless its place is NOWHERE."""
    for i in range(rows):
        activate(memory, sums + i * filters, weights, activation, out + i * filters, filters)
    if residual >= 0:
        for n in range(rows * filters):
            memory[out + n] += memory[residual + n]


@jit
def window_rows(
    order: Integers, memory: Floats, weights: Floats, places: Places, rooms: Rooms, shape: Shape, block: Block
) -> None:
    """The rest of each window of a block: rows that feel an edge, then the maximum and mean over all its rows.

    Parameters
    ----------
    order : ndarray of int64, shape (channels,)
        What `layout.pool_order` gave.
    memory, weights : ndarray of float32
        As for `shared_rows`.
    places : Places
        As for `shared_rows`.
    rooms : Rooms
        As for `shared_rows`.
    shape : Shape
        As for `shared_rows`.
    block : Block
        As for `shared_rows`.
    """
    for i in range(block.windows):
        start = block.start + i * shape.hop
        window_edges(memory, weights, places, rooms, shape, block, i, start)
        pool_window(memory, rooms, shape, start)
        pooled = rooms.pooled + 2 * i * shape.channels
        for c in range(shape.channels):
            memory[pooled + c] = memory[rooms.maxima + order[c]]
            memory[pooled + shape.channels + c] = memory[rooms.totals + order[c]] / np.float32(shape.window)


@jit
def window_edges(
    memory: Floats, weights: Floats, places: Places, rooms: Rooms, shape: Shape, block: Block, i: int, start: int
) -> None:
    """Rows of the mid-end that feel an edge of a block's window i, which begins at frame `start`, into the patches."""
    filters, groups = shape.filters, len(shape.widths)
    for group in range(groups):
        lay_out(memory, rooms, shape, block, group, i, start)
        first_layer(memory, weights, places, rooms, shape, group, start)
    for layer in range(LAYERS):
        edge_rows(memory, weights, places, rooms, shape, layer)
        if layer < LAYERS - 1:
            edge, wanted = shape.levels[groups - 1 + layer], shape.levels[groups + layer]
            add_inside(memory, rooms.layers[layer], shape, start, edge, wanted, filters, rooms.layer_patches[layer])


@jit
def lay_out(memory: Floats, rooms: Rooms, shape: Shape, block: Block, group: int, i: int, start: int) -> None:
    """A window's rows of a group, as far as the first layer's edges need them, one after the other in its patch."""
    width, edge, patch = shape.widths[group], shape.edges[group], rooms.patches[group]
    slots = shape.slots if group else shape.at_once
    size = edge.before * width
    copy_rows(memory, rooms.left[group] + (block.first + i) % slots * size, ZERO, patch + REACH * width, size, ONE)
    size = edge.after * width
    last = (REACH + shape.window - edge.after) * width
    copy_rows(memory, rooms.right[group] + i * size, ZERO, patch + last, size, ONE)
    add_inside(memory, rooms.rows[group], shape, start, edge, shape.levels[group], width, patch)


@jit
def add_inside(
    memory: Floats, ring: int, shape: Shape, start: int, edge: Level, wanted: Level, width: int, patch: int
) -> None:
    """Rows between a window's edges out of the ring to their place in the window's patch.

    Only those are copied that the `wanted` level's edge rows are computed from: within REACH of them.
    """
    begin, end = edge.before, shape.window - edge.after
    left = min(end, wanted.before + REACH)
    right = max(left, begin, shape.window - wanted.after - REACH)
    if begin < left:
        at = ring + (start + begin) % shape.capacity * width
        copy_rows(memory, at, width, patch + (REACH + begin) * width, width, left - begin)
    if right < end:
        at = ring + (start + right) % shape.capacity * width
        copy_rows(memory, at, width, patch + (REACH + right) * width, width, end - right)


@jit
def first_layer(
    memory: Floats, weights: Floats, places: Places, rooms: Rooms, shape: Shape, group: int, start: int
) -> None:
    """Add a group to the first layer's sums, in the rows where this group or one before it feels an edge."""
    window, filters = shape.window, shape.filters
    before, after = shape.levels[group]
    done_before = done_after = 0  # rows that earlier groups have begun
    if group:
        done_before, done_after = shape.levels[group - 1]
    left_end, right_begin = (before, window - after) if after else (window - done_after, window)
    if group:
        take_over(memory, rooms.sums[group - 1], rooms.scratch, shape, start, done_before, left_end)
        take_over(memory, rooms.sums[group - 1], rooms.scratch, shape, start, right_begin, window - done_after)
    width, patch, panels, sums = shape.widths[group], rooms.patches[group], places.first[group], rooms.scratch
    depth = TAPS * width
    for side in range(2):
        row, rows = (window - after, after) if side else (0, before)
        x, out = patch + row * width, sums + row * filters
        begin, step = (out, filters) if group else (places.biases[0], 0)
        matmul(memory, x, width, depth, weights, panels, filters, begin, step, out, filters, rows)


@jit
def take_over(memory: Floats, ring: int, scratch: int, shape: Shape, start: int, begin: int, end: int) -> None:
    """Rows begin .. end of a window, whose sums over the groups so far feel no edge, out of the ring."""
    if begin < end:
        at = ring + (start + begin) % shape.capacity * shape.filters
        copy_rows(memory, at, shape.filters, scratch + begin * shape.filters, shape.filters, end - begin)


@jit
def edge_rows(memory: Floats, weights: Floats, places: Places, rooms: Rooms, shape: Shape, layer: int) -> None:
    """The rows of a layer that feel an edge, into its patch."""
    filters, margin = shape.filters, REACH * shape.filters
    before, after = shape.levels[len(shape.widths) - 1 + layer]
    for side in range(2):
        row, rows = (shape.window - after, after) if side else (0, before)
        sums, out = rooms.scratch + row * filters, rooms.layer_patches[layer] + row * filters + margin
        if layer == 0:
            finish(memory, sums, weights, places.activations[0], NOWHERE, out, filters, rows)
        else:
            x = rooms.layer_patches[layer - 1] + row * filters
            panels, bias = places.later[layer - 1], places.biases[layer]
            matmul(memory, x, filters, TAPS * filters, weights, panels, filters, bias, ZERO, sums, filters, rows)
            finish(memory, sums, weights, places.activations[layer], x + margin, out, filters, rows)


@jit
def pool_window(memory: Floats, rooms: Rooms, shape: Shape, start: int) -> None:
    """Maximum and total of each channel over a window: its first rows, those that feel no edge, its last rows."""
    for c in range(rooms.totals - rooms.maxima):
        memory[rooms.maxima + c] = LOWEST
        memory[rooms.totals + c] = 0
    groups = len(shape.widths)
    for part in range(groups + LAYERS):
        if part < groups:
            width, edge, patch, ring = shape.widths[part], shape.edges[part], rooms.patches[part], rooms.rows[part]
        else:
            layer = part - groups
            width, edge = shape.filters, shape.levels[part - 1]
            patch, ring = rooms.layer_patches[layer], rooms.layers[layer]
        maxima, totals = rooms.maxima + rooms.pools[part], rooms.totals + rooms.pools[part]
        inside = shape.window - edge.before - edge.after
        last = patch + (REACH + shape.window - edge.after) * width
        ring += (start + edge.before) % shape.capacity * width
        pool(memory, patch + REACH * width, width, edge.before, width, maxima, totals)
        pool(memory, ring, width, inside, width, maxima, totals)
        pool(memory, last, width, edge.after, width, maxima, totals)


@jit
def dense_layers(memory: Floats, weights: Floats, places: Places, rooms: Rooms, shape: Shape, block: Block) -> None:
    """From pooled windows to the penultimate layer and the tags before their sigmoid."""
    units, tags, depth = shape.units, shape.tags, shape.pooled
    width = (units + PANEL - 1) // PANEL * PANEL
    out, bias = rooms.hidden, places.dense_bias
    matmul(memory, rooms.pooled, depth, depth, weights, places.dense, width, bias, ZERO, out, width, block.windows)
    for i in range(block.windows):
        x = rooms.hidden + i * width
        activate(memory, x, weights, places.dense_activation, rooms.embedding + i * units, units)
    width = (tags + PANEL - 1) // PANEL * PANEL
    out, bias = rooms.logits, places.tags_bias
    matmul(memory, rooms.embedding, units, units, weights, places.tags, width, bias, ZERO, out, width, block.windows)
