"""The mid-end's three convolutions over time, pooling over the window, and the dense layers.

A convolution is linear in its input channels. So the first one's sum over the front end is built up group by group, the
groups whose edges are narrowest first (timbral 3 rows, temporal 15, 31, 63): a window takes over the sums of all groups
that are whole in a row, and adds only the groups that are cut there. All levels are in `geometry.midend`.
"""

from __future__ import annotations

from streamtag.networks.specs import TEMPORAL_FILTERS, TEMPORAL_FRAMES, TIMBRAL_FILTERS
from streamtag.sliding.geometry import REACH, TAPS, TEMPORAL
from streamtag.sliding.kernels import activate, copy_rows, matmul, mirror, pool
from streamtag.sliding.prepared import FRONT_END, TIMBRAL_STRIDE
from streamtag.sliding.simd import jit

GROUPS = 1 + len(TEMPORAL)
LONGEST_FIRST = TEMPORAL_FRAMES == TEMPORAL[::-1]  # musicnn's order of the temporal channels, ours reversed


@jit
def new_rows(plan, before, after):
    """First and number of the rows that do not feel an edge of the block's windows and are not in the rings yet."""
    begin = max(plan.done - after, plan.start + before)
    return begin, max(plan.end - after - begin, 0)


@jit
def finish(sums, at, activation, residual, out, out_at, filters, rows):
    """Relu and batch norm of rows of a layer, plus the residual (the layer before), if it is not empty."""
    for i in range(rows):
        activate(sums, at + i * filters, activation, out, out_at + i * filters, filters)
    if len(residual):
        for n in range(rows * filters):
            out[out_at + n] += residual[out_at + n]


@jit
def shared_rows(weights, levels, plan, biases, groups, widths, sums, layers):
    """New rows of the mid-end that do not feel an edge, into the rings.

    Parameters
    ----------
    weights : `prepared.Midend`.
    levels : int64 (6, 2), `geometry.midend`.
    plan : `plan.Block`.
    biases : float32, of the three layers.
    groups : for each group of the front end, float32 ring of its whole rows.
    widths : int64 (4,), channels of these.
    sums : for groups 0, 0..1, 0..2 and all, float32 ring of the first convolution's sum over them.
    layers : float32 rings of the three layers' output.
    """
    filters = len(biases) // 3
    capacity = plan.capacity
    for group in range(GROUPS):
        begin, rows = new_rows(plan, levels[group, 0], levels[group, 1])
        at = begin % capacity * filters
        x, width, out = groups[group], widths[group], sums[group]
        x_at = (begin - REACH) % capacity * width
        start, step = (sums[group - 1], filters) if group else (biases, 0)
        matmul(
            x,
            x_at,
            width,
            TAPS * width,
            weights.first[group],
            filters,
            start,
            at if group else 0,
            step,
            out,
            at,
            filters,
            rows,
        )
        mirror(out, capacity, filters, begin, rows)
    for layer in range(3):
        begin, rows = new_rows(plan, levels[GROUPS - 1 + layer, 0], levels[GROUPS - 1 + layer, 1])
        at = begin % capacity * filters
        out = layers[layer]
        if layer == 0:
            finish(sums[GROUPS - 1], at, weights.activations[0], out[:0], out, at, filters, rows)
        else:
            x = layers[layer - 1]
            x_at = (begin - REACH) % capacity * filters
            depth = TAPS * filters
            matmul(
                x,
                x_at,
                filters,
                depth,
                weights.later[layer - 1],
                filters,
                biases,
                layer * filters,
                0,
                out,
                at,
                filters,
                rows,
            )
            finish(out, at, weights.activations[layer], x, out, at, filters, rows)
        mirror(out, capacity, filters, begin, rows)


@jit
def add_inside(ring, capacity, start, window, edge, wanted, width, patch):
    """Rows of a window that do not feel an edge, out of the ring to their place in the window's patch.

    Parameters
    ----------
    edge : Level of these rows.
    wanted : Level of the rows that will be computed from them: those within REACH of such a row are copied.
    patch : float32 (REACH + window + REACH, width); the margins are zero.
    """
    begin, end = edge[0], window - edge[1]
    left = min(end, wanted[0] + REACH)
    right = max(left, begin, window - wanted[1] - REACH)
    if left > begin:
        at = (start + begin) % capacity * width
        copy_rows(ring, at, width, patch, (REACH + begin) * width, width, left - begin)
    if end > right:
        at = (start + right) % capacity * width
        copy_rows(ring, at, width, patch, (REACH + right) * width, width, end - right)


@jit
def pool_window(patch, ring, capacity, start, window, edge, width, channel, channels, maxima, sums, to):
    """Maximum and sum over a window of some channels: first rows, rows without an edge, last rows."""
    before, after = edge
    pool(patch, REACH * width + channel, width, before, channels, maxima, sums, to)
    inside = window - before - after
    pool(ring, (start + before) % capacity * width + channel, width, inside, channels, maxima, sums, to)
    pool(patch, (REACH + window - after) * width + channel, width, after, channels, maxima, sums, to)


