"""The timbral branches: filters of 7 frames x 38 or 67 bands, and the greatest response over frequency.

Direct, each column (frame) takes 7 * bands multiply-adds for each of its outputs, 59 or 30 a filter. In the frequency
domain it takes a product of 7 x 49 complex numbers and one inverse transform, of which symmetry leaves half: a quarter
of the multiply-adds in all. The transforms are of length 96 and written as matrices (`prepared.spectral_filters`).
"""

from __future__ import annotations

import numpy as np

from streamtag.networks.specs import N_MELS
from streamtag.sliding.geometry import REACH, TAPS
from streamtag.sliding.kernels import ONE, ZERO, activate, copy_rows, matmul, mirror
from streamtag.sliding.prepared import BINS, TIMBRAL_STRIDE, TIMBRAL_WIDTH
from streamtag.sliding.simd import (
    BANDS,
    LANES,
    PANEL,
    SLICE,
    SLICE_REGS,
    absolute,
    add,
    fma,
    fnma,
    jit,
    load_row,
    load_spread,
    lowest,
    maximum,
    row_max,
    store_rows,
    store_spread,
    zeros,
)

SPECTRUM = np.int64(-(-2 * BINS // PANEL) * PANEL)
"""Float32 that a frame's spectrum takes in memory: real and imaginary part of 49 bins, filled up."""
COLUMNS = 3
"""Columns whose products are summed side by side: the edge of a window has three."""
PRODUCTS = COLUMNS * BINS * 2 * SLICE
"""Float32 of their products for a slice of filters."""
EDGE = 2 * REACH
"""Rows of a window's edge at most: 3, or all of a window that is too short to have two edges."""
STRIP = np.int64(EDGE + 2 * REACH)
"""Rows of spectra for it."""
MELS = np.int64(N_MELS)
WIDTH = np.int64(TIMBRAL_WIDTH)


@jit
def take_frames(frames, first, weights, shape, front):
    """Frames of log-mel into the rings of normed frames and of spectra.

    Parameters
    ----------
    frames : float32 (n, 96), n at most the rings' capacity.
    first : number of the first frame in the stream.
    weights : `prepared.Timbral`.
    shape, front : `state.Shape`, `state.FrontEnd`.
    """
    count = len(frames)
    scale, offset = weights.input_scale[0], weights.input_offset[0]
    at = first % shape.capacity
    for i in range(count):
        for band in range(N_MELS):
            front.normed[(at + i) * N_MELS + band] = frames[i, band] * scale + offset
    x, out = at * N_MELS, at * SPECTRUM
    blank = front.blank
    matmul(
        front.normed, x, MELS, MELS, weights.dft, SPECTRUM, blank, ZERO, ZERO, front.spectra, out, SPECTRUM, count
    )
    mirror(front.normed, shape.capacity, MELS, first, count)
    mirror(front.spectra, shape.capacity, SPECTRUM, first, count)


@jit
def timbral_columns(weights, spectra, jobs, out, products):
    """Timbral columns from spectra.

    Parameters
    ----------
    weights : `prepared.Timbral`.
    spectra : float32 rows of SPECTRUM; a column needs 7 consecutive ones.
    jobs : int64 (n, 3): the first row of spectra, how many columns from there, the row of `out` for the first.
    out : float32 rows of TIMBRAL_WIDTH channels.
    products : float32 scratch, PRODUCTS.
    """
    for channel in range(0, TIMBRAL_WIDTH, SLICE):  # a slice's filters stay in the cache for all columns
        filters = channel * BINS * TAPS * 2
        for job in range(len(jobs)):
            first, count, row = jobs[job, 0], jobs[job, 1], jobs[job, 2]
            column = 0
            while column + COLUMNS <= count:
                multiply_many(spectra, (first + column) * SPECTRUM, weights.filters, filters, products)
                invert_many(weights, products, out, (row + column) * TIMBRAL_WIDTH, channel)
                column += COLUMNS
            while column < count:
                multiply_one(spectra, (first + column) * SPECTRUM, weights.filters, filters, products)
                invert_one(weights, products, out, (row + column) * TIMBRAL_WIDTH, channel)
                column += 1
    for job in range(len(jobs)):
        for row in range(jobs[job, 2], jobs[job, 2] + jobs[job, 1]):
            at = row * TIMBRAL_WIDTH
            activate(out, at, weights.activation, out, at, WIDTH)


@jit
def set_job(jobs, job, first, count, row):
    """Write down a job for `timbral_columns`."""
    jobs[job, 0] = first
    jobs[job, 1] = count
    jobs[job, 2] = row


@jit
def timbral_rows(weights, shape, block, front):
    """All timbral rows of a block of windows: the whole columns that are new, and the edges of each window.

    At an edge the network sees zeros. So do we: the edge's frames are laid out with rows of zeros before or after them.

    Parameters
    ----------
    weights : `prepared.Timbral`.
    shape, block, front : `state.Shape`, `state.Block`, `state.FrontEnd`.
    """
    before, after = shape.edges[0, 0], shape.edges[0, 1]
    capacity, window = shape.capacity, shape.window
    spectra, rows, jobs = front.spectra, front.rows[0], front.jobs
    begin = max(block.done - after, block.start + before)
    whole = max(block.end - after - begin, 0)
    set_job(jobs, 0, (begin - REACH) % capacity, whole, begin % capacity)
    used = 1
    for i in range(block.windows):
        start = block.start + i * shape.hop
        strip = 2 * capacity + 2 * STRIP * i
        edge = 2 * capacity + 2 * EDGE * i
        copy_rows(front.blank, ZERO, ZERO, spectra, strip * SPECTRUM, SPECTRUM, 2 * STRIP)
        inside = min(window, before + REACH)
        ring = start % capacity * SPECTRUM
        copy_rows(spectra, ring, SPECTRUM, spectra, (strip + REACH) * SPECTRUM, SPECTRUM, inside)
        set_job(jobs, used, strip, before, edge)
        used += 1
        if after:
            strip += STRIP
            inside = after + REACH
            ring = (start + window - inside) % capacity * SPECTRUM
            copy_rows(spectra, ring, SPECTRUM, spectra, strip * SPECTRUM, SPECTRUM, inside)
            set_job(jobs, used, strip, after, edge + EDGE)
            used += 1
    timbral_columns(weights, spectra, jobs[:used], rows, front.products)
    mirror(rows, capacity, WIDTH, begin, whole)
    for i in range(block.windows):
        edge = (2 * capacity + 2 * EDGE * i) * TIMBRAL_WIDTH
        slot = (block.first + i) % shape.at_once
        size = before * TIMBRAL_WIDTH
        copy_rows(rows, edge, ZERO, front.left[0], slot * size, size, ONE)
        size = after * TIMBRAL_WIDTH
        copy_rows(rows, edge + EDGE * TIMBRAL_WIDTH, ZERO, front.right[0], i * size, size, ONE)


def _multiplier(columns):
    """Products of spectra for so many consecutive columns."""

    @jit
    def multiply(spectra, at, filters, filters_at, products):
        """products[bin, :, i] = sum over taps of spectra[i + tap, bin] * filters[bin, tap], complex."""
        for k in range(BINS):
            real = zeros(columns, SLICE_REGS)
            imaginary = zeros(columns, SLICE_REGS)
            for tap in range(TAPS):
                x = at + tap * SPECTRUM + 2 * k
                w = filters_at + (k * TAPS + tap) * 2 * SLICE
                w_real = load_row(filters, w, SLICE_REGS)
                w_imaginary = load_row(filters, w + SLICE, SLICE_REGS)
                real = fma(real, spectra, x, SPECTRUM, w_real)
                imaginary = fma(imaginary, spectra, x, SPECTRUM, w_imaginary)
                real = fnma(real, spectra, x + 1, SPECTRUM, w_imaginary)
                imaginary = fma(imaginary, spectra, x + 1, SPECTRUM, w_real)
            store_rows(real, products, 2 * k * columns * SLICE, SLICE)
            store_rows(imaginary, products, (2 * k + 1) * columns * SLICE, SLICE)

    return multiply


def _inverter(columns):
    """The inverse transform's greatest output over frequency, for so many columns (see `spectral_filters`)."""

    @jit
    def invert(weights, products, out, out_at, channel):
        for part in range(0, SLICE, LANES):  # a register of filters belongs to one branch, a slice may to both
            branch = (channel + part) // TIMBRAL_STRIDE
            even, odd = weights.even[branch], weights.odd[branch]
            outputs = even.shape[1]
            best = lowest(1, columns)
            for f in range(0, outputs, BANDS):
                evens = zeros(BANDS, columns)
                for k in range(BINS):
                    real = load_spread(products, 2 * k * columns * SLICE + part, SLICE, columns)
                    evens = fma(evens, even, k * outputs + f, 1, real)
                odds = zeros(BANDS, columns)
                for k in range(BINS):
                    imaginary = load_spread(products, (2 * k + 1) * columns * SLICE + part, SLICE, columns)
                    odds = fma(odds, odd, k * outputs + f, 1, imaginary)
                best = maximum(row_max(add(evens, absolute(odds))), best)
            store_spread(best, out, out_at + channel + part, TIMBRAL_WIDTH)

    return invert


multiply_one = _multiplier(1)
multiply_many = _multiplier(COLUMNS)
invert_one = _inverter(1)
invert_many = _inverter(COLUMNS)
