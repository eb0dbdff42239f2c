"""musicnn's own two functions, with its signatures, outputs and meaning."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from streamtag._system.encoding import INSTEAD, writable
from streamtag.dsp.front_end import MUSICNN
from streamtag.errors import OptionError
from streamtag.files.offline import FileTagger, FileTags
from streamtag.files.outputs import check_output, writing
from streamtag.inference.base import repeated
from streamtag.inference.networks.catalogue import find_spec
from streamtag.inference.networks.numpy_network import NumpyNetwork, shared_numpy_network
from streamtag.inference.networks.specs import ModelSpec, check_window

if TYPE_CHECKING:
    from streamtag.inference.networks.network import Network

Array = NDArray[np.float32]
POOLS = ("mean_pool", "max_pool")
"""Features of the musicnn models that the sliding engine gives beside the embedding."""


def patch_geometry(spec: ModelSpec, input_length: float, input_overlap: float | Literal[False]) -> tuple[int, int]:
    """Frames of a patch, and frames between two, as musicnn counts them from seconds.

    Raises
    ------
    OptionError
        Not 3 s for a vgg model; a patch or a hop shorter than a frame.
    """
    if spec.front_end != MUSICNN:
        raise OptionError(f"{spec.name} is none of musicnn's: streamtag.FileTagger, or `streamtag file`, hears with it")
    if spec.fixed_length and input_length != 3:
        raise OptionError(f"{spec.name} hears patches of 3 s only: set input_length to 3 (musicnn models take any)")
    window = MUSICNN.frames_in(input_length)
    check_window(spec, window)
    hop = MUSICNN.frames_between(input_overlap) if input_overlap else window
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
    file_name : str or Path
        The file.
    model : str
        Name of the model, as published.
    topN : int
        How many tags.
    input_length : float
        Seconds of a patch.
    input_overlap : float or False
        Seconds between the starts of two patches (musicnn calls it overlap); False: patches side by side.
    print_tags : bool
        Also print them.
    save_tags : str, Path or False
        Also append a line to this file: name, model, input_length, input_overlap, tags.

    Returns
    -------
    list of str
        The best tags, best first.

    Raises
    ------
    OptionError, ModelError, AudioFileError, SinkError
        What cannot be used, read or written.
    """
    spec = find_spec(model)
    window, hop = patch_geometry(spec, input_length, input_overlap)
    if save_tags:
        check_output(Path(save_tags), [Path(file_name)], appended=True)
    tags = FileTagger(model, window, hop).tag(file_name)
    _warn(tags)
    names = [tag for tag, _ in tags.top(topN)]
    if print_tags:
        print(f"[{writable(str(file_name), sys.stdout.encoding)}] Top{topN} tags: ")
        for name in names:
            print(f" - {name}")
    if save_tags:
        with writing(save_tags), Path(save_tags).open("a", encoding="utf-8", errors=INSTEAD) as file:
            file.write(saved_line(file_name, model, input_length, input_overlap, names))
    return names


def saved_line(
    file_name: str | Path, model: str, input_length: float, input_overlap: float | Literal[False], names: list[str]
) -> str:
    """The line that musicnn appends for a file."""
    return f"{file_name},{model},input_length={input_length},input_overlap={input_overlap},{','.join(names)}\n"


@overload
def extractor(
    file_name: str | Path,
    model: str = "MTT_musicnn",
    input_length: float = 3,
    input_overlap: float | Literal[False] = False,
    extract_features: Literal[True] = True,
) -> tuple[Array, list[str], dict[str, Array]]: ...


@overload
def extractor(
    file_name: str | Path,
    model: str = "MTT_musicnn",
    input_length: float = 3,
    input_overlap: float | Literal[False] = False,
    *,
    extract_features: Literal[False],
) -> tuple[Array, list[str]]: ...


@overload
def extractor(
    file_name: str | Path, model: str, input_length: float, input_overlap: float, extract_features: Literal[False]
) -> tuple[Array, list[str]]: ...


