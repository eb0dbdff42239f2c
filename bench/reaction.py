"""How quickly scores follow where music changes, and how calm they are where it does not.

python -m bench.reaction PACKAGES [--splices 60] [--steady 40] [--model MSD_musicnn] [--second-db 0]

Music: `bench.reference`, not shipped. Splices: 10 s of one track, then 14 s of one of another source, both at -18 dBFS;
of five, three are hard cuts, one fades over 1 s and one over 3 s (times are from the middle of the fade). Steady: up to
60 s of one track each, which may well contain a chorus or a bridge. All through `Tagger` as live sessions use it.

half-way  to the first moment from which a score stays beyond the middle of its settled levels for 0.25 s (tags whose
          levels differ by 0.2 or more; settled: the plain 3 s windows that hear one music alone)
on        to a tag being on that settles at 0.3 or more and was below 0.1 before
leader    to the first of the top tags being the one that leads once it is settled
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from bench.reference import tracks
from streamtag.dsp.resampler import Resampler
from streamtag.results import TagFrame
from streamtag.tagging.tagger import Tagger

Array = NDArray[np.float32]
RATE = 16_000
HOP = 0.064
HELD = 0.25
CUT = 10.0
BEFORE, AFTER, STEADY = 10.0, 14.0, 60.0
FADES = (0.0, 0.0, 0.0, 1.0, 3.0)
WAYS: dict[str, dict[str, Any]] = {
    "smooth 1.0, as until now": {},
    "react calm": {"react": "calm"},
    "react normal": {"react": "normal"},
    "react quick": {"react": "quick"},
}


def excerpt(path: Path, seconds: float, random: np.random.Generator) -> Array | None:
    """A part of a track at 16 kHz and -18 dBFS; None if there is none of this length without a silence in it."""
    info = soundfile.info(path)
    if info.duration < seconds + 10:
        return None
    start = random.uniform(5, info.duration - seconds - 2)
    sound, rate = soundfile.read(
        path,
        start=round(start * info.samplerate),
        frames=round((seconds + 0.5) * info.samplerate),
        dtype="float32",
        always_2d=True,
    )
    mono = np.ascontiguousarray(sound.mean(axis=1), np.float32)
    part = Resampler(rate).push(mono)[: round(seconds * RATE)]
    power = float(np.mean(part**2))
    each = np.mean(part[: len(part) // RATE * RATE].reshape(-1, RATE) ** 2, axis=1)
    if len(part) < seconds * RATE or power < 1e-6 or each.min() < power * 10**-1.5:
        return None
    return part * np.float32(10 ** (-18 / 20) / np.sqrt(power))


def splices(root: Path, count: int, second_db: float, seed: int = 11) -> Iterator[tuple[float, Array]]:
    """Lengths of fades, and spliced music."""
    gain = np.float32(10 ** (second_db / 20))
    random = np.random.default_rng(seed)
    of_source: dict[str, list[Path]] = defaultdict(list)
    for source, path in tracks(root):
        of_source[source].append(path)
    made = 0
    while made < count:
        fade = FADES[made % len(FADES)]
        pair = [
            excerpt(of_source[source][random.integers(len(of_source[source]))], seconds + fade / 2, random)
            for source, seconds in zip(random.choice(sorted(of_source), 2, replace=False), (BEFORE, AFTER), strict=True)
        ]
        one, other = pair
        if one is None or other is None:
            continue
        made += 1
        other = other * gain
        overlap = round(fade * RATE)
        if overlap:
            rising = np.sin(np.linspace(0, np.pi / 2, overlap)).astype(np.float32)
            both = one[-overlap:] * rising[::-1] + other[:overlap] * rising
            yield fade, np.concatenate((one[:-overlap], both, other[overlap:]))
        else:
            yield fade, np.concatenate((one, other))


def steady(root: Path, count: int, seed: int = 5) -> Iterator[Array]:
    """Music that goes on."""
    random = np.random.default_rng(seed)
    made = 0
    for _, path in tracks(root):
        part = excerpt(path, STEADY, random)
        if part is not None:
            yield part
            made += 1
            if made == count:
                return


def first_held(there: NDArray[np.bool_]) -> float:
    """Seconds to the first hop from which it is so for `HELD`; infinite if it never is."""
    needed = round(HELD / HOP) + 1
    run = 0
    for i, so in enumerate(there):
        run = run + 1 if so else 0
        if run == needed:
            return (i - needed + 1) * HOP
    return float("inf")


class Reactions:
    """What is measured on splices."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = defaultdict(list)
        self.sections = self.splices = 0

    def add(self, fade: float, frames: Sequence[TagFrame], labels: Sequence[str]) -> None:
        """Measure one splice."""
        times = np.array([frame.time for frame in frames])
        raw = np.stack([frame.raw for frame in frames])
        since = times >= CUT
        before = raw[(times > CUT - fade / 2 - 3) & (times <= CUT - fade / 2)].mean(axis=0)
        after = raw[times >= CUT + fade / 2 + 3].mean(axis=0)
        scores = np.stack([frame.scores for frame in frames])[since]
        on = np.array([[label in frame.on for label in labels] for frame in frames])[since]
        for tag in np.flatnonzero(np.abs(after - before) >= 0.2):
            beyond = (scores[:, tag] > (before + after)[tag] / 2) == (after > before)[tag]
            self.times["half-way"].append(first_held(beyond))
        for tag in np.flatnonzero((after >= 0.3) & (before < 0.1)):
            self.times["on"].append(first_held(on[:, tag]))
        for tag in np.flatnonzero((before >= 0.3) & (after < 0.1)):
            self.times["off"].append(first_held(~on[:, tag]))
        if before.argmax() != after.argmax() and np.ptp(np.sort(after)[-2:]) > 0.05:
            leads = np.array([bool(frame.top) and frame.top[0][0] == labels[after.argmax()] for frame in frames])
            self.times["leader"].append(first_held(leads[since]))
        found = [frame.time - CUT for frame in frames if frame.section is not None]
        self.sections += any(-fade / 2 <= at < fade / 2 + 4 for at in found)
        self.splices += 1


