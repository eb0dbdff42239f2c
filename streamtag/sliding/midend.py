"""The mid-end's three convolutions over time, pooling over the window, and the dense layers.

A convolution is linear in its input channels. So the first one's sum over the front end is built up group by group, the
groups whose edges are narrowest first (timbral 3 rows, temporal 15, 31, 63): a window takes over the sums of all groups
that are whole in a row, and adds only the groups that are cut there. All levels are in `geometry.midend`.
"""

from __future__ import annotations

from streamtag.sliding.geometry import REACH, TAPS, TEMPORAL
from streamtag.sliding.kernels import ONE, ZERO, activate, copy_rows, matmul, mirror, pool
from streamtag.sliding.simd import LANES, jit

GROUPS = 1 + len(TEMPORAL)
LAYERS = 3


@jit
def shared_rows(weights, shape, block, front, mid):
    """New rows of the mid-end that do not feel an edge, into the rings.

    Parameters
    ----------
    weights : `prepared.Midend`.
    shape, block, front, mid : `state.Shape`, `state.Block`, `state.FrontEnd`, `state.MidEnd`.
    """
    filters = len(mid.biases) // LAYERS
    capacity = shape.capacity
    for group in range(GROUPS):
        first, rows = new_rows(shape, block, group)
        out, at = mid.sums[group], first % capacity * filters
        start, start_at, start_step = (mid.sums[group - 1], at, filters) if group else (mid.biases, 0, 0)
        x, width = front.rows[group], shape.widths[group]
        x_at, depth = (first - REACH) % capacity * width, TAPS * width
        kernel = weights.first[group]
        matmul(x, x_at, width, depth, kernel, filters, start, start_at, start_step, out, at, filters, rows)
        mirror(out, capacity, filters, first, rows)
    for layer in range(LAYERS):
        first, rows = new_rows(shape, block, GROUPS - 1 + layer)
        out, at = mid.layers[layer], first % capacity * filters
        if layer == 0:
            finish(mid.sums[GROUPS - 1], at, weights.activations[0], out[:0], at, out, at, filters, rows)
        else:
            x, x_at = mid.layers[layer - 1], (first - REACH) % capacity * filters
            depth, kernel = TAPS * filters, weights.later[layer - 1]
            bias = layer * filters
            matmul(x, x_at, filters, depth, kernel, filters, mid.biases, bias, ZERO, out, at, filters, rows)
            finish(out, at, weights.activations[layer], x, at, out, at, filters, rows)
        mirror(out, capacity, filters, first, rows)


@jit
def new_rows(shape, block, level):
    """First and number of a level's rows that feel no edge of the block's windows and are not in the rings yet."""
    before, after = shape.levels[level, 0], shape.levels[level, 1]
    first = max(block.done - after, block.start + before)
    return first, max(block.end - after - first, 0)


@jit
def finish(sums, at, activation, residual, residual_at, out, out_at, filters, rows):
    """Relu and batch norm of rows of a layer, plus the residual (the layer before), unless it is empty."""
    for i in range(rows):
        activate(sums, at + i * filters, activation, out, out_at + i * filters, filters)
    if len(residual):
        for n in range(rows * filters):
            out[out_at + n] += residual[residual_at + n]


@jit
def window_rows(weights, shape, block, front, mid, pooled):
    """The rest of each window of a block: rows that feel an edge, then the maximum and mean over all its rows.

    Parameters
    ----------
    weights, shape, block, front, mid : as for `shared_rows`.
    pooled : float32 (windows, 2, channels), maximum and mean, channels as musicnn orders them.
    """
    filters = len(mid.biases) // LAYERS
    for i in range(block.windows):
        start = block.start + i * shape.hop
        for c in range(len(mid.maxima)):
            mid.maxima[c] = -3.0e38
            mid.totals[c] = 0.0
        for group in range(GROUPS):
            lay_out(shape, block, front, mid, group, i, start)
            first_layer(weights, shape, mid, group, start, filters)
        for layer in range(LAYERS):
            edge_rows(weights, shape, mid, layer, filters)
            if layer < LAYERS - 1:
                level = GROUPS - 1 + layer
                ring, patch = mid.layers[layer], mid.layer_patches[layer]
                before, after = shape.levels[level, 0], shape.levels[level, 1]
                add_inside(ring, shape, start, before, after, level + 1, filters, patch)
        pool_window(shape, front, mid, start, filters)
        for c in range(len(mid.order)):
            pooled[i, 0, c] = mid.maxima[mid.order[c]]
            pooled[i, 1, c] = mid.totals[mid.order[c]] / shape.window


@jit
def lay_out(shape, block, front, mid, group, i, start):
    """A window's rows of a group, as far as the first layer's edges need them, one after the other in its patch."""
    width, patch = shape.widths[group], mid.patches[group]
    before, after = shape.edges[group, 0], shape.edges[group, 1]
    slots = shape.slots if group else shape.at_once
    size = before * width
    copy_rows(front.left[group], (block.first + i) % slots * size, ZERO, patch, REACH * width, size, ONE)
    size = after * width
    last = (REACH + shape.window - after) * width
    copy_rows(front.right[group], i * size, ZERO, patch, last, size, ONE)
    add_inside(front.rows[group], shape, start, before, after, group, width, patch)


