"""Polyphase resampling: the kernels, and how they want the filter's coefficients.

Where the ratio is rational, the outputs' places between input samples repeat: after `phases` outputs, or any multiple
of that, which is a *period*. A tile (see `streamtag._compile.simd`) has an output in each lane and a period in each
row: a register of coefficients is loaded once for all rows, and each of their samples once for all lanes. An output is
summed in the order of its samples, whichever lane and row it is in, so it does not depend on the chunk; a lane's
coefficients for samples that only its neighbours need are 0, which add nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from math import lcm
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streamtag._compile.jit import jit, kernel
from streamtag._compile.simd import LANES, add, fma, load_row, store_rows, zeros

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
# What is where in resampy's clock: its register, what it advances by an output, and where in x the stream begins.
TIME, INCREMENT, ORIGIN = range(3)
# A sum may be reordered into vector lanes: the same lanes in the same order for each output, whatever the chunk.
REORDERED_SUM = {"reassoc", "contract", "nsz"}
SHARED = "Array(float32, 1, 'C', readonly=True)"


class Bank(NamedTuple):
    """Coefficients as the kernels want them.

    Attributes
    ----------
    tiles : ndarray of float32, shape (tiles, width, LANES)
        Those of `LANES` outputs that follow each other, for all samples that any of them needs.
    starts : ndarray of int64, shape (tiles,)
        The first of these samples, counted from the one that the period's first output needs first.
    step : int
        Samples a period.
    """

    tiles: F32
    starts: I64
    step: int

    @property
    def outputs(self) -> int:
        """Outputs a period."""
        return int(self.tiles.shape[0]) * LANES


def make_bank(taps: F32, step: int) -> Bank:
    """Coefficients in tiles.

    Parameters
    ----------
    taps : ndarray of float32, shape (phases, width)
        Row r serves positions n + r / phases.
    step : int
        Samples for each `phases` outputs; has no divisor in common with `phases`.

    Returns
    -------
    Bank
        The same coefficients, and 0 where an output needs nothing.
    """
    phases, width = taps.shape
    outputs = lcm(phases, LANES)
    whole, phase = np.divmod(np.arange(outputs) * step, phases)
    starts = whole[::LANES].copy()
    after = whole - np.repeat(starts, LANES)
    tiles = np.zeros((outputs // LANES, width + int(after.max()), LANES), np.float32)
    for n in range(outputs):
        tiles[n // LANES, after[n] : after[n] + width, n % LANES] = taps[phase[n]]
    return Bank(tiles, starts.astype(np.int64), outputs // phases * step)


def _of_periods(rows: int) -> Callable[..., Any]:
    """A kernel for the outputs of one tile in so many periods at once."""

    def outputs(x: F32, at: int, step: int, tiles: F32, tile: int, y: F32, to: int) -> None:
        count, width, _ = tiles.shape
        sums = zeros(rows, 1)
        for block in range(0, width, BLOCK):
            part = zeros(rows, 1)
            for k in range(block, min(block + BLOCK, width)):
                part = fma(part, x, at + k, step, load_row(tiles, (tile * width + k) * LANES, 1))
            sums = add(sums, part)
        store_rows(sums, y, to, count * LANES)

    return jit(outputs)


BLOCK = 32
"""Samples that are summed by themselves: float32 rounds less in many short sums than in a long one."""
# Rows are sums that do not wait for each other: twelve, a register of coefficients and one broadcast fit 16 registers.
MANY, SOME = 12, 4
_many, _some, _one = _of_periods(MANY), _of_periods(SOME), _of_periods(1)


@kernel("void(float32[::1], int64, int64, float32[:, :, ::1], int64[::1], int64, int64, float32[::1])")
def resample(x: F32, at: int, step: int, tiles: F32, starts: I64, first: int, last: int, y: F32) -> None:
    """Outputs from `first` on and before `last`, counted from the begin of a period.

    Parameters
    ----------
    x : ndarray of float32
        Input, finite, with as many samples after what the last output needs as a tile is wide.
    at : int
        Index in x of the first sample that output 0 needs; only those of outputs from `first` on are read.
    step : int
        Samples a period.
    tiles : ndarray of float32, shape (tiles, width, LANES)
        The coefficients; see `Bank`.
    starts : ndarray of int64, shape (tiles,)
        Where each tile's samples begin.
    first, last : int
        Which outputs.
    y : ndarray of float32
        Whole periods, of which these outputs, and perhaps some beside them, are written.
    """
    for tile in range(tiles.shape[0]):
        begin = tile * LANES
        period = 0 if begin + LANES > first else 1
        periods = (last - begin + tiles.shape[0] * LANES - 1) // (tiles.shape[0] * LANES)
        while period < periods:
            place = at + period * step + starts[tile]
            to = period * tiles.shape[0] * LANES + begin
            if periods - period >= MANY:
                _many(x, place, step, tiles, tile, y, to)
                period += MANY
            elif periods - period >= SOME:
                _some(x, place, step, tiles, tile, y, to)
                period += SOME
            else:
                _one(x, place, step, tiles, tile, y, to)
                period += 1


@kernel(f"float32(float32[::1], int64, {SHARED})", fastmath=REORDERED_SUM)
def _sum(x: F32, at: int, coefficients: F32) -> np.float32:
    total = np.float32(0)
    for k in range(coefficients.size):
        total += coefficients[k] * x[at + k]
    return total


@kernel(f"void(float32[::1], int64, int64, int64, {SHARED}, int64, int64, int64, float64[::1], float32[::1])")
def round_down(
    x: F32, at: int, step: int, phases: int, below: F32, left: int, first: int, last: int, clock: F64, y: F32
) -> None:
    """Replace outputs at whole positions which resampy's clock puts just below, and advance that clock.

    Parameters
    ----------
    x : ndarray of float32
        Input, as for `resample`.
    at : int
        Index in x of the first sample that output 0 needs.
    step : int
        Samples for each `phases` outputs.
    phases : int
        Places between samples that an output may have.
    below : ndarray of float32, shape (width,)
        Coefficients just below a sample.
    left : int
        Taps before the sample at the position.
    first : int
        The first output.
    last : int
        The one after the last.
    clock : ndarray of float64
        TIME, INCREMENT, ORIGIN (an index in x); advanced.
    y : ndarray of float32
        The outputs, from output 0 on.
    """
    for n in range(first, last):
        if n % phases == 0:
            place = at + n // phases * step
            if clock[TIME] < place + left - clock[ORIGIN]:  # whole numbers on the right: nothing is rounded
                y[n] = _sum(x, place, below)
        clock[TIME] += clock[INCREMENT]
