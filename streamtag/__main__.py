"""The command line, also as ``python -m streamtag``. Signals end it without a traceback from the first moment on."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress


def _occupy_standard_descriptors() -> None:
    """Let 0, 1 and 2 be something: else a file or socket that is opened gets them, and what C libraries say, too."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):  # no /dev
                os.open(os.devnull, os.O_RDWR)  # takes the first that is free


def main() -> None:
    """Import the command line, which takes a moment, and run it."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # until there are better handlers: nothing has begun, so just end
    from streamtag.commands.signals import Terminated, ignore_signals, install_signal_handlers, resend_lost_signals

    try:
        _occupy_standard_descriptors()
        install_signal_handlers()
        resend_lost_signals()
        from streamtag.cli import main as run

        run()
    except (KeyboardInterrupt, Terminated) as end:  # while it is imported, or leaves
        ignore_signals()
        sys.exit(getattr(end, "status", 130))


if __name__ == "__main__":
    main()
