"""PortAudio, on one thread. The only importer of sounddevice.

PortAudio's calls may not run side by side, and any of them can hang for as long as a sound server does not answer. So
all of them run on one thread of this process, and whoever wants one waits where Ctrl-C and a time limit still reach it.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import math
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from streamtag._system.terminal import on_one_line
from streamtag.errors import DeviceError
from streamtag.realtime import callback as realtime_callback
from streamtag.ringbuffer import RingBuffer
from streamtag.sources.names import Device
from streamtag.sources.server import heard_through

Result = TypeVar("Result")

ANSWER_SECONDS = 10.0
"""How long a sound system may take to answer before it is reported not to."""
EXIT_SECONDS = 2.0
"""How long the end of the process waits for it."""


class _Caller:
    """Runs functions one after the other on a daemon thread."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self.process = os.getpid()

    def submit(self, function: Callable[[], Result]) -> Future[Result]:
        if self.process != os.getpid():
            raise DeviceError(
                "PortAudio was started before this process was forked, and does not survive that: "
                "begin to listen in the process that uses it"
            )
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="portaudio-calls", daemon=True)
                self._thread.start()
        future: Future[Result] = Future()
        self._jobs.put((function, future))
        return future

    def _run(self) -> None:
        while True:
            function, future = self._jobs.get()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(function())
            except BaseException as error:  # raised where it is waited for
                future.set_exception(error)
            del function, future


_caller = _Caller()


def call(function: Callable[[], Result], seconds: float = ANSWER_SECONDS) -> Result:
    """Run a function that calls PortAudio, on PortAudio's thread.

    Raises
    ------
    DeviceError
        No answer in time; a function that has not begun by then never runs.
    """
    future = _caller.submit(function)
    try:
        return future.result(seconds)
    except TimeoutError:
        if future.done():  # it raised a TimeoutError of its own, or was just in time
            return future.result()
        future.cancel()
        raise DeviceError(
            f"the sound system has not answered for {seconds:g} s: is the sound server stopped or overloaded?"
            f"{remains_of_jack()}"
        ) from None


def remains_of_jack(memory: Path = Path("/dev/shm")) -> str:
    """What to do about files that a JACK server left behind: they can keep every later client of JACK waiting for ever.

    Its clients share a Berkeley DB of properties there. Whoever is killed while it is made leaves half of one, in whose
    opening all others wait for the rest; and PortAudio and ALSA ask JACK at each start.
    """
    if not hasattr(os, "getuid") or not (left := memory / f"jack_db-{os.getuid()}").exists():
        return ""
    return f" If no JACK server is running, what an earlier one left behind may be why: remove {left}"


def begin(function: Callable[[], Result]) -> Future[Result]:
    """As `call`, without waiting."""
    return _caller.submit(function)


# --- the library ------------------------------------------------------------------------------------------------------


def library() -> Any:
    """Import sounddevice, which starts PortAudio (on PortAudio's thread only).

    ALSA's and JACK's libraries write their complaints about absent servers to stderr while PortAudio looks around.
    """
    if "sounddevice" in sys.modules:
        return sys.modules["sounddevice"]
    from streamtag._system.stderr import stderr_held_unless_failing

    try:
        with stderr_held_unless_failing():
            import sounddevice
    except OSError as error:
        install = {
            "linux": "install it with: apt-get install libportaudio2 libasound2-plugins",
            "darwin": "install it with: brew install portaudio",
        }.get(sys.platform, "reinstall the sounddevice package, which brings it")
        raise DeviceError(f"PortAudio is missing or does not start ({error}); {install}") from error
    except Exception as error:  # its own, whose class went with the module
        broken = "; ALSA's configuration may be broken: see ~/.asoundrc and /etc/asound.conf"
        raise DeviceError(f"PortAudio does not start ({error}){broken * (sys.platform == 'linux')}") from error
    # its own exit handler runs on another thread than the calls, and hangs if the sound server does
    atexit.unregister(sounddevice._exit_handler)
    atexit.register(_leave, sounddevice)
    return sounddevice