@overload
def extractor(
    file_name: str | Path,
    model: str = "MTT_musicnn",
    input_length: float = 3,
    input_overlap: float | Literal[False] = False,
    extract_features: bool = True,
) -> tuple[Array, list[str], dict[str, Array]] | tuple[Array, list[str]]: ...


def extractor(
    file_name: str | Path,
    model: str = "MTT_musicnn",
    input_length: float = 3,
    input_overlap: float | Literal[False] = False,
    extract_features: bool = True,
) -> tuple[Array, list[str], dict[str, Array]] | tuple[Array, list[str]]:
    """Taggram and features of a file: musicnn's `extractor`, with its signature, shapes and meaning.

    The taggram, the pools and the embedding are those of the sliding engine, to the bit the same with and without the
    other features, which are computed in NumPy.

    musicnn 0.1.0 returns the first patch's `penultimate` for every patch (it appends the wrong variable); here each
    patch has its own.

    Parameters
    ----------
    file_name : str or Path
        The file.
    model : str
        Name of the model, as published.
    input_length : float
        Seconds of a patch.
    input_overlap : float or False
        Seconds between the starts of two patches (musicnn calls it overlap); False for patches side by side.
    extract_features : bool
        Whether to return the features too.

    Returns
    -------
    taggram : NDArray[np.float32]
        (patches, tags), 0..1.
    tags : list[str]
        The labels.
    features : dict[str, NDArray[np.float32]]
        Of musicnn models: timbral (patches * frames, 408), temporal (.., 153), cnn1, cnn2, cnn3 (.., 64; in the big
        model 512), mean_pool and max_pool (patches, 753; 2097), penultimate (patches, 200; 500). vgg: pool1
        (patches * 92, 48, 128) to pool5 (patches * 2, 128).

    Raises
    ------
    OptionError
        A patch or a hop that the model cannot take.
    ModelError
        No such model, or something is wrong with its weights.
    AudioFileError
        The file cannot be read.
    """
    spec = find_spec(model)
    window, hop = patch_geometry(spec, input_length, input_overlap)
    if not extract_features:
        tags = FileTagger(model, window, hop).tag(file_name)
        _warn(tags)
        return tags.taggram, list(spec.labels)

    network = _network(spec, model, window)
    frames: list[Array] = []
    tags = FileTagger(model, window, hop, features=POOLS if spec.pool_size else ()).tag(file_name, hear=frames.append)
    _warn(tags)
    found = network.features(_patches(np.concatenate(frames), window, hop))
    features = {name: _patch_major(value) for name, value in found.items() if name != "taggram"}
    for name, value in {**tags.features, spec.embedding: tags.embeddings}.items():
        features[name] = value.reshape(features[name].shape)
    return tags.taggram, list(spec.labels), features


def _network(spec: ModelSpec, model: str, window: int) -> NumpyNetwork | Network:
    """What gives every feature: NumPy where it can, else Keras."""
    if spec.slides:
        return shared_numpy_network(model, window)
    from streamtag.inference.networks.network import shared_network

    return shared_network(model, window)


def _patches(logmel: Array, window: int, hop: int) -> Array:
    """All patches of a file's frames, (patches, window, 96), without copying; of too few frames a repeated one."""
    if len(logmel) < window:
        logmel = repeated(logmel, window)
    return sliding_window_view(logmel, (window, MUSICNN.width))[::hop, 0]


def _patch_major(value: Array) -> Array:
    """Join the patch axis with the next, and drop axes of length 1, as musicnn does patch by patch.

    A feature that is one vector for each patch stays as it is.
    """
    if value.ndim == 2:
        return value
    joined = value.reshape(-1, *value.shape[2:])
    return joined.squeeze(axis=tuple(axis for axis in range(1, joined.ndim) if joined.shape[axis] == 1))


def _warn(tags: FileTags) -> None:
    for note in tags.notes:
        warnings.warn(f"{tags.path}: {note}", stacklevel=3)
