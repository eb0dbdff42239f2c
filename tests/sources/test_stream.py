"""Pipes and addresses: what is heard is what was sent, at its pace; what goes wrong is said, and got over."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from streamtag.decoding import stream
from streamtag.decoding.decode import open_audio
from streamtag.decoding.reader import RefusedError
from streamtag.decoding.stream import RawFormat, RawReader, parse_raw
from streamtag.errors import DeviceError, OptionError
from streamtag.sources import address
from streamtag.sources.address import AddressOpener, is_address, without_secrets
from streamtag.sources.opening import open_source
from streamtag.sources.pipes import PipeOpener, is_pipe
from streamtag.sources.stream import StreamSource
from tests.support.icecast import mp3
from tests.support.program import WITH_SIGNALS, Running
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")]
RATE = 22_050


@pytest.fixture
def song(music: Path, tmp_path: Path) -> Path:
    """A second and a half of music, 16 bits, stereo."""
    samples, _ = soundfile.read(music, frames=RATE * 3, always_2d=True)
    stereo = np.column_stack((samples[::2, 0], -0.5 * samples[::2, 0]))[: RATE * 3 // 2]
    soundfile.write(tmp_path / "song.wav", stereo, RATE, subtype="PCM_16")
    return tmp_path / "song.wav"


def expected(path: Path) -> np.ndarray:
    with open_audio(path) as audio:
        return np.concatenate(list(audio.blocks())).mean(axis=1, dtype=np.float32)


def heard(source: StreamSource, seconds: float = 60) -> np.ndarray:
    """All that a source writes until it has finished."""
    source.start()
    pieces = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        over = source.finished
        pieces += [piece.samples for piece in source.ring.read()]
        if over:
            break
        time.sleep(0.01)
    source.stop()
    if source.error is not None:
        raise source.error
    return np.concatenate(pieces)


class Writer(threading.Thread):
    """Writes bytes into a FIFO: in so large pieces, so many seconds apart."""

    def __init__(self, path: Path, data: bytes, size: int = 1 << 20, pause: float = 0.0) -> None:
        super().__init__(daemon=True)
        self._path, self._data, self._size, self._pause = path, data, size, pause
        self.start()

    def run(self) -> None:
        with self._path.open("wb", buffering=0) as pipe:
            for start in range(0, len(self._data), self._size):
                pipe.write(self._data[start : start + self._size])
                time.sleep(self._pause)


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"


class Once(PipeOpener):
    """A FIFO that ends with its first writer, as stdin does."""

    def __init__(self, path: Path, raw: RawFormat | None = None) -> None:
        super().__init__(str(path), raw)

    def open(self, stopping: Callable[[], bool]) -> Any:
        opened = super().open(stopping)
        self.again = False
        return opened


def as_written(path: Path, kind: str) -> bytes:
    samples, rate = soundfile.read(path, always_2d=True)
    if kind == "wav of unknown length":  # as `ffmpeg -f wav -` writes it
        data = bytearray(path.read_bytes())
        data[4:8] = b"\xff\xff\xff\xff"
        place = data.index(b"data") + 4
        data[place : place + 4] = b"\xff\xff\xff\xff"
        return bytes(data)
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=kind, subtype={"OGG": "VORBIS", "FLAC": "PCM_16"}[kind])
    return buffer.getvalue()


@pytest.mark.parametrize("pieces", [(1 << 20, 0.0), (4_096, 0.02), (777, 0.0)])
@pytest.mark.parametrize("kind", ["wav of unknown length", "FLAC"])
def test_what_is_written_is_heard_to_the_bit(song: Path, fifo: Path, kind: str, pieces: tuple[int, float]) -> None:
    Writer(fifo, as_written(song, kind), *pieces)
    source = StreamSource(Once(fifo))
    assert (source.ring.samplerate, source.ring.channels) == (RATE, 2)
    np.testing.assert_allclose(heard(source), expected(song), rtol=0, atol=1e-7)


def test_a_writer_that_does_not_wait_is_heard_in_real_time_and_nothing_is_lost(song: Path, fifo: Path) -> None:
    Writer(fifo, as_written(song, "wav of unknown length"))
    source = StreamSource(Once(fifo))
    began = time.monotonic()
    assert len(heard(source)) == len(expected(song))
    assert time.monotonic() - began > 1.2, "a second and a half, at its pace"
    assert source.ring.counters.lost == 0
    assert source.ring.counters.clock_jumps == 0


@pytest.mark.parametrize("kind", ["u8", "s16le", "s16be", "s24le", "s24be", "s32le", "f32le", "f32be", "f64le"])
@pytest.mark.parametrize("size", [1, 7, 4096])
def test_raw_samples(kind: str, size: int) -> None:
    samples = np.random.default_rng(1).uniform(-1, 1, (300, 2))
    bits = int(kind[1:3]) if kind != "u8" else 8
    if kind.startswith("f"):
        data = samples.astype(f"{'<' if kind.endswith('le') else '>'}f{bits // 8}").tobytes()
        wanted = samples
    else:
        whole = np.rint(samples * (2 ** (bits - 1) - 1)).astype(np.int64)
        wanted = whole / 2 ** (bits - 1)
        order: Any = "little" if kind == "u8" or kind.endswith("le") else "big"
        values = [int(value) + (128 if kind == "u8" else 0) for value in whole.ravel()]
        data = b"".join(value.to_bytes(bits // 8, order, signed=kind != "u8") for value in values)
    stream = io.BytesIO(data + b"\x01")  # half a sample at the end

    def read(most: int) -> bytes:
        return stream.read(min(most, size))

    reader = RawReader(read, parse_raw(f"{kind}, 8000, 2"))
    got = np.concatenate(list(reader.blocks()))
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    "text", ["", "s16le", "s16le,44100", "s12le,44100,2", "s16le,10,2", "s16le,44100,0", "s16le,44100,99"]
)
def test_what_raw_samples_cannot_be(text: str) -> None:
    with pytest.raises(OptionError, match="--raw"):
        parse_raw(text)


def test_the_next_writer_of_a_fifo_is_heard_even_at_another_rate(song: Path, fifo: Path, tmp_path: Path) -> None:
    samples, _ = soundfile.read(song)
    soundfile.write(tmp_path / "other.wav", samples[:8_000], 8_000, subtype="PCM_16")
    Writer(fifo, song.read_bytes())
    source = open_source(str(fifo))
    assert isinstance(source, StreamSource)
    source.start()
    first = source.ring
    wait_until(lambda: source.recovering == "nobody writes to it", "the end of the first")
    Writer(fifo, (tmp_path / "other.wav").read_bytes())
    wait_until(lambda: first.successor is not None and source.recovering is None, "the second")
    assert source.ring.samplerate == 8_000
    wait_until(lambda: source.ring.written == 8_000, "all of it")
    source.stop()
    assert source.error is None


def test_a_fifo_that_nobody_writes_to_can_be_left(fifo: Path) -> None:
    opener = PipeOpener(str(fifo))
    stopping = threading.Event()

    def wait_for_a_writer() -> None:
        with contextlib.suppress(RefusedError):
            opener.open(stopping.is_set)

    opened = threading.Thread(target=wait_for_a_writer)
    opened.start()
    time.sleep(0.3)
    assert opened.is_alive()
    stopping.set()
    opened.join(10)
    assert not opened.is_alive()
    opener.close()


@pytest.mark.parametrize(
    ("written", "said"),
    [(b"", "ended before anything was written"), (b"no sound at all " * 5000, "samples without a header need --raw")],
)
def test_what_is_no_sound_is_said(start: Callable[..., Running], written: bytes, said: str) -> None:
    running = subprocess.run(
        [sys.executable, "-m", "streamtag", "live", "--input", "-"], input=written, capture_output=True, timeout=120
    )
    assert running.returncode == 1
    assert said in running.stderr.decode()
    assert "Traceback" not in running.stderr.decode()


def test_stdin_is_tagged_to_its_end(song: Path) -> None:
    command = [sys.executable, "-m", "streamtag", "live", "--input", "-", "--format", "json", "--window", "1"]
    done = subprocess.run(command, input=song.read_bytes(), capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert b"1.5 s heard" in done.stderr
    assert done.stdout


def test_ctrl_c_ends_the_wait_for_a_writer(fifo: Path) -> None:
    """PyAV keeps what a signal raises in what it calls to itself: so it is waited for on another thread."""
    for given, stdin in (("-", subprocess.PIPE), (str(fifo), subprocess.DEVNULL)):
        command = [sys.executable, "-c", WITH_SIGNALS, sys.executable, "-m", "streamtag", "live", "--input", given]
        waiting = subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert waiting.stderr is not None
        assert "nobody writes to it yet: waiting" in waiting.stderr.readline()
        waiting.send_signal(signal.SIGINT)
        assert waiting.wait(60) in (130, -signal.SIGINT)
        assert "Traceback" not in waiting.stderr.read()
        waiting.communicate()


def test_what_is_meant_as_a_pipe(fifo: Path, song: Path) -> None:
    assert is_pipe("-")
    assert is_pipe(str(fifo))
    assert not is_pipe(str(song))
    assert not is_pipe("default")
    with pytest.raises(OptionError, match="--raw is for pipes"):
        open_source(str(song), raw="s16le,44100,2")
    with pytest.raises(OptionError, match="heard as it comes"):
        open_source(str(fifo), loop=True)


@pytest.mark.parametrize("pace", ["as fast as it goes", "in real time"])
def test_programs_that_follow_each_other(song: Path, fifo: Path, tmp_path: Path, pace: str) -> None:
    """In a shell's loop: what they write lies in the pipe without a mark between, and is told apart all the same."""
    kinds = ("wav of unknown length", "FLAC", "OGG", "WAV", "FLAC")
    paths = []
    for number, kind in enumerate(kinds):
        paths.append(tmp_path / f"{number}")
        paths[-1].write_bytes(song.read_bytes() if kind == "WAV" else as_written(song, kind))
    write = 'cat "$each"' if pace != "in real time" else 'split -b 9000 --filter="sleep 0.05; cat" "$each"'
    script = f'for each in "$@"; do {write} > "{fifo}"; sleep 0.05; done'  # what a program needs to start
    writer = subprocess.Popen(["sh", "-c", script, "sh", *map(str, paths)])
    source = open_source(str(fifo))
    rings = [source.ring]
    source.start()

    def all_heard() -> bool:
        while rings[-1].successor is not None:
            rings.append(rings[-1].successor)
        return len(rings) == len(kinds) and rings[-1].written == length

    length = len(expected(song))
    wait_until(all_heard, "the last")
    assert [ring.written for ring in rings] == [length] * len(kinds)
    assert sum(ring.lost for ring in rings) == 0
    source.stop()
    assert writer.wait(10) == 0, "nobody wrote to a pipe that nobody read"


