"""Spectrograms to train on: how fast they are made and read, what float16 costs: python -m bench.train_data [AUDIO...]

AUDIO are files or folders; default: the demo clip, sixteen times.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from streamtag.decoding.find import find_audio
from streamtag.dsp.params import FRAME_SECONDS, PATCH_FRAMES
from streamtag.sources.opening import demo_clip
from streamtag.train.index import Index, Track
from streamtag.train.patches import TrainingBatches, fixed_batches
from streamtag.train.prepare import compile_first, prepare
from streamtag.train.store import Float, Store
from streamtag.train.truth import Truth

DTYPES: tuple[Float, ...] = ("float32", "float16")
EPOCHS = 20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("audio", nargs="*")
    given = parser.parse_args().audio
    paths = find_audio(given) if given else [demo_clip()] * 16
    index = Index(tuple(Track(f"{number}", path) for number, path in enumerate(paths)))
    compile_first()
    with tempfile.TemporaryDirectory() as folder:
        stores = [_made(index, Path(folder) / dtype, dtype) for dtype in DTYPES]
        _difference(*stores)
        for store in stores:
            _reading(store)


def _made(index: Index, folder: Path, dtype: Float) -> Store:
    for jobs in (1, 0) if dtype == "float32" else (0,):
        target = folder.with_name(f"{folder.name}-{jobs}")
        began = time.perf_counter()
        prepare(index, target, dtype=dtype, jobs=jobs)
        seconds = time.perf_counter() - began
        store = Store.open(target)
        sound = sum(store.frames(name) for name in store.ids) * FRAME_SECONDS
        size = sum(path.stat().st_size for path in target.rglob("*.npy")) / sound * 3600 / 2**20
        print(
            f"prepare, {dtype}, {jobs or os.cpu_count()} jobs: {sound / seconds:.0f} times real time, {size:.0f} MiB/h"
        )
    return store


def _difference(exact: Store, rounded: Store) -> None:
    greatest, loud, count = 0.0, 0, 0
    for name in exact.ids:
        frames = exact.frames(name)
        apart = np.abs(exact.log_mel(name, 0, frames) - rounded.log_mel(name, 0, frames))
        greatest = max(greatest, float(apart.max()))
        with np.errstate(over="ignore"):
            loud += int(np.isinf(10_000 * np.asarray(rounded.power(name))).sum())
        count += apart.size
    print(f"float16: log-mel off by {greatest:.1e} at the most")
    print(f"the published expression under NumPy 2: infinite in {100 * loud / count:.2f} % of the values")


def _reading(store: Store) -> None:
    truth = Truth(store.ids, ("tag",), np.zeros((len(store.ids), 1), np.float32))
    batches = TrainingBatches(store, truth, PATCH_FRAMES, 32, 0, patches_per_track=64)
    for what, epochs in (
        ("random", (batches.epoch(number) for number in range(EPOCHS))),
        ("side by side", (fixed_batches(store, truth, PATCH_FRAMES, 32) for _ in range(EPOCHS))),
    ):
        began, patches = time.perf_counter(), 0
        for epoch in epochs:
            patches += sum(len(x) for x, _ in epoch)
        print(f"patches {what}, {store.dtype}: {patches / (time.perf_counter() - began):.0f} a second")


if __name__ == "__main__":
    main()
