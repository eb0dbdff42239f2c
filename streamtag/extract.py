"""musicnn's own two functions, with its signatures, outputs and meaning."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from streamtag.errors import AudioFileError, OptionError
from streamtag.evaluator import repeated
from streamtag.melstream import MelStream
from streamtag.networks.specs import N_MELS, ModelSpec, check_window, find_spec, frames_between, frames_in
from streamtag.offline import FileTagger, FileTags
from streamtag.sources.decode import open_audio

Array = NDArray[np.float32]
FEATURE_BATCH = 8
"""Patches whose features are computed at a time."""


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
    tags = FileTagger(model, window, hop).tag(file_name)
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
        tags = FileTagger(model, window, hop).tag(file_name)
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
        logmel = repeated(logmel, window)
    patches = np.lib.stride_tricks.sliding_window_view(logmel, (window, N_MELS))[::hop, 0]
    return np.ascontiguousarray(patches)


def _patch_major(value: Array) -> Array:
    """Join the patch axis with the next, and drop axes of length 1, as musicnn does patch by patch."""
    joined = value.reshape(-1, *value.shape[2:])
    return joined.squeeze(axis=tuple(axis for axis in range(1, joined.ndim) if joined.shape[axis] == 1))


def _warn(tags: FileTags) -> None:
    for note in tags.notes:
        warnings.warn(f"{tags.path}: {note}", stacklevel=3)
