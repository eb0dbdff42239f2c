"""Which device a user means: by index, by name, by part of it, by host; and which is the same after it was gone."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from streamtag.errors import DeviceError
from streamtag.sources.server import ServerSource

HOSTS = (
    "Windows WASAPI",
    "Core Audio",
    "ASIO",
    "JACK Audio Connection Kit",
    "PulseAudio",
    "PipeWire",
    "ALSA",
    "Windows DirectSound",
    "MME",
    "Windows WDM-KS",
    "OSS",
)
"""The best first: where one device is there under several, this decides."""
WINDOWS = ("Windows WASAPI", "Windows DirectSound", "MME", "Windows WDM-KS")
"""All of them show the same devices, MME with names cut and WDM-KS with names of its own."""
CUT = 31
"""MME's names end here."""
MOST_TOLD = 20
"""A message names no more devices than that."""


@dataclass(frozen=True, slots=True)
class Device:
    """One input.

    Attributes
    ----------
    index : int
        PortAudio's number of it; may change when devices come and go. -1 for a sound server's source.
    name, host : str
        Its name, and the sound system it belongs to.
    channels : int
        How many it has.
    samplerate : int
        Hz, its own; 0 if it does not say.
    default : bool
        Whether it is the one taken when none is named.
    server : ServerSource or None
        What a sound server gives where this is opened; None if it is no server's, or the server does not say.
    asks_server : bool
        Whether it is heard through a sound server.
    opened_as : int
        PortAudio's number of what is opened, where that is another.
    """

    index: int
    name: str
    host: str
    channels: int
    samplerate: int
    default: bool
    server: ServerSource | None = None
    asks_server: bool = False
    opened_as: int = -1

    @property
    def named(self) -> bool:
        """Whether it is a sound server's source, heard by its name."""
        return self.index < 0

    @property
    def portaudio_index(self) -> int:
        """What PortAudio opens."""
        return self.opened_as if self.named else self.index

    @property
    def monitor(self) -> bool:
        """Whether it is what an output plays."""
        return self.named and self.server is not None and self.server.monitor

    @property
    def names(self) -> tuple[str, ...]:
        """All that it is called."""
        return (self.name, self.server.name) if self.named and self.server is not None else (self.name,)


def choose(devices: list[Device], given: str | int) -> Device:
    """The one input that a user means.

    Parameters
    ----------
    devices : list of Device
        Those there are.
    given : str or int
        ``default``, an index, a name, ``NAME, HOST``, or a part of a name that only one input has (case is ignored).

    Returns
    -------
    Device
        The one that is meant.

    Raises
    ------
    DeviceError
        None or several; the message lists the near matches, or all.
    """
    if not devices:
        wanted = "" if given == "default" else f", so none called {str(given)!r}"
        raise DeviceError(
            f"no sound input on this machine{wanted}. Without one, `--input demo` and `--input FILE` work; "
            "on Linux, see that a sound server (PulseAudio or PipeWire) runs"
        )
    if given == "default":
        return next((device for device in devices if device.default), devices[0])
    text = str(given).strip()
    found = matching(devices, text)
    if len(found) == 1:
        return found[0]
    if found:
        raise DeviceError(
            f"several inputs match {text!r}: {told(found)}. Give the index, more of the name, or NAME, HOST"
        )
    names = {name.lower(): device for device in reversed(devices) for name in device.names}
    near = [names[name] for name in difflib.get_close_matches(text.lower(), names, n=3, cutoff=0.5)]
    hint = f" Did you mean {told(list(dict.fromkeys(near)))}?" if near else ""
    raise DeviceError(f"no input is called {text!r}.{hint} There are: {told(devices)}")


def matching(devices: list[Device], text: str) -> list[Device]:
    """Those that are called so, or else have this in their names."""
    return exactly(devices, text) or _in_part(devices, text.strip())


