"""All measurements in one run, as the Markdown that docs/performance.md shows: ``make bench``."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from bench import frames, latency, live, osc, peers
from streamtag import extractor
from streamtag.files.offline import FileTagger
from streamtag.sources.opening import demo_clip
from tests.support import ramp

MODEL = "MSD_musicnn"
LIVE_SECONDS = 60
HELD_SECONDS = 60
BURST_MINUTES = 10


def main() -> None:
    """Measure and print."""
    print(f"{platform.machine()}, {os.cpu_count()} processors; Python {platform.python_version()}\n")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        music, rate = soundfile.read(demo_clip(), dtype="float32")
        clips = {
            f"{hz} Hz, {'stereo' if stereo else 'mono'}": _clip(work, music, rate, hz, stereo)
            for hz, stereo in (
                (16_000, False),
                (22_050, True),
                (44_100, True),
                (44_100, False),
                (48_000, True),
                (96_000, True),
            )
        }
        _exactness(clips)
        _lossy(work, music, rate)
        _whole_clip(clips["44100 Hz, stereo"])
        _engine(clips["16000 Hz, mono"], work)
        _vectors(clips["16000 Hz, mono"], work)
        _processors(clips["44100 Hz, stereo"], work)
        _live(clips["44100 Hz, stereo"])
        _stage()
    print("\n## Parts\n\n```")
    frames.main()
    osc.main()
    print("```")


def _clip(work: Path, music: np.ndarray, rate: int, hz: int, stereo: bool) -> Path:
    """The demo's first 30 s as 24-bit WAV at another rate (any resampling does: both sides read this file)."""
    import resampy

    sound = music[: 30 * rate] if stereo else music[: 30 * rate].mean(axis=1, keepdims=True)
    path = work / f"clip{hz}{'s' if stereo else 'm'}.wav"
    moved = sound if hz == rate else resampy.resample(sound, rate, hz, axis=0)
    soundfile.write(path, np.clip(moved, -1, 1), hz, subtype="PCM_24")
    return path


def _exactness(clips: dict[str, Path]) -> None:
    print("## Exactness: largest difference of any tag of any patch from the published musicnn\n")
    models = ("MTT_musicnn", "MSD_musicnn", "MTT_vgg", "MSD_vgg")
    jobs = [(clip, model) for clip in clips for model in models]
    published = peers.musicnn([{"file": str(clips[clip]), "model": model} for clip, model in jobs])
    if published is None:
        return
    rows: dict[str, list[str]] = {}
    for (clip, model), theirs in zip(jobs, published, strict=True):
        ours = extractor(clips[clip], model=model, extract_features=False)[0]
        rows.setdefault(clip, []).append(f"{np.abs(ours - np.array(theirs['taggram'])).max():.1e}")
    _table(["", *models], [[clip, *row] for clip, row in rows.items()])


def _lossy(work: Path, music: np.ndarray, rate: int) -> None:
    """MP3 and Ogg through our decoders and the peer's (librosa 0.7 with today's libsndfile)."""
    print("\n## Lossy files: the same, decoders included\n")
    rows = []
    for suffix in ("mp3", "ogg"):
        path = work / f"clip.{suffix}"
        soundfile.write(path, music[: 30 * rate], rate)
        published = peers.musicnn([{"file": str(path), "model": MODEL}])
        if published is not None:
            ours = extractor(path, model=MODEL, extract_features=False)[0]
            rows.append([suffix, f"{np.abs(ours - np.array(published[0]['taggram'])).max():.1e}"])
    _table(["", MODEL], rows)


def _whole_clip(clip: Path) -> None:
    print("\n## A clip of 30 s (44.1 kHz, stereo), seconds\n")
    tagger = FileTagger(MODEL, 187, 187)
    tagger.warm_up()
    api = statistics.median(_seconds(lambda: tagger.tag(clip)) for _ in range(5))
    cold = statistics.median(
        _command([sys.executable, "-m", "streamtag", "file", str(clip), "--model", MODEL]) for _ in range(3)
    )
    rows = [["Python, models loaded", f"{api:.2f}", "", ""], ["command line, cold", f"{cold:.2f}", "", ""]]
    published = peers.musicnn([{"file": str(clip), "model": MODEL}] * 3)
    python = peers.python_of("musicnn")
    if published is not None and python is not None:
        theirs = statistics.median(job["seconds"] for job in published[1:])
        command = [python, "-m", "musicnn.tagger", str(clip), "--model", MODEL, "--print"]
        theirs_cold = statistics.median(_command(command) for _ in range(3))
        for row, own, other in zip(rows, (api, cold), (theirs, theirs_cold), strict=True):
            row[2:] = [f"{other:.2f}", f"{other / own:.1f}"]
    _table(["", "streamtag", "musicnn 0.1.0", "ratio"], rows)


