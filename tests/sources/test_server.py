"""What a sound server says of itself, and what is heard of it by name."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from streamtag.errors import DeviceError
from streamtag.sources import listing, server
from streamtag.sources.listing import with_server_sources
from streamtag.sources.names import Device, choose
from streamtag.sources.server import ServerSource, heard_through, parsed, server_sources
from tests.support.program import Running, summary
from tests.support.sound_server import SoundServer

INFO = """Server String: /run/user/1000/pulse/native
Server Name: PulseAudio (on PipeWire 0.3.65)
Default Sink: out
Default Source: mic
"""
SOURCES = """Source #45
	State: SUSPENDED
	Name: out.monitor
	Description: Monitor of Built-in: Audio [red]
	Sample Specification: float32le 2ch 48000Hz
	Channel Map: front-left,front-right
	Monitor of Sink: out
	Properties:
		node.name = "out"
		device.description = "Built-in: Audio [red]"
		Name: not this

Source #46
	Name: mic
	Description: 
	Sample Specification: s16le 1ch 44100Hz
	Channel Map: mono
	Monitor of Sink: n/a

Source #48
	Name: odd
	Description: two[31m words
	Sample Specification: s16le 1ch 44100Hz
	Channel Map: mono

Source #47
	Name: halfway
	Description: Says too little
"""  # noqa: W291 # as pactl prints it


def test_sources_are_read_from_what_pactl_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PULSE_SOURCE", raising=False)
    monitor = ServerSource(
        "out.monitor", "Monitor of Built-in: Audio [red]", "PipeWire", ("front-left", "front-right"), 48_000, True
    )
    mic = ServerSource("mic", "mic", "PipeWire", ("mono",), 44_100, default=True)
    odd = ServerSource("odd", "two [31m  words", "PipeWire", ("mono",), 44_100)
    assert parsed(SOURCES, INFO) == [monitor, mic, odd]
    assert [source.server for source in parsed(SOURCES, INFO.replace("(on PipeWire 0.3.65)", ""))] == ["PulseAudio"] * 3
    assert parsed("", INFO) == parsed("nonsense", "") == []


@pytest.mark.parametrize(
    ("given", "heard"),
    [("out.monitor", "out.monitor"), ("46", "mic"), ("@DEFAULT_MONITOR@", "out.monitor"), ("", "mic"), ("gone", None)],
)
def test_what_the_environment_names_is_heard_by_default(
    monkeypatch: pytest.MonkeyPatch, given: str, heard: str | None
) -> None:
    monkeypatch.setenv("PULSE_SOURCE", given)
    assert next((source.name for source in parsed(SOURCES, INFO) if source.default), None) == heard


@pytest.mark.parametrize("script", ["exit 1", "exec sleep 60", "printf '\\377'", None])
def test_a_pactl_that_fails_hangs_or_is_not_there_gives_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str | None
) -> None:
    if script is not None:
        (tmp_path / "pactl").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "pactl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin" if script else str(tmp_path))
    monkeypatch.setattr(server, "ANSWER_SECONDS", 0.3)
    assert server_sources() == []


def test_the_environment_is_as_before_after_a_stream_was_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSE_PROP", "media.role=music")
    monkeypatch.setenv("PULSE_SOURCE", "mine")
    before = dict(os.environ)
    source = ServerSource("out.monitor", "Out", "PipeWire", ("mono",), 48_000)
    with heard_through(source, named=True):
        assert os.environ["PULSE_SOURCE"] == "out.monitor"
        assert os.environ["PULSE_PROP"] == "media.role=music stream.dont-remix=true"
    assert dict(os.environ) == before
    with suppress(ZeroDivisionError), heard_through(source, named=True):
        raise ZeroDivisionError
    assert dict(os.environ) == before
    with heard_through(source, named=False):
        assert os.environ["PULSE_SOURCE"] == "mine"
    with heard_through(None, named=False):
        assert dict(os.environ) == before


def test_what_portaudio_lists_is_told_with_what_the_server_says(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = [ServerSource("mic", "Mic", "PipeWire", ("mono",), 16_000, default=True)]
    monkeypatch.setattr(listing, "server_sources", lambda: sources)
    card, dummy = Device(0, "Card (hw:0,0)", "ALSA", 2, 48_000, False), Device(9, "default", "ALSA", 128, 44_100, True)
    pulse = Device(1, "pulse", "ALSA", 32, 44_100, False)
    pipewire = Device(2, "pipewire", "ALSA", 64, 44_100, False)
    default = Device(3, "default", "ALSA", 64, 44_100, True)
    listed = with_server_sources([card, pulse, pipewire, default])
    assert [device.channels for device in listed] == [2, 1, 1, 1, 1]
    assert [device.samplerate for device in listed] == [48_000, 16_000, 16_000, 16_000, 16_000]
    assert (listed[4].name, listed[4].host, listed[4].portaudio_index) == ("Mic", "PipeWire", 1)
    assert with_server_sources([card, pipewire, default])[-1].portaudio_index == 2
    assert with_server_sources([card, pulse, dummy])[2] is dummy, "a default that goes to no server"
    assert with_server_sources([card, dummy]) == [card, dummy], "no way to the server"
    newer = Device(5, "Mic", "PulseAudio", 1, 48_000, False)
    assert with_server_sources([pulse, newer]) == [pulse, newer], "PortAudio lists them itself"
    sources += [ServerSource(name, "USB Mic", "PipeWire", ("mono",), 44_100) for name in ("usb-1", "usb-2")]
    named = with_server_sources([card, pulse])[2:]
    assert [device.name for device in named] == ["Mic", "USB Mic [usb-1]", "USB Mic [usb-2]"]
    assert [choose(named, given).names[1] for given in ("USB Mic [usb-2]", "usb-2", "USB-1]")] == [
        "usb-2",
        "usb-2",
        "usb-1",
    ]
    with pytest.raises(DeviceError, match=r"several inputs match 'usb mic': 'USB Mic \[usb-1\]', 'USB Mic \[usb-2\]'"):
        choose(named, "usb mic")
    sources.clear()
    assert [device.asks_server for device in with_server_sources([card, pulse, pipewire, default])] == [
        False,
        *[True] * 3,
    ]


# --- on a real one ------------------------------------------------------------------------------------------------

ODD_NAMES = (
    b'pcm."M\xfcsik" { type pulse }\npcm."[red]Mic[/]" { type pulse }\npcm."two\nlines\x1b[31m" { type pulse }\n'
)
"""Devices of ALSA whose names are not UTF-8, are markup, or are not of one line."""


@pytest.fixture
def odd_server(sound_system: Callable[[], SoundServer]) -> SoundServer:
    """A server of our own, beside devices with odd names, and a monitor whose name is markup."""
    made = sound_system()
    Path(made.env["HOME"], ".asoundrc").write_bytes(ODD_NAMES)
    described = "sink_properties=device.description='Four[red]'"
    made.control("load-module", "module-null-sink", "sink_name=four", "channels=4", "rate=48000", described)
    return made


@pytest.mark.slow
@pytest.mark.device
@pytest.mark.usefixtures("compiled")
def test_monitors_and_odd_names_are_listed_and_heard(
    start: Callable[..., Running], odd_server: SoundServer, music: Path, tmp_path: Path
) -> None:
    env = odd_server.env
    try:
        listed = start("devices", env=env).end()
        assert listed.status == 0
        assert listed.message == ""
        rows = [re.split(r"  +", line.strip()) for line in listed.stdout.splitlines()]
        assert ["Monitor of Four[red]", "4", "48000", "PulseAudio"] in rows
        assert ["Monitor of Null Output", "(default of PulseAudio)", "2", "44100", "PulseAudio"] in rows
        names = [row[1] for row in rows if len(row) > 1]
        assert {"pulse", "M\ufffdsik", "[red]Mic[/]", "two lines [31m"} <= set(names)
        for given in ("Monitor of Four", "four.monitor", "M\ufffdsik", "[red]mic"):
            shared = ["--window", "1", "--gate", "off", "--format", "json"]
            running = start("live", "--input", given, *shared, env=env)
            running.wait_for_lines(3)
            running.process.terminate()
            outcome = running.end(30)
            assert outcome.status == 143
            assert summary(outcome.message.splitlines()[-1])["lost"] == 0
    finally:
        odd_server.stop()


@pytest.mark.slow
@pytest.mark.device
@pytest.mark.usefixtures("compiled")
def test_a_monitor_by_name_comes_back_with_an_odd_name_beside_it(
    start: Callable[..., Running], sound_system: Callable[[], SoundServer]
) -> None:
    made = sound_system()
    env = {name: value for name, value in made.env.items() if name != "PULSE_SOURCE"}
    try:
        options = ("live", "--input", "Monitor of Null", "--window", "1", "--gate", "off", "--format", "json")
        running = start(*options, env=env)
        running.wait_for_lines(3)
        Path(env["HOME"], ".asoundrc").write_bytes(ODD_NAMES)
        before = len(running.lines)
        made.stop()
        running.wait_for_lines(before + 1)  # what switches off all that is on
        made.start()
        running.wait_for_lines(len(running.lines) + 50)
        running.process.terminate()
        outcome = running.end(30)
    finally:
        made.stop()
    assert outcome.status == 143
    assert summary(outcome.message.splitlines()[-1])["gaps"] == 1


BROKEN = "pcm.broken {{{\n"
"""A configuration of ALSA with which PortAudio does not start."""


@pytest.mark.slow
@pytest.mark.device
def test_a_broken_configuration_of_alsa_is_told(
    start: Callable[..., Running], sound_system: object, tmp_path: Path
) -> None:
    (tmp_path / ".asoundrc").write_text(BROKEN)
    for command in (["devices"], ["live", "--window", "1"]):
        outcome = start(*command, env={"HOME": str(tmp_path)}).end()
        assert outcome.status == 1
        assert outcome.message.startswith("streamtag: PortAudio does not start (Error initializing PortAudio")
        assert "see ~/.asoundrc" in outcome.message


@pytest.mark.slow
@pytest.mark.device
@pytest.mark.usefixtures("compiled")
def test_it_comes_back_after_portaudio_could_not_be_restarted(
    start: Callable[..., Running], sound_system: Callable[[], SoundServer]
) -> None:
    made = sound_system()
    code = """
import time
from streamtag.sources.device import DeviceSource

source = DeviceSource("Monitor of Null Output")
source.start()
print("runs", flush=True)
while "Error initializing" not in (source.recovering or ""):
    time.sleep(0.01)
print("broken", flush=True)
while source.recovering is not None:
    time.sleep(0.01)
print("back", flush=True)
source.stop()
"""
    try:
        running = start(code=code, env=made.env)
        running.wait_for_lines(1)
        configuration = Path(made.env["HOME"], ".asoundrc")
        configuration.write_text(BROKEN)
        made.stop()
        running.wait_for_lines(2)
        configuration.unlink()
        made.start()
        running.wait_for_lines(3)
        assert running.end().status == 0
    finally:
        made.stop()


@pytest.mark.slow
@pytest.mark.device
@pytest.mark.usefixtures("compiled")
def test_zeros_from_the_start_are_told_until_something_sounds(
    start: Callable[..., Running], sound_server: SoundServer, tmp_path: Path
) -> None:
    code = """
import sys, time
from streamtag.sources.device import DeviceSource

source = DeviceSource("Monitor of Null Output")
source.start()
while source.note is None:
    time.sleep(0.01)
print(source.note, flush=True)
while source.note is not None:
    time.sleep(0.01)
print("sounds", flush=True)
source.stop()
"""
    running = start(code=code, env=sound_server.env)
    running.wait_for_lines(1)
    assert running.lines[0].startswith("nothing but exact zeros is heard: nothing plays on that output")
    noise = ["sh", "-c", "head -c 2000000 /dev/urandom | pacat --device=music --format=s16le"]
    subprocess.run(noise, env=os.environ | sound_server.env, timeout=60, check=True)
    assert running.end().status == 0
    assert running.lines[1] == "sounds\n"


@pytest.mark.slow
@pytest.mark.device
def test_a_device_before_a_folder_or_file_of_its_name(
    start: Callable[..., Running], sound_server: SoundServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("default", "pulse"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    env = {**sound_server.env, "PYTHONPATH": str(Path(__file__).parents[2])}
    for given in ("default", "pulse"):
        running = start("live", "--input", given, "--window", "1", "--gate", "off", "--format", "json", env=env)
        running.wait_for_lines(1)
        running.process.terminate()
        assert running.end(30).status == 143
    for path, said in (("./pulse", "./pulse: a folder"), ("a/b", "a/b: no such file, and no input is called so")):
        assert said in start("live", "--input", path, env=env).end().message


@pytest.mark.slow
@pytest.mark.device
def test_devices_says_so_where_no_server_is_or_none_answers(
    start: Callable[..., Running], sound_system: Callable[[], SoundServer]
) -> None:
    made = sound_system()
    try:
        made.freeze()
        frozen = start("devices", env=made.env).end(60)
        made.thaw()
    finally:
        made.stop()
    assert (frozen.status, frozen.stdout) == (1, "")
    assert "the sound system has not answered for 10 s: is the sound server stopped or overloaded?" in frozen.message
    gone = start("devices", env=made.env).end(60)
    assert gone.status == 0
    assert "pulse" not in gone.stdout.splitlines()[0]
