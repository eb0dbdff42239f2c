"""Sound that comes bit by bit: the same ring as a device's, whether it is a pipe or a radio station."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from typing import Protocol

from streamtag._system.threads import start_whole
from streamtag.decoding.reader import Array, RefusedError
from streamtag.decoding.stream import StreamReader
from streamtag.errors import DeviceError, OptionError
from streamtag.ringbuffer import RingBuffer
from streamtag.sources.ahead import Ahead
from streamtag.sources.channels import channel_numbers

DRY_SECONDS = 0.010
"""Whoever has to be waited for so long writes at a pace of its own,"""
PACED_SECONDS = 1.0
"""and is followed without a pause for so long, even where it is ahead of the clock by a chunk of its:"""
AHEAD_SECONDS = 0.5
LATE_SECONDS = 0.05
"""What comes so much later than the clock says begins the pace anew."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 8.0
LOOK_SECONDS = 0.1
"""How often a signal is looked for while a stream is opened."""
STOP_SECONDS = 3.0
"""How long the end of a session waits for a read that does not return."""


class Opener(Protocol):
    """Opens a stream, and perhaps again when it has ended.

    Attributes
    ----------
    name : str
        What it is called where people and programs see it: without a user or a password.
    again : bool
        Whether more may come after its end.
    ended : str
        What is said of it then.
    ahead : bool
        Whether it is to be read ahead, since it comes through a network that is in no hurry; else it is heard as it
        comes.
    """

    name: str
    again: bool
    ended: str
    ahead: bool

    def open(self, stopping: Callable[[], bool]) -> StreamReader:
        """Open it; returns when the first sound has come, or raises RefusedError."""
        ...

    def close(self) -> None:
        """Let go of all; nothing is opened any more."""