@jit
def add_inside(ring, shape, start, before, after, level, width, patch):
    """Rows between a window's edges out of the ring to their place in the window's patch.

    Only those are copied that `level`'s edge rows are computed from: within REACH of them.
    """
    begin, end = before, shape.window - after
    left = min(end, shape.levels[level, 0] + REACH)
    right = max(left, begin, shape.window - shape.levels[level, 1] - REACH)
    if begin < left:
        at = (start + begin) % shape.capacity * width
        copy_rows(ring, at, width, patch, (REACH + begin) * width, width, left - begin)
    if right < end:
        at = (start + right) % shape.capacity * width
        copy_rows(ring, at, width, patch, (REACH + right) * width, width, end - right)


@jit
def first_layer(weights, shape, mid, group, start, filters):
    """Add a group to the first layer's sums, in the rows where this group or one before it feels an edge."""
    window = shape.window
    before, after = shape.levels[group, 0], shape.levels[group, 1]
    done_before = done_after = 0  # rows that an earlier group has begun
    if group:
        done_before, done_after = shape.levels[group - 1, 0], shape.levels[group - 1, 1]
    if after:
        take_over(shape, mid, group, start, done_before, before, filters)
        take_over(shape, mid, group, start, window - after, window - done_after, filters)
    else:  # the edges meet
        take_over(shape, mid, group, start, done_before, window - done_after, filters)
    width, patch, kernel, sums = shape.widths[group], mid.patches[group], weights.first[group], mid.scratch
    depth = TAPS * width
    matmul(patch, ZERO, width, depth, kernel, filters, sums, ZERO, filters, sums, ZERO, filters, before)
    row = window - after
    at = row * filters
    matmul(patch, row * width, width, depth, kernel, filters, sums, at, filters, sums, at, filters, after)


@jit
def take_over(shape, mid, group, start, begin, end, filters):
    """Rows begin .. end of a window, which feel no edge before this group: the sum over the groups before it."""
    if begin < end:
        to = begin * filters
        if group == 0:
            copy_rows(mid.biases, ZERO, ZERO, mid.scratch, to, filters, end - begin)
        else:
            at = (start + begin) % shape.capacity * filters
            copy_rows(mid.sums[group - 1], at, filters, mid.scratch, to, filters, end - begin)


@jit
def edge_rows(weights, shape, mid, layer, filters):
    """The rows of a layer that feel an edge, into its patch."""
    level = GROUPS - 1 + layer
    before, after = shape.levels[level, 0], shape.levels[level, 1]
    patch, sums, activation = mid.layer_patches[layer], mid.scratch, weights.activations[layer]
    row, rows = ZERO, before
    for _ in range(2):
        at, out_at = row * filters, (REACH + row) * filters
        if layer == 0:
            finish(sums, at, activation, sums[:0], at, patch, out_at, filters, rows)
        else:
            x, kernel, depth = mid.layer_patches[layer - 1], weights.later[layer - 1], TAPS * filters
            bias = layer * filters
            matmul(x, at, filters, depth, kernel, filters, mid.biases, bias, ZERO, sums, at, filters, rows)
            finish(sums, at, activation, x, out_at, patch, out_at, filters, rows)
        row, rows = shape.window - after, after


@jit
def pool_window(shape, front, mid, start, filters):
    """Maximum and total of each channel over a window: its first rows, those that feel no edge, its last rows."""
    to = 0
    for part in range(GROUPS + LAYERS):
        if part < GROUPS:
            width = shape.widths[part]
            before, after = shape.edges[part, 0], shape.edges[part, 1]
            patch, ring = mid.patches[part], front.rows[part]
        else:
            width = filters
            before, after = shape.levels[part - 1, 0], shape.levels[part - 1, 1]
            patch, ring = mid.layer_patches[part - GROUPS], mid.layers[part - GROUPS]
        inside = shape.window - before - after
        at = (start + before) % shape.capacity * width
        last = (REACH + shape.window - after) * width
        pool(patch, REACH * width, width, before, width, mid.maxima, mid.totals, to)
        pool(ring, at, width, inside, width, mid.maxima, mid.totals, to)
        pool(patch, last, width, after, width, mid.maxima, mid.totals, to)
        to += -(-width // LANES) * LANES


@jit
def dense_layers(weights, mid, pooled, embedding):
    """From pooled windows to the penultimate layer and the tags before their sigmoid.

    Parameters
    ----------
    weights : `prepared.Dense`.
    pooled : float32 (windows, 2, channels), flat.
    embedding : float32 (windows, units), flat.
    """
    depth, units = weights.dense.shape[1], weights.tags.shape[1]
    windows = len(pooled) // depth
    width, hidden = len(mid.dense_bias), mid.hidden
    matmul(pooled, ZERO, depth, depth, weights.dense, width, mid.dense_bias, ZERO, ZERO, hidden, ZERO, width, windows)
    for i in range(windows):
        activate(hidden, i * width, weights.activation, embedding, i * units, units)
    width, logits = len(mid.tags_bias), mid.logits
    matmul(embedding, ZERO, units, units, weights.tags, width, mid.tags_bias, ZERO, ZERO, logits, ZERO, width, windows)
