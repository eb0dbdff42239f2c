"""Twenty inputs of all kinds in one process, with faults at random: ``python -m bench.soak_inputs --minutes 60``.

Six stations of a real Icecast, six pipes, four channels of one device of a real PulseAudio, four files, one of which
ends at once. Whatever happens to one kind, the others go on; what was away is back; at the end all counters add up,
memory is flat, and no thread and no open file is left.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile
from platformdirs import user_cache_path

from bench.soak import BACK_SECONDS, Memory, open_files, resident_mb, threads
from streamtag._system.stderr import c_libraries_silent, keep_stderr_for_python
from streamtag.engine import Session
from streamtag.ensemble import Ensemble
from streamtag.opening import open_session
from streamtag.results import State
from streamtag.sources.opening import demo_clip
from streamtag.tagging.options import LIVE_MODEL, TaggingOptions
from tests.support.hear import write_tones
from tests.support.icecast import Broadcast, Icecast
from tests.support.sound_server import SoundServer, sound_server

STATIONS, PIPES, PAIRS, FILES = 6, 6, 4, 4
HOP_SECONDS = 1.0
LATE_SECONDS = 30.0
RATES = (22_050, 44_100, 48_000)
KINDS = ("wav", "flac", "ogg", "mp3")


class Writer(threading.Thread):
    """Writes to a FIFO, one file after the other, each of another kind and at another pace."""

    def __init__(self, path: Path, music: dict[str, bytes], chance: random.Random) -> None:
        super().__init__(name="soak-writer", daemon=True)
        self.over, self.leaves, self.stalls = threading.Event(), threading.Event(), threading.Event()
        self._path, self._music, self._chance = path, music, chance

    def run(self) -> None:
        """Write to the end."""
        while not self.over.is_set():
            data = self._music[self._chance.choice(KINDS)]
            # seconds of 200; none: as fast as the pipe takes it; a tenth: in bursts
            pause = self._chance.choice((0.0, 0.02, 0.02, 0.5))
            size = int(len(data) / 32 * max(pause, 0.02))
            try:
                with self._path.open("wb", buffering=0) as pipe:
                    for begin in range(0, len(data), size):
                        while self.stalls.is_set() and not self.over.wait(0.1):
                            pass
                        if self.over.is_set() or self.leaves.is_set():
                            break
                        pipe.write(data[begin : begin + size])
                        self.over.wait(pause)
            except OSError:  # nobody reads it just now
                self.over.wait(0.1)
            self.leaves.clear()
            self.over.wait(0.3)  # what a program needs to start, and Python to notice on a machine that is busy

    def end(self) -> None:
        """Write no more: also where it waits for a reader, or for room."""
        self.over.set()
        until = time.monotonic() + 10
        while self.is_alive() and time.monotonic() < until:
            reading = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
            self.join(0.1)
            os.close(reading)


class Hall:
    """All that is heard, and what may happen to it."""

    def __init__(self, folder: Path, server: SoundServer, icecast: Icecast, chance: random.Random) -> None:
        self.server, self.icecast, self.chance = server, icecast, chance
        self.stations = {f"station-{n}": self._broadcast(n) for n in range(STATIONS)}
        music = encoded(folder)
        self.writers: dict[str, Writer] = {}
        for n in range(PIPES):
            path = folder / f"pipe-{n}"
            os.mkfifo(path)
            self.writers[path.name] = Writer(path, music, chance)
            self.writers[path.name].start()

    def _broadcast(self, number: int) -> Broadcast:
        return Broadcast(self.icecast, f"station-{number}.mp3", self.chance.choice(RATES), 200 * (number + 1))

    def pause(self, least: float, most: float) -> None:
        """Let time pass."""
        time.sleep(self.chance.uniform(least, most))

    # each gives the kind of input that it befalls

    def icecast_is_killed(self) -> str:
        """Icecast is killed, and started again."""
        self.icecast.kill()
        for station in self.stations.values():
            station.end()
        self.pause(0, 5)
        self.icecast.start()
        self.stations = {f"station-{n}": self._broadcast(n) for n in range(STATIONS)}
        return "station"

    def icecast_hangs(self) -> str:
        """Icecast hangs."""
        self.icecast.process.send_signal(signal.SIGSTOP)
        self.pause(1, 14)
        self.icecast.process.send_signal(signal.SIGCONT)
        return "station"

    def a_station_sends_nothing(self) -> str:
        """A station sends nothing for a while."""
        station = self.chance.choice(list(self.stations.values()))
        station.flows.clear()
        self.pause(1, 14)
        station.flows.set()
        return "station"

    def a_station_comes_back_otherwise(self) -> str:
        """A station leaves, and comes back at another rate."""
        name = self.chance.choice(list(self.stations))
        self.stations[name].end()
        self.pause(0, 3)
        self.stations[name] = self._broadcast(int(name[-1]))
        return "station"

    def a_writer_leaves(self) -> str:
        """A pipe's writer leaves in the middle, and another comes with something else."""
        self.chance.choice(list(self.writers.values())).leaves.set()
        return "pipe"

    def a_writer_stalls(self) -> str:
        """A pipe's writer stalls."""
        writer = self.chance.choice(list(self.writers.values()))
        writer.stalls.set()
        self.pause(1, 8)
        writer.stalls.clear()
        return "pipe"

    def pulseaudio_is_killed(self) -> str:
        """PulseAudio is killed, and started again."""
        self.server.stop(signal.SIGKILL)
        self.pause(0, 3)
        self.server.start()
        add_desk(self.server)
        return "pair"

    def pulseaudio_hangs(self) -> str:
        """PulseAudio hangs."""
        self.server.freeze()
        self.pause(1, 5)
        self.server.thaw()
        return "pair"

    def close(self) -> None:
        """End all of it."""
        for station in self.stations.values():
            station.flows.set()
            station.end()
        for writer in self.writers.values():
            writer.end()


