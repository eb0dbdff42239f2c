"""streamtag hears music as it plays: live tags and embeddings with the published musicnn models.

Importing this is instant: TensorFlow, PortAudio and the compiled kernels come when they are first needed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "Tagger": "streamtag.tagger",
    "TagFrame": "streamtag.frames",
    "Stats": "streamtag.frames",
    "State": "streamtag.frames",
    "MelStream": "streamtag.melstream",
    "RingBuffer": "streamtag.ringbuffer",
    "Session": "streamtag.engine",
    "live": "streamtag.engine",
    "top_tags": "streamtag.offline",
    "extractor": "streamtag.offline",
    "tag_file": "streamtag.offline",
    "file_tagger": "streamtag.offline",
    "FileTags": "streamtag.offline",
    "Sink": "streamtag.sinks",
    "SessionInfo": "streamtag.sinks",
    "Background": "streamtag.sinks.background",
    "OscSink": "streamtag.sinks.osc",
    "JsonLines": "streamtag.sinks.lines",
    "TextLines": "streamtag.sinks.lines",
    "Source": "streamtag.sources",
    "FileSource": "streamtag.sources.file",
    "DeviceSource": "streamtag.sources.device",
    "StreamtagError": "streamtag.errors",
    "OptionError": "streamtag.errors",
    "ModelError": "streamtag.errors",
    "AudioFileError": "streamtag.errors",
    "DeviceError": "streamtag.errors",
    "SinkError": "streamtag.errors",
    "FeedError": "streamtag.errors",
}
"""Every public name and where it lives."""

__all__ = ["__version__", *_PUBLIC]

if TYPE_CHECKING:
    from streamtag.engine import Session, live
    from streamtag.errors import (
        AudioFileError,
        DeviceError,
        FeedError,
        ModelError,
        OptionError,
        SinkError,
        StreamtagError,
    )
    from streamtag.frames import State, Stats, TagFrame
    from streamtag.melstream import MelStream
    from streamtag.offline import FileTags, extractor, file_tagger, tag_file, top_tags
    from streamtag.ringbuffer import RingBuffer
    from streamtag.sinks import SessionInfo, Sink
    from streamtag.sinks.background import Background
    from streamtag.sinks.lines import JsonLines, TextLines
    from streamtag.sinks.osc import OscSink
    from streamtag.sources import Source
    from streamtag.sources.device import DeviceSource
    from streamtag.sources.file import FileSource
    from streamtag.tagger import Tagger


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'streamtag' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