class StreamSource:
    """Hears a stream in real time.

    A writer faster than real time is waited for, so that nothing is lost: the pipe or the network holds it back. One
    that is paced is followed as it comes, or read ahead a little and followed by its clock (`Ahead`). What comes in a
    burst, as radio stations send at the beginning, is heard at its pace.

    Parameters
    ----------
    opener : Opener
        Opens it. It is opened at once, which waits for the first sound.
    channels : tuple of int or None
        Which channels to hear, counted from 1; None for all.

    Raises
    ------
    DeviceError
        It cannot be opened.
    OptionError
        It has no such channel.
    """

    def __init__(self, opener: Opener, *, channels: tuple[int, ...] | None = None) -> None:
        self.name = opener.name
        self.recovering: str | None = None
        self.error: BaseException | None = None
        self._opener = opener
        self.channels = channel_numbers(channels)
        self._ears: list[StreamSource | StreamBeside] = [self]  # those who hear it
        self._hearing = 0  # how many of them were started and not stopped
        self._lock = threading.Lock()  # over the last
        self._started = self._stopped = False
        self._stopping = threading.Event()
        self._reader = self._opened()
        self._opened_at = time.monotonic()
        try:
            self.ring = self.new_ring(self._reader, self.channels)
        except BaseException:
            self._reader.close()
            opener.close()
            raise
        self._damaged = 0  # of readers before
        self._title: str | None = None  # of the reader before
        self._left = False  # whether the reader is left behind in a read that does not return
        self._thread = threading.Thread(target=self._run, name="streamtag-stream", daemon=True)

    @property
    def finished(self) -> bool:
        """Whether the end is in the ring."""
        return self._thread.ident is not None and not self._thread.is_alive()

    @property
    def note(self) -> str | None:
        """What could not be decoded, if anything."""
        damaged = self._damaged + self._reader.damaged
        return f"damaged: {damaged} of its packets could not be decoded" if damaged else None

    @property
    def title(self) -> str | None:
        """What plays, in the station's words; None if it has said nothing of it."""
        title = self._reader.title
        return self._title if title is None else title

    def start(self) -> None:
        """Begin; once.

        Raises
        ------
        DeviceError
            If this was begun before.
        """
        if self._started:
            raise DeviceError(f"{self.name} was heard by this source before: make another")
        self._started = True
        self.listen()

    def stop(self) -> None:
        """Hear no more; a read that does not return is left behind after 3 s."""
        if not self._stopped:
            self._stopped = self.ring.muted = True
            self.leave(self._started)

    def beside(self, channels: tuple[int, ...] | None = None) -> StreamBeside:
        """Another source of the same stream, which is opened once for both; before either is started.

        Parameters
        ----------
        channels : tuple of int or None
            Which channels that hears, counted from 1; None for all.

        Returns
        -------
        StreamBeside
            For another session.

        Raises
        ------
        OptionError
            The stream has no such channel.
        """
        other = StreamBeside(self, channel_numbers(channels), self._reader)
        self._ears.append(other)
        return other

    def is_of(self, opener: Opener) -> bool:
        """Whether it hears what this would open, as far as names say."""
        return not self._started and type(opener) is type(self._opener) and opener.name == self._opener.name

    def listen(self) -> None:
        """One more hears it."""
        with self._lock:
            self._hearing += 1
            if self._thread.ident is None:
                start_whole(self._thread)

    def leave(self, heard: bool) -> None:
        """One hears it no more, or never did; the last one ends it."""
        with self._lock:
            self._hearing -= heard
            if self._hearing or (not heard and self._thread.ident is not None):
                return
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(STOP_SECONDS)
        if not self._thread.is_alive():
            self._close_reader()
        self._opener.close()

    def _close_reader(self) -> None:
        if not self._left:
            self._reader.close()

    def _opened(self) -> StreamReader:
        """Open it, on a thread of its own: PyAV keeps what a signal raises to itself, and asks again."""
        opening: Future[StreamReader] = Future()

        def work() -> None:
            try:
                reader = self._opener.open(self._stopping.is_set)
            except BaseException as error:  # raised where it is waited for
                opening.set_exception(error)
                return
            if self._stopping.is_set():  # nobody waits for it any more
                reader.close()
            opening.set_result(reader)

        start_whole(threading.Thread(target=work, name="streamtag-stream", daemon=True))
        try:
            while True:
                try:
                    return opening.result(LOOK_SECONDS)
                except TimeoutError:
                    continue
        except RefusedError as error:
            self._opener.close()
            raise DeviceError(f"{self.name}: {error}") from None
        except BaseException:
            self._stopping.set()
            raise

    def new_ring(self, reader: StreamReader, wanted: tuple[int, ...] | None) -> RingBuffer:
        """A ring for some of a reader's channels.

        Raises
        ------
        OptionError
            It has no such channel.
        """
        if wanted and max(wanted) > reader.channels:
            raise OptionError(f"{self.name} has {reader.channels} channels; channel {max(wanted)} was asked for")
        heard = tuple(channel - 1 for channel in wanted) if wanted else None
        return RingBuffer(reader.samplerate, channels=reader.channels, chosen=heard)

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                ended = self._opener.ended
                try:
                    self._hear()
                except RefusedError as error:
                    ended = str(error)
                    if not self._opener.again and not self._stopping.is_set():
                        raise DeviceError(f"{self.name}: {error}") from None
                if not self._opener.again or not self._recover(ended):
                    return
        except BaseException as error:  # handed to the engine, which raises it in the caller
            self.error = error

    def _hear(self) -> None:
        """Pass on what comes, each block when it is due."""
        with contextlib.closing(self._ahead() if self._opener.ahead else self._as_it_comes()) as blocks:
            for block in blocks:
                if self._stopping.is_set():
                    return
                for ear in self._ears:
                    ear.ring.write(block)

    def _blocks(self) -> Iterator[Array]:
        """What comes, without what has come since the opening: a network is built meanwhile, perhaps compiled.

        As many seconds are left out as have passed, and only of what waits already.
        """
        blocks = self._reader.blocks()
        if self._reader.live:
            old = round((time.monotonic() - self._opened_at) * self._reader.samplerate)
            asked = time.monotonic()
            for block in blocks:
                if old < len(block) or time.monotonic() - asked > LATE_SECONDS:
                    yield block
                    break
                old -= len(block)
                asked = time.monotonic()
        yield from blocks

    def _ahead(self) -> Generator[Array]:
        """Blocks at the station's pace."""
        ahead = Ahead(self._blocks(), self._reader.samplerate, self._stopping.wait)
        try:
            yield from ahead
        finally:
            self._left = not ahead.stop(STOP_SECONDS)

    def _as_it_comes(self) -> Generator[Array]:
        """Blocks at once, but no faster than real time."""
        rate = self._reader.samplerate
        began, passed, waited_at = time.monotonic(), 0, -math.inf
        before = math.inf
        for block in self._blocks():
            now = time.monotonic()
            if now - before > DRY_SECONDS:
                waited_at = now
            passed += len(block)
            due = began + passed / rate
            if due < now - LATE_SECONDS:  # what follows is not hurried after it
                began += now - due
            elif due > now + (AHEAD_SECONDS if now - waited_at < PACED_SECONDS else 0.0) and self._stopping.wait(
                due - now
            ):
                return
            yield block
            before = time.monotonic()

    def _recover(self, ended: str) -> bool:
        """Open it again, as often as it takes. Returns whether it goes on."""
        self.recovering = ended
        self._damaged += self._reader.damaged
        self._title = self.title
        self._close_reader()
        pause = FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            try:
                reader = self._opener.open(self._stopping.is_set)
                try:
                    rings = [self.new_ring(reader, ear.channels) for ear in self._ears]
                except OptionError:
                    reader.close()
                    raise
            except (RefusedError, OptionError) as error:
                self.recovering = f"{ended}; trying again: {error}"
                self._stopping.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
                continue
            self._reader, self._left = reader, False
            self._opened_at = time.monotonic()
            for ear, ring in zip(self._ears, rings, strict=True):
                ring.muted = ear.ring.muted
                ear.ring.successor = ear.ring = ring
            self.recovering = None
            return True
        return False


class StreamBeside:
    """A stream that another session hears, too: a ring of its own, filled by the same reader.

    Parameters
    ----------
    source : StreamSource
        Hears the stream.
    channels : tuple of int or None
        Which channels of it, counted from 1.
    reader : StreamReader
        What reads it now.
    """

    def __init__(self, source: StreamSource, channels: tuple[int, ...] | None, reader: StreamReader) -> None:
        self.channels = channels
        self.ring = source.new_ring(reader, channels)
        self.name = source.name
        self._source = source
        self._started = self._stopped = False

    @property
    def finished(self) -> bool:
        """Whether the end is in the ring."""
        return self._source.finished

    @property
    def error(self) -> BaseException | None:
        """What ended it early, if anything did."""
        return self._source.error

    @property
    def recovering(self) -> str | None:
        """Why nothing comes at present; None if all is well."""
        return self._source.recovering

    @property
    def note(self) -> str | None:
        """What could not be decoded, if anything."""
        return self._source.note

    @property
    def title(self) -> str | None:
        """What plays, in the station's words; None if it has said nothing of it."""
        return self._source.title

    def start(self) -> None:
        """Begin; once."""
        if self._started:
            raise DeviceError(f"{self.name} was heard by this source before: make another")
        self._started = True
        self._source.listen()

    def stop(self) -> None:
        """Hear no more; the last one that does ends the stream."""
        if not self._stopped:
            self._stopped = self.ring.muted = True
            self._source.leave(self._started)
