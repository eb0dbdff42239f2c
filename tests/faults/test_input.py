"""What can happen to the input: servers, devices, cables."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.support import ramp
from tests.support.program import WITH_SIGNALS, Running
from tests.support.show import Show
from tests.support.sound_server import SoundServer

pytestmark = [pytest.mark.slow, pytest.mark.device]
Begin = Callable[..., Show]
Record = Callable[[str, str, str, str], None]


def accounted(show: Show) -> tuple[str, dict[str, float]]:
    """End it; nothing may be lost within streamtag, and every hop is accounted for."""
    outcome, counted = show.end()
    last = show.receiver.frames[-1]
    assert outcome.status == 130, outcome.stderr
    assert counted["lost"] == 0
    hops = counted["hops"] + counted["skipped"] + counted["rested"] + counted["missed"]
    assert abs(hops - 1 - last.index) <= 10, "hops up to the last frame, but for those on their way"
    return outcome.message, counted


def assert_wall_true(show: Show) -> None:
    """The time of frames and the clock on the wall go alike, across whatever has happened."""
    offsets = show.offsets([frame for frame in show.receiver.frames if frame.level > -119], group=60)  # 2 s
    assert np.ptp(offsets) < 0.8, f"frames' time strays from the wall's by {np.ptp(offsets):.2f} s"


def recovered(show: Show, begin_again: Callable[[], object], pause: float = 1.0) -> tuple[float, float]:
    """It says that it is recovering; then the input comes back; gives how long `recovering` and `running` took."""
    said = show.wait_for_state("recovering")
    time.sleep(pause)
    assert show.receiver.state == "recovering"
    begin_again()
    running = show.wait_for_state("running")
    show.wait_for_frames(30)
    return said, running


Harm = Callable[[SoundServer], object]


@dataclass(frozen=True)
class Outage:
    """How the input goes and comes back.

    Attributes
    ----------
    fault : for the table.
    begins, ends : what happens to the sound server.
    pause : seconds in between, from when it is said.
    times : how often.
    """

    fault: str
    begins: Harm
    ends: Harm
    pause: float = 1.0
    times: int = 1


OUTAGES = [
    Outage("sound server killed, started again after 1 s", lambda s: s.stop(signal.SIGKILL), SoundServer.start),
    Outage("sound server restarted, twice", SoundServer.stop, SoundServer.start, pause=0.3, times=2),
    # the stream stays active, and neither delivers nor answers
    Outage("sound server stopped (SIGSTOP) for 3 s, continued", SoundServer.freeze, SoundServer.thaw, pause=2.0),
    Outage("device unplugged, plugged in again after 1 s", SoundServer.unplug, SoundServer.plug_in),
    Outage("device back with 96 kHz instead of 44.1 kHz", SoundServer.unplug, lambda s: s.plug_in(96_000), pause=0.2),
    # the stream is alive, and its callback is not called
    Outage(
        "stream silent of callbacks (device suspended), resumed after 1 s",
        lambda s: s.control("suspend-sink", "music", "1"),
        lambda s: s.control("suspend-sink", "music", "0"),
    ),
]


NOTHING_WRITTEN = """
import resource, sys
sys.argv.insert(1, "live")
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
from streamtag.__main__ import main
main()
"""  # as on a system that is read-only: no folder serves for temporary files


def test_it_comes_back_where_no_file_can_be_written(
    show: Begin, playing: SoundServer, start: Callable[..., Running]
) -> None:
    start("devices", env=playing.env).end(60)  # makes what JACK's clients share, which would else be left half made
    run = show(playing, code=NOTHING_WRITTEN)
    playing.stop(signal.SIGKILL)
    recovered(run, playing.start)
    accounted(run)


@pytest.mark.parametrize("outage", OUTAGES, ids=[outage.fault for outage in OUTAGES])
def test_the_input_goes_and_comes_back(show: Begin, playing: SoundServer, record: Record, outage: Outage) -> None:
    run = show(playing)
    for _ in range(outage.times):
        outage.begins(playing)
        said, running = recovered(run, partial(outage.ends, playing), outage.pause)
    assert_wall_true(run)
    _, counted = accounted(run)
    assert counted["gaps"] == outage.times
    gone = counted["gap_seconds"]
    record(
        outage.fault,
        "what was played meanwhile: "
        + (f"a gap of {gone} s, counted" if outage.times == 1 else f"{outage.times} gaps of {gone} s in all, counted"),
        f"`recovering` after {said:.2f} s",
        f"{running:.2f} s after it is back",
    )


def test_what_is_on_is_switched_off_while_the_input_is_gone(show: Begin, playing: SoundServer) -> None:
    run = show(playing, "--threshold", "0.02", "--smooth", "0")
    playing.stop(signal.SIGKILL)
    run.wait_for_state("recovering")
    run.wait_for(lambda: run.receiver.frames[-1].level == -120, "the frame that lets go")
    on: dict[str, int] = {}
    for _, address, arguments in run.receiver.messages:
        if address.startswith("/streamtag/on/"):
            on[address] = arguments[0]
    assert on
    assert not any(on.values()), "a light that was on stays on"
    assert all(score == 0 for score in run.receiver.of("/streamtag/top")[-1][1::2])
    run.end()


def test_ctrl_c_while_the_server_is_frozen(show: Begin, playing: SoundServer, record: Record) -> None:
    run = show(playing)
    playing.freeze()
    run.wait_for_state("recovering")
    began = time.monotonic()
    outcome, counted = run.end()
    took = time.monotonic() - began
    assert outcome.status == 130
    assert counted["lost"] == 0
    record("Ctrl-C while the sound server is stopped", "nothing", "the summary; status 130", f"ends after {took:.1f} s")


def test_this_program_stopped_for_longer_than_the_server_keeps_samples(
    show: Begin, playing: SoundServer, record: Record
) -> None:
    run = show(playing)
    os.kill(run.running.process.pid, signal.SIGSTOP)
    time.sleep(15)
    os.kill(run.running.process.pid, signal.SIGCONT)
    began = time.monotonic()
    run.wait_for(lambda: run.receiver.state == "running" and run.receiver.of("/streamtag/gaps")[-1][0] == 1, "the gap")
    running = time.monotonic() - began
    run.wait_for_frames(60)
    steady = run.offsets([*run.receiver.frames[:30], *run.receiver.frames[-30:]])
    assert np.ptp(steady) < 0.8
    _, counted = accounted(run)
    assert counted["gaps"] == 1
    record(
        "streamtag itself stopped (SIGSTOP) for 15 s, continued",
        f"a gap of {counted['gap_seconds']} s, counted",
        "`recovering`",
        f"{running:.2f} s after SIGCONT",
    )


def test_a_run_that_ends_while_the_input_is_gone(show: Begin, playing: SoundServer) -> None:
    run = show(playing)
    playing.stop(signal.SIGKILL)
    run.wait_for_state("recovering")
    time.sleep(1)
    _, counted = accounted(run)
    assert counted["gaps"] == 1
    assert counted["gap_seconds"] > 0.9


TWO_SESSIONS = """
import sys, time
import streamtag

