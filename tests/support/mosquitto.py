"""A real MQTT broker of our own, and what it says to whoever subscribes."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from tests.support.ports import free_tcp_port
from tests.support.waiting import lacking, wait_until


class Mosquitto:
    """A mosquitto on a port of its own.

    Parameters
    ----------
    folder : where its configuration goes.
    password : of the user `show`; None: anybody may connect.
    """

    def __init__(self, folder: Path, password: str | None = None) -> None:
        program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        if program is None or shutil.which("mosquitto_sub") is None:
            lacking("mosquitto or mosquitto_sub is missing (packages mosquitto, mosquitto-clients)")
        self._program = program
        self.port = free_tcp_port()
        lines = [f"listener {self.port} 127.0.0.1", f"allow_anonymous {'false' if password else 'true'}"]
        if os.geteuid() == 0:
            lines.append("user root")  # else it becomes another, who may not look into a test's folder
        if password:
            users = folder / "users"
            subprocess.run(["mosquitto_passwd", "-b", "-c", str(users), "show", password], check=True, timeout=30)
            lines.append(f"password_file {users}")
        self._configuration = folder / "mosquitto.conf"
        self._configuration.write_text("\n".join(lines) + "\n")
        self._login = ["-u", "show", "-P", password] if password else []
        self.start()

    def start(self) -> None:
        """Start it, without a memory of before."""
        self.process = subprocess.Popen(
            [self._program, "-c", str(self._configuration)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(self._answers, "mosquitto")

    def end(self, number: int = signal.SIGTERM) -> None:
        """End it."""
        self.process.send_signal(number)
        self.process.wait(20)

    def retained(self) -> dict[str, str]:
        """What it keeps, by topic."""
        command = ["mosquitto_sub", "-p", str(self.port), *self._login, "-t", "#", "-v", "-W", "1", "--retained-only"]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=30)
        return {topic: payload for topic, _, payload in (line.partition(" ") for line in ran.stdout.splitlines())}

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