def _leave(sounddevice: Any) -> None:
    """Let PortAudio go at the end of the process; a sound system that hangs does not hold it up."""
    if _caller.process != os.getpid():  # a fork: PortAudio is its parent's
        return
    with contextlib.suppress(Exception):
        call(sounddevice._exit_handler, EXIT_SECONDS)


def look_again() -> bool:
    """Restart PortAudio, whose list of devices is made only once (on PortAudio's thread only).

    This closes every stream of the process. Those of streamtag are closed in order, and their owners find them ended.
    If the program has other streams of sounddevice open, nothing is done: they would be left with dangling pointers.

    Returns
    -------
    bool
        Whether it was done.
    """
    sd = library()
    ours = list(_open)
    handles = {id(stream.handle) for stream in ours}
    if any(id(stream) not in handles and _is_open(sd, stream) for stream in _instances(sd._StreamBase)):
        return False
    from streamtag._system.stderr import stderr_held_unless_failing

    for stream in ours:
        stream.close()
    with stderr_held_unless_failing():
        if sd._initialized:  # it is not where it could not be started the last time
            sd._terminate()
        sd._initialize()
    return True


def _instances(kind: type) -> list[Any]:
    """All objects of a class and its subclasses.

    They are asked for as what refers to their class. To look through all objects there are (`gc.get_objects`) would
    take hold of tuples that other threads are just building, and make that fail.
    """
    kinds: list[type] = [kind]
    for each in kinds:
        below: list[type] = each.__subclasses__()
        kinds += [one for one in below if one not in kinds]
    # by type(): isinstance() asks the object itself, and a weak proxy whose object is gone then raises
    return [each for each in gc.get_referrers(*kinds) if issubclass(type(each), kind)]


def _is_open(sd: Any, stream: Any) -> bool:
    return hasattr(stream, "_blocksize") and stream._ptr != sd._ffi.NULL  # the first is set once it was opened


# --- devices and streams ----------------------------------------------------------------------------------------------


def listed() -> list[Device]:
    """All inputs that PortAudio knows of (on PortAudio's thread only).

    They are read one by one: sounddevice's own list fails for all where one name is not UTF-8.

    Raises
    ------
    DeviceError
        If there is no PortAudio, or it does not start.
    """
    sd = library()
    found = []
    try:
        hosts = [host["name"] for host in sd.query_hostapis()]
        default = sd.default.device[0]
        count = sd._lib.Pa_GetDeviceCount()
        if count < 0:
            raise DeviceError(f"the sound system does not answer: {sd._lib.Pa_GetErrorText(count)!r}")
        for index in range(count):
            info = sd._lib.Pa_GetDeviceInfo(index)
            if info and info.maxInputChannels > 0:
                name, host = shown(sd._ffi.string(info.name)), hosts[info.hostApi]
                rate = info.defaultSampleRate
                samplerate = round(rate) if math.isfinite(rate) and rate > 0 else 0
                found.append(Device(index, name, host, info.maxInputChannels, samplerate, index == default))
    except sd.PortAudioError as error:
        raise DeviceError(f"the sound system does not answer: {error}") from error
    return found


def shown(name: bytes) -> str:
    """A name as text of one line: what is no text in it becomes a mark or a blank."""
    try:
        text = name.decode()
    except UnicodeDecodeError:  # drivers of Windows have names in the encoding of the country
        text = name.decode("mbcs" if sys.platform == "win32" else "utf-8", errors="replace")
    return on_one_line(text).strip()


@contextlib.contextmanager
def _names_unread(sd: Any) -> Iterator[None]:
    """For the time of opening: the name is read by sounddevice, not needed, and an error where it is not UTF-8."""
    query = sd.query_devices

    def forgiving(device: Any = None, kind: Any = None) -> Any:
        try:
            return query(device, kind)
        except UnicodeDecodeError:
            return {"default_low_input_latency": sd._lib.Pa_GetDeviceInfo(device).defaultLowInputLatency}

    sd.query_devices = forgiving
    try:
        yield
    finally:
        sd.query_devices = query