host, port = sys.argv[2].rsplit(":", 1)
one = streamtag.live(input="pulse", window=1, sinks=[streamtag.OscSink(host, int(port))])
two = streamtag.live(input="pulse", window=1)
with one, two:
    while min(session.stats.gaps for session in (one, two)) < 4:
        one.wait(0.1) or two.wait(0.1)
    one.wait(4)
for session in (one, two):
    stats = session.stats
    sums = stats.hops + stats.hops_gated + stats.hops_skipped + stats.hops_lost
    print(stats.samples_captured - stats.samples_in, stats.samples_lost, sums - session.tagger.next_index)
"""


def test_two_sessions_of_one_program_recover_beside_each_other(
    show: Begin, playing: SoundServer, record: Record
) -> None:
    """Each restart of PortAudio closes the other's stream, too."""
    run = show(playing, code=TWO_SESSIONS)
    for _ in range(4):
        playing.stop(signal.SIGKILL)
        said, running = recovered(run, playing.start, 1.2)
    outcome = run.running.end(60)
    assert outcome.status == 0, outcome.stderr
    assert outcome.stdout.splitlines() == ["0 0 0"] * 2
    record(
        "sound server killed four times, under two sessions of one program",
        "four gaps each, counted",
        f"`recovering` after {said:.2f} s",
        f"{running:.2f} s after the server",
    )


