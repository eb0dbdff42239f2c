"""What the soak plays with: the stage, and the faults that may happen on it."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from streamtag.engine import Session
from streamtag.osc.control import ControlPort
from streamtag.osc.sink import message
from streamtag.results import Stats, TagFrame
from streamtag.sinks.base import SessionInfo
from tests.support.busy import processors_busy, python_held
from tests.support.sound_server import SoundServer


class Moody:
    """A user's sink that fails, or keeps the engine waiting, when it is told to."""

    name = "moody"
    drops = 0

    def __init__(self) -> None:
        self.raises = False
        self.blocks = 0.0
        self.told = 0

    def open(self, info: SessionInfo) -> None:
        """Nothing to do."""

    def frame(self, frame: TagFrame) -> None:
        """Fail or wait."""
        if self.raises:
            raise RuntimeError("moody today")
        if self.blocks:
            seconds, self.blocks = self.blocks, 0.0
            time.sleep(seconds)
        self.told += 1

    def status(self, stats: Stats) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""


class Reader(threading.Thread):
    """Reads lines from a pipe, unless it is told not to, and counts those that are whole."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(name="soak-reader", daemon=True)
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.lines = self.torn = 0
        self._pipe = os.fdopen(descriptor, "rb")

    def run(self) -> None:
        """Read to the end."""
        with self._pipe:
            for line in self._pipe:
                self.goes_on.wait()
                self.lines += 1
                try:
                    json.loads(line)
                except ValueError:
                    self.torn += 1


class Receiver(threading.Thread):
    """A receiver of OSC that may be down."""

    def __init__(self) -> None:
        super().__init__(name="soak-receiver", daemon=True)
        self.listens = threading.Event()
        self.listens.set()
        self.over = False
        self.heard = 0
        self._socket: socket.socket | None = self._bound(0)
        self.port: int = self._socket.getsockname()[1]

    def run(self) -> None:
        """Receive."""
        while not self.over:
            if not self.listens.is_set():
                if self._socket:
                    self._socket.close()
                    self._socket = None
                time.sleep(0.02)
                continue
            self._socket = self._socket or self._bound(self.port)
            try:
                self.heard += bool(self._socket.recv(65536))
            except TimeoutError:
                continue
        if self._socket:
            self._socket.close()

    def _bound(self, port: int) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.settimeout(0.1)
        made.bind(("127.0.0.1", port))
        return made


@dataclass
class Stage:
    """All that faults may touch."""

    server: SoundServer
    music: Path
    session: Session
    moody: Moody
    reader: Reader
    receiver: Receiver
    control: ControlPort
    chance: random.Random
    player: ExitStack = field(default_factory=ExitStack)

    def pause(self, least: float, most: float) -> None:
        """Let time pass."""
        time.sleep(self.chance.uniform(least, most))

    def tell(self, address: str, *arguments: float) -> None:
        """Send a command to the control port."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(message(address, *arguments).dgram, self.control.address)

    def play(self) -> None:
        """Play the music again and again."""
        self.player.enter_context(self.server.playing(self.music))


def server_killed(stage: Stage) -> None:
    """Sound server killed, started again after a while."""
    stage.server.stop(signal.SIGKILL)
    stage.pause(0.2, 6)
    stage.server.start()


def server_ended(stage: Stage) -> None:
    """Sound server ended in order, started again after a while."""
    stage.server.stop()
    stage.pause(0.2, 3)
    stage.server.start()


def server_frozen(stage: Stage) -> None:
    """Sound server stopped (SIGSTOP) and continued."""
    stage.server.freeze()
    stage.pause(0.2, 6)
    stage.server.thaw()


def device_unplugged(stage: Stage) -> None:
    """Device taken away and brought back, perhaps with another rate."""
    stage.server.unplug()
    stage.pause(0.2, 5)
    stage.server.plug_in(stage.chance.choice((44_100, 48_000)))


def python_is_held(stage: Stage) -> None:
    """A thread holds Python's lock in slices of 50 ms."""
    with python_held():
        stage.pause(1, 6)


def processors_are_busy(stage: Stage) -> None:
    """More busy processes than processors."""
    with processors_busy(2 * (os.cpu_count() or 1)):
        stage.pause(2, 6)


def receiver_down(stage: Stage) -> None:
    """The OSC receiver's port closed and opened again."""
    stage.receiver.listens.clear()
    stage.pause(0.5, 5)
    stage.receiver.listens.set()


def pipe_blocked(stage: Stage) -> None:
    """Nobody reads the pipe for a while."""
    stage.reader.goes_on.clear()
    stage.pause(1, 15)
    stage.reader.goes_on.set()


def sink_raises(stage: Stage) -> None:
    """A user's sink raises at every frame."""
    stage.moody.raises = True
    stage.pause(0.5, 3)
    stage.moody.raises = False


def engine_blocked(stage: Stage) -> None:
    """A user's sink keeps the engine thread waiting for longer than the ring is long."""
    stage.moody.blocks = stage.chance.uniform(11, 14)
    stage.pause(14, 15)


def paused(stage: Stage) -> None:
    """Paused and resumed over the control port."""
    stage.tell("/streamtag/pause")
    stage.pause(0.5, 4)
    stage.tell("/streamtag/resume")


def hop_changed(stage: Stage) -> None:
    """Hop, top and threshold changed over the control port, then reset."""
    stage.tell("/streamtag/hop", stage.chance.choice((0.016, 0.032, 0.064, 0.25)))
    stage.tell("/streamtag/top", float(stage.chance.randint(1, 20)))
    stage.pause(1, 3)
    stage.tell("/streamtag/reset")
    stage.tell("/streamtag/hop", 0.016)


def hostile_packets(stage: Stage) -> None:
    """Random bytes to the control port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(300):
            sender.sendto(stage.chance.randbytes(stage.chance.randint(0, 2000)), stage.control.address)
    stage.pause(0.2, 1)


def silence(stage: Stage) -> None:
    """The music stops, and goes on."""
    stage.player.close()
    stage.pause(2, 6)
    stage.play()


def second_instance(stage: Stage) -> None:
    """Another streamtag on the same device for some seconds."""
    command = [sys.executable, "-m", "streamtag", "live", "--input", "pulse", "--duration", "2", "--format", "text"]
    subprocess.run(command, env=os.environ | stage.server.env, capture_output=True, timeout=60)


def forked(stage: Stage) -> None:
    """The process forks, and the child leaves as Python programs do."""
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)


FAULTS: tuple[Callable[[Stage], None], ...] = (
    server_killed,
    server_ended,
    server_frozen,
    device_unplugged,
    python_is_held,
    processors_are_busy,
    receiver_down,
    pipe_blocked,
    sink_raises,
    engine_blocked,
    paused,
    hop_changed,
    hostile_packets,
    silence,
    second_instance,
    forked,
)
