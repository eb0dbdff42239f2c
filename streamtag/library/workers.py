"""The processes that hear tracks: started when they are needed, and anew when one dies."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any, Protocol, cast

from streamtag.errors import StreamtagError
from streamtag.library.hearing import Heard
from streamtag.library.settings import Settings

TRIES = 2
"""A worker that somebody killed is no fault of the track's; one that dies on the same track again is."""


class Hearing(Protocol):
    """What hears tracks, whichever machine does it."""

    fetches: bool
    """Whether it reads files itself, wherever it is, and says what their checksums are."""

    def hear(self, path: str) -> Heard:
        """Hear one; called from several threads."""

    def close(self) -> None:
        """End what is under way, and let go of everything."""


class Workers:
    """Processes of this machine.

    Parameters
    ----------
    settings : Settings
        How tracks are heard.
    count : int
        Processes at the most; each is started when it is first needed.

    Attributes
    ----------
    died : int
        Workers that ended without being asked to.
    """

    fetches = False

    def __init__(self, settings: Settings, count: int) -> None:
        self._settings = settings
        self._idle: SimpleQueue[_Worker | None] = SimpleQueue()  # None: no more, for whoever waits
        self._all: set[_Worker] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._count = count
        self._started = 0
        self.died = 0

    def hear(self, path: str) -> Heard:
        """Hear a track, on whichever worker is free. One on which workers die is given as such.

        Parameters
        ----------
        path : str
            The file.

        Returns
        -------
        Heard
            What is kept of it.
        """
        said = ""
        for _ in range(TRIES):
            worker = self._free()
            try:
                heard = cast(Heard, worker.ask(path))
            except (EOFError, OSError, pickle.UnpicklingError):
                said = worker.end()
                with self._lock:
                    self._all.discard(worker)
                    self.died += 1
                    if self._closed:
                        raise StreamtagError("stopped") from None
                    self._started -= 1  # the next one is started when it is needed
                continue
            self._idle.put(worker)
            return heard
        return Heard(error=f"the program that hears it crashes on it ({said})")

    def close(self) -> None:
        """End them at once."""
        with self._lock:
            self._closed = True
            workers = list(self._all)
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.end()
        self._idle.put(None)

    def _free(self) -> _Worker:
        """One that has nothing to do: started, while there are fewer than there may be."""
        with self._lock:
            start = self._idle.empty() and self._started < self._count
            self._started += start
        if start:
            return self._start()
        if (worker := self._idle.get()) is None:
            self._idle.put(None)
            raise StreamtagError("stopped")
        return worker

    def _start(self) -> _Worker:
        worker = _Worker()
        with self._lock:
            self._all.add(worker)
            closed = self._closed
        if closed:
            worker.end()
        with suppress(OSError):  # said below
            worker.send(self._settings)
        try:
            wrong = worker.receive()
        except (EOFError, OSError, pickle.UnpicklingError):
            raise StreamtagError(f"a worker could not be started ({worker.end()})") from None
        if wrong is not None:
            worker.end()
            raise StreamtagError(wrong)
        return worker


class _Worker:
    """One process."""

    def __init__(self) -> None:
        command: Sequence[str] = (sys.executable, "-m", "streamtag.library.worker")
        root = str(Path(__file__).resolve().parents[2])
        paths = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": paths}
        )

    def send(self, value: Any) -> None:
        file = cast("IO[bytes]", self._process.stdin)
        pickle.dump(value, file, pickle.HIGHEST_PROTOCOL)
        file.flush()

    def receive(self) -> Any:
        return pickle.load(cast("IO[bytes]", self._process.stdout))

    def ask(self, value: Any) -> Any:
        self.send(value)
        return self.receive()

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> str:
        """End it, and say how it ended, in words."""
        self._process.poll()
        if self._process.returncode is None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(0.2)  # what has just closed its pipes is on its way out
        said = _ended(self._process.returncode)
        self._process.kill()
        self._process.wait()
        for file in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                cast("IO[bytes]", file).close()
        return said


def _ended(status: int | None) -> str:
    if status is None:
        return "it was ended"
    if status < 0:
        with suppress(ValueError):
            return signal.Signals(-status).name
    return f"exit status {status}"
