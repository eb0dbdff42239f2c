"""A channel is that channel alone: how devices are opened, and what is then heard through real sound servers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streamtag.errors import OptionError
from streamtag.sources.channels import layout, stream_positions
from streamtag.sources.names import Device
from streamtag.sources.server import ServerSource
from tests.support.hear import AMPLITUDE, write_tones
from tests.support.other_servers import jack, pipewire
from tests.support.program import Running, summary
from tests.support.sound_server import SoundServer

STEREO = "front-left,front-right"
QUAD = f"{STEREO},rear-left,rear-right"
FILM = f"{STEREO},front-center,lfe,rear-left,rear-right"


def aux(count: int) -> str:
    """Positions of an interface with so many inputs, as its driver without a profile has them."""
    return ",".join(f"aux{number}" for number in range(count))


def served(positions: str, server: str = "PulseAudio", name: str = "card") -> Device:
    source = ServerSource(name, "Card", server, tuple(positions.split(",")), 48_000)
    channels = len(source.positions)
    return Device(-1, "Card", server, channels, 48_000, False, source, asks_server=True, opened_as=0)


# --- how a device is opened ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channels", "wanted", "opened", "chosen"),
    [
        (1, None, 1, (0,)),
        (2, None, 2, (0, 1)),
        (2, (1,), 2, (0,)),
        (18, (3,), 18, (2,)),
        (18, (18, 1), 18, (17, 0)),
        (64, None, 64, (0, 1)),
        (128, (1,), 2, (0,)),  # what has as many as one asks for would make copies of the first two
        (10_000, (3, 4), 4, (2, 3)),
    ],
)
def test_all_channels_of_a_device_are_opened(
    channels: int, wanted: tuple[int, ...] | None, opened: int, chosen: tuple[int, ...]
) -> None:
    device = Device(0, "Scarlett", "Windows WASAPI", channels, 48_000, False)
    assert layout(device, wanted) == (opened, chosen, None)


@pytest.mark.parametrize("wanted", [(), (0,), (-1, 1), (5,), (1, 99), 2, "1,2", (1.0,)])
def test_channels_that_there_are_not(wanted: Any) -> None:
    for device in (Device(0, "Scarlett", "ALSA", 4, 48_000, False), served(QUAD)):
        with pytest.raises(OptionError, match=r"give their numbers, from 1; for example|has 4 channels; channel"):
            layout(device, wanted)


def test_the_order_of_positions_in_streams_of_alsa() -> None:
    assert stream_positions(1) == ("mono",)
    assert stream_positions(3) == ("front-left", "front-right", "aux0")
    assert stream_positions(6)[4:] == ("front-center", "lfe")
    assert stream_positions(10)[6:] == ("side-left", "side-right", "aux0", "aux1")


@pytest.mark.parametrize(
    ("positions", "wanted", "opened", "chosen"),
    [
        ("mono", None, 1, (0,)),
        (STEREO, (2,), 2, (1,)),
        ("front-right,front-left", (1,), 2, (1,)),
        (QUAD, (3,), 4, (2,)),
        (f"{STEREO},lfe", (3,), 6, (5,)),
        (FILM, (3, 5), 6, (4, 2)),
        (aux(4), (1, 4), 12, (8, 11)),
        (aux(18), (18,), 26, (25,)),
        (aux(4), None, 12, (8, 9)),
    ],
)
def test_as_many_are_opened_as_hold_all_positions(
    positions: str, wanted: tuple[int, ...] | None, opened: int, chosen: tuple[int, ...]
) -> None:
    assert layout(served(positions), wanted) == (opened, chosen, None)


@pytest.mark.parametrize(
    ("positions", "wanted", "opened", "chosen"),
    [
        ("mono", (1,), 1, (0,)),
        (STEREO, (1,), 2, (0,)),
        (FILM, (3,), 6, (4,)),
        (aux(4), (3,), 4, (2,)),  # unnamed ones come in their order
        (aux(18), (8,), 8, (7,)),
        (f"{STEREO},aux0", (2,), 3, (1,)),
    ],
)
def test_pipewire_gives_eight_channels_at_the_most(
    positions: str, wanted: tuple[int, ...], opened: int, chosen: tuple[int, ...]
) -> None:
    assert layout(served(positions, "PipeWire"), wanted) == (opened, chosen, None)


@pytest.mark.parametrize(
    ("server", "positions", "channel", "position"),
    [
        ("PulseAudio", f"{STEREO},rear-center", 1, "front-left"),  # the third would be mixed into it
        ("PulseAudio", "mono,mono", 2, "mono"),
        ("PulseAudio", aux(32), 30, "aux29"),
        ("PipeWire", aux(18), 9, "aux8"),
        ("PipeWire", f"{STEREO},top-center", 3, "top-center"),
    ],
)
def test_what_a_server_cannot_give_alone_is_refused_with_the_recipe(
    server: str, positions: str, channel: int, position: str
) -> None:
    device = served(positions, server)
    with pytest.raises(OptionError) as caught:
        layout(device, (channel,))
    said = str(caught.value)
    assert said.startswith(f"{server} does not give channel {channel} ({position}) of 'Card' on its own. ")
    assert f"module-remap-source source_name=channel{channel} master=card channels=1" in said
    assert f"master_channel_map={position} channel_map=mono remix=no; then use --input channel{channel}" in said


def test_without_a_choice_the_same_is_heard_as_the_server_mixes_it_with_a_note() -> None:
    opened, chosen, note = layout(served(f"{STEREO},rear-center"), None)
    assert (opened, chosen) == (2, (0, 1))
    assert note == "PulseAudio cannot give the channels of 'Card' as they are: what is heard may be a mix"


def test_where_the_server_does_not_say_a_note_says_so() -> None:
    device = Device(0, "pulse", "ALSA", 32, 44_100, False, asks_server=True)
    assert layout(device, None) == (2, (0, 1), None)
    opened, chosen, note = layout(device, (3,))
    assert (opened, chosen) == (3, (2,))
    assert note is not None
    assert "which channels there are: what is heard may be a mix of several" in note


# --- what is heard ------------------------------------------------------------------------------------------------


def heard(env: dict[str, str], given: str, count: int, *channels: str) -> list[dict[str, float]]:
    """The tones on each of these, one after the other."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.hear", str(count), given, *channels],
        cwd=Path(__file__).parents[2],
        env=os.environ | env,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return [{number: value / AMPLITUDE for number, value in tones.items()} for tones in json.loads(done.stdout)]


