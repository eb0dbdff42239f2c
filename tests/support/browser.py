"""A real browser, headless Chromium, driven over its DevTools protocol."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import axe_core_python
from websockets.sync.client import ClientConnection, connect

from tests.support.waiting import lacking

START_SECONDS = 60.0
PATIENCE_SECONDS = 30.0
ALONE = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)


class Page:
    """One tab.

    Parameters
    ----------
    address : str
        Its DevTools WebSocket.
    """

    def __init__(self, address: str) -> None:
        self._opened = ExitStack()
        self._socket: ClientConnection = self._opened.enter_context(
            connect(address, max_size=None, open_timeout=START_SECONDS, compression=None)
        )
        self._numbers = itertools.count(1)
        self.said: list[str] = []
        for domain in ("Page", "Runtime", "Log"):
            self.do(f"{domain}.enable")

    def do(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol, and its result."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(PATIENCE_SECONDS))
            if message.get("id") == number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        """What the page complains of."""
        if message.get("method") == "Log.entryAdded":
            self.said.append(message["params"]["entry"]["text"])
        elif message.get("method") == "Runtime.exceptionThrown":
            self.said.append(json.dumps(message["params"]["exceptionDetails"]))

    def shape(self, width: int, height: int, *, dark: bool = True, phone: bool = False) -> None:
        """The window, and what its user prefers."""
        self.do(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1 + phone, mobile=phone
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.do("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, url: str) -> None:
        """Go there, and wait until all of it is there: before that, a part of the page may be missing."""
        went = self.do("Page.navigate", url=url)
        assert "errorText" not in went, f"{url}: {went['errorText']}"
        self.until("location.href !== 'about:blank' && document.readyState === 'complete'")

    def value(self, expression: str) -> Any:
        """What a JavaScript expression is, promises awaited."""
        found = self.do("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, expression: str) -> Any:
        """Wait until it is true."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not (found := self.value(expression)):
            assert time.monotonic() < end, f"never: {expression}; the page said: {self.said}"
            time.sleep(0.05)
        return found

    def picture(self, path: Path, *, transparent: bool = False) -> None:
        """A screenshot, as PNG."""
        if transparent:
            self.do("Emulation.setDefaultBackgroundColorOverride", color={"r": 0, "g": 0, "b": 0, "a": 0})
        path.write_bytes(base64.b64decode(self.do("Page.captureScreenshot", format="png")["data"]))

    def close(self) -> None:
        """End the connection."""
        self._opened.close()


class Browser:
    """A browser with a profile of its own.

    Parameters
    ----------
    program : str
        Chromium.
    """

    def __init__(self, program: str) -> None:
        self._profile = Path(tempfile.mkdtemp(prefix="streamtag-browser-"))
        self._process = subprocess.Popen(
            [program, *ALONE, f"--user-data-dir={self._profile}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "DBUS_SESSION_BUS_ADDRESS": "disabled:"},
        )
        told = self._profile / "DevToolsActivePort"
        end = time.monotonic() + START_SECONDS
        while not told.is_file() or not told.read_text().strip():
            assert time.monotonic() < end, "the browser does not start"
            assert self._process.poll() is None, "the browser has ended"
            time.sleep(0.05)
        self._port = told.read_text().split()[0]
        self._pages: list[Page] = []

    def page(self) -> Page:
        """A new tab."""
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}/json/new?about:blank", method="PUT")
        with urllib.request.urlopen(request, timeout=START_SECONDS) as reply:
            page = Page(json.load(reply)["webSocketDebuggerUrl"])
        self._pages.append(page)
        return page

    def close(self) -> None:
        """End it, and forget its profile."""
        for page in self._pages:
            page.close()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._profile, ignore_errors=True)


def accessibility_rules() -> str:
    """The source of axe-core: that of AXE_CORE, a package of npm, or the older one that PyPI has."""
    newer = os.environ.get("AXE_CORE")
    found = Path(newer) if newer else Path(axe_core_python.__file__).parent
    return (found / "axe.min.js").read_text(encoding="utf-8")


def start_browser() -> Browser:
    """A browser, or the test is skipped with the name of what is missing."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        lacking("chromium is missing (package chromium)")
    return Browser(program)
