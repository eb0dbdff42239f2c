"""What several test files share: the demo clip, the command line in and out of process, and a sound server."""

from __future__ import annotations

import ctypes.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from platformdirs import user_cache_path

from streamtag.sources.opening import demo_clip
from streamtag.tagging.tagger import Tagger
from tests.support.other_servers import forget_earlier_jacks
from tests.support.ports import free_udp_port
from tests.support.program import START_SECONDS, WITH_SIGNALS, LiveRun, Running
from tests.support.sound_server import PROGRAMS, SoundServer
from tests.support.waiting import lacking

# Processes that are given another HOME find the kernels that this user has compiled, too.
os.environ.setdefault("NUMBA_CACHE_DIR", str(user_cache_path("streamtag")))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what its fixtures or parameters give away: whole programs are slow, and an engine needs TensorFlow."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if fixtures & {"live_run", "start", "clips", "sound_server", "sound_system"}:
            item.add_marker(pytest.mark.slow)
        if "tensorflow]" in item.name or "tensorflow-" in item.name or "checkpoint" in " ".join([item.name, *fixtures]):
            item.add_marker(pytest.mark.tensorflow)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """What plays live has workers of its own, if there are nice ones for the rest."""
    from tests.support.scheduling import make_scheduler

    return make_scheduler(config, log)


@pytest.fixture(scope="session", autouse=True)
def _shipped_models_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Models that the user of this machine has imported play no part."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STREAMTAG_MODELS", str(tmp_path_factory.mktemp("no-models")))
        patch.setenv("STREAMTAG_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _jack_alone(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test of devices beside one of JACK's.

    PortAudio asks JACK at each start, and where there is a server, opens what its clients share: whoever is killed just
    then leaves half of it, and all others wait for ever (see `streamtag.sources.portaudio.remains_of_jack`).
    """
    if request.node.get_closest_marker("device") is None or sys.platform == "win32":
        yield
        return
    import fcntl

    alone = request.node.get_closest_marker("jack") is not None
    with (Path(tempfile.gettempdir()) / f"streamtag-tests-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
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


# --- the command line ---------------------------------------------------------------------------------------------


# Ctrl-C is ignored in what a shell runs in the background, SIGHUP in what nohup runs; tests must not inherit that.


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
        forget_earlier_jacks()  # which PortAudio asks, too
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
        options = ["--model", "MSD_musicnn", "--input", "demo", "--duration", "5", "--format", "json", "--embeddings"]
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
    for stream in (process.stdout, process.stderr):
        assert stream is not None
        stream.close()
    return LiveRun(outcome, packets, dumped, seconds)