def each_alone(count: int) -> list[object]:
    return [{str(number): pytest.approx(1, abs=0.03)} for number in range(1, count + 1)]


@pytest.mark.slow
@pytest.mark.device
@pytest.mark.parametrize("positions", [STEREO, QUAD, aux(3), f"{STEREO},lfe"], ids=["stereo", "four", "aux", "lfe"])
def test_pulseaudio_gives_each_channel_alone(
    sound_system: Callable[[], SoundServer], tmp_path: Path, positions: str
) -> None:
    count = positions.count(",") + 1
    server = sound_system()
    try:
        sink = ["sink_name=many", "rate=48000", f"channels={count}", f"channel_map={positions}"]
        server.control("load-module", "module-null-sink", *sink)
        tones = write_tones(tmp_path / "tones.wav", count, seconds=120)
        player = server.play(tones, "--no-remix", f"--channel-map={positions}", sink="many")
        numbers = [str(number) for number in range(1, count + 1)]
        last, both, none, *beside = heard(
            server.env, "many.monitor", count, numbers[-1], "2,1", "none", "/".join(numbers)
        )
        server.control("set-default-source", "many.monitor")
        env = {name: value for name, value in server.env.items() if name != "PULSE_SOURCE"}
        default = heard(env | {"PULSE_SOURCE": "many.monitor"}, "pulse", count, numbers[-1])
        player.kill()
        player.communicate()
    finally:
        server.stop()
    assert beside == each_alone(count)
    assert [last] == each_alone(count)[-1:]
    half = {"1": pytest.approx(0.5, abs=0.02), "2": pytest.approx(0.5, abs=0.02)}
    assert both == none == half
    assert default == each_alone(count)[-1:]


@pytest.mark.slow
@pytest.mark.device
@pytest.mark.usefixtures("sound_system")
def test_pipewire_gives_each_channel_alone_or_says_how(tmp_path: Path) -> None:
    with pipewire() as env:

        def control(*arguments: str) -> None:
            subprocess.run(["pactl", *arguments], env=os.environ | env, check=True, capture_output=True)

        for name, positions in (("quad", QUAD), ("unnamed", aux(10))):
            count = positions.count(",") + 1
            sink = [f"sink_name={name}", "rate=48000", f"channels={count}", f"channel_map={positions}"]
            control("load-module", "module-null-sink", *sink)
            tones = write_tones(tmp_path / f"{name}.wav", count, seconds=90)
            player = subprocess.Popen(
                ["paplay", "--no-remix", f"--device={name}", f"--channel-map={positions}", str(tones)],
                env=os.environ | env,
            )
            try:
                if name == "quad":
                    assert heard(env, "quad.monitor", 4, "1/2/3/4", "4") == [*each_alone(4), each_alone(4)[3]]
                    continue
                assert heard(env, "unnamed.monitor", 10, "1", "8") == [each_alone(10)[0], each_alone(10)[7]]
                recipe = "source_name=ten master=unnamed.monitor channels=1 master_channel_map=aux9"
                control("load-module", "module-remap-source", *recipe.split(), "channel_map=mono", "remix=no")
                assert heard(env, "ten", 10, "1") == each_alone(10)[9:]
            finally:
                player.kill()
                player.wait()


@pytest.mark.jack
@pytest.mark.slow
@pytest.mark.device
@pytest.mark.usefixtures("sound_system")
def test_jack_gives_each_channel_alone(tmp_path: Path) -> None:
    with jack(4) as server, server.playing(write_tones(tmp_path / "four.wav", 4, seconds=10)):
        assert heard(server.env, "PortAudio", 4, "1", "2", "3/4") == each_alone(4)


@pytest.mark.jack
@pytest.mark.slow
@pytest.mark.device
@pytest.mark.usefixtures("sound_system", "compiled")
def test_times_are_right_again_after_jack_was_stopped(start: Callable[..., Running]) -> None:
    """JACK's clock stands while JACK does; what was once compared with ours is then seconds off."""
    with jack() as server:
        running = start(
            *("live", "--input", "system", "--window", "1", "--gate", "off", "--format", "json"), env=server.env
        )
        running.wait_for_lines(3)
        server.process.send_signal(signal.SIGSTOP)
        time.sleep(1)  # results of what had come by then
        before = len(running.lines)
        running.wait_for_lines(before + 1)  # what switches off all that is on
        server.process.send_signal(signal.SIGCONT)
        running.wait_for_lines(len(running.lines) + 200)
        running.process.send_signal(signal.SIGINT)
        outcome = running.end(30)
    late = [line["latency_ms"] for line in outcome.json][-50:]
    assert sorted(late)[25] < 600, "of the last results, most are not seconds old"
    assert summary(outcome.message.splitlines()[-1])["gaps"] >= 1
