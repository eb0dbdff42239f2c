"""The head that tells music from what is none, learned and measured: python -m bench.music_head HEARD [--out models].

HEARD is what `bench.other_sounds` wrote. Part of it is kept back: whole packages, voices, languages, programs and ways
of making, a third of GTZAN, and all real applause. The head is chosen, and the place where music begins, by
cross-validation on the rest (what comes of one package never in two parts); what ships is the head that is measured on
what was kept back.
"""

from __future__ import annotations

import argparse
import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.neural_network import MLPClassifier

from bench.other_sounds import MODELS
from bench.reference import EMBEDDING_HOP, PACKAGES
from streamtag import __version__
from streamtag.dsp.params import FRAME_SECONDS, PATCH_FRAMES
from streamtag.heads.file import write_head
from streamtag.heads.head import Decision, PlainHead
from streamtag.inference.networks.catalogue import weights_sha256
from streamtag.inference.networks.specs import SPECS
from streamtag.tagging.music import SMOOTH_SECONDS, SUFFIX, THRESHOLD
from streamtag.tagging.smoothing import Rolling

Array = NDArray[np.float32]
Margins = NDArray[np.float64]
NETWORKS, HIDDEN, ALPHA, EXAMPLES, ROUNDS = 4, 24, 12.0, 14_000, 13
"""An average of small networks, each learned from a random choice of windows."""
DIRECTIONS = 20
"""What the units of these networks look at lies nearly in a space of so many: a head of a fifth of the size."""
POOLS = ("max_pool", "mean_pool")
REFUSED = 0.045
"""Share of single windows of music that the cut refuses in cross-validation, each package counting the same. Live it is
less: smoothed, and learned from all of them, see the table of what was kept back."""
QUIET = -60.0
"""dBFS: windows of music that are quieter, the gate of `streamtag live` keeps from the head."""
SHARES = {
    "speech": 2.0,
    "speech, whole band": 3.0,
    "applause": 2.0,
    "speech synthetic": 2.0,
    "surroundings": 2.0,
    "effects": 1.5,
    "noise": 1.5,
    "hum": 1.5,
}
"""How much the kinds of other sounds count; 1 where nothing is said."""
TREATED, TALKED_OVER, SPARSE = 0.3, 0.02, 0.5
"""How much windows of treated music count, those with speech or applause over it, and sources of music that is made."""
SAME = {"hedge": "hedgewars", "stk": "supertuxkart", "fb": "frozen-bubble", "flight": "flightgear"}
FAMILIES = ("books", "klettres", "hedgewars", "fsdd", "esc10", "asterisk", "espeak", "flite", "sparse")


@dataclass(frozen=True)
class Source:
    """Windows of one source.

    Attributes
    ----------
    kind, name : str
        What it is.
    test : bool
        Whether it was kept back.
    windows : ndarray of float32, shape (n, features)
        What the model says of each window.
    clips : ndarray of int, shape (n,)
        Number of the clip that each window is of.
    ways : ndarray of str, shape (n,)
        How the clip was treated; empty if it was not.
    """

    kind: str
    name: str
    test: bool
    windows: Array
    clips: NDArray[np.int64]
    ways: NDArray[np.str_]

    @property
    def is_music(self) -> bool:
        """Whether it is music."""
        return self.kind == "music"

    @property
    def family(self) -> str:
        """What must not be learned from and tested on at once: all that comes of one package."""
        name = self.name
        for prefix in ("music-", "effects-", "surroundings-"):
            name = name.removeprefix(prefix)
        if name.startswith("gtzan-"):
            return name.removesuffix("-learn").removesuffix("-test")  # by genre: what ships has heard all of them
        found = next((family for family in FAMILIES if name.startswith(family)), None)
        return found or SAME.get(name, name).replace("unknown-horizons", "unknown").replace("ardentryst", "ardent")

    @property
    def clip_count(self) -> int:
        """How many clips there are."""
        return len(np.unique(self.clips))


def load(folder: Path, model: str) -> list[Source]:
    """What `bench.other_sounds` heard."""
    found = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as arrays:
            loud = arrays["level"] > (QUIET if str(arrays["kind"]) == "music" else -np.inf)
            if loud.any():
                parts = [arrays[f"{model}.{name}"][loud] for name in (SPECS[model].embedding, *POOLS)]
                windows = np.concatenate(parts, axis=1).astype(np.float32)
                about = str(arrays["kind"]), str(arrays["source"]), bool(arrays["test"])
                found.append(Source(*about, windows, arrays["clip"][loud], arrays["how"][loud]))
    return found


