"""Sliding evaluation against the full patch in TensorFlow: milliseconds for each vector of tags, on one thread.

    python bench/sliding.py [--model MSD_musicnn] [--seconds 5]

For steady figures pin it to a core (``taskset -c 1 python bench/sliding.py``).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = "1"

import numpy as np
from numpy.typing import NDArray

from streamtag._compile.jit import jit
from streamtag._compile.simd import INSTRUCTION_SET, LANES, REGS, ROWS, fma, load_row, store_rows, zeros
from streamtag.dsp.params import N_MELS
from streamtag.inference.networks.catalogue import load_weights
from streamtag.inference.networks.specs import ModelSpec
from streamtag.inference.networks.weights import Weights
from streamtag.inference.sliding.musicnn import geometry, infer
from streamtag.inference.sliding.musicnn import predictor as sliding_predictor
from streamtag.inference.sliding.musicnn.geometry import TAPS
from streamtag.inference.sliding.musicnn.predictor import SlidingPredictor
from streamtag.inference.sliding.musicnn.prepared import BINS, Prepared, prepare

WINDOW = 187
HOPS = (1, 8, 16, 187)
STAGES = ("take_frames", "timbral_rows", "temporal_rows", "shared_rows", "window_rows", "dense_layers")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="MSD_musicnn")
    parser.add_argument("--json", type=Path, help="also write the medians there, in ms")
    parser.add_argument("--seconds", type=float, default=5.0, help="to spend on each figure")
    options = parser.parse_args()

    weights = load_weights(options.model)
    prepared = prepare(weights)
    start = time.perf_counter()
    SlidingPredictor(prepared, WINDOW, 1).warm_up()
    print(f"kernels compiled or loaded in {time.perf_counter() - start:.1f} s, for {INSTRUCTION_SET}")
    print(first_tags(options.model))

    peak = measured_peak()
    print(f"peak of this core: {peak / 1e9:.0f} G multiply-adds a second ({2 * peak / 1e9:.0f} GFLOP/s)\n")

    steps = {hop: live_steps(prepared, hop, hop, options.seconds) for hop in HOPS}
    bigger = {hop: live_steps(prepared, hop, 32, options.seconds / 2) for hop in HOPS if hop <= 32}
    spent = {hop: stage_times(prepared, hop, options.seconds / 2) for hop in HOPS}
    full = full_patch(weights, options.seconds)  # last: its threads do not rest at once
    print(f"{options.model}: ms for each vector of tags, median; one thread, chunk = hop")
    print(f"{'hop':>5} {'sliding':>9} {'chunk 32':>9} {'full patch':>11} {'ratio':>7} {'floor':>7} {'of peak':>8}")
    for hop in HOPS:
        ours = np.median(steps[hop])
        chunked = f"{1e3 * np.median(bigger[hop]):9.2f}" if hop in bigger else ""
        floor = sum(multiply_adds(prepared.spec, hop).values()) / peak
        line = f"{hop:5} {1e3 * ours:9.2f} {chunked:>9} {1e3 * full:11.1f} {full / ours:6.1f}x {1e3 * floor:7.2f}"
        print(f"{line} {floor / ours:8.0%}")
    p50, p99 = np.percentile(steps[1], (50, 99))
    print(f"\nsteps at hop 1: p50 {1e3 * p50:.2f} ms, p99 {1e3 * p99:.2f} ms, of {len(steps[1])}\n")

    if options.json:
        medians = {hop: 1e3 * float(np.median(steps[hop])) for hop in HOPS}
        options.json.write_text(json.dumps({"sliding": medians, "full_patch": 1e3 * full}))

    print("stage by stage, ms for each vector of tags (median), and its multiply-adds over the peak")
    print(f"{'':14}" + "".join(f"{f'hop {hop}':>16}" for hop in HOPS))
    for stage in STAGES:
        row = (f"{1e3 * spent[h][stage]:8.3f} {1e3 * multiply_adds(prepared.spec, h)[stage] / peak:7.3f}" for h in HOPS)
        print(f"{stage:14}" + "".join(row))


def full_patch(weights: Weights, seconds: float) -> float:
    """Median time of the whole network on one patch, in TensorFlow."""
    from streamtag.inference.networks.network import Network

    network = Network(weights, WINDOW)
    network.warm_up()
    patch = log_mel(WINDOW)[None]
    return float(np.median(timed(lambda: network(patch), seconds)))


def log_mel(frames: int) -> np.ndarray:
    """Frames that look like music's; what they hold makes no difference to the time."""
    return np.random.default_rng(0).gamma(2, 0.8, (frames, N_MELS)).astype(np.float32)


def timed(call: Callable[[], object], seconds: float) -> np.ndarray:
    """Times of as many calls as fit, at least five."""
    call()
    times: list[float] = []
    while len(times) < 5 or sum(times) < seconds:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return np.array(times)


def stream(prepared: Prepared, hop: int, chunk: int) -> Iterator[int]:
    """Push a chunk and take what is due, for ever; yields how many windows that were."""
    sliding = SlidingPredictor(prepared, WINDOW, hop)
    sliding.push(log_mel(WINDOW))
    sliding.take(1)
    chunks = log_mel(20 * chunk).reshape(20, chunk, N_MELS)
    while True:
        for part in chunks:
            sliding.push(part)
            yield len(sliding.take(sliding.due).taggram)


