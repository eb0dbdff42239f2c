"""A sound device as a source: found by what a user calls it, recorded, watched, and found again when it was gone."""

from __future__ import annotations

import contextlib
import math
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Literal, TypeVar

from streamtag._system.threads import start_whole
from streamtag.dsp.params import MAX_SAMPLERATE, MIN_SAMPLERATE
from streamtag.errors import DeviceError, OptionError, StreamtagError
from streamtag.realtime import callback as realtime_callback
from streamtag.ringbuffer import RingBuffer
from streamtag.sources import portaudio
from streamtag.sources.channels import layout
from streamtag.sources.listing import find_device, with_server_sources
from streamtag.sources.names import Device, again
from streamtag.sources.portaudio import InputStream
from streamtag.sources.traces import traces

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

Result = TypeVar("Result")
Callback = Literal["auto", "native", "python"]
CALLBACKS: tuple[Callback, ...] = ("auto", "native", "python")

WATCH_SECONDS = 0.05
"""How often the stream is looked at."""
SILENT_SECONDS = 1.0
"""A stream that has delivered and then does not for this long has stalled, whatever the sound system says of it."""
FIRST_SECONDS = 4.0
"""The same before its first block: a PulseAudio monitor may take 2 s to begin."""
AWAY_SECONDS = 5.0
"""If this program was stopped for this long (SIGSTOP, a virtual machine that is paused), sound servers may have dropped
samples without a word: the stream is begun anew, and the time that passed is a gap."""
ZEROS_SECONDS = 2.0
"""Exact zeros from the start for so long are told: a microphone in a quiet room is never that silent."""
PEEK_SECONDS = 0.5
"""Looked at each time: more than passes between two looks."""
USUAL_RATE = 48_000
"""Hz, for devices that do not say."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
"""Seconds between two attempts that restart PortAudio; doubled each time."""
OPEN_AGAIN_SECONDS = 0.5
"""Between two attempts that only open the device: they disturb nobody."""
STOP_SECONDS = 3.0
"""How long the end of a session waits for a sound system that hangs."""


class DeviceSource:
    """Records from a device, at the device's own rate; when it is gone, waits for it and goes on.

    PortAudio's thread writes the ring. A thread of the source's own opens the stream and watches it: if it ends, or
    stops delivering, the device is looked for by its name and opened again, into a new ring. `recovering` says so
    meanwhile. The engine notices the new ring by itself.

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
        if callback not in CALLBACKS:
            raise OptionError(f"the callback {callback!r}: {', '.join(CALLBACKS)} are known")
        self.device = find_device(given)
        self._given = given.name if isinstance(given, Device) else given
        self._wanted = channels
        self.name = self.device.name
        self._notes: dict[str, str] = {}
        self.error: BaseException | None = None
        self.recovering: str | None = None
        self.native = callback != "python" and realtime_callback.can_be_native()
        if callback == "native" and not self.native:
            raise OptionError("a native callback cannot be made where NUMBA_DISABLE_JIT is set: use --callback python")
        if self.native:
            try:
                realtime_callback.native_callback()
            except Exception as error:  # a processor or system for which Numba makes no C callbacks
                if callback == "native":
                    raise OptionError(
                        f"a native callback cannot be made here ({error}): use --callback python"
                    ) from error
                self.native = False
        self.ring = self._new_ring()
        self._sounded: RingBuffer | None = None  # the ring in which anything but zeros was heard
        self._stream: InputStream | None = None
        self._opened = threading.Event()
        self._stopping = threading.Event()
        self._stop_by = math.inf
        self._thread = threading.Thread(target=self._run, name="streamtag-device", daemon=True)

    @property
    def note(self) -> str | None:
        """What is off about what is heard: all of it, most often nothing."""
        return "; ".join(self.notes.values()) or None

    @property
    def notes(self) -> dict[str, str]:
        """The same, by kind."""
        return self._notes.copy()

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
        if self._thread.ident is not None:
            raise DeviceError(f"{self.name!r} was heard by this source before: make another")
        start_whole(self._thread)
        if not self._opened.wait(portaudio.ANSWER_SECONDS):
            raise DeviceError(
                f"{self.name!r} does not open: the sound system has not answered for {portaudio.ANSWER_SECONDS:g} s."
                f"{portaudio.remains_of_jack()}"
            )
        if self.error is not None:
            raise self.error

    def stop(self) -> None:
        """Stop recording and release the device; a sound system that hangs is left behind after 3 s."""
        self._stop_by = time.monotonic() + STOP_SECONDS
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _new_ring(self) -> RingBuffer:
        device = self.device
        opened, chosen, note = layout(device, self._wanted)
        self._note("channels", note)
        return RingBuffer(usable_rate(device.samplerate), channels=opened, chosen=chosen, doubtful_stamps=True)

    def _note(self, about: str, text: str | None) -> None:
        if text is None:
            self._notes.pop(about, None)
        else:
            self._notes[about] = text

    # --- the source's own thread --------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            try:
                self._open(self.ring)
            finally:
                self._opened.set()
            while not self._stopping.is_set():
                trouble = self._watch()
                if trouble and not self._stopping.is_set():
                    self._recover(*trouble)
        except _StoppedError:
            pass
        except BaseException as error:  # handed to the engine, or raised by `start`
            self.error = error
            self._opened.set()
        with contextlib.suppress(_StoppedError):
            self._close()

    def _watch(self) -> tuple[str, bool] | None:
        """Wait until the stream needs help; gives why, and whether it ended (else it stalled); None at the end."""
        ring = self.ring
        blocks, since = ring.blocks, time.monotonic()
        looked = since
        compared = portaudio.begin(_nothing)
        while not self._stopping.wait(WATCH_SECONDS):
            if ring.ended:
                return "stopped: unplugged, or the sound server ended", True
            now = time.monotonic()
            if now - looked > AWAY_SECONDS:
                return f"was not heard: this program was stopped for {now - looked:.0f} s", False
            looked = now
            self._listen_for_zeros(ring)
            if compared.done() and self._stream is not None:
                compared = portaudio.begin(self._stream.compare_clocks)
            if ring.blocks != blocks or ring.waiting > ring.capacity // 2:  # full: it is the engine that is late
                blocks, since = ring.blocks, now
            elif now - since > (SILENT_SECONDS if blocks else FIRST_SECONDS):
                return f"delivers nothing for {now - since:.0f} s", False
        return None

    def _listen_for_zeros(self, ring: RingBuffer) -> None:
        """Tell of exact zeros since the stream began; and no more of them when there is sound."""
        if self._sounded is ring:
            return
        if ring.newest(PEEK_SECONDS).any():
            self._sounded = ring
            self._note("zeros", None)
        elif ring.written > ZEROS_SECONDS * ring.samplerate:
            self._note("zeros", zeros_help(self.device))

    def _recover(self, reason: str, ended: bool) -> None:
        """Close what is left and open the device again, as often as it takes, whatever goes wrong meanwhile."""
        self.recovering = reason
        before = self.device
        self._close_anyhow()
        for restart in self._attempts():
            try:
                self.device = again(self._look(restart), before, self._given)
                if before.server is not None and self.device.asks_server and self.device.server is None:
                    raise DeviceError("the sound server does not say yet what it has")
                ring = self._new_ring()
                self._open(ring)
                if not ended:  # it was open, and nothing came: this time, see before saying that all is well
                    self._await_first(ring)
            except _StoppedError:
                raise
            except Exception as error:
                said = str(error) if isinstance(error, StreamtagError) else f"{type(error).__name__}: {error}"
                self.recovering = f"{reason}; trying again: {said}"
                self.device = before  # what was tried instead is not looked for
                self._close_anyhow()
                continue
            other = self._given != "default" and self.device.name != before.name
            self._note("device", f"{self.device.name!r} is heard in place of {before.name!r}" if other else None)
            self.name = self.device.name
            self.ring.successor = ring
            self.ring = ring
            self.recovering = None
            return

    def _look(self, restart: bool) -> list[Device]:
        """What devices there are now."""

        def look() -> list[Device]:
            if restart:
                kept = "other streams of this program keep PortAudio from looking for new devices"
                self._note("restart", None if portaudio.look_again() else kept)
            return portaudio.listed()

        return with_server_sources(self._call(look))

    def _attempts(self) -> Iterator[bool]:
        """When to try: gives whether PortAudio is to be restarted first.

        Opening alone disturbs nobody, and is enough when a sound server comes back. Devices that are new to the machine
        are seen after a restart only: at growing intervals, and at once when something has changed in the places where
        Linux shows sound cards and servers.
        """
        pause = FIRST_PAUSE
        seen = traces()
        restart_at = time.monotonic() + pause
        yield False
        while True:
            until = min(time.monotonic() + OPEN_AGAIN_SECONDS, restart_at)
            while time.monotonic() < until:
                if self._stopping.wait(WATCH_SECONDS):
                    return
                if (now := traces()) != seen:
                    seen, pause = now, FIRST_PAUSE
                    until = restart_at = time.monotonic() + pause / 2  # for those who have just appeared, to be ready
            restart = time.monotonic() >= restart_at
            if restart:
                pause = min(2 * pause, LONGEST_PAUSE)
            yield restart
            if restart:
                restart_at = time.monotonic() + pause

    def _open(self, ring: RingBuffer) -> None:
        device, native = self.device, self.native
        self._stream = self._call(lambda: InputStream(device, ring, native))

    def _await_first(self, ring: RingBuffer) -> None:
        until = time.monotonic() + FIRST_SECONDS
        while not ring.blocks:
            if self._stopping.wait(WATCH_SECONDS):
                raise _StoppedError
            if ring.ended or time.monotonic() > until:
                raise DeviceError(f"{self.device.name!r} was opened, and delivers nothing")

    def _close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            self._call(stream.close)

    def _close_anyhow(self) -> None:
        """Close what is left, and let go of what cannot even be closed."""
        try:
            self._close()
        except _StoppedError:
            raise
        except Exception as error:
            self.recovering = f"{self.recovering}; closing it failed: {type(error).__name__}: {error}"

    def _call(self, function: Callable[[], Result]) -> Result:
        """Run a function on PortAudio's thread and wait, as long as it takes, while the session lasts."""
        future = portaudio.begin(function)
        while True:
            with contextlib.suppress(TimeoutError):
                return future.result(WATCH_SECONDS)
            if future.done():
                return future.result()
            if self._stopping.is_set() and time.monotonic() > self._stop_by:
                future.add_done_callback(_let_go)
                raise _StoppedError


