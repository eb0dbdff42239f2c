"""Compose the demo clip: 32 seconds, four sections of 8 seconds, four styles.

Run it from the root of the repository::

    python scripts/make_demo.py streamtag/demo/demo.ogg

One theme (A minor, the chords Am - F - C - G, 120 beats per minute, one chord per bar) is played as

    0 -  8 s   a quiet solo piano,
    8 - 16 s   ambient synthesizer pads,
   16 - 24 s   four-on-the-floor techno,
   24 - 32 s   loud rock with distorted guitars and drums,

so that the tags have a reason to change. Every sound is synthesized here with NumPy from sines and seeded noise, so
each run gives the same music; nothing is sampled. The format follows the name of the file (.ogg, .flac or .wav).
"""

import argparse
from functools import partial

import numpy as np
import soundfile

RATE = 44100
BEAT = 0.5  # seconds: 120 beats per minute
BAR = 4 * BEAT
SECTION = 4 * BAR
FADE = 0.25  # seconds of crossfade between two sections
PEAK = 10 ** (-1 / 20)  # -1 dBFS

# One chord per bar, as MIDI notes: the root in the bass, then a close voicing. Am, F, C, G.
CHORDS = [(45, (57, 60, 64)), (41, (57, 60, 65)), (48, (55, 60, 64)), (43, (55, 59, 62))]
# The theme: beat, length in beats and MIDI note, one bar per line.
THEME = [
    (0, 1.5, 76), (1.5, 0.5, 74), (2, 1, 72), (3, 1, 69),
    (4, 1.5, 72), (5.5, 0.5, 74), (6, 1, 72), (7, 1, 69),
    (8, 1.5, 79), (9.5, 0.5, 76), (10, 1, 74), (11, 1, 72),
    (12, 2, 74), (14, 1, 71), (15, 1, 67),
]  # fmt: skip


def hertz(note):
    """Return the frequency of a MIDI note."""
    return 440.0 * 2 ** ((note - 69) / 12)


def seconds(length):
    """Return the sample times of `length` seconds."""
    return np.arange(round(length * RATE)) / RATE


def envelope(t, attack, length, release):
    """Return a gain that rises in `attack`, holds until `length` and falls to zero in `release` seconds."""
    return np.clip(t / attack, 0, 1) * np.clip(1 - (t - length) / release, 0, 1)