def _engine(clip: Path, work: Path) -> None:
    print("\n## The engine: milliseconds for each vector of tags, one thread, frames given\n")
    figures = work / "sliding.json"
    command = [sys.executable, "-m", "bench.sliding", "--json", str(figures)]
    detail = subprocess.run(peers.pinned(command), check=True, capture_output=True, text=True).stdout
    measured = json.loads(figures.read_text())
    essentia = peers.essentia_ms(clip, [1, 8, 16, 187], work) or {}
    rows = []
    for hop, ours in measured["sliding"].items():
        row = [f"{hop} ({int(hop) * 16} ms)", f"{ours:.2f}"]
        for other in (measured["full_patch"], essentia.get(int(hop))):
            row += [f"{other:.1f}", f"{other / ours:.1f}"] if other else ["-", "-"]
        rows.append(row)
    _table(
        ["hop, frames", "sliding", "TensorFlow, full patch", "ratio", "Essentia (its frames included)", "ratio"], rows
    )
    print(f"\n```\n{detail.strip()}\n```")


def _vectors(clip: Path, work: Path) -> None:
    print("\n## From a 16 kHz file: milliseconds for each vector of tags, frames included, all processors\n")
    sound, rate = soundfile.read(clip, dtype="float32")
    rows = []
    for hop in (187, 93, 8, 1):
        piece = clip
        if hop < 93:  # the peer needs enough vectors in a few seconds, and no more
            piece = work / "piece.wav"
            soundfile.write(piece, sound[: int(rate * (3 + 0.016 * hop * 96))], rate, subtype="PCM_24")
        tagger = FileTagger(MODEL, 187, hop)
        tagger.warm_up()
        vectors = len(tagger.tag(piece).taggram)
        ours = statistics.median(_seconds(partial(tagger.tag, piece)) for _ in range(5)) / vectors * 1e3
        published = peers.musicnn([{"file": str(piece), "model": MODEL, "overlap": (hop * 256 + 256) / 16_000}] * 2)
        row = [f"{hop} ({hop * 16} ms)", f"{ours:.2f}"]
        theirs = published and published[1]["seconds"] / vectors * 1e3
        rows.append([*row, *((f"{theirs:.1f}", f"{theirs / ours:.1f}") if theirs else ("-", "-"))])
    _table(["hop, frames", "streamtag", "musicnn 0.1.0", "ratio"], rows)


def _processors(clip: Path, work: Path) -> None:
    if not hasattr(os, "sched_setaffinity"):
        return
    print("\n## A file of 10 minutes (44.1 kHz, stereo), seconds\n")
    sound, rate = soundfile.read(clip, dtype="int16")
    long = work / "long.wav"
    soundfile.write(long, np.tile(sound, (20, 1)), rate)
    every = os.sched_getaffinity(0)
    rows = []
    for hop in (187, 1):
        times = []
        for processors in ({min(every)}, every):
            os.sched_setaffinity(0, processors)  # also for the threads that are made from here on
            tagger = FileTagger(MODEL, 187, hop, workers=len(processors))
            tagger.warm_up()
            times.append(min(_seconds(partial(tagger.tag, long)) for _ in range(3)))
        rows.append([f"hop {hop}", *(f"{seconds:.2f}" for seconds in times), f"{times[0] / times[1]:.2f}"])
    _table(["", "one processor", f"{len(every)} processors", "ratio"], rows)


def _live(clip: Path) -> None:
    print(f"\n## Live: {LIVE_SECONDS} s at the default hop (16 ms) from a PulseAudio null sink's monitor\n")
    figures = live.measure(clip, LIVE_SECONDS)
    if figures is None:
        return
    counters = ["seconds", "hops", "hops_skipped", "samples_lost", "overflows", "load", "processor"]
    percentiles = [f"{what}_{percentile}" for what in ("latency", "added") for percentile in ("p50", "p99", "p999")]
    _table(["", ""], [[name, f"{figures[name]:.4g}"] for name in (*counters, *percentiles)])
    print("\nLatency: from the capture of the newest sample (as PortAudio tells it) to the tags being sent, in ms;")
    print("added: from when that sample came to streamtag. load, processor: share of a core, of the engine and of all.")


def _stage() -> None:
    if not live.can_be_measured():
        return
    print(f"\n## Numbered samples for {HELD_SECONDS} s while a thread holds Python in slices of 50 ms\n")
    _table(ramp.HEAD, ramp.table(HELD_SECONDS))
    print(f"\n## Bursts of a tone for {BURST_MINUTES} minutes: from the burst to the datagram, ms (hop 16 ms)\n")
    _table(latency.HEAD, latency.table(BURST_MINUTES * 60))


def _seconds(work: Any) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _command(command: list[str]) -> float:
    env = {**os.environ, **peers.QUIET}
    return _seconds(lambda: subprocess.run(command, check=True, capture_output=True, env=env))


def _table(head: list[str], rows: list[list[str]]) -> None:
    for row in (head, ["---"] * len(head), *rows):
        print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
