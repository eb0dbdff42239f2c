"""Plain NumPy references: slow, direct, and importing nothing of streamtag.

The first part are the twins of streamtag's kernels, one of the same name for each. The second part are the published
algorithms themselves, written from their sources: resampy 0.2.2's loop and librosa 0.7's log-mel spectrogram.
"""

from __future__ import annotations

import math

import numpy as np

TARGET = 16_000
LOUDEST = 1e15

# --- twins of the kernels ---------------------------------------------------------------------------------------------


def mix_down(block):
    """Mean of the channels, what is no sample taken as 0, and how many were none."""
    with np.errstate(invalid="ignore"):
        good = np.abs(block) <= LOUDEST
    kept = np.where(good, block, np.float32(0))
    total = np.zeros(len(block), np.float32)
    for c in range(block.shape[1]):  # one after the other: float32 sums depend on the order
        total = total + kept[:, c]
    return total / np.float32(block.shape[1]), int(np.sum(~good))


def extremes(block):
    """Least and greatest of each channel and of their mean, what is no sample taken as 0, and how many were none."""
    with np.errstate(invalid="ignore"):
        good = np.abs(block) <= LOUDEST
    kept = np.where(good, block, np.float32(0))
    all_of_them = np.column_stack((kept, mix_down(kept)[0]))
    return all_of_them.min(axis=0), all_of_them.max(axis=0), int(np.sum(~good))


def round_to_16_bits(plane):
    """As `ffmpeg -f s16le` rounds: to the nearest, half to even, and clipped."""
    return np.clip(np.rint(plane * np.float32(2**15)), -(2**15), 2**15 - 1).astype(np.float32) / np.float32(2**15)


