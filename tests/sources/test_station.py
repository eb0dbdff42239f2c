"""Stations over HTTP: what they send between the sound, lists that name them, redirects, one connection only."""

from __future__ import annotations

import io
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import av
import numpy as np
import pytest

from streamtag.decoding.reader import RefusedError
from streamtag.decoding.stream import FFmpegStream
from streamtag.sources.opening import open_source
from streamtag.sources.station import StationReader, find_station, title
from streamtag.sources.stream import StreamSource
from tests.support.icecast import mp3
from tests.support.ports import free_udp_port
from tests.support.waiting import wait_until

TONE = mp3(44_100, 440, seconds=6.0)
INTERVAL = 4_000


def with_titles(sound: bytes, titles: dict[int, bytes]) -> bytes:
    """Sound with a place for a title each 4,000 bytes; those that are given are there."""
    out = b""
    for number, begin in enumerate(range(0, len(sound), INTERVAL)):
        text = titles.get(number, b"")
        text += b"\0" * (-len(text) % 16)
        out += sound[begin : begin + INTERVAL]
        if begin + INTERVAL <= len(sound):
            out += bytes([len(text) // 16]) + text
    return out


class Handler(BaseHTTPRequestHandler):
    """What each path answers is in the server's `answers`: headers and a body."""

    def do_GET(self) -> None:
        server: Any = self.server
        server.asked.append((self.path, dict(self.headers)))
        status, headers, body = server.answers[self.path]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing."""


def serving() -> Any:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.answers, server.asked = {}, []
    server.at = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server


@pytest.fixture
def server() -> Iterator[Any]:
    server = serving()
    yield server
    server.shutdown()
    server.server_close()


def read(reader: StationReader, size: int = 1_000) -> tuple[bytes, list[str | None]]:
    data, titles = b"", [reader.title]
    while piece := reader(size):
        data += piece
        if reader.title != titles[-1]:
            titles.append(reader.title)
    return data, titles


@pytest.mark.parametrize("size", [1, 999, 4_000, 100_000])
def test_sound_and_titles_are_parted_whatever_is_read_at_once(server: Any, size: int) -> None:
    titles = {
        0: b"StreamTitle='One';StreamUrl='http://x/';",
        2: "StreamTitle='It's Zoë';".encode(),
        3: b"StreamUrl='';",  # says nothing of a title
        5: b"StreamTitle='Caf\xe9\r\n\x1b[2J';" + b" " * 3_900,
        7: b"StreamTitle='';",
    }
    sound = TONE[:40_000]
    server.answers["/"] = (200, {"icy-metaint": str(INTERVAL)}, with_titles(sound, titles))
    reader = find_station(f"{server.at}/", 5).reader
    assert reader is not None
    data, seen = read(reader, size)
    assert data == sound
    assert seen[:3] == [None, "One", "It's Zoë"]
    assert seen[-1] == ""
    assert str(seen[3]).startswith("Café")
    assert not {"\x1b", "\n"} & set(str(seen[3]))
    reader.close()


@pytest.mark.parametrize("interval", ["", "0", "-5", "x", "99999999999999999999"])
def test_an_interval_that_is_none_is_none(server: Any, interval: str) -> None:
    server.answers["/"] = (200, {"icy-metaint": interval}, TONE[:9_000])
    reader = find_station(f"{server.at}/", 5).reader
    assert reader is not None
    assert read(reader)[0] == TONE[:9_000]


def test_a_station_that_breaks_off_within_a_title(server: Any) -> None:
    server.answers["/"] = (200, {"icy-metaint": str(INTERVAL)}, TONE[:INTERVAL] + b"\x05StreamTitle='On")
    reader = find_station(f"{server.at}/", 5).reader
    assert reader is not None
    assert read(reader)[0] == TONE[:INTERVAL]


def test_a_station_is_asked_once(server: Any) -> None:
    """Some let one in, and some programs serve one and end."""
    server.answers["/"] = (200, {"Content-Type": "application/octet-stream"}, TONE)
    source = open_source(f"{server.at}/")
    source.stop()
    assert [path for path, _ in server.asked] == ["/"]
    assert {name.lower(): value for name, value in server.asked[0][1].items()}["icy-metadata"] == "1"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("audio/x-mpegurl", "#EXTM3U\n#EXTINF:-1,Radio\n\n{}/live\nhttp://nowhere.invalid/\n"),
        ("audio/x-scpls; charset=UTF-8", "[playlist]\r\nNumberOfEntries=1\r\nFile1={}/live\r\nTitle1=Radio\r\n"),
    ],
)
def test_a_list_of_stations_is_followed(server: Any, kind: str, text: str) -> None:
    server.answers["/list"] = (200, {"Content-Type": kind}, text.format(server.at).encode())
    server.answers["/live"] = (200, {"Content-Type": "audio/mpeg"}, TONE)
    source = open_source(f"{server.at}/list")
    assert isinstance(source, StreamSource)
    source.start()
    wait_until(lambda: source.ring.written > 22_050, "sound")
    source.stop()
    assert source.name == f"{server.at}/list"


@pytest.mark.parametrize("named", ["file:///etc/passwd", "/etc/passwd", "concat:http://a|http://b", "ftp://a/b", ""])
def test_a_list_that_names_what_is_no_station(server: Any, named: str) -> None:
    server.answers["/list"] = (200, {"Content-Type": "audio/x-mpegurl"}, f"#EXTM3U\n{named}\n".encode())
    with pytest.raises(Exception, match="/list: "):
        open_source(f"{server.at}/list")


def test_lists_that_name_each_other_end(server: Any) -> None:
    server.answers["/list"] = (200, {"Content-Type": "audio/x-mpegurl"}, f"{server.at}/list".encode())
    with pytest.raises(RefusedError, match="a list that names a list, 3 times"):
        find_station(f"{server.at}/list", 5)


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_a_redirect_to_what_is_no_station(server: Any, to: str) -> None:
    server.answers["/"] = (302, {"Location": to}, b"")
    with pytest.raises(RefusedError):
        find_station(f"{server.at}/", 5)


def test_a_password_stays_with_the_host_that_it_is_for(server: Any) -> None:
    other = serving()
    server.answers["/"] = (302, {"Location": f"http://localhost:{other.server_address[1]}/"}, b"")
    other.answers["/"] = (401, {"WWW-Authenticate": 'Basic realm="x"'}, b"")
    with pytest.raises(RefusedError, match="401"):
        find_station(server.at.replace("://", "://ann:geheim@") + "/", 5)
    other.shutdown()
    other.server_close()
    assert other.asked
    assert not any("Authorization" in headers for _, headers in other.asked)


def test_songs_of_an_ogg_station_that_follow_each_other() -> None:
    data = b"".join(ogg(frequency, title) for frequency, title in ((440, "One"), (880, "Two")))
    source = io.BytesIO(data)
    stream = FFmpegStream(source.read, {})
    titles, seconds = [stream.title], 0.0
    for block in stream.blocks():
        seconds += len(block) / stream.samplerate
        if stream.title != titles[-1]:
            titles.append(stream.title)
            assert seconds == pytest.approx(1, abs=0.1)
    assert titles == ["Ann - One", "Ann - Two"]
    assert seconds == pytest.approx(2, abs=0.1)


def ogg(frequency: int, name: str) -> bytes:
    out = io.BytesIO()
    container: Any = av.open(out, "w", format="ogg")
    container.metadata["title"], container.metadata["artist"] = name, "Ann"
    stream = container.add_stream("libopus", rate=48_000, layout="mono")
    tone = (0.25 * np.sin(2 * np.pi * frequency * np.arange(48_000) / 48_000)).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(tone[None], format="flt", layout="mono")
    frame.sample_rate = 48_000
    for piece in av.AudioResampler("flt", "mono", 48_000, frame_size=960).resample(frame):
        container.mux(stream.encode(piece))
    container.mux(stream.encode(None))
    container.close()
    return out.getvalue()


def test_titles_are_one_line_of_bounded_length() -> None:
    assert title(b" Caf\xc3\xa9 ") == "Café"
    assert len(title(b"x" * 4_080)) == 200
    assert title(b"a\nb\x07") == title(b"a\nb\x07").replace("\n", "")


@pytest.mark.skipif(sys.platform == "win32", reason="other words")
def test_sound_that_comes_by_udp_is_heard_as_it_comes() -> None:
    """MPEG-TS, as encoders in studios send it."""
    port = free_udp_port()
    over = threading.Event()

    def send() -> None:
        container: Any = av.open(f"udp://127.0.0.1:{port}?pkt_size=1316", "w", format="mpegts")
        stream = container.add_stream("mp2", rate=48_000, layout="mono")
        began, sent = time.monotonic(), 0
        while not over.is_set():
            tone = 0.25 * np.sin(2 * np.pi * 440 * np.arange(sent, sent + 1152) / 48_000)
            frame = av.AudioFrame.from_ndarray((tone * 32767).astype(np.int16)[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts = 48_000, sent
            container.mux(stream.encode(frame))
            sent += 1152
            time.sleep(max(0.0, began + sent / 48_000 - time.monotonic()))
        container.close()

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    source = open_source(f"udp://127.0.0.1:{port}")
    assert isinstance(source, StreamSource)
    source.start()
    wait_until(lambda: source.ring.written > 2 * 48_000, "two seconds")
    samples = np.concatenate([piece.samples for piece in source.ring.read()])
    source.stop()
    over.set()
    sender.join(10)
    assert source.error is None
    assert np.sqrt(np.mean(samples[-48_000:] ** 2)) == pytest.approx(0.25 / np.sqrt(2), rel=0.05)
