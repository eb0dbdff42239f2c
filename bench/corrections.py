"""What corrections do to a head, on music that it was not learned from: ``python -m bench.corrections DATA``.

DATA is what `streamtag learn` takes, of tracks of half a minute and more. A few tracks of each class are learned from,
the others played: where the head takes the music for another class, what it heard in the last seconds is corrected, as
live would, and the head learns again, correction upon correction. Printed is what becomes of the windows corrected, of
the rest of their track, and of all other tracks. Features are kept in --cache.

``--playing FILE.head`` measures instead, in one live session on the demo clip, what streamtag adds to the latency of
results while the head learns again, and as long each time while it does not; and how long a correction takes.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import streamtag
from bench.own_tags import MODEL, Heard, heard
from streamtag.decoding.decode import open_audio
from streamtag.heads.file import load_head, write_head
from streamtag.heads.head import PlainHead
from streamtag.labelled.data import Labelled, read_labelled
from streamtag.learn.corrections import relearned
from streamtag.learn.estimator import CLASSIFIERS, Head
from streamtag.learn.features import Extraction, FeatureCache
from streamtag.results import TagFrame
from streamtag.sinks.base import BaseSink
from streamtag.tagging.tagger import Tagger

FEATURES = ("penultimate",)
LEARNED = 6
"""Tracks a class."""
DRAWS = 3
CORRECTIONS = 6
HOP = 0.25
WINDOWS = 7
"""Of 0.25 s: what a correction of 3 s takes."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--playing", type=Path, metavar="FILE.head")
    parser.add_argument("--cache", type=Path, help="folder; default: the user's")
    parser.add_argument("--classifiers", default=",".join(CLASSIFIERS))
    parser.add_argument("--work", type=Path, default=Path("/tmp"), help="folder for heads")
    arguments = parser.parse_args()
    if arguments.playing:
        playing(load_head(arguments.playing))
    if not arguments.data:
        return
    labelled = read_labelled(arguments.data)
    cache = FeatureCache(arguments.cache) if arguments.cache else FeatureCache.default()
    clips = heard(labelled, Extraction(level="auto"), 0, cache, 0)
    print("| classifier | corrections | windows corrected: heard so | their whole tracks: before | after |", end="")
    print(" other tracks: before | after | repeats | seconds |\n|---|---|---|---|---|---|---|---|---|")
    for classifier in arguments.classifiers.split(","):
        told = [row for seed in range(DRAWS) for row in draw(labelled, clips, classifier, seed, arguments.work)]
        for count in range(1, CORRECTIONS + 1):
            rows = np.array([row[1:] for row in told if row[0] == count])
            if len(rows):
                m = rows.mean(axis=0)
                print(f"| {classifier} | {count} ({len(rows)}) | " + " | ".join(f"{value:.3f}" for value in m) + " |")


def draw(labelled: Labelled, clips: Heard, classifier: str, seed: int, work: Path) -> list[tuple[float, ...]]:
    """Learn from some tracks, play others, and correct what is wrong."""
    rows, genres = clips.of(FEATURES), clips.genres
    rng = np.random.default_rng(seed)
    learn = np.concatenate([rng.permutation(np.flatnonzero(genres == g))[:LEARNED] for g in np.unique(genres)])
    test = rng.permutation(np.setdiff1d(np.arange(len(genres)), learn))
    estimator: Any = Head(classifier)  # type: ignore[arg-type]
    estimator.fit(np.stack([rows[i].mean(axis=0) for i in learn]), genres[learn])
    head = estimator.plain(name="bench", model=MODEL, features=FEATURES, labels=labelled.labels, level="auto")
    first = head
    told: list[tuple[float, ...]] = []
    corrected: list[Any] = []
    for i in test:
        if len(corrected) == CORRECTIONS:
            break
        wrong = np.flatnonzero(head.decision.probabilities(rows[i]).argmax(axis=1) != genres[i])
        if len(rows[i]) < 20 or len(wrong) < 3:
            continue
        windows = played(labelled.clips[i].path, float(wrong[len(wrong) // 2]), head)
        truth = np.tile(np.arange(len(labelled.labels)) == genres[i], (len(windows), 1))
        began = time.monotonic()
        examples = head.examples.corrected(windows, truth)
        path = write_head(work / "bench.head", replace(head, examples=examples))
        head = relearned(path)
        seconds = time.monotonic() - began
        corrected.append(i)
        others = [k for k in test if k not in corrected]
        held = head.facts["corrections"]["heard"] / head.facts["corrections"]["windows"]
        told.append(
            (
                len(corrected),
                held,
                right(first, rows, genres, corrected),
                right(head, rows, genres, corrected),
                right(first, rows, genres, others),
                right(head, rows, genres, others),
                head.facts["corrections"]["repeats"],
                seconds,
            )
        )
    return told


def right(head: Any, rows: list[Any], genres: Any, which: list[Any]) -> float:
    """Share of windows that are right, the mean over tracks."""
    return float(np.mean([(head.decision.probabilities(rows[i]).argmax(axis=1) == genres[i]).mean() for i in which]))


def played(path: Path, second: float, head: Any) -> Any:
    """What a live head hears in the last windows of a track up to 3 s after `second`."""
    with open_audio(path) as reader:
        rate, blocks, have = reader.samplerate, [], 0.0
        for block in reader.blocks():
            blocks.append(block)
            have += len(block) / rate
            if have > second + 3:
                break
    samples = np.concatenate(blocks)[: int((second + 3) * rate)]
    samples = samples[max(0, len(samples) - 10 * rate) :]
    frames = Tagger(MODEL, hop=HOP, heads=[head]).push(samples, rate)
    return np.stack([frame.heads[0].features for frame in frames[-WINDOWS:]])


class Added(BaseSink):
    """Keeps when each result came, by how much streamtag delayed it, in ms, and its index."""

    name = "added"

    def __init__(self) -> None:
        self.rows: list[tuple[float, float, int]] = []

    def frame(self, frame: TagFrame) -> None:
        """Keep a result."""
        if frame.arrived is not None and frame.predicted is not None:
            self.rows.append((frame.predicted, 1e3 * (frame.predicted - frame.arrived), frame.index))


def playing(head: PlainHead) -> None:
    """Print what learning does to the latency of a session."""
    added = Added()
    spans: list[tuple[float, float]] = []
    with streamtag.live(input="demo", sinks=[added], loop=True, heads=[head]) as session:
        time.sleep(8)
        for count in range(1, 13):
            began = time.monotonic()
            session.correct(head.labels[0])
            while session.stats.corrections < count:
                time.sleep(0.005)
            spans.append((began, time.monotonic()))
            time.sleep(spans[-1][1] - began)
        skipped = session.stats.hops_skipped
    when, ms, index = np.array(added.rows).T
    learning = np.any([(when >= began) & (when < ended) for began, ended in spans], axis=0)
    print("| the head | results | added, ms: p50 | p99 | p99.9 | greatest |\n|---|---|---|---|---|---|")
    for name, which in (("learns", learning), ("does not", ~learning & (when >= spans[0][0]))):
        figures = " | ".join(f"{value:.1f}" for value in np.percentile(ms[which], (50, 99, 99.9, 100)))
        print(f"| {name} | {which.sum()} | {figures} |")
    took = [ended - began for began, ended in spans]
    print(f"\nfrom a correction to the head that plays it: median {np.median(took):.1f} s, at most {max(took):.1f} s")
    print(f"results skipped: {skipped}; missing: {int((np.diff(index) - 1).sum()) - skipped}\n")


if __name__ == "__main__":
    main()