def chances(sources: Sequence[Source]) -> Margins:
    """How often each window is learned from: music as often as all else, and large sources not much more than small."""
    kinds: dict[str, float] = defaultdict(float)
    for source in sources:
        kinds[source.kind] += source.clip_count**0.5
    others = sum(SHARES.get(kind, 1.0) for kind in kinds if kind != "music")
    parts = []
    for source in sources:
        share = 1.0 if source.is_music else SHARES.get(source.kind, 1.0) / others
        share *= source.clip_count**0.5 / kinds[source.kind] * (SPARSE if source.family == "sparse" else 1)
        windows = np.where((source.ways != "") & source.is_music, TREATED, 1.0)
        windows[source.ways == "over"] = TALKED_OVER
        parts.append(share * windows / windows.sum())
    joined = np.concatenate(parts)
    return np.asarray(joined / joined.sum(), np.float64)


def learn(sources: Sequence[Source], cut: float = 0.0) -> Decision:
    """Learn the average of some small networks, as one; `cut` is the margin at which music begins."""
    windows = np.concatenate([source.windows for source in sources])
    music = np.concatenate([np.full(len(source.windows), source.is_music) for source in sources])
    chance = chances(sources)
    mean, spread = windows.mean(axis=0, dtype=np.float64), windows.std(axis=0, dtype=np.float64)
    alive = spread > 1e-3
    mean, spread, windows = (
        mean[alive],
        spread[alive],
        ((windows[:, alive] - mean[alive]) / spread[alive]).astype(np.float32),
    )
    first, first_bias, last, last_bias = [], [], [], []
    for seed in range(NETWORKS):
        chosen = np.random.default_rng(seed).choice(len(windows), EXAMPLES, p=chance)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it has not converged: it is stopped early
            network = MLPClassifier(
                (HIDDEN,), alpha=ALPHA, max_iter=ROUNDS, random_state=seed, learning_rate_init=3e-3, batch_size=128
            ).fit(windows[chosen], music[chosen])
        first.append(network.coefs_[0])
        first_bias.append(network.intercepts_[0])
        last.append(network.coefs_[1] / NETWORKS)
        last_bias.append(network.intercepts_[1] / NETWORKS)
    units = np.hstack(first).astype(np.float64)
    seen = windows[np.random.default_rng(0).choice(len(windows), EXAMPLES, p=chance)] @ units
    directions = np.linalg.svd(seen - seen.mean(axis=0), full_matrices=False)[2][:DIRECTIONS]
    rest = seen.mean(axis=0) - seen.mean(axis=0) @ directions.T @ directions
    projection = np.zeros((len(alive), DIRECTIONS))
    projection[alive] = units @ directions.T / spread[:, None]
    arrays = {
        "projection": projection,
        "offset": -mean @ projection[alive],
        "weights": directions,
        "bias": np.hstack(first_bias) + rest,
        "weights_out": np.vstack(last),
        "bias_out": np.sum(last_bias, axis=0),
        "slope": np.ones(1),
        "intercept": np.full(1, -cut),
    }
    return Decision("mlp", False, {name: np.asarray(array, np.float64) for name, array in arrays.items()})


def cross_validated(sources: Sequence[Source], folds: int = 6) -> list[Margins]:
    """The margin of each window of each source, by networks that did not learn from any of its family."""
    kinds = {source.family: source.kind for source in sources}
    mixed = [str(family) for family in np.random.default_rng(1).permutation(sorted(kinds))]
    # by kind in turn, so that no part is without a kind that has several
    fold = {family: place % folds for place, family in enumerate(sorted(mixed, key=lambda family: kinds[family]))}
    found: dict[str, Margins] = {}
    for part in range(folds):
        decision = learn([source for source in sources if fold[source.family] != part])
        for source in sources:
            if fold[source.family] == part:
                found[source.name] = decision.logits(source.windows)[:, 0]
    return [found[source.name] for source in sources]


def cut_of(sources: Sequence[Source], margins: Sequence[Margins], refused: float = REFUSED) -> float:
    """The margin that so much of music as it is does not reach, each package counting the same."""
    chosen = [
        margin[source.ways == ""]
        for source, margin in zip(sources, margins, strict=True)
        if source.is_music and source.family != "sparse" and (source.ways == "").any()
    ]
    values, weights = np.concatenate(chosen), np.concatenate([np.full(len(part), 1 / len(part)) for part in chosen])
    order = np.argsort(values)
    return float(values[order][np.searchsorted(np.cumsum(weights[order]) / weights.sum(), refused)])


