"""The mean over a window's frames, with weights of their own for each channel: a softmax over time.

A frame counts by e to the power of its *logit*: of attention, what the convolution says, of the frame's features and of
its place; of autopool, alpha times the feature itself. The greatest logit is taken off all first, so that no power
overflows. That belongs to a window, as its frames do not leave it one by one: it is done anew for each.
"""

from __future__ import annotations

from typing import NamedTuple

from streamtag._compile.jit import jit
from streamtag._compile.simd import (
    PANEL,
    REGS,
    add,
    divide,
    exponential,
    fma,
    load_row,
    lowest,
    maximum,
    multiply,
    store_rows,
    subtract,
    zeros,
)
from streamtag.inference.sliding.arena import Floats
from streamtag.inference.sliding.attention.convolution import features
from streamtag.inference.sliding.attention.geometry import LAYERS
from streamtag.inference.sliding.attention.layout import Attention
from streamtag.inference.sliding.attention.prepared import Weighing
from streamtag.inference.sliding.kernels import ZERO
from streamtag.inference.sliding.musicnn.geometry import REACH
from streamtag.inference.sliding.musicnn.layout import Rooms, Shape

BLOCK = 64
"""Rows that are summed up before their sum is added: a window may be minutes long."""


class Part(NamedTuple):
    """Some consecutive frames of a window, one channel of which is at each of these places.

    Attributes
    ----------
    logits, logits_step : int
        Place of the first frame's logits, and from one frame's to the next's.
    more, more_step : int
        The same of what is added to them.
    values, values_step : int
        The same of the features.
    places, places_step : int
        The same of what is added to the features.
    rows : int
        How many frames.
    """

    logits: int
    logits_step: int
    more: int
    more_step: int
    values: int
    values_step: int
    places: int
    places_step: int
    rows: int


@jit
def weighted_mean(
    memory: Floats, weights: Floats, factor: int, parts: tuple[Part, Part, Part], width: int, out: int
) -> None:
    """Mean of ``value + place`` over time, weighted with the softmax over time of ``factor * logit + more``.

    Parameters
    ----------
    memory : ndarray of float32
        The stream's memory.
    weights : ndarray of float32
        The model's weights.
    factor : int
        Where the factor is in them.
    parts : tuple of Part
        The window's frames.
    width : int
        Channels, a multiple of `PANEL`.
    out : int
        Place of the means.
    """
    for c in range(0, width, PANEL):
        greatest = lowest(1, REGS)
        for part in parts:
            for i in range(part.rows):
                logit = load_row(memory, part.logits + i * part.logits_step + c, REGS)
                more = load_row(memory, part.more + i * part.more_step + c, REGS)
                greatest = maximum(fma(more, weights, factor, ZERO, logit), greatest)
        total, weighted = zeros(1, REGS), zeros(1, REGS)
        for part in parts:
            for block in range(0, part.rows, BLOCK):
                block_total, block_weighted = zeros(1, REGS), zeros(1, REGS)
                for i in range(block, min(block + BLOCK, part.rows)):
                    logit = load_row(memory, part.logits + i * part.logits_step + c, REGS)
                    more = load_row(memory, part.more + i * part.more_step + c, REGS)
                    weight = exponential(subtract(fma(more, weights, factor, ZERO, logit), greatest))
                    value = load_row(memory, part.values + i * part.values_step + c, REGS)
                    value = add(value, load_row(memory, part.places + i * part.places_step + c, REGS))
                    block_total = add(block_total, weight)
                    block_weighted = add(block_weighted, multiply(weight, value))
                total, weighted = add(total, block_total), add(weighted, block_weighted)
        store_rows(divide(weighted, total), memory, out + c, ZERO)


@jit
def attend(
    memory: Floats,
    weights: Floats,
    weighing: Weighing,
    attention: Attention,
    rooms: Rooms,
    shape: Shape,
    start: int,
    out: int,
) -> None:
    """Sum up a window as attention does.

    Parameters
    ----------
    memory : ndarray of float32
        The stream's memory.
    weights : ndarray of float32
        The model's weights.
    weighing : Weighing
        Where those are that this needs.
    attention : Attention
        Where the convolution's sums are in `memory`.
    rooms : Rooms
        Where the features are.
    shape : Shape
        What stays the same for the stream.
    start : int
        The window's first frame.
    out : int
        Place of the means, (channels,).
    """
    channels, left, right = shape.channels, attention.left, attention.right
    end = shape.window - right
    inside = (start + left) % shape.capacity
    channel = 0
    for group in range(1 + LAYERS):
        ring, patch, width, _ = features(rooms, shape, group)
        patch += REACH * width
        places = attention.places[group] + width
        sums, edges = attention.sums[LAYERS] + channel, attention.edges + channel
        more = attention.place_sums + channel
        parts = (
            Part(edges, 2 * channels, more, channels, patch, width, places, width, left),
            Part(
                sums + inside * channels,
                channels,
                more + left * channels,
                channels,
                ring + inside * width,
                width,
                places + left * width,
                width,
                end - left,
            ),
            Part(
                edges + (2 * right - 1) * channels,
                -2 * channels,
                more + end * channels,
                channels,
                patch + end * width,
                width,
                places + end * width,
                width,
                right,
            ),
        )
        weighted_mean(memory, weights, weighing.factor, parts, width, out + channel)
        channel += width


@jit
def autopool(
    memory: Floats, weights: Floats, factor: int, nothing: int, rooms: Rooms, shape: Shape, start: int, out: int
) -> None:
    """Sum up a window as autopool does.

    Parameters
    ----------
    memory, weights : ndarray of float32
        As for `attend`.
    factor : int
        Where alpha is in `weights`.
    nothing : int
        Place in `memory` of as many zeros as a group has channels.
    rooms : Rooms
        As for `attend`.
    shape : Shape
        As for `attend`.
    start, out : int
        As for `attend`.
    """
    channel = 0
    for group in range(1 + LAYERS):
        ring, patch, width, edge = features(rooms, shape, group)
        inside = ring + (start + edge.before) % shape.capacity * width
        first = patch + REACH * width
        end = shape.window - edge.after
        last = first + end * width
        parts = (
            Part(first, width, nothing, ZERO, first, width, nothing, ZERO, edge.before),
            Part(inside, width, nothing, ZERO, inside, width, nothing, ZERO, end - edge.before),
            Part(last, width, nothing, ZERO, last, width, nothing, ZERO, edge.after),
        )
        weighted_mean(memory, weights, factor, parts, width, out + channel)
        channel += width
