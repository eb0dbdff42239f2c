"""The timbral branches: filters of 7 frames x 38 or 67 bands, and the greatest response over frequency.

Direct, each column (frame) takes 7 * bands multiply-adds for each of its outputs, 59 or 30 a filter. In the frequency
domain it takes a product of 7 x 49 complex numbers and one inverse transform, of which symmetry leaves half: a quarter
of the multiply-adds in all. The transforms are of length 96 and written as matrices (`prepared.spectral_filters`).
"""

from __future__ import annotations

from typing import Any

from streamtag._compile.jit import jit
from streamtag._compile.simd import (
    BANDS,
    LANES,
    SLICE,
    SLICE_REGS,
    absolute,
    add,
    fma,
    fnma,
    load_row,
    load_spread,
    lowest,
    maximum,
    row_max,
    store_rows,
    store_spread,
    zeros,
)
from streamtag.dsp.params import N_MELS
from streamtag.inference.networks.specs import TIMBRAL_BANDS
from streamtag.inference.sliding.arena import Floats, Integers
from streamtag.inference.sliding.kernels import ZERO, activate, copy_rows, matmul, mirror, not_literal
from streamtag.inference.sliding.musicnn.geometry import REACH, TAPS
from streamtag.inference.sliding.musicnn.layout import COLUMNS, STRIP, Block, Rooms, Shape
from streamtag.inference.sliding.musicnn.prepared import BINS, SPECTRUM, Places

