"""Show files that a test writes, and what their rules make of frames."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from streamtag.results import TagFrame
from streamtag.rules.messages import MidiMessage, MqttMessage, OscMessage
from streamtag.rules.playing import Rules
from streamtag.rules.reading import read_show
from streamtag.rules.show import Show
from streamtag.sinks.base import HeadInfo
from tests.support.values import INFO, LABELS, make_frame

HEADED = replace(INFO, heads=(HeadInfo("mood", ("calm", "wild")),))
HOST = "127.0.0.1:7000"


def written(folder: Path, text: str, name: str = "show.toml") -> Path:
    """A file with a host for all, and this text."""
    path = folder / name
    path.write_text(f'host = "{HOST}"\n{text}', encoding="utf-8")
    return path


def show(folder: Path, text: str) -> Show:
    return read_show(written(folder, text), midi="test", mqtt=True)


def rules(folder: Path, text: str) -> Rules:
    return Rules(show(folder, text).rules, HEADED)


def heard(seconds: float, **scores: Any) -> TagFrame:
    """A frame at a time in which tags (``Hip_Hop`` for what Python cannot name) have these scores, and others none."""
    frame = make_frame(time=seconds, **{key: scores.pop(key) for key in set(scores) & set(TagFrame.__slots__)})
    values = frame.scores.copy()
    values[:] = 0
    for label, score in scores.items():
        values[LABELS.index(label)] = score
    return replace(frame, scores=values)


def sent(rules: Rules, frames: Iterable[TagFrame]) -> list[tuple[float, Any]]:
    """What is sent at which time: arguments of OSC messages, bytes of MIDI, payloads of MQTT."""
    found: list[tuple[float, Any]] = []
    for frame in frames:
        for message in rules.step(frame):
            match message:
                case OscMessage():
                    found.append((round(frame.time, 6), message.arguments))
                case MidiMessage():
                    found.append((round(frame.time, 6), tuple(message.data)))
                case MqttMessage():
                    found.append((round(frame.time, 6), message.payload))
    return found


def every(hop: float, *scores: float, tag: str = "rock") -> list[TagFrame]:
    """Frames a hop apart, from 0 on, with these scores of a tag."""
    return [heard(round(place * hop, 6), **{tag: score}) for place, score in enumerate(scores)]