class Calm:
    """What is measured on steady music."""

    def __init__(self) -> None:
        self.switches = self.orders = self.rows = self.sections = 0
        self.seconds = 0.0
        self.shared: list[float] = []

    def add(self, frames: Sequence[TagFrame]) -> None:
        """Measure one track."""
        self.switches += sum(len(frame.switched) for frame in frames[1:])
        self.sections += sum(frame.section is not None for frame in frames)
        self.seconds += frames[-1].time - frames[0].time
        shown = frames[:: max(1, round(0.1 / HOP))]
        names = [tuple(tag for tag, _ in frame.top) for frame in shown]
        self.orders += sum(one != other for one, other in itertools.pairwise(names))
        for frame, named in zip(shown, names, strict=True):
            best = {tag for tag, _ in sorted(_all(frame), key=lambda each: -each[1])[:5]}
            self.shared.append(len(best & set(named)) / 5)


def _all(frame: TagFrame) -> Iterator[tuple[str, float]]:
    return zip(LABELS, frame.scores.tolist(), strict=True)


LABELS: tuple[str, ...] = ()


def main() -> None:
    """Print the tables."""
    global LABELS
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", type=Path)
    parser.add_argument("--splices", type=int, default=60)
    parser.add_argument("--steady", type=int, default=40)
    parser.add_argument("--model", default="MSD_musicnn")
    parser.add_argument("--second-db", type=float, default=0.0, help="level of a splice's second part")
    options = parser.parse_args()
    spliced = list(splices(options.packages, options.splices, options.second_db))
    going_on = list(steady(options.packages, options.steady))
    print(f"{options.model}, {len(spliced)} splices, {len(going_on)} tracks; seconds, median / 90th percentile")
    for name, way in WAYS.items():
        tagger = Tagger(options.model, hop=HOP, level="auto", gate=-60.0, **way)
        LABELS = tagger.labels
        reactions, calm = Reactions(), Calm()
        began, heard = time.process_time(), 0.0
        for fade, sound in spliced:
            tagger.reset()
            reactions.add(fade, tagger.push(sound, RATE), tagger.labels)
            heard += len(sound) / RATE
        for sound in going_on:
            tagger.reset()
            calm.add(tagger.push(sound, RATE))
            heard += len(sound) / RATE
        cost = 100 * (time.process_time() - began) / heard
        minutes = calm.seconds / 60
        told = "  ".join(
            f"{what} {np.median(times):.2f} / {np.quantile(times, 0.9, method='higher'):.2f}"
            for what, times in reactions.times.items()
        )
        print(
            f"{name:26}{told}\n{'':26}{calm.switches / minutes:.1f} switches a minute, "
            f"{calm.orders / calm.seconds:.2f} changes of order a second, {np.mean(calm.shared):.3f} of the true top "
            f"five; sections: {reactions.sections / reactions.splices:.2f} of the splices found, "
            f"{calm.sections / minutes:.1f} a minute on steady music; {cost:.1f} % of a core"
        )


if __name__ == "__main__":
    main()
