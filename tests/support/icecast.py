"""A real Icecast server of our own, and a station that sends to it."""

from __future__ import annotations

import base64
import hashlib
import http.client
import io
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import av
import numpy as np

from tests.support.ports import free_tcp_port
from tests.support.waiting import lacking, wait_until

SECRET = "hackme"
CONFIGURATION = """<icecast>
  <limits><sources>20</sources><clients>50</clients><source-timeout>{source_timeout}</source-timeout>
    <burst-size>32768</burst-size></limits>
  <authentication><source-password>{secret}</source-password><admin-user>admin</admin-user>
    <admin-password>{secret}</admin-password></authentication>
  <hostname>127.0.0.1</hostname>
  <listen-socket><port>{port}</port><bind-address>127.0.0.1</bind-address></listen-socket>
  <mount type="normal"><mount-name>/private.mp3</mount-name>
    <authentication type="htpasswd"><option name="filename" value="{folder}/users"/></authentication></mount>
  <paths><basedir>{folder}</basedir><logdir>{folder}</logdir><webroot>{folder}</webroot><adminroot>{folder}</adminroot>
  </paths>
  <logging><accesslog>access.log</accesslog><errorlog>error.log</errorlog></logging>
  <security><chroot>0</chroot>{change}</security>
</icecast>
"""


class Icecast:
    """An icecast2 on a port of its own.

    Parameters
    ----------
    source_timeout : seconds after which it gives up a station that sends nothing.
    """

    def __init__(self, source_timeout: int = 10) -> None:
        program = shutil.which("icecast2") or shutil.which("icecast")
        if program is None:
            lacking("icecast2 is missing (package icecast2)")
        self._program = program
        self.port = free_tcp_port()
        folder = self._folder = Path(tempfile.mkdtemp(prefix="icecast"))  # others may not look into a test's own
        change = ""
        if os.geteuid() == 0:  # which it refuses to be
            change = "<changeowner><user>nobody</user><group>nogroup</group></changeowner>"
            folder.chmod(0o777)
        users = folder / "users"
        users.write_text(f"ann:{hashlib.md5(b'geheim').hexdigest()}\n")  # as Icecast has it
        users.chmod(0o666)
        self._configuration = folder / "icecast.xml"
        self._configuration.write_text(
            CONFIGURATION.format(
                port=self.port, folder=folder, secret=SECRET, change=change, source_timeout=source_timeout
            )
        )
        self.start()

    def start(self) -> None:
        """Start it.

        It crashes when somebody connects before all of its threads run: so it is not asked whether it listens.
        """
        log = self._folder / "error.log"
        log.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [self._program, "-c", str(self._configuration)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(lambda: log.is_file() and "SSL" in log.read_text(), "icecast2")
        time.sleep(0.5)

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait(20)

    def close(self) -> None:
        """End it for good."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def address(self, mount: str, user: str = "") -> str:
        """What to listen to."""
        return f"http://{user}{'@' * bool(user)}127.0.0.1:{self.port}/{mount}"


class Broadcast:
    """A station: sends a tone, in real time, from `__init__` to `end`.

    Parameters
    ----------
    server : where to.
    mount : under which name.
    samplerate, frequency : of the tone, in Hz.
    """

    def __init__(
        self, server: Icecast, mount: str = "tone.mp3", samplerate: int = 44_100, frequency: int = 440
    ) -> None:
        self._server, self._mount = server, mount
        self._sound, self._seconds = mp3(samplerate, frequency), 10.0
        key = base64.b64encode(f"source:{SECRET}".encode()).decode()
        self._socket = socket.create_connection(("127.0.0.1", server.port), 10)
        request = f"SOURCE /{mount} HTTP/1.0\r\nAuthorization: Basic {key}\r\nContent-Type: audio/mpeg\r\n\r\n"
        self._socket.sendall(request.encode())
        answer = self._socket.recv(1000)
        assert b"200" in answer, answer
        self._over = threading.Event()
        self.flows = threading.Event()
        self.flows.set()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def title(self, text: str) -> None:
        """Say what plays."""
        connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=10)
        key = base64.b64encode(f"admin:{SECRET}".encode()).decode()
        path = f"/admin/metadata?mount=/{self._mount}&mode=updinfo&charset=UTF-8&song={quote(text)}"
        connection.request("GET", path, headers={"Authorization": f"Basic {key}"})
        assert connection.getresponse().status == 200
        connection.close()

    def end(self) -> None:
        """Send no more, and hang up."""
        self._over.set()
        self.flows.set()
        self._thread.join(10)
        self._socket.close()

    def _run(self) -> None:
        """A second's worth ahead, so that a listener has something at once."""
        sent, began = 0, time.monotonic()
        rate = len(self._sound) / self._seconds
        while not self._over.wait(0.02):
            if not self.flows.is_set():
                self.flows.wait()
                began = time.monotonic() - sent / rate
            due = int((time.monotonic() - began + 1) * rate)
            while sent < due:
                place = sent % len(self._sound)
                piece = self._sound[place : place + due - sent]
                try:
                    self._socket.sendall(piece)
                except OSError:  # the server has gone
                    return
                sent += len(piece)


def mp3(samplerate: int, frequency: int, seconds: float = 10.0) -> bytes:
    """A tone as MP3."""
    out = io.BytesIO()
    container: Any = av.open(out, "w", format="mp3", options={"write_xing": "0", "id3v2_version": "0"})
    stream = container.add_stream("mp3", rate=samplerate, layout="mono")
    stream.bit_rate = 64_000
    tone = 0.25 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * samplerate)) / samplerate)
    frame = av.AudioFrame.from_ndarray(tone.astype(np.float32)[None], format="fltp", layout="mono")
    frame.sample_rate = samplerate
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=samplerate, frame_size=1152)
    for piece in resampler.resample(frame):
        container.mux(stream.encode(piece))
    container.mux(stream.encode(None))
    container.close()
    return out.getvalue()
