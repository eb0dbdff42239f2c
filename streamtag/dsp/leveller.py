"""The gain that brings a stream to the level that the models know, frame by frame.

The networks hear ``log10(10000 * mel + 1)``: the 1 makes them hear quiet music as another music. They learned from
released recordings; a line input with the usual headroom lies far below those.

The gain is applied to the power of a frame, before the logarithm: exactly what a gain on all samples of the frame would
do (the transform is linear), for one multiplication a band. A frame's gain depends on what was heard up to its newest
sample and on nothing else, so that chunks make no difference and a frame stays as it is while windows slide over it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from streamtag.dsp.params import FRAME_SECONDS

TARGET_DBFS = -17.0
"""Level that streams are brought to: about where released recordings lie."""
QUIETEST_DBFS = -70.0
"""A block below this is no music: the gain stays as it is, and noise is not drawn up."""
SECONDS = 1.0
"""Time constant of the loudness that the gain follows."""
EXPONENT = 0.3
"""Loudness as it is felt grows with about this power of the sound's (Stevens 1955): a mean of it follows a quieter part
as fast as a louder one, where a mean of power takes 4 s to come down by 18 dB."""
SMALLEST_DB, LARGEST_DB = -20.0, 40.0


def power(db: float) -> float:
    """Decibels to a power, or a gain of one."""
    return 10 ** (db / 10)


class Leveller:
    """Follows the loudness of one stream, and gives the gain for each frame. For one thread at a time.

    Parameters
    ----------
    frame_seconds : float
        Seconds from one frame to the next.
    """

    def __init__(self, frame_seconds: float = FRAME_SECONDS) -> None:
        keep = math.exp(-frame_seconds / SECONDS)
        limits = power(SMALLEST_DB), power(LARGEST_DB)
        self._settings = np.array([power(QUIETEST_DBFS), EXPONENT, keep, power(TARGET_DBFS), *limits])
        self.reset()

    @property
    def settings(self) -> tuple[float, ...]:
        """All that the gain depends on besides the sound, for those who keep what came of it."""
        return tuple(map(float, self._settings))

    def reset(self) -> None:
        """Start a new stream: the first block that is not quiet gives the level at once."""
        self._state = np.zeros(3)

    def pass_silence(self, frames: int) -> None:
        """Let frames of silence pass of which none is to be made."""
        from streamtag.dsp.kernels import QUIET

        self._state[QUIET] += frames

    def gains(self, power: NDArray[np.float32]) -> NDArray[np.float64]:
        """Take the next frames, and give the gain for each.

        Parameters
        ----------
        power : ndarray of float32, shape (n,)
            Mean square of the newest hop of each frame.

        Returns
        -------
        ndarray of float64, shape (n,)
            Gain of power (not of amplitude): 1 changes nothing.
        """
        from streamtag.dsp.kernels import follow_level

        gains = np.empty(len(power))
        follow_level(power, self._settings, self._state, gains)
        return gains
