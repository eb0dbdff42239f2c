"""Make labelled clips to try `streamtag learn` with: python scripts/make_clips.py FOLDER

FOLDER gets a folder of eight clips for each of three classes, drop, breakdown and none, and beside it, as new.flac, a
track that nothing is learned from: 9 s of breakdown, then 9 s of drop. All is synthesized from a seed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

RATE = 22_050
SECONDS = 6.0
CLIPS = 8
CHORDS = ((0, 3, 7), (-4, 0, 3), (-9, -5, -2), (-2, 2, 5))


def hertz(note: float) -> float:
    """Frequency of a MIDI note."""
    return 440.0 * 2 ** ((note - 69) / 12)


def drop(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Kick on each beat, hats between them, a sawtooth bass: loud and steady."""
    t = np.arange(round(seconds * RATE)) / RATE
    beat = 60 / rng.uniform(122, 134)
    since = t % beat
    kick = np.sin(2 * np.pi * (48 * since + 5 * (1 - np.exp(-since * 35)))) * np.exp(-since * 7)
    hat = rng.normal(size=len(t)) * np.exp(-((t + beat / 2) % beat) * 40)
    root = hertz(rng.integers(31, 38)) * 2 ** (np.floor(t / (4 * beat)) % 2 * 3 / 12)
    saw = sum(np.sin(2 * np.pi * np.cumsum(root * k) / RATE) / k for k in range(1, 20))
    return np.tanh(1.2 * kick + 0.2 * hat + 0.4 * saw * np.clip(since / 0.2, 0.1, 1))


def breakdown(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Slow chords of soft, detuned voices: no drums."""
    t = np.arange(round(seconds * RATE)) / RATE
    key, bar = rng.integers(55, 63), rng.uniform(1.8, 2.6)
    out = np.zeros(len(t))
    for index in range(int(seconds / bar) + 1):
        gain = np.clip(np.minimum((t - index * bar) / 0.8, ((index + 1.4) * bar - t) / 0.8), 0, 1)
        for step in CHORDS[index % 4]:
            for cents in (-7, 0, 6):
                phase = 2 * np.pi * (hertz(key + step + cents / 100) * t + rng.uniform())
                out += gain * (np.sin(phase) + 0.4 * np.sin(2 * phase) + 0.15 * np.sin(3 * phase))
    return 0.06 * out


def neither(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Something else: a room with now and then a plucked note."""
    t = np.arange(round(seconds * RATE)) / RATE
    out = 0.01 * np.cumsum(rng.normal(size=len(t)) - 0.0) / 30
    out -= np.convolve(out, np.ones(400) / 400, "same")
    for start in np.sort(rng.uniform(0, seconds, round(1.5 * seconds))):
        since = np.maximum(t - start, 0)
        f = hertz(rng.integers(50, 80))
        out += (
            0.3 * (t >= start) * np.exp(-6 * since) * sum(np.sin(2 * np.pi * f * k * since) / k for k in (1, 2, 3, 4))
        )
    return out


CLASSES: dict[str, Callable[[np.random.Generator, float], np.ndarray]] = {
    "drop": drop,
    "breakdown": breakdown,
    "none": neither,
}


def write(path: Path, sound: np.ndarray) -> None:
    """Write a clip at -3 dBFS."""
    soundfile.write(path, 0.7 * sound / np.abs(sound).max(), RATE)


def main() -> None:
    """Write the clips and the new track."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    for number, (name, sound) in enumerate(CLASSES.items()):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for clip in range(CLIPS):
            write(folder / name / f"{clip}.flac", sound(np.random.default_rng((1, number, clip)), SECONDS))
    rng = np.random.default_rng(2)
    write(folder.parent / "new.flac", np.concatenate([breakdown(rng, 9), drop(rng, 9)]))


if __name__ == "__main__":
    main()