@jit
def window_rows(
    weights,
    edges,
    levels,
    plan,
    biases,
    groups,
    widths,
    left,
    right,
    sums,
    layers,
    patches,
    layer_patches,
    scratch,
    maxima,
    totals,
    pooled,
):
    """The rest of each window of a block: rows that feel an edge, then the maximum and mean over all its rows.

    Parameters
    ----------
    weights, levels, plan, biases, groups, widths, sums, layers : as for `shared_rows`.
    edges : int64 (4, 2), `geometry.groups`.
    left, right : for each group float32 (slots, first rows, width) and (windows, last rows, width).
    patches, layer_patches : for each group and layer, float32 scratch (REACH + window + REACH, width).
    scratch : float32 (window, filters).
    maxima, totals : float32 scratch, (all channels).
    pooled : float32 (windows, 2, all channels), maximum and mean, channels as musicnn orders them.
    """
    filters = len(biases) // 3
    window, capacity = plan.window, plan.capacity
    channels = len(maxima)
    for i in range(plan.windows):
        start = plan.start + i * plan.hop
        maxima[:] = -3.0e38
        totals[:] = 0.0

        past = levels[0] * 0  # rows that earlier groups have begun
        for group in range(GROUPS):
            edge, level, patch, width = edges[group], levels[group], patches[group], widths[group]
            kept = plan.at_once if group == 0 else plan.slots
            size = edge[0] * width
            copy_rows(left[group], (plan.first + i) % kept * size, size, patch, REACH * width, size, 1)
            size = edge[1] * width
            copy_rows(right[group], i * size, size, patch, (REACH + window - edge[1]) * width, size, 1)
            add_inside(groups[group], capacity, start, window, edge, level, width, patch)

            before, after = level
            middle = window - past[1] if after == 0 else before  # without two edges, one piece of all rows between
            begin_rows(biases, sums, group, capacity, start, past[0], middle, filters, scratch)
            if after:
                begin_rows(biases, sums, group, capacity, start, window - after, window - past[1], filters, scratch)
            depth = TAPS * width
            matmul(
                patch, 0, width, depth, weights.first[group], filters, scratch, 0, filters, scratch, 0, filters, before
            )
            at = (window - after) * filters
            matmul(
                patch,
                (window - after) * width,
                width,
                depth,
                weights.first[group],
                filters,
                scratch,
                at,
                filters,
                scratch,
                at,
                filters,
                after,
            )
            past = level

        for layer in range(3):
            level, patch = levels[GROUPS - 1 + layer], layer_patches[layer]
            x = layer_patches[layer - 1] if layer else patch[:0]
            for first, rows in ((0, level[0]), (window - level[1], level[1])):
                at = first * filters
                if layer:
                    matmul(
                        x,
                        at,
                        filters,
                        TAPS * filters,
                        weights.later[layer - 1],
                        filters,
                        biases,
                        layer * filters,
                        0,
                        scratch,
                        at,
                        filters,
                        rows,
                    )
                finish(scratch, at, weights.activations[layer], x, patch, (REACH + first) * filters, filters, rows)
            if layer < 2:
                add_inside(layers[layer], capacity, start, window, level, levels[GROUPS + layer], filters, patch)
            to = FRONT_END + layer * filters
            pool_window(patch, layers[layer], capacity, start, window, level, filters, 0, filters, maxima, totals, to)

        for branch in range(2):
            at, to = branch * TIMBRAL_STRIDE, branch * TIMBRAL_FILTERS
            pool_window(
                patches[0],
                groups[0],
                capacity,
                start,
                window,
                edges[0],
                widths[0],
                at,
                TIMBRAL_FILTERS,
                maxima,
                totals,
                to,
            )
        for group in range(1, GROUPS):
            to = FRONT_END - group * TEMPORAL_FILTERS  # musicnn has the longest first
            pool_window(
                patches[group],
                groups[group],
                capacity,
                start,
                window,
                edges[group],
                widths[group],
                0,
                widths[group],
                maxima,
                totals,
                to,
            )
        for c in range(channels):
            pooled[i, 0, c] = maxima[c]
            pooled[i, 1, c] = totals[c] / window


@jit
def begin_rows(biases, sums, group, capacity, start, begin, end, filters, scratch):
    """Rows begin..end of a window that are cut for the first time in this group: the sum over the groups before it."""
    at = begin * filters
    if group == 0:
        copy_rows(biases, 0, 0, scratch, at, filters, end - begin)
    else:
        copy_rows(sums[group - 1], (start + begin) % capacity * filters, filters, scratch, at, filters, end - begin)


@jit
def dense_layers(weights, pooled, biases, tags_bias, hidden, embedding, logits):
    """From pooled windows to the penultimate layer and the tags before their sigmoid.

    Parameters
    ----------
    pooled : float32 (windows, 2, all channels), flat.
    biases, tags_bias : float32, filled up to panels.
    hidden, logits : float32 (windows, filled up to panels), flat.
    embedding : float32 (windows, units), flat.
    """
    units = weights.tags.shape[1]
    depth = weights.dense.shape[1]
    windows = len(pooled) // depth
    width = len(biases)
    matmul(pooled, 0, depth, depth, weights.dense, width, biases, 0, 0, hidden, 0, width, windows)
    for i in range(windows):
        activate(hidden, i * width, weights.dense_activation, embedding, i * units, units)
    width = len(tags_bias)
    matmul(embedding, 0, units, units, weights.tags, width, tags_bias, 0, 0, logits, 0, width, windows)
