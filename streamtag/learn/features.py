"""Features of files, one vector a patch, kept by content so that no file is heard twice."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from streamtag._places import user_cache
from streamtag._terminal import can_draw
from streamtag.decoding.decode import open_audio
from streamtag.dsp.params import PATCH_FRAMES
from streamtag.errors import AudioFileError, StreamtagError
from streamtag.inference.base import Features, Predictor, feature_sizes
from streamtag.inference.factory import make_predictor
from streamtag.inference.networks.specs import ModelSpec, check_window, find_spec
from streamtag.inference.networks.weights import weights_sha256
from streamtag.melstream import MelStream

FORMAT = "streamtag-features-1"
AT_ONCE = 16
"""Windows predicted at a time."""
LEARNING_HOP = 62
"""Frames between two patches: 1 s, as the transfer learning that was published with musicnn did."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """Which features: of which model, of which patches.

    Attributes
    ----------
    model : str
        Name of the model, as musicnn calls it.
    window_frames, hop_frames : int
        Frames of a patch, and from one to the next.
    """

    model: str = "MSD_musicnn"
    window_frames: int = PATCH_FRAMES
    hop_frames: int = LEARNING_HOP

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

    def of_file(self, path: Path, predictor: Predictor, check: Callable[[], None] = lambda: None) -> Features:
        """Features of a file's patches; one shorter than a patch is repeated to length.

        Parameters
        ----------
        path : Path
            The file.
        predictor : Predictor
            From `predictor`.
        check : callable
            Called now and then; may raise to give up.

        Returns
        -------
        dict of {str: ndarray of float32}
            Arrays by name, each of shape (patches, units).

        Raises
        ------
        AudioFileError
            If it cannot be read as sound.
        """
        predictor.reset()
        parts: list[Features] = []

        def judge() -> None:
            while predictor.due:
                parts.append(predictor.take(AT_ONCE).features(self.spec))

        with open_audio(path) as reader:
            stream = MelStream(reader.samplerate, reader.channels, centered=True)
            for block in reader.blocks():
                check()
                predictor.push(stream.push(block).logmel)
                judge()
            predictor.push(stream.flush().logmel)
        if not stream.samples_in:
            raise AudioFileError(path, "holds no samples")
        judge()
        if not parts:
            predictor.repeat_to_window()
            judge()
        predictor.reset()
        return {name: np.concatenate([part[name] for part in parts]) for name in feature_sizes(self.spec)}


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

    def get(self, key: str, sizes: dict[str, int]) -> Features | None:
        """What was kept under a key; None for nothing, or for something that is not it."""
        if self.folder is None:
            return None
        try:
            kept: Features = load_file(self.folder / f"{key}.safetensors")
        except (OSError, SafetensorError, ValueError):
            return None
        sound = {name: value.shape[1:] for name, value in kept.items()} == {name: (n,) for name, n in sizes.items()}
        return kept if sound else None

    def put(self, key: str, features: Features) -> None:
        """Keep features; where that is not possible, they are computed again the next time."""
        if self.folder is None:
            return
        partial = self.folder / f"{key}.{threading.get_ident()}.partial"
        with suppress(OSError, SafetensorError):
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                save_file(features, partial)
                partial.replace(self.folder / f"{key}.safetensors")
            finally:
                partial.unlink(missing_ok=True)


def content_sha256(path: Path) -> str:
    """Checksum of a file's bytes.

    Raises
    ------
    AudioFileError
        If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise AudioFileError(path, f"cannot be read: {reason}") from error


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
    """

    path: Path
    sha256: str
    features: Features


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
        Where progress is shown, if it is a terminal.

    Returns
    -------
    list of FileFeatures or StreamtagError
        One result for each path.
    """
    work = _Work(extraction, cache)
    with (
        progress(console, "hearing", len(paths)) as advance,
        ThreadPoolExecutor(jobs or os.cpu_count() or 1, thread_name_prefix="streamtag-features") as executor,
    ):
        results = []
        try:
            for result in executor.map(work, paths):
                results.append(result)
                advance()
        except BaseException:
            work.stopping.set()
            executor.shutdown(cancel_futures=True)
            raise
    return results


class Stopped(BaseException):
    """Raised in a worker when the work is given up."""


class _Work:
    """One file's features, on whichever thread; the network is built when a file is first not in the cache."""

    def __init__(self, extraction: Extraction, cache: FeatureCache) -> None:
        self.extraction, self.cache = extraction, cache
        self.sizes = feature_sizes(extraction.spec)
        e = extraction
        self.how = f"{FORMAT} {e.weights_sha256()} {e.window_frames} {e.hop_frames}"
        self.stopping = threading.Event()
        self._local = threading.local()
        self._building = threading.Lock()

    def __call__(self, path: Path) -> FileFeatures | StreamtagError:
        try:
            content = content_sha256(path)
            key = hashlib.sha256(f"{self.how} {content}".encode()).hexdigest()
            features = self.cache.get(key, self.sizes)
            if features is None:
                self._check()
                with open_audio(path):  # what cannot be read is named before a network is built for it
                    pass
                features = self.extraction.of_file(path, self._predictor(), self._check)
                self.cache.put(key, features)
            return FileFeatures(path, content, features)
        except AudioFileError as error:
            return error

    def _check(self) -> None:
        if self.stopping.is_set():
            raise Stopped

    def _predictor(self) -> Predictor:
        if not hasattr(self._local, "predictor"):
            with self._building:
                self._local.predictor = self.extraction.predictor()
        predictor: Predictor = self._local.predictor
        return predictor


@contextmanager
def progress(console: Console | None, what: str, total: int) -> Iterator[Callable[[], None]]:
    """A progress bar, if the console is a terminal; the body calls what it is given once a step."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    shown = console is not None and console.is_terminal and can_draw(console.file)
    with Progress(*columns, console=console, transient=True, disable=not shown) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)
