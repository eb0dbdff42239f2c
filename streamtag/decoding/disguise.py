"""Coded sound that is stored as if it were samples: played or tagged as it stands, it is noise.

CDs with surround sound carry DTS as 16-bit samples, and captures of digital outputs carry AC-3 or DTS as IEC 61937
packs them. Both become WAV, FLAC or AIFF files that every tool takes for music. What gives them away is that their
packets begin with known words, at equal distances.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

LISTENED = 1 << 15
"""Samples (per channel) that are looked through, behind the silence at the start."""
PACKETS = 4
"""As many packets at equal distances are no coincidence."""
SHORTEST = 64
"""Bytes of a packet, at the least."""

_BEGINNINGS = {
    # of 16 bits (what goes on alike is a square wave), and of 14
    "DTS": rb"\xfe\x7f\x01\x80(?!\x01\x80)|\x7f\xfe\x80\x01(?!\x80\x01)"
    rb"|\xff\x1f\x00\xe8[\xf0-\xff]\x07|\x1f\xff\xe8\x00\x07[\xf0-\xff]",
    "AC-3 or DTS": rb"\x72\xf8\x1f\x4e|\xf8\x72\x4e\x1f",  # as IEC 61937 packs them for a digital output
    "AC-3": rb"(?s)\x0b\x77..[\x00-\xbf][\x00-\x57]|\x77\x0b..[\x00-\x57][\x00-\xbf]",
}


class Disguise:
    """Looks through the beginning of what a file holds, behind its silence.

    Attributes
    ----------
    settled : bool
        Whether nothing more needs to be looked at.
    """

    def __init__(self) -> None:
        self.settled = False
        self._kept: list[Array] = []
        self._count = 0

    def look(self, samples: Array) -> str | None:
        """Take a block (n, channels), and give the name of the codec when it is known."""
        if self.settled:
            return None
        if not self._kept:
            sounding = np.flatnonzero(samples.any(axis=1))
            samples = samples[sounding[0] :] if len(sounding) else samples[:0]
        if len(samples):
            self._kept.append(samples)
            self._count += len(samples)
        return self.end() if self._count >= LISTENED else None

    def end(self) -> str | None:
        """There is no more: the name of the codec, if it is one."""
        self.settled = True
        kept, self._kept = self._kept, []
        return coded(np.concatenate(kept)) if kept else None


def coded(samples: Array) -> str | None:
    """Name the codec whose packets these samples are; None if they are sound."""
    scaled = samples * np.float32(2**15)
    if not (np.abs(scaled) <= 2**15).all():
        return None
    words = scaled.astype(np.int32)
    if (words != scaled).any():  # not of 16 bits
        return None
    data = words.astype("<i2").tobytes()
    for name, beginning in _BEGINNINGS.items():
        if _regular([found.start() for found in re.finditer(beginning, data)]):
            return name
    return None


def _regular(places: list[int]) -> bool:
    """Whether some places follow each other at equal distances, give or take a sample."""
    known = set(places)
    for index, first in enumerate(places):
        for second in places[index + 1 : index + 9]:
            step = second - first
            if step >= SHORTEST and all(
                any(first + n * step + by in known for by in (0, -2, 2)) for n in range(2, PACKETS)
            ):
                return True
    return False
