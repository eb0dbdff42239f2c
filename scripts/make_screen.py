"""Make docs/live.svg: the live view of `streamtag live --input demo`, as it stands after 22 s of a real run.

python scripts/make_screen.py docs/live.svg
"""

from __future__ import annotations

import io
import re
import socket
import sys
from pathlib import Path

from rich.console import Console

import streamtag
from streamtag.sinks.terminal import TerminalView

WIDTH = 100
SECONDS = 22.5


def main() -> None:
    """Run, and keep the picture."""
    osc = streamtag.OscSink("127.0.0.1", 9000)
    view = TerminalView(Console(file=io.StringIO(), width=WIDTH, force_terminal=True), [osc])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 9000))
        with streamtag.live("MTT_musicnn", input="demo", sinks=[streamtag.Background(view), osc]) as session:
            session.wait(SECONDS)
            picture = view.picture()
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(picture)
    svg = console.export_svg(title="streamtag live --input demo --osc 127.0.0.1:9000")
    # no fonts from elsewhere: the reader's own monospace does
    Path(sys.argv[1]).write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL), encoding="utf-8")


if __name__ == "__main__":
    main()