def gated(margins: Margins, clips: NDArray[np.int64]) -> NDArray[np.bool_]:
    """What the gate decides at each window, as smoothed live; each clip is a stream."""
    on = np.zeros(len(margins), bool)
    for clip in np.unique(clips):
        rolling = Rolling(("music",), top=1, smooth=SMOOTH_SECONDS, threshold=THRESHOLD)
        for place in np.flatnonzero(clips == clip):
            chance = 1 / (1 + np.exp(-margins[place]))
            rolling.update(np.array([chance], np.float32), EMBEDDING_HOP * FRAME_SECONDS)
            on[place] = rolling.on[0]
    return on


def show(title: str, sources: Sequence[Source], margins: Sequence[Margins]) -> None:
    """The table by kind: share of windows that are taken for music, and of the time after smoothing."""
    table: dict[str, list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]] = defaultdict(list)
    for source, margin in zip(sources, margins, strict=True):
        on, raw = gated(margin, source.clips), margin >= 0
        if not source.is_music:
            table[source.kind].append((raw, on))
            continue
        group = "music, sparse (made)" if source.family == "sparse" else "music, games"
        group = "music, GTZAN" if source.family.startswith("gtzan-") else group
        treated = (source.ways != "") & (source.ways != "over")
        for name, which in (("", source.ways == ""), (", treated", treated), (", talked over", source.ways == "over")):
            if which.any():
                table[group + name].append((raw[which], on[which]))
    print(f"\n{title}\n\n| taken for music | windows | smoothed | of windows | sources |\n|---|---|---|---|---|")
    music, other = ["music, GTZAN", "music, games"], [kind for kind in table if not kind.startswith("music")]
    for kind in sorted(table, key=lambda kind: (not kind.startswith("music"), kind)):
        _row(kind, table[kind])
    _row("**all music, untreated**", [part for kind in music for part in table.get(kind, [])])
    _row("**all that is none**", [part for kind in other for part in table[kind]])


def _row(name: str, parts: list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]) -> None:
    if parts:
        raw, on = (np.concatenate([part[place] for part in parts]) for place in (0, 1))
        print(f"| {name} | {raw.mean():.1%} | {on.mean():.1%} | {len(raw)} | {len(parts)} |")


def show_choice(sources: Sequence[Source], margins: Sequence[Margins]) -> None:
    """What other cuts would give, of the time after smoothing."""
    for refused in (0.01, 0.02, 0.03, 0.05, 0.08):
        cut = cut_of(sources, margins, refused)
        on = [gated(margin - cut, source.clips) for source, margin in zip(sources, margins, strict=True)]
        music = [part[s.ways == ""] for s, part in zip(sources, on, strict=True) if s.is_music and s.family != "sparse"]
        other = [part for s, part in zip(sources, on, strict=True) if not s.is_music]
        lost, taken = 1 - np.concatenate(music).mean(), np.concatenate(other).mean()
        print(f"cut {cut:5.2f}: music refused {lost:.1%}, what is none taken for music {taken:.1%}")


def as_head(model: str, sources: Sequence[Source], decision: Decision) -> PlainHead:
    """The head that ships."""
    music = [source for source in sources if source.is_music]
    other = [source for source in sources if not source.is_music]
    packages = sorted({PACKAGES[name] for source in music if (name := source.name.removeprefix("music-")) in PACKAGES})
    return PlainHead(
        name="music",
        model=model,
        model_sha256=weights_sha256(model),
        features=(SPECS[model].embedding, *POOLS),
        statistic="patches",
        window_frames=PATCH_FRAMES,
        labels=("music",),
        decision=decision,
        facts={
            "music": [*packages, "GTZAN"],
            "other": sorted(source.name for source in other),
            "windows": {
                "music": sum(len(source.windows) for source in music),
                "other": sum(len(source.windows) for source in other),
            },
            "made by": "python -m bench.music_head",
            "streamtag": __version__,
        },
        level="auto",
    )


def main() -> None:
    """Learn, print the tables, write the heads."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("heard", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    for model in MODELS:
        everything = load(options.heard, model)
        learned = [source for source in everything if not source.test]
        kept = [source for source in everything if source.test]
        margins = cross_validated(learned)
        cut = cut_of(learned, margins)
        show(f"{model}, cross-validated", learned, [margin - cut for margin in margins])
        show_choice(learned, margins)
        decision = learn(learned, cut)
        show(f"{model}, kept back", kept, [decision.logits(source.windows)[:, 0] for source in kept])
        if options.out is not None:
            print("\nwritten:", write_head(options.out / f"{model}{SUFFIX}", as_head(model, learned, decision)))


if __name__ == "__main__":
    main()