def live_steps(prepared: Prepared, hop: int, chunk: int, seconds: float) -> np.ndarray:
    """Times of a live stream's steps, for each vector of tags."""
    steps = stream(prepared, hop, chunk)
    return timed(lambda: next(steps), seconds)[3:] * hop / chunk


def stage_times(prepared: Prepared, hop: int, seconds: float) -> dict[str, float]:
    """Median time of each stage, called one by one."""
    times: dict[str, list[float]] = {stage: [] for stage in STAGES}

    def staged(frames: Any, begin: int, jobs: Any, order: Any, *state: Any) -> None:
        """What `infer` does, each stage timed."""
        memory, weights, places, rooms, shape, block = state
        common = (memory, weights, places, rooms, shape)
        calls = ((frames, begin, *common), (jobs, *common, block), (*common, block), (*common, block))
        for stage, args in zip(STAGES, (*calls, (order, *common, block), (*common, block)), strict=True):
            start = time.perf_counter()
            getattr(infer, stage)(*args)
            times[stage].append(time.perf_counter() - start)

    # the predictor's own call, replaced for as long as it is measured
    whole = getattr(sliding_predictor, "infer")  # noqa: B009 - imported there, not exported
    setattr(sliding_predictor, "infer", staged)  # noqa: B010
    try:
        steps = stream(prepared, hop, hop)
        timed(lambda: next(steps), seconds)
    finally:
        setattr(sliding_predictor, "infer", whole)  # noqa: B010
    return {stage: float(np.median(values[3:])) for stage, values in times.items()}


def multiply_adds(spec: ModelSpec, hop: int) -> dict[str, float]:
    """Multiply-adds for a window, stage by stage, without what fills registers up."""
    filters, front_end = spec.filters, spec.first_layer
    timbral_filters = len(front_end.timbral) * front_end.timbral_filters
    widths = (timbral_filters, *(front_end.temporal_filters for _ in front_end.temporal))
    columns = min(hop, WINDOW - 6) + 6
    timbral = 0
    for bands in front_end.timbral:
        outputs = N_MELS - bands + 1
        timbral += columns * front_end.timbral_filters * (4 * TAPS * BINS + BINS * outputs)
    taps, temporal = 0, tuple(sorted(front_end.temporal))
    for length in temporal:
        back, ahead = (length - 1) // 2, length // 2
        new = range(max(0, WINDOW - hop - ahead), WINDOW - ahead)  # counted from the window's start
        taps += sum(ahead + 1 + min(back, t) for t in new)
        cut = range(WINDOW - ahead, WINDOW)
        taps += sum(min(hop, WINDOW - t + back) for t in cut)
        taps += sum(back for t in cut if t >= WINDOW - hop and hop < WINDOW - t + back)
    levels = geometry.midend(WINDOW, temporal)
    depths = [TAPS * width for width in widths] + [TAPS * filters] * 2
    shared = edges = 0
    for level, depth in zip(levels, depths, strict=True):
        shared += min(hop, WINDOW - level.before - level.after) * depth * filters
        edges += (level.before + level.after) * depth * filters
    return {
        "take_frames": min(hop, WINDOW) * N_MELS * 2 * BINS,
        "timbral_rows": timbral,
        "temporal_rows": taps * N_MELS * front_end.temporal_filters,
        "shared_rows": shared,
        "window_rows": edges,
        "dense_layers": (2 * spec.pool_size or spec.channels) * spec.embedding_size
        + spec.embedding_size * len(spec.labels),
    }


@jit
def multiply_add(memory: NDArray[np.float32], rows: int, rounds: int) -> None:
    """As many multiply-adds as the CPU can do, on values that stay in its first cache."""
    sums = zeros(ROWS, REGS)
    for _ in range(rounds):
        for k in range(rows):
            sums = fma(sums, memory, k, 64, load_row(memory, k * REGS * LANES, REGS))
    store_rows(sums, memory, 0, REGS * LANES)


def measured_peak() -> float:
    """Multiply-adds a second of one core."""
    memory = np.zeros(64 * 1024 + 16, np.float32)
    memory = memory[-memory.ctypes.data % 64 // 4 :]
    times = timed(lambda: multiply_add(memory, 64, 2000), 1)
    return float(64 * 2000 * ROWS * REGS * LANES / times.min())


def first_tags(model: str) -> str:
    """From a fresh Python to the first tags, and the memory that takes."""
    program = f"""if True:
        import resource, sys, time
        import numpy as np
        from streamtag.inference.networks.catalogue import load_weights
        from streamtag.inference.sliding.musicnn.predictor import SlidingPredictor
        from streamtag.inference.sliding.musicnn.prepared import prepare
        sliding = SlidingPredictor(prepare(load_weights({model!r})), {WINDOW}, 4)
        sliding.push(np.zeros(({WINDOW}, {N_MELS}), np.float32))
        sliding.take(1)
        assert "tensorflow" not in sys.modules
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    """
    start = time.perf_counter()
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    spent = time.perf_counter() - start
    return f"from a fresh Python to the first tags {spent:.2f} s, {float(run.stdout):.0f} MB resident"


if __name__ == "__main__":
    main()
