"""A MIDI port that never holds anybody up: messages go to a process of its own (see `midi_process`)."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

from streamtag._system.threads import start_whole
from streamtag.errors import DeviceError, MissingExtraError

MODULE = "streamtag.bridges.midi_process"
MOST_UNTAKEN = 512
"""Messages that may be on their way to the process: so many fit into a pipe on any system, without waiting."""
ANSWER_SECONDS = 3.0
"""After so long without a word of what it was given, the process is taken to hang."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 8.0
CLOSE_SECONDS = 1.5
LIST_SECONDS = 15.0


def check_extra(what: str) -> None:
    """Refuse MIDI where python-rtmidi is not installed.

    Parameters
    ----------
    what : str
        What was asked for.

    Raises
    ------
    MissingExtraError
        It is not.
    """
    if importlib.util.find_spec("rtmidi") is None:
        raise MissingExtraError(what, "midi")


@dataclass(frozen=True, slots=True)
class PortName:
    """A MIDI output: its name, and the system that has it (ALSA, Jack, CoreMIDI, Windows MultiMedia)."""

    name: str
    host: str


def midi_ports() -> list[PortName]:
    """The MIDI outputs of this machine.

    Raises
    ------
    MissingExtraError
        python-rtmidi is not installed.
    DeviceError
        The MIDI system does not answer.
    """
    check_extra("MIDI")
    try:
        ran = subprocess.run(_command("--list"), capture_output=True, timeout=LIST_SECONDS, env=_environment())
    except subprocess.TimeoutExpired as error:
        raise DeviceError(f"the MIDI system has not answered for {LIST_SECONDS:.0f} s: is it overloaded?") from error
    lines = ran.stdout.decode("utf-8", "replace").splitlines()
    return [PortName(name, host) for host, _, name in (line.partition("\t") for line in lines) if name]


class MidiPort:
    """Sends messages to a port, which may come and go. No call waits for anyone, but `close` for 1.5 s at the most.

    Parameters
    ----------
    wanted : str
        ``virtual`` for a port of our own that others find; a port's name or a part of it; ``NAME, HOST``.

    Attributes
    ----------
    arrivals : int
        How often the port was opened.

    Raises
    ------
    MissingExtraError
        python-rtmidi is not installed.
    """

    def __init__(self, wanted: str) -> None:
        check_extra(f"the MIDI port {wanted!r}")
        self._wanted = wanted
        self._lock = threading.Lock()  # of what both the caller and the readers write
        self.arrivals = 0
        self._dropped = 0  # here
        self._lost_before = 0  # by processes that have ended
        self._trouble: str | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._given = self._handled = self._lost = 0  # by the present process
        self._answered = 0.0
        self._pause = FIRST_PAUSE_SECONDS
        self._due = 0.0

    @property
    def drops(self) -> int:
        """Messages for which there was no port."""
        with self._lock:
            return self._dropped + self._lost_before + self._lost

    @property
    def trouble(self) -> str | None:
        """What is wrong at present, in words; None if nothing is known to be."""
        return self._trouble

    def open(self) -> None:
        """Start the process, which finds the port."""
        self._trouble, self._pause = None, FIRST_PAUSE_SECONDS
        self._start()

    def tend(self) -> None:
        """Look after the process, each second: one that hangs is killed, one that has ended is started again."""
        now = time.monotonic()
        if self._process is None:
            if now >= self._due:
                self._start()
            return
        if self.untaken and now - self._answered > ANSWER_SECONDS:
            self._trouble = "the MIDI system does not answer: it is started again"
            self._process.kill()
        if self._process.poll() is not None:
            self._trouble = self._trouble or "the MIDI system has ended: it is looked for"
            self._end()
            self._due = now + self._pause
            self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)

    def give(self, message: bytes) -> None:
        """Send a message of one to three bytes."""
        process = self._process
        if process is None or process.stdin is None or self.untaken >= MOST_UNTAKEN:
            with self._lock:
                self._dropped += 1
            return
        if not self.untaken:
            self._answered = time.monotonic()  # from now on an answer is waited for
        try:
            process.stdin.write(bytes([len(message), *message, *bytes(3 - len(message))]))
            process.stdin.flush()
            self._given += 1
        except OSError:  # it has ended, and `tend` sees to it
            with self._lock:
                self._dropped += 1

    def close(self) -> None:
        """Let what is on its way be sent, end notes that are on, and release the port."""
        process = self._process
        if process is not None:
            with suppress(OSError):
                if process.stdin is not None:
                    process.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                process.wait(CLOSE_SECONDS)
            process.kill()
            self._end()
        self._trouble = None

    @property
    def untaken(self) -> int:
        """Messages that the process has not dealt with yet."""
        return self._given - self._handled

    def _start(self) -> None:
        try:
            process = subprocess.Popen(
                _command(self._wanted),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # JACK and ALSA talk there
                env=_environment(),
                start_new_session=True,  # Ctrl-C is for the session, which then ends this in order
            )
        except OSError as error:
            self._trouble = f"the process for MIDI cannot be started: {error.strerror or error}"
            self._due = time.monotonic() + self._pause
            return
        with self._lock:
            self._process, self._given, self._handled, self._lost = process, 0, 0, 0
        self._answered = time.monotonic()
        start_whole(threading.Thread(target=self._hear, args=(process,), name="streamtag-midi-port", daemon=True))

    def _end(self) -> None:
        """Be done with a process that has ended: what it did not take is lost."""
        process = self._process
        assert process is not None
        process.wait()
        with suppress(OSError):
            if process.stdin is not None:
                process.stdin.close()
        with self._lock:
            self._lost_before += self._lost + max(0, self.untaken)
            self._process, self._given, self._handled, self._lost = None, 0, 0, 0

    def _hear(self, process: subprocess.Popen[bytes]) -> None:
        """Take what a process says, until it ends."""
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                kind, _, words = line.decode("utf-8", "replace").strip().partition(" ")
                with self._lock:
                    if process is not self._process:
                        continue
                    self._answered = time.monotonic()
                    if kind == "open":
                        self.arrivals += 1
                        self._trouble, self._pause = None, FIRST_PAUSE_SECONDS
                    elif kind == "trouble":
                        self._trouble = words
                    elif kind == "done":
                        self._handled, self._lost = map(int, words.split())


def _command(argument: str) -> list[str]:
    return [sys.executable or "python3", "-P", "-m", MODULE, argument]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}  # noqa: PTH109
