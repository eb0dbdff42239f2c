"""What the machine itself plays, by one word."""

from __future__ import annotations

import sys

from streamtag.errors import DeviceError
from streamtag.sources.device import monitor_help
from streamtag.sources.listing import devices
from streamtag.sources.names import Device, exactly, matching
from streamtag.sources.server import default_monitor

SYSTEM = "system"
LOOPBACKS = {"darwin": ("BlackHole", "Loopback", "Soundflower"), "win32": ("Stereo Mix", "CABLE Output", "Stereomix")}
"""Inputs that play what the system plays, where it has none of its own, by what they are usually called."""


def find_system() -> Device:
    """The input that hears what the machine plays.

    An input that is called ``system`` is that one: JACK calls its sound card so.

    Returns
    -------
    Device
        The default output's monitor (PulseAudio, PipeWire), or what is usually installed for this (macOS, Windows).

    Raises
    ------
    DeviceError
        There is none; it says what to install.
    """
    there = devices()
    if named := exactly(there, SYSTEM):
        return named[0]
    for name in LOOPBACKS.get(sys.platform, ()):
        if found := matching(there, name):
            return found[0]
    wanted = default_monitor() if sys.platform == "linux" else None
    monitors = [device for device in there if device.monitor]
    found = [device for device in monitors if wanted in device.names] or monitors
    if not found:
        raise DeviceError(f"nothing here hears what the machine plays. {monitor_help()}")
    return found[0]
