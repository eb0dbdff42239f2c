"""The real program on a real sound server for as long as you like, with faults at random: ``make soak MINUTES=60``.

Everything is real: PulseAudio, music, sockets, pipes. At the end the counters must add up, memory must be flat, and no
thread and no open file may be left.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import soundfile
from platformdirs import user_cache_path

from bench.stage import FAULTS, Moody, Reader, Receiver, Stage
from streamtag._system.stderr import c_libraries_silent, keep_stderr_for_python
from streamtag.engine import Session
from streamtag.opening import live
from streamtag.osc.control import ControlPort
from streamtag.osc.sink import OscSink
from streamtag.results import State, Stats
from streamtag.sinks.background import Background
from streamtag.sinks.base import Sink
from streamtag.sinks.lines import JsonLines
from streamtag.sinks.throttled import Throttled
from streamtag.sources.opening import demo_clip
from tests.support.sound_server import SoundServer, sound_server

BACK_SECONDS = 30.0
"""A fault after which the session is not back so soon has failed the soak."""
SAMPLE_SECONDS = 5.0
SETTLED_SHARE = 0.25
"""Memory of the first quarter is left out of the slope: caches fill, and allocators keep what they once got."""
SLOPE_SECONDS = 1800.0
"""In less time memory has not settled: only that it stays within bounds can be told."""
MOST_GROWTH_MB = 100.0
FLAT_MB_PER_HOUR = 6.0


def resident_mb() -> float:
    """Memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def open_files() -> list[str]:
    """What this process has open."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(entry.readlink()))
        except OSError:  # the folder's own
            continue
    return sorted(found)


def threads() -> list[str]:
    """Threads of this process, those of libraries without Python included."""
    return sorted((task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir())


class Memory(threading.Thread):
    """Notes the memory and the open files every few seconds."""

    def __init__(self) -> None:
        super().__init__(name="soak-memory", daemon=True)
        self.over = threading.Event()
        self.noted: list[tuple[float, float, int]] = []

    def run(self) -> None:
        """Note."""
        while not self.over.wait(SAMPLE_SECONDS):
            self.noted.append((time.monotonic(), resident_mb(), len(open_files())))

    def slope(self) -> tuple[float, float]:
        """MB an hour, and its standard error."""
        part = np.array(self.noted[int(len(self.noted) * SETTLED_SHARE) :])
        if len(part) < 8:
            return 0.0, 0.0
        hours = (part[:, 0] - part[0, 0]) / 3600
        (slope, _), covariance = np.polyfit(hours, part[:, 1], 1, cov=True)
        return float(slope), float(covariance[0, 0] ** 0.5)

    def is_flat(self) -> bool:
        """Whether the slope is within its noise; of a short run, whether memory stayed within bounds."""
        (began, first, _), (ended, last, _) = self.noted[0], self.noted[-1]
        slope, error = self.slope()
        if ended - began < SLOPE_SECONDS:
            return last - first < MOST_GROWTH_MB
        return slope < max(3 * error, FLAT_MB_PER_HOUR)


def back(stage: Stage, until: float) -> bool:
    """Wait until the session runs and frames come again."""
    told = stage.moody.told
    while time.monotonic() < until:
        if stage.session.stats.state is State.RUNNING and stage.moody.told > told + 3:
            return True
        time.sleep(0.01)
    return False


def run(minutes: float, seed: int) -> bool:
    """Soak, and say how it went. Returns whether all is well."""
    chance = random.Random(seed)
    print(f"seed {seed}, {minutes:g} minutes", flush=True)
    with tempfile.TemporaryDirectory() as folder, sound_server() as server:
        # processes that are given the server's HOME find the kernels that this user has compiled, too
        os.environ.setdefault("NUMBA_CACHE_DIR", str(user_cache_path("streamtag")))
        os.environ.update(server.env)
        samples, rate = soundfile.read(demo_clip())
        music = Path(folder) / "music.wav"
        soundfile.write(music, samples, rate)
        with live(input="pulse", hop=0.016) as warm:  # what libraries open once and for all is open after this
            warm.wait(1)
        gc.collect()
        files_before, threads_before = open_files(), threads()
        ok = _soak(minutes, chance, server, music)
        gc.collect()
        left = Counter(open_files()) - Counter(files_before)
        left_threads = Counter(threads()) - Counter(threads_before)
        print(f"open files left: {dict(left) or 'none'}; threads left: {dict(left_threads) or 'none'}")
        ok &= not left and not left_threads
    print("PASSED" if ok else "FAILED", flush=True)
    return ok


def _soak(minutes: float, chance: random.Random, server: SoundServer, music: Path) -> bool:
    receiver = Receiver()
    receiver.start()
    reading, writing = os.pipe()
    reader = Reader(reading)
    reader.start()
    moody, control, memory = Moody(), ControlPort("127.0.0.1", 0), Memory()
    pipe = os.fdopen(writing, "w")
    lines = Background(JsonLines(pipe))
    sinks: list[Sink] = [Throttled(OscSink("127.0.0.1", receiver.port), 30), lines, moody]
    session = live(input="pulse", hop=0.016, sinks=sinks, control=control)
    faults: Counter[str] = Counter()
    slowest: dict[str, float] = {}
    failures: list[str] = []
    began = time.monotonic()
    session.start()
    memory.start()
    stage = Stage(server, music, session, moody, reader, receiver, control, chance)
    with stage.player:
        stage.play()
        while time.monotonic() - began < minutes * 60:
            if not back(stage, time.monotonic() + BACK_SECONDS):
                failures.append(f"{time.monotonic() - began:.0f} s: not back; {session.stats}")
                break
            stage.pause(1, 8)
            fault = chance.choice(FAULTS)
            name = (fault.__doc__ or "").rstrip(".")
            fault(stage)
            over = time.monotonic()
            returned = back(stage, over + BACK_SECONDS)
            seconds = time.monotonic() - over
            faults[name] += 1
            slowest[name] = max(slowest.get(name, 0.0), seconds)
            stats = session.stats
            print(
                f"{over - began:7.1f} s  {name}: back after {seconds:.2f} s; {stats.samples_lost} samples lost, "
                f"{stats.gaps} gaps of {stats.gap_seconds:.1f} s, {stats.hops_skipped} hops skipped, "
                f"{resident_mb():.0f} MB",
                flush=True,
            )
            if not returned:
                failures.append(f"{name}: not back after {BACK_SECONDS:g} s; {session.stats}")
    error: BaseException | None = None
    session.stop()
    try:
        session.wait()
    except RuntimeError as raised:  # moody's: it must surface, and nothing else may
        error = raised
    memory.over.set()
    memory.join()
    receiver.over = True
    receiver.join()
    pipe.close()
    reader.join()
    stats = session.stats
    return _report(session, stats, memory, faults, slowest, failures, error, reader, lines)


def _report(
    session: Session,
    stats: Stats,
    memory: Memory,
    faults: Counter[str],
    slowest: dict[str, float],
    failures: list[str],
    error: BaseException | None,
    reader: Reader,
    lines: Background,
) -> bool:
    print("\n| fault | times | slowest return, s |\n| --- | --- | --- |")
    for name, count in sorted(faults.items()):
        print(f"| {name} | {count} | {slowest[name]:.2f} |")
    slope, error_of_slope = memory.slope()
    frames = stats.hops + stats.hops_gated + stats.hops_skipped + stats.hops_lost
    # every frame that was judged or rested, but not while paused, became a line; so did each that told of an input gone
    checks = {
        f"samples captured {stats.samples_captured} = tagged {stats.samples_in} + lost {stats.samples_lost}": (
            stats.samples_captured == stats.samples_in + stats.samples_lost
        ),
        f"hops {session.tagger.next_index} = judged {stats.hops} + rested {stats.hops_gated} "
        f"+ skipped {stats.hops_skipped} + in gaps {stats.hops_lost}": session.tagger.next_index == frames,
        f"lines read {reader.lines}, torn {reader.torn}, not taken {lines.drops}": reader.torn == 0,
        f"memory {memory.noted[0][1]:.0f} MB at first, {memory.noted[-1][1]:.0f} MB at last, slope {slope:+.1f} MB/h "
        f"(standard error {error_of_slope:.1f})": memory.is_flat(),
        f"open files {min(n for *_, n in memory.noted)} to {max(n for *_, n in memory.noted)}": True,
        f"the sink's error surfaced at the end: {error!r}": (error is not None) == bool(stats.sink_errors),
        f"not back in time: {failures or 'never'}": not failures,
    }
    print()
    for said, good in checks.items():
        print(f"- {'ok' if good else 'NOT OK'}: {said}")
    print(
        f"\n{stats.seconds:.0f} s heard; {stats.gaps} gaps of {stats.gap_seconds:.1f} s; {stats.overflows} overflows; "
        f"{stats.clock_jumps} clock jumps; not taken {stats.sink_drops}; commands {stats.control_commands}, ignored "
        f"{stats.control_ignored}; latency p50 {stats.latency_p50:.1f}, p99 {stats.latency_p99:.1f} ms; added p50 "
        f"{stats.added_p50:.1f}, p99 {stats.added_p99:.1f} ms"
    )
    return all(checks.values())


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=None)
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(10**6)
    keep_stderr_for_python(lambda: False)
    with c_libraries_silent():  # as the command line does
        good = run(given.minutes, seed)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
