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
    "HeadFrame": "streamtag.frames",
    "Stats": "streamtag.frames",
    "State": "streamtag.frames",
    "MelStream": "streamtag.melstream",
    "RingBuffer": "streamtag.ringbuffer",
    "Session": "streamtag.engine",
    "live": "streamtag.engine",
    "ControlPort": "streamtag.control",
    "top_tags": "streamtag.extract",
    "extractor": "streamtag.extract",
    "FileTagger": "streamtag.offline",
    "Head": "streamtag.learn.head",
    "PlainHead": "streamtag.learn.plain",
    "load_head": "streamtag.learn.headfile",
    "FileTags": "streamtag.offline",
    "Sink": "streamtag.sinks",
    "SessionInfo": "streamtag.sinks",
    "HeadInfo": "streamtag.sinks",
    "Background": "streamtag.sinks.background",
    "Throttled": "streamtag.sinks.throttled",
    "OscSink": "streamtag.sinks.osc",
    "JsonLines": "streamtag.sinks.lines",
    "TextLines": "streamtag.sinks.lines",
    "Source": "streamtag.sources",
    "FileSource": "streamtag.sources.file",
    "DeviceSource": "streamtag.sources.device",
    "StreamtagError": "streamtag.errors",
    "OptionError": "streamtag.errors",
    "ModelError": "streamtag.errors",
    "HeadError": "streamtag.errors",
    "AudioFileError": "streamtag.errors",
    "DeviceError": "streamtag.errors",
    "SinkError": "streamtag.errors",
    "FeedError": "streamtag.errors",
}
"""Every public name and where it lives."""

__all__ = ["__version__", *_PUBLIC]

if TYPE_CHECKING:
    from streamtag.control import ControlPort as ControlPort
    from streamtag.engine import Session as Session
    from streamtag.engine import live as live
    from streamtag.errors import AudioFileError as AudioFileError
    from streamtag.errors import DeviceError as DeviceError
    from streamtag.errors import FeedError as FeedError
    from streamtag.errors import HeadError as HeadError
    from streamtag.errors import ModelError as ModelError
    from streamtag.errors import OptionError as OptionError
    from streamtag.errors import SinkError as SinkError
    from streamtag.errors import StreamtagError as StreamtagError
    from streamtag.extract import extractor as extractor
    from streamtag.extract import top_tags as top_tags
    from streamtag.frames import HeadFrame as HeadFrame
    from streamtag.frames import State as State
    from streamtag.frames import Stats as Stats
    from streamtag.frames import TagFrame as TagFrame
    from streamtag.learn.head import Head as Head
    from streamtag.learn.headfile import load_head as load_head
    from streamtag.learn.plain import PlainHead as PlainHead
    from streamtag.melstream import MelStream as MelStream
    from streamtag.offline import FileTagger as FileTagger
    from streamtag.offline import FileTags as FileTags
    from streamtag.ringbuffer import RingBuffer as RingBuffer
    from streamtag.sinks import HeadInfo as HeadInfo
    from streamtag.sinks import SessionInfo as SessionInfo
    from streamtag.sinks import Sink as Sink
    from streamtag.sinks.background import Background as Background
    from streamtag.sinks.lines import JsonLines as JsonLines
    from streamtag.sinks.lines import TextLines as TextLines
    from streamtag.sinks.osc import OscSink as OscSink
    from streamtag.sinks.throttled import Throttled as Throttled
    from streamtag.sources import Source as Source
    from streamtag.sources.device import DeviceSource as DeviceSource
    from streamtag.sources.file import FileSource as FileSource
    from streamtag.tagger import Tagger as Tagger


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'streamtag' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
