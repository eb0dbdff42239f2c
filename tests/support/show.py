"""`streamtag live` as on a stage: a real sound server, a receiver of OSC, a control port; and what became of it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pythonosc.osc_packet import OscPacket

from streamtag.osc.sink import message
from tests.support.program import Outcome, Running, summary
from tests.support.waiting import wait_until


@dataclass
class Frame:
    """A `/streamtag/frame`, and when it came."""

    came: float
    index: int
    time: float
    latency_ms: float
    level: float


class Receiver:
    """Receives OSC on a thread, unless its port is closed."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.states: list[tuple[float, str]] = []
        self.messages: list[tuple[float, str, list[Any]]] = []
        self._over = False
        self._socket: socket.socket | None = None
        self.port = 0
        self.open()
        self._thread = threading.Thread(target=self._run, name="receiver", daemon=True)
        self._thread.start()

    def open(self) -> None:
        """Listen, on the port of before if there was one."""
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**22)
        made.bind(("127.0.0.1", self.port))
        made.settimeout(0.05)
        self.port = made.getsockname()[1]
        self._socket = made

    def close(self) -> None:
        """Close the port; datagrams are then refused."""
        closing, self._socket = self._socket, None
        if closing is not None:
            closing.close()

    def end(self) -> None:
        """Stop for good."""
        self._over = True
        self._thread.join()
        self.close()

    def of(self, address: str) -> list[list[Any]]:
        """Arguments of all messages to an address."""
        return [arguments for _, where, arguments in self.messages if where == address]

    @property
    def state(self) -> str:
        """The last state told."""
        return self.states[-1][1] if self.states else ""

    def _run(self) -> None:
        while True:
            over, listening = self._over, self._socket
            try:
                if listening is None:
                    time.sleep(0.01)
                    raise OSError
                if over:  # only what has come already: the sender may go on for ever
                    listening.setblocking(False)
                packet = OscPacket(listening.recv(65536))
            except OSError:  # nothing came, or the port was closed meanwhile
                if over:
                    return
                continue
            now = time.monotonic()
            for timed in packet.messages:
                address, arguments = timed.message.address, list(timed.message.params)
                if address == "/streamtag/frame":
                    self.frames.append(Frame(now, *arguments))
                elif address == "/streamtag/status":
                    self.states.append((now, arguments[0]))
                if not address.startswith(("/streamtag/tag/", "/streamtag/embedding")):
                    self.messages.append((now, address, arguments))


@dataclass
class Show:
    """A run of the program, its receiver and its control port."""

    running: Running
    receiver: Receiver
    control: int
    began: float = field(default_factory=time.monotonic)

    def wait_for(self, condition: Callable[[], object], what: str, seconds: float = 60.0) -> float:
        """Wait until something is so, while the program runs; gives the seconds it took."""
        began = time.monotonic()
        states = [f"{state} at {at - self.began:.2f} s" for at, state in self.receiver.states[-12:]]
        wait_until(
            lambda: condition() or self.running.process.poll() is not None, f"{what} (before: {states})", seconds
        )
        assert self.running.process.poll() is None, (what, self.running.errors)
        return time.monotonic() - began

    def wait_for_state(self, state: str, seconds: float = 60.0) -> float:
        """Wait until a state is told."""
        return self.wait_for(lambda: self.receiver.state == state, f"the state {state}", seconds)

    def wait_for_frames(self, count: int = 3, seconds: float = 60.0) -> float:
        """Wait for so many frames from now on."""
        so_far = len(self.receiver.frames)
        return self.wait_for(lambda: len(self.receiver.frames) >= so_far + count, f"{count} frames", seconds)

    def back(self) -> float:
        """Wait until it runs and frames come that are louder than silence; gives the seconds it took."""
        began = time.monotonic()
        self.wait_for_state("running")
        self.wait_for(lambda: self.receiver.frames[-1].came > began, "frames")
        return time.monotonic() - began

    @staticmethod
    def offsets(frames: list[Frame], group: int = 10) -> np.ndarray:
        """Seconds between frames' own time and when they came: the least of each group, for a busy machine is late."""
        late = np.array([frame.came - frame.time for frame in frames])
        return np.array([part.min() for part in np.array_split(late, max(1, len(late) // group))])

    def tell(self, address: str, *arguments: str | int | float) -> None:
        """Send a command to the control port."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(message(address, *arguments).dgram, ("127.0.0.1", self.control))

    def end(self, number: int | None = None) -> tuple[Outcome, dict[str, float]]:
        """Ctrl-C; gives how it ended, and the figures of the summary."""
        import signal

        self.running.process.send_signal(signal.SIGINT if number is None else number)
        outcome = self.running.end(60)
        self.receiver.end()
        said = [line for line in outcome.message.splitlines() if " s heard: " in line]
        assert said, outcome.stderr
        return outcome, summary(said[-1])
