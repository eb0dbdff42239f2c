"""Which files hold the same sound: by a checksum, by an outline that survives encoders, by what a network hears.

The outline is a spectrogram of 16 bands, compared as Haitsma and Kalker (A highly robust audio fingerprinting system,
2002) do: by the signs of its differences along time and bands, of which unrelated sounds have half in common. The
outlines themselves must agree as well, for signs of smooth decays (single notes) are not independent.

Trying all shifts on all pairs would take too long: by itself an outline finds what begins within half a second of the
other. Where a recording was cut elsewhere, the mean of a network's features over all of it still is nearly the same,
and says which pairs are worth it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
BANDS = 16
LONGEST = 3750
"""Frames of an outline: the first minute."""
SHORTEST = 125
"""Of less than 2 s an outline says too little."""
SHIFTS = 32
"""Frames by which copies may begin sooner or later: half a second of an encoder's padding, or of trimming."""
OVERLAP = 0.8
"""Share of the shorter outline that must lie on the other."""
SMOOTH = 4
"""Frames of the mean and of the step along time: 64 ms, so that it does not matter where frames begin."""
ALIKE = 0.95
"""Correlation of outlines. Copies through MP3 and Vorbis, cut elsewhere or 6 dB quieter: 0.954 and more."""
PROMISING = 0.7
"""Correlation, at every fourth frame, from which on it is looked closely."""
ERRORS = 0.22
"""Share of signs that differ. The same copies: 0.20 at the most; unrelated sounds: mostly 0.5."""
STILL = 0.02
"""Smaller steps of an outline (its unit is a factor of 10) say nothing by their signs."""
FEWEST = 0.4
"""Share of the signs that must say something: single notes and clicks are too simple to be told from each other."""
COARSE = 8
COARSE_BLOCKS = 15
LIKELY = 0.4
"""Correlation of the beginnings (two seconds of coarse blocks) from which on outlines are compared."""
FLAT = 1e-3
FURTHER_SHIFTS = 625
"""The same as `SHIFTS` for files that a network hears alike: 10 s, for recordings that were cut elsewhere."""
NEAR = 0.98
"""Cosine of the means of `mean_pool` from which on they are. Copies of 30 s of 37 tracks, cut 2.3 s later: 0.994 and
more; through MP3: 0.991; 110 different tracks: 0.974 and less."""
MOST_NEAR = 5
"""Files with which each is compared in this way: sounds of one making may all be alike."""


