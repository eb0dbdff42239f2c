"""Radio stations of a real Icecast: titles, another rate, servers that are killed, sound that stalls, passwords."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
import pytest

from streamtag.errors import DeviceError
from streamtag.sources import address
from streamtag.sources.opening import open_source
from streamtag.sources.stream import StreamSource
from tests.support.icecast import Broadcast, Icecast
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="Icecast, as Debian has it")]


@pytest.fixture
def server() -> Iterator[Icecast]:
    server = Icecast()
    yield server
    server.close()


def heard(given: str) -> StreamSource:
    source = open_source(given)
    assert isinstance(source, StreamSource)
    source.start()
    return source


def frequency(samples: np.ndarray, samplerate: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * samplerate / len(samples))


def test_a_station_is_heard_with_its_titles(server: Icecast) -> None:
    station = Broadcast(server)
    station.title("Ann - First")
    source = heard(server.address("tone.mp3"))
    wait_until(lambda: source.title == "Ann - First", "the title")
    wait_until(lambda: source.ring.written > 2 * 44_100, "two seconds")
    station.title("Zoë's Band - It's; ok")
    wait_until(lambda: source.title == "Zoë's Band - It's; ok", "the next title")
    samples = np.concatenate([piece.samples for piece in source.ring.read()])
    assert source.ring.samplerate == 44_100
    assert abs(frequency(samples[-44_100:], 44_100) - 440) < 2  # what lies between the sound is not heard
    assert np.sqrt(np.mean(samples[-44_100:] ** 2)) == pytest.approx(0.25 / np.sqrt(2), rel=0.05)
    assert source.note is None
    source.stop()
    station.end()
    assert source.error is None


def test_a_station_that_comes_back_at_another_rate(server: Icecast) -> None:
    first = Broadcast(server)
    source = heard(server.address("tone.mp3"))
    ring = source.ring
    wait_until(lambda: ring.written > 44_100, "a second")
    first.end()
    wait_until(lambda: "trying again: there is no such stream (404)" in (source.recovering or ""), "that it is gone")
    second = Broadcast(server, samplerate=22_050)
    wait_until(lambda: ring.successor is not None and source.recovering is None, "that it is back")
    assert source.ring.samplerate == 22_050
    wait_until(lambda: source.ring.written > 2 * 22_050, "two seconds")
    samples = np.concatenate([piece.samples for piece in source.ring.read()])
    assert abs(frequency(samples[-22_050:], 22_050) - 440) < 2
    source.stop()
    second.end()
    assert source.error is None


def test_a_server_that_is_killed_and_one_that_hangs(server: Icecast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "READ_SECONDS", 1.0)
    monkeypatch.setattr(address, "CONNECT_SECONDS", 1.0)
    station = Broadcast(server)
    source = heard(server.address("tone.mp3"))
    wait_until(lambda: source.ring.written > 44_100, "a second")
    server.process.send_signal(signal.SIGSTOP)
    wait_until(lambda: "trying again: no answer within 1 s" in (source.recovering or ""), "that it hangs")
    ring = source.ring
    server.process.send_signal(signal.SIGCONT)
    wait_until(lambda: ring.successor is not None and source.recovering is None, "that it goes on")
    server.kill()
    station.end()
    wait_until(lambda: "refused: nobody listens there" in (source.recovering or ""), "that it is gone")
    ring = source.ring
    server.start()
    station = Broadcast(server)
    wait_until(lambda: ring.successor is not None and source.recovering is None, "that it is back")
    source.stop()
    station.end()
    assert source.error is None


def test_a_station_that_sends_nothing_for_a_while(server: Icecast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "READ_SECONDS", 1.0)
    station = Broadcast(server)
    source = heard(server.address("tone.mp3"))
    wait_until(lambda: source.ring.written > 44_100, "a second")
    station.flows.clear()
    wait_until(lambda: (source.recovering or "").startswith("no answer within 1 s"), "that nothing comes")
    station.flows.set()
    wait_until(lambda: source.recovering is None, "that it is heard again")
    written = source.ring.written
    wait_until(lambda: source.ring.written > written + 3 * 44_100, "three seconds more")
    source.stop()
    station.end()
    assert source.error is None


def test_user_and_password(server: Icecast) -> None:
    station = Broadcast(server, "private.mp3")
    for user in ("", "ann:falsch"):
        with pytest.raises(DeviceError, match=r"the user or the password is wrong \(401\)") as caught:
            open_source(server.address("private.mp3", user))
        assert "falsch" not in str(caught.value)
    source = heard(server.address("private.mp3", "ann:geheim"))
    wait_until(lambda: source.ring.written > 44_100, "a second")
    source.stop()
    station.end()
    assert source.name == server.address("private.mp3")


def test_what_a_user_sees_of_it(server: Icecast) -> None:
    station = Broadcast(server, "private.mp3")
    station.title("Ann - First")
    command = [sys.executable, "-m", "streamtag", "live", "--window", "1", "--duration", "4", "--format", "json"]
    given = server.address("private.mp3", "ann:geheim")
    done = subprocess.run([*command, "--input", given], capture_output=True, text=True, timeout=120)
    station.end()
    assert done.returncode == 0, done.stderr
    titles = [line["status"].get("title") for line in map(json.loads, done.stdout.splitlines()) if "status" in line]
    assert "Ann - First" in titles
    assert "geheim" not in done.stdout + done.stderr


def test_what_is_sent_before_the_start_is_left_out(server: Icecast) -> None:
    """A network is built between opening and start, and on a new machine compiled: that takes a minute."""
    station = Broadcast(server)
    source = open_source(server.address("tone.mp3"))
    time.sleep(8)
    source.start()
    station.end()
    wait_until(lambda: source.recovering, "the end")
    seconds = source.ring.written / source.ring.samplerate
    source.stop()
    assert 0 < seconds < 6  # what Icecast gives a new listener at once, and what was sent ahead
