"""What a ten-minute file costs, step by step, beside the `ffmpeg` command: ``python -m bench.decoding``.

Processor seconds, the least of three runs: decoding alone (`open_audio`), with log-mel frames (`MelStream`),
and all of `FileTagger`; and `ffmpeg -f null`, the floor of decoding.
"""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile

from streamtag.decoding.decode import open_audio
from streamtag.files.offline import FileTagger
from streamtag.melstream import MelStream
from streamtag.sources.opening import demo_clip

SECONDS = 600
KINDS = {"mp3": ("-b:a", "192k"), "flac": (), "m4a": ("-b:a", "160k"), "opus": ("-b:a", "128k"), "wav": ()}
HEADINGS = ("ffmpeg", "decoded", "ratio", "with frames", "tagged")


def seconds_of(work: Callable[[], object], whose: int = resource.RUSAGE_SELF) -> float:
    """The least processor seconds of three runs."""
    taken = []
    for _ in range(3):
        before = resource.getrusage(whose)
        work()
        after = resource.getrusage(whose)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(taken)


def decode(path: Path, frames: bool = False) -> None:
    """Decode all of a file; make frames of it, too."""
    with open_audio(path) as audio:
        stream = MelStream(audio.samplerate, audio.channels, centered=True) if frames else None
        for block in audio.blocks():
            if stream is not None:
                stream.push(block)


def ffmpeg(*arguments: str | Path) -> None:
    """Run the command on one core."""
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-threads", "1", *map(str, arguments)], check=True)


def main() -> None:
    """Print the table."""
    tagger = FileTagger("MSD_musicnn", workers=1)
    tagger.tag(demo_clip())  # compiled by now
    with TemporaryDirectory() as folder:
        whole = Path(folder) / "whole.wav"
        samples, rate = soundfile.read(demo_clip(), dtype="int16", always_2d=True)
        long = np.tile(samples[:, :1], (SECONDS * rate // len(samples) + 1, 2))[: SECONDS * rate]
        soundfile.write(whole, long, rate, subtype="PCM_16")
        print(f"processor seconds for {SECONDS} s in stereo, 44.1 kHz:")
        print(f"{'':6}" + "".join(f"{heading:>13}" for heading in HEADINGS), flush=True)
        for kind, options in KINDS.items():
            path = Path(folder) / f"ten.{kind}"
            ffmpeg("-i", whole, "-ar", "48000" if kind == "opus" else "44100", *options, path)
            floor = seconds_of(partial(ffmpeg, "-i", path, "-f", "null", "-"), resource.RUSAGE_CHILDREN)
            decoded, framed = (seconds_of(partial(decode, path, frames=frames)) for frames in (False, True))
            tagged = seconds_of(partial(tagger.tag, path))
            row = (floor, decoded, decoded / floor, framed, tagged)
            print(f"{kind:6}" + "".join(f"{value:13.2f}" for value in row), flush=True)


if __name__ == "__main__":
    main()
