"""The calibrations that ship, made and measured.

python -m bench.calibrate PACKAGES GTZAN --cache FOLDER [--out models]

Half of the reference is music of free games, each package counting the same; half is GTZAN's clips, each genre counting
the same: games have hardly any Hip-Hop, country or soul, and songs of the radio are no battles. Tables: what tags do on
sources and clips that the reference does not hold.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.reference import HOPS, PACKAGES, genres, hear, rolling, tracks
from streamtag.dsp.params import FRAME_SECONDS
from streamtag.files.calibrate import calibration_of
from streamtag.inference.networks.specs import SPECS
from streamtag.tagging.calibration import Calibration
from streamtag.tagging.calibration_file import write_calibration
from streamtag.tagging.options import TaggingOptions

Array = NDArray[np.float32]
Groups = Mapping[str, Array]
GENRES = {
    "rock": "rock",
    "jazz": "jazz",
    "metal": "metal",
    "blues": "blues",
    "country": "country",
    "Hip-Hop": "hiphop",
    "pop": "pop",
    "classical": "classical",
}
"""Tags that mean a genre of GTZAN's, and that genre."""


def calibration(model: str, games: Groups, gtzan: Groups, facts: dict[str, object]) -> Calibration:
    """Half games, half GTZAN."""
    groups = [*games.values(), *gtzan.values()]
    shares = [1 / len(games)] * len(games) + [1 / len(gtzan)] * len(gtzan) if gtzan and games else None
    return calibration_of(groups, TaggingOptions(model=model, level="auto"), facts, shares)


def precision_and_recall(model: str, on: NDArray[np.bool_], truth: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Of each tag that means a genre: which of the clips that have it on are of it, and which of its clips have it."""
    labels, genre = SPECS[model].labels, np.array(truth)
    found = {}
    for tag, name in GENRES.items():
        if tag in labels:
            is_on, is_true = on[:, labels.index(tag)], genre == name
            found[tag] = float((is_on & is_true).sum() / max(1, is_on.sum())), float(is_on[is_true].mean())
    return found


def show_genres(model: str, games: Groups, clips: Sequence[tuple[str, int, Array]]) -> None:
    """Half of GTZAN's clips is in the reference, the other half tests, and the other way round."""
    results: dict[str, list[dict[str, tuple[float, float]]]] = defaultdict(list)
    for half in (0, 1):
        known = by_genre([clip for clip in clips if clip[1] % 2 == half])
        unseen = [clip for clip in clips if clip[1] % 2 != half]
        truth = [genre for genre, _, _ in unseen]
        scores = np.array([row[-1] for _, _, row in unseen])
        for name, made in (
            ("games alone", calibration(model, games, {}, {})),
            ("games and GTZAN", calibration(model, games, known, {})),
        ):
            places = np.array([made.calibrated(row) for row in scores])
            for level in (0.9, 0.93, 0.94, 0.95):
                results[f"{name}, {level:.0%}"].append(precision_and_recall(model, places >= level, truth))
        for threshold in (0.15, 0.2):
            results[f"score {threshold}"].append(precision_and_recall(model, scores >= threshold, truth))
    print(f"\n{model}: precision / recall of genre tags on GTZAN's clips, each half with the other in the reference")
    for name, halves in results.items():
        means = {tag: np.mean([half[tag] for half in halves], axis=0) for tag in halves[0]}
        whole = np.mean(list(means.values()), axis=0)
        told = "  ".join(f"{tag} {p:.2f}/{r:.2f}" for tag, (p, r) in means.items())
        print(f"  {name:22}  mean {whole[0]:.2f}/{whole[1]:.2f}   {told}")


def show_life(model: str, games: Groups, gtzan: Groups) -> None:
    """Half of the sources is the reference, the other half tests."""
    random = np.random.default_rng(0)
    figures = []
    for _ in range(6):
        order = random.permutation(sorted(games))
        known, unseen = order[: len(order) // 2], order[len(order) // 2 :]
        made = calibration(model, {name: games[name] for name in known}, gtzan, {})
        scores = [games[name] for name in unseen]
        rows = np.concatenate(scores)
        places = np.array([made.calibrated(row) for row in rows[:: max(1, len(rows) // 8000)]])
        low, high = np.quantile(places, [0.05, 0.95], axis=0)
        raw_low, raw_high = np.quantile(rows, [0.05, 0.95], axis=0)
        on = places >= 0.95
        figures.append(
            (
                np.median(high - low),
                np.median(raw_high - raw_low),
                (~on.any(axis=0)).sum(),
                (rows < 0.2).all(axis=0).sum(),
                on.sum(axis=1).mean(),
                (rows >= 0.2).sum(axis=1).mean(),
            )
        )
    mean = np.mean(figures, axis=0)
    print(
        f"{model}: unseen games, at 95% / score 0.2: median range p5-p95 {mean[0]:.2f} / {mean[1]:.3f}, "
        f"tags never on {mean[2]:.1f} / {mean[3]:.1f}, on at once {mean[4]:.1f} / {mean[5]:.1f}"
    )


def by_genre(clips: Sequence[tuple[str, int, Array]]) -> dict[str, Array]:
    """All rolling scores of a genre."""
    found = defaultdict(list)
    for genre, _, scores in clips:
        found[genre].append(scores)
    return {genre: np.concatenate(rows) for genre, rows in found.items()}


def main() -> None:
    """Hear what is not in the cache, print the tables, write the calibrations."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", type=Path)
    parser.add_argument("gtzan", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    music = [(source, hear(path, options.cache, source)) for source, path in tracks(options.packages)]
    labelled = [(genre, number, hear(path, options.cache, "gtzan")) for genre, number, path in genres(options.gtzan)]
    for model, hop in HOPS.items():
        if not any(model in said for _, said in music):
            continue
        heard = defaultdict(list)
        for source, said in music:
            heard[source].append(rolling(said[model], hop))
        games = {source: np.concatenate(rows) for source, rows in heard.items()}
        clips = [(genre, number, rolling(said[model], hop)) for genre, number, said in labelled]
        show_genres(model, games, clips)
        show_life(model, games, by_genre(clips))
        if options.out is not None:
            hours = sum(map(len, games.values())) * hop * FRAME_SECONDS / 3600
            facts: dict[str, object] = {
                "hours": round(hours, 2),
                "files": len(music) + len(clips),
                "heard": f"half: music of {len(games)} packages of Debian 12, each counting the same, {len(music)} "
                f"tracks, up to 40 s in the middle of each; half: {len(clips)} clips of 2 to 3 s of GTZAN's (numbers 1 "
                "to 50), each genre counting the same",
                "material": [PACKAGES[source] for source in sorted(games)] + ["GTZAN"],
                "made by": "python -m bench.calibrate",
            }
            made = calibration(model, games, by_genre(clips), facts)
            print("written:", write_calibration(options.out / f"{model}.cal", made))


if __name__ == "__main__":
    main()
