"""What is odd about the sound itself: silence, channels that cancel out, a scale that cannot be meant."""

from __future__ import annotations

import numpy as np

SILENT = 1e-4
"""-80 dBFS: a swing that is less is silence to the models."""
CANCELLED = 1e-2
"""Share of its channels' swing that is left of a mean whose channels cancel out (-40 dB)."""
TOO_LOUD = 8.0
"""Beyond it (18 dB over full scale) samples are on another scale, such as integers stored as floats."""


class Heard:
    """Watches the samples of a file go by.

    Attributes
    ----------
    peak : float
        The greatest of them, without sign; NaN and infinity left out.
    """

    def __init__(self) -> None:
        self.peak = 0.0
        self._any = False
        self._beyond = False  # whether any was infinite
        self._least: np.ndarray | None = None  # of each channel, and of their mean
        self._most: np.ndarray | None = None

    def hear(self, samples: np.ndarray) -> None:
        """Take a block, float32 (n, channels)."""
        from streamtag.dsp.kernels import extremes

        if not samples.size:
            return
        self._any = True
        least, most = np.empty((2, samples.shape[1] + 1), np.float32)
        none = extremes(np.ascontiguousarray(samples), least, most)
        if none:
            self._beyond = self._beyond or bool(np.isinf(samples).any())
            if none == samples.size:
                return
        self.peak = max(self.peak, float(-least[:-1].min()), float(most[:-1].max()))
        self._least = least if self._least is None else np.minimum(self._least, least)
        self._most = most if self._most is None else np.maximum(self._most, most)

    @property
    def silence(self) -> str | None:
        """Why what has been heard so far is silence to the models; None where it is not."""
        if self._least is None or self._most is None:
            if self._beyond:
                return "its samples are infinite, or on a scale far beyond full scale: what is heard is silence"
            return "none of its samples is a number: what is heard is silence" if self._any else None
        swing = self._most - self._least
        loudest, mean = float(swing[:-1].max()), float(swing[-1])
        if loudest < SILENT:
            return "silent from beginning to end: its tags mean nothing"
        if mean < max(SILENT, CANCELLED * loudest):
            return (
                "its channels cancel each other out, as one is the other upside down: "
                "their mean, which is what is heard, is silent"
            )
        return None

    @property
    def notes(self) -> list[str]:
        """What a user should know of what has been heard so far."""
        said = [] if self.silence is None else [self.silence]
        if self.peak > TOO_LOUD:
            said.append(
                f"samples reach {self.peak:,.0f} times full scale, as integers do that were stored as floats: "
                "its tags mean little"
            )
        return said