def exactly(devices: list[Device], text: str) -> list[Device]:
    """Those that are called so: one, unless two devices differ in nothing else."""
    text = text.strip()
    if not text:
        return []
    if text.isdecimal() and (numbered := [device for device in devices if device.index == int(text)]):
        return numbered
    readings = _readings(devices, text)
    for those, name in readings:
        if any(name in device.names for device in those):
            return _best_hosts([device for device in those if name in device.names or _is_cut(device, name)])
    for those, name in reversed(readings):  # NAME, HOST before all that this could be the beginning of
        for is_so in (_is_cut, _is_called):
            if found := [device for device in those if is_so(device, name)]:
                return _best_hosts(found)
    return []


def _in_part(devices: list[Device], text: str) -> list[Device]:
    if not text or text.lstrip("-").isdecimal():
        return []
    for those, name in _readings(devices, text):
        part = name.casefold()
        found = [device for device in those if any(part in each.casefold() for each in device.names)]
        # what PortAudio itself sees, then what the server adds, then what outputs play
        for kind in (
            [device for device in found if not device.named],
            [device for device in found if not device.monitor],
            found,
        ):
            if kind:
                return _best_hosts(kind)
    return []


def _readings(devices: list[Device], text: str) -> list[tuple[list[Device], str]]:
    """The text as a name; and as NAME, HOST."""
    head, comma, tail = text.rpartition(",")
    host = tail.strip().casefold()
    hosted = [device for device in devices if host in device.host.casefold()] if host else []
    return [(devices, text), *([(hosted, head.strip())] if comma and head.strip() and hosted else [])]


def again(devices: list[Device], before: Device, given: str | int) -> Device:
    """The device of before among those there are now.

    Indices change, and so do card numbers in names. Where several are alike, the one of the same host and of the name
    unchanged is taken. The default may be another than before.

    Parameters
    ----------
    devices : list of Device
        Those there are now.
    before : Device
        What was heard.
    given : str or int
        By what the user chose it.

    Returns
    -------
    Device
        The one to open.

    Raises
    ------
    DeviceError
        It is not there.
    """
    if given == "default":
        return choose(devices, "default")
    alike = [device for device in devices if any(_is_called(device, name) for name in before.names)]
    if alike:
        return min(
            alike,
            key=lambda device: (
                device.named != before.named,
                device.host != before.host,
                device.names[-1] != before.names[-1],
                device.name != before.name,
                _rank(device),
                device.index != before.index,
            ),
        )
    if str(given).strip().isdecimal():  # which may be another device's number by now
        raise DeviceError(f"no input is called {before.name!r} any more")
    return choose(devices, given)


def told(devices: list[Device]) -> str:
    """A list for a message; hosts where there are several."""
    several = len({device.host for device in devices}) > 1
    texts = []
    for device in devices[:MOST_TOLD]:
        number = "" if device.named else f"{device.index} "
        texts.append(f"{number}{device.name!r}" + (f" ({device.host})" if several else ""))
    more = len(devices) - MOST_TOLD
    return ", ".join(texts) + (f", and {more} more: see `streamtag devices`" if more > 0 else "")


def _is_called(device: Device, name: str) -> bool:
    """By a name without what changes when a device is plugged in elsewhere: the card's number, and case."""
    return any(_plain(each) == _plain(name) for each in device.names)


def _is_cut(device: Device, name: str) -> bool:
    """Whether one of both names is the other as MME has it."""
    short, long = sorted((device.name.strip().casefold(), name.strip().casefold()), key=len)
    return device.host in WINDOWS and short == long[:CUT].strip()


def _plain(name: str) -> str:
    name = re.sub(r"\((plug)?hw:\d+,", "(hw:*,", name)  # ALSA: (hw:1,0) is (hw:2,0) after it was gone
    name = re.sub(r"\(\d+- ", "(", name)  # Windows: "Microphone (2- USB Audio)" in another socket
    return name.strip().casefold()


def _rank(device: Device) -> int:
    return HOSTS.index(device.host) if device.host in HOSTS else len(HOSTS)


def _best_hosts(found: list[Device]) -> list[Device]:
    """Without those that are there under a better host, too."""

    def is_there(device: Device) -> bool:
        return any(
            _rank(other) < _rank(device)
            and ((other.host in WINDOWS and device.host in WINDOWS) or _plain(other.name) == _plain(device.name))
            for other in found
        )

    return [device for device in found if not is_there(device)]
