"""Load: a Python that is busy, and processors that are."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

SLICE_SECONDS = 0.05


@contextmanager
def python_held(seconds: float = SLICE_SECONDS, pause: float = 0.0) -> Iterator[None]:
    """Hold Python's global lock in slices, as a library does that forgets to let go of it while it computes.

    Parameters
    ----------
    seconds : of a slice.
    pause : between two slices; with 0 others still get a turn, as at any call.
    """
    over = threading.Event()
    library = ctypes.PyDLL(None)  # calls into it keep the lock

    def hold() -> None:
        while not over.is_set():
            library.usleep(int(seconds * 1e6))
            time.sleep(pause)

    thread = threading.Thread(target=hold, name="holds-python", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def processors_busy(processes: int) -> Iterator[None]:
    """So many processes that compute for nothing."""
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
        for hog in hogs:
            hog.wait()
