"""One call for all that is done to predict a block of windows: Numba takes its time to look at a call's arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamtag._compile.jit import jit
from streamtag.inference.sliding.arena import Floats, Integers
from streamtag.inference.sliding.musicnn.midend import dense_layers, shared_rows, window_rows
from streamtag.inference.sliding.musicnn.prepared import Places
from streamtag.inference.sliding.musicnn.temporal import temporal_rows
from streamtag.inference.sliding.musicnn.timbral import take_frames, timbral_rows

if TYPE_CHECKING:
    from streamtag.inference.sliding.musicnn.layout import Block, Rooms, Shape


@jit
def infer(
    frames: Floats,
    begin: int,
    jobs: Integers,
    order: Integers,
    memory: Floats,
    weights: Floats,
    places: Places,
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
    jobs, order : ndarray of int64
        See `timbral_rows` and `window_rows`.
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
    take_frames(frames, begin, memory, weights, places, rooms, shape)
    timbral_rows(jobs, memory, weights, places, rooms, shape, block)
    temporal_rows(memory, weights, places, rooms, shape, block)
    shared_rows(memory, weights, places, rooms, shape, block)
    window_rows(order, memory, weights, places, rooms, shape, block)
    dense_layers(memory, weights, places, rooms, shape, block)
