"""One call for all that is done to judge a block of windows: Numba takes its time to look at a call's arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamtag.compiled import jit
from streamtag.sliding.arena import Floats, Integers
from streamtag.sliding.midend import dense_layers, shared_rows, window_rows
from streamtag.sliding.prepared import Places
from streamtag.sliding.temporal import temporal_rows
from streamtag.sliding.timbral import take_frames, timbral_rows

if TYPE_CHECKING:
    from streamtag.sliding.state import Block, Rooms, Shape


@jit
def judge(
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
    """Take the frames that a block of windows needs, and judge it: the results lie in `memory` then.

    Parameters
    ----------
    frames : float32 (n, 96), log-mel of those frames of the block that were not taken before.
    begin : number of the first of them in the stream.
    jobs, order : int64, see `timbral_rows` and `window_rows`.
    memory, rooms, shape, block : a stream's (see `state`).
    weights, places : a model's (see `prepared`).
    """
    take_frames(frames, begin, memory, weights, places, rooms, shape)
    timbral_rows(jobs, memory, weights, places, rooms, shape, block)
    temporal_rows(memory, weights, places, rooms, shape, block)
    shared_rows(memory, weights, places, rooms, shape, block)
    window_rows(order, memory, weights, places, rooms, shape, block)
    dense_layers(memory, weights, places, rooms, shape, block)
