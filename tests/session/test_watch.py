"""What is wrong while it is so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from streamtag.session.level import Level
from streamtag.session.watch import SECONDS, Counts, Watch


def level_of(value: float, seconds: float) -> Level:
    level = Level()
    level.feed(np.full(round(seconds * 16_000), value, np.float32), 16_000)
    return level


FINE = level_of(0.1, 10)


@pytest.mark.parametrize(
    ("kind", "fine", "wrong", "words"),
    [
        ("lost", {}, {"lost": 480}, "480 samples of the last 5 s lost"),
        ("overflows", {}, {"overflows": 1}, "lost samples 1 time in the last"),
        ("numbers", {}, {"nonfinite": 1}, "1 sample of the last"),
        ("behind", {"hops": 95, "skipped": 5}, {"hops": 0, "skipped": 300}, "46 % of the hops"),
        ("clipping", {"samples": 16_000, "clipped": 100}, {"samples": 16_000, "clipped": 7600}, "10 % of the samples"),
        ("scale", {"samples": 16_000}, {"samples": 16_000, "mad": 1}, "times full scale"),
    ],
)
def test_what_grows_is_wrong_until_it_has_stopped_for_a_while(
    kind: str, fine: dict[str, int], wrong: dict[str, int], words: str
) -> None:
    watch = Watch()
    counts = dict.fromkeys(("lost", "overflows", "nonfinite", "hops", "skipped", "samples", "clipped", "mad"), 0)

    def look(second: float, more: dict[str, int]) -> None:
        for name, count in more.items():
            counts[name] += count
        watch.look(second, Counts(**counts), FINE)

    for second in range(8):
        look(second, fine)
        assert watch.warnings == {}
    look(8, wrong)
    assert words in watch.warnings[kind]
    said = watch.warnings
    second = 9
    while second < 8 + SECONDS:
        look(second, fine)
        second += 1
    look(second, fine)
    assert watch.warnings == {}
    assert said != {}, "it is replaced, not changed: others may be reading it"


@pytest.mark.parametrize(
    ("level", "kinds"),
    [
        (level_of(0.0, 1.0), set[Any]()),
        (level_of(0.0, 3.0), {"zeros"}),
        (level_of(1e-9, 3.0), set[Any]()),
        (level_of(2.0, 3.0), set[Any]()),
        (level_of(20_000.0, 3.0), {"scale"}),
    ],
)
def test_samples_give_a_fault_away(level: Level, kinds: set[str]) -> None:
    watch = Watch()
    watch.look(1.0, Counts(samples=level.samples, mad=level.mad), level)
    assert set(watch.warnings) == kinds


def test_one_hop_that_is_skipped_at_the_start_is_nothing() -> None:
    watch = Watch()
    watch.look(1.0, Counts(hops=1, skipped=1), FINE)
    assert watch.warnings == {}
