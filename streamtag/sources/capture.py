"""A device that is opened, watched, and found again when it was gone, for all who hear channels of it.

What the sound system gives is written into the ring of each of them by one callback: several pairs of a desk's channels
need it opened once, as ALSA and Windows' exclusive mode ask for.
"""

from __future__ import annotations

import contextlib
import math
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Literal, Protocol, TypeVar

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
CALLBACK_SECONDS = 0.005
"""No callback takes so long: what a ring that is muted was just given is in it then."""
STOP_SECONDS = 3.0
"""How long the end of a session waits for a sound system that hangs."""


class Listener(Protocol):
    """Who hears channels of a device.

    Attributes
    ----------
    channels : tuple of int or None
        Which, counted from 1; None for the first two.
    ring : RingBuffer
        Where they go.
    notes : dict of {str: str}
        What is off about them, by kind.
    """

    channels: tuple[int, ...] | None
    ring: RingBuffer
    own_notes: dict[str, str]


class Capture:
    """Opens a device, watches it, and opens it again, on a thread of its own.

    Parameters
    ----------
    given : str, int or Device
        See `streamtag.sources.names.choose`; or one of `streamtag.devices()`.
    callback : {'auto', 'native', 'python'}
        See `DeviceSource`.

    Attributes
    ----------
    device : Device
        What is heard.
    listeners : list of Listener
        Who hears it; none is added once it has begun.
    notes : dict of {str: str}
        What is off about the device, by kind.
    recovering : str or None
        Why nothing comes at present; None if all is well.
    error : BaseException or None
        What ended it.

    Raises
    ------
    DeviceError
        No such device, or no PortAudio.
    OptionError
        No native callback can be made.
    """

    def __init__(self, given: str | int | Device, callback: Callback) -> None:
        if callback not in CALLBACKS:
            raise OptionError(f"the callback {callback!r}: {', '.join(CALLBACKS)} are known")
        self.device = find_device(given)
        self.name = self.device.name
        self.callback = callback
        self.listeners: list[Listener] = []
        self.notes: dict[str, str] = {}
        self.error: BaseException | None = None
        self.recovering: str | None = None
        self.native = callback != "python" and realtime_callback.can_be_native()
        self._given = given.name if isinstance(given, Device) else given
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
        self._sounded: set[int] = set()  # ids of the rings in which anything but zeros was heard
        self._stream: InputStream | None = None
        self._opened = threading.Event()
        self._stopping = threading.Event()
        self._stop_by = math.inf
        self._lock = threading.Lock()  # over the beginning and the end
        self._hearing = 0
        self._thread = threading.Thread(target=self._run, name="streamtag-device", daemon=True)

    @property
    def begun(self) -> bool:
        """Whether it was started."""
        return self._thread.ident is not None

    def add(self, listener: Listener) -> RingBuffer:
        """The ring of one who will hear it.

        Raises
        ------
        OptionError
            The device has no such channel, or has begun already.
        """
        if self.begun:
            raise OptionError(f"{self.name!r} is heard already: say before that which of its channels are wanted")
        rings = self._new_rings([*self.listeners, listener])
        for known, ring in zip(self.listeners, rings, strict=False):
            known.ring.expect(ring.channels)  # more are opened for the new one; what is known of it stays
        self.listeners.append(listener)
        return rings[-1]

    def start(self) -> None:
        """Open the device and begin, for the first who starts.

        Raises
        ------
        DeviceError
            If the device is in use, is gone, or refuses the rate or the channels; or nobody answers.
        """
        with self._lock:
            self._hearing += 1
            if not self.begun:
                start_whole(self._thread)
        if not self._opened.wait(portaudio.ANSWER_SECONDS):
            raise DeviceError(
                f"{self.name!r} does not open: the sound system has not answered for {portaudio.ANSWER_SECONDS:g} s."
                f"{portaudio.remains_of_jack()}"
            )
        if self.error is not None:
            raise self.error

    def stop(self) -> None:
        """End it, for the last who hears it; a sound system that hangs is left behind after 3 s."""
        with self._lock:
            self._hearing -= 1
            if self._hearing > 0:
                time.sleep(CALLBACK_SECONDS)
                return
            self._stop_by = time.monotonic() + STOP_SECONDS
            self._stopping.set()
        if self.begun:
            self._thread.join()

    def _new_rings(self, listeners: Sequence[Listener]) -> list[RingBuffer]:
        """A ring for each, in a chain that the callback follows; so many channels are opened as all of them need."""
        layouts = [layout(self.device, listener.channels) for listener in listeners]
        opened = max(each.opened for each in layouts)
        rate = usable_rate(self.device.samplerate)
        rings = []
        for listener, each in zip(listeners, layouts, strict=True):
            _note(listener.own_notes, "channels", each.note)
            rings.append(RingBuffer(rate, channels=opened, chosen=each.chosen, doubtful_stamps=True))
        return rings

    # --- its own thread -----------------------------------------------------------------------------------------------

    @property
    def _rings(self) -> list[RingBuffer]:
        return [listener.ring for listener in self.listeners]

    def _run(self) -> None:
        try:
            try:
                self._open(self._rings)
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
        rings = self._rings
        blocks, since = _blocks(rings), time.monotonic()
        looked = since
        compared = portaudio.begin(_nothing)
        while not self._stopping.wait(WATCH_SECONDS):
            if any(ring.ended for ring in rings):
                return "stopped: unplugged, or the sound server ended", True
            now = time.monotonic()
            if now - looked > AWAY_SECONDS:
                return f"was not heard: this program was stopped for {now - looked:.0f} s", False
            looked = now
            for listener in self.listeners:
                self._listen_for_zeros(listener)
            if compared.done() and self._stream is not None:
                compared = portaudio.begin(self._stream.compare_clocks)
            full = any(ring.waiting > ring.capacity // 2 for ring in rings)  # then it is an engine that is late
            if full or _blocks(rings) != blocks:
                blocks, since = _blocks(rings), now
            elif now - since > (SILENT_SECONDS if blocks else FIRST_SECONDS):
                return f"delivers nothing for {now - since:.0f} s", False
        return None

    def _listen_for_zeros(self, listener: Listener) -> None:
        """Tell of exact zeros since the stream began; and no more of them when there is sound."""
        ring = listener.ring
        if id(ring) in self._sounded:
            return
        if ring.newest(PEEK_SECONDS).any():
            self._sounded.add(id(ring))
            _note(listener.own_notes, "zeros", None)
        elif ring.written > ZEROS_SECONDS * ring.samplerate:
            _note(listener.own_notes, "zeros", zeros_help(self.device))

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
                rings = self._new_rings(self.listeners)
                self._open(rings)
                if not ended:  # it was open, and nothing came: this time, see before saying that all is well
                    self._await_first(rings)
            except _StoppedError:
                raise
            except Exception as error:
                said = str(error) if isinstance(error, StreamtagError) else f"{type(error).__name__}: {error}"
                self.recovering = f"{reason}; trying again: {said}"
                self.device = before  # what was tried instead is not looked for
                self._close_anyhow()
                continue
            other = self._given != "default" and self.device.name != before.name
            instead = f"{self.device.name!r} is heard in place of {before.name!r}" if other else None
            _note(self.notes, "device", instead)
            self.name = self.device.name
            self._sounded.clear()
            for listener, ring in zip(self.listeners, rings, strict=True):
                ring.muted = listener.ring.muted
                listener.ring.successor = ring
                listener.ring = ring
            self.recovering = None
            return

    def _look(self, restart: bool) -> list[Device]:
        """What devices there are now."""

        def look() -> list[Device]:
            if restart:
                kept = "other streams of this program keep PortAudio from looking for new devices"
                _note(self.notes, "restart", None if portaudio.look_again() else kept)
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

    def _open(self, rings: Sequence[RingBuffer]) -> None:
        device, native = self.device, self.native
        self._stream = self._call(lambda: InputStream(device, rings, native))

    def _await_first(self, rings: Sequence[RingBuffer]) -> None:
        until = time.monotonic() + FIRST_SECONDS
        while not _blocks(rings):
            if self._stopping.wait(WATCH_SECONDS):
                raise _StoppedError
            if rings[0].ended or time.monotonic() > until:
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


def _blocks(rings: Sequence[RingBuffer]) -> int:
    """Blocks that have come, to all of them together: one that is muted gets no more."""
    return sum(ring.blocks for ring in rings)


def _note(notes: dict[str, str], about: str, text: str | None) -> None:
    if text is None:
        notes.pop(about, None)
    else:
        notes[about] = text


def _nothing() -> None:
    """What PortAudio's thread has done when it has come to it."""


def _let_go(future: Future[Result]) -> None:
    """Close a stream that opens when its session is over: nobody else would."""
    stream = None if future.exception() else future.result()
    if isinstance(stream, InputStream):
        portaudio.begin(stream.close)


class _StoppedError(Exception):
    """The session ends while the sound system does not answer."""


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
