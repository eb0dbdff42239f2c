"""Play bursts of a tone at random moments and print when each was handed to the sound server (run by bench.latency).

A line a burst: seconds of `time.monotonic()`, taken as the first block of the burst is given away. The sound server's
output buffer is thereby part of what is measured.
"""

from __future__ import annotations

import queue
import random
import sys
import time
from typing import Any

import numpy as np
import sounddevice

RATE = 44_100
BURST_SECONDS = 0.1


def main() -> None:
    """Play for so many seconds."""
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(int(BURST_SECONDS * RATE)) / RATE).astype(np.float32)
    chance = random.Random(7)
    handed: queue.SimpleQueue[float] = queue.SimpleQueue()
    state = {"next": 4.0, "played": 0, "at": -1}

    def callback(out: Any, frames: int, times: Any, status: Any) -> None:
        out[:] = 0
        if state["at"] < 0 and state["played"] / RATE >= state["next"]:
            handed.put(time.monotonic())
            state["at"] = 0
        if state["at"] >= 0:
            part = tone[int(state["at"]) : int(state["at"]) + frames]
            out[: len(part)] = part[:, None]
            state["at"] += frames
            if state["at"] >= len(tone):
                state["at"] = -1
                state["next"] = state["played"] / RATE + chance.uniform(0.7, 1.3)
        state["played"] += frames

    until = time.monotonic() + float(sys.argv[1])
    with sounddevice.OutputStream(RATE, device="pulse", channels=2, latency="low", callback=callback):
        while time.monotonic() < until:
            try:
                print(f"{handed.get(timeout=0.5):.6f}", flush=True)
            except queue.Empty:
                continue


if __name__ == "__main__":
    main()
