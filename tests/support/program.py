"""The command line, in this process and in one of its own."""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
import sys
import threading
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field

import pytest

from tests.support.waiting import wait_until

START_SECONDS = 60
"""How long a command may take to get going: TensorFlow, and kernels compiled for the first time."""


@dataclass
class Outcome:
    """How a command ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> list[dict]:
        """Stdout as JSON Lines."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    @property
    def message(self) -> str:
        """What it said on stderr: never a traceback."""
        assert "Traceback" not in self.stderr
        return self.stderr.strip()

    @property
    def told(self) -> list[str]:
        """The lines of that, but for what a machine that is busy with other tests has it say."""
        busy = (" % of the hops are skipped; a longer hop keeps up", "is kept up with again")
        return [line for line in self.message.splitlines() if not any(part in line for part in busy)]


SUMMARY = re.compile(
    r"(?P<seconds>[\d.]+) s heard: (?P<hops>\d+) hops, (?P<skipped>\d+) skipped(?:, (?P<rested>\d+) rested)?"
    r"(?:, (?P<missed>\d+) in gaps)?, (?P<lost>\d+) lost samples, (?P<overflows>\d+) overflows"
    r"(?:, (?P<jumps>\d+) jumps? of the device's clock)?(?:, (?P<gaps>\d+) gaps? of (?P<gap_seconds>[\d.]+) s in all)?"
    r", latency p50 (?P<p50>[\d.]+) ms, p99 (?P<p99>[\d.]+) ms.* \(.*\)"
)


def summary(line: str) -> dict[str, float]:
    """The figures of the line with which a live session ends."""
    found = SUMMARY.fullmatch(line)
    assert found, line
    return {name: float(value or 0) for name, value in found.groupdict().items()}


def run_cli(*arguments: object) -> Outcome:
    """Run the command line in this process, which spares TensorFlow's start."""
    from streamtag.cli import main

    stdout, stderr = io.StringIO(), io.StringIO()
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(stdout), redirect_stderr(stderr):
        patch.setattr(sys, "argv", ["streamtag", *map(str, arguments)])
        try:
            main()
        except SystemExit as end:
            status = end.code
        finally:
            signal.signal(signal.SIGTERM, handler)
    return Outcome(int(status or 0), stdout.getvalue(), stderr.getvalue())


@dataclass
class Running:
    """A command in a process of its own, whose output is collected as it comes."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._readers = [
            threading.Thread(target=into.extend, args=(stream,), daemon=True)
            for stream, into in ((self.process.stdout, self.lines), (self.process.stderr, self.errors))
            if stream is not None
        ]
        for reader in self._readers:
            reader.start()

    def wait_for_lines(self, count: int, seconds: float = START_SECONDS) -> None:
        """Wait until so many lines are on stdout."""
        wait_until(
            lambda: len(self.lines) >= count or self.process.poll() is not None, f"{count} lines of output", seconds
        )
        assert len(self.lines) >= count, f"ended with {self.process.returncode}: {self.errors}"

    def end(self, seconds: float = START_SECONDS) -> Outcome:
        """Wait for its end."""
        status = self.process.wait(seconds)
        for reader in self._readers:
            reader.join(10)
        return Outcome(status, "".join(self.lines), "".join(self.errors))


WITH_SIGNALS = """
import os, signal, sys
names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGXCPU", "SIGUSR1", "SIGUSR2", "SIGALRM")
ends = [getattr(signal, name) for name in names if hasattr(signal, name)]
for number in ends:
    signal.signal(number, signal.SIG_DFL)
if hasattr(signal, "pthread_sigmask"):
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ends)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Runs its arguments with signals as a shell on a terminal would, whatever the runner of the tests does with them."""


@dataclass
class LiveRun:
    """One run of `streamtag live --input demo --format json --embeddings --osc ...`, and what a receiver heard."""

    outcome: Outcome
    packets: list[bytes]
    dumped: list[str]
    seconds: float