def _nothing() -> None:
    """What PortAudio's thread has done when it has come to it."""


def _let_go(future: Future[Result]) -> None:
    """Close a stream that opens when its session is over: nobody else would."""
    stream = None if future.exception() else future.result()
    if isinstance(stream, InputStream):
        portaudio.begin(stream.close)


class _StoppedError(Exception):
    """The session ends while the sound system does not answer."""


def monitor_help() -> str:
    """How to hear what this machine itself plays."""
    return MONITOR_HELP.get(sys.platform, MONITOR_HELP["linux"])


def zeros_help(device: Device) -> str:
    """What to do where nothing but exact zeros is heard."""
    said = "nothing but exact zeros is heard: "
    if device.monitor:
        return said + "nothing plays on that output, or another output plays (see `streamtag devices`)"
    if sys.platform == "darwin":
        return said + (
            "allow the microphone to your terminal (System Settings > Privacy & Security > Microphone) and start it "
            "again; or the input is muted"
        )
    if sys.platform == "win32":
        return said + "allow microphones to desktop apps (Settings > Privacy & security > Microphone); or it is muted"
    return said + "the input is muted, nothing is connected, or another one is meant (see `streamtag devices`)"


def usable_rate(rate: int) -> int:
    """A rate at which to open a device whose own is this: of rates that are too high, a half or a quarter."""
    while rate > MAX_SAMPLERATE:
        rate //= 2
    return rate if rate >= MIN_SAMPLERATE else USUAL_RATE
