"""MIDI through a real JACK server with a dummy driver: what jack_midi_dump prints is what a synthesizer would hear."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streamtag.bridges.midi import MidiPort, midi_ports
from streamtag.errors import MissingExtraError
from streamtag.rules.default_midi import MidiSink
from streamtag.rules.sink import RulesSink
from tests.support.other_servers import Jack, jack
from tests.support.program import Running
from tests.support.shows import HEADED, heard
from tests.support.values import INFO, make_head, make_stats
from tests.support.waiting import lacking, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.device, pytest.mark.jack]

Start = Callable[..., Running]


class Listener:
    """jack_midi_dump: another program that receives MIDI.

    Attributes
    ----------
    heard : what came, as hexadecimal bytes.
    """

    def __init__(self, name: str = "listener") -> None:
        self.heard: list[str] = []
        self._process = subprocess.Popen(
            ["stdbuf", "-oL", "jack_midi_dump", name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def end(self) -> None:
        self._process.send_signal(signal.SIGINT)  # a server keeps the place of a client that just goes
        self._process.wait(20)
        self._reader.join(20)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self.heard += re.findall(r"^ *\d+: ((?:[0-9a-f]{2} )*[0-9a-f]{2})", line)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Jack]:
    """A JACK that may be harmed; what is started meanwhile finds it."""
    pytest.importorskip("rtmidi")
    if subprocess.run(["sh", "-c", "command -v jack_midi_dump"], capture_output=True).returncode:
        lacking("jack_midi_dump is missing (package jackd2)")
    with jack() as made:
        for name, value in made.env.items():
            if name != "HOME":
                monkeypatch.setenv(name, value)
        yield made


def until(sink: MidiSink | RulesSink, condition: Callable[[], object], what: str) -> None:
    """Wait, with the status that a session would tell each second."""

    def so() -> object:
        sink.status(make_stats(seconds=0.0))
        return condition()

    wait_until(so, what)


def drained(sink: MidiSink | RulesSink) -> None:
    """Wait until all that was sent has been taken."""
    (way,) = sink._ways.values()
    assert isinstance(way, MidiPort)
    wait_until(lambda: way.untaken == 0, "the messages to be taken")


def test_ports_are_listed_by_name_and_system(server: Jack) -> None:
    listener = Listener()
    wait_until(lambda: any("listener" in port.name for port in midi_ports()), "the listener")
    (port,) = [port for port in midi_ports() if "listener" in port.name]
    assert (port.name, port.host) == ("listener:input", "Jack")
    listener.end()


def received(play: Callable[[], None], is_all: Callable[[list[str]], object]) -> list[str]:
    """What a listener hears of what is played, once more while some of it is missing.

    Who is late for one of JACK's periods hears nothing of it; without real-time priority anyone is late now and then.
    """
    for _ in range(8):
        listener = Listener()
        play()
        until = time.monotonic() + 3
        while not is_all(listener.heard) and time.monotonic() < until:
            time.sleep(0.05)
        listener.end()
        if is_all(listener.heard):
            break
    return listener.heard


def test_tags_are_controllers_and_switches_are_notes(server: Jack) -> None:
    def play() -> None:
        sink = MidiSink("LISTEN, jack")
        sink.open(HEADED)
        until(sink, lambda: sink.trouble is None and sink._arrivals[next(iter(sink._ways))], "the port")
        off = make_head(on=frozenset())
        sink.frame(heard(0, heads=(off,), on=frozenset(), level_dbfs=-60.0))
        drained(sink)
        sink.frame(heard(1, rock=0.5, heads=(make_head(),), on=frozenset({"rock"}), level_dbfs=0.0, section=1.0))
        sink.frame(heard(2, rock=0.5, heads=(make_head(),), on=frozenset({"rock"}), level_dbfs=0.0))
        drained(sink)
        sink.close()

    wanted = {"b0 66 7f", "90 24 64", "90 23 64", "80 23 00", "91 24 64", "b1 0e 66"}  # the first is the level
    came = received(play, lambda came: wanted <= set(came) and set(came[-2:]) == {"80 24 00", "81 24 00"})
    assert wanted <= set(came)
    assert set(came[-2:]) == {"80 24 00", "81 24 00"}, "the end of what is on"
    assert came.count("b0 0e 40") == 1, "rock is the first tag, controller 14; only changes are sent"


def test_rules_say_what_is_sent_instead(server: Jack, tmp_path: Path) -> None:
    path = tmp_path / "show.toml"
    path.write_text('[[rule]]\nwhen = "tag/rock"\nabove = 0.5\nsend = [{ note = 60, channel = 10 }, { cc = 1 }]\n')

    def play() -> None:
        sink = RulesSink(path, midi="listener")
        assert sink.uses_midi("listener")
        sink.open(HEADED)
        until(sink, lambda: sink._arrivals["midi listener"], "the port")
        sink.frame(heard(0, rock=1))
        sink.frame(heard(1, rock=0))
        drained(sink)
        sink.close()

    wanted = ["99 3c 64", "b0 01 7f", "89 3c 00", "b0 01 00"]
    assert received(play, lambda came: len(came) >= len(wanted)) == wanted


def test_a_port_that_is_unplugged_is_told_and_found_again(server: Jack) -> None:
    sink = MidiSink("listener")
    sink.open(INFO)
    until(sink, lambda: "no port has 'listener' in its name" in (sink.trouble or ""), "the trouble")
    sink.frame(heard(0, rock=1))
    wait_until(lambda: sink.drops, "the messages to be counted")
    listener = Listener()
    until(sink, lambda: sink.trouble is None, "the port")
    listener.end()
    until(sink, lambda: "is gone" in (sink.trouble or "") or "no port" in (sink.trouble or ""), "the trouble")
    listener = Listener()
    until(sink, lambda: sink.trouble is None, "the port again")
    wait_until(lambda: "b0 0e 7f" in listener.heard, "how it stands")
    sink.close()
    listener.end()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_a_midi_system_that_dies_or_hangs_holds_nobody_up(server: Jack, number: signal.Signals) -> None:
    listener = Listener()
    port = MidiPort("listener")
    port.open()
    wait_until(lambda: port.arrivals, "the port")
    os.killpg(server.process.pid, number)

    def troubled() -> bool:
        for value in range(100):  # more than RtMidi's buffer holds, in a few seconds
            port.give(bytes([0xB0, 20, value]))
        port.tend()
        return port.trouble is not None

    wait_until(troubled, "the trouble")
    if number == signal.SIGSTOP:
        assert port.trouble == "the MIDI system does not answer: it is started again"
        assert port.drops > 0
        os.killpg(server.process.pid, signal.SIGCONT)
    else:
        server.process.wait(20)
        listener.end()
        server.start_again()
        listener = Listener()
    seen = port.arrivals

    def back() -> bool:
        port.tend()
        return port.arrivals > seen

    wait_until(back, "the port again")
    port.close()
    listener.end()


def test_the_program_shows_a_port_of_its_own(server: Jack, start: Start) -> None:
    running = start(
        *("live", "--input", "demo", "--loop", "--window", "1", "--format", "text", "--midi", "virtual, Jack")
    )
    running.wait_for_lines(1)
    listed = ["jack_lsp", "-s", server.env["JACK_DEFAULT_SERVER"], "-t"]

    def has_port() -> bool:
        text = subprocess.run(listed, capture_output=True, text=True, timeout=20).stdout
        return "streamtag:streamtag" in text and "midi" in text

    wait_until(has_port, "the port")
    listener = Listener()
    connect = ["jack_connect", "-s", server.env["JACK_DEFAULT_SERVER"], "streamtag:streamtag", "listener:input"]
    wait_until(lambda: subprocess.run(connect, capture_output=True, timeout=20).returncode == 0, "the connection")
    wait_until(lambda: len(running.lines) > 60, "results")
    running.process.send_signal(signal.SIGINT)
    outcome = running.end(30)
    assert outcome.status == 130
    assert "Traceback" not in outcome.stderr
    wait_until(lambda: any(message.startswith("b0 ") for message in listener.heard), "controllers")
    listener.end()


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"the MIDI port 'x' needs .* pip install 'streamtag\[midi\]'"):
        MidiSink("x")
