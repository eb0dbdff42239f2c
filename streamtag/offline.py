"""Files: the live path without the ring and the clock, on all processors."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from streamtag.errors import AudioFileError, TooShortError
from streamtag.evaluator import Engine, make_evaluator
from streamtag.learn.plain import PlainHead
from streamtag.learn.play import check_heads, whole_file
from streamtag.melstream import MelStream
from streamtag.networks.specs import FRAME_SECONDS, PATCH_FRAMES, find_spec
from streamtag.rolling import best_tags
from streamtag.segments import SegmentedStream, SegmentPool
from streamtag.sources.decode import open_audio

Array = NDArray[np.float32]
Short = Literal["repeat", "error"]


@dataclass(frozen=True, slots=True)
class FileTags:
    """What was heard in one file.

    Attributes
    ----------
    path : the file.
    labels : the tags, in the order of the taggram's columns.
    taggram : float32 (patches, tags), 0..1.
    embeddings : float32 (patches, units).
    starts : float64 (patches,), seconds from the start of the file to that of each patch.
    seconds : length of the file, as decoded.
    samplerate, channels, decoder : how it was stored, and what read it.
    notes : what a user should know: shorter than a patch, ended early, samples replaced.
    heads : what each head (your own tags) says of the whole file, by its name: (class, probability), best first.
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

    def top(self, count: int) -> tuple[tuple[str, float], ...]:
        """The tags with the best mean over the patches, best first, with that mean."""
        return best_tags(self.labels, np.mean(self.taggram, axis=0), count)


class FileTagger:
    """Tags files with musicnn's frames. Its network is built once; files may be tagged from several threads at once.

    Parameters
    ----------
    model : musicnn's name of the model.
    window_frames, hop_frames : frames of a patch, and from one to the next; None for patches side by side.
    engine : see `make_evaluator`.
    workers : threads that judge; None for one each processor.
    heads : your own tags, judged beside the model's (see `load_head`).

    Raises
    ------
    OptionError, ModelError, HeadError : what cannot be used.
    """

    def __init__(
        self,
        model: str,
        window_frames: int = PATCH_FRAMES,
        hop_frames: int | None = None,
        *,
        engine: Engine = "auto",
        workers: int | None = None,
        heads: Sequence[PlainHead] = (),
    ) -> None:
        self.spec = find_spec(model)
        check_heads(heads, self.spec)
        self._heads = tuple(heads)
        hop = hop_frames or window_frames
        pools = any(head.needs_pools for head in heads)
        self._pool = SegmentPool(
            lambda: make_evaluator(model, window_frames, hop, engine, pools=pools),
            workers or os.cpu_count() or 1,
            {"taggram", self.spec.embedding, *(name for head in heads for name in head.features)},
        )

    @property
    def engine(self) -> str:
        """What evaluates the network, for people."""
        return self._pool.name

    def warm_up(self) -> None:
        """Compile and touch what would make the first file slow."""
        MelStream(44_100, centered=True).push(np.zeros(1024, np.float32))
        self._pool.warm_up()

    def tag(
        self, path: str | Path, *, short: Short = "repeat", progress: Callable[[float], None] | None = None
    ) -> FileTags:
        """Tag one file. It is decoded block by block: memory grows with the results only.

        Parameters
        ----------
        path : any file that libsndfile or FFmpeg reads.
        short : what becomes of a file shorter than one patch: `repeat` its frames to length, or `error`.
        progress : called with the seconds read so far.

        Raises
        ------
        AudioFileError : the file cannot be read.
        TooShortError : shorter than one patch, with `short="error"`.
        """
        path = Path(path)
        judging = SegmentedStream(self._pool)
        with open_audio(path) as reader:
            stream = MelStream(reader.samplerate, reader.channels, centered=True)
            for block in reader.blocks():
                judging.push(stream.push(block).logmel)
                if progress is not None:
                    progress(stream.samples_in / reader.samplerate)
            judging.push(stream.flush().logmel)
        if not stream.samples_in:
            raise AudioFileError(path, "holds no samples")
        seconds = stream.samples_in / reader.samplerate
        notes = [reader.note] if reader.note else []
        if stream.nonfinite:
            notes.append(f"{stream.nonfinite} NaN or infinite samples were replaced by 0")
        if judging.frames_in < self._pool.window_frames:
            window = self._pool.window_frames * FRAME_SECONDS
            reason = f"{seconds:.2f} s are shorter than one patch of {window:.2f} s"
            if short == "error":
                raise TooShortError(path, reason)
            notes.append(f"{reason}: repeated to length")
        features = judging.finish(repeat_short=True)
        taggram, embeddings = features["taggram"], features[self.spec.embedding]
        return FileTags(
            path=path,
            labels=self.spec.labels,
            taggram=taggram,
            embeddings=embeddings,
            starts=np.arange(len(taggram), dtype=np.float64) * (self._pool.hop_frames * FRAME_SECONDS),
            seconds=seconds,
            samplerate=reader.samplerate,
            channels=reader.channels,
            decoder=reader.decoder,
            notes=tuple(notes),
            heads={head.name: whole_file(head, head.joined(features)) for head in self._heads},
        )
