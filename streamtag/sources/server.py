"""What a PulseAudio or PipeWire has to hear, by its own account: sources and monitors, their channels and rates.

PortAudio sees such a server as one ALSA device, `pulse`, of 32 channels. Which sources there are is asked of `pactl`;
which one is wanted is told to the server's library, at the opening of a stream, by the environment that it reads.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from streamtag._system.terminal import on_one_line

ANSWER_SECONDS = 2.0
"""How long the server may take to answer: shorter than the end of a session waits."""
MOST_CHANNELS = 32
"""More than that no stream has."""
SERVER_PLUGINS = ("pulse", "pipewire")
"""ALSA's devices that are sound servers; the first that is there is how their sources are heard."""


@dataclass(frozen=True, slots=True)
class ServerSource:
    """One source of a sound server.

    Attributes
    ----------
    name, description : str
        What programs and people call it.
    server : str
        ``PulseAudio`` or ``PipeWire``.
    positions : tuple of str
        Of each channel: ``front-left``, ``aux3`` ...
    samplerate : int
        Hz, its own.
    monitor : bool
        Whether it is what an output plays.
    default : bool
        Whether it is the one that is heard when none is named.
    """

    name: str
    description: str
    server: str
    positions: tuple[str, ...]
    samplerate: int
    monitor: bool = False
    default: bool = False


def server_sources() -> list[ServerSource]:
    """All sources of the sound server; none if there is no server, no `pactl`, or no answer."""
    known = _pactl("info")
    described = None if known is None else _pactl("list", "sources")
    return [] if known is None or described is None else parsed(described, known)


def can_ask() -> bool:
    """Whether there is a `pactl` to ask with."""
    return shutil.which("pactl") is not None


def _pactl(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["pactl", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**os.environ, "LC_ALL": "C"},  # its words are looked for
            timeout=ANSWER_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else done.stdout.decode(errors="replace")


def parsed(described: str, known: str) -> list[ServerSource]:
    """The sources in what `pactl list sources` and `pactl info` print.

    Parameters
    ----------
    described : str
        Printed by the first.
    known : str
        Printed by the second.

    Returns
    -------
    list of ServerSource
        In their order; what is not understood is left out.
    """
    facts = _fields(known, "")
    server = "PipeWire" if "PipeWire" in facts.get("Server Name", "") else "PulseAudio"
    default = _heard_by_default(facts)
    found = []
    for part in f"\n{described}".split("\nSource #")[1:]:
        fields = _fields(part, "\t")
        words = fields.get("Sample Specification", "").split()  # float32le 2ch 44100Hz
        rate = next((word[:-2] for word in words if word.endswith("Hz")), "")
        positions = tuple(name.strip() for name in fields.get("Channel Map", "").split(",") if name.strip())
        name = fields.get("Name", "")
        if name and positions and rate.isdecimal():
            monitor = fields.get("Monitor of Sink", "n/a") != "n/a"
            description = on_one_line(fields.get("Description", "")).strip() or name
            heard = default in (name, part.split("\n")[0].strip())
            found.append(ServerSource(name, description, server, positions, int(rate), monitor, heard))
    return found


def default_monitor() -> str | None:
    """The name of the source that hears what the default output plays; None where no server says so."""
    output = _fields(_pactl("info") or "", "").get("Default Sink")
    return f"{output}.monitor" if output else None


def _heard_by_default(facts: dict[str, str]) -> str:
    """Name or number of what is heard when no source is named: the server's default, or that of the environment."""
    given = os.environ.get("PULSE_SOURCE") or "@DEFAULT_SOURCE@"
    if given == "@DEFAULT_MONITOR@":
        return facts.get("Default Sink", "") + ".monitor"
    return facts.get("Default Source", "") if given == "@DEFAULT_SOURCE@" else given


def _fields(text: str, indent: str) -> dict[str, str]:
    """`Key: value` of the lines that are indented so; the first of each key."""
    fields: dict[str, str] = {}
    for line in text.split("\n"):
        key, colon, value = line.removeprefix(indent).partition(": ")
        if colon and line.startswith(indent) and not key.startswith(("\t", " ")):
            fields.setdefault(key, value.strip())
    return fields


@contextmanager
def heard_through(source: ServerSource | None, *, named: bool) -> Iterator[None]:
    """What opens a stream meanwhile is given this source, and its channels as they are.

    libpulse and PipeWire's library read these variables when ALSA's plugin connects: while PortAudio opens a stream.

    Parameters
    ----------
    source : ServerSource or None
        What is to be heard; None for what is no server's.
    named : bool
        Whether to ask for it by name; else the server gives its default.
    """
    wanted: dict[str, str] = {}
    if source is not None and named:
        wanted["PULSE_SOURCE"] = source.name
        wanted["PIPEWIRE_NODE"] = source.name.removesuffix(".monitor")
    if source is not None and source.server == "PipeWire":
        wanted["PULSE_PROP"] = f"{os.environ.get('PULSE_PROP', '')} stream.dont-remix=true".strip()
        wanted["PIPEWIRE_PROPS"] = os.environ.get("PIPEWIRE_PROPS") or "{ stream.dont-remix = true }"
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
