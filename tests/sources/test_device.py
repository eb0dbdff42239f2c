"""A real sound server, a real player, and PortAudio in between.

Each run is a process of its own: PortAudio looks for devices once.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

import streamtag
from streamtag.sources.device import monitor_help
from tests.support.program import Running, summary
from tests.support.sound_server import SoundServer

pytestmark = [pytest.mark.slow, pytest.mark.device, pytest.mark.usefixtures("compiled")]
Start = Callable[..., Running]


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory, music: Path) -> Path:
    """Music on the right channel, nothing on the left: 60 s, as WAV."""
    path = tmp_path_factory.mktemp("sound") / "right.wav"
    samples, rate = soundfile.read(music, frames=44_100 * 12)
    one = samples[44_100 * 2 :].mean(axis=1)
    soundfile.write(path, np.tile(np.stack([np.zeros_like(one), one], axis=1), (6, 1)), rate, subtype="PCM_16")
    return path


@pytest.fixture
def playing(sound_server: SoundServer, right: Path) -> Iterator[SoundServer]:
    player = sound_server.play(right)
    yield sound_server
    assert player.stderr is not None
    assert player.poll() is None, f"the player ended early: {player.stderr.read()!r}"
    player.terminate()
    player.communicate()


def listed(start: Start, server: SoundServer) -> dict[str, int]:
    """What `streamtag devices` prints: names and indices."""
    outcome = start("devices", env=server.env).end()
    assert outcome.status == 0
    assert outcome.message == ""
    assert monitor_help() in outcome.stdout
    rows = [re.fullmatch(r" *(\d+)  (.+?)  .*", line) for line in outcome.stdout.splitlines()]
    return {row[2]: int(row[1]) for row in rows if row}


def test_devices_are_listed(start: Start, sound_server: SoundServer) -> None:
    assert "pulse" in listed(start, sound_server)


def test_two_runs_hear_what_plays(start: Start, playing: SoundServer, right: Path) -> None:
    """By name and by index; the mean of both channels and the right one alone."""
    index = listed(start, playing)["pulse"]
    exact = ["--smooth", "0", "--level", "off", "--react", "off", "--music", "off"]  # as the Tagger below
    shared = ["--format", "json", "--duration", "8", *exact]
    both = start("live", "--input", "pulse", *shared, env=playing.env)
    alone = start("live", "--input", index, "--channels", "2", *shared, env=playing.env)
    levels = []
    for running, channels in ((both, slice(None)), (alone, slice(1, None))):
        outcome = running.end()
        assert outcome.status == 0, outcome.stderr
        counted = summary(outcome.message)
        assert counted["lost"] == 0
        windows = (counted["seconds"] - 3) / 0.016
        hops = sum(counted[name] for name in ("hops", "skipped", "rested", "missed"))
        assert hops == pytest.approx(windows, abs=6), "each hop is accounted for"
        lines = outcome.json
        assert len(lines) > 10
        assert 4.5 < lines[-1]["t"] < 8.5, "the sound server takes a second or two to begin"
        assert 0 < np.median([line["latency_ms"] for line in lines]) < 5000
        levels.append(np.median([line["level_dbfs"] for line in lines]))

        samples, rate = soundfile.read(right, dtype="float32", always_2d=True)
        tagger = streamtag.Tagger("MSD_musicnn", hop=0.5, smooth=0)
        scores = np.mean([frame.raw for frame in tagger.push(samples[:, channels], rate)], axis=0)
        best = {tagger.labels[tag] for tag in scores.argsort()[::-1][:5]}
        firsts = [line["top"][0][0] for line in lines]
        assert max(set(firsts), key=firsts.count) in best
    assert levels[1] - levels[0] == pytest.approx(6, abs=1.5), "half of the amplitude, if the other half is silent"


def test_a_part_of_a_name_will_do_and_silence_is_heard_as_such(start: Start, sound_server: SoundServer) -> None:
    outcome = start(
        *("live", "--input", "PULS", "--format", "json", "--window", "1", "--duration", "4"), env=sound_server.env
    ).end()
    assert outcome.status == 0, outcome.stderr
    assert len(outcome.json) > 3
    assert {line["level_dbfs"] for line in outcome.json} == {-120.0}


def test_what_the_machine_plays_is_one_word(start: Start, playing: SoundServer) -> None:
    running = start("live", "--input", "system", "--window", "1", "--format", "json", "--hop", "0.1", env=playing.env)
    running.wait_for_lines(3)
    running.process.send_signal(signal.SIGINT)
    outcome = running.end(30)
    assert max(line["level_dbfs"] for line in outcome.json) > -60


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("u", r"several inputs match 'u': .*'pulse'.*'default'|several inputs match 'u': .*'default'.*'pulse'"),
        ("pulze", r"no input is called 'pulze'\. Did you mean \d+ 'pulse'\?"),
        ("99", r"no input is called '99'\. There are: .*'pulse'"),
    ],
)
def test_what_is_none_or_several_is_said(start: Start, sound_server: SoundServer, given: str, said: str) -> None:
    outcome = start("live", "--input", given, env=sound_server.env).end()
    assert outcome.status == 1
    assert outcome.stdout == ""
    assert re.search(said, outcome.message)
    assert len(outcome.message.splitlines()) == 1


def test_a_channel_that_the_device_does_not_have_is_wrong_usage(start: Start, sound_server: SoundServer) -> None:
    outcome = start("live", "--input", "pulse", "--channels", "99", env=sound_server.env).end()
    assert outcome.status == 2
    assert re.search(r"'pulse' has \d+ channels; channel 99 was asked for", outcome.message)


def test_ctrl_c_ends_a_run_on_a_device(start: Start, sound_server: SoundServer) -> None:
    running = start("live", "--input", "pulse", "--window", "1", env=sound_server.env)
    running.wait_for_lines(3)
    running.process.send_signal(signal.SIGINT)
    outcome = running.end(10)
    assert outcome.status == 130
    assert "s heard: " in outcome.message


def test_a_sound_server_that_is_gone_before_the_start_is_said(
    start: Start, sound_system: Callable[[], SoundServer]
) -> None:
    server = sound_system()
    server.stop()
    outcome = start("live", "--input", "pulse", env=server.env).end()
    assert outcome.status == 1
    assert "pulse" in outcome.message
    assert "streamtag: " in outcome.message
