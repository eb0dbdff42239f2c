"""PipeWire and JACK of our own, without hardware, where they are installed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest

from tests.support.waiting import lacking, wait_until

PIPEWIRE = ("pipewire", "wireplumber", "pipewire-pulse", "dbus-run-session", "pactl", "paplay")
PLAYER = """
import sys, time
import numpy, sounddevice, soundfile

samples, rate = soundfile.read(sys.argv[1], dtype="float32", always_2d=True)
hosts = [host["name"] for host in sounddevice.query_hostapis()]
device = next(
    index for index, device in enumerate(sounddevice.query_devices())
    if hosts[device["hostapi"]].startswith("JACK") and device["max_output_channels"]
)
place = 0

def play(out, frames, *_):
    global place
    out[:] = samples.take(range(place, place + frames), axis=0, mode="wrap")
    place = (place + frames) % len(samples)

with sounddevice.OutputStream(rate, device=device, channels=samples.shape[1], dtype="float32", callback=play):
    print("plays", flush=True)
    time.sleep(600)
"""


def _ended(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGCONT, signal.SIGTERM):
        if process.poll() is None:
            os.killpg(process.pid, number)
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def pipewire() -> Iterator[dict[str, str]]:
    """A PipeWire with its PulseAudio face; gives what a process needs in its environment to reach it."""
    for program in PIPEWIRE:
        if shutil.which(program) is None:
            lacking(f"{program} is missing (packages pipewire, pipewire-pulse, wireplumber)")
    with TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir()
        home.chmod(0o700)
        ours = {"XDG_RUNTIME_DIR": str(home), "HOME": str(home)}
        env = {name: value for name, value in os.environ.items() if not name.startswith("PULSE_")} | ours
        script = "pipewire & sleep 0.5; wireplumber & pipewire-pulse & wait"
        with (home / "log").open("wb") as log:
            process = subprocess.Popen(
                ["dbus-run-session", "--", "sh", "-c", script],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            wait_until(
                lambda: subprocess.run(["pactl", "info"], env=env, capture_output=True).returncode == 0, "PipeWire", 30
            )
            yield ours
        finally:
            _ended(process)


def forget_earlier_jacks() -> None:
    """Remove what clients of JACK share if it is half made, which keeps every client waiting, and no server runs.

    Whoever is killed while it is made leaves it so, and who may not write files.
    """
    shared = Path(f"/dev/shm/jack_db-{os.getuid()}")
    half = [file for file in shared.glob("__db.*") if not file.stat().st_size]
    if half and subprocess.run(["pgrep", "-x", "-u", str(os.getuid()), "jackd"], capture_output=True).returncode:
        shutil.rmtree(shared, ignore_errors=True)


class Jack:
    """A JACK server with a dummy driver.

    Attributes
    ----------
    env : what a process needs in its environment to reach it.
    process : the server.
    """

    def __init__(self, home: Path, channels: int) -> None:
        forget_earlier_jacks()
        for _ in range(3):  # one that starts while another does may not find its place in their common memory
            self._start(home, channels)
            if self._is_up():
                return
            _ended(self.process)
        pytest.fail("jackd does not start")

    def start_again(self) -> None:
        """Start it once more, under its name: JACK keeps the place of one that was killed until it has come again."""
        home, name = Path(self.env["HOME"]), self.env["JACK_DEFAULT_SERVER"]
        self._start(home, self._channels, name)
        if not self._is_up():
            pytest.fail("jackd does not start again")

    def _start(self, home: Path, channels: int, name: str = "") -> None:
        name = name or f"streamtag-{uuid4().hex[:8]}"
        self._channels = channels
        self.env = {"JACK_DEFAULT_SERVER": name, "JACK_NO_AUDIO_RESERVATION": "1", "HOME": str(home)}
        driver = ["-d", "dummy", "-r", "48000", "-p", "1024", "-C", "2", "-P", str(channels)]
        self.process = subprocess.Popen(
            ["jackd", "-n", name, "--no-realtime", *driver],
            env=os.environ | self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _is_up(self) -> bool:
        ports = ["jack_lsp", "-s", self.env["JACK_DEFAULT_SERVER"]]
        until = time.monotonic() + 20  # not `wait_until`: a failure here is no end, for it is started again
        while self.process.poll() is None and time.monotonic() < until:
            listed = subprocess.run(ports, env=os.environ | self.env, capture_output=True)
            if b"system:capture_1" in listed.stdout:
                return True
            time.sleep(0.1)
        return False

    @contextmanager
    def playing(self, path: Path) -> Iterator[None]:
        """A client, `PortAudio`, that plays a file again and again: its outputs are an input for others."""
        player = subprocess.Popen(
            [sys.executable, "-c", PLAYER, str(path)],
            env=os.environ | self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert player.stdout is not None
        try:
            assert player.stdout.readline() == b"plays\n"
            yield
        finally:
            _ended(player)
            player.stdout.close()


@contextmanager
def jack(channels: int = 4) -> Iterator[Jack]:
    """A JACK with so many outputs."""
    for program in ("jackd", "jack_lsp"):
        if shutil.which(program) is None:
            lacking(f"{program} is missing (package jackd2)")
    with TemporaryDirectory() as folder:
        server = Jack(Path(folder), channels)
        try:
            yield server
        finally:
            _ended(server.process)
            forget_earlier_jacks()
