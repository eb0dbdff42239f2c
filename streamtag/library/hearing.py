"""One track to what is kept of it. Needs nothing but the file and the settings, so that it runs anywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamtag.errors import AudioFileError
from streamtag.files.offline import FileTagger
from streamtag.heads.file import load_head
from streamtag.library.settings import Settings

Array = NDArray[np.float32]


def nothing() -> Array:
    """No values."""
    return np.empty(0, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """What is kept of a track, or why it could not be heard.

    Attributes
    ----------
    seconds : float
        Its length, as decoded.
    samplerate, channels : int
        How it is stored.
    decoder : str
        What read it.
    notes : tuple of str
        What is off about it.
    tags, tags_max : ndarray of float32, shape (tags,)
        Mean and maximum over the windows.
    features : mapping of {str: ndarray of float32, shape (units,)}
        The mean of each over the windows.
    heads : mapping of {str: mapping of {str: float}}
        What each head says of the whole: its classes, and how likely each is.
    starts : ndarray of float64, shape (windows,)
        Seconds; empty where windows are not kept.
    window_tags, window_embedding : ndarray of float32, shape (windows, n)
        Of every window.
    error : str or None
        Why it could not be heard; all else is empty then.
    sha256 : str or None
        Checksum of the file's content, from who has read it; None if another has.
    """

    seconds: float = 0.0
    samplerate: int = 0
    channels: int = 0
    decoder: str = ""
    notes: tuple[str, ...] = ()
    tags: Array = field(default_factory=nothing)
    tags_max: Array = field(default_factory=nothing)
    features: Mapping[str, Array] = field(default_factory=dict)
    heads: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    starts: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    window_tags: Array = field(default_factory=nothing)
    window_embedding: Array = field(default_factory=nothing)
    error: str | None = None
    sha256: str | None = None


class Ear:
    """Hears tracks, one after the other; its network is built once.

    Parameters
    ----------
    settings : Settings
        How.

    Raises
    ------
    StreamtagError
        A model or a head that is not there, or not as the settings say.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tagger = FileTagger(
            settings.model_file,
            settings.window_frames,
            settings.hop_frames,
            workers=1,
            heads=[load_head(head.file) for head in settings.heads],
            features=[name for name in settings.features if name.endswith("_pool")],
            level=settings.level,
        )

    def warm_up(self) -> None:
        """Compile and touch what would make the first track slow."""
        self._tagger.warm_up()

    def hear(self, path: str | Path, check: Callable[[float], None] = lambda _: None) -> Heard:
        """Hear a track. One that cannot be heard is given as its error.

        Parameters
        ----------
        path : str or Path
            The file.
        check : callable
            Called with the seconds heard so far; may raise to give up.

        Returns
        -------
        Heard
            What is kept of it.
        """
        try:
            tags = self._tagger.tag(path, progress=check)
        except AudioFileError as error:
            return Heard(error=error.reason)
        except OSError as error:  # of a disk that was pulled, say
            return Heard(error=f"cannot be read: {error.strerror or error}")
        spec, windows = self._tagger.spec, self._settings.windows
        arrays = {spec.embedding: tags.embeddings, "taggram": tags.taggram, **tags.features}
        return Heard(
            seconds=tags.seconds,
            samplerate=tags.samplerate,
            channels=tags.channels,
            decoder=tags.decoder,
            notes=tags.notes,
            tags=tags.taggram.mean(0),
            tags_max=tags.taggram.max(0),
            features={name: arrays[name].mean(0) for name in self._settings.features},
            heads={name: dict(said) for name, said in tags.heads.items()},
            starts=tags.starts if windows else np.empty(0),
            window_tags=tags.taggram if windows else nothing(),
            window_embedding=tags.embeddings if windows else nothing(),
        )
