"""`python -m tests.support.hear TONES INPUT CHANNEL...`: which tones are heard on each channel, as JSON.

CHANNEL is 1, or 1,2; or none; or 1/3,4 for two sources of the same device, one beside the other.

A process of its own: PortAudio looks for devices once.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import soundfile

from streamtag.sources.device import DeviceSource

STEP_HZ = 200
"""Channel n is given a tone of n times this."""
AMPLITUDE = 0.1


def write_tones(path: Path, channels: int, rate: int = 48_000, seconds: float = 20) -> Path:
    """A WAV file with another tone on each channel."""
    times = np.arange(int(rate * seconds)) / rate
    tones = [AMPLITUDE * np.sin(2 * np.pi * STEP_HZ * (channel + 1) * times) for channel in range(channels)]
    soundfile.write(path, np.stack(tones, axis=1), rate, subtype="FLOAT")
    return path


def tones_in(samples: np.ndarray, rate: int, count: int) -> dict[int, float]:
    """Amplitudes of the tones that are there, by the number of the channel whose tone it is.

    Medians over the third of the sound's parts that is most like tones: on a busy machine a sound server leaves gaps.
    """
    size = rate // 25
    parts = samples[: len(samples) // size * size].reshape(-1, size)
    spectra = np.abs(np.fft.rfft(parts * np.hanning(size), axis=1)) * 4 / size
    bins = [round(STEP_HZ * (number + 1) * size / rate) for number in range(count)]
    tonal = (spectra[:, bins] ** 2).sum(axis=1) / ((spectra**2).sum(axis=1) + 1e-12)
    spectrum = np.median(spectra[np.argsort(tonal)[-len(parts) // 3 :]], axis=0)
    found = {number + 1: float(spectrum[place]) for number, place in enumerate(bins)}
    return {number: round(amplitude, 4) for number, amplitude in found.items() if amplitude > AMPLITUDE / 1000}


def hear(given: str, channels: list[tuple[int, ...] | None], count: int) -> list[dict[int, float]]:
    """Record for more than a second, once what comes is no more the beginning; gives the tones that each hears."""
    sources = [DeviceSource(given, channels=channels[0])]
    sources += [sources[0].beside(each) for each in channels[1:]]
    for source in sources:
        source.start()
    try:
        return [tones_in(recorded(source)[source.samplerate // 2 :], source.samplerate, count) for source in sources]
    finally:
        for source in sources:
            source.stop()


def recorded(source: DeviceSource) -> np.ndarray:
    """Two seconds."""
    until = time.monotonic() + 20
    pieces: list[np.ndarray] = []
    while sum(map(len, pieces)) < 2 * source.samplerate:
        if time.monotonic() > until:
            raise TimeoutError(f"{source.name}: nothing is heard: {source.recovering}")
        pieces += [piece.samples for piece in source.ring.read()]
        time.sleep(0.01)
    return np.concatenate(pieces)


if __name__ == "__main__":
    tones, given, *numbers = sys.argv[1:]
    asked = [
        [None if text == "none" else tuple(map(int, text.split(","))) for text in beside.split("/")]
        for beside in numbers
    ]
    print(json.dumps([tones_heard for each in asked for tones_heard in hear(given, each, int(tones))]))