_open: set[InputStream] = set()
"""Streams that are open; touched on PortAudio's thread only."""


class InputStream:
    """A running stream from a device into rings (made and closed on PortAudio's thread only).

    PortAudio's thread is their only writer until `close` has returned.

    Parameters
    ----------
    device : Device
        The device.
    rings : sequence of RingBuffer
        Written to; their rate and number of channels, which they have in common, are asked for.
    native : bool
        Compiled callback, or sounddevice's ordinary Python one.

    Raises
    ------
    DeviceError
        If the device is in use, is gone, or refuses the rate or the channels.
    """

    def __init__(self, device: Device, rings: Sequence[RingBuffer], native: bool) -> None:
        sd = library()
        self._rings = rings = list(rings)  # kept as long as PortAudio may write to their memory
        for ring, following in zip(rings, [*rings[1:], None], strict=True):
            ring.chain(following)
        self.handle: Any = None
        try:
            with heard_through(device.server, named=device.named), _names_unread(sd):
                try:
                    self.handle = self._made(sd, device, native)
                except sd.PortAudioError as error:  # some devices do not give all of their channels at once
                    least = max(ring.needed for ring in rings)
                    if "channels" not in str(error) or device.server is not None or least == rings[0].channels:
                        raise
                    for ring in rings:
                        ring.expect(least)
                    self.handle = self._made(sd, device, native)
            _open.add(self)
            self.handle.start()
            self.compare_clocks()  # only now: JACK's clock begins with the stream
        except (sd.PortAudioError, ValueError) as error:
            self.close()
            raise DeviceError(
                f"{device.name!r} cannot be opened at {rings[0].samplerate} Hz: {error}. "
                "Is it in use by another program, or gone? `streamtag devices` lists what there is"
            ) from error

    def _made(self, sd: Any, device: Device, native: bool) -> Any:
        ring = self._rings[0]
        wanted = {
            "device": device.portaudio_index,
            "samplerate": ring.samplerate,
            "channels": ring.channels,
            "dtype": "float32",
            "latency": "low",
        }
        if native:
            cast, memory = sd._ffi.cast, ring.memory.ctypes.data
            # what sounddevice offers to authors of libraries (rtmixer is built on it): a callback in C
            return sd._StreamBase(
                kind="input",
                callback=cast("PaStreamCallback*", realtime_callback.native_callback()),
                finished_callback=cast("PaStreamFinishedCallback*", realtime_callback.native_finished()),
                userdata=cast("void*", memory),
                **wanted,
            )
        return sd.InputStream(callback=self._callback, finished_callback=self._finished, **wanted)

    def _callback(self, block: Any, frames: int, times: Any, status: Any) -> None:
        for ring in self._rings:
            if not ring.muted:
                ring.write_stamped(block, times.inputBufferAdcTime, times.currentTime, overflowed=status.input_overflow)

    def _finished(self) -> None:
        for ring in self._rings:
            ring.end()

    def compare_clocks(self) -> None:
        """Read PortAudio's clock and ours together (on PortAudio's thread only).

        JACK's counts what JACK has processed: it falls behind ours whenever JACK was late or stopped.
        """
        if self in _open:
            # of three readings the quickest: a thread may be interrupted in the middle of one
            _, offset = min(self._read_clocks() for _ in range(3))
            for ring in self._rings:
                ring.clock_offset = offset

    def _read_clocks(self) -> tuple[float, float]:
        """How long it took to read both clocks, and how far PortAudio's is behind ours (0: it has none), in seconds."""
        before = time.monotonic()
        there = self.handle.time
        after = time.monotonic()
        return after - before, (before + after) / 2 - there if there else 0.0

    def close(self) -> None:
        """End the stream; the ring is not written to any more. May be called again."""
        if self in _open:
            _open.remove(self)
            self.handle.close(ignore_errors=True)
        self._finished()
