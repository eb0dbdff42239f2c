"""Patches of tracks, and batches of them: random ones to learn from, side by side to validate and test with.

As published, an epoch has one random patch of every track. What is not as published: the order of tracks is drawn anew
for each epoch (the published code forks its generator's state, so that a run has the same batches in every epoch); all
draws follow from a seed and the number of the epoch; and a track shorter than a patch is repeated to its length (the
published code ends an epoch early, in silence, when it comes to such a track).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from streamtag.errors import DataError, OptionError
from streamtag.inference.base import repeated
from streamtag.train.ahead import ahead
from streamtag.train.store import Store
from streamtag.train.truth import Truth

Array = NDArray[np.float32]
Rows = NDArray[np.intp]


def starts(frames: int, length: int, hop: int | None = None) -> range:
    """Where patches of a track begin; the frames behind the last whole one are dropped.

    Parameters
    ----------
    frames : int
        Of the track.
    length : int
        Frames of a patch.
    hop : int or None
        Frames from one start to the next; None: side by side.

    Returns
    -------
    range
        0, hop, 2 hop ...; none of a track shorter than a patch.
    """
    return range(0, frames - length + 1, hop or length)


def random_starts(rng: np.random.Generator, frames: NDArray[np.integer], length: int) -> Rows:
    """One random start for each track: uniform over all patches that are whole; 0 in one shorter than a patch.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws them.
    frames : ndarray of int, shape (tracks,)
        Of each track.
    length : int
        Frames of a patch.

    Returns
    -------
    ndarray of intp, shape (tracks,)
        The starts.
    """
    drawn: Rows = rng.integers(0, np.maximum(frames - length + 1, 1), dtype=np.int64)
    return drawn


def patch_of(store: Store, name: str, start: int, length: int) -> Array:
    """A patch, log-mel; of a track shorter than it, its frames again and again.

    Parameters
    ----------
    store : Store
        Where it is.
    name : str
        The track.
    start, length : int
        Its first frame, and how many.

    Returns
    -------
    ndarray of float32, shape (length, mels)
        The caller's.

    Raises
    ------
    DataError
        No such track, or a damaged one.
    """
    frames = store.frames(name)
    if frames >= length:
        return store.log_mel(name, start, length)
    return repeated(store.log_mel(name, 0, frames), length)


class TrainingBatches:
    """What a network learns from, epoch by epoch: random patches of every track.

    Parameters
    ----------
    store : Store
        The spectrograms.
    truth : Truth
        The tracks, all of them in the store (see `Truth.within`), and their tags.
    patch_frames : int
        Frames of a patch.
    batch_size : int
        Patches of a batch; the last of an epoch may have fewer.
    seed : int
        Of all draws.
    patches_per_track : int
        How many an epoch has of each track.

    Raises
    ------
    DataError
        Tracks that are not in the store, or none at all.
    OptionError
        A size below 1, or a seed below 0.
    """

    def __init__(
        self, store: Store, truth: Truth, patch_frames: int, batch_size: int, seed: int, patches_per_track: int = 1
    ) -> None:
        _check(store, truth.ids, patch_frames, batch_size)
        if patches_per_track < 1 or seed < 0:
            raise OptionError(f"{patches_per_track} patches a track, seed {seed}: expected at least 1, and at least 0")
        self._store, self._truth = store, truth
        self._patch_frames, self._batch_size, self._seed = patch_frames, batch_size, seed
        self._tracks = np.repeat(np.arange(len(truth.ids)), patches_per_track)
        self._frames = np.array([store.frames(name) for name in truth.ids])

    def __len__(self) -> int:
        """Batches of an epoch."""
        return -(-len(self._tracks) // self._batch_size)

    def epoch(self, number: int) -> Generator[tuple[Array, Array]]:
        """Batches of an epoch; the same ones whenever it is the same epoch of the same seed, on any machine.

        Parameters
        ----------
        number : int
            Of the epoch, from 0.

        Returns
        -------
        generator of tuple
            ``x``, log-mel, float32 (patches, patch_frames, mels), and ``y``, what is true of each patch, float32
            (patches, labels). Closing it ends its thread.

        Raises
        ------
        DataError
            A damaged array.
        """
        rng = np.random.default_rng((self._seed, number))
        rows = rng.permutation(self._tracks)
        plan = zip(rows.tolist(), random_starts(rng, self._frames[rows], self._patch_frames).tolist(), strict=True)
        batches = _stacked(self._store, self._truth.ids, plan, self._patch_frames, self._batch_size)
        return _with_targets(ahead(batches), self._truth)


def fixed_batches(
    store: Store, truth: Truth, patch_frames: int, batch_size: int, *, pad_short: bool = True
) -> Generator[tuple[Array, Array]]:
    """Batches for validation: all patches side by side of each track, in the order of the ground truth.

    Parameters
    ----------
    store : Store
        The spectrograms.
    truth : Truth
        The tracks, all of them in the store (see `Truth.within`), and their tags.
    patch_frames, batch_size : int
        Frames of a patch, and patches of a batch. Batches go on from one track to the next; the last may have fewer.
    pad_short : bool
        Whether a track shorter than a patch is repeated to one; False, as published: it gives none.

    Returns
    -------
    generator of tuple
        ``x``, log-mel, float32 (patches, patch_frames, mels), and ``y``, what is true of each patch, float32
        (patches, labels). Closing it ends its thread.

    Raises
    ------
    DataError
        Tracks that are not in the store, or none at all; a damaged array.
    OptionError
        A size below 1.
    """
    return _with_targets(patch_batches(store, truth.ids, patch_frames, batch_size, pad_short=pad_short), truth)


def _with_targets(batches: Generator[tuple[Array, Rows]], truth: Truth) -> Generator[tuple[Array, Array]]:
    with closing(batches):
        for x, rows in batches:
            yield x, truth.targets[rows]


def patch_batches(
    store: Store, ids: Sequence[str], patch_frames: int, batch_size: int, *, pad_short: bool = True
) -> Generator[tuple[Array, Rows]]:
    """As `fixed_batches`, with the number of each patch's track in place of what is true of it.

    Parameters
    ----------
    store : Store
        The spectrograms.
    ids : sequence of str
        The tracks.
    patch_frames, batch_size : int
        Frames of a patch, and patches of a batch.
    pad_short : bool
        See `fixed_batches`.

    Returns
    -------
    generator of tuple
        ``x`` as there, and where the track of each patch is in `ids`, ndarray of intp, shape (patches,).

    Raises
    ------
    DataError, OptionError
        See `fixed_batches`.
    """
    _check(store, ids, patch_frames, batch_size)
    plan = (
        (row, start)
        for row, name in enumerate(ids)
        for start in starts(max(store.frames(name), patch_frames if pad_short else 0), patch_frames)
    )
    return ahead(_stacked(store, ids, plan, patch_frames, batch_size))


def _stacked(
    store: Store, ids: Sequence[str], plan: Iterator[tuple[int, int]], length: int, batch_size: int
) -> Iterator[tuple[Array, Rows]]:
    """Patches by track and start, as batches."""
    while batch := list(islice(plan, batch_size)):
        x = np.empty((len(batch), length, store.mels), np.float32)
        for patch, (row, start) in zip(x, batch, strict=True):
            patch[:] = patch_of(store, ids[row], start, length)
        yield x, np.array([row for row, _ in batch], np.intp)


def _check(store: Store, ids: Sequence[str], patch_frames: int, batch_size: int) -> None:
    if patch_frames < 1 or batch_size < 1:
        raise OptionError(f"patches of {patch_frames} frames, batches of {batch_size}: expected at least 1 of both")
    if not ids:
        raise DataError(f"{store.folder}: none of the tracks that are wanted is in it")
    if missing := [name for name in ids if name not in store]:
        raise DataError(
            f"{store.folder}: lacks {len(missing)} of {len(ids)} tracks, such as {', '.join(missing[:5])}; "
            "`streamtag train prepare` adds them"
        )
