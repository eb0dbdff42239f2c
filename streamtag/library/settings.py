"""What a store was made with: two stores can be compared, and rows may lie side by side, only where it is the same."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from streamtag import __version__
from streamtag.dsp.params import PATCH_FRAMES, LevelOption
from streamtag.errors import DataError, OptionError
from streamtag.heads.file import check_heads
from streamtag.heads.head import PlainHead
from streamtag.inference.base import feature_sizes
from streamtag.inference.networks.catalogue import find_spec, is_file_name, weights_sha256
from streamtag.inference.networks.specs import check_window

SCHEMA = 1
"""Of the columns: goes up when readers of the old ones would fail."""
NUMBERS = 1
"""Goes up when the same file gives other numbers than with an earlier version of streamtag."""


@dataclass(frozen=True, slots=True)
class HeadOf:
    """A head (your own tags) whose classes are columns.

    Attributes
    ----------
    name : str
        Its name.
    labels : tuple of str
        Its classes.
    file : str
        Where it is read from.
    sha256 : str
        Checksum of that file.
    """

    name: str
    labels: tuple[str, ...]
    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Settings:
    """How all tracks of a store are heard.

    Attributes
    ----------
    model, model_sha256 : str
        Name of the model, and checksum of its weights.
    model_file : str
        Where it is read from: its name, or the path of one of your own.
    labels : tuple of str
        Its tags.
    window_frames, hop_frames : int
        Frames of a patch, and from one to the next.
    level : {'off', 'auto'}
        See `FileTagger`.
    sizes : mapping of {str: int}
        Units of each feature whose mean is kept beside the tags, by musicnn's names; the embedding first.
    heads : tuple of HeadOf
        Your own tags.
    windows : bool
        Whether tags and embedding of every window are kept.
    schema, numbers : int
        See `SCHEMA` and `NUMBERS`.
    """

    model: str
    model_sha256: str
    model_file: str
    labels: tuple[str, ...]
    sizes: Mapping[str, int]
    window_frames: int = PATCH_FRAMES
    hop_frames: int = PATCH_FRAMES
    level: LevelOption = "off"
    heads: tuple[HeadOf, ...] = ()
    windows: bool = False
    schema: int = SCHEMA
    numbers: int = NUMBERS

    @classmethod
    def chosen(
        cls,
        model: str,
        window_frames: int,
        hop_frames: int,
        level: LevelOption,
        features: Sequence[str],
        heads: Sequence[tuple[PlainHead, str, str]],
        windows: bool,
    ) -> Settings:
        """From a user's options; heads with the file and checksum of each.

        Raises
        ------
        OptionError
            A window that the model cannot take.
        ModelError
            No such model, or something is wrong with its weights.
        HeadError
            A head that does not fit the model.
        """
        spec = find_spec(model)
        check_window(spec, window_frames)
        check_heads([head for head, _, _ in heads], spec)
        known = feature_sizes(spec)
        if unknown := [name for name in features if name not in known or name == "taggram"]:
            names = ", ".join(name for name in known if name != "taggram")
            raise OptionError(f"--features {' '.join(unknown)}: {spec.name} has {names}")
        # what a model of others may not have at all, an embedding or tags, has no column
        sizes = {name: known[name] for name in dict.fromkeys((spec.embedding, *features)) if known[name]}
        of = tuple(HeadOf(head.name, tuple(head.labels), file, sha256) for head, file, sha256 in heads)
        where = os.path.abspath(model) if is_file_name(model) else model  # noqa: PTH100 - what it is, not a link's end
        about = (spec.name, weights_sha256(model), where, spec.labels, sizes)
        return cls(*about, window_frames, hop_frames, level, of, windows)

    @property
    def features(self) -> tuple[str, ...]:
        """Whose means are kept."""
        return tuple(self.sizes)

    def as_json(self) -> str:
        """As it lies in a store, with the version of streamtag that began it."""
        return json.dumps(asdict(self) | {"streamtag": __version__}, indent=1)

    @classmethod
    def from_json(cls, text: str | bytes) -> Settings:
        """As it was written.

        Raises
        ------
        DataError
            Not what `as_json` gives, or of a version to come.
        """
        try:
            given: Mapping[str, Any] = json.loads(text)
            if given["schema"] > SCHEMA:
                raise DataError(f"made by a newer streamtag ({given['streamtag']}): update this one to read it")
            heads = tuple(
                HeadOf(head["name"], tuple(head["labels"]), head["file"], head["sha256"]) for head in given["heads"]
            )
            values = {field.name: given[field.name] for field in fields(cls)}
            return cls(**values | {"labels": tuple(given["labels"]), "heads": heads})
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"not what streamtag writes there ({error!r})") from error

    def differences(self, other: Settings) -> list[str]:
        """What differs from another's, in words: 'model MTT_musicnn, and not MSD_musicnn'; empty where rows mix."""
        said = []
        for field in fields(self):
            if field.name in ("model_file", "labels"):
                continue
            mine, others = getattr(self, field.name), getattr(other, field.name)
            if field.name == "heads":
                mine, others = ([(head.name, head.sha256) for head in heads] for heads in (mine, others))
            if mine != others:
                said.append(_said(field.name, mine, others))
        if self.model != other.model:  # the rest follows
            said = [text for text in said if not text.startswith(("weights", "features"))]
        return said


def _said(name: str, mine: Any, others: Any) -> str:
    if name == "model_sha256":
        return f"weights {mine[:12]}…, and not {others[:12]}…"
    if name == "heads":
        mine, others = (
            ", ".join(f"{one} ({sha256[:8]}…)" for one, sha256 in heads) or "none" for heads in (mine, others)
        )
    if name == "sizes":
        return f"features {' '.join(mine)}, and not {' '.join(others)}"
    if name == "windows":
        return "rows of every window" if mine else "no rows of every window"
    words = {
        "window_frames": "patches of {} frames",
        "hop_frames": "a hop of {} frames",
        "numbers": "numbers, version {}",
    }
    return f"{words.get(name, name + ' {}').format(mine)}, and not {others}"
