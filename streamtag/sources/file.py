"""A file as if it were being played: the same ring, the same clock, no audio hardware."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from streamtag._system.threads import start_whole
from streamtag.decoding.decode import open_audio
from streamtag.decoding.reader import AudioReader
from streamtag.errors import AudioFileError, DeviceError, OptionError, StreamtagError
from streamtag.ringbuffer import RingBuffer
from streamtag.sources.channels import channel_numbers

if TYPE_CHECKING:
    from streamtag.sources.speaker import Speaker

log = logging.getLogger("streamtag")
BLOCK_SECONDS = 0.010
"""What a sound card of low latency delivers at a time."""


class FileSource:
    """Plays a file into the ring in real time.

    Parameters
    ----------
    path : str or Path
        Any file that `streamtag.decoding.decode` reads.
    channels : tuple of int or None
        Which channels to hear, counted from 1; None for all.
    loop : bool
        Start again at the end.
    play : bool
        Play it on the default output as well. Where that is not possible, one line is logged.

    Raises
    ------
    AudioFileError
        If the file cannot be read.
    OptionError
        If the file has no such channel.
    """

    def __init__(
        self, path: str | Path, *, channels: tuple[int, ...] | None = None, loop: bool = False, play: bool = False
    ) -> None:
        channels = channel_numbers(channels)
        self._path = Path(os.path.expanduser(path))  # noqa: PTH111 - leaves the name of no user as it is
        self._reader = open_audio(self._path)
        self.name = self._path.name
        self.samplerate = self._reader.samplerate
        self.note: str | None = None
        self.error: BaseException | None = None
        if channels and max(channels) > self._reader.channels:
            self._reader.close()
            raise OptionError(
                f"{self._path} has {self._reader.channels} channels; channel {max(channels)} was asked for"
            )
        heard = None if channels is None else tuple(channel - 1 for channel in channels)
        try:
            self.ring = RingBuffer(self.samplerate, channels=self._reader.channels, chosen=heard)
        except OptionError:
            self._reader.close()
            raise
        self.recovering: str | None = None
        self._speaker = self._open_speaker() if play else None
        self._loop = loop
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="streamtag-file", daemon=True)

    @property
    def finished(self) -> bool:
        """Whether the end of the file is in the ring."""
        return self._thread.ident is not None and not self._thread.is_alive()

    def start(self) -> None:
        """Begin to play; once.

        Raises
        ------
        StreamtagError
            If it was played before.
        """
        if self._thread.ident is not None:
            raise StreamtagError(f"{self.name} was played before: make another source of it")
        start_whole(self._thread)

    def stop(self) -> None:
        """Stop playing and close the file."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._reader.close()
        if self._speaker is not None:
            self._speaker.close()
            self._speaker = None

    def _run(self) -> None:
        try:
            self._play()
        except Exception as error:  # handed to the engine, which raises it in the caller
            self.error = error

    def _play(self) -> None:
        began = time.monotonic()
        played = 0
        for block in self._pieces():
            played += len(block)
            due = began + played / self.samplerate  # when a device would have delivered it
            if self._stopping.wait(max(0.0, due - time.monotonic())):
                return
            self.ring.write(block, due)
            if self._speaker is not None:
                self._speaker.play(block)
        if self._speaker is not None:
            self._speaker.drain()

    def _open_speaker(self) -> Speaker | None:
        from streamtag.sources.speaker import Speaker

        try:
            return Speaker(self.samplerate, self._reader.channels)
        except DeviceError as error:
            log.warning("streamtag: %s is tagged, and not heard: %s", self.name, error)
            return None

    def _pieces(self) -> Iterator[NDArray[np.float32]]:
        """The file in pieces of 10 ms, again and again if it loops."""
        size = max(1, round(BLOCK_SECONDS * self.samplerate))
        while True:
            samples = 0
            for block in self._reader.blocks():
                samples += len(block)
                yield from (block[start : start + size] for start in range(0, len(block), size))
            self.note = self._reader.note
            if not self._loop:
                return
            if not samples:
                raise AudioFileError(self._path, "holds no samples")
            self._reader.close()
            self._reader = self._reopen()

    def _reopen(self) -> AudioReader:
        reader = open_audio(self._path)
        for was, now, unit in (
            (self.samplerate, reader.samplerate, "Hz"),
            (self.ring.channels, reader.channels, "channels"),
        ):
            if now != was:
                reader.close()
                raise AudioFileError(self._path, f"changed from {was} to {now} {unit} while playing")
        return reader
