"""Sources: a file played by the clock, and devices as PortAudio would tell of them (real ones: test_device.py)."""

from __future__ import annotations

import importlib.abc
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from conftest import wait_until

from streamtag.errors import AudioFileError, DeviceError, OptionError
from streamtag.ringbuffer import RingBuffer
from streamtag.sources import demo_clip, open_source
from streamtag.sources import device as devices
from streamtag.sources.device import DeviceSource, find_device, input_devices, monitor_help
from streamtag.sources.file import FileSource

RATE = 8_000


def write(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    soundfile.write(path, samples, rate, subtype="FLOAT")
    return path


def ramp(samples: int, channels: int = 1) -> np.ndarray:
    """Every sample another value, every channel too."""
    return np.float32((np.arange(samples)[:, None] + 1) / samples / 2 ** np.arange(channels))


def play(source: FileSource, seconds: float = 10) -> RingBuffer:
    """Play to the end."""
    ring = RingBuffer(source.samplerate)
    source.start(ring)
    wait_until(lambda: source.finished, "the end of the file", seconds)
    source.stop()
    return ring


# --- files --------------------------------------------------------------------------------------------------------


def test_a_file_arrives_whole_in_order_and_by_the_clock(tmp_path: Path) -> None:
    samples = ramp(RATE // 2)
    source = FileSource(write(tmp_path / "ramp.wav", samples))
    assert (source.name, source.samplerate, source.finished) == ("ramp.wav", RATE, False)
    ring = RingBuffer(RATE)
    began = time.monotonic()
    source.start(ring)
    heard: list[np.ndarray] = []
    while not source.finished:
        early = ring.written / RATE - (time.monotonic() - began)
        assert early < 0.005, "sound from the future"
        heard.append(ring.read())
        time.sleep(0.01)
    took = time.monotonic() - began
    heard.append(ring.read())
    source.stop()
    np.testing.assert_array_equal(np.concatenate(heard), samples[:, 0])
    assert 0.45 < took < 3
    assert source.error is None
    assert ring.captured_at(len(samples)) == pytest.approx(began + 0.5, abs=0.1)


def test_channels_are_chosen_and_mixed(tmp_path: Path) -> None:
    samples = ramp(400, 4)
    path = write(tmp_path / "four.wav", samples)
    np.testing.assert_array_equal(play(FileSource(path, channels=(2,))).read(), samples[:, 1])
    np.testing.assert_allclose(play(FileSource(path, channels=(4, 1))).read(), samples[:, [0, 3]].mean(axis=1))
    np.testing.assert_allclose(play(FileSource(path)).read(), samples.mean(axis=1), rtol=1e-6)
    with pytest.raises(OptionError, match=r"four\.wav has 4 channels; channel 5 was asked for"):
        FileSource(path, channels=(1, 5))


def test_not_a_number_is_replaced_and_counted(tmp_path: Path) -> None:
    samples = ramp(300)
    samples[[5, 70], 0] = np.nan, np.inf
    ring = play(FileSource(write(tmp_path / "nan.wav", samples)))
    heard = ring.read()
    assert ring.nonfinite == 2
    assert list(heard[[5, 70]]) == [0, 0]
    assert heard[6] == samples[6, 0]


def test_a_loop_starts_again_without_a_gap(tmp_path: Path) -> None:
    samples = ramp(500)
    source = FileSource(write(tmp_path / "loop.wav", samples), loop=True)
    ring = RingBuffer(RATE)
    source.start(ring)
    wait_until(lambda: ring.written > 1600, "three rounds")
    assert not source.finished
    source.stop()
    heard = ring.read()
    np.testing.assert_array_equal(heard, np.resize(samples[:, 0], len(heard)))


def test_a_file_that_changes_its_rate_while_looping_ends_with_its_name(tmp_path: Path) -> None:
    path = write(tmp_path / "changing.wav", ramp(1200))
    source = FileSource(path, loop=True)
    write(tmp_path / "other.wav", ramp(1200), 2 * RATE).replace(path)
    ring = RingBuffer(RATE)
    source.start(ring)
    wait_until(lambda: source.finished, "the end")
    source.stop()
    assert isinstance(source.error, AudioFileError)
    assert "changing.wav: changed from 8000 to 16000 Hz" in str(source.error)


def test_a_file_that_vanishes_while_looping_ends_with_its_name(tmp_path: Path) -> None:
    path = write(tmp_path / "gone.wav", ramp(1200))
    source = FileSource(path, loop=True)
    path.unlink()
    source.start(RingBuffer(RATE))
    wait_until(lambda: source.finished, "the end")
    source.stop()
    assert "gone.wav: no such file" in str(source.error)


def test_stopping_is_quick_and_the_ring_stays_untouched_afterwards(tmp_path: Path) -> None:
    source = FileSource(write(tmp_path / "long.wav", ramp(60 * RATE)))
    ring = RingBuffer(RATE)
    source.start(ring)
    wait_until(lambda: ring.written, "sound")
    began = time.monotonic()
    source.stop()
    source.stop()
    assert time.monotonic() - began < 1
    written = ring.written
    time.sleep(0.05)
    assert ring.written == written
    assert not [thread for thread in threading.enumerate() if thread.name == "streamtag-file"]


def test_stop_before_start_lets_go_of_the_file(tmp_path: Path) -> None:
    source = FileSource(write(tmp_path / "a.wav", ramp(100)))
    source.stop()
    assert not source.finished


# --- what a user calls it -----------------------------------------------------------------------------------------


def test_sources_by_what_a_user_calls_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, portaudio: SimpleNamespace
) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("Scarlett.wav"), ramp(100)).rename("Scarlett")
    for given, name in (("demo", "demo.ogg"), ("Scarlett", "Scarlett"), ("2", "USB Mixer"), (2, "USB Mixer")):
        source = open_source(given)
        assert source.name == name
        source.stop()
    for missing in ("no/such", "such.wav", "SUCH.FLAC", "set.aiff"):
        with pytest.raises(AudioFileError, match="no such file"):
            open_source(missing)
    with pytest.raises(DeviceError, match="no input is called 'such'"):
        open_source("such")
    assert demo_clip().is_file()


