"""A file that is heard while it is tagged."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import numpy as np
import pytest

import streamtag
from streamtag.errors import OptionError
from tests.support.program import Running, run_cli
from tests.support.sound_server import SoundServer


@pytest.mark.device
@pytest.mark.usefixtures("compiled")
def test_the_demo_is_heard(start: Callable[..., Running], sound_server: SoundServer) -> None:
    arguments = ["live", "--input", "demo", "--play", "--format", "text", "--duration", "6"]
    listen = ["parec", "--device=music.monitor", "--format=s16le", "--rate=16000", "--channels=1", "--latency-msec=50"]
    with subprocess.Popen(listen, env=sound_server._env, stdout=subprocess.PIPE) as recording:
        assert recording.stdout is not None
        running = start(*arguments, env=sound_server.env)
        loudest = 0
        while loudest < 500 and running.process.poll() is None:
            loudest = int(abs(np.frombuffer(recording.stdout.read(3200), np.int16).astype(int)).max())
        recording.kill()
    assert loudest >= 500  # it is not heard by a microphone, but what goes to the loudspeaker is
    outcome = running.end()
    assert outcome.status == 0
    assert "not heard" not in outcome.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
def test_without_a_loudspeaker_one_note_says_so_and_it_goes_on(start: Callable[..., Running]) -> None:
    nowhere = {"PULSE_SERVER": "unix:/nowhere", "XDG_RUNTIME_DIR": "/nowhere", "PIPEWIRE_REMOTE": "nowhere"}
    outcome = start("live", "--input", "demo", "--play", "--duration", "3.5", "--format", "text", env=nowhere).end()
    assert outcome.status == 0
    assert len(outcome.stdout.splitlines()) > 1
    note, summary = outcome.told
    if "no loudspeaker" not in note:
        pytest.skip("there is a loudspeaker on this machine")
    assert note.startswith("streamtag: demo.ogg is tagged, and not heard: no loudspeaker can be opened")
    assert "heard" in summary


def test_a_device_is_not_played() -> None:
    outcome = run_cli("live", "--play", "--input", "default")
    assert outcome.status == 2
    assert "only a file or the demo can be played" in outcome.stderr
    with pytest.raises(OptionError, match="is a device"):
        streamtag.live(input=0, play=True)


@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
def test_the_demo_lasts_to_its_end_and_its_words_fit(start: Callable[..., Running]) -> None:
    running = start("live", "--input", "demo", "--format", "json", "--rate", "2")
    outcome = running.end(120)
    assert outcome.status == 0
    heard = {round(line["t"]): line["top"][0][0] for line in outcome.json}
    assert max(heard) == 32
    assert [heard[second] for second in (8, 15, 23, 31)] == ["piano", "ambient", "techno", "rock"]