def test_another_default_device(
    show: Begin, sound_system: Callable[[], SoundServer], song: Path, tmp_path: Path, record: Record
) -> None:
    """The sound server moves streams that follow the default; what is heard next is the new default's sound."""
    server = sound_system()
    try:
        server.env.pop("PULSE_SOURCE")
        server.control("load-module", "module-null-sink", "sink_name=other", "rate=44100", "channels=2")
        quiet = tmp_path / "quiet.wav"
        samples, rate = soundfile.read(song)
        soundfile.write(quiet, samples * 0.01, rate)
        server.control("set-default-source", "music.monitor")
        with server.playing(song):
            player = server.play(quiet, sink="other")
            run = show(server, "--input", "default", "--gate", "off")
            loud = np.median([frame.level for frame in run.receiver.frames[-5:]])
            server.control("set-default-source", "other.monitor")
            took = run.wait_for(lambda: run.receiver.frames[-1].level < loud - 25, "the quiet music")
            _, counted = accounted(run)
            player.kill()
            player.communicate()
    finally:
        server.stop()
    record(
        "default device changed (PulseAudio)",
        "nothing" if not counted["gaps"] else f"a gap of {counted['gap_seconds']} s, counted",
        "nothing: the sound server moves the stream",
        f"heard after {took:.2f} s",
    )


def test_two_instances_on_one_device(show: Begin, playing: SoundServer, record: Record) -> None:
    one, two = show(playing), show(playing)
    one.wait_for_frames(60)
    two.wait_for_frames(60)
    for run in (one, two):
        accounted(run)
    record("two instances on one device", "nothing", "nothing", "both run")


def test_silence_rests_and_opens_at_once(show: Begin, server: SoundServer, song: Path, record: Record) -> None:
    run = show(server, wait=False)
    run.wait_for(lambda: run.receiver.of("/streamtag/rested"), "a status", 60)
    run.wait_for(lambda: run.receiver.of("/streamtag/rested")[-1][0] > 50, "rested hops", 60)
    assert all(score == 0 for score in run.receiver.of("/streamtag/top")[-1][1::2])
    with server.playing(song):
        run.wait_for(lambda: run.receiver.frames[-1].level > -60, "music")
        run.wait_for(lambda: run.receiver.of("/streamtag/top")[-1][1] > 0, "scores")
    _, counted = accounted(run)
    assert counted["hops"] > 0
    assert counted["rested"] > 50
    record("silence", "nothing: hops rest, and are counted", "scores 0", "at the first loud frame")


def test_no_sample_is_lost_while_python_is_held(
    sound_system: Callable[[], SoundServer], compiled: None, record: Record
) -> None:
    """Samples that are their own numbers, through the sound server, while a thread holds Python's lock."""
    heard = ramp.measure("native", 15)
    assert heard["native"]
    assert heard["samples"] > 10 * ramp.RATE
    assert (heard["missing"], heard["backwards"], heard["holes"]) == (0, 0, 0)
    assert (heard["counted_lost"], heard["overflows"]) == (0, 0)
    record(
        "a thread holds Python in slices of 50 ms for 15 s",
        f"0 of {heard['samples']} numbered samples",
        "load; skipped hops",
        "at once",
    )


def test_the_python_callback_delivers_every_sample_too(sound_system: Callable[[], SoundServer], compiled: None) -> None:
    heard = ramp.measure("python", 4, held=False)
    assert not heard["native"]
    assert heard["samples"] > ramp.RATE
    assert (heard["missing"], heard["backwards"], heard["holes"], heard["counted_lost"]) == (0, 0, 0, 0)


@pytest.mark.parametrize("callback", ["python", "native"])
def test_either_callback_recovers(show: Begin, playing: SoundServer, callback: str) -> None:
    run = show(playing, "--callback", callback)
    playing.stop(signal.SIGKILL)
    recovered(run, playing.start, 0.2)
    accounted(run)


