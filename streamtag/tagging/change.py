"""How much the music changes, at two time scales: at this moment, and from one section to the next.

What changes is heard in two ways. The network's embedding turns: that says that it is other music. The spectrum
differs from that of the seconds before more than it usually does in this music: that comes at once, and says when.
Either alone is fooled (a solo, a drum fill); their product finds 1.6 times as many cuts at the same number of false
alarms. The exponents and the offset are a logistic regression's on splices of real music (`python -m bench.reaction`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamtag.dsp.params import FRAME_SECONDS, N_MELS

STEP_FRAMES = 4
"""Frames from one look to the next,"""
STEP_SECONDS = STEP_FRAMES * FRAME_SECONDS
"""which is 64 ms; what follows is counted in these steps."""
LAG = 16
"""The embedding is compared with what it was this long before (1 s: the windows have nothing in common),"""
EMBEDDING_KEEP = math.exp(-STEP_SECONDS / 2.0)
"""averaged with a time constant of 2 s."""
NEW, OLD = 8, 72
"""The spectrum of the newest 0.5 s is compared with that of the 4.6 s before."""
USUAL_KEEP = math.exp(-STEP_SECONDS / 8.0)
USUAL_LAG = 30
"""Its usual distance is an average of 8 s, of those at least 1.9 s ago: the change itself is not usual."""
TURN, SURPRISE, OFFSET = 1.7, 2.6, -1.1
"""The regression: the log-odds of a change are TURN log(distance) + SURPRISE log(distance / usual one) + OFFSET."""
SECTION_NEW, SECTION_GAP, SECTION_OLD, SECTION_LEAST = 40, 8, 112, 40
"""For sections, the mean embedding of the newest 2.6 s is compared with that of the 7.2 s (at least 2.6 s) that ended
0.5 s before those."""
SECTION_DISTANCE = 0.24
"""Cosine distance that makes a section, in two steps one after the other."""
SEARCHED = 72
"""Steps back in which its beginning is looked for: where the change was greatest,"""
PEAK_SECONDS = 1.0
"""which is this long after it (the median on splices)."""


@dataclass(frozen=True, slots=True)
class Change:
    """What `ChangeDetector` says at one step.

    Attributes
    ----------
    odds : float
        Odds of a change within about the last second (0.1: improbable, 10: certain).
    section : float or None
        Where a section was found to have begun: how many seconds ago.
    """

    odds: float
    section: float | None = None

    @property
    def probability(self) -> float:
        """The same as a probability, 0..1."""
        return self.odds / (1 + self.odds)


NO_CHANGE = Change(0.0)


class ChangeDetector:
    """Looks at the music every 64 ms. For one thread at a time."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget what was heard."""
        self._embeddings: list[NDArray[np.float32]] = []  # of this section, unit length, oldest first
        self._average: NDArray[np.float32] | None = None
        self._averages: list[NDArray[np.float32]] = []
        self._spectra = np.empty((0, N_MELS), np.float32)
        self._distances: list[float] = []  # those that are not yet long enough ago to be usual
        self._usual = self._weight = 0.0
        self._odds: list[float] = []
        self._over = 0

    def update(self, spectrum: NDArray[np.float32], embedding: NDArray[np.float32]) -> Change:
        """Take the next 64 ms.

        Parameters
        ----------
        spectrum : ndarray of float32, shape (96,)
            Mean of their log-mel frames.
        embedding : ndarray of float32, shape (units,)
            The network's for a short window that ends with them.

        Returns
        -------
        Change
            How much the music changes.
        """
        turned, surprise = self._turned(embedding), self._surprise(spectrum)
        ready = len(self._averages) >= LAG and len(self._spectra) >= 3 * NEW
        log_odds = TURN * math.log(turned + 0.02) + SURPRISE * math.log(surprise) + OFFSET
        odds = math.exp(log_odds) if ready else 0.0
        self._odds = [*self._odds[-SEARCHED:], odds]
        return Change(odds, self._section())

    def _turned(self, embedding: NDArray[np.float32]) -> float:
        """Cosine distance to the embedding of a second before."""
        unit = embedding / np.float32(np.linalg.norm(embedding) + 1e-9)
        self._embeddings = [*self._embeddings[-(SECTION_NEW + SECTION_GAP + SECTION_OLD - 1) :], unit]
        before = self._averages[0] if self._averages else embedding
        average = embedding if self._average is None else self._average
        self._average = embedding + np.float32(EMBEDDING_KEEP) * (average - embedding)
        self._averages = [*self._averages[-(LAG - 1) :], self._average]
        return _cosine_distance(unit, before)

    def _surprise(self, spectrum: NDArray[np.float32]) -> float:
        """Distance of the spectrum to that before, as a multiple of the usual one."""
        self._spectra = np.concatenate((self._spectra, spectrum[None]))[-(NEW + OLD) :]
        if len(self._spectra) <= NEW:
            return 1.0
        difference = self._spectra[-NEW:].mean(0) - self._spectra[:-NEW].mean(0)
        distance = float(np.sqrt(np.mean(difference * difference)))
        self._distances.append(distance)
        if len(self._distances) > USUAL_LAG:
            self._usual = USUAL_KEEP * self._usual + self._distances.pop(0)
            self._weight = USUAL_KEEP * self._weight + 1
        usual = self._usual / self._weight if self._weight else self._distances[0]
        return (distance + 0.01) / (usual + 0.01)

    def _section(self) -> float | None:
        """Seconds since the beginning of a section that is found now."""
        old = len(self._embeddings) - SECTION_NEW - SECTION_GAP
        if old < SECTION_LEAST:
            self._over = 0
            return None
        before = np.mean(self._embeddings[:old], axis=0)
        distance = _cosine_distance(np.mean(self._embeddings[-SECTION_NEW:], axis=0), before)
        self._over = self._over + 1 if distance > SECTION_DISTANCE else 0
        if self._over < 2:
            return None
        recent = self._odds[-SEARCHED:]
        ago = len(recent) - 1 - int(np.argmax(recent))
        self._embeddings = self._embeddings[len(self._embeddings) - ago - 1 :]  # the next is told from this one
        self._over = 0
        return ago * STEP_SECONDS + PEAK_SECONDS


def _cosine_distance(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    product = float(np.linalg.norm(one) * np.linalg.norm(other))
    return 1 - float(one @ other) / product if product > 0 else 0.0
