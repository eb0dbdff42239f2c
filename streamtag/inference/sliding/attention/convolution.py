"""The attention's convolution, 3 frames of all channels to all channels: what windows share of it, and what not.

What it is given are the features f and what stands for a frame's place in the window, p. As it is linear,
``conv(f + p) = conv(f) + conv(p)``. The second is computed once a stream, for each place. The first is the same in all
windows, but near their edges; there, the sum over channels is begun with those that feel the edge least far in (the
front end), and continued with the others. A row of a window that only the others make its own takes over the sum from
the ring (see `streamtag.inference.sliding.musicnn.midend`, which does the same).
"""

from __future__ import annotations

from typing import NamedTuple

from streamtag._compile.jit import jit
from streamtag.inference.sliding.arena import Floats
from streamtag.inference.sliding.attention.geometry import LOOKS, TAPS
from streamtag.inference.sliding.attention.layout import Attention
from streamtag.inference.sliding.attention.prepared import Weighing
from streamtag.inference.sliding.kernels import ONE, ZERO, copy_rows, matmul, mirror
from streamtag.inference.sliding.musicnn.geometry import REACH, Level
from streamtag.inference.sliding.musicnn.layout import Block, Rooms, Shape
from streamtag.inference.sliding.musicnn.midend import add_inside, new_rows


class Features(NamedTuple):
    """A group of channels: the front end, or a layer of the mid-end.

    Attributes
    ----------
    ring : int
        Place of its rows that feel no edge.
    patch : int
        Place of the window's rows that do, and of some between them.
    width : int
        How many channels.
    edge : Level
        Rows that feel an edge.
    """

    ring: int
    patch: int
    width: int
    edge: Level


@jit
def features(rooms: Rooms, shape: Shape, group: int) -> Features:
    """A group of channels by its number: 0 is the front end."""
    if group == 0:
        return Features(rooms.rows[0], rooms.patches[0], shape.widths[0], shape.edges[0])
    layer = group - 1
    return Features(rooms.layers[layer], rooms.layer_patches[layer], shape.filters, shape.levels[layer])


@jit
def convolve_places(memory: Floats, weights: Floats, weighing: Weighing, attention: Attention, shape: Shape) -> None:
    """The convolution of what stands for the places in a window, zeros around it.

    Parameters
    ----------
    memory : ndarray of float32
        The stream's memory.
    weights : ndarray of float32
        The model's weights.
    weighing : Weighing
        Where the filters are.
    attention : Attention
        Where things are in `memory`.
    shape : Shape
        What stays the same for the stream.
    """
    out, channels, step = attention.place_sums, shape.channels, ZERO
    start = weighing.zeros
    for group in range(len(attention.places)):
        width = shape.filters if group else shape.widths[0]
        x, depth, panels = attention.places[group], TAPS * width, weighing.kernels[group]
        matmul(memory, x, width, depth, weights, panels, channels, start, step, out, channels, shape.window)
        start, step = out, channels


@jit
def shared_sums(
    memory: Floats,
    weights: Floats,
    weighing: Weighing,
    attention: Attention,
    rooms: Rooms,
    shape: Shape,
    block: Block,
) -> None:
    """New rows of the features' convolution that do not feel an edge, into the rings.

    Parameters
    ----------
    memory : ndarray of float32
        The stream's memory.
    weights : ndarray of float32
        The model's weights.
    weighing : Weighing
        Where the filters are.
    attention : Attention
        Where the sums are in `memory`.
    rooms : Rooms
        Where the features are.
    shape : Shape
        What stays the same for the stream.
    block : Block
        The windows.
    """
    capacity, channels = shape.capacity, shape.channels
    for group in range(len(attention.levels)):
        first, rows = new_rows(attention.levels[group], block)
        at = first % capacity * channels
        out = attention.sums[group] + at
        start, step = (attention.sums[group - 1] + at, channels) if group else (weighing.zeros, ZERO)
        ring, _, width, _ = features(rooms, shape, group)
        x, panels = ring + (first - LOOKS) % capacity * width, weighing.kernels[group]
        matmul(memory, x, width, TAPS * width, weights, panels, channels, start, step, out, channels, rows)
        mirror(memory, attention.sums[group], capacity, channels, first, rows)


@jit
def edge_sums(
    memory: Floats, weights: Floats, weighing: Weighing, attention: Attention, rooms: Rooms, shape: Shape, start: int
) -> None:
    """A window's own rows of the features' convolution, from its edges to its middle.

    Parameters
    ----------
    memory, weights : ndarray of float32
        As for `shared_sums`.
    weighing : Weighing
        As for `shared_sums`.
    attention : Attention
        As for `shared_sums`.
    rooms : Rooms
        As for `shared_sums`; the patches hold the window's features.
    shape : Shape
        As for `shared_sums`.
    start : int
        The window's first frame.
    """
    capacity, channels, sums, seen = shape.capacity, shape.channels, attention.edges, attention.seen
    begun = 0  # rows that the groups so far made the window's own
    for group in range(len(attention.levels)):
        ring, patch, width, edge = features(rooms, shape, group)
        add_inside(memory, ring, shape, start, edge, attention.levels[-1], width, patch)
        before, after = attention.levels[group]
        rows, depth = before + after, TAPS * width
        for row in range(begun, rows if group else 0):
            at = attention.sums[group - 1] + (start + place(row, shape.window)) % capacity * channels
            copy_rows(memory, at, ZERO, sums + row * channels, channels, ONE)
        for row in range(rows):
            at = patch + (REACH + place(row, shape.window) - LOOKS) * width
            copy_rows(memory, at, ZERO, seen + row * depth, depth, ONE)
        begin, step = (sums, channels) if group else (weighing.zeros, ZERO)
        panels = weighing.kernels[group]
        matmul(memory, seen, depth, depth, weights, panels, channels, begin, step, sums, channels, rows)
        begun = rows


@jit
def place(row: int, window: int) -> int:
    """Where in the window one of its own rows is: first, last, second, second last ..."""
    return window - 1 - row // 2 if row % 2 else row // 2