OUTPUTS = tuple((N_MELS - bands + 2) // 2 for bands in TIMBRAL_BANDS)
"""Outputs of each branch's inverse transform: half of its places in frequency (see `spectral_filters`)."""
MELS = not_literal(N_MELS)
STEP = not_literal(SPECTRUM)


@jit
def take_frames(
    frames: Floats, first: int, memory: Floats, weights: Floats, places: Places, rooms: Rooms, shape: Shape
) -> None:
    """Frames of log-mel into the rings of normed frames and of spectra.

    Parameters
    ----------
    frames : ndarray of float32, shape (n, 96)
        Log-mel; n is at most the rings' capacity.
    first : int
        Number of the first frame in the stream.
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
    """
    count = len(frames)
    scale, offset = weights[places.input_norm], weights[places.input_norm + 1]
    x = rooms.normed + first % shape.capacity * N_MELS
    out = rooms.spectra + first % shape.capacity * SPECTRUM
    for i in range(count):
        for band in range(N_MELS):
            memory[x + i * N_MELS + band] = frames[i, band] * scale + offset
    matmul(memory, x, MELS, MELS, weights, places.dft, STEP, places.zeros, ZERO, out, STEP, count)
    mirror(memory, rooms.normed, shape.capacity, MELS, first, count)
    mirror(memory, rooms.spectra, shape.capacity, STEP, first, count)


@jit
def timbral_rows(
    jobs: Integers, memory: Floats, weights: Floats, places: Places, rooms: Rooms, shape: Shape, block: Block
) -> None:
    """All timbral rows of a block of windows: the whole columns that are new, and the edges of each window.

    At an edge the network sees zeros. So do we: the edge's frames are laid out with rows of zeros before or after them.

    Parameters
    ----------
    jobs : ndarray of int64, shape (1 + 2 * windows, 3)
        Scratch.
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
    before, after = shape.edges[0]
    capacity, rows, width = shape.capacity, rooms.rows[0], shape.widths[0]
    begin = max(block.done - after, block.start + before)
    whole = max(block.end - after - begin, 0)
    x = rooms.spectra + (begin - REACH) % capacity * SPECTRUM
    used = set_job(jobs, ZERO, x, whole, rows + begin % capacity * width)
    for i in range(block.windows):
        start = block.start + i * shape.hop
        left = rooms.left[0] + (block.first + i) % shape.at_once * before * width
        right = rooms.right[0] + i * after * width
        strip = rooms.spectra + (2 * capacity + 2 * STRIP * i) * SPECTRUM
        margin = REACH * SPECTRUM
        inside = min(shape.window, before + REACH)
        ring = rooms.spectra + start % capacity * SPECTRUM
        for n in range(2 * STRIP * SPECTRUM):
            memory[strip + n] = 0
        copy_rows(memory, ring, STEP, strip + margin, STEP, inside)
        used = set_job(jobs, used, strip, before, left)
        if after:
            strip += STRIP * SPECTRUM
            inside = after + REACH
            ring = rooms.spectra + (start + shape.window - inside) % capacity * SPECTRUM
            copy_rows(memory, ring, STEP, strip, STEP, inside)
            used = set_job(jobs, used, strip, after, right)
    timbral_columns(jobs, used, memory, weights, places, rooms.products)
    mirror(memory, rows, capacity, width, begin, whole)


@jit
def set_job(jobs: Integers, job: int, x: int, count: int, out: int) -> int:
    """Write down a job for `timbral_columns`; its successor's number."""
    jobs[job, 0] = x
    jobs[job, 1] = count
    jobs[job, 2] = out
    return job + 1


@jit
def timbral_columns(jobs: Integers, used: int, memory: Floats, weights: Floats, places: Places, products: int) -> None:
    """Timbral columns from spectra.

    Parameters
    ----------
    jobs : ndarray of int64, shape (at least `used`, 3)
        Place of the first row of spectra, how many columns (each from 7 rows, the next from a row later), place of the
        first column's channels.
    used : int
        How many jobs there are.
    memory : ndarray of float32
        The stream's memory.
    weights : ndarray of float32
        The model's weights.
    places : Places
        Where each of them is.
    products : int
        Place of scratch.
    """
    width = places.timbral_stride * len(places.even)
    for channel in range(0, width, SLICE):  # a slice's filters stay in the cache for all columns
        filters = places.timbral + channel * BINS * TAPS * 2
        for job in range(used):
            x, count, out = jobs[job, 0], jobs[job, 1], jobs[job, 2] + channel
            while count >= COLUMNS:
                multiply_many(memory, x, weights, filters, products)
                invert_many(memory, weights, places, products, channel, out)
                count -= COLUMNS
                x += COLUMNS * SPECTRUM
                out += COLUMNS * width
            while count > 0:
                multiply_one(memory, x, weights, filters, products)
                invert_one(memory, weights, places, products, channel, out)
                count -= 1
                x += SPECTRUM
                out += width
    for job in range(used):
        for i in range(jobs[job, 1]):
            at = jobs[job, 2] + i * width
            activate(memory, at, weights, places.timbral_activation, at, width)


def _multiplier(columns: int) -> Any:
    """Products of spectra for `columns` consecutive columns."""

    @jit
    def multiply(memory: Floats, x_at: int, weights: Floats, filters_at: int, products: int) -> None:
        """products[bin, :, i] = sum over taps of spectra[i + tap, bin] * filters[bin, tap], complex."""
        for k in range(BINS):
            real = zeros(columns, SLICE_REGS)
            imaginary = zeros(columns, SLICE_REGS)
            for tap in range(TAPS):
                x = x_at + tap * SPECTRUM + 2 * k
                w = filters_at + (k * TAPS + tap) * 2 * SLICE
                w_real = load_row(weights, w, SLICE_REGS)
                w_imaginary = load_row(weights, w + SLICE, SLICE_REGS)
                real = fma(real, memory, x, SPECTRUM, w_real)
                imaginary = fma(imaginary, memory, x, SPECTRUM, w_imaginary)
                real = fnma(real, memory, x + 1, SPECTRUM, w_imaginary)
                imaginary = fma(imaginary, memory, x + 1, SPECTRUM, w_real)
            store_rows(real, memory, products + 2 * k * columns * SLICE, SLICE)
            store_rows(imaginary, memory, products + (2 * k + 1) * columns * SLICE, SLICE)

    return multiply


def _inverter(columns: int) -> Any:
    """The inverse transform's greatest output over frequency, for `columns` columns (see `spectral_filters`)."""

    @jit
    def invert(memory: Floats, weights: Floats, places: Places, products: int, channel: int, out: int) -> None:
        width = places.timbral_stride * len(places.even)
        for part in range(0, SLICE, LANES):  # a register of filters belongs to one branch, a slice may to both
            branch = (channel + part) // places.timbral_stride
            even, odd, outputs = places.even[branch], places.odd[branch], OUTPUTS[branch]
            best = lowest(1, columns)
            for f in range(0, outputs, BANDS):
                evens = zeros(BANDS, columns)
                for k in range(BINS):
                    real = load_spread(memory, products + 2 * k * columns * SLICE + part, SLICE, columns)
                    evens = fma(evens, weights, even + k * outputs + f, 1, real)
                odds = zeros(BANDS, columns)
                for k in range(BINS):
                    imaginary = load_spread(memory, products + (2 * k + 1) * columns * SLICE + part, SLICE, columns)
                    odds = fma(odds, weights, odd + k * outputs + f, 1, imaginary)
                best = maximum(row_max(add(evens, absolute(odds))), best)
            store_spread(best, memory, out + part, width)

    return invert


multiply_one = _multiplier(1)
multiply_many = _multiplier(COLUMNS)
invert_one = _inverter(1)
invert_many = _inverter(COLUMNS)