# --- devices ------------------------------------------------------------------------------------------------------


class FakeStream:
    """Takes what sounddevice.InputStream takes."""

    last: FakeStream
    refusal: Exception | None = None

    def __init__(self, **options: object) -> None:
        if self.refusal:
            raise self.refusal
        self.options = options
        self.state = "made"
        FakeStream.last = self

    def start(self) -> None:
        self.state = "started"

    def close(self, ignore_errors: bool) -> None:
        self.state = "closed"


class PortAudioError(Exception):
    pass


@pytest.fixture
def portaudio(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A PortAudio with five devices, of which four are inputs."""
    listed = [
        ("HDMI Output", 0, 48_000.0),
        ("USB Mixer Pro", 8, 96_000.0),
        ("USB Mixer", 4, 44_100.0),
        ("Built-in Mic", 1, 48_000.0),
        ("default", 32, 44_100.0),
    ]
    fake = SimpleNamespace(
        PortAudioError=PortAudioError,
        InputStream=FakeStream,
        default=SimpleNamespace(device=[4, 0]),
        query_hostapis=lambda: [{"name": "ALSA"}],
        query_devices=lambda: [
            {"name": name, "hostapi": 0, "max_input_channels": channels, "default_samplerate": rate}
            for name, channels, rate in listed
        ],
    )
    monkeypatch.setattr(devices, "_sounddevice", lambda: fake)
    monkeypatch.setattr(FakeStream, "refusal", None)
    return fake


def test_only_inputs_are_listed_under_portaudios_own_numbers(portaudio: SimpleNamespace) -> None:
    found = input_devices()
    assert [(device.index, device.name) for device in found] == [
        (1, "USB Mixer Pro"),
        (2, "USB Mixer"),
        (3, "Built-in Mic"),
        (4, "default"),
    ]
    assert (found[0].host, found[0].channels, found[0].samplerate) == ("ALSA", 8, 96_000)
    assert [device.default for device in found] == [False, False, False, True]


@pytest.mark.parametrize(
    ("given", "index"),
    [("default", 4), ("1", 1), (3, 3), ("USB Mixer", 2), ("usb mixer pro", 1), ("built", 3), (" Mic ", 3), ("PRO", 1)],
)
def test_a_device_by_index_exact_name_or_part(portaudio: SimpleNamespace, given: str | int, index: int) -> None:
    assert find_device(given).index == index


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("mixer", "several inputs match 'mixer': 1 'USB Mixer Pro', 2 'USB Mixer'"),
        ("Built-in Mike", "no input is called 'Built-in Mike'. Did you mean 3 'Built-in Mic'?"),
        ("zzz", "no input is called 'zzz'. There are: 1 'USB Mixer Pro', 2 'USB Mixer', 3"),
        ("0", "no input is called '0'"),
        ("17", "no input is called '17'"),
        ("-1", "no input is called '-1'"),
    ],
)
def test_a_device_that_is_none_or_several(portaudio: SimpleNamespace, given: str, said: str) -> None:
    with pytest.raises(DeviceError) as caught:
        find_device(given)
    assert said in str(caught.value)


def test_without_any_input_the_message_says_what_works(portaudio: SimpleNamespace) -> None:
    portaudio.query_devices = lambda: []
    with pytest.raises(DeviceError, match="no sound input on this machine, so none called 'Mic'") as caught:
        find_device("Mic")
    assert "--input demo" in str(caught.value)
    with pytest.raises(DeviceError, match=r"no sound input on this machine\."):
        find_device("default")


def test_a_sound_system_that_does_not_answer(portaudio: SimpleNamespace) -> None:
    def fail() -> None:
        raise PortAudioError("host error")

    portaudio.query_devices = fail
    with pytest.raises(DeviceError, match="the sound system does not answer: host error"):
        input_devices()


@pytest.mark.parametrize(
    ("channels", "opened", "heard"),
    [(None, 2, (0, 1)), ((1,), 1, (0,)), ((3,), 3, (2,)), ((4, 2), 4, (1, 3)), ((1, 2, 3, 4), 4, (0, 1, 2, 3))],
)
def test_the_chosen_channels_are_recorded(
    portaudio: SimpleNamespace, channels: tuple[int, ...] | None, opened: int, heard: tuple[int, ...]
) -> None:
    source = DeviceSource("2", channels=channels)
    ring = RingBuffer(source.samplerate)
    source.start(ring)
    stream = FakeStream.last
    assert stream.state == "started"
    wanted = {"device": 2, "samplerate": 44_100, "channels": opened, "dtype": "float32"}
    assert wanted.items() <= stream.options.items()
    block = np.random.default_rng(1).normal(size=(300, opened)).astype(np.float32)
    block[7, heard[0]] = np.nan
    times = SimpleNamespace(currentTime=0.0, inputBufferAdcTime=0.0)
    stream.options["callback"](block, len(block), times, SimpleNamespace(input_overflow=False))
    block[7, heard[0]] = 0
    np.testing.assert_allclose(ring.read(), block[:, list(heard)].mean(axis=1), rtol=1e-5, atol=1e-7)
    assert ring.nonfinite == 1
    source.stop()
    assert stream.state == "closed"
    assert source.error is None


def test_a_mono_device_is_opened_in_mono_and_other_channels_are_refused(portaudio: SimpleNamespace) -> None:
    source = DeviceSource("built")
    source.start(RingBuffer(source.samplerate))
    assert FakeStream.last.options["channels"] == 1
    source.stop()
    with pytest.raises(OptionError, match="'Built-in Mic' has 1 channels; channel 2 was asked for"):
        DeviceSource("built", channels=(1, 2))


def test_the_capture_time_is_that_of_the_blocks_last_sample(
    portaudio: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = DeviceSource("2")
    ring = RingBuffer(source.samplerate)
    source.start(ring)
    callback = FakeStream.last.options["callback"]
    fine = SimpleNamespace(input_overflow=False)
    block = np.zeros((441, 2), np.float32)
    monkeypatch.setattr("streamtag.sources.device.time.monotonic", lambda: 500.0)
    # its first sample was captured 30 ms ago, so its last one 20 ms ago
    callback(block, 441, SimpleNamespace(currentTime=7.03, inputBufferAdcTime=7.0), fine)
    assert ring.captured_at(441) == pytest.approx(500 - 0.020)
    # a host that gives no capture time
    callback(block, 441, SimpleNamespace(currentTime=9999.0, inputBufferAdcTime=0.0), fine)
    assert ring.captured_at(882) == pytest.approx(500)
    assert ring.overflows == 0
    callback(block, 441, SimpleNamespace(currentTime=0, inputBufferAdcTime=0), SimpleNamespace(input_overflow=True))
    assert ring.overflows == 1
    source.stop()


def test_a_block_larger_than_expected_is_taken_whole(portaudio: SimpleNamespace) -> None:
    source = DeviceSource("2")
    ring = RingBuffer(source.samplerate)
    source.start(ring)
    block = np.ones((70_000, 2), np.float32)
    times = SimpleNamespace(currentTime=0.0, inputBufferAdcTime=0.0)
    FakeStream.last.options["callback"](block, len(block), times, SimpleNamespace(input_overflow=False))
    assert ring.written == 70_000
    source.stop()


def test_a_device_that_cannot_be_opened_is_named(portaudio: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeStream, "refusal", PortAudioError("Device unavailable"))
    source = DeviceSource("2")
    with pytest.raises(DeviceError, match="'USB Mixer' cannot be opened at 44100 Hz: Device unavailable"):
        source.start(RingBuffer(source.samplerate))
    source.stop()


def test_a_stream_that_ends_by_itself_is_an_error_one_that_is_stopped_is_not(portaudio: SimpleNamespace) -> None:
    source = DeviceSource("2")
    source.start(RingBuffer(source.samplerate))
    assert not source.finished
    FakeStream.last.options["finished_callback"]()
    assert source.finished
    assert "'USB Mixer' stopped delivering sound" in str(source.error)
    source.stop()
    source = DeviceSource("2")
    source.start(RingBuffer(source.samplerate))
    source.stop()
    FakeStream.last.options["finished_callback"]()
    assert source.error is None


@pytest.mark.parametrize(
    ("platform", "said"), [("linux", "apt-get install libportaudio2"), ("darwin", "brew install portaudio")]
)
def test_without_portaudio_the_message_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, platform: str, said: str
) -> None:
    class NoPortAudio(importlib.abc.MetaPathFinder):
        def find_spec(self, name: str, path: object, target: object = None) -> None:
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [NoPortAudio(), *sys.meta_path])
    monkeypatch.setattr(sys, "platform", platform)
    with pytest.raises(DeviceError, match="PortAudio is missing or does not start") as caught:
        find_device("default")
    assert said in str(caught.value)


def test_how_to_hear_the_machine_itself_is_told_for_each_system(monkeypatch: pytest.MonkeyPatch) -> None:
    for platform, said in (("linux", "PULSE_SOURCE"), ("darwin", "BlackHole"), ("win32", "VB-Cable"), ("bsd", "pactl")):
        monkeypatch.setattr(sys, "platform", platform)
        assert said in monitor_help()
