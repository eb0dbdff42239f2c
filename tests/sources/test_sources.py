"""Sources: a file played by the clock, and of devices what no real one shows on request (those: test_device.py)."""

from __future__ import annotations

import gc
import importlib.abc
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

import streamtag
from streamtag.errors import AudioFileError, DeviceError, OptionError
from streamtag.ringbuffer import RingBuffer
from streamtag.sources import capture as devices
from streamtag.sources import listing, portaudio
from streamtag.sources.device import DeviceSource, monitor_help
from streamtag.sources.file import FileSource
from streamtag.sources.listing import find_device
from streamtag.sources.names import Device
from streamtag.sources.opening import DEMO, demo_clip, open_source
from streamtag.sources.traces import trace, traces
from tests.support.waiting import wait_until

RATE = 8_000


def write(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    soundfile.write(path, samples, rate, subtype="FLOAT")
    return path


def ramp(samples: int, channels: int = 1) -> np.ndarray:
    """Every sample another value, every channel too."""
    return ((np.arange(samples)[:, None] + 1) / samples / 2 ** np.arange(channels)).astype(np.float32)


def heard(ring: RingBuffer) -> np.ndarray:
    """What waits in a ring that has lost nothing."""
    pieces = ring.read()
    assert not any(piece.lost for piece in pieces)
    return np.concatenate([piece.samples for piece in pieces] or [np.empty(0, np.float32)])


def played(source: FileSource) -> np.ndarray:
    """Play to the end."""
    source.start()
    wait_until(lambda: source.finished, "the end of the file")
    source.stop()
    assert source.error is None
    return heard(source.ring)


# --- files --------------------------------------------------------------------------------------------------------


def test_a_file_arrives_whole_in_order_and_by_the_clock(tmp_path: Path) -> None:
    samples = ramp(RATE // 2)
    source = FileSource(write(tmp_path / "ramp.wav", samples))
    assert (source.name, source.samplerate, source.finished) == ("ramp.wav", RATE, False)
    assert (source.ring.samplerate, source.ring.channels, source.recovering) == (RATE, 1, None)
    ring, began = source.ring, time.monotonic()
    source.start()
    parts: list[np.ndarray] = []
    while not source.finished:
        parts.append(heard(ring))
        # never from the future; late only as far as this machine is
        assert began + ring.read_position / RATE <= time.monotonic() + 0.001
        time.sleep(0.01)
    parts.append(heard(ring))
    source.stop()
    np.testing.assert_array_equal(np.concatenate(parts), samples[:, 0])
    assert source.ring is ring
    assert source.error is None
    assert ring.captured_at(len(samples)) == pytest.approx(began + 0.5, abs=0.1)
    assert ring.block_sizes == (80, 80)


def test_channels_are_chosen_and_mixed(tmp_path: Path) -> None:
    samples = ramp(400, 4)
    path = write(tmp_path / "four.wav", samples)
    np.testing.assert_array_equal(played(FileSource(path, channels=(2,))), samples[:, 1])
    np.testing.assert_allclose(played(FileSource(path, channels=(4, 1))), samples[:, [0, 3]].mean(axis=1))
    np.testing.assert_allclose(played(FileSource(path)), samples.mean(axis=1), rtol=1e-6)
    with pytest.raises(OptionError, match=r"four\.wav has 4 channels; channel 5 was asked for"):
        FileSource(path, channels=(1, 5))


@pytest.mark.parametrize("channels", [(0,), (-1, 1), (1,) * 33, (), 2, "1,2", (1.0,)])
def test_a_file_whose_channels_cannot_be_heard_is_closed(tmp_path: Path, channels: Any) -> None:
    with pytest.raises(OptionError, match="cannot be heard"):
        FileSource(write(tmp_path / "mono.wav", ramp(400)), channels=channels)
    gc.collect()  # a file that was left open is an error now


def test_not_a_number_is_replaced_and_counted(tmp_path: Path) -> None:
    samples = ramp(300)
    samples[[5, 70], 0] = np.nan, np.inf
    source = FileSource(write(tmp_path / "nan.wav", samples))
    came = played(source)
    assert source.ring.nonfinite == 2
    assert list(came[[5, 70]]) == [0, 0]
    assert came[6] == samples[6, 0]


def test_a_loop_starts_again_without_a_gap(tmp_path: Path) -> None:
    samples = ramp(500)
    source = FileSource(write(tmp_path / "loop.wav", samples), loop=True)
    source.start()
    wait_until(lambda: source.ring.written > 1600, "three rounds")
    assert not source.finished
    source.stop()
    came = heard(source.ring)
    np.testing.assert_array_equal(came, np.resize(samples[:, 0], len(came)))


def test_a_file_that_changes_its_rate_while_looping_ends_with_its_name(tmp_path: Path) -> None:
    path = write(tmp_path / "changing.wav", ramp(1200))
    source = FileSource(path, loop=True)
    write(tmp_path / "other.wav", ramp(1200), 2 * RATE).replace(path)
    source.start()
    wait_until(lambda: source.finished, "the end")
    source.stop()
    assert isinstance(source.error, AudioFileError)
    assert "changing.wav: changed from 8000 to 16000 Hz" in str(source.error)


def test_a_file_that_changes_its_channels_while_looping_ends_with_its_name(tmp_path: Path) -> None:
    path = write(tmp_path / "changing.wav", ramp(1200))
    source = FileSource(path, loop=True)
    write(tmp_path / "other.wav", ramp(1200, 2)).replace(path)
    source.start()
    wait_until(lambda: source.finished, "the end")
    source.stop()
    assert isinstance(source.error, AudioFileError)
    assert "changing.wav: changed from 1 to 2 channels" in str(source.error)
    np.testing.assert_array_equal(heard(source.ring), ramp(1200)[:, 0])


def test_a_file_that_vanishes_while_looping_ends_with_its_name(tmp_path: Path) -> None:
    path = write(tmp_path / "gone.wav", ramp(1200))
    source = FileSource(path, loop=True)
    path.unlink()
    source.start()
    wait_until(lambda: source.finished, "the end")
    source.stop()
    assert "gone.wav: no such file" in str(source.error)


def test_the_ring_stays_untouched_after_a_stop(tmp_path: Path) -> None:
    source = FileSource(write(tmp_path / "long.wav", ramp(60 * RATE)))
    source.start()
    wait_until(lambda: source.ring.written, "sound")
    source.stop()
    source.stop()
    before = source.ring.memory.copy()
    time.sleep(0.05)
    np.testing.assert_array_equal(source.ring.memory, before)
    assert source.ring.written < 30 * RATE, "it does not play to its end first"
    assert not [thread for thread in threading.enumerate() if thread.name == "streamtag-file"]


def test_stop_before_start_lets_go_of_the_file(tmp_path: Path) -> None:
    source = FileSource(write(tmp_path / "a.wav", ramp(100)))
    source.stop()
    assert not source.finished


# --- what a user calls it -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("sound")
def test_sources_by_what_a_user_calls_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("Scarlett.wav"), ramp(100)).rename("Scarlett")
    for given, name in (("demo", DEMO), ("Scarlett", "Scarlett"), ("2", "USB Mixer"), (2, "USB Mixer")):
        source = open_source(given)
        assert source.name == name
        source.stop()
    for missing in ("no/such", "such.wav", "SUCH.FLAC", "set.aiff"):
        with pytest.raises(AudioFileError, match="no such file"):
            open_source(missing)
    with pytest.raises(AudioFileError, match="a folder"):
        open_source(".")
    with pytest.raises(DeviceError, match="no input is called 'such'"):
        open_source("such")
    assert demo_clip().is_file()


@pytest.mark.usefixtures("sound")
def test_in_python_a_source_is_also_a_path_or_one_of_the_devices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("a.wav"), ramp(100)).rename("2")
    for device in streamtag.devices():
        source = open_source(device)
        assert (source.name, source.ring.samplerate) == (device.name, device.samplerate)
        source.stop()
    source = open_source(Path("2"))
    assert source.name == "2"
    source.stop()
    with pytest.raises(AudioFileError, match="no such file"):
        open_source(Path("USB Mixer"))


