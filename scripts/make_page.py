"""Make the picture of the page that the README shows: python scripts/make_page.py docs/page.png

A real session plays the demo for the three minutes that the page shows, and a real browser looks at it. Needs chromium.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support.browser import start_browser
from tests.support.ports import free_tcp_port

SECONDS = 185
SIZE = (1100, 1110)


def main() -> None:
    """Play, look, write."""
    port = free_tcp_port()
    command = [sys.executable, "-m", "streamtag", "live", "--input", "demo", "--loop", "--format", "json"]
    session = subprocess.Popen([*command, "--web", str(port)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    browser = start_browser()
    try:
        assert session.stdout is not None
        session.stdout.readline()
        page = browser.page()
        page.shape(*SIZE)
        page.open(f"http://127.0.0.1:{port}/")
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            session.stdout.readline()
        page.picture(Path(sys.argv[1]))
    finally:
        browser.close()
        session.terminate()
        session.wait()


if __name__ == "__main__":
    main()
