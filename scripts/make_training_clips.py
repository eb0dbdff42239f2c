"""Make clips to try `streamtag train` with: python scripts/make_training_clips.py FOLDER

FOLDER gets 60 clips of 8 s and a table of them, clips.csv. Each clip has some of four tags, or none of them: drums,
bass, whistle and pad, over a quiet room in which something is plucked now and then. All is synthesized from a seed.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile

RATE = 22_050
SECONDS = 8.0
CLIPS = 60
TIMES = np.arange(round(RATE * SECONDS)) / RATE
Synth = Callable[[np.random.Generator], np.ndarray]


def hertz(note: float) -> float:
    """Frequency of a MIDI note."""
    return float(440.0 * 2 ** ((note - 69) / 12))


def harmonics(phase: np.ndarray, amplitudes: Sequence[float]) -> np.ndarray:
    """A sum of sines of 1, 2, 3 ... times a phase: a polynomial of one complex exponential, which costs less."""
    turn = np.exp(1j * phase)
    out = np.zeros_like(turn)
    for amplitude in reversed(amplitudes):
        out = (out + amplitude) * turn
    return out.imag


def struck(at: float, decay: float) -> tuple[slice, np.ndarray, np.ndarray]:
    """Something struck at a time: where it sounds, the time since then, and a loudness that falls to 1/e in `decay`."""
    begin = int(np.searchsorted(TIMES, at))
    heard = slice(begin, begin + round(12 * decay * RATE))  # then it is 100 dB down
    since = TIMES[heard] - at
    return heard, since, np.exp(-since / decay)


def drums(rng: np.random.Generator) -> np.ndarray:
    """Kick, snare and hats at 90 to 150 beats a minute."""
    beat = 60 / rng.uniform(90, 150)
    hiss = rng.standard_normal(len(TIMES))
    click = np.diff(hiss, prepend=0)
    out = np.zeros(len(TIMES))
    for number, at in enumerate(np.arange(rng.uniform(0, beat), SECONDS, beat / 2)):
        if number % 4 == 0:
            heard, since, loudness = struck(at, 0.12)
            out[heard] += loudness * np.sin(2 * np.pi * (50 * since + 4 * (1 - np.exp(-since * 30))))
        elif number % 4 == 2:
            heard, since, loudness = struck(at, 0.08)
            out[heard] += 0.5 * loudness * (hiss[heard] + np.sin(2 * np.pi * 190 * since))
        heard, since, loudness = struck(at, 0.02)
        out[heard] += 0.25 * loudness * click[heard]
    return out


def bass(rng: np.random.Generator) -> np.ndarray:
    """Long low notes with a few harmonics."""
    out = np.zeros(len(TIMES))
    length = rng.uniform(0.4, 1.2)
    root = rng.uniform(28, 36)
    for at in np.arange(0, SECONDS, length):
        here = (at <= TIMES) & (at + length > TIMES)
        phase = 2 * np.pi * hertz(root + rng.choice([0, 3, 5, 7, 10])) * (TIMES[here] - at)
        out[here] += harmonics(phase, (1, 0.6, 0.3))
    return out


def whistle(rng: np.random.Generator) -> np.ndarray:
    """A high line with vibrato that glides from note to note."""
    steps = 84 + rng.uniform(-3, 3) + rng.choice([0, 2, 4, 7, 9, 12], 13)
    notes = np.interp(TIMES, np.linspace(0, SECONDS, len(steps)), steps)
    notes += 0.3 * np.sin(2 * np.pi * rng.uniform(5, 7) * TIMES)
    phase = 2 * np.pi * np.cumsum(440.0 * 2 ** ((notes - 69) / 12)) / RATE
    return harmonics(phase, (1, 0.1))


def pad(rng: np.random.Generator) -> np.ndarray:
    """A soft chord of detuned voices in the middle, which swells."""
    root = rng.uniform(52, 60)
    out = np.zeros(len(TIMES))
    for step in (0, rng.choice([3, 4]), 7, 12):
        for cents in (-8, 0, 7):
            phase = 2 * np.pi * (hertz(root + step + cents / 100) * TIMES + rng.uniform())
            out += harmonics(phase, [1 / k**2 for k in range(1, 7)])
    return out * (0.7 + 0.3 * np.sin(2 * np.pi * rng.uniform(0.1, 0.4) * TIMES)) / 6


def room(rng: np.random.Generator) -> np.ndarray:
    """What is in all clips: pink noise, and a plucked note now and then."""
    spectrum = np.fft.rfft(rng.standard_normal(len(TIMES)))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    out = np.fft.irfft(spectrum, len(TIMES))
    out *= 0.03 / out.std()
    for at in rng.uniform(0, SECONDS, rng.integers(2, 6)):
        heard, since, loudness = struck(at, 0.25)
        phase = 2 * np.pi * hertz(rng.uniform(55, 75)) * since
        out[heard] += 0.15 * loudness * harmonics(phase, [1 / k for k in range(1, 6)])
    return out


TAGS: dict[str, Synth] = {"drums": drums, "bass": bass, "whistle": whistle, "pad": pad}


def clip(rng: np.random.Generator) -> tuple[tuple[str, ...], np.ndarray]:
    """A clip and its tags: each with a chance of a half, up to 6 dB louder than another; peaks below full scale."""
    tags = tuple(tag for tag in TAGS if rng.random() < 0.5)
    sound = room(rng)
    for tag in tags:
        part = TAGS[tag](rng)
        sound += part / part.std() * 0.1 * 10 ** (rng.uniform(-6, 0) / 20)
    return tags, sound * min(10 ** (rng.uniform(-9, 0) / 20), 0.98 / np.abs(sound).max())


def main() -> None:
    """Write the clips and their table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=CLIPS, help=f"how many (default: {CLIPS})")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    (options.folder / "clips").mkdir(parents=True, exist_ok=True)
    with (options.folder / "clips.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "tags"])
        for number in range(options.clips):
            tags, sound = clip(np.random.default_rng((options.seed, number)))
            path = f"clips/{number:03d}.flac"
            soundfile.write(options.folder / path, sound, RATE)
            table.writerow([path, "|".join(tags) or "none"])


if __name__ == "__main__":
    main()