class Fingerprint:
    """What tells a sound from others, made while a file goes by."""

    def __init__(self, samplerate: int) -> None:
        self._digest = hashlib.sha256(str(samplerate).encode())
        self._begun = False
        self._zeros = 0  # at the end so far
        self._outline: list[Array] = []
        self._frames = 0

    def hear(self, block: Array) -> None:
        """Take samples: float32 (frames, channels). Silence before the first and after the last sound is left out."""
        if not np.isfinite(block).all():
            block = np.where(np.isfinite(block), block, np.float32(0))
        mono = block.mean(axis=1, dtype=np.float64).astype(np.float32)
        loud = np.flatnonzero(mono)
        if not len(loud):
            self._zeros += len(mono) * self._begun
            return
        first = 0 if self._begun else int(loud[0])
        last = int(loud[-1])
        self._digest.update(bytes(4 * self._zeros))
        self._digest.update((mono[first : last + 1] + np.float32(0)).tobytes())  # -0 is 0
        self._begun, self._zeros = True, len(mono) - last - 1

    def see(self, logmel: Array) -> None:
        """Take frames: float32 (frames, width), less what silence is."""
        if not self._frames:
            logmel = logmel[int(np.argmax(logmel.any(axis=1))) if logmel.any() else len(logmel) :]
        logmel = logmel[: LONGEST - self._frames]
        width = logmel.shape[1]
        if width % BANDS == 0:
            self._outline.append(logmel.reshape(len(logmel), BANDS, width // BANDS).mean(axis=2))
        else:
            self._outline.append(logmel[:, np.arange(BANDS) * width // BANDS])
        self._frames += len(logmel)

    @property
    def sha256(self) -> str:
        """Checksum of the mean of the channels: the same for copies in other containers, and with other titles."""
        return self._digest.hexdigest()

    @property
    def outline(self) -> Array:
        """The outline: float32 (frames, 16)."""
        return np.concatenate([np.empty((0, BANDS), np.float32), *self._outline])


def same_sounds(
    checksums: Sequence[str], outlines: Sequence[Array], pools: Sequence[Array]
) -> Iterator[tuple[int, int]]:
    """Pairs of files that hold the same sound, the first of its kind always in front.

    Parameters
    ----------
    checksums : sequence of str
        Of each file.
    outlines : sequence of ndarray of float32
        Of each file, each of shape (frames, 16).
    pools : sequence of ndarray of float32
        `mean_pool` of each file's patches, each of shape (patches, units); none at all of a model that has none.

    Yields
    ------
    tuple of (int, int)
        Indices of two files.
    """
    first: dict[str, int] = {}
    for index, checksum in enumerate(checksums):
        if (other := first.setdefault(checksum, index)) != index:
            yield other, index
    rows = [index for index in first.values() if len(outlines[index]) >= SHORTEST]
    smooth = {row: _smoothed(outlines[row]) for row in rows}
    kinds = {row: row for row in rows}
    likely = ((pair, SHIFTS) for pair in _likely(outlines, rows))
    further = ((pair, FURTHER_SHIFTS) for pair in _near(pools, rows))
    for (one, other), reach in chain(likely, further):
        if kinds[one] != kinds[other] and _alike(smooth[one], smooth[other], reach):
            old, new = kinds[other], kinds[one]
            kinds = {row: new if kind == old else kind for row, kind in kinds.items()}
            yield one, other


def _near(pools: Sequence[Array], rows: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Pairs of which one is among those nearest to the other, and near enough, by the mean of their features."""
    if not pools or not rows:
        return
    means = _unit([pools[row] for row in rows])
    for a, row in enumerate(rows):
        likeness = means @ means[a]
        likeness[a] = -1
        nearest = np.argsort(-likeness)[:MOST_NEAR]
        pairs = ((row, rows[int(b)]) for b in nearest if likeness[b] >= NEAR)
        yield from ((min(pair), max(pair)) for pair in pairs)


def _unit(parts: Sequence[Array]) -> NDArray[np.float64]:
    """The mean of each part, of length 1."""
    means = np.stack([part.mean(axis=0, dtype=np.float64) for part in parts])
    return np.asarray(means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), np.finfo(np.float64).tiny))


def _likely(outlines: Sequence[Array], rows: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Pairs whose beginnings are alike, one of them shifted by up to half a second."""
    if not rows:
        return
    starts = [np.stack([_beginning(outlines[row], shift) for row in rows]) for shift in range(SHIFTS // COARSE + 1)]
    for a, row in enumerate(rows):
        near = np.zeros(len(rows), bool)
        for shifted in starts:
            near |= (starts[0] @ shifted[a] > LIKELY) | (shifted @ starts[0][a] > LIKELY)
        yield from ((row, rows[int(b)]) for b in np.flatnonzero(near[a + 1 :]) + a + 1)


def _beginning(outline: Array, shift: int) -> Array:
    part = outline[shift * COARSE :][: COARSE * COARSE_BLOCKS]
    blocks = np.zeros((COARSE_BLOCKS, BANDS), np.float32)
    count = len(part) // COARSE
    blocks[:count] = part[: count * COARSE].reshape(count, COARSE, BANDS).mean(axis=1)
    blocks[:count] -= blocks[:count].mean(axis=0) if count else 0
    return blocks.ravel() / max(float(np.linalg.norm(blocks)), FLAT)


def _smoothed(outline: Array) -> Array:
    """The mean over `SMOOTH` frames at a time."""
    parts = [outline[k : len(outline) - SMOOTH + 1 + k] for k in range(SMOOTH)]
    mean: Array = np.mean(parts, axis=0, dtype=np.float32)
    return mean


def _alike(x: Array, y: Array, reach: int) -> bool:
    best = _best_shift(x[::SMOOTH], y[::SMOOTH], reach)
    if best is None:
        return False
    shifts = sorted(range(SMOOTH * (best - 1), SMOOTH * (best + 1) + 1), key=lambda shift: abs(shift - SMOOTH * best))
    return any(_signs_agree(x, y, shift) and _correlation(x, y, shift) > ALIKE for shift in shifts)


def _best_shift(x: Array, y: Array, reach: int) -> int | None:
    """Where two outlines fit best, each band less its mean over all; None where they fit nowhere."""
    bands = x.shape[1]
    flat_x, flat_y = ((part - part.mean(axis=0)).ravel() for part in (x, y))
    likeness, best = PROMISING, None
    for shift in range(-reach // SMOOTH, reach // SMOOTH + 1):
        u, v = flat_x[max(0, shift) * bands :], flat_y[max(0, -shift) * bands :]
        count = min(len(u), len(v))
        u, v = u[:count], v[:count]
        found = float(u @ v) / max(float(u @ u) * float(v @ v), FLAT) ** 0.5
        if found > likeness and count >= OVERLAP * min(len(flat_x), len(flat_y)):
            likeness, best = found, shift
    return best


def _correlation(x: Array, y: Array, shift: int) -> float:
    """Of two outlines, one shifted, each band less its mean; 0 where too little of them lies on each other."""
    u, v = x[max(0, shift) :], y[max(0, -shift) :]
    count = min(len(u), len(v))
    if count < OVERLAP * min(len(x), len(y)):
        return 0
    u, v = (part[:count] - part[:count].mean(axis=0) for part in (u, v))
    return float((u * v).sum()) / max(float(np.linalg.norm(u) * np.linalg.norm(v)), FLAT)


def _signs_agree(x: Array, y: Array, shift: int) -> bool:
    d, e = (np.diff(part[SMOOTH:] - part[:-SMOOTH], axis=1) for part in (x[max(0, shift) :], y[max(0, -shift) :]))
    d, e = d[: len(e)], e[: len(d)]
    moving = np.maximum(np.abs(d), np.abs(e)) > STILL
    told = np.count_nonzero(moving)
    return bool(told >= FEWEST * moving.size and np.count_nonzero(((d > 0) != (e > 0)) & moving) <= ERRORS * told)
