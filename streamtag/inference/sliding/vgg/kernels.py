"""Kernels of the sliding vgg evaluation.

A convolution sums over three columns of its input: the one ahead, the one at its own position, the one behind. The sum
is taken in this order and kept at each step, as *ahead*, *both* and *whole*. A column that the window's beginning cuts
has the first parts in common with the whole one and costs one more product. Nothing is ever subtracted, and each sum
has one order of its terms, whoever asks for it: results do not depend on how frames arrive, to the bit.

Columns are float32 (bands, 128); those that a convolution reads lie behind a row of zeros. Filters whose batch norm
has a negative scale come negated, so that pooling is a plain maximum, and relu and norm follow it (`activate`).

All arrays but the frames are flat; ``_at`` counts float32 from their start. Nothing is checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamtag._compile.jit import jit
from streamtag._compile.simd import (
    PANEL,
    REGS,
    ROWS,
    add,
    fma,
    load_row,
    load_rows,
    lowest,
    maximum,
    multiply,
    store_rows,
    zeros,
)
from streamtag.inference.sliding.arena import Floats
from streamtag.inference.sliding.kernels import ZERO, not_literal
from streamtag.inference.sliding.vgg.geometry import CHANNELS, LAST_POOL, STEM_FRAMES

if TYPE_CHECKING:
    from streamtag.inference.sliding.vgg.prepared import Stem

STEM_WIDTH = 96
"""Float32 of a frame in the stem's patch: a zero below band 0, and bands 0 to 94."""
TAP = 3 * CHANNELS
"""Rows of the matrix that takes one input column to an output column: 3 bands."""
REST = 4
"""Rows of the smaller tile: the layers have 46, 22, 10 and 4 bands, which is some sixes and a four."""
ROW = not_literal(CHANNELS)
DEPTH = not_literal(TAP)


@jit
def product(
    x: Floats,
    x_at: int,
    x_step: int,
    depth: int,
    weights: Floats,
    weights_at: int,
    start: Floats,
    start_at: int,
    start_step: int,
    out: Floats,
    out_at: int,
    rows: int,
) -> None:
    """out[i, :] = start[i, :] + x[i, :] @ weights; row i of x is ``x[x_at + i * x_step:][:depth]``, rows may overlap.

    Parameters
    ----------
    x : ndarray of float32
        The values of the rows.
    x_at, x_step : int
        Place of its first row, and from one row to the next.
    depth : int
        Values in a row of x.
    weights : ndarray of float32
        Panels (128 / PANEL, depth, PANEL).
    weights_at : int
        Where the panels are in `weights`.
    start : ndarray of float32
        What the products are added to.
    start_at : int
        Place of its first row.
    start_step : int
        128, or 0 to add the same row (a bias) everywhere.
    out : ndarray of float32, shape (rows, 128)
        What is written.
    out_at : int
        Place in `out` of its first row.
    rows : int
        How many rows.
    """
    for column in range(0, CHANNELS, PANEL):
        panel = weights_at + column * depth
        row = 0
        while row + ROWS <= rows:
            sums = load_rows(start, start_at + row * start_step + column, start_step, ROWS, REGS)
            for k in range(depth):
                sums = fma(sums, x, x_at + row * x_step + k, x_step, load_row(weights, panel + k * PANEL, REGS))
            store_rows(sums, out, out_at + row * CHANNELS + column, CHANNELS)
            row += ROWS
        while row + REST <= rows:
            some = load_rows(start, start_at + row * start_step + column, start_step, REST, REGS)
            for k in range(depth):
                some = fma(some, x, x_at + row * x_step + k, x_step, load_row(weights, panel + k * PANEL, REGS))
            store_rows(some, out, out_at + row * CHANNELS + column, CHANNELS)
            row += REST
        while row < rows:
            one = load_row(start, start_at + row * start_step + column, REGS)
            for k in range(depth):
                one = fma(one, x, x_at + row * x_step + k, 0, load_row(weights, panel + k * PANEL, REGS))
            store_rows(one, out, out_at + row * CHANNELS + column, 0)
            row += 1


@jit
def add_tap(
    x: Floats,
    x_at: int,
    filters: Floats,
    n: int,
    tap: int,
    start: Floats,
    start_at: int,
    start_step: int,
    out: Floats,
    out_at: int,
    bands: int,
) -> None:
    """One column's part in a convolution: out = start + what the input column at `x_at` adds.

    Parameters
    ----------
    x : ndarray of float32
        Input columns, each (bands + 2, 128).
    x_at : int
        Place of the column.
    filters : ndarray of float32, shape (4, 3, 128 / PANEL, TAP, PANEL)
        Layers 2 to 5, of which `n` is meant; taps; panels.
    n : int
        The layer, 2 to 5, counted from 0.
    tap : int
        0 for the column ahead, 1 for the one at the same position, 2 for the one behind.
    start : ndarray of float32
        As for `product`.
    start_at, start_step : int
        As for `product`.
    out : ndarray of float32
        As for `product`.
    out_at : int
        As for `product`.
    bands : int
        Rows of `out`.
    """
    at = (n * 3 + tap) * TAP * CHANNELS
    product(x, x_at, ROW, DEPTH, filters, at, start, start_at, start_step, out, out_at, bands)


