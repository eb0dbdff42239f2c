"""How good a search is: of the five tracks most like one, how many are of its class; and which copies are found.

``python -m bench.library_search MUSIC [--model MSD_musicnn]``; MUSIC as for `learn`: a folder of classes, or a table.
Copies: pieces of twelve clips each, in five encodings (by the ffmpeg command).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from streamtag.dsp.params import PATCH_FRAMES
from streamtag.inference.base import feature_sizes
from streamtag.inference.networks.catalogue import find_spec
from streamtag.labelled.data import read_labelled
from streamtag.library.copies import copies
from streamtag.library.hearing import Heard
from streamtag.library.rows import File, path_of
from streamtag.library.settings import Settings
from streamtag.library.store import Store
from streamtag.library.tag import tag_library
from streamtag.library.vectors import live, names_of, vectors
from streamtag.library.workers import Workers

AT = 5
CLIPS = 12
ENCODINGS = {
    ".mp3": ("-b:a", "128k"),
    ".m4a": ("-b:a", "96k"),
    ".ogg": ("-c:a", "libvorbis", "-q:a", "2"),
    ".flac": ("-ar", "44100"),
}
"""Beside WAV."""


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


def tagged(paths: list[str], model: str, folder: Path) -> Store:
    """A library of these files, with all features."""
    names = [name for name in feature_sizes(find_spec(model)) if name != "taggram"]
    settings = Settings.chosen(model, PATCH_FRAMES, PATCH_FRAMES, "off", names, (), windows=False)
    store, jobs = Store.begun(folder, settings), os.cpu_count() or 1
    tag_library(paths, store, Workers(settings, jobs), Silent(), jobs=jobs)
    return store


def make_copies(clips: list[str], folder: Path) -> int:
    """Pieces of twelve clips, each in five encodings; how many pieces."""
    folder.mkdir()
    rate, pieces = soundfile.info(clips[0]).samplerate, range(0, len(clips) // CLIPS * CLIPS, CLIPS)
    for first in pieces:
        samples = np.concatenate(
            [soundfile.read(clip, always_2d=True)[0][:, 0] for clip in clips[first : first + CLIPS]]
        )
        source = folder / f"{first}.wav"
        soundfile.write(source, samples, rate)
        for ending, options in ENCODINGS.items():
            command = ["ffmpeg", "-v", "error", "-i", str(source), *options, str(source.with_suffix(ending))]
            subprocess.run(command, check=True)
    return len(pieces)


def print_copies(model: str, folder: Path, pieces: int) -> None:
    """How many pieces are found in all encodings, and how many groups hold two."""
    with tempfile.TemporaryDirectory() as where:
        found = copies(tagged([str(path) for path in sorted(folder.iterdir())], model, Path(where) / "library"))
    names = [{Path(path).stem for path in one.paths} for one in found]
    whole = sum(len(one.paths) == 1 + len(ENCODINGS) for one in found)
    mixed = sum(len(several) > 1 for several in names)
    kinds = 1 + len(ENCODINGS)
    print(f"{model}: of {pieces} pieces in {kinds} encodings, {whole} found in all, {mixed} taken for another")


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("music", type=Path)
    parser.add_argument("--model", action="append")
    given = parser.parse_args()
    labelled = read_labelled(given.music)
    label_of = {str(clip.path.resolve()): "|".join(sorted(clip.labels)) for clip in labelled.clips}
    models = given.model or ["MTT_musicnn", "MSD_musicnn"]
    print("| model | compared by | genre precision at 5 |\n| --- | --- | --- |")
    for model in models:
        with tempfile.TemporaryDirectory() as folder:
            store = tagged(sorted(label_of), model, Path(folder) / "library")
            tracks = live(store)
            parts = ((store.read(part, ["path"])["path"], rows) for part, _, rows in tracks)
            paths = [path_of(path) for column, rows in parts for path in column.take(rows).to_pylist()]
            labels = np.array([label_of[path] for path in paths])
            for name in names_of(store):
                print(f"| {model} | {name} | {precision(vectors(store, tracks, name), labels):.3f} |", flush=True)
    chance = np.mean([np.mean(labels == label) for label in labels])
    print(f"{len(labels)} tracks of {len(set(labels))} classes; by chance {chance:.3f}")
    with tempfile.TemporaryDirectory() as folder:
        pieces = make_copies(sorted(label_of), Path(folder) / "pieces")
        for model in models:
            print_copies(model, Path(folder) / "pieces", pieces)


if __name__ == "__main__":
    main()
