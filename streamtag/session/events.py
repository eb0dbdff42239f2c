"""What enters the engine: values, in the order in which they are to be heard."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamtag.session.commands import Command


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Samples of the present stream: mono, finite, in order.

    Attributes
    ----------
    samples : ndarray of float32, shape (n,)
        The samples; the receiver's own.
    samplerate : int
        Hz.
    """

    samples: NDArray[np.float32]
    samplerate: int


@dataclass(frozen=True, slots=True)
class Lost:
    """So many samples of the present stream were lost just here.

    Attributes
    ----------
    samples : int
        How many.
    samplerate : int
        Hz.
    """

    samples: int
    samplerate: int


@dataclass(frozen=True, slots=True)
class Gone:
    """The input is gone, and its source waits for it.

    Attributes
    ----------
    time : float
        Now, in seconds of the frames' time.
    """

    time: float


@dataclass(frozen=True, slots=True)
class NewStream:
    """Another stream begins, perhaps of another rate, after a time in which nothing came.

    Attributes
    ----------
    samplerate : int
        Hz of the new stream.
    gap : int
        How long nothing came, in samples of the new stream.
    """

    samplerate: int
    gap: int


@dataclass(frozen=True, slots=True)
class Back:
    """The input is no longer gone: samples will follow."""


@dataclass(frozen=True, slots=True)
class Ended:
    """Nothing more will come.

    Attributes
    ----------
    error : BaseException or None
        What ended the source early, if anything did.
    """

    error: BaseException | None = None


Heard = Samples | Lost | Gone | NewStream | Back | Ended
"""What comes from the source."""
Event = Heard | Command
"""All that the engine acts on: what is heard, and what it is told to do."""
