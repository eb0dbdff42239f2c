"""What a file plays, on the default output as well: for whoever wants to hear what is tagged."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamtag._system.stderr import c_libraries_silent
from streamtag.errors import DeviceError
from streamtag.sources import portaudio

MOST_SECONDS = 1.0
"""What waits beyond this is dropped: a loudspeaker whose clock is slower, or whose sound server hangs."""
CLOSE_SECONDS = 2.0


class Speaker:
    """The default output.

    Parameters
    ----------
    samplerate : int
        Hz.
    channels : int
        Of the blocks that will be played.

    Raises
    ------
    DeviceError
        No output, or it cannot be opened so.
    """

    def __init__(self, samplerate: int, channels: int) -> None:
        self._waiting: deque[NDArray[np.float32]] = deque()
        self._rest = np.empty((0, channels), np.float32)
        self._played = threading.Event()
        self._most = round(MOST_SECONDS * samplerate)
        with c_libraries_silent():
            self._stream = portaudio.call(lambda: self._opened(samplerate, channels))

    def play(self, block: NDArray[np.float32]) -> None:
        """Play a block after those before; never waits."""
        self._played.clear()
        self._waiting.append(block)
        while sum(len(each) for each in tuple(self._waiting)) > self._most:
            with contextlib.suppress(IndexError):  # the other thread has just taken it
                self._waiting.popleft()

    def drain(self) -> None:
        """Wait until all is played; for a second at the most."""
        if self._played.wait(MOST_SECONDS):
            time.sleep(min(float(self._stream.latency), MOST_SECONDS))

    def close(self) -> None:
        """Fall silent at once; a sound system that hangs is left behind."""
        with contextlib.suppress(DeviceError):
            portaudio.call(lambda: self._stream.close(ignore_errors=True), CLOSE_SECONDS)

    def _opened(self, samplerate: int, channels: int) -> Any:
        sd = portaudio.library()
        try:
            stream = sd.OutputStream(samplerate=samplerate, channels=channels, dtype="float32", callback=self._fill)
            stream.start()
        except (sd.PortAudioError, ValueError) as error:
            raise DeviceError(f"no loudspeaker can be opened ({error})") from error
        return stream

    def _fill(self, out: NDArray[np.float32], frames: int, times: Any, status: Any) -> None:
        filled = 0
        while filled < frames:
            if not len(self._rest):
                try:
                    self._rest = self._waiting.popleft()
                except IndexError:
                    out[filled:] = 0
                    self._played.set()
                    return
            part = self._rest[: frames - filled]
            out[filled : filled + len(part)] = part
            self._rest = self._rest[len(part) :]
            filled += len(part)
