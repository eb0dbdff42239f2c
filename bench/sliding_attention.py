"""What a vector of attention or autopool tags costs, sliding and whole: ``python -m bench.sliding_attention``.

One thread each (pin it to a core: ``taskset -c 1``), timed in turns, so that whatever else the machine does meets both.
Weights are random: what they are makes no difference to the time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from statistics import median

import numpy as np

from bench import sliding
from bench.sliding import WINDOW, log_mel
from streamtag._compile.simd import INSTRUCTION_SET
from streamtag.inference.networks.architectures import find_architecture
from streamtag.inference.networks.network import Network
from streamtag.inference.networks.specs import ModelSpec
from streamtag.inference.sliding.attention import geometry
from streamtag.inference.sliding.attention.geometry import LAYERS, TAPS
from streamtag.inference.sliding.attention.predictor import WeightedPredictor
from streamtag.inference.sliding.attention.prepared import prepare_weighted
from streamtag.inference.sliding.musicnn.geometry import TAPS as MIDEND_TAPS
from tests.support.own_models import random_weights

HOPS = (1, 8, 16, WINDOW)
ROUNDS = 20
STEPS = 5
LABELS = tuple(f"tag {n}" for n in range(50))


def multiply_adds(spec: ModelSpec, hop: int) -> float:
    """Of a window; the powers of its softmax are not counted."""
    found = sum(sliding.multiply_adds(spec, hop).values())
    if spec.family == "attention":
        widths = (spec.first_layer.channels, *LAYERS * (spec.filters,))
        for width, (before, after) in zip(widths, geometry.sums(WINDOW), strict=True):
            rows = before + after + min(hop, WINDOW - before - after)
            found += rows * TAPS * width * spec.channels
    return found


def whole(spec: ModelSpec) -> float:
    """Of a patch, as Keras evaluates it."""
    front_end, filters = spec.first_layer, spec.filters
    bands = front_end.timbral[0]
    found = (96 - bands + 1) * 7 * bands * front_end.timbral_filters
    found += MIDEND_TAPS * (front_end.channels + 2 * filters) * filters
    if spec.family == "attention":
        found += TAPS * spec.channels**2
    return WINDOW * found + spec.channels * spec.embedding_size


def timed(work: Callable[[], object], into: list[float]) -> None:
    """Milliseconds that something takes."""
    start = time.perf_counter()
    work()
    into.append((time.perf_counter() - start) * 1e3)


def step(predictor: WeightedPredictor, chunk: np.ndarray) -> None:
    """One window further."""
    predictor.push(chunk)
    predictor.take(1)


def main() -> None:
    """Print the table, and how far the two are apart."""
    print(f"{INSTRUCTION_SET}, one thread; ms for each vector of tags: median (best)\n")
    print("| model | hop, frames | M multiply-adds | sliding | whole patch | ratio of the medians |")
    print("|---" * 6 + "|")
    apart = {}
    for family in ("attention", "autopool"):
        weights = random_weights(find_architecture(family).spec(LABELS))
        prepared, network = prepare_weighted(weights), Network(weights, WINDOW)
        WeightedPredictor(prepared).warm_up()
        network.warm_up()
        frames = log_mel(WINDOW * (STEPS * ROUNDS + 2))
        for hop in HOPS:
            predictor = WeightedPredictor(prepared, WINDOW, hop)
            step(predictor, frames[:WINDOW])
            end = WINDOW
            ours: list[float] = []
            theirs: list[float] = []
            for _ in range(ROUNDS):
                for _ in range(STEPS):
                    timed(partial(step, predictor, frames[end : end + hop]), ours)
                    end += hop
                patch = frames[None, end - WINDOW : end]
                timed(partial(network, patch), theirs)
            counted = f"{multiply_adds(weights.spec, hop) / 1e6:.0f} (of {whole(weights.spec) / 1e6:.0f})"
            print(
                f"| {family} | {hop} | {counted} | {median(ours):.2f} ({min(ours):.2f}) "
                f"| {median(theirs):.1f} ({min(theirs):.1f}) | {median(theirs) / median(ours):.1f} |"
            )
        last = WeightedPredictor(prepared)
        last.push(patch[0])
        apart[family] = np.abs(last.take(1).taggram - network(patch)[0]).max()
    print("\nLargest difference of a tag in the last patch:", ", ".join(f"{k} {v:.1e}" for k, v in apart.items()))


if __name__ == "__main__":
    main()
