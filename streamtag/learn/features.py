"""Features of files, one vector a patch, kept by content so that no file is heard twice."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from safetensors import SafetensorError, safe_open

from streamtag._system.places import user_cache
from streamtag._system.progress import progress
from streamtag.decoding.content import content_sha256
from streamtag.decoding.decode import open_audio
from streamtag.dsp.leveller import Leveller
from streamtag.dsp.params import PATCH_FRAMES, LevelOption
from streamtag.errors import AudioFileError, StreamtagError
from streamtag.heads.file import arrays_sha256
from streamtag.inference.base import Features, Predictor, feature_sizes
from streamtag.inference.factory import make_predictor
from streamtag.inference.networks.catalogue import find_spec, weights_sha256
from streamtag.inference.networks.specs import ModelSpec, check_window
from streamtag.inference.networks.weights import save_whole
from streamtag.learn.copies import Fingerprint, same_sounds
from streamtag.melstream import MelStream

FORMAT = "streamtag-features-1"
OUTLINE = "sound.outline"
"""The outline's name among the arrays of a kept file."""
LEAVING_SECONDS = 2.0
AT_ONCE = 16
"""Windows predicted at a time."""
FULL_SCALE = 1.5 * 2**-15
"""How near to 1 a sample is that an encoder, or a converter of 16 bits or more, could not make larger."""
CLIPPED = 0.01
"""Loud masters hold a sample in a thousand there. As many as this are heard as distortion."""
LEARNING_HOP = 62
"""Frames between two patches: 1 s, as the transfer learning that was published with musicnn did."""


@dataclass(frozen=True, slots=True)
class Sound:
    """What is known of a file's sound beside its features.

    Attributes
    ----------
    sha256 : str
        Checksum of the samples (see `Fingerprint.sha256`): the same for copies that differ as files.
    outline : ndarray of float32, shape (frames, 16)
        Nearly the same for copies through a lossy encoder.
    nothing : str or None
        Why there is nothing to hear, in words; None where there is something.
    notes : tuple of str
        What is off about the file: what its decoder noticed, and in what condition the sound is.
    """

    sha256: str
    outline: NDArray[np.float32]
    nothing: str | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Extraction:
    """Which features: of which model, of which patches.

    Attributes
    ----------
    model : str
        Name of the model, as musicnn calls it.
    window_frames, hop_frames : int
        Frames of a patch, and from one to the next.
    level : {'auto', 'off'}
        auto: at the level that the models know (see `Leveller`); off: as it is in the file.
    """

    model: str = "MSD_musicnn"
    window_frames: int = PATCH_FRAMES
    hop_frames: int = LEARNING_HOP
    level: LevelOption = "off"

    @property
    def spec(self) -> ModelSpec:
        """The model."""
        return find_spec(self.model)

    def predictor(self) -> Predictor:
        """The predictor (errors: OptionError, ModelError)."""
        check_window(self.spec, self.window_frames)
        pools = self.spec.pool_size > 0
        return make_predictor(self.model, self.window_frames, self.hop_frames, pools=pools)

    def weights_sha256(self) -> str:
        """Checksum of the model's weights (errors: ModelError)."""
        return weights_sha256(self.model)

    def of_file(
        self, path: Path, predictor: Predictor, check: Callable[[float], None] = lambda _: None
    ) -> tuple[Features, Sound]:
        """Features of a file's patches; one shorter than a patch is repeated to length.

        Parameters
        ----------
        path : Path
            The file.
        predictor : Predictor
            From `predictor`.
        check : callable
            Called with the seconds of each block; may raise to give up.

        Returns
        -------
        features : dict of {str: ndarray of float32}
            Arrays by name, each of shape (patches, units).
        sound : Sound
            What else is known of it.

        Raises
        ------
        AudioFileError
            If it cannot be read as sound.
        """
        predictor.reset()
        parts: list[Features] = []

        def predict() -> None:
            while predictor.due:
                parts.append(predictor.take(AT_ONCE).features(self.spec))

        def listen(frames: NDArray[np.float32]) -> None:
            predictor.push(frames)
            fingerprint.see(frames - np.float32(front_end.silence))
            predict()

        with open_audio(path) as reader:
            front_end = self.spec.front_end
            leveller = Leveller(front_end.frame_seconds) if self.level == "auto" else None
            stream = MelStream(
                reader.samplerate, reader.channels, front_end=front_end, centered=True, leveller=leveller
            )
            fingerprint, full, count = Fingerprint(reader.samplerate), 0, 0
            for block in reader.blocks():
                check(len(block) / reader.samplerate)
                fingerprint.hear(block)
                full += int(np.count_nonzero(np.abs(np.abs(block) - 1) <= FULL_SCALE))
                count += block.size
                listen(stream.push(block).logmel)
            listen(stream.flush().logmel)
        if not stream.samples_in:
            raise AudioFileError(path, "holds no samples")
        predictor.complete()
        predict()
        if not parts:
            predictor.repeat_to_window()
            predict()
        predictor.reset()
        features = {name: np.concatenate([part[name] for part in parts]) for name in feature_sizes(self.spec)}
        notes = [reader.note] if reader.note else []
        if full > CLIPPED * count:
            notes.append(f"clipped: {100 * full / count:.0f} % of its samples are at full scale")
        if stream.nonfinite and reader.silence is None:
            notes.append(f"{stream.nonfinite} NaN or infinite samples were replaced by 0")
        return features, Sound(fingerprint.sha256, fingerprint.outline, reader.silence, tuple(notes))


