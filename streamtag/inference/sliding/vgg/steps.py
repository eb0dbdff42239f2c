"""The order in which the vgg kernels work: new columns layer by layer, then the two cut columns of each window.

Compiled, so that a window costs one call. Arguments throughout: `n` counts layers 2 to 5 from 0; `weights` is
`prepared.Arrays`, `layers` is `geometry.layers`, `memory` is `memory.Memory`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamtag._compile.jit import jit
from streamtag._compile.simd import PANEL, REGS, load_row, lowest, store_rows
from streamtag.inference.sliding.arena import Floats, Integers
from streamtag.inference.sliding.kernels import ONE, ZERO, not_literal
from streamtag.inference.sliding.vgg.geometry import CHANNELS, LAST_POOL, Layer
from streamtag.inference.sliding.vgg.kernels import ROW, activate, add_tap, pool, product, raise_to, stem

if TYPE_CHECKING:
    from streamtag.inference.sliding.vgg.memory import Memory
    from streamtag.inference.sliding.vgg.prepared import Arrays

AHEAD, HERE, BEHIND = ZERO, ONE, not_literal(2)
"""The taps of a filter, in the order in which they are added."""
UNITS = not_literal(2 * CHANNELS)
"""Of the embedding."""
LAST = not_literal(4)
"""Layer 5, where all five are counted from 0."""


@jit
def place(layer: Layer, position: int) -> int:
    """Where the rings of a layer's columns have a position."""
    return position // layer.grain % layer.slots * layer.bands * CHANNELS


@jit
def input_place(layer: Layer, position: int) -> int:
    """Where a layer's input has one: the newest three of each class of positions that are whole steps apart."""
    return position // layer.grain % (3 * layer.step // layer.grain) * (layer.bands + 2) * CHANNELS


@jit
def extend(
    n: int,
    weights: Arrays,
    layers: tuple[Layer, ...],
    memory: Memory,
    frames: Floats,
    base: int,
    start: int,
    done: int,
) -> None:
    """The columns of a layer that the window from frame `start` needs and no window before it did.

    Parameters
    ----------
    n : int
        The layer, 2 to 5, counted from 0.
    weights : Arrays
        The model's weights.
    layers : tuple of Layer
        The stream's layers.
    memory : Memory
        The stream's memory.
    frames : ndarray of float32, shape (n, 96)
        Log-mel.
    base : int
        Number of the first of them in the stream.
    start : int
        The window's first frame.
    done : int
        Position up to which the columns in step with this window's are known.
    """
    layer, x = layers[n], memory.inputs[n]
    step, bands = layer.step, layer.bands
    for position in range(max(done, start), start + layer.columns * step, step):
        here, ahead = place(layer, position), input_place(layer, position + step)
        if n == 0:
            at = position + step - base
            stem(frames, at, ZERO, weights.stem, weights.norms, memory.patch, x, ahead + CHANNELS, bands + 1)
        else:
            below = layers[n - 1]
            first, second = place(below, position + step), place(below, position + step + below.step)
            pool(memory.whole[n - 1], first, second, weights.norms, n, x, ahead + CHANNELS, bands + 1)
        sums, both, whole = memory.ahead[n], memory.both[n], memory.whole[n]
        add_tap(x, ahead, weights.filters, n, AHEAD, memory.biases, n * CHANNELS, ZERO, sums, here, bands)
        # no window from here on has column 0 or 1 of this one as a whole column
        if position >= start + step:
            middle = input_place(layer, position)
            add_tap(x, middle, weights.filters, n, HERE, sums, here, ROW, both, here, bands)
        if position >= start + 2 * step:
            behind = input_place(layer, position - step)
            add_tap(x, behind, weights.filters, n, BEHIND, both, here, ROW, whole, here, bands)


