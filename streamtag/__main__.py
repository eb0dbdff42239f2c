"""The command line, also as ``python -m streamtag``. Signals end it without a traceback from the first moment on."""

from __future__ import annotations

import sys

from streamtag.commands.signals import Terminated, ignore_signals, install_signal_handlers, resend_lost_signals


def main() -> None:
    """Import the command line, which takes a moment, and run it."""
    try:
        install_signal_handlers()
        resend_lost_signals()
        from streamtag.cli import main as run
    except (KeyboardInterrupt, Terminated) as end:
        ignore_signals()
        sys.exit(getattr(end, "status", 130))
    run()


if __name__ == "__main__":
    main()
