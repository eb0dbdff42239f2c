"""Sound devices through PortAudio. The only importer of sounddevice."""

from __future__ import annotations

import difflib
import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from streamtag.errors import DeviceError, OptionError
from streamtag.kernels import mix_down
from streamtag.ringbuffer import RingBuffer

MONITOR_HELP = {
    "linux": (
        "To hear what the machine itself plays, pick the output's monitor: "
        "`pactl list short sources` names them; then `PULSE_SOURCE=NAME.monitor streamtag live --input pulse` "
        "(PulseAudio and PipeWire)."
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


@dataclass(frozen=True, slots=True)
class Device:
    """One input that PortAudio offers.

    Attributes
    ----------
    index : PortAudio's number of it; may change when devices come and go.
    name, host : its name, and the sound system it belongs to.
    channels : how many it has at the most.
    samplerate : Hz, its own default.
    default : whether it is the one taken when none is named.
    """

    index: int
    name: str
    host: str
    channels: int
    samplerate: int
    default: bool


def input_devices() -> list[Device]:
    """All inputs.

    Raises
    ------
    DeviceError : there is no PortAudio, or it does not start.
    """
    sd = _sounddevice()
    try:
        hosts = [host["name"] for host in sd.query_hostapis()]
        default = sd.default.device[0]
        return [
            Device(
                index,
                device["name"],
                hosts[device["hostapi"]],
                device["max_input_channels"],
                round(device["default_samplerate"]),
                index == default,
            )
            for index, device in enumerate(sd.query_devices())
            if device["max_input_channels"] > 0
        ]
    except sd.PortAudioError as error:
        raise DeviceError(f"the sound system does not answer: {error}") from error


def find_device(given: str | int) -> Device:
    """The input that a user means.

    Parameters
    ----------
    given : ``default``, an index, an exact name, or a part of a name that only one input has (case is ignored).

    Raises
    ------
    DeviceError : none or several; the message lists the near matches, or all.
    """
    devices = input_devices()
    if not devices:
        wanted = "" if given == "default" else f", so none called {str(given)!r}"
        raise DeviceError(
            f"no sound input on this machine{wanted}. Without one, `--input demo` and `--input FILE` work; "
            "on Linux, see that a sound server (PulseAudio or PipeWire) runs"
        )
    if given == "default":
        return next((device for device in devices if device.default), devices[0])
    text = str(given).strip()
    if text.isdecimal():
        found = [device for device in devices if device.index == int(text)]
    else:
        found = [device for device in devices if device.name == text] or [
            device for device in devices if text.lower() in device.name.lower()
        ]
    if len(found) == 1:
        return found[0]
    if found:
        raise DeviceError(f"several inputs match {text!r}: {_listed(found)}. Give the index or more of the name")
    names = {device.name.lower(): device for device in devices}
    near = [names[name] for name in difflib.get_close_matches(text.lower(), names, n=3, cutoff=0.5)]
    hint = f" Did you mean {_listed(near)}?" if near else ""
    raise DeviceError(f"no input is called {text!r}.{hint} There are: {_listed(devices)}")


def _listed(devices: list[Device]) -> str:
    return ", ".join(f"{device.index} {device.name!r}" for device in devices)


class DeviceSource:
    """Records from a device into the ring, at the device's own rate.

    PortAudio's thread calls `_callback`, which mixes the chosen channels down into the ring, counts, and returns.

    Parameters
    ----------
    given : see `find_device`.
    channels : which channels to hear, counted from 1; None for the first two (or the only one).

    Raises
    ------
    DeviceError : no such device, or no PortAudio.
    OptionError : the device has no such channel.
    """

    def __init__(self, given: str | int = "default", *, channels: tuple[int, ...] | None = None) -> None:
        self.device = find_device(given)
        self.name = self.device.name
        self.samplerate = self.device.samplerate
        if channels and max(channels) > self.device.channels:
            raise OptionError(
                f"{self.name!r} has {self.device.channels} channels; channel {max(channels)} was asked for"
            )
        self._channels = np.array(channels or range(1, min(2, self.device.channels) + 1)) - 1
        self._stream: Any = None
        self._stopping = False
        self.error: BaseException | None = None
        self.note: str | None = None

    @property
    def finished(self) -> bool:
        """Whether the stream has ended by itself: the device or the sound server is gone."""
        return self.error is not None

    def start(self, ring: RingBuffer) -> None:
        """Open the device and begin to record.

        Raises
        ------
        DeviceError : the device is in use, is gone, or refuses the rate or the channels.
        """
        sd = _sounddevice()
        self._ring = ring
        self._mono = np.zeros(65536, np.float32)  # made here: nothing is allocated on the audio thread for usual blocks
        try:
            self._stream = sd.InputStream(
                device=self.device.index,
                samplerate=self.samplerate,
                channels=int(self._channels.max()) + 1,
                dtype="float32",
                latency="low",
                callback=self._callback,
                finished_callback=self._ended,
            )
            self._stream.start()
        except (sd.PortAudioError, ValueError) as error:
            self._close()
            raise DeviceError(
                f"{self.name!r} cannot be opened at {self.samplerate} Hz: {error}. "
                "Is it in use by another program, or gone? `streamtag devices` lists what there is"
            ) from error

    def stop(self) -> None:
        """Stop recording and let go of the device."""
        self._stopping = True
        self._close()

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close(ignore_errors=True)
            self._stream = None

    def _callback(self, block: Any, frames: int, times: Any, status: Any) -> None:
        now = time.monotonic()
        if status.input_overflow:
            self._ring.overflows += 1
        # PortAudio gives the capture time of the first sample on its own clock; some hosts leave it 0.
        age = times.currentTime - times.inputBufferAdcTime - frames / self.samplerate
        captured = now - age if 0 <= age < 1 else now
        chosen = block if len(self._channels) == block.shape[1] else block[:, self._channels]
        mono = self._mono[:frames] if frames <= len(self._mono) else np.empty(frames, np.float32)
        self._ring.nonfinite += mix_down(np.ascontiguousarray(chosen), mono)
        self._ring.write(mono, captured)

    def _ended(self) -> None:
        if not self._stopping and self.error is None:
            self.error = DeviceError(
                f"{self.name!r} stopped delivering sound: unplugged, or the sound server ended. "
                "`streamtag devices` lists what there is now"
            )


def _sounddevice() -> Any:
    """Import sounddevice, which starts PortAudio.

    ALSA's and JACK's libraries write their complaints about absent servers to stderr while PortAudio looks around.
    """
    if "sounddevice" in sys.modules:
        return sys.modules["sounddevice"]
    from streamtag.quiet import stderr_held_unless_failing

    try:
        with stderr_held_unless_failing():
            import sounddevice
    except OSError as error:
        install = {
            "linux": "install it with: apt-get install libportaudio2 libasound2-plugins",
            "darwin": "install it with: brew install portaudio",
        }.get(sys.platform, "reinstall the sounddevice package, which brings it")
        raise DeviceError(f"PortAudio is missing or does not start ({error}); {install}") from error
    return sounddevice


def monitor_help() -> str:
    """How to hear what this machine itself plays."""
    return MONITOR_HELP.get(sys.platform, MONITOR_HELP["linux"])