FAULTS: tuple[Callable[[Hall], str], ...] = (
    Hall.icecast_is_killed,
    Hall.icecast_hangs,
    Hall.a_station_sends_nothing,
    Hall.a_station_comes_back_otherwise,
    Hall.a_writer_leaves,
    Hall.a_writer_stalls,
    Hall.pulseaudio_is_killed,
    Hall.pulseaudio_hangs,
)


def add_desk(server: SoundServer) -> None:
    """An output of four channels, whose monitor is a desk."""
    channels = ["channels=4", "channel_map=front-left,front-right,rear-left,rear-right"]
    server.control("load-module", "module-null-sink", "sink_name=desk", "rate=48000", *channels)


@contextmanager
def playing_to_desk(server: SoundServer, folder: Path) -> Iterator[None]:
    """Another tone on each of its channels, again and again, also when the server was away meanwhile."""
    tones = write_tones(folder / "tones.wav", 4)
    script = 'while :; do paplay --device=desk --no-remix "$1" || sleep 0.1; done'
    player = subprocess.Popen(
        ["sh", "-c", script, "sh", str(tones)],
        env=os.environ | server.env,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        os.killpg(player.pid, signal.SIGKILL)
        player.wait()


def encoded(folder: Path) -> dict[str, bytes]:
    """The demo clip as files of each kind."""
    samples, rate = soundfile.read(demo_clip())
    found = {}
    for kind in KINDS:
        path = folder / f"music.{kind}"
        soundfile.write(path, samples, rate)
        found[kind] = path.read_bytes()
    return found


def opened(folder: Path, icecast: Icecast) -> dict[str, Session]:
    """All sessions."""
    options = TaggingOptions(model=LIVE_MODEL, hop=HOP_SECONDS, react="normal", level="auto", music="tell")
    short = folder / "short.wav"
    soundfile.write(short, np.zeros(44_100), 44_100)
    asked: dict[str, tuple[str, tuple[int, ...] | None]] = {}
    asked |= {f"station-{n}": (icecast.address(f"station-{n}.mp3"), None) for n in range(STATIONS)}
    asked |= {f"pipe-{n}": (str(folder / f"pipe-{n}"), None) for n in range(PIPES)}
    asked |= {f"pair-{n}": ("desk.monitor", (n + 1,)) for n in range(PAIRS)}
    asked |= {f"file-{n}": (str(short if n == 0 else demo_clip()), None) for n in range(FILES)}
    sessions: dict[str, Session] = {}
    for name, (given, channels) in asked.items():
        loop = name.startswith("file") and name != "file-0"
        sessions[name] = open_session(options, given, channels=channels, loop=loop, beside=sessions.values())
    return sessions


class Watch(threading.Thread):
    """Notes which inputs were not running, and what for."""

    def __init__(self, ensemble: Ensemble) -> None:
        super().__init__(name="soak-watch", daemon=True)
        self.over = threading.Event()
        self.troubled: Counter[tuple[str, str]] = Counter()
        self._ensemble = ensemble

    def run(self) -> None:
        """Look, ten times a second."""
        while not self.over.wait(0.1):
            for name, session in self._ensemble.sessions.items():
                if session.stats.state is State.RECOVERING:
                    self.troubled[name, session.stats.trouble or ""] += 1

    def take(self) -> dict[str, str]:
        """Which inputs were troubled since the last time, and how."""
        found, self.troubled = self.troubled, Counter()
        return dict(found.keys())


def back(ensemble: Ensemble, until: float) -> list[str]:
    """Wait until all run and go on; gives those that do not."""
    before = {name: session.stats.seconds for name, session in ensemble.sessions.items()}
    left = [name for name in before if name != "file-0"]
    while left and time.monotonic() < until:
        time.sleep(0.1)
        left = [
            name
            for name in left
            if ensemble[name].stats.state is not State.RUNNING or ensemble[name].stats.seconds < before[name] + 0.5
        ]
    return left


def run(minutes: float, seed: int) -> bool:
    """Soak, and say how it went. Returns whether all is well."""
    chance = random.Random(seed)
    print(f"seed {seed}, {minutes:g} minutes", flush=True)
    with tempfile.TemporaryDirectory() as given, sound_server() as server:
        folder = Path(given)
        os.environ.setdefault("NUMBA_CACHE_DIR", str(user_cache_path("streamtag")))
        os.environ.update(server.env)
        os.environ.pop("PULSE_SOURCE", None)
        add_desk(server)
        icecast = Icecast()
        with playing_to_desk(server, folder):
            hall = Hall(folder, server, icecast, chance)
            warm = Ensemble(opened(folder, icecast))  # what libraries open once and for all is open after this
            with warm:
                warm.wait(2)
            gc.collect()
            files_before, threads_before = open_files(), threads()
            good = _soak(minutes, chance, Ensemble(opened(folder, icecast)), hall)
            gc.collect()
            time.sleep(1)
            left, left_threads = (
                Counter(open_files()) - Counter(files_before),
                Counter(threads()) - Counter(threads_before),
            )
            left = Counter({name: count for name, count in left.items() if "socket" not in name and "pipe" not in name})
            print(f"open files left: {dict(left) or 'none'}; threads left: {dict(left_threads) or 'none'}")
            good &= not left and not left_threads
            hall.close()
        icecast.close()
    print("PASSED" if good else "FAILED", flush=True)
    return good


def _soak(minutes: float, chance: random.Random, ensemble: Ensemble, hall: Hall) -> bool:
    memory, watch = Memory(), Watch(ensemble)
    faults: Counter[str] = Counter()
    slowest: dict[str, float] = {}
    failures: list[str] = []
    befallen: dict[str, float] = {}
    began, used = time.monotonic(), time.process_time()
    ensemble.start()
    memory.start()
    watch.start()
    while time.monotonic() - began < minutes * 60 and not failures:
        if left := back(ensemble, time.monotonic() + BACK_SECONDS):
            failures.append(f"not back: {[(name, ensemble[name].stats.trouble) for name in left]}")
            break
        hall.pause(1, 6)
        watch.take()
        fault = chance.choice(FAULTS)
        name = (fault.__doc__ or "").rstrip(".")
        kind = fault(hall)
        over = time.monotonic()
        left = back(ensemble, over + BACK_SECONDS)
        seconds = time.monotonic() - over
        faults[name] += 1
        slowest[name] = max(slowest.get(name, 0.0), seconds)
        befallen[kind] = over
        # what a station has sent before is heard for some seconds yet; a pipe's writer comes and goes all the time
        expected = ("pipe", *(each for each, when in befallen.items() if time.monotonic() - when < LATE_SECONDS))
        others = [f"{each}: {said}" for each, said in watch.take().items() if not each.startswith(expected)]
        print(f"{over - began:7.1f} s  {name}: back after {seconds:.1f} s, {resident_mb():.0f} MB", flush=True)
        if left:
            failures.append(f"{name}: not back: {[(each, ensemble[each].stats.trouble) for each in left]}")
        if others:
            failures.append(f"{name}: also {', '.join(others)}")
    seconds, used = time.monotonic() - began, time.process_time() - used
    watch.over.set()
    watch.join()
    ensemble.stop()
    ensemble.wait()
    memory.over.set()
    memory.join()
    print("\n| fault | times | slowest return, s |\n| --- | --- | --- |")
    for name, count in sorted(faults.items()):
        print(f"| {name} | {count} | {slowest[name]:.1f} |")
    print(f"\n{used / seconds:.2f} processors on the whole, the stations and writers of the soak among them")
    return _adds_up(ensemble, memory, failures)


def _adds_up(ensemble: Ensemble, memory: Memory, failures: list[str]) -> bool:
    """Print what must be so. Returns whether it is."""
    wrong = []
    for name, session in ensemble.sessions.items():
        stats = session.stats
        frames = stats.hops + stats.hops_gated + stats.hops_skipped + stats.hops_lost
        if stats.samples_captured != stats.samples_in + stats.samples_lost:
            wrong.append(f"{name}: captured {stats.samples_captured}, in {stats.samples_in}, lost {stats.samples_lost}")
        if session.tagger.next_index != frames:
            wrong.append(f"{name}: {session.tagger.next_index} hops, and {frames} of known fate")
        if stats.state is not State.FINISHED:
            wrong.append(f"{name}: {stats.state.value}: {stats.trouble}")
        print(
            f"{name:10} {stats.seconds:6.0f} s, {stats.gaps} gaps of {stats.gap_seconds:.1f} s, {stats.hops_skipped} "
            f"hops skipped, {stats.samples_lost} samples lost, added p99 {stats.added_p99:.0f} ms"
        )
    slope, error = memory.slope()
    checks = {
        f"samples and hops of {len(ensemble)} inputs add up: {wrong or 'yes'}": not wrong,
        f"memory {memory.noted[0][1]:.0f} MB at first, {memory.noted[-1][1]:.0f} MB at last, slope {slope:+.1f} MB/h "
        f"(standard error {error:.1f})": memory.is_flat(),
        f"failures: {failures or 'none'}": not failures,
    }
    for said, good in checks.items():
        print(f"- {'ok' if good else 'NOT OK'}: {said}")
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