def test_devices_come_before_files_that_are_called_so(
    sound: Sound, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sound.listed += [("USB: Analog 1/2 (hw:1,0)", "ALSA", 2, 48_000.0), ("/dev/null", "ALSA", 2, 48_000.0)]
    for name in ("default", "USB Mixer", "2", "Analog"):
        Path(name).mkdir()
    write(Path("mixer.wav"), ramp(100))
    write(Path("a.wav"), ramp(100)).rename("built")
    for given, name in (
        ("default", "default"),
        ("USB Mixer", "USB Mixer"),
        ("usb mixer", "USB Mixer"),
        ("USB Mixer, ALSA", "USB Mixer"),
        ("2", "USB Mixer"),
        ("Analog 1/2", "USB: Analog 1/2 (hw:1,0)"),
        ("/dev/null", "/dev/null"),
        ("mixer.wav", "mixer.wav"),
        ("built", "built"),  # only a part of a device's name, and all of a file's
        ("./built", "built"),
        (str(tmp_path / "built"), "built"),
    ):
        source = open_source(given)
        assert source.name == name
        source.stop()
    for folder in ("./default", "Analog", "..", str(tmp_path)):
        with pytest.raises(AudioFileError, match="a folder"):
            open_source(folder)
    with pytest.raises(AudioFileError, match=r"Analog 3/4: no such file, and no input is called so"):
        open_source("Analog 3/4")
    with pytest.raises(DeviceError, match=r"no input is called 'such'.*; nor is there such a file"):
        open_source("such")
    with pytest.raises(DeviceError, match="several inputs match 'usb mix'"):
        open_source("usb mix")
    for nonsense in ("", " ", "x" * 5000, "a/" + "x" * 5000, "/" + "x" * 5000, "nul\0", "~nobody/x"):
        with pytest.raises((DeviceError, AudioFileError)):
            open_source(nonsense)


def test_without_a_sound_system_files_are_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise DeviceError("PortAudio is missing")

    monkeypatch.setattr(portaudio, "library", missing)
    monkeypatch.chdir(tmp_path)
    write(Path("a.wav"), ramp(100)).rename("song")
    source = open_source("song")
    source.stop()
    assert source.name == "song"
    with pytest.raises(AudioFileError, match=r"a\.wav: no such file; nor an input, as far as can be told: Port"):
        open_source("a.wav")
    for given in ("default", "Scarlett", 3):
        with pytest.raises(DeviceError, match=r"^PortAudio is missing$"):
            open_source(given)


def test_options_reach_the_source(sound: Sound) -> None:
    source = open_source("demo", channels=(2,), loop=True)
    assert source.ring.channels == 2
    source.stop()
    source = open_source("USB Mixer", channels=(3,), callback="python")
    assert isinstance(source, DeviceSource)
    assert (source.native, source.ring.channels) == (False, 4)
    with pytest.raises(OptionError, match="the callback 'rust': auto, native, python are known"):
        open_source("USB Mixer", callback="rust")  # type: ignore[arg-type] # refused is what no checker would pass


# --- which device -------------------------------------------------------------------------------------------------

INPUTS = [
    Device(1, "USB Mixer Pro", "ALSA", 8, 96_000, False),
    Device(2, "USB Mixer", "ALSA", 4, 44_100, False),
    Device(3, "Built-in Mic", "ALSA", 1, 48_000, False),
    Device(4, "default", "ALSA", 32, 44_100, True),
]


# --- PortAudio's thread -------------------------------------------------------------------------------------------


def test_calls_run_in_order_on_one_thread_that_is_not_the_callers() -> None:
    done: list[int] = []
    threads = set()

    def job(number: int) -> Callable[[], int]:
        def run() -> int:
            done.append(number)
            threads.add(threading.get_ident())
            return number

        return run

    futures = [portaudio.begin(job(number)) for number in range(50)]
    assert portaudio.call(job(50)) == 50
    assert done == list(range(51))
    assert [future.result() for future in futures] == list(range(50))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


@pytest.mark.parametrize("error", [ValueError("mine"), TimeoutError("mine too"), SystemExit(3), DeviceError("ours")])
def test_an_error_is_raised_where_it_is_waited_for_and_ends_nothing(error: BaseException) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        portaudio.call(fail)
    assert caught.value is error
    assert portaudio.call(lambda: "alive") == "alive"


@pytest.fixture
def hanging() -> Iterator[threading.Event]:
    """A sound system that does not answer, until the event is set."""
    answers = threading.Event()
    yield answers
    answers.set()
    portaudio.call(lambda: None)


def test_a_sound_system_that_hangs_is_said_to_and_what_has_not_begun_never_runs(hanging: threading.Event) -> None:
    ran = []
    for function in (lambda: hanging.wait(30), lambda: ran.append("late")):
        with pytest.raises(DeviceError, match=r"the sound system has not answered for 0\.05 s"):
            portaudio.call(function, 0.05)
    hanging.set()
    assert portaudio.call(lambda: "again") == "again"
    assert ran == []


def test_what_jack_left_behind_is_named(tmp_path: Path) -> None:
    """A half-made Berkeley DB of JACK's, in whose opening every client of JACK waits for ever."""
    assert portaudio.remains_of_jack(tmp_path) == ""
    left = tmp_path / f"jack_db-{os.getuid()}"
    left.mkdir()
    assert portaudio.remains_of_jack(tmp_path).endswith(f"may be why: remove {left}")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_fork_of_a_process_that_uses_portaudio_is_told() -> None:
    code = """
import os
from streamtag.errors import DeviceError
from streamtag.sources import listing, portaudio

portaudio.call(lambda: None)
child = os.fork()
try:
    portaudio.call(lambda: None)
    status = 1
except DeviceError as error:
    status = 2 if "before this process was forked" in str(error) else 3
if not child:
    os._exit(status)
print(status, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    run = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code], capture_output=True, text=True, timeout=60
    )
    assert run.stdout == "1 2\n", run.stderr


# --- a library that does as it is told ----------------------------------------------------------------------------


class PortAudioError(Exception):
    pass


class Stream:
    """Takes what sounddevice.InputStream takes."""

    opened: list[Stream]
    refusals: list[Exception]
    closing: threading.Event
    clock: Callable[[], float]
    _blocksize: int
    _ptr: object

    def __init__(self, **options: Any) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.options = options
        self.state = "made"
        self.opened.append(self)

    @property
    def time(self) -> float:
        return type(self).clock()

    def start(self) -> None:
        self.state = "started"

    def close(self, ignore_errors: bool) -> None:
        self.closing.wait(30)
        self.state = "closed"

    def deliver(self, block: np.ndarray, captured: float = 0.0, now: float = 0.0, overflow: bool = False) -> None:
        times = SimpleNamespace(inputBufferAdcTime=captured, currentTime=now)
        self.options["callback"](block, len(block), times, SimpleNamespace(input_overflow=overflow))


class Sound:
    """A PortAudio with an output and four inputs; `listed` can be changed."""

    def __init__(self) -> None:
        self.listed: list[tuple[str | bytes, str, int, float]] = [("HDMI Output", "ALSA", 0, 48_000.0)]
        self.listed += [(device.name, device.host, device.channels, float(device.samplerate)) for device in INPUTS]
        self.restarts = 0
        self.default = SimpleNamespace(device=[4, 0])
        self.PortAudioError, self.InputStream, self._StreamBase = PortAudioError, Stream, Stream
        self._ffi = SimpleNamespace(NULL=None, string=lambda name: name)
        self._lib = SimpleNamespace(
            Pa_GetDeviceCount=lambda: len(self.listed), Pa_GetDeviceInfo=lambda index: self._info(*self.listed[index])
        )
        self._terminate = lambda: None
        self._initialized = 1

    def _initialize(self) -> None:
        self.restarts += 1

    def query_hostapis(self) -> list[dict[str, str]]:
        return [{"name": "ALSA"}, {"name": "JACK"}]

    query_devices = None  # sounddevice's, which fails for names that are not UTF-8

    def _info(self, name: str | bytes, host: str, channels: int, rate: float) -> SimpleNamespace:
        return SimpleNamespace(
            name=name if isinstance(name, bytes) else name.encode(),
            hostApi=["ALSA", "JACK"].index(host),
            maxInputChannels=channels,
            defaultSampleRate=rate,
        )


@pytest.fixture
def sound(monkeypatch: pytest.MonkeyPatch) -> Sound:
    fake = Sound()
    monkeypatch.setattr(portaudio, "library", lambda: fake)
    for name, value in (("opened", []), ("refusals", []), ("closing", threading.Event()), ("clock", lambda: 0.0)):
        monkeypatch.setattr(Stream, name, value, raising=False)
    Stream.closing.set()
    return fake


@pytest.fixture
def record(sound: Sound) -> Iterator[Callable[..., DeviceSource]]:
    """Starts recording with the callback in Python, which a test can call; stops at the end."""
    started: list[DeviceSource] = []

    def begin(given: str | int, **options: Any) -> DeviceSource:
        started.append(DeviceSource(given, callback="python", **options))
        started[-1].start()
        return started[-1]

    yield begin
    Stream.closing.set()
    for source in started:
        source.stop()


@pytest.mark.usefixtures("sound")
def test_only_inputs_are_listed_under_portaudios_own_numbers() -> None:
    assert listing.devices() == INPUTS
    assert find_device("built") == INPUTS[2]


def test_a_host_that_does_not_answer_is_said(sound: Sound, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise PortAudioError("host error")

    monkeypatch.setattr(sound, "query_hostapis", fail)
    with pytest.raises(DeviceError, match="the sound system does not answer: host error"):
        listing.devices()


@pytest.mark.parametrize(
    ("channels", "opened", "chosen"),
    [(None, 4, (0, 1)), ((1,), 4, (0,)), ((3,), 4, (2,)), ((4, 2), 4, (1, 3)), ((1, 2, 3, 4), 4, (0, 1, 2, 3))],
)
def test_the_chosen_channels_are_recorded(
    record: Callable[..., DeviceSource], channels: tuple[int, ...] | None, opened: int, chosen: tuple[int, ...]
) -> None:
    source = record("2", channels=channels)
    (stream,) = Stream.opened
    assert stream.state == "started"
    wanted = {"device": 2, "samplerate": 44_100, "channels": opened, "dtype": "float32"}
    assert wanted.items() <= stream.options.items()
    block = np.random.default_rng(1).normal(size=(300, opened)).astype(np.float32)
    block[7, chosen[0]] = np.nan
    stream.deliver(block)
    block[7, chosen[0]] = 0
    np.testing.assert_allclose(heard(source.ring), block[:, list(chosen)].mean(axis=1), rtol=1e-5, atol=1e-7)
    assert source.ring.nonfinite == 1
    source.stop()
    assert stream.state == "closed"
    assert (source.error, source.recovering, source.ring.successor) == (None, None, None)


def test_several_pairs_of_one_device_open_it_once(sound: Sound) -> None:
    first = DeviceSource("2", channels=(1, 2), callback="python")
    second = first.beside((4,))
    third = open_source("2", channels=(3,), callback="python", beside=[first])
    assert isinstance(third, DeviceSource)
    sources = {first: [0, 1], second: [3], third: [2]}
    for source in sources:
        source.start()
    [stream] = Stream.opened
    assert stream.options["channels"] == 4
    block = np.random.default_rng(1).normal(size=(300, 4)).astype(np.float32)
    stream.deliver(block)
    for source, chosen in sources.items():
        np.testing.assert_allclose(heard(source.ring), block[:, chosen].mean(axis=1), rtol=1e-5, atol=1e-7)
    first.stop()
    stream.deliver(block)
    assert (first.ring.offered, second.ring.offered) == (300, 600), "one that has ended gets nothing and loses nothing"
    rings = [source.ring for source in sources]
    stream.options["finished_callback"]()
    wait_until(lambda: len(Stream.opened) == 2 and second.recovering is None, "the device")
    assert [ring.successor for ring in rings] == [source.ring for source in sources]
    Stream.opened[1].deliver(block)
    np.testing.assert_allclose(heard(third.ring), block[:, 2])
    with pytest.raises(OptionError, match="is heard already"):
        second.beside((1,))
    second.stop()
    assert Stream.opened[1].state == "started"
    third.stop()
    third.stop()
    assert Stream.opened[1].state == "closed"


def test_a_pair_that_there_is_not_harms_no_other(sound: Sound) -> None:
    first = DeviceSource("2", channels=(1,), callback="python")
    with pytest.raises(OptionError, match="channel 9 was asked for"):
        first.beside((9,))
    first.start()
    Stream.opened[0].deliver(np.ones((10, 4), np.float32))
    assert len(heard(first.ring)) == 10
    first.stop()


def test_a_device_that_does_not_give_all_channels_is_asked_for_those_that_are_needed(sound: Sound) -> None:
    first = DeviceSource("2", channels=(1,), callback="python")
    second = first.beside((3,))
    Stream.refusals.append(PortAudioError("Invalid number of channels"))
    first.start()
    second.start()
    assert Stream.opened[-1].options["channels"] == 3
    block = np.random.default_rng(1).normal(size=(30, 3)).astype(np.float32)
    Stream.opened[-1].deliver(block)
    np.testing.assert_allclose(heard(first.ring), block[:, 0])
    np.testing.assert_allclose(heard(second.ring), block[:, 2])
    first.stop()
    second.stop()


def test_a_mono_device_is_opened_in_mono_and_other_channels_are_refused(record: Callable[..., DeviceSource]) -> None:
    record("built")
    assert Stream.opened[0].options["channels"] == 1
    with pytest.raises(OptionError, match="'Built-in Mic' has 1 channels; channel 2 was asked for"):
        DeviceSource("built", channels=(1, 2))


def test_a_device_that_cannot_be_opened_is_named(record: Callable[..., DeviceSource]) -> None:
    Stream.refusals.append(PortAudioError("Device unavailable"))
    with pytest.raises(DeviceError, match="'USB Mixer' cannot be opened at 44100 Hz: Device unavailable"):
        record("2")


def test_capture_times_are_told_on_our_clock(
    monkeypatch: pytest.MonkeyPatch, record: Callable[..., DeviceSource]
) -> None:
    monkeypatch.setattr(Stream, "clock", lambda: time.monotonic() - 500)
    source = record("2")
    (stream,) = Stream.opened
    began, block = time.monotonic() - 500, np.zeros((4410, 4), np.float32)
    for turn in range(40):  # each 130 ms after its first sample was captured, 30 after its last
        stream.deliver(block, began + turn / 10, began + turn / 10 + 0.130)
        source.ring.read()
    assert source.ring.captured_at(39 * 4410) == pytest.approx(began + 500 + 3.9, abs=1e-3)
    assert source.ring.arrived_at(40 * 4410) == pytest.approx(began + 500 + 4.03, abs=1e-3)
    assert source.ring.overflows == 0
    stream.deliver(block, overflow=True)
    assert source.ring.overflows == 1


def test_a_host_without_a_clock_is_taken_at_its_word_for_nothing(record: Callable[..., DeviceSource]) -> None:
    source = record("2")
    before = time.monotonic()
    Stream.opened[0].deliver(np.zeros((4410, 4), np.float32))
    source.ring.read()
    assert source.ring.clock_offset == 0
    assert before - 0.1 <= source.ring.captured_at(0) <= time.monotonic() - 0.1


def test_a_device_that_comes_back_as_another_is_found_by_its_name(
    sound: Sound, record: Callable[..., DeviceSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = record("2")
    first = source.ring
    Stream.opened[0].deliver(np.ones((10, 4), np.float32))
    before = first.memory.copy()
    sound.listed[1:] = [("USB Mixer Pro", "ALSA", 8, 96_000.0), ("Other", "ALSA", 2, 48_000.0)]
    Stream.opened[0].options["finished_callback"]()
    wait_until(lambda: sound.restarts, "PortAudio to be asked again")
    assert source.recovering is not None
    assert "no input is called 'USB Mixer' any more" in source.recovering, "what is number 2 now is not heard"
    assert source.recovering.startswith("stopped: unplugged")
    assert (source.finished, source.error) == (False, None)
    Stream.refusals.append(PortAudioError("not yet"))
    sound.listed += [("USB Mixer", "JACK", 4, 32_000.0), ("USB Mixer", "ALSA", 4, 32_000.0)]
    wait_until(lambda: source.recovering is None, "the device")
    assert not Stream.refusals
    assert first.successor is source.ring, "one recovery, and no ring in between"
    assert (source.ring.samplerate, source.ring.successor) == (32_000, None)
    assert [stream.options["device"] for stream in Stream.opened] == [2, 4]
    assert [stream.state for stream in Stream.opened] == ["closed", "started"]
    Stream.opened[1].deliver(np.ones((10, 4), np.float32))
    assert len(heard(source.ring)) == 10
    before[first.memory != before] = 1  # that it has ended is all that was written to it
    np.testing.assert_array_equal(first.memory, before)


@pytest.mark.slow
def test_whatever_goes_wrong_in_recovery_is_told_and_tried_again(
    sound: Sound, record: Callable[..., DeviceSource]
) -> None:
    source = record("2")
    Stream.opened[0].deliver(np.ones((10, 4), np.float32))
    wrong = [
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "odd"),
        OSError(30, "Read-only file system"),
        MemoryError(),
        KeyError(7),
    ]
    said: set[str] = set()
    Stream.refusals += wrong
    Stream.opened[0].options["finished_callback"]()

    def back() -> bool:
        said.update(filter(None, [source.recovering]))
        return source.recovering is None and source.ring.successor is None and len(Stream.opened) == 2

    wait_until(back, "the device")
    assert source.error is None
    assert any("'utf-8' codec can't decode" in text for text in said)
    assert any("trying again: OSError: [Errno 30] Read-only file system" in text for text in said)
    assert any("trying again: KeyError: 7" in text for text in said)


def test_a_stream_that_cannot_even_be_closed_is_left_behind(
    sound: Sound, record: Callable[..., DeviceSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = record("2")

    def fail(stream: Stream, ignore_errors: bool) -> None:
        raise OSError("broken")

    with monkeypatch.context() as patch:
        patch.setattr(Stream, "close", fail)
        Stream.opened[0].options["finished_callback"]()
        wait_until(lambda: len(Stream.opened) == 2 and source.recovering is None, "the device")
    assert source.error is None


def test_a_device_by_index_comes_back_under_another_card_number(
    sound: Sound, record: Callable[..., DeviceSource]
) -> None:
    sound.listed = [("HDA (hw:0,0)", "ALSA", 2, 48_000.0), ("USB Mic: Audio (hw:1,0)", "ALSA", 1, 44_100.0)]
    source = record("1")
    assert source.name == "USB Mic: Audio (hw:1,0)"
    sound.listed[1:] = [("HDMI (hw:1,0)", "ALSA", 2, 48_000.0), ("USB Mic: Audio (hw:2,0)", "ALSA", 1, 44_100.0)]
    Stream.opened[0].options["finished_callback"]()
    wait_until(lambda: len(Stream.opened) == 2 and source.recovering is None, "the microphone")
    assert (source.name, Stream.opened[1].options["device"]) == ("USB Mic: Audio (hw:2,0)", 2)
    assert source.note == "'USB Mic: Audio (hw:2,0)' is heard in place of 'USB Mic: Audio (hw:1,0)'"


@pytest.mark.parametrize(
    ("said", "listed", "opened"),
    [
        (44_099.7, 44_100, 44_100),
        (48_000, 48_000, 48_000),
        (0.0, 0, 48_000),
        (-1.0, 0, 48_000),
        (float("nan"), 0, 48_000),
        (float("inf"), 0, 48_000),
        (1e-3, 0, 48_000),
        (384_000.0, 384_000, 384_000),
        (768_000.0, 768_000, 384_000),
        (705_600.0, 705_600, 352_800),
        (44_101.0, 44_101, 44_101),
    ],
)
def test_rates_as_devices_report_them(
    sound: Sound, record: Callable[..., DeviceSource], said: float, listed: int, opened: int
) -> None:
    sound.listed = [("No input", "ALSA", 0, 48_000.0), ("Less", "ALSA", -1, 48_000.0), ("Mic", "ALSA", 1, said)]
    assert [(device.name, device.samplerate) for device in listing.devices()] == [("Mic", listed)]
    source = record("Mic")
    assert source.samplerate == Stream.opened[0].options["samplerate"] == opened


def test_a_device_that_does_not_give_all_channels_at_once_is_opened_with_fewer(
    record: Callable[..., DeviceSource],
) -> None:
    Stream.refusals.append(PortAudioError("Invalid number of channels"))
    source = record("2", channels=(3,))
    assert (source.ring.channels, Stream.opened[0].options["channels"]) == (3, 3)
    block = np.random.default_rng(1).normal(size=(300, 3)).astype(np.float32)
    Stream.opened[0].deliver(block)
    np.testing.assert_array_equal(heard(source.ring), block[:, 2])


def test_names_that_are_no_text_of_one_line(sound: Sound) -> None:
    sound.listed = [
        (name, "ALSA", 2, 48_000.0)
        for name in (b"M\xfcsik", b"", b"a\nb\x1b[31m", "\u202egnp".encode(), "ünï".encode())
    ]
    assert [device.name for device in listing.devices()] == ["M\ufffdsik", "", "a b [31m", "gnp", "ünï"]
    assert find_device(1).name == ""
    assert find_device("gnp").index == 3


def test_exact_zeros_from_the_start_are_told_and_taken_back(
    paced: Callable[[Stopping], DeviceSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[tuple[float, str | None]] = []

    def block(now: float) -> None:
        value = 1e-9 if now > 4 else 0
        source.ring.write(np.full((2205, 4), value, np.float32))
        source.ring.read()
        notes.append((round(now, 2), source.note))

    source = paced(Stopping(block, until=5))
    assert source._capture._watch() is None
    assert [note for now, note in notes if now < 2] == [None] * len([now for now, _ in notes if now < 2])
    assert all(note and note.startswith("nothing but exact zeros is heard: ") for now, note in notes if 2.2 < now < 4)
    assert notes[-1][1] is None
    for platform, said in (("darwin", "Privacy & Security > Microphone"), ("win32", "Microphone"), ("linux", "muted")):
        monkeypatch.setattr(sys, "platform", platform)
        assert said in devices.zeros_help(source.device)


def test_a_device_that_will_not_do_instead_is_not_held_on_to(sound: Sound, record: Callable[..., DeviceSource]) -> None:
    sound.listed = [("USB Mixer", "ALSA", 4, 44_100.0)]
    source = record("usb", channels=(3,))
    Stream.opened[0].deliver(np.ones((10, 4), np.float32))
    sound.listed = [("USB Camera", "ALSA", 1, 48_000.0)]
    Stream.opened[0].options["finished_callback"]()
    wait_until(lambda: "'USB Camera' has 1 channels" in (source.recovering or ""), "the camera to be tried")
    sound.listed.append(("USB Mixer", "ALSA", 4, 44_100.0))
    wait_until(lambda: source.recovering is None, "the mixer")
    assert (source.name, source.device.index) == ("USB Mixer", 1)


@pytest.mark.usefixtures("sound")
def test_looking_for_other_streams_survives_whatever_else_the_program_has() -> None:
    """TensorFlow leaves weak proxies of objects that are gone, which raise when they are looked at."""

    class Gone:
        pass

    proxy = weakref.proxy(Gone())
    gc.collect()
    with pytest.raises(ReferenceError):
        isinstance(proxy, Stream)
    assert any(each is proxy for each in gc.get_objects())
    assert portaudio.call(portaudio.look_again) is True


def test_portaudio_is_not_restarted_under_other_streams_of_the_program(
    sound: Sound, record: Callable[..., DeviceSource]
) -> None:
    source = record("2")
    first = source.ring
    foreign = Stream()
    foreign._blocksize, foreign._ptr = 0, object()  # open
    assert portaudio.call(portaudio.look_again) is False
    assert (sound.restarts, Stream.opened[0].state) == (0, "started")
    foreign._ptr = None  # closed
    assert portaudio.call(portaudio.look_again) is True
    assert (sound.restarts, Stream.opened[0].state) == (1, "closed")
    assert source.recovering or first.successor or first.ended, "its owner finds it ended"


def test_a_sound_system_that_hangs_holds_up_neither_start_nor_stop(
    monkeypatch: pytest.MonkeyPatch, record: Callable[..., DeviceSource], hanging: threading.Event
) -> None:
    monkeypatch.setattr(portaudio, "ANSWER_SECONDS", 0.05)
    monkeypatch.setattr(devices, "STOP_SECONDS", 0.05)
    late, source = DeviceSource("2", callback="python"), record("2")
    Stream.closing.clear()
    source.stop()
    assert Stream.opened[0].state == "started", "it was left behind"
    with pytest.raises(DeviceError, match=r"'USB Mixer' does not open: the sound system has not answered for 0\.05 s"):
        late.start()
    late.stop()
    Stream.closing.set()
    wait_until(lambda: not portaudio.call(lambda: set(portaudio._open), 10), "all streams to be closed")
    assert [stream.state for stream in Stream.opened] == ["closed", "closed"], "what opens too late is closed"


# --- watching, with a clock that only moves when it is waited for -------------------------------------------------


class Stopping:
    """In place of the event that ends a session: waiting for it moves the clock, and runs what is to happen then."""

    def __init__(self, happens: Callable[[float], object] = lambda now: None, until: float = 60.0) -> None:
        self.now, self.until, self._happens = 0.0, until, happens

    def monotonic(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        self._happens(self.now)
        return self.is_set()

    def is_set(self) -> bool:
        return self.now >= self.until


@pytest.fixture
def paced(sound: Sound, monkeypatch: pytest.MonkeyPatch) -> Callable[[Stopping], DeviceSource]:
    def make(stopping: Stopping) -> DeviceSource:
        source = DeviceSource("2", callback="python")
        monkeypatch.setattr(source._capture, "_stopping", stopping)
        monkeypatch.setattr(devices, "time", stopping)
        return source

    return make


def now(source: DeviceSource) -> float:
    """The moment at which its clock stands."""
    stopping: object = source._capture._stopping
    assert isinstance(stopping, Stopping)
    return stopping.now


def attempts(source: DeviceSource) -> list[tuple[float, bool]]:
    return [(now(source), restart) for restart in source._capture._attempts()]


def test_attempts_open_each_half_second_and_restart_ever_less_often(
    paced: Callable[[Stopping], DeviceSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "traces", lambda: ("the", "same"))
    tried = attempts(paced(Stopping(until=25)))
    assert tried[0] == (0.0, False), "at once, and harmless"
    restarts = [when for when, restart in tried if restart]
    assert restarts == pytest.approx([0.2, 0.6, 1.4, 3.0, 6.2, 11.2, 16.2, 21.2], abs=0.4)
    assert np.diff([0, *restarts[:2]]) == pytest.approx([0.2, 0.4], abs=devices.WATCH_SECONDS + 0.001)
    times = [when for when, _ in tried]
    assert 0.4 < max(np.diff(times)) < 0.56
    assert len(times) > 45


def test_what_appears_is_tried_soon_and_the_pauses_begin_again(
    paced: Callable[[Stopping], DeviceSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping = Stopping(until=15)
    monkeypatch.setattr(devices, "traces", lambda: ("a card",) if stopping.now > 12 else ())
    restarts = [when for when, restart in attempts(paced(stopping)) if restart]
    assert [when for when in restarts if when < 12] == pytest.approx([0.2, 0.6, 1.4, 3.0, 6.2, 11.2], abs=0.2)
    assert [when for when in restarts if when > 12] == pytest.approx([12.1, 12.5, 13.3, 14.9], abs=0.1)


def test_a_stream_that_delivers_nothing_has_stalled(paced: Callable[[Stopping], DeviceSource]) -> None:
    def block(now: float) -> None:
        if begins <= now < ends:
            source.ring.write(np.zeros((64, 4), np.float32))
            source.ring.read()

    for (begins, ends), stalled, said in (((99, 99), 4.0, "4 s"), ((3.5, 20), 21.0, "1 s"), ((0, 2), 3.0, "1 s")):  # noqa: B007
        source = paced(Stopping(block))
        assert source._capture._watch() == (f"delivers nothing for {said}", False)
        assert now(source) == pytest.approx(stalled, abs=0.1)
    begins, ends = 0, 99
    source = paced(Stopping(block))
    assert source._capture._watch() is None, "the session ended, and all was well"


def test_a_stream_whose_ring_is_full_has_not_stalled(paced: Callable[[Stopping], DeviceSource]) -> None:
    """It is the engine that is late, and blocks are dropped whole."""

    def block(now: float) -> None:
        source.ring.write(np.zeros((44_100, 4), np.float32))

    source = paced(Stopping(block))
    assert source._capture._watch() is None
    assert source.ring.lost > 0


def test_a_stream_that_portaudio_has_ended_is_noticed_at_once(paced: Callable[[Stopping], DeviceSource]) -> None:
    source = paced(Stopping())
    source.ring.end()
    assert source._capture._watch() == ("stopped: unplugged, or the sound server ended", True)
    assert now(source) == devices.WATCH_SECONDS


def test_traces_tell_that_servers_come_and_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "pulse").mkdir()
    seen = [traces()]
    for change in (
        (tmp_path / "pulse" / "native").touch,
        (tmp_path / "pipewire-0").touch,
        (tmp_path / "pulse" / "native").unlink,
        (tmp_path / "pipewire-0").unlink,
    ):
        assert traces() == seen[-1]
        change()
        seen.append(traces())
    assert seen[0] == seen[4]
    assert len(set(map(repr, seen))) == 4
    # JACK's servers are in the shared memory, among much else
    shared = tmp_path / "shm"
    assert trace(shared) is None
    shared.mkdir()
    before = trace(shared)
    (shared / "sem.other").touch()
    assert trace(shared) == before
    (shared / "jack_default_0").touch()
    assert trace(shared) != before
    monkeypatch.setattr(sys, "platform", "darwin")
    assert traces() == ()


# --- what is said -------------------------------------------------------------------------------------------------


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
    for platform, said in (("linux", "Monitor of"), ("darwin", "BlackHole"), ("win32", "VB-Cable"), ("bsd", "pactl")):
        monkeypatch.setattr(sys, "platform", platform)
        assert said in monitor_help()