class FeatureCache:
    """Features on disk, found by what is in the file and how it was heard.

    Parameters
    ----------
    folder : Path or None
        Where they are kept; None to keep nothing. Default: $STREAMTAG_CACHE, or the user's cache folder.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    @classmethod
    def default(cls) -> FeatureCache:
        """In the user's cache folder, if there is one."""
        chosen = os.environ.get("STREAMTAG_CACHE")
        folder = Path(chosen) if chosen else user_cache()
        return cls(None if folder is None else folder / "features")

    def get(self, key: str, sizes: dict[str, int]) -> tuple[Features, Sound] | None:
        """What was kept under a key; None for nothing, or for something that is not it, or not as it was written."""
        if self.folder is None:
            return None
        try:
            with safe_open(self.folder / f"{key}.safetensors", framework="np") as file:
                kept: Features = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - is no dict
                metadata = file.metadata() or {}
                if metadata["sha256"] != arrays_sha256(key + metadata["sound"], kept):
                    return None
                about = json.loads(metadata["sound"])
                sound = Sound(about["sha256"], kept.pop(OUTLINE), about["nothing"], tuple(about["notes"]))
        except (OSError, SafetensorError, ValueError, KeyError, TypeError):
            return None
        fits = {name: value.shape[1:] for name, value in kept.items()} == {name: (n,) for name, n in sizes.items()}
        return (kept, sound) if fits else None

    def put(self, key: str, features: Features, sound: Sound) -> None:
        """Keep features; where that is not possible, they are computed again the next time."""
        if self.folder is None:
            return
        about = json.dumps({"sha256": sound.sha256, "nothing": sound.nothing, "notes": sound.notes})
        arrays = {**features, OUTLINE: sound.outline}
        with suppress(OSError, SafetensorError):
            self.folder.mkdir(parents=True, exist_ok=True)
            save_whole(
                arrays,
                self.folder / f"{key}.safetensors",
                {"sound": about, "sha256": arrays_sha256(key + about, arrays)},
            )


@dataclass(frozen=True, slots=True)
class FileFeatures:
    """Features of one file.

    Attributes
    ----------
    path : Path
        The file.
    sha256 : str
        Checksum of its bytes.
    features : dict of {str: ndarray of float32}
        Arrays by name, each of shape (patches, units).
    sound : Sound
        What else is known of it.
    """

    path: Path
    sha256: str
    features: Features
    sound: Sound


