"""The command line, also as ``python -m streamtag``. Ctrl-C ends it without a traceback from the first moment on."""

from __future__ import annotations

import sys

from streamtag.commands.signals import resend_lost_signals


def main() -> None:
    """Import the command line, which takes a moment, and run it."""
    resend_lost_signals()
    try:
        from streamtag.cli import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
