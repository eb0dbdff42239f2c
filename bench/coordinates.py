"""The coordinates that ship (/streamtag/xyz), made and measured.

python -m bench.coordinates PACKAGES GTZAN --cache FOLDER [--out models]

Principal components of embeddings, each of length 1, over the reference of the calibrations (`bench.reference`): half
games, each package counting the same, half GTZAN's clips. Printed: what share of the variance they hold, which tags
rise and fall along each, and how far two halves of the reference agree on them.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.reference import EMBEDDING_HOP, HOPS, genres, hear, tracks
from streamtag.inference.networks.specs import SPECS
from streamtag.tagging.space import SUFFIX, Coordinates, write_coordinates

Array = NDArray[np.float64]
POINTS = 40
"""Embeddings of one source, at random: each counts the same."""
FACTS = "principal components of the reference in models/README.md, level auto, windows of 3 s"


def principal(points: Array) -> tuple[Coordinates, Array]:
    """Coordinates of points (n, units) of length 1, and the shares of the variance that they hold."""
    mean = points.mean(axis=0)
    _, sizes, axes = np.linalg.svd(points - mean, full_matrices=False)
    deviations = sizes[:3] / np.sqrt(len(points))
    return Coordinates(mean.astype(np.float32), (axes[:3] / deviations[:, None]).astype(np.float32)), (
        sizes[:3] ** 2 / (sizes**2).sum()
    )


def turned(coordinates: Coordinates, points: Array, scores: Array) -> Coordinates:
    """The same with signs that do not depend on chance: the tag that goes farthest with an axis rises along it."""
    signs = []
    for place in placed(coordinates, points).T:
        with_tags = np.array([np.corrcoef(place, tag)[0, 1] if tag.std() else 0.0 for tag in scores.T])
        signs.append(np.sign(with_tags[np.argmax(np.abs(with_tags))]))
    return Coordinates(coordinates.mean, coordinates.axes * np.array(signs, np.float32)[:, None])


def placed(coordinates: Coordinates, points: Array) -> Array:
    """Coordinates of points (n, units), before they are bent into -1..1."""
    return np.asarray((points - coordinates.mean) @ coordinates.axes.T, np.float64)


def collect(root: Path, gtzan: Path, cache: Path, model: str) -> tuple[Array, Array, list[str]]:
    """Embeddings of length 1, the scores of the same windows, and the source of each; half of them GTZAN's."""
    heard: dict[str, list[tuple[Array, Array]]] = defaultdict(list)
    for source, path, prefix in [
        *((source, path, source) for source, path in tracks(root)),
        *((f"gtzan {genre}", path, "gtzan") for genre, _, path in genres(gtzan)),
    ]:
        found = hear(path, cache, prefix)
        embeddings, scores = found[f"{model}.e"], found[model][:: EMBEDDING_HOP // HOPS[model]]
        shared = min(len(embeddings), len(scores))
        heard[source].append((embeddings[:shared].astype(np.float64), scores[:shared].astype(np.float64)))
    games = sum(not source.startswith("gtzan ") for source in heard)
    random = np.random.default_rng(0)
    points, tags, names = [], [], []
    for source, parts in heard.items():
        embeddings, scores = (np.concatenate(column) for column in zip(*parts, strict=True))
        count = POINTS if not source.startswith("gtzan ") else POINTS * games // (len(heard) - games)
        chosen = random.choice(len(embeddings), count)
        points.append(embeddings[chosen] / np.linalg.norm(embeddings[chosen], axis=1, keepdims=True))
        tags.append(scores[chosen])
        names += [source] * count
    return np.concatenate(points), np.concatenate(tags), names


def show(model: str, made: Coordinates, shares: Array, points: Array, scores: Array, names: list[str]) -> None:
    """What the axes mean, and whether they would be the same with other music."""
    print(f"\n{model}: the three hold {', '.join(f'{share:.0%}' for share in shares)} of the variance")
    places = placed(made, points)
    for axis, place in zip("xyz", places.T, strict=True):
        along = np.array([np.corrcoef(place, tag)[0, 1] if tag.std() else 0.0 for tag in scores.T])
        order = np.argsort(along)
        down, up = ([SPECS[model].labels[i] for i in part] for part in (order[:5], order[::-1][:5]))
        print(f"  {axis}: from {', '.join(down)}  to  {', '.join(up)}")
    sources = sorted(set(names))
    half = np.isin(names, sources[::2])
    one, other = (placed(principal(points[part])[0], points) for part in (half, ~half))
    agree = [max(abs(np.corrcoef(mine, theirs)[0, 1]) for theirs in other.T) for mine in one.T]
    print(
        f"  learned from one half of the sources and from the other: correlation {', '.join(f'{r:.2f}' for r in agree)}"
    )


def main() -> None:
    """Hear what is not in the cache, print the tables, write the coordinates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", type=Path)
    parser.add_argument("gtzan", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    for model in HOPS:
        points, scores, names = collect(options.packages, options.gtzan, options.cache, model)
        made, shares = principal(points)
        made = turned(made, points, scores)
        show(model, made, shares, points, scores, names)
        if options.out is not None:
            write_coordinates(options.out / f"{model}{SUFFIX}", made, model, FACTS)


if __name__ == "__main__":
    main()
