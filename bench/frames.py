"""What a log-mel frame costs, part by part, and a second of resampling: ``python -m bench.frames``."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from streamtag.dsp.kernels import sum_bands, window_frames
from streamtag.dsp.leveller import Leveller
from streamtag.dsp.resampler import Resampler
from streamtag.melstream import BLOCK, MelStream


def best(work: Callable[[], object], repeats: int = 50) -> float:
    """Seconds of the quickest of several runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def push_all(resampler: Resampler, samples: NDArray[np.float32], size: int) -> None:
    """Resample in blocks of this size."""
    for start in range(0, len(samples), size):
        resampler.push(samples[start : start + size])


def main() -> None:
    """Print the table."""
    noise = np.random.default_rng(0).standard_normal(48_000 * 10).astype(np.float32) * np.float32(0.1)
    stream = MelStream(16_000)
    windowed, spectra = stream._windowed, stream._spectra
    logmel, power, leveller = np.empty((BLOCK, 96), np.float32), np.full(BLOCK, 1e-3, np.float32), Leveller()
    gain = np.ones(BLOCK)
    parts = {
        "window (Numba)": lambda: window_frames(noise, 256, stream._taper, windowed),
        "FFT, 512 points, float64 (NumPy)": lambda: np.fft.rfft(windowed, out=spectra),
        "power, mel, log (Numba)": lambda: sum_bands(spectra, *stream._filters, stream._settings, gain, logmel),
        "level (Numba)": lambda: leveller.gains(power),
    }
    print("microseconds a frame:")
    for name, work in parts.items():
        print(f"  {name:36} {best(work) / BLOCK * 1e6:6.2f}")
    whole = best(lambda: stream.push(noise[:160_000]), 10) / (160_000 / 256) * 1e6
    print(f"  {'MelStream.push, all in all':36} {whole:6.2f}")
    print("milliseconds for a second of mono input, resampled to 16 kHz: at once; in blocks of 512 samples, as live:")
    for rate in (22_050, 44_100, 48_000, 96_000):
        at_once, as_live = (best(partial(push_all, Resampler(rate), noise[:rate], size), 10) for size in (rate, 512))
        print(f"  {rate:6} Hz {at_once * 1e3:30.2f} {as_live * 1e3:7.2f}")


if __name__ == "__main__":
    main()
