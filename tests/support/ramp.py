"""Numbered samples through a real sound server, while Python is held: ``python -m tests.support.ramp``.

The native callback against sounddevice's ordinary one. What is missing is found in the samples themselves, whatever
the counters say.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from streamtag.realtime import callback as at
from streamtag.sources.device import Callback, DeviceSource
from tests.support.busy import python_held
from tests.support.sound_server import sound_server

RATE = 44_100
HALF = 2**22
"""Numbers from -HALF to HALF, as shares of it: 95 s long, and exact in float32 (24 bits)."""


def write_ramp(path: Path, seconds: float) -> None:
    """A WAV whose samples are their own numbers, on both channels."""
    numbers = np.arange(min(int(seconds * RATE), 2 * HALF))
    one = ((numbers - HALF) / HALF).astype(np.float32)
    soundfile.write(path, np.stack([one, one], axis=1), RATE, subtype="FLOAT")


def numbers_of(samples: NDArray[np.float32]) -> NDArray[np.int64]:
    """The numbers of samples of the ramp; what came before it and after it is left out."""
    numbers = np.rint(samples.astype(np.float64) * HALF).astype(np.int64) + HALF
    heard: NDArray[np.int64] = numbers[samples != 0]  # silence before and after (and one sample in the middle)
    return heard


def listen(callback: Callback, seconds: float, held: bool) -> dict[str, Any]:
    """Listen to the ramp, in this process; gives what came of it."""
    source = DeviceSource("pulse", callback=callback)
    parts: list[NDArray[np.float32]] = []
    source.start()
    try:
        with python_held() if held else nullcontext():
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                parts += [piece.samples for piece in source.ring.read()]
                time.sleep(0.01)
    finally:
        source.stop()
    ring = source.ring
    stamps = ring.memory[at.HEAD : at.HEAD + at.STAMP * min(ring.blocks, int(ring.memory[at.SLOTS]))]
    arrivals = np.sort(stamps.reshape(-1, at.STAMP)[:, at.ARRIVED])  # of the newest 20 s or so
    parts += [piece.samples for piece in ring.read()]
    numbers = numbers_of(np.concatenate(parts))
    steps = np.diff(numbers)
    steps = steps[~((steps == 2) & (numbers[:-1] == HALF - 1))]  # number HALF is 0, and was left out
    return {
        "native": source.native,
        "samples": len(numbers),
        "holes": int(np.count_nonzero(steps != 1)),
        "missing": int((steps[steps > 1] - 1).sum()),
        "backwards": int(np.count_nonzero(steps < 1)),
        "counted_lost": ring.lost,
        "overflows": ring.overflows,
        "longest_pause_ms": float(np.diff(arrivals).max() / 1e6),
        "largest_block": ring.block_sizes[1],
    }


def measure(callback: Callback, seconds: float, held: bool = True) -> dict[str, Any]:
    """The same with a sound server of its own, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder, sound_server() as server:
        ramp = Path(folder) / "ramp.wav"
        write_ramp(ramp, seconds + 10)
        command = [sys.executable, "-m", "tests.support.ramp", "--listen", callback, "--seconds", str(seconds)]
        listener = subprocess.Popen(
            [*command, *(["--held"] if held else [])],
            env=os.environ | server.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        player = server.play(ramp)
        out, _ = listener.communicate()
        player.kill()
        player.communicate()
        heard: dict[str, Any] = json.loads(out.splitlines()[-1])
        return heard


HEAD = ["callback", "samples heard", "missing", "reported overflows", "longest pause between blocks, ms"]


def table(seconds: float) -> list[list[str]]:
    """A row for each callback."""
    rows = []
    for callback in ("native", "python"):
        heard = measure(callback, seconds)
        numbers = (heard["samples"], heard["missing"], heard["overflows"], round(heard["longest_pause_ms"], 1))
        rows.append([callback, *map(str, numbers)])
    return rows


def main() -> None:
    """Measure both, or listen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", choices=("native", "python"))
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--held", action="store_true")
    given = parser.parse_args()
    if given.listen:
        print(json.dumps(listen(given.listen, given.seconds, given.held)))
        return
    for row in (HEAD, ["---"] * len(HEAD), *table(given.seconds)):
        print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
