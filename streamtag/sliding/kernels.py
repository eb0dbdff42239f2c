"""What all stages use: a matrix product over panels, activations, pooling, and rings of rows.

A *ring* holds the newest `capacity` rows of an endless sequence, each of them twice: row t at ``t % capacity`` and at
``capacity`` beyond. So any ``capacity`` consecutive rows can be read as if they lay in a plain array.

Every sum is written in one order, whatever the tile that computes it and whoever asks for it. So results do not depend
on how frames arrive, to the bit.
"""

from __future__ import annotations

import numpy as np

from streamtag.sliding.simd import (
    LANES,
    PANEL,
    REGS,
    ROWS,
    add,
    fma,
    jit,
    load_row,
    load_rows,
    maximum,
    store_rows,
    zeros,
)

# Numba compiles a function again for each literal argument; these are not literals to it.
ZERO = np.int64(0)
ONE = np.int64(1)


@jit
def matmul(x, x_at, x_step, depth, weights, columns, start, start_at, start_step, out, out_at, out_step, rows):
    """out[i, :] = start[i, :] + x[i, :] @ weights.

    Row i of x is ``x[x_at + i * x_step:][:depth]``; rows may overlap, which makes this a convolution over time:
    7 frames of c channels lie side by side, so a filter of 7 frames is a row of 7 * c, and the next row begins c later.

    Parameters
    ----------
    x, start, out : float32, addressed flat; a `start_step` of 0 adds the same row (a bias) everywhere.
    weights : float32 panels (columns / PANEL, depth, PANEL).
    columns : of `weights`, a multiple of PANEL.
    """
    for column in range(0, columns, PANEL):
        panel = column * depth
        row = 0
        while row + ROWS <= rows:
            sums = load_rows(start, start_at + row * start_step + column, start_step, ROWS, REGS)
            for k in range(depth):
                sums = fma(sums, x, x_at + row * x_step + k, x_step, load_row(weights, panel + k * PANEL, REGS))
            store_rows(sums, out, out_at + row * out_step + column, out_step)
            row += ROWS
        while row < rows:
            rest = load_row(start, start_at + row * start_step + column, REGS)
            for k in range(depth):
                rest = fma(rest, x, x_at + row * x_step + k, 0, load_row(weights, panel + k * PANEL, REGS))
            store_rows(rest, out, out_at + row * out_step + column, 0)
            row += 1


@jit
def activate(x, x_at, activation, out, out_at, width):
    """One row: out = scale * relu(sign * x + bias) + offset."""
    for c in range(width):
        rectified = max(x[x_at + c] * activation[0, c] + activation[1, c], np.float32(0))
        out[out_at + c] = rectified * activation[2, c] + activation[3, c]


@jit
def mirror(ring, capacity, width, first, rows):
    """Give rows that were just written, from row `first` of the stream on, their second place in the ring.

    They lie in one piece from ``first % capacity`` on, and may reach into the second half.
    """
    for i in range(rows):
        here = first % capacity + i
        there = here + capacity if here < capacity else here - capacity
        for c in range(width):
            ring[there * width + c] = ring[here * width + c]


@jit
def copy_rows(source, source_at, source_step, to, to_at, width, rows):
    """Rows of `width`, one after the other in `to`; a `source_step` of 0 repeats one."""
    for i in range(rows):
        for c in range(width):
            to[to_at + i * width + c] = source[source_at + i * source_step + c]


@jit
def pool(rows, at, step, count, width, maxima, totals, to):
    """Take `count` rows into the running maximum and total of each channel.

    The totals are taken by 64 rows, and then over these: a window may be minutes long. The last register may reach
    beyond `width`, in the rows and in the results.
    """
    c = 0
    while c < width:
        if c + PANEL <= width:
            greatest = load_row(maxima, to + c, REGS)
            total = load_row(totals, to + c, REGS)
            for block in range(0, count, 64):
                partial = zeros(1, REGS)
                for i in range(block, min(block + 64, count)):
                    row = load_row(rows, at + i * step + c, REGS)
                    greatest = maximum(row, greatest)
                    partial = add(partial, row)
                total = add(total, partial)
            store_rows(greatest, maxima, to + c, 0)
            store_rows(total, totals, to + c, 0)
            c += PANEL
        else:
            greatest_one = load_row(maxima, to + c, 1)
            total_one = load_row(totals, to + c, 1)
            for block in range(0, count, 64):
                partial_one = zeros(1, 1)
                for i in range(block, min(block + 64, count)):
                    row_one = load_row(rows, at + i * step + c, 1)
                    greatest_one = maximum(row_one, greatest_one)
                    partial_one = add(partial_one, row_one)
                total_one = add(total_one, partial_one)
            store_rows(greatest_one, maxima, to + c, 0)
            store_rows(total_one, totals, to + c, 0)
            c += LANES
