"""Which channels to open in order to hear the ones that are meant, and none of the others.

Whoever opens fewer channels than there are is given a mix by most sound systems: PulseAudio, PipeWire, ALSA's `plug`
and Windows all do so without a word. So all channels are opened, and the ring takes those that were asked for.

A sound server gives a stream's channels by their *positions*. ALSA's plugin names those of its streams in an order of
its own, so as many are opened as it takes for all positions of the source to be among them. Source: libpulse,
`pa_channel_map_init_extend` with PA_CHANNEL_MAP_ALSA; tried on PulseAudio 16.1 and PipeWire 0.3.65.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from streamtag.dsp.params import is_whole
from streamtag.errors import OptionError
from streamtag.sources.names import Device
from streamtag.sources.server import MOST_CHANNELS, ServerSource, can_ask

NAMED_POSITIONS = (
    *("front-left", "front-right", "rear-left", "rear-right"),
    *("front-center", "lfe", "side-left", "side-right"),
)
REAL_CHANNELS = 64
"""More than that only ALSA devices report that make as many as one asks for."""


class Layout(NamedTuple):
    """How to open a device.

    Attributes
    ----------
    opened : int
        Channels to open.
    chosen : tuple of int
        Which of them are heard, counted from 0.
    note : str or None
        What is doubtful about it.
    """

    opened: int
    chosen: tuple[int, ...]
    note: str | None = None


def channel_numbers(given: Any) -> tuple[int, ...] | None:
    """Channels as callers give them.

    Parameters
    ----------
    given : sequence of int or None
        Counted from 1.

    Returns
    -------
    tuple of int or None
        The same.

    Raises
    ------
    OptionError
        What is no sequence of channels.
    """
    if given is None:
        return None
    numbers = tuple(given) if isinstance(given, Iterable) else ()
    if not numbers or not all(is_whole(number) and number >= 1 for number in numbers):
        raise OptionError(f"channels {given!r} cannot be heard: give their numbers, from 1; for example (1, 2)")
    return tuple(int(number) for number in numbers)


def stream_positions(channels: int) -> tuple[str, ...]:
    """The positions that ALSA's plugin gives a stream of so many channels."""
    if channels == 1:
        return ("mono",)
    named = max(count for count in (2, 4, 5, 6, 8) if count <= channels)
    return (*NAMED_POSITIONS[:named], *(f"aux{number}" for number in range(channels - named)))


def layout(device: Device, wanted: tuple[int, ...] | None) -> Layout:
    """How to open a device so that these channels are heard.

    Parameters
    ----------
    device : Device
        The device.
    wanted : tuple of int or None
        Channels, counted from 1; None for the first two, or the only one.

    Returns
    -------
    Layout
        How to open it.

    Raises
    ------
    OptionError
        The device has no such channel, or the sound server does not give it on its own.
    """
    wanted = channel_numbers(wanted)
    if wanted and max(wanted) > device.channels:
        raise OptionError(f"{device.name!r} has {device.channels} channels; channel {max(wanted)} was asked for")
    chosen = tuple(number - 1 for number in wanted or range(1, min(2, device.channels) + 1))
    if device.server is not None:
        return _through_server(device, device.server, chosen, explicit=wanted is not None)
    if device.asks_server:
        return Layout(max(2, max(chosen) + 1), chosen, _not_told() if wanted else None)
    return Layout(device.channels if device.channels <= REAL_CHANNELS else max(2, max(chosen) + 1), chosen)


def _not_told() -> str:
    why = "does not say" if can_ask() else "cannot be asked (pactl is missing: package pulseaudio-utils)"
    return f"the sound server {why} which channels there are: what is heard may be a mix of several"


def _through_server(device: Device, source: ServerSource, chosen: tuple[int, ...], *, explicit: bool) -> Layout:
    way = _way(source)
    places = [way[channel] if way else None for channel in chosen]
    if way is not None and None not in places:
        opened = max(len(source.positions), 1 + max(place for place in way if place is not None))
        if source.server == "PipeWire":
            opened = min(opened, len(NAMED_POSITIONS))
        return Layout(opened, tuple(place for place in places if place is not None))
    if explicit:
        channel = next(channel for channel, place in zip(chosen, places, strict=True) if place is None)
        raise OptionError(_recipe(device, source, channel))
    note = f"{source.server} cannot give the channels of {device.name!r} as they are: what is heard may be a mix"
    return Layout(min(2, device.channels), chosen, note)


def _way(source: ServerSource) -> list[int | None] | None:
    """For each channel of a source, the channel of a stream that hears it alone; None if all may be mixed."""
    positions = source.positions
    if len(set(positions)) < len(positions):
        return None
    if source.server == "PipeWire":
        # it leaves out or moves what is beyond eight; unnamed channels come in their order, if nothing is remixed
        if all(position.startswith("aux") for position in positions):
            return [number if number < len(NAMED_POSITIONS) else None for number in range(len(positions))]
        counts = range(1, len(NAMED_POSITIONS) + 1)
    else:
        counts = range(1, MOST_CHANNELS + 1)
    reached = [stream_positions(count) for count in counts]
    whole = next((stream for stream in reached if set(positions) <= set(stream)), None)
    if whole is not None:
        return [whole.index(position) for position in positions]
    if source.server == "PipeWire":  # what has no place is dropped, not mixed into the others
        return [reached[-1].index(position) if position in reached[-1] else None for position in positions]
    return None


def _recipe(device: Device, source: ServerSource, channel: int) -> str:
    position, name = source.positions[channel], f"channel{channel + 1}"
    return (
        f"{source.server} does not give channel {channel + 1} ({position}) of {device.name!r} on its own. "
        "This makes an input of it: "
        f"pactl load-module module-remap-source source_name={name} master={source.name} "
        f"channels=1 master_channel_map={position} channel_map=mono remix=no; then use --input {name}"
    )
