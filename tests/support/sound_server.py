"""A sound server without hardware, to be played to, frozen, killed and started again: PulseAudio with a null sink."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

PROGRAMS = {"pulseaudio": "pulseaudio", "paplay": "pulseaudio-utils", "pactl": "pulseaudio-utils"}
"""What it needs, and the Debian package of each."""
SINK = "module-null-sink sink_name=music rate=44100 channels=2 format=float32le"
"""float32 from end to end: what is played is what is heard, to the bit."""


@dataclass
class SoundServer:
    """A PulseAudio of our own, with one output, `music`, that nobody hears, and its monitor.

    Parameters
    ----------
    folder : its runtime folder; must not exist, or be empty.
    source : what a process that has `env` hears; None for the server's default.

    Attributes
    ----------
    env : what a process needs in its environment to reach it and to hear the monitor.
    """

    folder: Path
    source: str | None = "music.monitor"
    env: dict[str, str] = field(init=False)
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        home = self.folder / "home"
        home.mkdir(parents=True)
        self.folder.chmod(0o700)
        self.env = {"XDG_RUNTIME_DIR": str(self.folder), "HOME": str(home)}
        if self.source is not None:
            self.env["PULSE_SOURCE"] = self.source
        self._env = {name: value for name, value in os.environ.items() if not name.startswith("PULSE_")} | self.env

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises
        ------
        TimeoutError : it does not answer.
        """
        command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1"]
        loads = [part for module in (SINK, "module-native-protocol-unix") for part in ("-L", module)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *loads], env=self._env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        until = time.monotonic() + 10
        while subprocess.run(["pactl", "info"], env=self._env, capture_output=True).returncode:
            if time.monotonic() > until:
                raise TimeoutError(f"PulseAudio does not answer; see {self.folder / 'log'}")
            time.sleep(0.02)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it, as when a machine logs out; with SIGKILL, as when it crashes."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
            self.process.wait(10)
            self.process = None

    def freeze(self) -> None:
        """Stop it in its tracks: it neither delivers nor answers."""
        if self.process is not None:
            self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)

    def control(self, *arguments: str) -> str:
        """Run pactl with these arguments; gives what it printed."""
        done = subprocess.run(["pactl", *arguments], env=self._env, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def unplug(self) -> None:
        """Take the output away, and its monitor with it."""
        modules = self.control("list", "short", "modules").splitlines()
        self.control("unload-module", next(line.split()[0] for line in modules if "module-null-sink" in line))

    def plug_in(self, rate: int = 44_100) -> None:
        """Bring it back, perhaps with another rate."""
        self.control("load-module", "module-null-sink", "sink_name=music", f"rate={rate}", "channels=2")

    def play(self, path: Path, *options: str, sink: str = "music") -> subprocess.Popen[bytes]:
        """Begin to play a WAV file."""
        return subprocess.Popen(
            ["paplay", f"--device={sink}", *options, str(path)],
            env=self._env,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    @contextmanager
    def playing(self, path: Path) -> Iterator[None]:
        """Play a file again and again, also when the server was away meanwhile."""
        script = 'while :; do paplay --device=music "$1" || sleep 0.1; done'
        player = subprocess.Popen(
            ["sh", "-c", script, "sh", str(path)],
            env=self._env,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                os.killpg(player.pid, signal.SIGKILL)
            player.wait()


@contextmanager
def sound_server(source: str | None = "music.monitor") -> Iterator[SoundServer]:
    """A running sound server in a folder of its own."""
    with TemporaryDirectory() as folder:
        server = SoundServer(Path(folder) / "run", source)
        server.start()
        try:
            yield server
        finally:
            server.stop(signal.SIGKILL)
