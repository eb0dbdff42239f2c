"""How good a search is: of the five tracks most like one, how many are of its class.

``python -m bench.library_search MUSIC [--model MSD_musicnn]``; MUSIC as for `learn`: a folder of classes, or a table.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np

from streamtag.dsp.params import PATCH_FRAMES
from streamtag.inference.base import feature_sizes
from streamtag.inference.networks.catalogue import find_spec
from streamtag.labelled.data import read_labelled
from streamtag.library.hearing import Heard
from streamtag.library.rows import File, path_of
from streamtag.library.settings import Settings
from streamtag.library.store import Store
from streamtag.library.tag import tag_library
from streamtag.library.vectors import live, names_of, vectors
from streamtag.library.workers import Workers

AT = 5


class Silent:
    """Tells nobody."""

    def found(self, files: int) -> None:
        """Nothing."""

    def done(self, what: str, file: File, heard: Heard) -> None:
        """Nothing."""

    def said(self, text: str) -> None:
        """Print it."""
        print(text)


def precision(matrix: np.ndarray, labels: np.ndarray, at: int = AT) -> float:
    """Share of the `at` nearest of each that are of its class, on the mean."""
    scores = matrix @ matrix.T
    np.fill_diagonal(scores, -np.inf)
    nearest = np.argsort(-scores, axis=1, kind="stable")[:, :at]
    return float(np.mean(labels[nearest] == labels[:, None]))


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("music", type=Path)
    parser.add_argument("--model", action="append")
    given = parser.parse_args()
    labelled = read_labelled(given.music)
    label_of = {str(clip.path.resolve()): "|".join(sorted(clip.labels)) for clip in labelled.clips}
    print("| model | compared by | genre precision at 5 |\n| --- | --- | --- |")
    for model in given.model or ["MSD_musicnn"]:
        names = [name for name in feature_sizes(find_spec(model)) if name != "taggram"]
        with tempfile.TemporaryDirectory() as folder:
            settings = Settings.chosen(model, PATCH_FRAMES, PATCH_FRAMES, "off", names, (), windows=False)
            store = Store.begun(Path(folder) / "library", settings)
            jobs = os.cpu_count() or 1
            tag_library(sorted(label_of), store, Workers(settings, jobs), Silent(), jobs=jobs)
            tracks = live(store)
            paths = [
                path_of(path)
                for part, _, rows in tracks
                for path in store.read(part, ["path"])["path"].take(rows).to_pylist()
            ]
            labels = np.array([label_of[path] for path in paths])
            for name in names_of(store):
                print(f"| {model} | {name} | {precision(vectors(store, tracks, name), labels):.3f} |", flush=True)
            together = np.concatenate([vectors(store, tracks, name) for name in (names_of(store)[0], "taggram")], 1)
            print(f"| {model} | embedding and taggram | {precision(together, labels):.3f} |", flush=True)
            chance = np.mean([np.mean(labels == label) for label in labels])
    print(f"{len(labels)} tracks of {len(set(labels))} classes; by chance {chance:.3f}")


if __name__ == "__main__":
    main()