def resample(x, at, taps, step, first, last):
    """Polyphase outputs from `first` on and before `last`; output 0 begins at x[at]. float64."""
    phases, width = taps.shape
    places = [(at + n * step // phases, n * step % phases) for n in range(first, last)]
    return np.array([x[place : place + width].astype(np.float64) @ taps[phase] for place, phase in places])


def round_down(x, at, step, phases, below, left, first, last, clock, y):
    """`y` with those outputs that resampy's clock puts just below a whole position, and the clock after it."""
    time, increment, origin = (float(value) for value in clock)
    y = y.astype(np.float64)
    for n in range(first, last):
        place, phase = divmod(n * step, phases)
        if phase == 0 and time < at + place + left - origin:
            y[n] = x[at + place : at + place + len(below)].astype(np.float64) @ below
        time += increment
    return y, np.array([time, increment, origin])


def window_frames(y, hop, window, frames):
    """Windowed frames of y, `hop` apart."""
    return np.array([y[f * hop : f * hop + len(window)] * window for f in range(frames)]).reshape(frames, len(window))


def log_mel(spectra, filters, gain=1.0):
    """log10(10000 * gain * mel + 1) of spectra (frames, bins), with a dense filterbank (bands, bins)."""
    return np.log10(10_000 * mel_power(spectra, filters, gain) + 1)


def mel_power(spectra, filters, gain=1.0):
    """Gain * mel power of spectra (frames, bins), with a dense filterbank (bands, bins)."""
    return np.reshape(gain, (-1, 1)) * ((spectra.real**2 + spectra.imag**2) @ filters.T)


def mean_squares(y, start, hop, hops):
    """Mean square of consecutive hops of y."""
    return np.array([np.mean(y[start + f * hop : start + (f + 1) * hop].astype(np.float64) ** 2) for f in range(hops)])


def follow_level(power, settings, state):
    """Gain of each block and the state after them, each mean made anew from all blocks before."""
    quietest, exponent, keep, target, smallest, largest = settings
    mean, weight, quiet = state
    gains = []
    heard = [(mean, weight)] if weight else []  # what was heard, and how much it counts
    for value in np.minimum(power.astype(np.float64), target / smallest):
        if value < quietest:
            quiet += 1
        else:
            heard = [(each, share * keep ** (quiet + 1)) for each, share in heard] + [(value**exponent, 1 - keep)]
            quiet = 0
        if heard:
            weight = sum(share for _, share in heard)
            mean = sum(each * share for each, share in heard) / weight
        gains.append(min(max(target / mean ** (1 / exponent), smallest), largest) if heard else 1.0)
    return np.array(gains), np.array([mean, weight, quiet])


class Ring:
    """Twin of `callback.write_block` and the ring that it writes to, as plain lists without a memory layout.

    `data` is what lies in the ring, by place; `blocks` are the stamps of all blocks that were taken: samples written up
    to the block's end, lost before it, taken, captured, arrived.
    """

    def __init__(self, capacity, slots, chosen):
        self.capacity, self.slots, self.chosen = capacity, slots, list(chosen)
        self.data = np.zeros(capacity, np.float32)
        self.blocks = []
        self.sizes = []
        self.written = self.lost = self.overflows = self.nonfinite = self.read = self.blocks_read = 0

    def write_block(self, block, captured, arrived, overflowed):
        free = self.capacity - (self.written - self.read)
        stamps = self.slots - (len(self.blocks) - self.blocks_read)
        kept = block[: free if stamps else 0, self.chosen]
        mono, replaced = mix_down(kept)
        self.data[(self.written + np.arange(len(kept))) % self.capacity] = mono
        self.written += len(kept)
        if len(kept):
            self.blocks.append([self.written, self.lost, len(kept), captured, arrived])
        self.lost += len(block) - len(kept)
        self.nonfinite += replaced
        self.overflows += overflowed
        self.sizes.append(len(block))

    def read_all(self):
        """What waits, from the oldest on."""
        waiting = self.data[np.arange(self.read, self.written) % self.capacity]
        self.read, self.blocks_read = self.written, len(self.blocks)
        return waiting


# --- resampy 0.2.2, kaiser_best ---------------------------------------------------------------------------------------


def kaiser_best(ratio):
    """Table of resampy 0.2.2 for a ratio, and the differences of its entries.

    resampy.filters.sinc_window(num_zeros=64, precision=9, rolloff=0.9475..., window=kaiser(beta=14.769...)).
    """
    crossings, steps, rolloff, beta = 64, 512, 0.9475937167399596, 14.769656459379492
    size = steps * crossings
    table = rolloff * np.sinc(rolloff * np.linspace(0, crossings, num=size + 1, endpoint=True))
    table = np.kaiser(2 * size + 1, beta)[size:] * table
    if ratio < 1:
        table = table * ratio
    delta = np.zeros_like(table)
    delta[:-1] = np.diff(table)
    return table, delta


def resampy_output(x, n, fraction, ratio, table, delta):
    """One turn of resampy 0.2.2's resample_f, at time n + fraction (of a sample)."""
    scale = min(1.0, ratio)
    step = int(scale * 512)
    total = 0.0
    # left wing: x[n], x[n - 1] ...; right wing: x[n + 1], x[n + 2] ...
    for share, first, direction, there in (
        (scale * fraction, n, -1, n + 1),
        (scale - scale * fraction, n + 1, 1, len(x) - n - 1),
    ):
        index = share * 512
        offset = int(index)
        eta = index - offset
        count = max(0, min(there, (len(table) - offset) // step))
        entries = offset + step * np.arange(count)
        total += np.dot(table[entries] + eta * delta[entries], x[first + direction * np.arange(count)])
    return total


def resampy(x, rate):
    """resampy.resample(x, rate, 16000) of resampy 0.2.2, then padded as librosa 0.7.2 pads; float64."""
    ratio = float(TARGET) / rate
    table, delta = kaiser_best(ratio)
    y = np.zeros(int(len(x) * ratio))
    increment, time = 1.0 / ratio, 0.0
    for t in range(len(y)):
        n = int(time)
        y[t] = resampy_output(x, n, time - n, ratio, table, delta)
        time += increment
    return np.append(y, np.zeros(math.ceil(len(x) * ratio) - len(y)))


def whole(rate, count):
    """Which of the first `count` outputs lie exactly on a sample of the input."""
    return np.arange(count) * rate % TARGET == 0


def times(rate, count):
    """Time register of resampy 0.2.2 at the first `count` outputs: a running float64 sum."""
    return np.concatenate(([0.0], np.cumsum(np.full(count - 1, 1.0 / (float(TARGET) / rate)))))


# --- librosa 0.7's log-mel spectrogram, musicnn's parameters ----------------------------------------------------------


def mel_filterbank():
    """Slaney's filters, one triangle after the other: (96, 257)."""

    def to_hertz(mel):
        return 200 / 3 * mel if mel < 15 else 1000 * math.exp(math.log(6.4) / 27 * (mel - 15))

    highest = 15 + math.log(8) / (math.log(6.4) / 27)  # 8000 Hz
    edges = [to_hertz(highest * k / 97) for k in range(98)]
    filters = np.zeros((96, 257))
    for band in range(96):
        low, middle, high = edges[band : band + 3]
        for b in range(257):
            hertz = b * 8000 / 256
            if low < hertz < high:
                slope = (hertz - low) / (middle - low) if hertz <= middle else (high - hertz) / (high - middle)
                filters[band, b] = slope * 2 / (high - low)
    return filters


def frames(y, centered):
    """Frames of 512 every 256 samples (n, 512); centred ones of the signal reflected by 256 samples."""
    padded = np.pad(y, 256, mode="reflect") if centered else y
    count = max(0, (len(padded) - 512) // 256 + 1)
    return np.array([padded[256 * k : 256 * k + 512] for k in range(count)]).reshape(count, 512)


def log_mel_frames(y, centered):
    """Log-mel frames of a signal at 16 kHz: (n, 96), float64."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(512) / 512)
    return log_mel(np.fft.rfft(frames(np.asarray(y, np.float64), centered) * hann), mel_filterbank())