@jit
def cut_columns(n: int, weights: Arrays, layers: tuple[Layer, ...], memory: Memory, start: int, x_at: int) -> None:
    """Columns 0 and 1 of the window from frame `start`, into `memory.cut`.

    Parameters
    ----------
    n : int
        As for `extend`.
    weights : Arrays
        As for `extend`.
    layers : tuple of Layer
        As for `extend`.
    memory : Memory
        As for `extend`.
    start : int
        As for `extend`.
    x_at : int
        Where `memory.begun` has column 0 of this layer's input, which the beginning cuts too.
    """
    layer, x = layers[n], memory.begun
    first, second = place(layer, start), place(layer, start + layer.step)
    below = layer.bands * CHANNELS
    add_tap(x, x_at, weights.filters, n, HERE, memory.ahead[n], first, ROW, memory.cut, ZERO, layer.bands)
    add_tap(x, x_at, weights.filters, n, BEHIND, memory.both[n], second, ROW, memory.cut, below, layer.bands)


@jit
def last_pool(weights: Arrays, layers: tuple[Layer, ...], memory: Memory, start: int, out: Floats, out_at: int) -> None:
    """Pool 5 of the window from frame `start`: two rows of 128, its embedding. Its cut columns are in `memory.cut`."""
    layer = layers[3]
    for half in range(2):
        at = out_at + half * CHANNELS
        for channel in range(0, CHANNELS, PANEL):
            store_rows(lowest(1, REGS), out, at + channel, 0)
        for i in range(half * LAST_POOL, (half + 1) * LAST_POOL):
            if i < 2:
                raise_to(out, at, memory.cut, i * layer.bands * CHANNELS)
            else:
                raise_to(out, at, memory.whole[3], place(layer, start + i * layer.step))
        for channel in range(0, CHANNELS, PANEL):
            pooled = activate(load_row(out, at + channel, REGS), weights.norms, LAST, channel)
            store_rows(pooled, out, at + channel, 0)


@jit
def infer(
    weights: Arrays,
    layers: tuple[Layer, ...],
    memory: Memory,
    done: Integers,
    frames: Floats,
    base: int,
    hop: int,
    windows: int,
) -> None:
    """Predict windows: their embeddings to `memory.embedding`, their tags before the sigmoid to `memory.logits`.

    Parameters
    ----------
    weights : Arrays
        As for `extend`.
    layers : tuple of Layer
        As for `extend`.
    memory : Memory
        As for `extend`.
    done : ndarray of int64, shape (4, 16)
        Changed: for each layer, and each remainder of positions by its step, what `extend` wants.
    frames : ndarray of float32, shape (n, 96)
        Log-mel, the first window's first frame first.
    base : int
        Number of that frame in the stream.
    hop : int
        Frames from one window's start to the next's.
    windows : int
        How many there are.
    """
    begun, bands = (layers[0].bands + 2) * CHANNELS, layers[0].bands + 1
    for i in range(windows):
        at = i * begun + CHANNELS
        stem(frames, i * hop, ONE, weights.stem, weights.norms, memory.patch, memory.begun, at, bands)
    for n in range(4):  # layer by layer, so that a layer's filters stay in the cache for all windows
        layer = layers[n]
        for i in range(windows):
            start = base + i * hop
            extend(n, weights, layers, memory, frames, base, start, done[n, start % layer.step])
            done[n, start % layer.step] = start + layer.columns * layer.step
            cut_columns(n, weights, layers, memory, start, i * begun)
            if n < 3:
                second = layer.bands * CHANNELS
                pooled = i * begun + CHANNELS
                pool(memory.cut, ZERO, second, weights.norms, n + 1, memory.begun, pooled, layer.bands // 2)
            else:
                last_pool(weights, layers, memory, start, memory.embedding, i * 2 * CHANNELS)
    x, bias, logits = memory.embedding, memory.tags_bias, memory.logits
    blocks = len(bias) // CHANNELS
    for block in range(blocks):
        at = block * (len(logits) // blocks)
        dense = block * CHANNELS * UNITS
        product(x, ZERO, UNITS, UNITS, weights.dense, dense, bias, block * CHANNELS, ZERO, logits, at, windows)
