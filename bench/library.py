"""What a library costs, and what kills do to it: ``python -m bench.library [--files 3000] [--kills SECONDS] [--ray]``.

Files of 3 s of noise are made and tagged by the command; an unchanged run and a search follow; then what the process of
the command does for each row, and the index of `search` beside an exact one. At last two runs at once are killed at
random for so many seconds, and the rows compared with the undisturbed ones.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from streamtag.dsp.params import PATCH_FRAMES
from streamtag.library import index
from streamtag.library.hearing import Ear, Heard
from streamtag.library.known import Known
from streamtag.library.rows import File
from streamtag.library.settings import Settings
from streamtag.library.store import Store
from streamtag.library.tag import tag_library
from streamtag.library.vectors import unit
from streamtag.sources.opening import demo_clip

RATE = 16_000
CLUSTERS, UNITS, TOP, QUERIES = 200, 200, 20, 40
DIFFERS = ("tagged", "version")


def command(*arguments: object) -> list[str]:
    """`streamtag library ...` as a process."""
    return [sys.executable, "-m", "streamtag", "library", *map(str, arguments)]


def make_files(folder: Path, count: int) -> None:
    """Files of 3 s, 50 in a folder."""
    chance = np.random.default_rng(0)
    for number in range(count):
        (folder / str(number // 50)).mkdir(parents=True, exist_ok=True)
        noise = chance.normal(0, 0.1, 3 * RATE + number % 100)
        soundfile.write(folder / str(number // 50) / f"{number}.wav", noise, RATE)


def timed(*arguments: object) -> None:
    """Run a command, and say how long it took and how much memory its process had."""
    began, memory = time.monotonic(), 0.0
    process = subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def watch() -> None:
        nonlocal memory
        while process.poll() is None:
            memory = max(memory, resident(process.pid))
            time.sleep(0.2)

    watcher = threading.Thread(target=watch)
    watcher.start()
    said, _ = process.communicate()
    watcher.join()
    took = time.monotonic() - began
    named = f"{arguments[0]}{' --ray' if '--ray=auto' in arguments else ''}"
    last = said.strip().splitlines()[-1].strip()
    print(f"- {named}: {took:.1f} s, {memory:.0f} MB in its process; it says: {last}", flush=True)


def resident(pid: int) -> float:
    """Megabytes that a process has in memory (Linux; 0 elsewhere)."""
    try:
        line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    except (OSError, StopIteration):
        return 0.0
    return int(line.split()[1]) / 1024


def rows(folder: Path) -> tuple[dict[str, Any], int]:
    """The rows that hold, by path, without what differs from run to run; and how many are written."""
    store, found, count = Store(folder), {}, 0
    for part, numbers in Known(store).live():
        table = store.read(part)
        count += len(table)
        for row in table.take(numbers).to_pylist():
            found[row["path"]] = {name: value for name, value in row.items() if name not in DIFFERS}
    return found, count


def kills(music: Path, folder: Path, undisturbed: Path, seconds: float) -> bool:
    """Two runs at once, killed at random, again and again; then to the end."""
    chance, count, began = random.Random(3), 0, time.monotonic()
    run = command("tag", music, "--out", folder, "--jobs", 1)
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    while time.monotonic() - began < seconds:
        processes = [subprocess.Popen(run, **quiet) for _ in range(2)]
        time.sleep(chance.uniform(1, 9))
        for process in processes:
            process.kill() if chance.random() < 0.7 else process.terminate()
            process.wait()
            count += 1
    for process in [subprocess.Popen(run, **quiet) for _ in range(2)]:
        process.wait()
    (found, written), (expected, _) = rows(folder), rows(undisturbed)
    same = found == expected and written == len(expected)
    print(f"- {count} runs killed, two at a time: {len(found)} rows, {written} written; the same: {same}", flush=True)
    return same


class AtOnce:
    """Hears in no time: what is left is the command's own work."""

    fetches = True

    def __init__(self, settings: Settings) -> None:
        chance = np.random.default_rng(0)
        tags, units = (chance.random(size).astype(np.float32) for size in (len(settings.labels), UNITS))
        self._heard = Heard(3.0, RATE, 1, "none", tags=tags, tags_max=tags, features={settings.features[0]: units})

    def hear(self, path: str) -> Heard:
        """The same for all."""
        return replace(self._heard, sha256=path)

    def close(self) -> None:
        """Nothing."""