def extract(
    paths: Sequence[Path], extraction: Extraction, cache: FeatureCache, *, jobs: int = 0, console: Console | None = None
) -> list[FileFeatures | StreamtagError]:
    """Features of many files, in order; what cannot be read is given as its error.

    Parameters
    ----------
    paths : sequence of Path
        The files.
    extraction : Extraction
        Which features.
    cache : FeatureCache
        Where they are kept.
    jobs : int
        Files at a time; 0: one for each processor.
    console : Console or None
        Where progress is shown.

    Returns
    -------
    list of FileFeatures or StreamtagError
        One result for each path.
    """
    executor = ThreadPoolExecutor(jobs or os.cpu_count() or 1, thread_name_prefix="streamtag-features")
    with progress(console, "hearing", len(paths)) as steps:
        work = _Work(extraction, cache, steps.detail)
        futures = [executor.submit(work, path) for path in paths]
        results = []
        try:
            for future in futures:
                results.append(future.result())
                steps.advance()
        except BaseException:
            # what is under way is given a moment to notice; it may be somewhere in a library, which nobody waits for
            work.stopping.set()
            executor.shutdown(wait=False, cancel_futures=True)
            wait(futures, LEAVING_SECONDS)
            raise
    executor.shutdown()
    return results


def notes_on(files: Sequence[FileFeatures]) -> Iterator[str]:
    """What a user should know of files that were heard: what is off about them, and which are copies.

    Yields
    ------
    str
        A note.
    """
    for file in files:
        for note in file.sound.notes:
            yield f"{file.path}: {note}"
    heard = [file for file in files if file.sound.nothing is None]
    same: dict[int, list[str]] = {}
    for one, other in copies_among(heard):
        same.setdefault(one, [str(heard[one].path)]).append(str(heard[other].path))
    yield from (f"the same sound: {', '.join(copies)}" for copies in same.values())


def copies_among(files: Sequence[FileFeatures]) -> Iterator[tuple[int, int]]:
    """Pairs of files that hold the same sound (see `same_sounds`).

    Parameters
    ----------
    files : sequence of FileFeatures
        Heard in the same way.

    Returns
    -------
    iterator of tuple of (int, int)
        Indices of two files.
    """
    pools = [file.features["mean_pool"] for file in files if "mean_pool" in file.features]
    return same_sounds([file.sound.sha256 for file in files], [file.sound.outline for file in files], pools)


class Stopped(BaseException):
    """Raised in a worker when the work is given up."""


class _Work:
    """One file's features, on whichever thread; the network is built when a file is first not in the cache."""

    def __init__(self, extraction: Extraction, cache: FeatureCache, tell: Callable[[str], None]) -> None:
        self.extraction, self.cache, self._tell = extraction, cache, tell
        self.sizes = feature_sizes(extraction.spec)
        e = extraction
        self.how = f"{FORMAT} {e.weights_sha256()} {e.window_frames} {e.hop_frames}"
        if e.level == "auto":
            settings = Leveller(e.spec.front_end.frame_seconds).settings
            self.how += f" {' '.join(map(repr, settings))}"
        self.stopping = threading.Event()
        self._local = threading.local()
        self._building = threading.Lock()
        self._seconds = 0.0  # of sound heard so far, for those who wait

    def __call__(self, path: Path) -> FileFeatures | StreamtagError:
        try:
            content = content_sha256(path, self._check)
            key = hashlib.sha256(f"{self.how} {content}".encode()).hexdigest()
            kept = self.cache.get(key, self.sizes)
            if kept is None:
                self._check()
                with open_audio(path):  # what cannot be read is named before a network is built for it
                    pass
                kept = self.extraction.of_file(path, self._predictor(), self._heard)
                self.cache.put(key, *kept)
            return FileFeatures(path, content, *kept)
        except AudioFileError as error:
            return error
        except OSError as error:  # of a disk that was pulled, say: the others are heard all the same
            return AudioFileError(path, f"cannot be read: {error.strerror or error}")

    def _check(self) -> None:
        if self.stopping.is_set():
            raise Stopped

    def _heard(self, seconds: float) -> None:
        self._check()
        self._seconds += seconds
        minutes, rest = divmod(int(self._seconds), 60)
        self._tell(f"{minutes // 60}:{minutes % 60:02d}:{rest:02d} of sound")

    def _predictor(self) -> Predictor:
        if not hasattr(self._local, "predictor"):
            with self._building:
                self._local.predictor = self.extraction.predictor()
        predictor: Predictor = self._local.predictor
        return predictor