def test_a_writer_that_goes_on_with_something_else(fifo: Path, song: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said, and not waited for in silence."""
    monkeypatch.setattr(stream, "BARREN_SECONDS", 0.3)
    over = threading.Event()

    def write() -> None:
        with contextlib.suppress(BrokenPipeError), fifo.open("wb", buffering=0) as pipe:
            pipe.write(mp3(44_100, 440, seconds=2.0))
            while not over.wait(0.02):
                pipe.write(b"\0" * 4_096)

    writer = threading.Thread(target=write)
    writer.start()
    source = open_source(str(fifo))
    source.start()
    wait_until(lambda: "no more the sound that it was" in (source.recovering or ""), "that it is said")
    over.set()
    writer.join(10)
    source.stop()


# --- addresses ----------------------------------------------------------------------------------------------------


class Station(BaseHTTPRequestHandler):
    """A radio station that may misbehave, by what is asked of it."""

    song = b""
    playlist = b""
    released = threading.Event()
    stalled = threading.Event()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/private" and not self.headers.get("Authorization"):
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="studio"')
            self.end_headers()
            return
        if path == "/none":
            self.send_error(404)
            return
        if path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", "/live")
            self.end_headers()
            return
        if path == "/round":
            self.send_response(302)
            self.send_header("Location", "/round")
            self.end_headers()
            return
        if path == "/stalls" and self.stalled.is_set():
            self.send_error(404)
            return
        if path == "/stalls":
            self.stalled.set()
            self.send_response(200)
            self.send_header("Content-Type", "audio/wav")
            self.end_headers()
            self.wfile.write(self.song[: len(self.song) // 2])
            self.wfile.flush()
            self.released.wait(60)
            return
        body = self.playlist if path.endswith(".m3u8") else b"<html>" * 1000 if path == "/page" else self.song
        self.send_response(200)
        kind = "application/vnd.apple.mpegurl" if path.endswith(".m3u8") else "audio/wav"
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing."""


@pytest.fixture
def station(song: Path) -> Iterator[str]:
    Station.song = as_written(song, "wav of unknown length")
    Station.playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile://{song}\n#EXT-X-ENDLIST\n".encode()
    Station.released.clear()
    Station.stalled.clear()
    server = on_air(0)
    yield f"127.0.0.1:{server.server_address[1]}"
    Station.released.set()
    server.shutdown()
    server.server_close()


def on_air(port: int) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", port), Station)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server


@pytest.mark.parametrize("path", ["live", "elsewhere"])
def test_an_address_is_heard_and_opened_again_at_its_end(station: str, path: str, song: Path) -> None:
    source = open_source(f"http://{station}/{path}")
    assert isinstance(source, StreamSource)
    first = source.ring
    source.start()
    wait_until(lambda: first.successor is not None, "the second time")
    got = np.concatenate([piece.samples for piece in first.read()])
    np.testing.assert_allclose(got, expected(song), rtol=0, atol=1e-7)
    source.stop()
    assert source.error is None


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("none", "there is no such stream (404)"),
        ("private", "the user or the password is wrong (401)"),
        ("page", "what comes is no sound that FFmpeg knows"),
        ("list.m3u8", ""),  # a playlist that names a file of this machine
        ("round", ""),  # redirected for ever
    ],
)
def test_what_cannot_be_heard_is_said(station: str, path: str, said: str) -> None:
    with pytest.raises(DeviceError) as caught:
        open_source(f"http://{station}/{path}")
    assert str(caught.value).startswith(f"http://{station}/{path}: ")
    assert said in str(caught.value)


