"""Sounds that are no music, made from nothing: noises, hums, applause, rooms, tones, an orchestra that tunes.

Each function takes a random generator and gives 14 s at 16 kHz. Those of `HELD_BACK` work in other ways than those that
the head for music learns from, and only test it. `sparse` is music: an instrument alone, or hardly anything.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, lfilter, sosfilt

Sound = NDArray[np.float64]
Random = np.random.Generator
Make = Callable[[Random], Sound]
RATE, SECONDS = 16_000, 14.0
COUNT = int(SECONDS * RATE)


def at_level(sound: Sound, dbfs: float) -> Sound:
    """At an RMS level, clipped."""
    gain = 10 ** (dbfs / 20) / (np.sqrt((sound**2).mean()) + 1e-12)
    return np.asarray(np.clip(sound * gain, -1, 1), np.float64)


def in_room(sound: Sound, random: Random, seconds: float | None = None) -> Sound:
    """With the echo of a room."""
    count = int((seconds or random.uniform(0.2, 1.6)) * RATE)
    echo = random.standard_normal(count) * np.exp(-6.9 * np.arange(count) / count)
    echo[0] = 3 * np.sqrt((echo**2).sum()) * random.uniform(0.2, 1)
    return np.asarray(fftconvolve(sound, echo / np.sqrt((echo**2).sum()))[: len(sound)], np.float64)


def coloured(exponent: float, random: Random) -> Sound:
    """Noise whose power falls with that power of the frequency."""
    frequencies = np.fft.rfftfreq(COUNT, 1 / RATE)
    frequencies[0] = frequencies[1]
    spectrum = random.standard_normal(len(frequencies)) + 1j * random.standard_normal(len(frequencies))
    sound = np.fft.irfft(spectrum * frequencies ** (-exponent / 2), COUNT)
    return np.asarray(0.3 * sound / np.abs(sound).max(), np.float64)


def band(sound: Sound, low: float, high: float) -> Sound:
    """A part of the spectrum."""
    return np.asarray(sosfilt(butter(2, [low, high], "band", fs=RATE, output="sos"), sound), np.float64)


def clap(random: Random) -> Sound:
    """One clap of two hands."""
    time = np.arange(int(0.08 * RATE)) / RATE
    pitch = random.uniform(700, 2600)
    sound = band(random.standard_normal(len(time)), 0.6 * pitch, min(1.7 * pitch, 7800))
    sound = sound * np.exp(-time / random.uniform(0.003, 0.014))
    return np.asarray(sound / np.abs(sound).max(), np.float64)


def applause(random: Random) -> Sound:
    """Two to five hundred people who clap, each in a time of their own, near or far, with whistles and calls."""
    sound = np.zeros(COUNT + RATE)
    together = random.random() < 0.1
    beat = random.uniform(1.8, 3.5)
    for _ in range(min(int(10 ** random.uniform(0.3, 2.7)), 250)):
        hands, rate, at = clap(random), beat if together else random.uniform(2.2, 5.5), random.uniform(0, 0.5)
        if together:
            at = abs(random.normal(0, 0.04))
        hands *= 10 ** (random.uniform(-24, 0) / 20)
        while at < SECONDS:
            start = max(0, int(at * RATE))
            sound[start : start + len(hands)] += hands
            at += random.normal(1 / rate, (0.02 if together else 0.1) / rate)
    size = np.sqrt((sound**2).mean())
    if random.random() < 0.6:
        sound += band(random.standard_normal(len(sound)), 500, 4000) * size * random.uniform(0.2, 1.5)
    if random.random() < 0.4:
        for _ in range(int(random.integers(1, 8))):
            call = whistle(random) if random.random() < 0.5 else shout(random)
            start = int(random.integers(0, COUNT - len(call)))
            sound[start : start + len(call)] += call * size * random.uniform(0.5, 3)
    if random.random() < 0.5:
        sound = band(sound, random.uniform(40, 500), random.uniform(2500, 7800))
    swell = np.interp(np.arange(COUNT), np.linspace(0, COUNT, 6), random.uniform(0.2, 1, 6))
    return in_room(sound, random)[:COUNT] * swell


def whistle(random: Random) -> Sound:
    """With two fingers."""
    time = np.arange(int(random.uniform(0.3, 1.2) * RATE)) / RATE
    pitch = random.uniform(1500, 3200) * (1 + random.uniform(-0.3, 0.3) * time / time[-1])
    wave = np.sin(2 * np.pi * np.cumsum(pitch) / RATE) * np.sin(np.pi * time / time[-1])
    return np.asarray(wave, np.float64)


def shout(random: Random) -> Sound:
    """Somebody calls."""
    time = np.arange(int(random.uniform(0.3, 1.5) * RATE)) / RATE
    pitch = random.uniform(120, 500) * (1 + random.uniform(-0.3, 0.3) * time / time[-1])
    pulses = np.sign(np.sin(2 * np.pi * np.cumsum(pitch) / RATE)) + 0.3 * random.standard_normal(len(time))
    mouth = random.uniform(400, 900)
    voice = band(pulses, 0.7 * mouth, 1.4 * mouth) + 0.5 * band(pulses, 1.8 * mouth, 3.5 * mouth)
    return np.asarray(voice * np.sin(np.pi * time / time[-1]), np.float64)


def hum(random: Random) -> Sound:
    """Of the mains, with harmonics, and noise between nothing and more than the hum."""
    pitch, time = random.choice([50.0, 60.0]) * random.choice([1, 1, 2]), np.arange(COUNT) / RATE
    sound, only_odd = np.zeros(COUNT), random.random() < 0.3
    for harmonic in range(1, int(random.integers(1, 40)) + 1, 2 if only_odd else 1):
        wave = np.sin(2 * np.pi * pitch * harmonic * time + random.uniform(0, 6))
        sound += wave * random.uniform(0.1, 1) / harmonic ** random.uniform(0, 1.5)
    sound = sound / np.abs(sound).max()
    if random.random() < 0.5:
        sound = np.clip(sound * random.uniform(1, 8), -1, 1)
    sound = sound + 10 ** random.uniform(-3, 0.3) * coloured(float(random.choice([0, 1, 1.5, 2])), random)
    if random.random() < 0.3:
        sound = in_room(sound, random)
    return np.asarray(sound / np.abs(sound).max(), np.float64)


def tone(random: Random) -> Sound:
    """A sine, a square or a saw, steady or in pulses."""
    time, pitch = np.arange(COUNT) / RATE, 10 ** random.uniform(1.7, 3.8)
    sound = np.sin(2 * np.pi * pitch * time)
    if random.random() < 0.4:
        sound = np.sign(sound) * 0.5 if random.random() < 0.5 else 2 * ((pitch * time) % 1) - 1
    if random.random() < 0.3:
        sound = sound * ((time * random.uniform(0.4, 4)) % 1 < random.uniform(0.2, 0.8))
    return np.asarray(sound + 10 ** (random.uniform(-80, -40) / 20) * random.standard_normal(COUNT), np.float64)


def sweep(random: Random) -> Sound:
    """Up or down, again and again."""
    place = (np.arange(COUNT) / RATE % (length := random.uniform(1, 14))) / length
    low, high = 10 ** random.uniform(1.3, 2.5), 10 ** random.uniform(3.2, 3.89)
    pitch = low * (high / low) ** (place if random.random() < 0.7 else 1 - place)
    return np.asarray(np.sin(2 * np.pi * np.cumsum(pitch) / RATE), np.float64)


def noise(random: Random) -> Sound:
    """Of any colour, of a band, with a bump in it, steady or in gusts."""
    sound = coloured(random.uniform(-2, 2.5), random)
    if random.random() < 0.4:
        low = 10 ** random.uniform(1.8, 3.3)
        sound = band(sound, low, min(7900, low * random.uniform(1.5, 6)))
    if random.random() < 0.4:
        middle = 10 ** random.uniform(2, 3.6)
        sound = sound + random.uniform(0.5, 5) * band(sound, 0.8 * middle, 1.2 * middle)
    if random.random() < 0.3:
        steps = int(random.integers(4, 40))
        sound = sound * np.interp(np.arange(COUNT), np.linspace(0, COUNT, steps), random.uniform(0.05, 1, steps))
    if random.random() < 0.3:
        sound = sound + crackle(random, 10 ** random.uniform(0, 2.5)) * sound.std() * random.uniform(2, 20)
    return np.asarray(sound, np.float64)


def crackle(random: Random, rate: float) -> Sound:
    """Impulses: so many a second, without a beat."""
    sound = np.zeros(COUNT)
    places = random.integers(0, COUNT, random.poisson(rate * SECONDS))
    sound[places] = random.standard_normal(len(places))
    return sound


def room(random: Random) -> Sound:
    """Nobody plays: a quiet noise, a hum, something that falls down now and then."""
    sound = coloured(float(random.choice([1, 1.5, 2])), random) + 0.2 * random.random() * hum(random)
    sound = at_level(sound, random.uniform(-75, -45))
    for _ in range(int(random.integers(0, 6))):
        start, knock = int(random.integers(0, COUNT - RATE)), clap(random)
        sound[start : start + len(knock)] += knock * 10 ** (random.uniform(-50, -15) / 20)
    return sound


def metronome(random: Random) -> Sound:
    """Clicks at 40 to 220 a minute, the first of a bar perhaps higher."""
    beat, pitch, bar = 60 / random.uniform(40, 220), random.uniform(600, 4000), int(random.integers(0, 5))
    count, share = int(random.uniform(0.01, 0.09) * RATE), random.random()
    time, sound = np.arange(count) / RATE, np.zeros(COUNT + RATE)
    for number in range(int(SECONDS / beat)):
        wave = np.sin(2 * np.pi * pitch * (1.5 if bar and number % bar == 0 else 1) * time)
        click = wave * share + (1 - share) * 0.5 * random.standard_normal(count)
        start = int(number * beat * RATE)
        sound[start : start + count] += click * np.exp(-time / (count / RATE / 4))
    return (in_room(sound, random, 0.2) if random.random() < 0.5 else sound)[:COUNT]


def hits(random: Random) -> Sound:
    """Single hits far apart, without a beat."""
    sound, at = np.zeros(COUNT + 3 * RATE), 0.0
    while at < SECONDS:
        count, pitch = int(random.uniform(0.05, 0.8) * RATE), 10 ** random.uniform(1.7, 3.5)
        time = np.arange(count) / RATE
        body = np.sin(2 * np.pi * pitch * time * (1 + np.exp(-30 * time) * random.random())) * random.random()
        hit = (body + random.standard_normal(count) * random.random()) * np.exp(-time / (count / RATE / 5))
        start = int(at * RATE)
        sound[start : start + count] += hit * random.uniform(0.2, 1)
        at += random.uniform(0.4, 4)
    return in_room(sound, random)[:COUNT]


def player(pitch: float, seconds: float, random: Random) -> Sound:
    """A long note of a string or a wind."""
    time = np.arange(int(seconds * RATE)) / RATE
    vibrato = 0.006 * random.random() * np.sin(2 * np.pi * random.uniform(4, 6.5) * time)
    drift = np.cumsum(random.standard_normal(len(time))) * 2e-5 * random.random()
    phase = 2 * np.pi * np.cumsum(pitch * (1 + random.normal(0, 0.004) + vibrato + drift)) / RATE
    slope, sound = random.uniform(0.7, 1.8), np.zeros(len(time))
    for partial_ in range(1, int(min(20, 7500 / pitch)) + 1):
        sound += np.sin(partial_ * phase + random.uniform(0, 6)) / partial_**slope
    swell = np.clip(np.minimum(time / random.uniform(0.05, 0.4), (seconds - time) / 0.2), 0, 1)
    return np.asarray(sound * swell, np.float64)


def tuning(random: Random) -> Sound:
    """Two to forty players on an A, its octaves and fifths, each when it pleases them."""
    sound = np.zeros(COUNT + 8 * RATE)
    for _ in range(int(10 ** random.uniform(0.3, 1.6))):
        at = random.uniform(-2, 2)
        while at < SECONDS:
            pitch = 440 * float(random.choice([1, 1, 1, 1, 0.5, 2, 2 / 3, 4 / 9, 1.5, 8 / 27, 0.25]))
            seconds, start = random.uniform(0.5, 5), max(0, int(at * RATE))
            note = player(pitch, seconds, random)
            sound[start : start + len(note)] += note * random.uniform(0.1, 1)
            at += seconds + random.uniform(0, 2)
    sound += random.random() * 0.05 * sound.std() * random.standard_normal(len(sound))
    return in_room(sound, random)[:COUNT]


# --- for the test alone ----------------------------------------------------------------------------------------------


def resonances(sound: Sound, random: Random, most: float = 0.97) -> Sound:
    """Through two to eight resonances."""
    for _ in range(int(random.integers(1, 5))):
        radius, angle = random.uniform(0.3, most), random.uniform(0.01, 0.95) * np.pi
        sound = lfilter([1 - radius], [1, -2 * radius * np.cos(angle), radius**2], sound)
    return np.asarray(sound / (np.abs(sound).max() + 1e-12), np.float64)


def clapping_grains(random: Random) -> Sound:
    """Applause as a shower of short noises, which nobody claps: 20 to 4000 a second."""
    sound, grain = np.zeros(COUNT + RATE), np.arange(int(0.03 * RATE)) / RATE
    for _ in range(20):
        shape = resonances(
            random.standard_normal(len(grain)) * np.exp(-grain / random.uniform(0.002, 0.008)), random, 0.9
        )
        impulses = crackle(random, 10 ** random.uniform(0, 2.3))
        sound[:COUNT] += fftconvolve(np.abs(impulses), shape)[:COUNT]
    crowd = resonances(random.standard_normal(len(sound)), random) * np.sqrt((sound**2).mean())
    return in_room(sound + random.uniform(0, 1) * crowd, random)[:COUNT]


def resonant_noise(random: Random) -> Sound:
    """Noise through resonances, which may move: wind, machines, static."""
    sound = resonances(random.standard_normal(COUNT), random)
    if random.random() < 0.4:
        other = resonances(random.standard_normal(COUNT), random)
        share = 0.5 + 0.5 * np.sin(2 * np.pi * np.arange(COUNT) / RATE * random.uniform(0.05, 2))
        sound = sound * share + other * (1 - share)
    return sound


def buzz(random: Random) -> Sound:
    """Of dimmers and bad cables: a spike each half wave, some noise."""
    time, mains = np.arange(COUNT) / RATE, random.choice([50.0, 60.0])
    phase = (2 * mains * time) % 1
    spikes = np.exp(-phase * random.uniform(3, 60)) * np.where(
        random.random() < 0.5, 1, np.sin(2 * np.pi * mains * time)
    )
    sound = resonances(spikes - spikes.mean(), random, 0.8)
    return np.asarray(sound + 10 ** random.uniform(-3, -0.5) * random.standard_normal(COUNT), np.float64)


def ventilation(random: Random) -> Sound:
    """Of a hall: air, a motor whose speed drifts, somebody who moves."""
    turns = random.uniform(15, 60) * (1 + 0.01 * np.cumsum(random.standard_normal(COUNT)) / np.sqrt(COUNT))
    phase = 2 * np.pi * np.cumsum(turns) / RATE
    motor = np.sum([np.sin(k * phase + random.uniform(0, 6)) / k for k in range(1, 9)], axis=0)
    sound = band(resonances(random.standard_normal(COUNT), random), 30, random.uniform(300, 3000))
    sound = sound / sound.std() + random.uniform(0, 0.7) * motor
    steps = resonances(crackle(random, random.uniform(0, 2)), random, 0.95)
    return np.asarray(sound + random.uniform(0, 30) * steps, np.float64)


# --- music ------------------------------------------------------------------------------------------------------------


def sparse(random: Random) -> Sound:
    """Music of hardly anything: a plucked, struck, blown or sustained instrument alone plays in a key."""
    degrees = np.array([0, 2, 4, 5, 7, 9, 11] if random.random() < 0.6 else [0, 2, 3, 5, 7, 8, 10])
    root, kind = random.integers(36, 60), random.integers(4)
    beat = 60 / random.uniform(50, 140)
    sound, at, place = np.zeros(COUNT + 6 * RATE), 0.0, int(random.integers(0, 14))
    while at < SECONDS:
        place = int(np.clip(place + random.integers(-3, 4), 0, 20))
        chord = [0, 2, 4] if random.random() < (0.6 if kind == 3 else 0.25) else [0]
        length = beat * float(random.choice([0.5, 1, 1, 2])) * (4 if kind == 3 else 1)
        start, strength = int(at * RATE), random.uniform(0.4, 1)
        for step in chord:
            number = place + step
            pitch = 440 * 2 ** ((root + degrees[number % 7] + 12 * (number // 7) - 69) / 12)
            tone_ = note(pitch, length, int(kind), random)
            sound[start : start + len(tone_)] += tone_ * strength
        at += length
    sound = sound[:COUNT]
    return in_room(sound, random) if random.random() < 0.7 else sound


def note(pitch: float, seconds: float, kind: int, random: Random) -> Sound:
    """A string plucked (0) or struck (1), a wind (2), an organ or strings (3)."""
    if kind == 0:
        period = max(2, round(RATE / pitch))
        taps = np.zeros(period + 2)
        taps[0], taps[period], taps[period + 1] = 1, -0.498, -0.498
        pluck = np.zeros(int(2.5 * RATE))
        pluck[:period] = random.standard_normal(period)
        return np.asarray(lfilter([1.0], taps, pluck), np.float64)
    if kind == 1:
        time = np.arange(int(3 * RATE)) / RATE
        partials = range(1, int(min(12, 7000 / pitch)) + 1)
        waves = [
            np.sin(2 * np.pi * pitch * k * np.sqrt(1 + 3e-4 * k**2) * time) / k**1.3 * np.exp(-time * (0.8 + 0.5 * k))
            for k in partials
        ]
        return np.asarray(np.sum(waves, axis=0), np.float64)
    return player(pitch * (2 if kind == 2 else 1), max(seconds, 0.3) * (1.0 if kind == 2 else 1.1), random)


MADE: dict[str, tuple[Make, int]] = {
    "applause": (applause, 24),
    "noise": (noise, 16),
    "hum": (hum, 14),
    "sine": (tone, 8),
    "room": (room, 8),
    "metronome": (metronome, 8),
    "tuning": (tuning, 6),
}
"""By kind, and how many of each of two sources are made."""
HELD_BACK: dict[str, tuple[Make, int]] = {
    "applause": (clapping_grains, 12),
    "noise": (resonant_noise, 12),
    "hum": (buzz, 12),
    "room": (ventilation, 8),
    "single hits": (hits, 8),
    "sweep": (sweep, 6),
}
"""The same, only to test."""
