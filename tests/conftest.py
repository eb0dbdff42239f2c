"""What several test files share: the demo clip, the command line in and out of process, and a sound server."""

from __future__ import annotations

import ctypes.util
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from platformdirs import user_cache_path

from bench.sound_server import PROGRAMS, SoundServer
from streamtag.sources import demo_clip
from streamtag.tagger import Tagger

# Processes that are given another HOME find the kernels that this user has compiled, too.
os.environ.setdefault("NUMBA_CACHE_DIR", str(user_cache_path("streamtag")))

START_SECONDS = 60
"""How long a command may take to get going: TensorFlow, and kernels compiled for the first time."""


@pytest.fixture(scope="session", autouse=True)
def _shipped_models_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Models that the user of this machine has imported play no part."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STREAMTAG_MODELS", str(tmp_path_factory.mktemp("no-models")))
        patch.setenv("STREAMTAG_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def compiled() -> None:
    """All kernels compiled and kept, so that a process that plays against the clock does not compile first."""
    for model in ("MSD_musicnn", "MSD_vgg"):
        Tagger(model).warm_up()


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The walk-through's labelled clips; new.flac lies beside them."""
    folder = tmp_path_factory.mktemp("labelled") / "clips"
    script = Path(__file__).parents[1] / "scripts" / "make_clips.py"
    subprocess.run([sys.executable, str(script), str(folder)], check=True, timeout=120)
    return folder


@pytest.fixture(scope="session")
def music() -> Path:
    """32 s of music: the demo clip."""
    return demo_clip()


def lacking(what: str) -> None:
    """Skip, because a part of the system is missing; in CI nothing may be missing."""
    if os.environ.get("CI"):
        pytest.fail(f"in CI this must run: {what}")
    pytest.skip(what)


def wait_until(condition: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Wait until something is so; fail, saying what was waited for."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            pytest.fail(f"waited {seconds:g} s in vain for {what}")
        time.sleep(0.005)


# --- the command line ---------------------------------------------------------------------------------------------


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


# Ctrl-C is ignored in what a shell runs in the background, SIGHUP in what nohup runs; tests must not inherit that.
WITH_SIGNALS = (
    "import os, signal, sys; ends = (signal.SIGINT, getattr(signal, 'SIGHUP', signal.SIGINT)); "
    "[signal.signal(number, signal.SIG_DFL) for number in ends]; "
    "os.execv(sys.argv[1], sys.argv[1:])"
)


@pytest.fixture
def start() -> Iterator[Callable[..., Running]]:
    """Start `streamtag ARGUMENTS` (or, with `code`, a Python program); what still runs at the end is killed."""
    started: list[Running] = []

    def begin(
        *arguments: object, env: dict[str, str] | None = None, code: str | None = None, stdout: int = subprocess.PIPE
    ) -> Running:
        program = ["-m", "streamtag"] if code is None else ["-c", code]
        process = subprocess.Popen(
            [sys.executable, "-c", WITH_SIGNALS, sys.executable, *program, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(env or {})},
        )
        started.append(Running(process))
        return started[-1]

    yield begin
    for running in started:
        if running.process.poll() is None:
            running.process.kill()
        running.end(10)
        for stream in (running.process.stdout, running.process.stderr):
            if stream is not None:
                stream.close()


# --- OSC ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def oscdump() -> str:
    """Liblo's receiver, an implementation of OSC that is not ours."""
    found = shutil.which("oscdump")
    if found is None:
        lacking("oscdump is missing (package liblo-tools)")
    return str(found)


def free_udp_port() -> int:
    """A port where nobody listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- sound --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def sound_system(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], SoundServer]:
    """Starts sound servers, if all that is needed is there."""
    for program, package in PROGRAMS.items():
        if shutil.which(program) is None:
            lacking(f"{program} is missing (package {package})")
    if ctypes.util.find_library("portaudio") is None:
        lacking("the PortAudio library is missing (package libportaudio2)")

    def begin() -> SoundServer:
        server = SoundServer(tmp_path_factory.mktemp("sound") / "run")
        server.start()
        return server

    server = begin()
    try:
        look = "import sounddevice; print([device['name'] for device in sounddevice.query_devices()])"
        seen = subprocess.run(
            [sys.executable, "-c", look], env=os.environ | server.env, capture_output=True, text=True, timeout=120
        )
    finally:
        server.stop()
    if "'pulse'" not in seen.stdout:
        lacking("ALSA's pulse plugin is missing (package libasound2-plugins)")
    return begin


@pytest.fixture(scope="session")
def sound_server(sound_system: Callable[[], SoundServer]) -> Iterator[SoundServer]:
    """One sound server for all tests that do not harm it."""
    server = sound_system()
    yield server
    server.stop()


@dataclass
class LiveRun:
    """One run of `streamtag live --input demo --format json --embeddings --osc ...`, and what a receiver heard."""

    outcome: Outcome
    packets: list[bytes]
    dumped: list[str]
    seconds: float


@pytest.fixture(scope="session")
def live_run(tmp_path_factory: pytest.TempPathFactory) -> LiveRun:
    """Five seconds of the demo clip through the whole program, heard by a socket and (where there is one) oscdump."""
    found = shutil.which("oscdump")
    packets: list[bytes] = []
    dump_port = free_udp_port()
    dump = None
    heard = tmp_path_factory.mktemp("osc") / "oscdump.txt"
    if found:
        with heard.open("wb") as file:
            by_lines = ["stdbuf", "-oL"] if shutil.which("stdbuf") else []
            dump = subprocess.Popen([*by_lines, found, str(dump_port)], stdout=file)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**22)
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(0.2)
        port = receiver.getsockname()[1]
        osc = ["--osc", f"127.0.0.1:{port}", "--osc", f"127.0.0.1:{dump_port}"]
        began = time.monotonic()
        options = ["--input", "demo", "--duration", "5", "--format", "json", "--embeddings"]
        process = subprocess.Popen(
            [sys.executable, "-m", "streamtag", "live", *options, *osc],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running = Running(process)
        while process.poll() is None and time.monotonic() < began + START_SECONDS:
            try:
                packets.append(receiver.recv(65536))
            except TimeoutError:
                continue
        outcome = running.end(1)
        seconds = time.monotonic() - began
        while True:
            try:
                packets.append(receiver.recv(65536))
            except TimeoutError:
                break
    dumped: list[str] = []
    if dump is not None:
        dump.terminate()
        dump.wait(10)
        dumped = heard.read_text().splitlines()
    process.stdout.close()
    process.stderr.close()
    return LiveRun(outcome, packets, dumped, seconds)