def test_a_station_that_stalls_is_left_and_heard_again(station: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "READ_SECONDS", 1.0)
    source = open_source(f"http://{station}/stalls")
    ring = source.ring
    source.start()
    said = "no answer within 1 s; trying again: there is no such stream (404)"
    wait_until(lambda: source.recovering == said, "that it is left")
    Station.stalled.clear()
    wait_until(lambda: ring.successor is not None and source.recovering is None, "that it is heard again")
    source.stop()
    assert source.error is None


def test_a_station_that_is_gone_is_heard_when_it_is_back(song: Path) -> None:
    Station.song = as_written(song, "wav of unknown length")
    server = on_air(0)
    port = server.server_address[1]
    source = open_source(f"http://127.0.0.1:{port}/live")
    assert isinstance(source, StreamSource)
    server.shutdown()
    server.server_close()
    source.start()
    wait_until(lambda: "refused: nobody listens there" in (source.recovering or ""), "that it is gone")
    ring = source.ring
    server = on_air(port)
    wait_until(lambda: ring.successor is not None and source.recovering is None, "that it is back")
    source.stop()
    server.shutdown()
    server.server_close()
    assert source.error is None


def test_nobody_learns_user_and_password(station: str) -> None:
    given = f"http://ann:geheim@{station}/private?token=abc#x"
    source = open_source(given)
    source.stop()
    assert source.name == f"http://{station}/private"
    with pytest.raises(DeviceError) as caught:
        open_source(given.replace("private", "none"))
    assert "geheim" not in str(caught.value)
    assert "abc" not in str(caught.value)
    assert without_secrets("rtsp://a:b@[::1]:8554/x?y") == "rtsp://[::1]:8554/x"


@pytest.mark.parametrize("given", ["file:///etc/passwd", "concat://a", "http://", "http://a:b", "data://x"])
def test_what_is_no_address_that_may_be_opened(given: str) -> None:
    assert is_address(given)
    with pytest.raises(OptionError):
        AddressOpener(given)
