"""One call for all that is done to predict a block of windows: Numba takes its time to look at a call's arguments."""

from __future__ import annotations

from streamtag._compile.jit import jit
from streamtag.inference.sliding.arena import Floats, Integers
from streamtag.inference.sliding.attention.convolution import edge_sums, shared_sums
from streamtag.inference.sliding.attention.layout import Attention
from streamtag.inference.sliding.attention.prepared import Weighing
from streamtag.inference.sliding.attention.weighing import attend, autopool
from streamtag.inference.sliding.musicnn.layout import Block, Rooms, Shape
from streamtag.inference.sliding.musicnn.midend import dense_layers, shared_rows, window_edges
from streamtag.inference.sliding.musicnn.prepared import Places
from streamtag.inference.sliding.musicnn.timbral import take_frames, timbral_rows


@jit
def infer_attention(
    frames: Floats,
    begin: int,
    jobs: Integers,
    memory: Floats,
    weights: Floats,
    places: Places,
    weighing: Weighing,
    attention: Attention,
    rooms: Rooms,
    shape: Shape,
    block: Block,
) -> None:
    """Take the frames that a block of windows needs, and predict it: the results are in `memory` then.

    Parameters
    ----------
    frames : ndarray of float32, shape (n, 96)
        Log-mel of those frames of the block that were not taken before.
    begin : int
        Number of the first of them in the stream.
    jobs : ndarray of int64
        See `timbral_rows`.
    memory : ndarray of float32
        The stream's memory.
    weights : ndarray of float32
        The model's weights.
    places : Places
        Where each of them is.
    weighing : Weighing
        Where those of the attention are.
    attention : Attention
        Where its sums are in `memory`.
    rooms : Rooms
        Where other things are.
    shape : Shape
        What stays the same for the stream.
    block : Block
        The windows.
    """
    take_frames(frames, begin, memory, weights, places, rooms, shape)
    timbral_rows(jobs, memory, weights, places, rooms, shape, block)
    shared_rows(memory, weights, places, rooms, shape, block)
    shared_sums(memory, weights, weighing, attention, rooms, shape, block)
    for i in range(block.windows):
        start = block.start + i * shape.hop
        window_edges(memory, weights, places, rooms, shape, block, i, start)
        edge_sums(memory, weights, weighing, attention, rooms, shape, start)
        attend(memory, weights, weighing, attention, rooms, shape, start, rooms.pooled + i * shape.pooled)
    dense_layers(memory, weights, places, rooms, shape, block)


@jit
def infer_autopool(
    frames: Floats,
    begin: int,
    jobs: Integers,
    memory: Floats,
    weights: Floats,
    places: Places,
    factor: int,
    nothing: int,
    rooms: Rooms,
    shape: Shape,
    block: Block,
) -> None:
    """Take the frames that a block of windows needs, and predict it: the results are in `memory` then.

    Parameters
    ----------
    frames : ndarray of float32, shape (n, 96)
        As for `infer_attention`.
    begin : int
        As for `infer_attention`.
    jobs : ndarray of int64
        As for `infer_attention`.
    memory, weights : ndarray of float32
        As for `infer_attention`.
    places : Places
        As for `infer_attention`.
    factor, nothing : int
        See `autopool`.
    rooms : Rooms
        As for `infer_attention`.
    shape : Shape
        As for `infer_attention`.
    block : Block
        As for `infer_attention`.
    """
    take_frames(frames, begin, memory, weights, places, rooms, shape)
    timbral_rows(jobs, memory, weights, places, rooms, shape, block)
    shared_rows(memory, weights, places, rooms, shape, block)
    for i in range(block.windows):
        start = block.start + i * shape.hop
        window_edges(memory, weights, places, rooms, shape, block, i, start)
        autopool(memory, weights, factor, nothing, rooms, shape, start, rooms.pooled + i * shape.pooled)
    dense_layers(memory, weights, places, rooms, shape, block)
