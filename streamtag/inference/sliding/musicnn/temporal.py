"""The temporal branches: filters of K frames x 1 band, and the greatest response over the 96 bands.

A row whose filter reaches beyond the window misses the taps outside: on the left the first ones, on the right the last.
So its sum is a part of the whole sum over taps, and one running sum passes through every such part on its way:

* `left_columns` adds the taps from the middle to the last, then from the middle back to the first. Each step back is
  the row of a window that starts one frame earlier; the last is the whole column, which all other windows share.
* `right_columns` adds the taps from the first on, as frames come. Each step is the row of a window that ends there.
  The running sums are kept between calls.

A sum only ever grows by its next tap. Nothing is subtracted, so no error is carried from one window to the next.

A tile holds the sums of a few bands (rows) for a panel of filters (lanes).
"""

from __future__ import annotations

from typing import Any

from streamtag._compile.jit import jit
from streamtag._compile.simd import (
    PANEL,
    REGS,
    ROWS,
    fma,
    load_row,
    load_rows,
    lowest,
    maximum,
    row_max,
    store_rows,
    zeros,
)
from streamtag.dsp.params import N_MELS
from streamtag.inference.networks.specs import TEMPORAL_FILTERS
from streamtag.inference.sliding.arena import Floats
from streamtag.inference.sliding.kernels import ONE, activate, copy_rows, not_literal
from streamtag.inference.sliding.musicnn.geometry import TEMPORAL
from streamtag.inference.sliding.musicnn.layout import FILTERS, RUNNING, Block, Branch, Rooms, Shape
from streamtag.inference.sliding.musicnn.prepared import Places

WIDTH = not_literal(TEMPORAL_FILTERS)


@jit
def raise_to(memory: Floats, at: int, sums: Any) -> None:
    """Take a tile of bands into the running maximum over frequency."""
    store_rows(maximum(row_max(sums), load_row(memory, at, REGS)), memory, at, 0)


@jit
def clear(memory: Floats, at: int, rows: int) -> None:
    """Rows of maxima that anything replaces."""
    for c in range(0, rows * FILTERS, PANEL):
        store_rows(lowest(1, REGS), memory, at + c, 0)


@jit
def left_columns(
    memory: Floats, weights: Floats, shape: Shape, block: Block, branch: Branch, normed: int, best: int
) -> None:
    """Columns cut on the left, for the windows that begin in them or up to (length - 1) // 2 before; and whole ones.

    Parameters
    ----------
    memory : ndarray of float32
        The stream's memory.
    weights : ndarray of float32
        The model's weights.
    shape : Shape
        What stays the same for the stream.
    block : Block
        The windows that are predicted.
    branch : Branch
        Its filters, and where its rows are.
    normed, best : int
        Places in `memory`: ring of frames; scratch for `length` rows of maxima.
    """
    length = branch.length
    back = (length - 1) // 2
    ahead = length // 2
    for t in range(max(block.done - ahead, block.start), block.end - ahead):
        furthest = min(back, t - block.start)  # how many taps back of the middle are wanted
        here = normed + ((t - furthest) % shape.capacity + furthest) * N_MELS
        wanted = t % shape.hop  # the row of the first window that is wanted; the next are hops apart
        clear(memory, best, furthest + 1)
        for c in range(0, FILTERS, PANEL):
            middle = branch.filters + c * length + back * PANEL
            for band in range(0, N_MELS, ROWS):
                sums = zeros(ROWS, REGS)
                for i in range(ahead + 1):
                    sums = fma(sums, memory, here + i * N_MELS + band, 1, load_row(weights, middle + i * PANEL, REGS))
                p = 0
                stop = min(wanted, furthest)
                while True:
                    while p < stop:
                        p += 1
                        w = load_row(weights, middle - p * PANEL, REGS)
                        sums = fma(sums, memory, here - p * N_MELS + band, 1, w)
                    raise_to(memory, best + p * FILTERS + c, sums)
                    if p == furthest:
                        break
                    stop = min(p + shape.hop, furthest)
        for p in range(wanted, min(back, furthest + 1), shape.hop):
            slot = (t - p) // shape.hop % shape.slots
            out_at = branch.left + (slot * back + p) * TEMPORAL_FILTERS
            activate(memory, best + p * FILTERS, weights, branch.activation, out_at, WIDTH)
        if furthest == back:
            out_at = branch.whole + t % shape.capacity * TEMPORAL_FILTERS
            activate(memory, best + back * FILTERS, weights, branch.activation, out_at, WIDTH)
            copy_rows(memory, out_at, WIDTH, out_at + shape.capacity * TEMPORAL_FILTERS, WIDTH, ONE)


