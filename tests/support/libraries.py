"""Libraries of music for tests: a folder of short sounds, and what a store says of it."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile

from streamtag.library.hearing import Ear, Heard
from streamtag.library.known import Known
from streamtag.library.rows import File
from streamtag.library.settings import Settings
from streamtag.library.store import Store
from streamtag.library.tag import Outcome, tag_library

RATE = 16_000
TIMES = ("tagged", "modified_ns", "version")
"""Columns that differ from run to run."""


def write_sound(path: Path, seed: int, seconds: float = 3.5) -> Path:
    """A chord with noise, another for each seed."""
    random = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    tones = sum(np.sin(2 * np.pi * frequency * time) for frequency in random.uniform(80, 2000, 4))
    soundfile.write(path, 0.1 * tones + random.normal(0, 0.01 * (seed % 5), len(time)), RATE)
    return path


def write_encoded(path: Path, codec: str, samples: np.ndarray, rate: int, out_rate: int | None = None) -> None:
    """Write mono samples through one of FFmpeg's encoders."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=out_rate or rate, layout="mono")
        stream.open()
        frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), "fltp", "mono")
        frame.sample_rate = rate
        resampler = av.AudioResampler(stream.format.name, "mono", stream.rate, frame_size=stream.frame_size)
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))


def write_kind(path: Path, seed: int) -> Path:
    """A sound as a file of the kind that its name says."""
    source = write_sound(path.with_name("source.wav"), seed, 3.2)
    samples, rate = soundfile.read(source)
    source.unlink()
    match path.suffix:
        case ".mp3":
            write_encoded(path, "mp3", samples, rate)
        case ".m4a":
            write_encoded(path, "aac", samples, rate)
        case ".opus":
            write_encoded(path, "libopus", samples, rate, 48_000)
        case _:
            soundfile.write(path, samples, rate)
    return path


def write_music(folder: Path, count: int = 5, seconds: float = 3.5) -> Path:
    """A folder of sounds, in two folders, one of them of no sound at all."""
    (folder / "b").mkdir(parents=True)
    for number in range(count):
        write_sound(folder / f"{number}.wav" if number % 2 else folder / "b" / f"{number}.wav", number, seconds)
    (folder / "broken.mp3").write_text("no sound at all")
    return folder


def settings(**given: Any) -> Settings:
    """Of MTT_musicnn, as the command line would have them."""
    options: dict[str, Any] = {"features": (), "heads": (), "windows": False, "level": "off", "hop_frames": 187} | given
    return Settings.chosen("MTT_musicnn", 187, **options)


class Quiet:
    """Is told, and counts."""

    def __init__(self) -> None:
        self.files = 0
        self.counts: Counter[str] = Counter()
        self.texts: list[str] = []

    def found(self, files: int) -> None:
        self.files = files

    def done(self, what: str, file: File, heard: Heard) -> None:
        self.counts[what] += 1

    def said(self, text: str) -> None:
        self.texts.append(text)


class InThread:
    """Hears on the threads of the test: quick to start."""

    fetches = False

    def __init__(self, of: Settings) -> None:
        self._ear = Ear(of)
        self.heard: list[str] = []

    def hear(self, path: str) -> Heard:
        self.heard.append(path)
        return self._ear.hear(path)

    def close(self) -> None:
        pass


def tagged(music: Path, folder: Path, *, retry: bool = False, **given: Any) -> tuple[Outcome, list[str]]:
    """Tag a folder; what became of it, and which files were heard."""
    store = Store.begun(folder, settings(**given))
    ear = InThread(store.settings)
    outcome = tag_library([music], store, ear, Quiet(), jobs=1, retry=retry)
    return outcome, sorted(Path(path).name for path in ear.heard)


def rows(folder: Path | str, *, times: bool = False) -> dict[str, dict[str, Any]]:
    """The rows that hold, by path, as Python's values."""
    store = Store(folder)
    found = [
        values
        for part, numbers in Known(store).live(removed=True)
        for values in store.read(part).take(numbers).to_pylist()
    ]
    return {row["path"]: {name: value for name, value in row.items() if times or name not in TIMES} for row in found}


def written(folder: Path) -> int:
    """Rows in the parts that hold, double ones among them: what others than streamtag would read."""
    store = Store(folder)
    return sum(len(store.read(part, ["path"])) for part in store.parts())


@contextmanager
def claimed_by_another(folder: Path, paths: list[Path]) -> Iterator[None]:
    """Meanwhile, another process works on these files."""
    program = (
        "import sys; from streamtag.library.store import Store; from streamtag.library.known import hashed\n"
        "claims = Store(sys.argv[1]).claims()\n"
        "assert all([claims.take(hashed(path)) for path in sys.argv[2:]])\n"
        "print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(folder), *map(str, paths)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield
        process.kill()
