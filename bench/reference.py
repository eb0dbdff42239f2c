"""Reference music, and what the models say of it: what calibrations and the music head are made from.

The music is not shipped. It lies in Debian's packages of free games and in the public clips of GTZAN, named here;
`dpkg -x` unpacks the one into a folder each, and the other is a folder of ``GENRE.NUMBER.wav``.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from streamtag.dsp.leveller import Leveller
from streamtag.dsp.params import FRAME_SECONDS, PATCH_FRAMES
from streamtag.inference.base import repeated
from streamtag.inference.factory import make_predictor
from streamtag.inference.networks.catalogue import installed_models
from streamtag.inference.networks.specs import SPECS
from streamtag.melstream import MelStream
from streamtag.tagging.smoothing import Rolling

Array = NDArray[np.float32]
PACKAGES = {
    "warzone": "warzone2100-music",
    "wesnoth": "wesnoth-1.16-music",
    "0ad": "0ad-data/m",
    "etr": "extremetuxracer-data",
    "fb": "frozen-bubble-data",
    "hedge": "hedgewars-data",
    "supertux": "supertux-data",
    "stk": "supertuxkart-data",
    "freedroid": "freedroidrpg-data",
    "hyper": "hyperrogue-music",
    "sing": "singularity-music",
    "planet": "planetblupi-music-ogg",
    "drascula": "drascula-music",
    "moh": "asterisk-moh-opsound-wav",
    "asc": "asc-music",
    "colobot": "colobot-common-sounds",
    "widelands": "widelands-data",
    "megaglest": "megaglest-data",
    "unknown": "unknown-horizons",
    "nexuiz": "nexuiz",
    "ufoai": "ufoai",
    "xmoto": "xmoto-data",
    "lincity": "lincity-ng-data",
    "trackballs": "trackballs-data",
    "warmux": "warmux-data",
    "redeclipse": "redeclipse-data",
    "ardent": "ardentryst",
    "path": "pathological",
    "fillets": "fillets-ng-data",
    "flight": "flightgear-data-base",
    "lugaru": "lugaru-data",
    "torcs": "torcs-data",
    "alien": "alienblaster-data",
}
"""Sources, and the folder of each: Debian 12's package of that name, unpacked (0ad: its archive, too)."""
SURROUNDINGS = (  # noqa: SIM905 - as a list, one a line, it would be longer than what uses it
    "forest3 lavarumble stormbolts river. wastewind waterfall wind. DesertAmbient Wind. /day. /night. desertday "
    "static-radio steamLocomotive airport_pa speech restaurant spaceship chapel lumberjack sheepfield coyote hell.ogg"
).split()
"""In the names of what is as long as music, and is none."""
WITH_SURROUNDINGS = {"megaglest", "redeclipse", "lugaru", "stk", "unknown", "widelands"}
SHORTEST, HEARD = 25.0, 40.0
"""Seconds: of a track, and of what is heard of it, in its middle."""
MOST_TRACKS = 16
"""Of one source, chosen at random."""
HOPS = {name: 32 if spec.family == "vgg" else 16 for name, spec in SPECS.items() if name in installed_models()}
EMBEDDING_HOP = 64
VGG_FRAMES = 1400


def tracks(root: Path) -> list[tuple[str, Path]]:
    """Sources and their tracks, one of each source after the other, so that a part of them is as broad as the whole."""
    random = np.random.default_rng(0)
    chosen: dict[str, list[Path]] = defaultdict(list)
    for source, folder in PACKAGES.items():
        seen = set()
        for path in sorted((root / folder).rglob("*"), key=str):
            if path.suffix.lower() not in {".ogg", ".wav", ".mp3", ".oga", ".flac", ".opus"} or not path.is_file():
                continue
            try:
                seconds = soundfile.info(path).duration
            except soundfile.LibsndfileError:
                continue
            if seconds < SHORTEST:
                continue
            if source in WITH_SURROUNDINGS and any(part in str(path) for part in SURROUNDINGS):
                continue
            same = (path.name, round(seconds, 1)) if source == "drascula" else (round(seconds, 2), path.stat().st_size)
            if same not in seen:
                seen.add(same)
                chosen[source].append(path)
    columns = []
    for source, paths in chosen.items():
        random.shuffle(paths)
        columns.append([(source, path) for path in paths[:MOST_TRACKS]])
    return [entry for row in zip_longest(*columns) for entry in row if entry is not None]


def hear(path: Path, cache: Path, prefix: str) -> dict[str, Array]:
    """What all models say of a file's middle, at the level that they know; the embedding as ``NAME.e``."""
    kept = cache / f"{prefix}-{hashlib.md5(str(path).encode()).hexdigest()[:10]}.npz"
    if not kept.exists():
        info = soundfile.info(path)
        count = round(HEARD * info.samplerate)
        sound, rate = soundfile.read(path, frames=count, start=max(0, (info.frames - count) // 2), dtype="float32")
        logmel = frames_of(np.asarray(sound, np.float32), rate)
        np.savez(kept, **{key: value.astype(np.float16) for key, value in predictions(logmel).items()})  # type: ignore[arg-type]
    with np.load(kept) as arrays:
        return {key: arrays[key].astype(np.float32) for key in arrays if arrays[key].dtype.kind == "f"}


def frames_of(sound: Array, rate: int) -> Array:
    """Log-mel frames at the level that the models know; repeated to a window, if they are fewer."""
    stream = MelStream(rate, 1 if sound.ndim == 1 else sound.shape[1], leveller=Leveller())
    blocks = [stream.push(sound[start : start + rate]).logmel for start in range(0, len(sound), rate)]
    logmel = np.concatenate(blocks)
    return repeated(logmel, PATCH_FRAMES) if len(logmel) < PATCH_FRAMES else logmel


def predictions(logmel: Array, models: dict[str, int] = HOPS) -> dict[str, Array]:
    """Taggrams by model, and every so many embeddings as ``NAME.e``."""
    found = {}
    for model, hop in models.items():
        predictor = make_predictor(model, PATCH_FRAMES, hop)
        predictor.push(logmel[: VGG_FRAMES if SPECS[model].family == "vgg" else None])
        parts = []
        while predictor.due:
            parts.append(predictor.take(64))
        found[model] = np.concatenate([part.taggram for part in parts])
        found[f"{model}.e"] = np.concatenate([part.embedding for part in parts])[:: EMBEDDING_HOP // hop]
    return found


def rolling(taggram: Array, hop: int) -> Array:
    """The scores of windows as `streamtag live` smooths them."""
    state = Rolling([str(tag) for tag in range(taggram.shape[1])])
    rows = []
    for row in taggram:
        state.update(row, hop * FRAME_SECONDS)
        assert state.scores is not None
        rows.append(state.scores)
    return np.array(rows, np.float32)


def genres(folder: Path) -> Iterator[tuple[str, int, Path]]:
    """GTZAN's clips: genre, number, file."""
    for path in sorted(folder.glob("*.wav")):
        genre, number = path.name.split(".")[:2]
        yield genre, int(number), path
