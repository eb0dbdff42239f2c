"""What several inputs cost in one process: ``python -m bench.inputs [COUNT HOP [off]]``.

Each plays the demo clip in real time. Printed: processors used, by threads of engines and of sources, hops skipped, the
median over the inputs of the added latency's 99th percentile, and the largest resident memory.
"""

from __future__ import annotations

import os
import resource
import statistics
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path

import streamtag
from streamtag.tagging.options import ReactOption

SETTLE_SECONDS, MEASURED_SECONDS = 6, 20


def by_kind() -> dict[str, float]:
    """Processor seconds of this process's threads so far, by what they are for (Linux)."""
    ticks = os.sysconf("SC_CLK_TCK")
    used: dict[str, float] = defaultdict(float)
    for thread in threading.enumerate():
        fields = Path(f"/proc/self/task/{thread.native_id}/stat").read_text().rpartition(")")[2].split()
        used[thread.name.rstrip("-0123456789")] += (int(fields[11]) + int(fields[12])) / ticks
    return used


def measure(count: int, hop: float, react: ReactOption) -> None:
    """Run so many inputs, and print a line."""
    sessions = {
        f"input-{n}": streamtag.live("MSD_musicnn", "demo", loop=True, hop=hop, react=react) for n in range(count)
    }
    with streamtag.Ensemble(sessions) as ensemble:
        time.sleep(SETTLE_SECONDS)
        before, skipped = by_kind(), sum(stats.hops_skipped for stats in ensemble.stats.values())
        time.sleep(MEASURED_SECONDS)
        used = {kind: (seconds - before[kind]) / MEASURED_SECONDS for kind, seconds in by_kind().items()}
        stats = list(ensemble.stats.values())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told = ", ".join(f"{kind.removeprefix('streamtag-')} {part:.2f}" for kind, part in used.items() if part >= 0.005)
    print(
        f"{count} inputs, hop {hop:g} s, react {react}: {sum(used.values()):.2f} processors ({told}), "
        f"{sum(each.hops_skipped for each in stats) - skipped} hops skipped, added p99 "
        f"{statistics.median(each.added_p99 for each in stats):.0f} ms, {memory:.0f} MB",
        flush=True,
    )


if __name__ == "__main__":
    if len(sys.argv) > 2:
        measure(int(sys.argv[1]), float(sys.argv[2]), "off" if "off" in sys.argv else "normal")
    else:
        for arguments in (("1", "0.016"), ("8", "0.016"), ("40", "1"), ("40", "1", "off")):  # each with its own memory
            os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-m", "bench.inputs", *arguments])
