"""Runs of the program for the faults, and the table of what became of them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.support.ports import free_udp_port
from tests.support.program import Running
from tests.support.show import Receiver, Show
from tests.support.sound_server import SoundServer

ROWS: list[tuple[str, str, str, str]] = []
HEAD = ("fault", "lost", "said", "runs again")


@pytest.fixture
def record() -> Callable[[str, str, str, str], None]:
    """Takes a row of the table: the fault, what was lost, what was said, and when it ran again."""
    return lambda *row: ROWS.append(row)


@pytest.fixture(scope="session", autouse=True)
def _table() -> Iterator[None]:
    """Writes the table at the end: FAULTS_TABLE names the file."""
    yield
    if path := os.environ.get("FAULTS_TABLE"):
        rows = [HEAD, ("---",) * len(HEAD), *ROWS]
        Path(path).write_text("".join(f"| {' | '.join(row)} |\n" for row in rows))


@pytest.fixture(scope="session")
def song(tmp_path_factory: pytest.TempPathFactory, music: Path) -> Path:
    """The demo's music without its quiet beginning, as WAV."""
    path = tmp_path_factory.mktemp("song") / "song.wav"
    samples, rate = soundfile.read(music)
    soundfile.write(path, np.concatenate((samples[rate * 2 :],) * 2), rate)
    return path


@pytest.fixture
def server(sound_system: Callable[[], SoundServer]) -> Iterator[SoundServer]:
    """A sound server that may be harmed."""
    server = sound_system()
    yield server
    server.thaw()
    server.stop()


@pytest.fixture
def playing(server: SoundServer, song: Path) -> Iterator[SoundServer]:
    """The same, with music that goes on."""
    with server.playing(song):
        time.sleep(0.3)
        yield server


@pytest.fixture
def show(start: Callable[..., Running], compiled: None) -> Iterator[Callable[..., Show]]:
    """Starts the program and waits for its first frames."""
    receivers: list[Receiver] = []

    def begin(
        server: SoundServer | None = None,
        *options: object,
        code: str | None = None,
        wait: bool = True,
        view: bool = False,
        **more: Any,
    ) -> Show:
        receiver = Receiver()
        receivers.append(receiver)
        control = free_udp_port()
        osc = ["--osc", f"127.0.0.1:{receiver.port}", "--osc-in", control]
        source = ["--input", "pulse"] if server is not None else ["--input", "demo", "--loop"]
        source = [] if "--input" in options else source
        fixed = ["--window", "1", "--rate", "63", *([] if view else ["--format", "json"])]
        env = {**(server.env if server is not None else {}), **more.pop("env", {})}
        arguments = [*osc, *source, *fixed, *options]
        running = start(*(["live"] if code is None else []), *arguments, env=env, code=code, **more)
        made = Show(running, receiver, control)
        if wait:
            made.wait_for_frames(5)
        return made

    yield begin
    for receiver in receivers:
        receiver.end()
