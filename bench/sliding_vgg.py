"""What a vector of vgg tags costs, sliding and whole, one thread each: ``taskset -c 1 python -m bench.sliding_vgg``.

Both are timed in turns, so that whatever else the machine does meets both.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from statistics import median

import numpy as np
from numpy.typing import NDArray

from streamtag.dsp.params import N_MELS, PATCH_FRAMES
from streamtag.inference.networks.catalogue import load_weights
from streamtag.inference.networks.network import Network, import_tensorflow
from streamtag.inference.sliding.vgg.geometry import CHANNELS, NEEDED
from streamtag.inference.sliding.vgg.predictor import SlidingVggPredictor
from streamtag.inference.sliding.vgg.prepared import prepare_vgg

Array = NDArray[np.float32]
MODEL = "MSD_vgg"
HOPS = (1, 4, 16, PATCH_FRAMES)
ROUNDS = 20
WHOLE = 885e6
"""Multiply-adds of a whole patch."""


def multiply_adds(hop: int, windows: int = 400) -> float:
    """Of one window in a long stream, layers 2 to 5: counted as `vgg_steps` goes about it."""
    products = 0  # of a column's bands by one tap of the filters
    done: dict[tuple[int, int], int] = {}
    for start in range(0, windows * hop, hop):
        late = start >= windows * hop // 2
        for step, columns, bands in NEEDED:
            begin, end = max(done.get((step, start % step), 0), start), start + columns * step
            new = sum(1 + (p >= start + step) + (p >= start + 2 * step) for p in range(begin, end, step))
            done[step, start % step] = end
            products += late * bands * (2 + new)
    return products * 3 * CHANNELS**2 / (windows / 2)


def timed(work: Callable[[], object], into: list[float]) -> None:
    """Milliseconds that something takes."""
    start = time.perf_counter()
    work()
    into.append((time.perf_counter() - start) * 1e3)


def step(predictor: SlidingVggPredictor, chunk: Array) -> None:
    """One window further."""
    predictor.push(chunk)
    predictor.take(1)


def main() -> None:
    """Print the table, and how far the two are apart."""
    threading = import_tensorflow().config.threading
    threading.set_intra_op_parallelism_threads(1)
    threading.set_inter_op_parallelism_threads(1)
    network = Network.load(MODEL, PATCH_FRAMES)
    start = time.perf_counter()
    prepared = prepare_vgg(load_weights(MODEL))
    SlidingVggPredictor(prepared).warm_up()
    print(f"{MODEL}: kernels ready after {time.perf_counter() - start:.1f} s\n")
    print(
        "| hop, frames | M multiply-adds | ms, best | ms, median | whole patch, best | median | ratio, best | median |"
    )
    print("|---" * 8 + "|")
    frames = np.random.default_rng(0).uniform(0, 5, (PATCH_FRAMES * (5 * ROUNDS + 2), N_MELS)).astype(np.float32)
    for hop in HOPS:
        predictor = SlidingVggPredictor(prepared, hop)
        predictor.push(frames[:PATCH_FRAMES])
        predictor.take(1)
        end = PATCH_FRAMES
        ours: list[float] = []
        whole: list[float] = []
        for _ in range(ROUNDS):
            for _ in range(5):
                timed(partial(step, predictor, frames[end : end + hop]), ours)
                end += hop
            patch = frames[None, end - PATCH_FRAMES : end]
            timed(partial(network, patch), whole)
        last = SlidingVggPredictor(prepared)
        last.push(patch[0])
        apart = np.abs(last.take(1).taggram - network(patch)[0]).max()
        best, middle = min(whole) / min(ours), median(whole) / median(ours)
        print(
            f"| {hop} | {multiply_adds(hop) / 1e6:.0f} (of {WHOLE / 1e6:.0f}) | {min(ours):.2f} | {median(ours):.2f} "
            f"| {min(whole):.1f} | {median(whole):.1f} | {best:.1f} | {middle:.1f} |"
        )
    print(f"\nLargest difference of a tag in the last patch: {apart:.1e}")


if __name__ == "__main__":
    main()