A_CLOCK_THAT_JUMPS = """
import sys, threading, time

true_time, jump = time.time, 0
time.time = lambda: true_time() + jump  # as after `date -s`; nobody but the machine's owner can set the real one

def set_the_clock():
    global jump
    jump = 3600

threading.Timer(8, set_the_clock).start()
from streamtag.__main__ import main
sys.argv = ["streamtag", "live", *sys.argv[1:]]
main()
"""


def test_a_clock_that_jumps(show: Begin, playing: SoundServer, record: Record) -> None:
    """The clock on the wall, as Python tells it, is set by an hour; streamtag goes by the monotonic one."""
    run = show(playing, code=A_CLOCK_THAT_JUMPS)
    run.wait_for(lambda: run.receiver.of("/streamtag/time")[-1][0] > time.time() + 3000, "the new time of day")
    run.wait_for_frames(60)
    assert_wall_true(run)
    assert max(frame.latency_ms for frame in run.receiver.frames) < 60_000, "an hour is not in it"
    _, counted = accounted(run)
    assert counted["gaps"] == 0
    record("the clock on the wall is set by an hour", "nothing", "`/streamtag/time` tells the new one", "goes on")


CTRL_C_AT = [round(0.15 * step, 2) for step in range(1, 13)]


def test_ctrl_c_at_each_phase_of_the_start(playing: SoundServer, compiled: None, record: Record) -> None:
    env = os.environ | playing.env
    for seconds in CTRL_C_AT:
        command = [sys.executable, "-c", WITH_SIGNALS, sys.executable, "-m", "streamtag", "live", "--input", "pulse"]
        process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        if "Traceback" in said and "streamtag/__main__" not in said:  # Python is not up yet, and says so at length
            continue
        assert process.returncode in (130, -signal.SIGINT), (seconds, said)  # the latter before Python itself is up
        assert "Traceback" not in said, (seconds, said)
        assert len(said.splitlines()) <= 1, (seconds, said)
    record("Ctrl-C at each phase of the start", "nothing", "nothing, or the summary; status 130", "ends at once")


def test_a_server_that_is_gone_or_frozen_at_the_start(
    start: Callable[..., Running], server: SoundServer, compiled: None, record: Record
) -> None:
    server.freeze()
    frozen = start("live", "--input", "pulse", env=server.env).end(60)
    assert frozen.status == 1
    assert "the sound system has not answered for 10 s" in frozen.message
    server.thaw()
    server.stop()
    gone = start("live", "--input", "pulse", env=server.env).end(60)
    assert gone.status == 1
    record(
        "sound server stopped or gone at the start",
        "nothing",
        "a message that says so; status 1",
        "at the next start",
    )


WITH_A_PLAYER = """
import sys, time
import sounddevice
import streamtag

player = sounddevice.OutputStream(44100, device="pulse", channels=2)  # the program's own, for good
player.start()
host, port = sys.argv[2].rsplit(":", 1)
with streamtag.live(input="pulse", window=1, sinks=[streamtag.OscSink(host, int(port))]) as session:
    while not session.stats.gaps or session.stats.state.value != "running":
        session.wait(0.1)
    session.wait(3)
player.close()
print(session.stats.gaps, session.stats.samples_lost, session.source.note)
"""


def test_other_streams_of_the_program_are_not_left_dangling(show: Begin, playing: SoundServer, record: Record) -> None:
    """PortAudio is not restarted while they are open; the device is found again all the same."""
    run = show(playing, code=WITH_A_PLAYER)
    playing.stop(signal.SIGKILL)
    run.wait_for_state("recovering")
    time.sleep(1.5)  # by now PortAudio would have been restarted
    playing.start()
    outcome = run.running.end(60)
    assert outcome.status == 0, outcome.stderr
    assert outcome.stdout.startswith("1 0 other streams of this program keep PortAudio from"), outcome.stdout
    record(
        "sound server killed, in a program with another stream of sounddevice",
        "a gap, counted",
        "a note",
        "when the server is back; PortAudio is not restarted, and the other stream can be closed",
    )
