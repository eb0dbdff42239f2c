"""Your own tags on music that they were not learned from, at several levels: ``python -m bench.own_tags DATA``.

DATA is what `streamtag learn` takes: a folder of class folders, or a table of path, label and group. Half of the groups
(artists, albums; without them, of the files) are learned from, the other half is tested, five times. Heads are learned
from the clips as they are; what they are tested on is made quieter or louder before it is read, as 16 bits, so that
what goes beyond full scale is clipped. `--only cues` needs tracks of a minute: 20 times 12 s of a track of one class
are cut hard to 16 s of a track of another, and the time is taken from the cut until live's switch for the new class.

`file` judges the mean of a clip, `windows` single windows of 3 s, as live hears them before smoothing; `top tag` is the
share of clips whose likeliest tag of the model's own is the one of the clip as it is. Features are kept in --cache.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from streamtag.dsp.params import LevelOption
from streamtag.dsp.resampler import Resampler
from streamtag.labelled.data import Clip, Labelled, read_labelled
from streamtag.learn.estimator import CLASSIFIERS, Head
from streamtag.learn.features import Extraction, FeatureCache, FileFeatures, extract
from streamtag.learn.metrics import calibration_error
from streamtag.learn.training import candidates
from streamtag.tagging.smoothing import Rolling
from streamtag.tagging.tagger import Tagger

MODEL = "MSD_musicnn"
GAINS = (0, -12, -24, -30, -36, 6)
LEVELS: tuple[LevelOption, ...] = ("auto", "off")
DRAWS = 5


@dataclass(frozen=True)
class Heard:
    """Features of each clip, its class and its group."""

    features: list[dict[str, Any]]
    genres: Any
    groups: Any

    def of(self, names: Sequence[str]) -> list[Any]:
        """Joined features of each clip: (windows, units)."""
        return [np.concatenate([clip[name] for name in names], axis=1) for clip in self.features]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--cache", type=Path, help="folder; default: the user's")
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--only", choices=("levels", "features", "cues"))
    arguments = parser.parse_args()
    labelled = read_labelled(arguments.data)
    cache = FeatureCache(arguments.cache) if arguments.cache else FeatureCache.default()
    print(f"{arguments.data.name}: {len(labelled.clips)} clips, {len(labelled.labels)} classes\n")

    def hear(level: LevelOption, gain: float) -> Heard:
        return heard(labelled, Extraction(level=level), gain, cache, arguments.jobs)

    if arguments.only in (None, "levels"):
        levels(hear)
    if arguments.only in (None, "features"):
        features(hear("auto", 0))
    if arguments.only == "cues":
        cues(labelled, cache, arguments.jobs)


def heard(labelled: Labelled, extraction: Extraction, gain: float, cache: FeatureCache, jobs: int) -> Heard:
    """Features of all clips, made quieter or louder by `gain` dB."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [clip.path if gain == 0 else changed(clip, gain, Path(folder)) for clip in labelled.clips]
        results = extract(paths, extraction, cache, jobs=jobs)
    pairs = [
        (clip, result)
        for clip, result in zip(labelled.clips, results, strict=True)
        if isinstance(result, FileFeatures) and result.sound.nothing is None
    ]
    genres = np.array([labelled.labels.index(clip.labels[0]) for clip, _ in pairs])
    names = [clip.group or str(clip.path) for clip, _ in pairs]
    return Heard([result.features for _, result in pairs], genres, np.unique(names, return_inverse=True)[1])


def changed(clip: Clip, gain: float, folder: Path) -> Path:
    """The clip, quieter or louder, as 16 bits."""
    sound, rate = soundfile.read(clip.path, dtype="float32")
    path = folder / f"{abs(hash(clip.path)):x}.wav"
    soundfile.write(path, np.clip(sound * 10 ** (gain / 20), -1, 1), rate, "PCM_16")
    return path