@jit
def right_columns(
    memory: Floats, weights: Floats, shape: Shape, block: Block, branch: Branch, normed: int, best: int
) -> None:
    """Columns cut on the right, for the block's windows.

    The running sums of columns before `block.done` have taken all frames before it.

    Parameters
    ----------
    memory, weights : ndarray of float32
        As for `left_columns`.
    shape : Shape
        As for `left_columns`.
    block : Block
        As for `left_columns`.
    branch : Branch
        As for `left_columns`.
    normed, best : int
        As for `left_columns`.
    """
    length = branch.length
    back = (length - 1) // 2
    ahead = length // 2
    last = block.start + shape.window - 1  # the first window's last frame
    keep = block.end + shape.hop - ahead  # the first column that the next window will want
    for t in range(last - ahead + 1, block.end):
        first_window = max(0, -((last - t) // shape.hop))  # the first that ends at t or later
        last_window = min(block.windows - 1, (t + ahead - 1 - last) // shape.hop)  # the last in which t is cut
        if first_window > last_window:
            continue
        clear(memory, best, last_window + 1)
        begin = block.done if t < block.done else t - back
        here = normed + begin % shape.capacity * N_MELS
        for c in range(FILTERS - PANEL, -1, -PANEL):
            panel = branch.filters + c * length + (begin - t + back) * PANEL
            for band in range(0, N_MELS, ROWS):
                # Bands lie 51 apart, to save memory traffic. The lanes beyond belong to the next band: filters of
                # zeros leave them as they are, or they are overwritten, as bands ascend and panels descend.
                at = branch.running + t % ahead * RUNNING + band * TEMPORAL_FILTERS + c
                sums = load_rows(memory, at, WIDTH, ROWS, REGS) if t < block.done else zeros(ROWS, REGS)
                i = 0
                for window in range(first_window, last_window + 1):
                    stop = last + window * shape.hop - begin
                    while i <= stop:
                        w = load_row(weights, panel + i * PANEL, REGS)
                        sums = fma(sums, memory, here + i * N_MELS + band, 1, w)
                        i += 1
                    raise_to(memory, best + window * FILTERS + c, sums)
                if t >= keep:
                    store_rows(sums, memory, at, WIDTH)
        for window in range(first_window, last_window + 1):
            row = t - (last + window * shape.hop - ahead + 1)
            out_at = branch.right + (window * ahead + row) * TEMPORAL_FILTERS
            activate(memory, best + window * FILTERS, weights, branch.activation, out_at, WIDTH)


@jit
def unshared_columns(
    memory: Floats, weights: Floats, shape: Shape, start: int, branch: Branch, rows: int, normed: int, best: int
) -> None:
    """All columns of a window so short that its rows are cut on both sides: nothing is shared with other windows.

    Parameters
    ----------
    memory, weights : ndarray of float32
        As for `left_columns`.
    shape : Shape
        As for `left_columns`.
    start : int
        The window's first frame.
    branch : Branch
        As for `left_columns`.
    rows : int
        Place of its rows, (window, 51).
    normed, best : int
        As for `left_columns`.
    """
    length = branch.length
    back = (length - 1) // 2
    for p in range(shape.window):
        begin = max(p - back, 0)
        end = min(p + length // 2 + 1, shape.window)
        here = normed + (start + begin) % shape.capacity * N_MELS
        clear(memory, best, ONE)
        for c in range(0, FILTERS, PANEL):
            panel = branch.filters + c * length + (begin - p + back) * PANEL
            for band in range(0, N_MELS, ROWS):
                sums = zeros(ROWS, REGS)
                for i in range(end - begin):
                    sums = fma(sums, memory, here + i * N_MELS + band, 1, load_row(weights, panel + i * PANEL, REGS))
                raise_to(memory, best + c, sums)
        activate(memory, best, weights, branch.activation, rows + p * TEMPORAL_FILTERS, WIDTH)


@jit
def temporal_rows(memory: Floats, weights: Floats, places: Places, rooms: Rooms, shape: Shape, block: Block) -> None:
    """All temporal rows of a block of windows, branch by branch.

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
    normed, best = rooms.normed, rooms.best
    for i in range(len(places.temporal)):
        branch = Branch(
            TEMPORAL[i],
            places.temporal[i],
            places.temporal_activations[i],
            rooms.left[i + 1],
            rooms.right[i + 1],
            rooms.running[i],
            rooms.rows[i + 1],
        )
        if shape.edges[i + 1].after:
            left_columns(memory, weights, shape, block, branch, normed, best)
            right_columns(memory, weights, shape, block, branch, normed, best)
        else:
            for window in range(block.windows):
                start = block.start + window * shape.hop
                rows = branch.left + (block.first + window) % shape.slots * shape.window * TEMPORAL_FILTERS
                unshared_columns(memory, weights, shape, start, branch, rows, normed, best)
