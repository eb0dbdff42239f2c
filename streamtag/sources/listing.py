"""All inputs there are: PortAudio's, and what a sound server has behind the one device that PortAudio sees of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from streamtag.sources import portaudio
from streamtag.sources.names import Device, again, choose
from streamtag.sources.server import SERVER_PLUGINS, server_sources


def devices() -> list[Device]:
    """All inputs: PortAudio's, then the sound server's sources and monitors.

    Returns
    -------
    list of Device
        Each can be the `input` of `live`.

    Raises
    ------
    DeviceError
        If there is no PortAudio, or it does not start or answer.
    """
    return with_server_sources(portaudio.call(portaudio.listed))


def find_device(given: str | int | Device) -> Device:
    """The input that a user means.

    Parameters
    ----------
    given : str, int or Device
        See `choose`; or what `devices` gave, whose index may be another by now.

    Returns
    -------
    Device
        The one input that is meant.

    Raises
    ------
    DeviceError
        None or several; the message lists the near matches, or all.
    """
    return again(devices(), given, given.name) if isinstance(given, Device) else choose(devices(), given)


def with_server_sources(listed: list[Device]) -> list[Device]:
    """PortAudio's inputs, with what the sound server says of itself, if it can be heard through one of them.

    Parameters
    ----------
    listed : list of Device
        PortAudio's.

    Returns
    -------
    list of Device
        These, with the channels and the rate that the server gives; then the server's sources by name. Where people
        call several of them the same (two microphones of one make), each has the name that programs use in brackets.
    """
    plugins = {device.name: device for device in listed if device.host == "ALSA" and device.name in SERVER_PLUGINS}
    way = next((plugins[name] for name in SERVER_PLUGINS if name in plugins), None)
    if way is None or any(device.host == "PulseAudio" for device in listed):  # newer PortAudios list them themselves
        return listed
    sources = server_sources()
    heard = next((source for source in sources if source.default), None)

    def asked(device: Device) -> Device:
        if device.host != "ALSA" or device.name not in (*plugins, "default"):
            return device
        if device.channels not in {plugin.channels for plugin in plugins.values()}:  # some other default
            return device
        if heard is None:
            return replace(device, asks_server=True)
        channels, rate = len(heard.positions), heard.samplerate
        return replace(device, asks_server=True, server=heard, channels=channels, samplerate=rate)

    called = Counter(source.description for source in sources)
    named = [
        Device(
            index=-1,
            name=source.description if called[source.description] == 1 else f"{source.description} [{source.name}]",
            host=source.server,
            channels=len(source.positions),
            samplerate=source.samplerate,
            default=False,
            server=source,
            asks_server=True,
            opened_as=way.index,
        )
        for source in sources
    ]
    return [*(asked(device) for device in listed), *named]