def halves(clips: Heard) -> list[tuple[Any, Any]]:
    """(clips to learn from, clips to test), five times: half of the groups of each class."""
    draws = []
    for seed in range(DRAWS):
        rng, learn = np.random.default_rng(seed), np.zeros(len(clips.genres), bool)
        for genre in np.unique(clips.genres):
            groups = rng.permutation(np.unique(clips.groups[clips.genres == genre]))
            learn |= (clips.genres == genre) & np.isin(clips.groups, groups[: len(groups) // 2])
        draws.append((np.flatnonzero(learn), np.flatnonzero(~learn)))
    return draws


def fitted(rows: list[Any], clips: Heard, learn: Any, classifier: str = "svm") -> Any:
    """A head of the clips' means."""
    x = np.stack([rows[i].mean(axis=0, dtype=np.float64) for i in learn])
    return Head(classifier).fit(x, clips.genres[learn], groups=clips.groups[learn])  # type: ignore[arg-type]


def judged(head: Any, rows: list[Any], genres: Any, test: Any) -> tuple[float, float, float, float]:
    """Accuracy of files and of windows, and the calibration error of both."""
    chances = head.predict_proba(np.stack([rows[i].mean(axis=0, dtype=np.float64) for i in test]))
    windows = head.predict_proba(np.concatenate([rows[i] for i in test]))
    truth = np.concatenate([np.full(len(rows[i]), genres[i]) for i in test])
    right, right_windows = chances.argmax(axis=1) == genres[test], windows.argmax(axis=1) == truth
    return (
        float(right.mean()),
        float(right_windows.mean()),
        calibration_error(chances.max(axis=1), right),
        calibration_error(windows.max(axis=1), right_windows),
    )


def levels(hear: Callable[[LevelOption, float], Heard]) -> None:
    """Print what becomes of tags and heads at each level."""
    print("| dB | level | top tag | own tags: file | windows | calibration error, windows |\n|---|---|---|---|---|---|")
    for level in LEVELS:
        plain = hear(level, 0)
        rows, draws = plain.of(["penultimate"]), halves(plain)
        heads = [fitted(rows, plain, learn) for learn, _ in draws]
        best = top_tags(plain)
        for gain in GAINS:
            clips = hear(level, gain)
            same = float(np.mean(top_tags(clips) == best))
            tested = clips.of(["penultimate"])
            figures = [judged(head, tested, clips.genres, test) for head, (_, test) in zip(heads, draws, strict=True)]
            file, windows, _, error = np.mean(figures, axis=0)
            print(f"| {gain:+d} | {level} | {same:.2f} | {file:.3f} | {windows:.3f} | {error:.3f} |", flush=True)
    print()


def top_tags(clips: Heard) -> Any:
    """The model's likeliest tag of each clip."""
    return np.array([clip["taggram"].mean(axis=0).argmax() for clip in clips.features])


def features(clips: Heard) -> None:
    """Print what each classifier makes of each set of features, at level auto."""
    print("| features | classifier | file | windows | calibration error: file | windows |\n|---|---|---|---|---|---|")
    for names in candidates(Extraction().spec, "logistic"):
        rows = clips.of(names)
        for classifier in CLASSIFIERS:
            figures = [
                judged(fitted(rows, clips, learn, classifier), rows, clips.genres, test)
                for learn, test in halves(clips)
            ]
            shown = " | ".join(
                f"{mean:.3f} ± {std:.3f}" for mean, std in zip(np.mean(figures, 0), np.std(figures, 0), strict=True)
            )
            print(f"| {'+'.join(names)} | {classifier} | {shown} |", flush=True)


def cues(labelled: Labelled, cache: FeatureCache, jobs: int) -> None:
    """Print how long after a hard cut the new class is on, and leads."""
    rng = np.random.default_rng(1)
    of = {
        label: rng.permutation([str(c.path) for c in labelled.clips if label in c.labels]) for label in labelled.labels
    }
    learned = {label: paths[: min(8, len(paths) // 2)] for label, paths in of.items()}
    unseen = {label: paths[len(learned[label]) :] for label, paths in of.items()}
    labels = [label for label, paths in learned.items() for _ in paths]
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number}.wav" for number in range(len(labels))]
        for file, path in zip(files, np.concatenate(list(learned.values())), strict=True):
            soundfile.write(file, *part(path, 20, 50))
        heard = [r for r in extract(files, Extraction(level="auto"), cache, jobs=jobs) if isinstance(r, FileFeatures)]
    x = np.stack([file.features["penultimate"].mean(axis=0, dtype=np.float64) for file in heard])
    head = Head().fit(x, labels).plain(name="cues", model=MODEL, features=("penultimate",), level="auto")
    waits: dict[tuple[float, float | None], list[float]] = {}
    for _ in range(20):
        before, after = rng.choice(list(of), 2, replace=False)
        sound = []
        for label, start, seconds in ((before, 25, 12), (after, 25, 16)):
            mono, rate = part(rng.choice(unseen[label]), start, start + seconds)
            sound.append(Resampler(rate).push(mono))
        cut, place = len(sound[0]) / 16_000, head.labels.index(after)
        frames = Tagger(MODEL, hop=0.064, smooth=0, heads=[head]).push(np.concatenate(sound), 16_000)
        times = np.array([frame.time for frame in frames])
        for smooth in (1.0, 0.5, 0.3):
            rolling = Rolling(head.labels, smooth=smooth)
            scores = np.array([(rolling.update(frame.heads[0].raw, 0.064), rolling.scores)[1] for frame in frames])
            for threshold in (0.5, 0.2, None):
                there = scores.argmax(axis=1) == place if threshold is None else scores[:, place] >= threshold
                since = times[there & (times > cut)]
                waits.setdefault((smooth, threshold), []).append(since[0] - cut if len(since) else np.inf)
    print("| smooth | from | median, s | never of 20 |\n|---|---|---|---|")
    for (smooth, threshold), waited in waits.items():
        what = "leads" if threshold is None else f"{threshold}"
        print(f"| {smooth} | {what} | {np.median(waited):.1f} | {np.isinf(waited).sum()} |")


def part(path: str, start: float, end: float) -> tuple[Any, int]:
    """Seconds of a track, mono, and its rate."""
    rate = soundfile.info(path).samplerate
    sound, _ = soundfile.read(
        path, start=int(start * rate), frames=int((end - start) * rate), dtype="float32", always_2d=True
    )
    return np.ascontiguousarray(sound.mean(axis=1)), rate


if __name__ == "__main__":
    main()
