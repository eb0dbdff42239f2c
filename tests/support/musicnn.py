"""musicnn's `extractor`, whose result is longer where features are asked for, as two functions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from streamtag import extractor
from streamtag.inference.base import Array, Features


def all_features(
    file: str | Path, model: str = "MTT_musicnn", *patches: Any, **options: Any
) -> tuple[Array, list[str], Features]:
    """What it gives by default: taggram, tags, and features."""
    given = extractor(file, model, *patches, **options)
    assert len(given) == 3
    return given


def taggram_alone(
    file: str | Path, model: str = "MTT_musicnn", *patches: Any, **options: Any
) -> tuple[Array, list[str]]:
    """What it gives without features: taggram and tags."""
    given = extractor(file, model, *patches, **{**options, "extract_features": False})
    assert len(given) == 2
    return given