class Nobody:
    """Is told, and does nothing."""

    def found(self, files: int) -> None:
        """Nothing."""

    def done(self, what: str, file: File, heard: Heard) -> None:
        """Nothing."""

    def said(self, text: str) -> None:
        """Nothing."""


def own_work(music: Path, folder: Path, count: int) -> None:
    """What is decided and written for a row."""
    settings = Settings.chosen("MTT_musicnn", PATCH_FRAMES, PATCH_FRAMES, "off", (), (), windows=False)
    store, used = Store.begun(folder, settings), time.process_time()
    tag_library([music], store, AtOnce(settings), Nobody(), jobs=2)
    used = time.process_time() - used
    print(f"- deciding and writing: {1000 * used / count:.2f} ms a row", flush=True)


def long_track(folder: Path, seconds: int = 240) -> None:
    """What hearing a track of common length costs a processor: the demo clip again and again, as MP3."""
    path = folder / "long.mp3"
    repeated = ["ffmpeg", "-v", "error", "-stream_loop", "-1", "-i", str(demo_clip()), "-t", str(seconds)]
    subprocess.run([*repeated, "-ar", "44100", "-ac", "2", "-b:a", "192k", str(path)], check=True)
    ear = Ear(Settings.chosen("MTT_musicnn", PATCH_FRAMES, PATCH_FRAMES, "off", (), (), windows=False))
    ear.warm_up()
    used = []
    for _ in range(3):
        began = time.process_time()
        ear.hear(path)
        used.append(time.process_time() - began)
    print(f"- a track of {seconds} s, MP3 of 192 kb/s: {min(used):.2f} s of a processor", flush=True)


def searches(folder: Path, count: int) -> None:
    """The index beside an exact search, among made-up vectors around some centres."""
    chance = np.random.default_rng(0)
    centres = chance.normal(size=(CLUSTERS, UNITS))
    matrix = unit(centres[chance.integers(CLUSTERS, size=count)] + chance.normal(0, 0.7, (count, UNITS)))
    path, began = folder / "made-up.faiss", time.monotonic()
    index.write_index(path, matrix)
    built, found, quick, exact = time.monotonic() - began, [], [], []
    for number in range(0, count, count // QUERIES):
        began = time.monotonic()
        some, _ = index.nearest_in(path, matrix, matrix[number], TOP)
        quick.append(time.monotonic() - began)
        began = time.monotonic()
        best = np.argsort(-(matrix @ matrix[number]), kind="stable")[:TOP]
        exact.append(time.monotonic() - began)
        found.append(np.isin(best, some).mean())
    size, times = path.stat().st_size / 1e6, [1000 * np.median(each) for each in (quick, exact)]
    print(f"- index of {count:,}: made in {built:.0f} s, {size:.0f} MB; {times[0]:.0f} ms, exact {times[1]:.0f} ms")
    print(f"- of {TOP} nearest it finds {np.mean(found):.2f}", flush=True)


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=3000)
    parser.add_argument("--kills", type=float, default=110, help="seconds")
    parser.add_argument("--vectors", type=int, default=400_000)
    parser.add_argument("--ray", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as where:
        folder = Path(where)
        music, library = folder / "music", folder / "library"
        make_files(music, given.files)
        print(f"{given.files} files of 3 s, {os.cpu_count()} processors")
        timed("tag", music, "--out", library)
        size = sum(path.stat().st_size for path in (library / "tracks").rglob("*.parquet"))
        print(f"- {size / given.files / 1000:.1f} kB a row")
        timed("tag", music, "--out", library)
        timed("search", library, "--like", music / "0" / "7.wav", "--top", 1)
        if given.ray:
            timed("tag", music, "--out", folder / "ray", "--ray=auto", "--jobs", os.cpu_count() or 1)
            print(f"- the same rows: {rows(folder / 'ray')[0] == rows(library)[0]}")
        long_track(folder)
        own_work(music, folder / "own", given.files)
        searches(folder, given.vectors)
        good = kills(music, folder / "killed", library, given.kills) if given.kills else True
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
