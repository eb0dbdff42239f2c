"""What all stages use: a matrix product over panels, activations, pooling, and rings of rows.

`memory` and `weights` are the arrays of a stream and of a model; names that end in ``at`` are places in them, counted
in float32 (see `arena`), and a ``step`` is from one row's place to the next's.

A *ring* holds the newest `capacity` rows of an endless sequence, each of them twice: row t at ``t % capacity`` and at
``capacity`` beyond. So any ``capacity`` consecutive rows can be read as if they lay in a plain array.

Every sum is written in one order, whatever the tile that computes it and whoever asks for it. So results do not depend
on how frames arrive, to the bit.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from streamtag._compile.jit import jit
from streamtag._compile.simd import (
    LANES,
    PANEL,
    REGS,
    ROWS,
    add,
    fma,
    load_row,
    load_rows,
    maximum,
    multiply,
    store_rows,
    zeros,
)
from streamtag.inference.sliding.arena import Floats


def not_literal(number: int) -> int:
    """A constant that Numba takes for any number: it compiles a function again for each literal passed to it."""
    return cast(int, np.int64(number))


ZERO = not_literal(0)
ONE = not_literal(1)
LOWEST = cast(float, np.float32(-3.0e38))


@jit
def matmul(
    memory: Floats,
    x_at: int,
    x_step: int,
    depth: int,
    weights: Floats,
    panels_at: int,
    columns: int,
    start_at: int,
    start_step: int,
    out_at: int,
    out_step: int,
    rows: int,
) -> None:
    """out[i, :] = start[i, :] + x[i, :] @ panels.

    Row i of x is the `depth` values from ``x_at + i * x_step``. Rows may overlap, which makes this a convolution over
    time: 7 frames of c channels lie side by side, so a filter of 7 frames is a row of 7 * c, and the next row begins
    c later.

    Parameters
    ----------
    memory : ndarray of float32
        The stream's memory, where x and out are.
    x_at, x_step : int
        Place of x's first row, and from one row to the next.
    depth : int
        Values in a row of x.
    weights : ndarray of float32
        The model's weights.
    panels_at : int
        Where the panels are in `weights`.
    columns : int
        How many columns they have, filled up to a multiple of PANEL.
    start_at, start_step : int
        Rows in `memory`; with a step of 0, one row in `weights` (a bias) for all.
    out_at, out_step : int
        Place of out's first row, and from one row to the next.
    rows : int
        How many rows.
    """
    for column in range(0, columns, PANEL):
        panel = panels_at + column * depth
        row = 0
        while row + ROWS <= rows:
            x = x_at + row * x_step
            if start_step:
                sums = load_rows(memory, start_at + row * start_step + column, start_step, ROWS, REGS)
            else:
                sums = load_rows(weights, start_at + column, ZERO, ROWS, REGS)
            for k in range(depth):
                sums = fma(sums, memory, x + k, x_step, load_row(weights, panel + k * PANEL, REGS))
            store_rows(sums, memory, out_at + row * out_step + column, out_step)
            row += ROWS
        while row < rows:
            x = x_at + row * x_step
            if start_step:
                rest = load_row(memory, start_at + row * start_step + column, REGS)
            else:
                rest = load_row(weights, start_at + column, REGS)
            for k in range(depth):
                rest = fma(rest, memory, x + k, ZERO, load_row(weights, panel + k * PANEL, REGS))
            store_rows(rest, memory, out_at + row * out_step + column, ZERO)
            row += 1


@jit
def activate(memory: Floats, at: int, weights: Floats, activation_at: int, out_at: int, width: int) -> None:
    """One row: out = scale * relu(sign * x + bias) + offset."""
    bias_at, scale_at, offset_at = activation_at + width, activation_at + 2 * width, activation_at + 3 * width
    c = 0
    while c + LANES <= width:
        x = multiply(load_row(memory, at + c, 1), load_row(weights, activation_at + c, 1))
        x = maximum(add(x, load_row(weights, bias_at + c, 1)), zeros(1, 1))
        x = add(multiply(x, load_row(weights, scale_at + c, 1)), load_row(weights, offset_at + c, 1))
        store_rows(x, memory, out_at + c, ZERO)
        c += LANES
    while c < width:
        rectified = max(memory[at + c] * weights[activation_at + c] + weights[bias_at + c], np.float32(0))
        memory[out_at + c] = rectified * weights[scale_at + c] + weights[offset_at + c]
        c += 1


@jit
def copy_rows(memory: Floats, at: int, step: int, to_at: int, width: int, rows: int) -> None:
    """Rows of `width` to where they lie one after the other."""
    for i in range(rows):
        here, there = at + i * step, to_at + i * width
        c = 0
        while c + LANES <= width:
            store_rows(load_row(memory, here + c, 1), memory, there + c, ZERO)
            c += LANES
        while c < width:
            memory[there + c] = memory[here + c]
            c += 1


@jit
def mirror(memory: Floats, ring_at: int, capacity: int, width: int, first: int, rows: int) -> None:
    """Give rows that were just written, from row `first` of the stream on, their second place in the ring.

    They lie in one piece from ``first % capacity`` on, and may reach into the second half.
    """
    for i in range(rows):
        here = first % capacity + i
        there = here + capacity if here < capacity else here - capacity
        copy_rows(memory, ring_at + here * width, width, ring_at + there * width, width, ONE)


@jit
def pool(memory: Floats, at: int, step: int, count: int, width: int, maxima_at: int, totals_at: int) -> None:
    """Take `count` rows into the running maximum and total of each channel.

    The totals are taken by 64 rows, and then over these: a window may be minutes long. The last register may reach
    beyond `width`, in the rows and in the results.
    """
    c = 0
    while c + PANEL <= width:
        greatest = load_row(memory, maxima_at + c, REGS)
        total = load_row(memory, totals_at + c, REGS)
        for block in range(0, count, 64):
            partial = zeros(1, REGS)
            for i in range(block, min(block + 64, count)):
                row = load_row(memory, at + i * step + c, REGS)
                greatest = maximum(row, greatest)
                partial = add(partial, row)
            total = add(total, partial)
        store_rows(greatest, memory, maxima_at + c, ZERO)
        store_rows(total, memory, totals_at + c, ZERO)
        c += PANEL
    while c < width:
        greatest_one = load_row(memory, maxima_at + c, 1)
        total_one = load_row(memory, totals_at + c, 1)
        for block in range(0, count, 64):
            partial_one = zeros(1, 1)
            for i in range(block, min(block + 64, count)):
                row_one = load_row(memory, at + i * step + c, 1)
                greatest_one = maximum(row_one, greatest_one)
                partial_one = add(partial_one, row_one)
            total_one = add(total_one, partial_one)
        store_rows(greatest_one, memory, maxima_at + c, ZERO)
        store_rows(total_one, memory, totals_at + c, ZERO)
        c += LANES
