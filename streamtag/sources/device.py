"""A sound device as a source: some of its channels, as the capture of the device gives them."""

from __future__ import annotations

import sys

from streamtag.errors import DeviceError
from streamtag.sources.capture import CALLBACKS, Callback, Capture
from streamtag.sources.channels import channel_numbers
from streamtag.sources.names import Device

__all__ = ["CALLBACKS", "Callback", "DeviceSource", "monitor_help"]

MONITOR_HELP = {
    "linux": (
        "To hear what the machine itself plays, pick the output's monitor by its name: "
        '`streamtag live --input "Monitor of Built-in Audio"` (PulseAudio and PipeWire; the list needs pactl, '
        "package pulseaudio-utils, and ALSA's pulse plugin, package libasound2-plugins)."
    ),
    "darwin": (
        "To hear what the machine itself plays, install BlackHole (existential.audio/blackhole), make a Multi-Output "
        "Device of it and your speakers in Audio MIDI Setup, and use --input BlackHole."
    ),
    "win32": (
        "To hear what the machine itself plays, enable Stereo Mix, or install VB-Cable (vb-audio.com/Cable), "
        "set it as the output, and use --input 'CABLE Output'."
    ),
}


class DeviceSource:
    """Records from a device, at the device's own rate; when it is gone, waits for it and goes on.

    PortAudio's thread writes the ring. Another opens the stream and watches it: if it ends, or stops delivering, the
    device is looked for by its name and opened again, into a new ring. `recovering` says so meanwhile. The engine
    notices the new ring by itself.

    Parameters
    ----------
    given : str, int or Device
        See `streamtag.sources.names.choose`; or one of `streamtag.devices()`.
    channels : tuple of int or None
        Which channels to hear, counted from 1; None for the first two (or the only one).
    callback : {'auto', 'native', 'python'}
        `native`: compiled, no Python on the audio thread. `python`: sounddevice's ordinary one. `auto`: native where it
        can be made.

    Raises
    ------
    DeviceError
        No such device, or no PortAudio.
    OptionError
        If the device has no such channel, or no native callback can be made.
    """

    def __init__(
        self,
        given: str | int | Device = "default",
        *,
        channels: tuple[int, ...] | None = None,
        callback: Callback = "auto",
    ) -> None:
        self._hear(Capture(given, callback), channels)

    def _hear(self, capture: Capture, channels: tuple[int, ...] | None) -> None:
        self.channels = channel_numbers(channels)
        self.own_notes: dict[str, str] = {}
        self._capture = capture
        self._started = self._stopped = False
        self.ring = capture.add(self)

    def beside(self, channels: tuple[int, ...] | None = None) -> DeviceSource:
        """Another source from the same device, which is opened once for both; before either is started.

        Parameters
        ----------
        channels : tuple of int or None
            Which channels that hears, counted from 1; None for the first two.

        Returns
        -------
        DeviceSource
            For another session.

        Raises
        ------
        OptionError
            The device has no such channel, or is heard already.
        """
        other = DeviceSource.__new__(DeviceSource)
        other._hear(self._capture, channels)
        return other

    @property
    def device(self) -> Device:
        """What is heard now."""
        return self._capture.device

    @property
    def callback(self) -> Callback:
        """What was asked for."""
        return self._capture.callback

    @property
    def native(self) -> bool:
        """Whether the callback is compiled."""
        return self._capture.native

    @property
    def name(self) -> str:
        """The device's name."""
        return self._capture.name

    @property
    def recovering(self) -> str | None:
        """Why nothing comes at present; None if all is well."""
        return self._capture.recovering

    @property
    def error(self) -> BaseException | None:
        """What ended it early, if anything did."""
        return self._capture.error

    @property
    def note(self) -> str | None:
        """What is off about what is heard: all of it, most often nothing."""
        return "; ".join(self.notes.values()) or None

    @property
    def notes(self) -> dict[str, str]:
        """The same, by kind."""
        return {**self.own_notes, **self._capture.notes}

    @property
    def samplerate(self) -> int:
        """Hz, of the ring that is written to now."""
        return self.ring.samplerate

    @property
    def finished(self) -> bool:
        """Whether it has given up; only for an error of its own."""
        return self.error is not None

    def start(self) -> None:
        """Open the device and begin to record; once.

        Raises
        ------
        DeviceError
            If the device is in use, is gone, or refuses the rate or the channels; or nobody answers. Or this was begun
            before.
        """
        if self._started:
            raise DeviceError(f"{self.name!r} was heard by this source before: make another")
        self._started = True
        self._capture.start()

    def stop(self) -> None:
        """Stop recording; the last one that hears the device releases it. One that hangs is left behind after 3 s."""
        self.ring.muted = True
        if self._started and not self._stopped:
            self._stopped = True
            self._capture.stop()


def monitor_help() -> str:
    """How to hear what this machine itself plays."""
    return MONITOR_HELP.get(sys.platform, MONITOR_HELP["linux"])