@jit
def activate(sums: Any, norms: Floats, layer: int, channel: int) -> Any:
    """Relu and batch norm of PANEL channels from `channel` on: scale * relu(sign * sums) + offset.

    Parameters
    ----------
    sums : object
        Register tile.
    norms : ndarray of float32, shape (5, 3, 128)
        Sign, scale and offset of layers 1 to 5.
    layer : int
        Which layer, counted from 0.
    channel : int
        The first of the channels.

    Returns
    -------
    object
        Another register tile.
    """
    at = layer * 3 * CHANNELS + channel
    heard = maximum(multiply(sums, load_row(norms, at, REGS)), zeros(1, REGS))
    return add(multiply(heard, load_row(norms, at + CHANNELS, REGS)), load_row(norms, at + 2 * CHANNELS, REGS))


@jit
def stem(
    frames: Floats,
    at: int,
    missing: int,
    weights: Stem,
    norms: Floats,
    patch: Floats,
    out: Floats,
    out_at: int,
    bands: int,
) -> None:
    """Layer 1 and its pooling: one column of pool 1, every second band of layer 1 (pooling takes no others).

    Parameters
    ----------
    frames : ndarray of float32, shape (n, 96)
        Log-mel.
    at : int
        Row of the column's first frame in `frames`; the one before is read, and four after it.
    missing : int
        1 where the one before is not the window's, and zeros are to be taken; otherwise 0.
    weights : Stem
        The weights of layer 1.
    norms : ndarray of float32
        As for `activate`.
    patch : ndarray of float32
        Scratch (6, STEM_WIDTH), whose first band is and stays zero.
    out : ndarray of float32
        What is written, (bands, 128) from `out_at` on.
    out_at : int
        Place in `out` of its first row.
    bands : int
        Rows of `out`.
    """
    for t in range(STEM_FRAMES):
        for band in range(STEM_WIDTH - 1):
            there = t * STEM_WIDTH + 1 + band
            patch[there] = 0 if t < missing else frames[at - 1 + t, band] * weights.norm[0] + weights.norm[1]
    for column in range(0, CHANNELS, PANEL):
        for tile in range(0, bands, ROWS):
            band = min(tile, bands - ROWS)  # the last tile overlaps the one before
            best = lowest(ROWS, REGS)
            for t in range(STEM_FRAMES - 2):
                sums = load_rows(weights.bias, column, 0, ROWS, REGS)
                for k in range(9):
                    here = (t + k // 3) * STEM_WIDTH + 2 * band + k % 3
                    sums = fma(sums, patch, here, 2, load_row(weights.filters, column * 9 + k * PANEL, REGS))
                best = maximum(sums, best)
            store_rows(best, out, out_at + band * CHANNELS + column, CHANNELS)
    for band in range(bands):
        for column in range(0, CHANNELS, PANEL):
            here = out_at + band * CHANNELS + column
            store_rows(activate(load_row(out, here, REGS), norms, ZERO, column), out, here, 0)


@jit
def pool(
    columns: Floats, first: int, second: int, norms: Floats, layer: int, out: Floats, out_at: int, bands: int
) -> None:
    """Maximum over two columns and each two bands, then relu and batch norm of `layer`: `bands` rows of `out`.

    Parameters
    ----------
    columns : ndarray of float32
        Columns of the layer that is pooled.
    first, second : int
        Where the two columns are in `columns`.
    norms : ndarray of float32
        As for `activate`.
    layer : int
        As for `activate`.
    out : ndarray of float32
        What is written.
    out_at : int
        Place in `out` of its first row.
    bands : int
        Rows of `out`.
    """
    for band in range(bands):
        for column in range(0, CHANNELS, PANEL):
            here = 2 * band * CHANNELS + column
            a = maximum(load_row(columns, first + here, REGS), load_row(columns, first + here + CHANNELS, REGS))
            b = maximum(load_row(columns, second + here, REGS), load_row(columns, second + here + CHANNELS, REGS))
            store_rows(activate(maximum(a, b), norms, layer, column), out, out_at + band * CHANNELS + column, 0)


@jit
def raise_to(best: Floats, best_at: int, columns: Floats, at: int) -> None:
    """Take the LAST_POOL bands of a column of layer 5 into the running maximum of each channel."""
    for column in range(0, CHANNELS, PANEL):
        greatest = load_row(best, best_at + column, REGS)
        for band in range(LAST_POOL):
            greatest = maximum(load_row(columns, at + band * CHANNELS + column, REGS), greatest)
        store_rows(greatest, best, best_at + column, 0)
