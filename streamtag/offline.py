"""Files: the live path without the clock, and musicnn's own two functions on top of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from streamtag.errors import AudioFileError, OptionError, TooShortError
from streamtag.evaluator import make_evaluator
from streamtag.frames import TagFrame
from streamtag.learn.plain import PlainHead
from streamtag.learn.play import whole_file
from streamtag.melstream import MelStream
from streamtag.networks.specs import N_MELS, ModelSpec, check_window, find_spec, frames_between, frames_in
from streamtag.rolling import best_tags
from streamtag.sources.decode import open_audio
from streamtag.tagger import FRAME_SECONDS, Tagger

Array = NDArray[np.float32]
Short = Literal["repeat", "error"]
FEATURE_BATCH = 8
"""Patches whose features are computed at a time."""


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


def file_tagger(model: str, window_frames: int, hop_frames: int, heads: Sequence[PlainHead] = ()) -> Tagger:
    """A tagger that makes musicnn's frames and does not smooth.

    Raises
    ------
    OptionError, ModelError, HeadError : as `Tagger`.
    """
    pools = any(head.needs_pools for head in heads)
    evaluator = make_evaluator(model, window_frames, hop_frames, pools=pools)
    return Tagger(evaluator=evaluator, smooth=0, centered=True, heads=heads)


def tag_file(
    path: str | Path,
    tagger: Tagger,
    *,
    short: Short = "repeat",
    progress: Callable[[float], None] | None = None,
) -> FileTags:
    """Tag one file. It is decoded block by block: memory grows with the results only.

    Parameters
    ----------
    path : any file that libsndfile or FFmpeg reads.
    tagger : from `file_tagger`; reset before and after.
    short : what becomes of a file shorter than one patch: `repeat` its frames to length, or `error`.
    progress : called with the seconds read so far.

    Raises
    ------
    AudioFileError : the file cannot be read.
    TooShortError : shorter than one patch, with `short="error"`.
    """
    path = Path(path)
    tagger.reset()
    frames: list[TagFrame] = []
    with open_audio(path) as reader:
        for block in reader.blocks():
            frames += tagger.push(block, reader.samplerate)
            if progress is not None:
                progress(tagger.samples_in / reader.samplerate)
        heard = bool(frames)
        frames += tagger.flush(repeat_short=short == "repeat")
        seconds = tagger.samples_in / reader.samplerate
        notes = [reader.note] if reader.note else []
        if tagger.nonfinite:
            notes.append(f"{tagger.nonfinite} NaN or infinite samples were replaced by 0")
        if not tagger.samples_in:
            raise AudioFileError(path, "holds no samples")
        if not heard and tagger.frames_in * FRAME_SECONDS < tagger.window:
            reason = f"{seconds:.2f} s are shorter than one patch of {tagger.window:.2f} s"
            if short == "error":
                raise TooShortError(path, reason)
            notes.append(f"{reason}: repeated to length")
        tags = FileTags(
            path=path,
            labels=tagger.labels,
            taggram=np.stack([frame.raw for frame in frames]),
            embeddings=np.stack([frame.embedding for frame in frames]),
            starts=np.array([frame.index * tagger.hop for frame in frames]),
            seconds=seconds,
            samplerate=reader.samplerate,
            channels=reader.channels,
            decoder=reader.decoder,
            notes=tuple(notes),
            heads={
                head.name: whole_file(head, np.stack([frame.heads[i].features for frame in frames]))
                for i, head in enumerate(tagger.heads)
            },
        )
    tagger.reset()
    return tags


def patch_geometry(spec: ModelSpec, input_length: float, input_overlap: float | Literal[False]) -> tuple[int, int]:
    """Frames of a patch, and frames between two, as musicnn counts them from seconds.

    Raises
    ------
    OptionError : not 3 s for a vgg model; a patch or a hop shorter than a frame.
    """
    if spec.fixed_length and input_length != 3:
        raise OptionError(f"{spec.name} hears patches of 3 s only: set input_length to 3 (musicnn models take any)")
    window = frames_in(input_length)
    check_window(spec, window)
    hop = frames_between(input_overlap) if input_overlap else window
    if hop < 1:
        raise OptionError(f"input_overlap {input_overlap:g} s: the hop between patches is shorter than one frame")
    return window, hop


def top_tags(
    file_name: str | Path,
    model: str = "MTT_musicnn",
    topN: int = 3,  # noqa: N803 - musicnn's name
    input_length: float = 3,
    input_overlap: float | Literal[False] = False,
    print_tags: bool = True,
    save_tags: str | Path | Literal[False] = False,
) -> list[str]:
    """The best tags of a file: musicnn's `top_tags`, with its signature, output and meaning.

    Parameters
    ----------
    file_name : the file.
    model : musicnn's name of the model.
    topN : how many tags.
    input_length : seconds of a patch.
    input_overlap : seconds between the starts of two patches (musicnn calls it overlap); False: patches side by side.
    print_tags : also print them.
    save_tags : also append a line to this file: name, model, input_length, input_overlap, tags.

    Raises
    ------
    OptionError, ModelError, AudioFileError : what cannot be used or read.
    """
    spec = find_spec(model)
    window, hop = patch_geometry(spec, input_length, input_overlap)
    tags = tag_file(file_name, file_tagger(model, window, hop))
    _warn(tags)
    names = [tag for tag, _ in tags.top(topN)]
    if print_tags:
        print(f"[{file_name}] Top{topN} tags: ")
        for name in names:
            print(f" - {name}")
    if save_tags:
        with Path(save_tags).open("a", encoding="utf-8") as file:
            file.write(saved_line(file_name, model, input_length, input_overlap, names))
    return names


def saved_line(
    file_name: str | Path, model: str, input_length: float, input_overlap: float | Literal[False], names: list[str]
) -> str:
    """The line that musicnn appends for a file."""
    return f"{file_name},{model},input_length={input_length},input_overlap={input_overlap},{','.join(names)}\n"


def extractor(
    file_name: str | Path,
    model: str = "MTT_musicnn",
    input_length: float = 3,
    input_overlap: float | Literal[False] = False,
    extract_features: bool = True,
) -> tuple[Array, list[str], dict[str, Array]] | tuple[Array, list[str]]:
    """Taggram and features of a file: musicnn's `extractor`, with its signature, shapes and meaning.

    musicnn 0.1.0 returns the first patch's `penultimate` for every patch (it appends the wrong variable); here each
    patch has its own.

    Parameters
    ----------
    file_name, model, input_length, input_overlap : see `top_tags`.
    extract_features : whether to return the features too.

    Returns
    -------
    taggram : float32 (patches, tags).
    tags : the labels.
    features : musicnn: timbral (patches * frames, 408), temporal (.., 153), cnn1, cnn2, cnn3 (.., 64), mean_pool and
        max_pool (patches, 753), penultimate (patches, 200). vgg: pool1 (patches * 92, 48, 128) to pool5
        (patches * 2, 128).

    Raises
    ------
    OptionError, ModelError, AudioFileError : what cannot be used or read.
    """
    spec = find_spec(model)
    window, hop = patch_geometry(spec, input_length, input_overlap)
    if not extract_features:
        tags = tag_file(file_name, file_tagger(model, window, hop))
        _warn(tags)
        return tags.taggram, list(spec.labels)

    from streamtag.networks.network import shared_network

    network = shared_network(model, window)
    patches = _patches(file_name, window, hop)
    parts: dict[str, list[Array]] = {}
    for start in range(0, len(patches), FEATURE_BATCH):
        for name, value in network.features(patches[start : start + FEATURE_BATCH]).items():
            parts.setdefault(name, []).append(value)
    features = {name: np.concatenate(values) for name, values in parts.items()}
    taggram = features.pop("taggram")
    per_patch = ("mean_pool", "max_pool", "penultimate")
    return (
        taggram,
        list(spec.labels),
        {name: value if name in per_patch else _patch_major(value) for name, value in features.items()},
    )


def log_mel_of(file_name: str | Path) -> Array:
    """All frames of a file, as musicnn makes them: float32 (frames, 96).

    Raises
    ------
    AudioFileError : the file cannot be read.
    """
    with open_audio(file_name) as reader:
        stream = MelStream(reader.samplerate, reader.channels, centered=True)
        parts = [stream.push(block).logmel for block in reader.blocks()]
        parts.append(stream.flush().logmel)
    if not stream.samples_in:
        raise AudioFileError(file_name, "holds no samples")
    return np.concatenate(parts)


def _patches(file_name: str | Path, window: int, hop: int) -> Array:
    logmel = log_mel_of(file_name)
    if len(logmel) < window:
        warnings.warn(f"{file_name}: shorter than one patch, repeated to length", stacklevel=3)
        logmel = np.tile(logmel, (-(-window // len(logmel)), 1))[:window]
    patches = np.lib.stride_tricks.sliding_window_view(logmel, (window, N_MELS))[::hop, 0]
    return np.ascontiguousarray(patches)


def _patch_major(value: Array) -> Array:
    """Join the patch axis with the next, and drop axes of length 1, as musicnn does patch by patch."""
    joined = value.reshape(-1, *value.shape[2:])
    return joined.squeeze(axis=tuple(axis for axis in range(1, joined.ndim) if joined.shape[axis] == 1))


def _warn(tags: FileTags) -> None:
    for note in tags.notes:
        warnings.warn(f"{tags.path}: {note}", stacklevel=3)
