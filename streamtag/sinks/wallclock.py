"""From the clock that frames are stamped with to the one that other machines have."""

from __future__ import annotations

import time


def unix_times(captured: float) -> tuple[float, float]:
    """A moment of `time.monotonic()`, and the present one, both in seconds since 1970.

    The two clocks are compared anew each time: the wall clock is set now and then, by people and by NTP.
    """
    now = time.time()
    return now - (time.monotonic() - captured), now
