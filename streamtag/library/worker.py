"""A process that hears tracks for another: ``python -m streamtag.library.worker``.

It takes pickled requests from stdin and gives pickled results to stdout, and ends when stdin does. It is a process, and
no thread, so that a file on which a decoder crashes costs this file, and all processors are kept busy; it is a program
of its own, and no `multiprocessing`, so that it runs whatever started streamtag.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from contextlib import suppress
from typing import IO, Any

from threadpoolctl import threadpool_limits

from streamtag._system.stderr import c_libraries_silent
from streamtag.errors import StreamtagError
from streamtag.library.hearing import Ear


def main() -> None:
    """Serve until stdin ends."""
    for number in (signal.SIGINT, getattr(signal, "SIGTSTP", None)):
        if number is not None:
            signal.signal(number, signal.SIG_IGN)  # of the whole terminal: whoever started this decides
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints
    sys.stdout = sys.stderr
    with c_libraries_silent(), threadpool_limits(1):
        try:
            ear = Ear(pickle.load(requests))
            ear.warm_up()
        except StreamtagError as error:
            _send(replies, str(error))
            return
        _send(replies, None)
        with suppress(EOFError, BrokenPipeError):
            while True:
                path = pickle.load(requests)
                _send(replies, ear.hear(path))


def _send(replies: IO[bytes], value: Any) -> None:
    pickle.dump(value, replies, pickle.HIGHEST_PROTOCOL)
    replies.flush()


if __name__ == "__main__":
    threading.current_thread().name = "streamtag-worker"
    main()
