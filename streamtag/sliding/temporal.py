"""The temporal branches: filters of K frames x 1 band, and the greatest response over the 96 bands.

A row whose filter reaches beyond the window misses the taps outside: on the left the first ones, on the right the last.
So its sum is a part of the whole sum over taps, and one running sum passes through every such part on its way:

* `left_columns` adds the taps from the middle to the last, then from the middle back to the first. Each step back is
  the row of a window that starts one frame earlier; the last is the whole column, which all other windows share.
* `right_columns` adds the taps from the first on, as frames come. Each step is the row of a window that ends there.
  The running sums are kept between calls.

A sum only ever grows by its next tap. Nothing is subtracted, so no error is carried from one window to the next.
"""

from __future__ import annotations

import numpy as np

from streamtag.networks.specs import N_MELS, TEMPORAL_FILTERS
from streamtag.sliding.kernels import ONE, ZERO, activate
from streamtag.sliding.simd import (
    PANEL,
    REGS,
    ROWS,
    fma,
    jit,
    load_row,
    load_rows,
    lowest,
    maximum,
    row_max,
    store_rows,
    zeros,
)

FILTERS = -(-TEMPORAL_FILTERS // PANEL) * PANEL
"""Filters of a branch, filled up to whole panels."""
WIDTH = np.int64(TEMPORAL_FILTERS)


@jit
def raise_to(best, at, sums):
    """Take a tile of bands into the running maximum over frequency."""
    store_rows(maximum(row_max(sums), load_row(best, at, REGS)), best, at, 0)


@jit
def clear(best, rows):
    """Rows of maxima that anything replaces."""
    for row in range(rows):
        for c in range(0, FILTERS, PANEL):
            store_rows(lowest(1, REGS), best, row * FILTERS + c, 0)


@jit
def left_columns(filters, activation, length, normed, capacity, begin, end, start, hop, left, slots, whole, best):
    """Columns cut on the left, for the windows that begin in them or up to (length - 1) // 2 before; and whole ones.

    Parameters
    ----------
    filters, activation : of a branch of `length` taps.
    normed : float32 ring of `capacity` frames of 96 bands.
    begin, end : columns to compute; `end - 1 + length // 2` must have come.
    start : first frame of the earliest window that is still to be judged.
    hop : windows start at its multiples.
    left : float32 (slots, (length - 1) // 2, 51), to which row p of window w goes: at [w % slots, p].
    whole : float32 ring of `capacity` rows of 51.
    best : float32 scratch, (length, FILTERS).
    """
    back = (length - 1) // 2
    ahead = length // 2
    for t in range(begin, end):
        furthest = min(back, t - start)  # how many taps back of the middle are wanted
        here = ((t - furthest) % capacity + furthest) * N_MELS
        clear(best, furthest + 1)
        for c in range(0, FILTERS, PANEL):
            panel = c * length
            for band in range(0, N_MELS, ROWS):
                sums = zeros(ROWS, REGS)
                for i in range(ahead + 1):
                    w = load_row(filters, panel + (back + i) * PANEL, REGS)
                    sums = fma(sums, normed, here + i * N_MELS + band, 1, w)
                p = 0
                stop = min(t % hop, furthest)  # the row of the first window that is wanted
                while True:
                    while p < stop:
                        p += 1
                        w = load_row(filters, panel + (back - p) * PANEL, REGS)
                        sums = fma(sums, normed, here - p * N_MELS + band, 1, w)
                    raise_to(best, p * FILTERS + c, sums)
                    if p == furthest:
                        break
                    stop = min(p + hop, furthest)
        for p in range(t % hop, min(back, furthest + 1), hop):
            slot = (t - p) // hop % slots
            activate(best, p * FILTERS, activation, left, (slot * back + p) * TEMPORAL_FILTERS, WIDTH)
        if furthest == back:
            at = t % capacity * TEMPORAL_FILTERS
            activate(best, back * FILTERS, activation, whole, at, WIDTH)
            activate(best, back * FILTERS, activation, whole, at + capacity * TEMPORAL_FILTERS, WIDTH)


@jit
def right_columns(filters, activation, length, normed, capacity, done, last, windows, hop, right, running, keep, best):
    """Columns cut on the right, for `windows` windows whose last frames are `last`, `last + hop`, ...

    Parameters
    ----------
    filters, activation, normed, capacity : as for `left_columns`.
    done : frames that the running sums have taken, of the columns that have any.
    right : float32 (windows, length // 2, 51): the last rows of each window.
    running : float32 (length // 2, 96 * FILTERS), running sums of the newest columns.
    keep : first column that a later window will want: its running sum is stored.
    best : float32 scratch, (windows, FILTERS).
    """
    back = (length - 1) // 2
    ahead = length // 2
    final = last + (windows - 1) * hop
    for t in range(last - ahead + 1, final + 1):
        first_window = max(0, -((last - t) // hop))  # the first that ends at t or later
        last_window = min(windows - 1, (t + ahead - 1 - last) // hop)  # the last in which t is cut
        if first_window > last_window:
            continue
        clear(best, last_window + 1)
        begin = done if t < done else t - back
        here = begin % capacity * N_MELS
        state = t % ahead * N_MELS * FILTERS
        for c in range(0, FILTERS, PANEL):
            panel = c * length + (begin - t + back) * PANEL
            for band in range(0, N_MELS, ROWS):
                at = state + c * N_MELS + band * PANEL
                sums = load_rows(running, at, PANEL, ROWS, REGS) if t < done else zeros(ROWS, REGS)
                i = 0
                for window in range(first_window, last_window + 1):
                    stop = last + window * hop - begin
                    while i <= stop:
                        w = load_row(filters, panel + i * PANEL, REGS)
                        sums = fma(sums, normed, here + i * N_MELS + band, 1, w)
                        i += 1
                    raise_to(best, window * FILTERS + c, sums)
                if t >= keep:
                    store_rows(sums, running, at, PANEL)
        for window in range(first_window, last_window + 1):
            row = t - (last + window * hop - ahead + 1)
            at = (window * ahead + row) * TEMPORAL_FILTERS
            activate(best, window * FILTERS, activation, right, at, WIDTH)


@jit
def unshared_columns(filters, activation, length, normed, capacity, start, window, rows, rows_at, best):
    """All columns of a window so short that its rows are cut on both sides: nothing is shared with other windows.

    Parameters
    ----------
    start, window : first frame of the window, and how many it has.
    rows, rows_at : float32 and the place in it for all its rows, (window, 51).
    best : float32 scratch, (1, FILTERS).
    """
    back = (length - 1) // 2
    for p in range(window):
        begin = max(p - back, 0)
        end = min(p + length // 2 + 1, window)
        here = (start + begin) % capacity * N_MELS
        clear(best, ONE)
        for c in range(0, FILTERS, PANEL):
            panel = c * length + (begin - p + back) * PANEL
            for band in range(0, N_MELS, ROWS):
                sums = zeros(ROWS, REGS)
                for i in range(end - begin):
                    sums = fma(sums, normed, here + i * N_MELS + band, 1, load_row(filters, panel + i * PANEL, REGS))
                raise_to(best, c, sums)
        activate(best, ZERO, activation, rows, rows_at + p * TEMPORAL_FILTERS, WIDTH)


@jit
def temporal_rows(weights, shape, block, front):
    """All temporal rows of a block of windows, branch by branch.

    Parameters
    ----------
    weights : `prepared.Temporal`.
    shape, block, front : `state.Shape`, `state.Block`, `state.FrontEnd`.
    """
    window, hop, capacity = shape.window, shape.hop, shape.capacity
    normed, best = front.normed, front.best
    for branch in range(len(weights.filters)):
        filters, activation = weights.filters[branch], weights.activations[branch]
        left, right = front.left[branch + 1], front.right[branch + 1]
        length = filters.shape[1]
        after = shape.edges[branch + 1, 1]
        if after:
            begin = max(block.done - after, block.start)
            end = block.end - after
            whole = front.rows[branch + 1]
            left_columns(
                filters, activation, length, normed, capacity, begin, end, block.start, hop, left, shape.slots, whole, best
            )
            last = block.start + window - 1
            keep = block.end + hop - after
            running = front.running[branch]
            right_columns(
                filters, activation, length, normed, capacity, block.done, last, block.windows, hop, right, running, keep, best
            )
        else:
            for i in range(block.windows):
                start = block.start + i * hop
                at = (block.first + i) % shape.slots * window * TEMPORAL_FILTERS
                unshared_columns(filters, activation, length, normed, capacity, start, window, left, at, best)
