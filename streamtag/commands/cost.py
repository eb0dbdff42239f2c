"""What a model costs on this machine, measured."""

from __future__ import annotations

import time
from typing import NamedTuple

SECONDS = 4.0
"""Of noise that is heard, after a window of it."""
ROUNDS = 2
"""The quicker counts."""


class Cost(NamedTuple):
    """What was measured.

    Attributes
    ----------
    seconds : float
        Of this machine's time, for a second of sound.
    hop : float
        Seconds between two results meanwhile.
    """

    seconds: float
    hop: float


def second_of_sound(model: str) -> Cost:
    """Measure a model as a live session runs it, with a result for each of its usual hops, and nothing beside it.

    Parameters
    ----------
    model : str
        Its name.

    Returns
    -------
    Cost
        What was measured.

    Raises
    ------
    StreamtagError
        It cannot be used here.
    """
    import numpy as np

    from streamtag.tagging.tagger import Tagger

    tagger = Tagger(model)
    tagger.warm_up()
    rate = tagger.front_end.rate
    noise = np.random.default_rng(0).normal(0, 0.1, int(SECONDS * rate)).astype(np.float32)
    tagger.push(np.resize(noise, int(tagger.window * rate) + rate), rate)
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for start in range(0, len(noise), rate // 50):  # as it comes: 20 ms at a time
            tagger.push(noise[start : start + rate // 50], rate)
        best = min(best, time.perf_counter() - began)
    return Cost(best / SECONDS, tagger.hop)