def shape(x, low, high=np.inf, order=2):
    """Keep what lies between `low` and `high` Hz in `x` (zero phase, with Butterworth slopes)."""
    size = 1 << int(np.ceil(np.log2(len(x) + RATE // 10)))
    f = np.maximum(np.fft.rfftfreq(size, 1 / RATE), 1e-3)
    gain = 1 / np.sqrt((1 + (low / f) ** (2 * order)) * (1 + (f / high) ** (2 * order)))
    return np.fft.irfft(np.fft.rfft(x, size) * gain, size)[: len(x)]


def noise(t, rng, low, high=np.inf, order=2):
    """Return noise for the times `t`, kept between `low` and `high` Hz."""
    return shape(rng.standard_normal(len(t)), low, high, order)


def blank():
    """Return a silent stereo section with room for its crossfade."""
    return np.zeros((round((SECTION + FADE) * RATE), 2))


def add(mix, start, sound, gain=1.0, pan=0.0):
    """Add a mono `sound` to the stereo `mix` at `start` seconds, panned from -1 (left) to 1 (right)."""
    first = round(max(start, 0) * RATE)
    sound = sound[: len(mix) - first]
    angle = (pan + 1) * np.pi / 4
    mix[first : first + len(sound)] += gain * np.outer(sound, (np.cos(angle), np.sin(angle)))


def reverb(mix, rng, length, wet, dark=5000.0):
    """Return `mix` in a room: convolved, side by side, with noise that decays by 60 dB in `length` seconds."""
    t = seconds(length)
    size = len(mix) + len(t)
    result = mix.copy()
    for side in range(2):
        room = shape(noise(t, rng, 0, dark, 1) * np.exp(-6.9 * t / length), 180)
        room *= wet / np.sqrt(np.sum(room**2))
        result[:, side] += np.fft.irfft(np.fft.rfft(mix[:, side], size) * np.fft.rfft(room, size), size)[: len(mix)]
    return result


def piano(note, length, velocity, rng):
    """Strike a piano key: slightly stretched partials that die the faster the higher, and a hammer's thump."""
    t = seconds(length + 0.5)
    out = 0.35 * noise(t, rng, 0, 500) * np.exp(-t * 70)
    stretch = 0.00012 * 2 ** ((note - 48) / 12)
    for k in range(1, 30):
        f = hertz(note) * k * np.sqrt(1 + stretch * k * k)
        strength = abs(np.sin(np.pi * k / 7.3)) / k * np.exp(-f / (900 + 2400 * velocity)) * (f < 9000)
        decay = 0.35 + f / 900 + (note - 48) / 40
        for detune in (0.9997, 1.0004):  # the strings of one key beat slowly
            swing = np.sin(2 * np.pi * f * detune * t + rng.uniform(0, 2 * np.pi))
            out += strength * swing * (0.75 * np.exp(-2.2 * decay * t) + 0.25 * np.exp(-0.5 * decay * t))
    return velocity * out * envelope(t, 0.002, length, 0.3)


def pad(note, length, attack, rng):
    """Hold a warm pad: seven detuned, drifting voices under a filter that slowly opens and closes."""
    t = seconds(length + 2.5)
    bright = 500 + 700 * np.sin(np.pi * t / t[-1]) ** 2
    out = np.zeros(len(t))
    for cents in np.linspace(-11, 11, 7):
        f0 = hertz(note + cents / 100)
        drift = 0.6 * np.sin(2 * np.pi * (rng.uniform(0.08, 0.3) * t + rng.uniform()))
        phase = 2 * np.pi * (f0 * t + rng.uniform()) + drift
        for k in range(1, 9):
            out += np.sin(k * phase) / k * np.exp(-((f0 * k / bright) ** 2))
    return out * envelope(t, attack, length, 2.5) ** 1.5 / 7


def acid(note, length, cutoff):
    """Play one synth note: a sawtooth under a resonant low-pass filter that snaps shut from `cutoff` Hz."""
    f0 = hertz(note)
    t = seconds(length + 0.03)
    edge = 150 + cutoff * np.exp(-9 * t)
    out = np.zeros(len(t))
    for k in range(1, int(11000 / f0)):
        ratio = f0 * k / edge
        out += np.sin(2 * np.pi * f0 * k * t) / k / np.sqrt((1 - ratio**2) ** 2 + (0.35 * ratio) ** 2)
    return np.tanh(0.8 * out) * envelope(t, 0.003, length, 0.03)


def stab(notes, length):
    """Play a short, bright chord of detuned sawtooth voices."""
    t = seconds(length + 0.25)
    out = np.zeros(len(t))
    for note in notes:
        for cents in (-9, 0, 8):
            f0 = hertz(note + cents / 100)
            for k in range(1, int(9000 / f0)):
                out += np.sin(2 * np.pi * f0 * k * t + cents) / k * np.exp(-t * k * 0.6)
    return out / len(notes) / 3 * np.exp(-5 * t) * envelope(t, 0.004, length, 0.25)


def guitar(notes, length, rng, drive=3.0):
    """Pick a distorted guitar chord: stiff strings summed, driven through two clipping stages and a cabinet."""
    t = seconds(length + 0.06)
    out = noise(t, rng, 300, order=1) * 0.02 + noise(t, rng, 1200, order=1) * 0.5 * np.exp(-t * 90)
    for note in notes:
        wobble = 0.1 * rng.uniform(-1, 1) * np.sin(2 * np.pi * rng.uniform(3, 6) * t)
        f0 = hertz(note + rng.uniform(-0.08, 0.08))
        for k in range(1, int(6000 / f0)):
            phase = k * np.sqrt(1 + 2e-4 * k * k) * (2 * np.pi * f0 * t + wobble) + rng.uniform(0, 2 * np.pi)
            out += np.sin(np.pi * k * 0.13) / k**0.8 * np.sin(phase) * np.exp(-t * 0.5 * (1 + 0.1 * k))
    out = shape(np.tanh(4 * shape(out, 180, order=1) * envelope(t, 0.002, length, 0.05)), 120, order=1)
    out = shape(np.tanh(drive * out + 0.2) - np.tanh(0.2), 80, 4200, 5)
    out += 2 * shape(out, 80, 200) + 0.9 * shape(out, 2000, 3800)  # the bumps of the loudspeaker
    return out * envelope(t, 0.001, length + 0.03, 0.03)


def bass(note, length):
    """Pluck an overdriven electric bass."""
    t = seconds(length + 0.05)
    f0 = hertz(note)
    out = sum(np.sin(2 * np.pi * f0 * k * t) / k**1.2 * np.exp(-t * (1 + 0.5 * k)) for k in range(1, 14))
    return np.tanh(1.8 * out) * envelope(t, 0.004, length, 0.05)


def kick(rng, sweep=5.5, fall=8.0, beater=0.0):
    """Hit a bass drum: a sine that falls from a click to 50 Hz; less `sweep` and more `beater` are more acoustic."""
    t = seconds(0.4)
    phase = 2 * np.pi * (50 * t + sweep * (1 - np.exp(-t * 38)) + 1.2 * (1 - np.exp(-t * 300)))
    drum = np.tanh(2.2 * np.sin(phase) * np.exp(-t * fall)) + beater * noise(t, rng, 800, 5000) * np.exp(-t * 70)
    return drum * envelope(t, 0.001, 0.33, 0.07)


def snare(rng):
    """Hit a snare drum: two low modes and a burst of bright noise."""
    t = seconds(0.35)
    skin = (np.sin(2 * np.pi * 190 * t) + 0.6 * np.sin(2 * np.pi * 331 * t)) * np.exp(-t * 24)
    wires = noise(t, rng, 900) * np.exp(-t * 15)
    return np.tanh(1.3 * (skin + 0.8 * wires)) * envelope(t, 0.001, 0.25, 0.1)


def clap(rng):
    """Clap: four fast bursts of band-limited noise, the last one ringing."""
    t = seconds(0.3)
    bursts = ((0, 200), (0.011, 200), (0.021, 200), (0.03, 22))
    gate = sum(np.exp(-np.maximum(t - start, 0) * fall) * (t >= start) for start, fall in bursts)
    return noise(t, rng, 800, 5000) * gate * envelope(t, 0.001, 0.25, 0.05)


def cymbal(rng, decay, floor):
    """Strike a hi-hat (fast `decay`) or a crash (slow): noise and clanging partials above `floor` Hz."""
    t = seconds(min(6.0 / decay, 3.0))
    clang = sum(np.sign(np.sin(2 * np.pi * f * t)) for f in (2051, 3121, 3773, 4527, 5441, 6143)) / 8
    sound = shape(rng.standard_normal(len(t)) + clang, floor, 13000, 3)
    return sound * np.exp(-t * decay) * envelope(t, 0.001, t[-1] - 0.02, 0.02)


def piano_section(rng):
    """Play the theme on a solo piano over broken chords, not quite in time, in a room."""
    mix = blank()
    for bar, (root, (low, mid, high)) in enumerate(CHORDS):
        for step, note in enumerate((root, low, mid, high, mid, low, mid, low)):
            touch = piano(note, 1.2, 0.42 if step == 0 else 0.32, rng)
            add(mix, bar * BAR + step * BEAT / 2 + rng.normal(0, 0.006), touch, 0.9, -0.25)
    for beat, length, note in THEME:
        add(mix, beat * BEAT + 0.012, piano(note, length * BEAT + 0.5, 0.6, rng), 1.0, 0.2)
    return reverb(mix, rng, 2.2, 0.6)


def pad_section(rng):
    """Let the chords swell on pads over a drone, with a far piano for the first note of each bar, in a huge hall."""
    mix = blank()
    for bar, (root, chord) in enumerate(CHORDS):
        for index, note in enumerate((root - 12, root, *chord, chord[0] + 12)):
            add(mix, bar * BAR - 0.4, pad(note, BAR, 1.2 if bar else 0.1, rng), 1.0, (-1) ** index * 0.15 * index)
        add(mix, bar * BAR + BEAT, piano(THEME[4 * bar][2] + 12, 2.0, 0.5, rng), 0.25, 0.4)
    return reverb(mix, rng, 3.5, 1.0, 2500)


def techno_section(rng):
    """Drive four-on-the-floor drums, an acid bass in sixteenths and off-beat stabs that duck under the kick."""
    drums, synths = blank(), blank()
    for beat in range(16):
        add(drums, beat * BEAT, kick(rng), 0.65)
        add(drums, (beat + 0.5) * BEAT, cymbal(rng, 16, 6500), 0.2, 0.2)
        for quarter in range(4):
            add(drums, (beat + quarter / 4) * BEAT, cymbal(rng, 60, 8000), 0.07, -0.3)
        if beat % 2:
            add(drums, beat * BEAT, clap(rng), 0.4)
    for bar, (root, chord) in enumerate(CHORDS):
        for step, jump in enumerate((0, 0, 12, 0, 0, 7, 12, 0, 0, 12, 0, 10, 0, 12, 7, 12)):
            sweep = 700 + 2600 * (bar * 16 + step) / 64
            add(synths, bar * BAR + step * BEAT / 4, acid(root - 12 + jump, BEAT / 4 * 0.8, sweep), 0.42)
        hit = stab([note + 12 for note in chord], 0.2)
        for step in (3, 6, 11, 14):
            add(synths, bar * BAR + step * BEAT / 4, hit, 0.7, -0.4)
            add(synths, bar * BAR + (step + 3) * BEAT / 4, hit, 0.4, 0.6)  # its echo
    since = np.arange(len(synths)) / RATE % BEAT
    synths *= np.clip(0.25 + since / 0.22, 0, 1)[:, None]
    return reverb(drums, rng, 0.5, 0.1) + reverb(synths, rng, 1.2, 0.35, 8000)


def rock_section(rng):
    """Hit hard: a guitar on each side hammers power chords, a third takes the theme, over bass and drums."""
    band, drums = blank(), blank()
    near = partial(rng.normal, scale=0.005)  # around the beat: no band is a machine
    for bar, (root, _) in enumerate(CHORDS):
        eighths = bar * BAR + np.arange(8) * BEAT / 2
        low = root if root < 48 else root - 12
        for side in (-0.95, 0.95):
            for step, length in ((0, 2), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1), (7, 1)):
                chord = guitar((low, low + 7, low + 12), length * BEAT / 2 * 0.99, rng)
                add(band, near(eighths[step]), chord, 0.26, side)
        for step, when in enumerate(eighths):
            add(band, near(when), bass(low - 12 if low > 40 else low, 0.24), 0.16)
            add(drums, near(when), cymbal(rng, 4, 3500), 0.07 if step % 2 else 0.1, 0.3)
            if step in (0, 3, 4, 5):
                add(drums, near(when), kick(rng, 1.4, 16.0, 0.5), 0.65)
        for beat in (1, 3, 3.25, 3.5, 3.75) if bar == 3 else (1, 3):
            add(drums, near(bar * BAR + beat * BEAT), snare(rng), 0.75, 0.05)
        add(drums, bar * BAR, cymbal(rng, 2.2, 3000), 0.2, -0.35)
    for beat, length, note in THEME:
        add(band, near(beat * BEAT), guitar((note - 12,), length * BEAT * 0.98, rng), 0.15, 0.1)
    return reverb(band + drums, rng, 0.9, 0.35, 6000)


def compose(seed=4):
    """Return the clip as a stereo array: the sections at their loudness, crossfaded and raised to PEAK."""
    parts = ((piano_section, 0.085), (pad_section, 0.085), (techno_section, 0.16), (rock_section, 0.18))
    clip = np.zeros((round((len(parts) * SECTION + FADE) * RATE), 2))
    t = seconds(SECTION + FADE)
    for index, (section, loudness) in enumerate(parts):
        part = section(np.random.default_rng((seed, index)))
        part *= loudness / np.sqrt(np.mean(part**2))
        # A soft knee holds the drum hits below 0.9.
        part = np.where(abs(part) > 0.5, np.sign(part) * (0.5 + 0.4 * np.tanh((abs(part) - 0.5) / 0.4)), part)
        # The end of a section rings under the start of the next, which begins on its beat; the clip ends with a fade.
        last = index == len(parts) - 1
        part *= envelope(t, 0.004, SECTION - FADE if last else SECTION, FADE)[:, None]
        first = round(index * SECTION * RATE)
        clip[first : first + len(part)] += part
    clip = clip[: round(len(parts) * SECTION * RATE)]
    return clip * PEAK / abs(clip).max()


def main():
    """Write the clip to the file named on the command line."""
    parser = argparse.ArgumentParser(description="Compose the demo clip and write it to a sound file.")
    parser.add_argument("path", help="the file to write; its ending chooses the format (.ogg, .flac or .wav)")
    soundfile.write(parser.parse_args().path, compose(), RATE)


if __name__ == "__main__":
    main()
