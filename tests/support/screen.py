"""A terminal with a shell in it: a real pseudo-terminal, whose screen is kept by pyte."""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.support.program import WITH_SIGNALS
from tests.support.waiting import lacking, wait_until

PROMPT = "ready$ "
ROOT = Path(__file__).parents[2]
STREAMTAG = f"{shlex.quote(sys.executable)} -m streamtag"


class Terminal:
    """A terminal of so many lines and columns, with an interactive bash."""

    def __init__(self, lines: int = 24, columns: int = 80, **environment: str) -> None:
        shell = shutil.which("setsid")
        if not (shutil.which("bash") and shell):
            lacking("bash or setsid is missing (packages bash, util-linux)")
        try:
            import pyte
        except ImportError:
            lacking("pyte is missing (pip install pyte)")
        self._ours, theirs = os.openpty()
        self._lock = threading.Lock()
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self._set_size(lines, columns)
        colours = ("FORCE_COLOR", "NO_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
        inherited = {name: value for name, value in os.environ.items() if name not in colours}
        self._shell = subprocess.Popen(
            [sys.executable, "-c", WITH_SIGNALS, shell, "--ctty", "--wait", "bash", "--norc", "--noprofile", "-i"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=ROOT,
            env={**inherited, "TERM": "xterm", "PS1": PROMPT, "PYTHONPATH": str(ROOT), **environment},
        )
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.wait_for(lambda: self.lines[-1:] == [PROMPT.strip()], "the prompt")

    @property
    def lines(self) -> list[str]:
        """What stands there, without the empty lines at the end."""
        with self._lock:
            shown = [line.rstrip() for line in self._screen.display]
        while shown and not shown[-1]:
            shown.pop()
        return shown

    @property
    def cursor_hidden(self) -> bool:
        return bool(self._screen.cursor.hidden)

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._ours, text.encode())

    def count(self, text: str) -> int:
        """How many lines hold a text."""
        return sum(text in line for line in self.lines)

    def resize(self, lines: int, columns: int) -> None:
        with self._lock:
            self._screen.resize(lines, columns)
            self._set_size(lines, columns)

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        """Wait until something is so, and show the screen if it never is."""
        try:
            wait_until(condition, what)
        except BaseException:
            print(*self.lines, sep="\n")
            raise

    def close(self) -> None:
        """End the shell, and with it its jobs."""
        with suppress(OSError):  # there is none any more
            if (foreground := os.tcgetpgrp(self._ours)) != self._shell.pid:
                os.killpg(foreground, signal.SIGKILL)
        self.type("kill -KILL $(jobs -p); exit\r")
        try:
            self._shell.wait(10)
        except subprocess.TimeoutExpired:
            self._shell.kill()
            self._shell.wait()
        self._reader.join(10)
        # else it would read from whatever gets the descriptor's number next
        assert not self._reader.is_alive(), "something still holds the terminal"
        os.close(self._ours)

    def _set_size(self, lines: int, columns: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def _read(self) -> None:
        while True:
            try:
                came = os.read(self._ours, 65536)
            except OSError:
                return
            if not came:
                return
            with self._lock:
                self._stream.feed(came)
