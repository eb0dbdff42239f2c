"""What a person at the machine must know while it is so: counters that grow, and samples that give a fault away."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from streamtag.session.level import Level

SECONDS = 5.0
"""What has happened within this time is happening."""
ZERO_SECONDS = 2.0
"""After so much of nothing but zeros it is no pause: a live microphone hears at least its own noise."""
CLIPPED_SHARE = 0.01
"""Loud masters touch full scale now and then; so many samples there are an input that is turned up too far."""
SKIPPED_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Counts:
    """Counters of a session that tell of a fault where they grow."""

    lost: int = 0
    overflows: int = 0
    nonfinite: int = 0
    hops: int = 0
    skipped: int = 0
    samples: int = 0
    clipped: int = 0
    mad: int = 0


class Watch:
    """Looks at the counters each time the session reports. For one thread at a time.

    Attributes
    ----------
    warnings : dict of {str: str}
        What is wrong now, in words, by a short name of its kind; replaced and never changed.
    """

    def __init__(self) -> None:
        self.warnings: dict[str, str] = {}
        self._seen: deque[tuple[float, Counts]] = deque([(0.0, Counts())])

    def look(self, now: float, counts: Counts, level: Level) -> None:
        """Look at what has come since `SECONDS` ago.

        Parameters
        ----------
        now : float
            Seconds of any clock.
        counts : Counts
            The counters.
        level : Level
            Of the samples.
        """
        while len(self._seen) > 1 and now - self._seen[1][0] >= SECONDS:
            self._seen.popleft()
        before = self._seen[0][1]
        self._seen.append((now, counts))
        self.warnings = dict(_found(before, counts, level))


def _found(before: Counts, now: Counts, level: Level) -> list[tuple[str, str]]:
    found = []
    if level.silent_seconds >= ZERO_SECONDS:
        found.append(
            (
                "zeros",
                "nothing but exact zeros so far: is it muted, is it the right input, and may this program use it? "
                "`streamtag devices` lists others",
            )
        )
    if now.mad > before.mad:
        found.append(("scale", f"samples of {level.peak:.0f} times full scale: the format is not what it is taken for"))
    elif now.clipped - before.clipped > CLIPPED_SHARE * (now.samples - before.samples):
        share = (now.clipped - before.clipped) / max(1, now.samples - before.samples)
        found.append(("clipping", f"clips: {100 * share:.0f} % of the samples are at full scale; turn it down"))
    if count := now.nonfinite - before.nonfinite:
        found.append(
            ("numbers", f"{_some(count, 'sample')} of the last {SECONDS:.0f} s replaced by 0: NaN or infinite")
        )
    if count := now.lost - before.lost:
        found.append(("lost", f"{_some(count, 'sample')} of the last {SECONDS:.0f} s lost: the machine was too busy"))
    if count := now.overflows - before.overflows:
        found.append(("overflows", f"the sound system lost samples {_some(count, 'time')} in the last {SECONDS:.0f} s"))
    skipped, hops = now.skipped - before.skipped, now.hops - before.hops
    if skipped > SKIPPED_SHARE * (skipped + hops) and skipped > 1:
        share = skipped / (skipped + hops)
        found.append(("behind", f"too slow: {100 * share:.0f} % of the hops are skipped; a longer hop keeps up"))
    return found


def _some(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"
