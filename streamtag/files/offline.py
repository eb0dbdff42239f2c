"""Files: the live path without the ring and the clock, on all processors."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from streamtag.decoding.decode import open_audio
from streamtag.dsp.leveller import Leveller
from streamtag.dsp.params import LevelOption, check_level
from streamtag.errors import AudioFileError, OptionError, TooShortError
from streamtag.files.segments import SegmentedStream, SegmentPool, StreamInOrder
from streamtag.files.timeline import Span
from streamtag.heads.file import check_heads
from streamtag.heads.head import PlainHead, as_heads, common_level
from streamtag.inference.base import Engine, feature_sizes
from streamtag.inference.factory import make_predictor
from streamtag.inference.networks.catalogue import find_spec
from streamtag.inference.networks.specs import window_frames as frames_of
from streamtag.melstream import MelStream
from streamtag.results import Value, best_tags, shown

Array = NDArray[np.float32]
Short = Literal["repeat", "error"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FileTags(Value):
    """What was heard in one file.

    Attributes
    ----------
    path : Path
        The file.
    labels : tuple[str, ...]
        The tags, in the order of the taggram's columns.
    taggram : NDArray[np.float32]
        (patches, tags), 0..1.
    embeddings : NDArray[np.float32]
        (patches, units).
    starts : NDArray[np.float64]
        (patches,), seconds from the start of the file to that of each patch.
    seconds : float
        Length of the file, as decoded.
    samplerate, channels : int
        How it was stored.
    decoder : str
        What read it.
    notes : tuple[str, ...]
        What a user should know: shorter than a patch, ended early, samples replaced.
    heads : Mapping[str, tuple[tuple[str, float], ...]]
        What each head (your own tags) predicts for the whole file, by its name: (class, probability), best first.
    features : Mapping[str, NDArray[np.float32]]
        The further features that the `FileTagger` was asked for, by name, each (patches, channels).
    timeline : tuple[Span, ...]
        When which tag holds, where that was asked for (see `Batch`).
    """

    path: Path
    labels: tuple[str, ...]
    taggram: Array
    embeddings: Array
    starts: NDArray[np.float64]
    seconds: float
    samplerate: int
    channels: int
    decoder: str
    notes: tuple[str, ...]
    heads: Mapping[str, tuple[tuple[str, float], ...]] = field(default_factory=dict)
    features: Mapping[str, Array] = field(default_factory=dict)
    timeline: tuple[Span, ...] = ()

    def __repr__(self) -> str:
        return f"FileTags({str(self.path)!r}, {self.seconds:.1f} s, {len(self.taggram)} patches: {shown(self.top(3))})"

    def top(self, count: int) -> tuple[tuple[str, float], ...]:
        """The tags with the best mean over the patches, best first, with that mean."""
        return best_tags(self.labels, np.mean(self.taggram, axis=0), count)


class FileTagger:
    """Tags files. Its network is built once; files may be tagged from several threads at once.

    Parameters
    ----------
    model : str
        Name of the model, as published.
    window_frames, hop_frames : int or None
        Frames of a patch, and from one to the next; None for what the model was trained on, and for patches side by
        side, or as far apart as its published code has them.
    engine : Engine
        What evaluates the network (see `make_predictor`).
    workers : int
        Threads that predict; None for one each processor.
    heads : Sequence[PlainHead]
        Your own tags, predicted beside the model's (see `load_head`).
    features : Sequence[str]
        Further features to be kept of each patch: `max_pool`, `mean_pool` (musicnn models only).
    level : {'auto', 'off'} or None
        auto: bring each file to the level that the models know (see `Leveller`); off: as it is, which gives the
        published numbers. A file is heard once, at one level, for heads and the model's own tags alike. None: as the
        heads were learned; off without heads.

    Raises
    ------
    OptionError
        A window, an engine or features that the model does not have; a level that is neither.
    ModelError
        No such model, or something is wrong with its weights.
    HeadError
        A head that does not fit the model, or heads learned at different levels where none is given.
    """

    def __init__(
        self,
        model: str,
        window_frames: int | None = None,
        hop_frames: int | None = None,
        *,
        engine: Engine = "auto",
        workers: int | None = None,
        heads: Sequence[PlainHead] = (),
        features: Sequence[str] = (),
        level: LevelOption | None = None,
    ) -> None:
        self.spec = find_spec(model)
        self._heads = as_heads(heads)
        check_heads(self._heads, self.spec)
        if level is not None:
            check_level(level)
        self._level = level or common_level(self._heads) or "off"
        self._features = tuple(features)
        known = feature_sizes(self.spec)
        if unknown := [name for name in features if name not in known]:
            raise OptionError(f"{model} does not give {', '.join(unknown)} for each patch: only {', '.join(known)}")
        kept = {"taggram", self.spec.embedding, *features, *(name for head in self._heads for name in head.features)}
        window = frames_of(self.spec, None) if window_frames is None else window_frames
        hop = hop_frames or self.spec.step or window
        pools = any(name.endswith("_pool") for name in kept)
        self._pool = SegmentPool(
            lambda: make_predictor(model, window, hop, engine, pools=pools), workers or os.cpu_count() or 1, kept
        )

    @property
    def engine(self) -> str:
        """What evaluates the network, human-readable."""
        return self._pool.name

    def warm_up(self) -> None:
        """Compile and touch what would make the first file slow."""
        MelStream(44_100, front_end=self.spec.front_end, centered=True).push(np.zeros(1024, np.float32))
        self._pool.warm_up()

    def tag(
        self,
        path: str | Path,
        *,
        short: Short = "repeat",
        progress: Callable[[float], None] | None = None,
        hear: Callable[[Array], None] | None = None,
    ) -> FileTags:
        """Tag one file. It is decoded block by block: memory grows with the results only.

        Parameters
        ----------
        path : str or Path
            Any file that libsndfile or FFmpeg reads.
        short : Short
            What becomes of a file shorter than one patch: `repeat` its frames to length, or `error`.
        progress : Callable[[float], None]
            Called with the seconds read so far.
        hear : Callable[[NDArray[np.float32]], None]
            Called with each block of frames in turn, (n, width): all of the file's, before any is repeated.

        Returns
        -------
        FileTags
            What was heard.

        Raises
        ------
        AudioFileError
            The file cannot be read.
        TooShortError
            Shorter than one patch, with `short="error"`.
        """
        path = Path(path)
        segments = StreamInOrder(self._pool) if self.spec.stateful else SegmentedStream(self._pool)

        def take(frames: Array) -> None:
            segments.push(frames)
            if hear is not None:
                hear(frames)

        with open_audio(path) as reader:
            front_end = self.spec.front_end
            leveller = Leveller(front_end.frame_seconds) if self._level == "auto" else None
            stream = MelStream(
                reader.samplerate, reader.channels, front_end=front_end, centered=True, leveller=leveller
            )
            for block in reader.blocks():
                take(stream.push(block).logmel)
                if progress is not None:
                    progress(stream.samples_in / reader.samplerate)
            take(stream.flush().logmel)
        if not stream.samples_in:
            raise AudioFileError(path, "holds no samples")
        seconds = stream.samples_in / reader.samplerate
        notes = [reader.note] if reader.note else []
        if stream.nonfinite:
            notes.append(f"{stream.nonfinite} NaN or infinite samples were replaced by 0")
        if segments.frames_in < self._pool.window_frames and front_end.tail == "drop":
            window = self._pool.window_frames * front_end.frame_seconds
            reason = f"{seconds:.2f} s are shorter than one patch of {window:.2f} s"
            if short == "error":
                raise TooShortError(path, reason)
            notes.append(f"{reason}: repeated to length")
        features = segments.finish(repeat_short=True)
        lead = front_end.lead / front_end.rate
        taggram, embeddings = features["taggram"], features[self.spec.embedding]
        return FileTags(
            path=path,
            labels=self.spec.labels,
            taggram=taggram,
            embeddings=embeddings,
            starts=np.maximum(0, np.arange(len(taggram)) * self._pool.hop_frames * front_end.frame_seconds - lead),
            seconds=seconds,
            samplerate=reader.samplerate,
            channels=reader.channels,
            decoder=reader.decoder,
            notes=tuple(notes),
            heads={head.name: whole_file(head, head.joined(features)) for head in self._heads},
            features={name: features[name] for name in self._features},
        )


def whole_file(head: PlainHead, patches: Array) -> tuple[tuple[str, float], ...]:
    """What a head predicts for a whole file.

    Parameters
    ----------
    head : PlainHead
        The head.
    patches : ndarray of float32, shape (patches, units)
        What the head hears of each patch.

    Returns
    -------
    tuple of (str, float)
        Classes and their probabilities, best first.
    """
    return best_tags(head.labels, head.of_file(patches), len(head.labels))
