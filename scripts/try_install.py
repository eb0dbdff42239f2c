"""Install the wheel as a stranger would, on every Python at hand, and tag one file of each kind.

No constraints: what an index offers today is what a user gets. Each Python gets a fresh environment in a temporary
folder, in which the wheel is installed and `streamtag file` reads WAV, MP3, M4A, FLAC and Opus. What was installed is
weighed: that figure is the one in the documents.

    python scripts/try_install.py                      every Python from 3.11 on that is found
    python scripts/try_install.py python3.12           this one
    python scripts/try_install.py --most 700           fail if more megabytes were installed
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
OLDEST, NEWEST = 11, 14
KINDS = (
    ("song.wav", "pcm_s16le", "wav"),
    ("song.flac", "flac", "flac"),
    ("song.mp3", "libmp3lame", "mp3"),
    ("song.m4a", "aac", "ipod"),
    ("song.opus", "libopus", "ogg"),
)
MAKE_FILES = """
import sys, av
from streamtag.sources.opening import demo_clip
for name, codec, container in KINDS:
    with av.open(str(demo_clip())) as clip, av.open(name, "w", format=container) as out:
        rate = 48000
        stream = out.add_stream(codec, rate=rate, layout="stereo")
        fit = av.AudioResampler(stream.format, "stereo", rate, frame_size=stream.codec_context.frame_size or 1024)
        for frame in clip.decode(audio=0):
            if frame.time > 8:
                break
            for part in fit.resample(frame):
                out.mux(stream.encode(part))
        for part in [*fit.resample(None), None]:
            out.mux(stream.encode(part))
"""
WEIGH = """
import json
from importlib.metadata import distributions
sizes = {}
for each in distributions():
    files = [path.locate() for path in each.files or []]
    sizes[each.name] = sum(path.stat().st_size for path in files if path.is_file()) / 1e6
sizes.pop("pip", None)
print(json.dumps(sizes))
"""


def main() -> int:
    """Try all; the number of Pythons on which something failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pythons", nargs="*", metavar="PYTHON", help="default: all that are found")
    parser.add_argument("--most", type=float, default=700, metavar="MB", help="megabytes allowed (default: 700)")
    options = parser.parse_args()
    pythons = options.pythons or found()
    if not pythons:
        print(f"no Python from 3.{OLDEST} to 3.{NEWEST} is on the PATH", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        wheel = build(Path(folder))
        failures = [problem for python in pythons if (problem := tried(python, wheel, options.most))]
    for problem in failures:
        print(problem, file=sys.stderr)
    return len(failures)


def found() -> list[str]:
    """Pythons on the PATH and those that pyenv keeps, one for each minor version."""
    chosen: dict[str, str] = {}
    places = [Path(sys.executable), *Path.home().glob(".pyenv/versions/*/bin/python3")]
    places += [Path(path) for n in range(OLDEST, NEWEST + 1) if (path := shutil.which(f"python3.{n}"))]
    for place in places:
        ask = [str(place), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        version = subprocess.run(ask, capture_output=True, text=True).stdout.strip()
        match = re.fullmatch(r"3\.(\d+)", version)
        if match and OLDEST <= int(match[1]) <= NEWEST:
            chosen.setdefault(version, str(place))
    return [chosen[version] for version in sorted(chosen, key=lambda version: int(version[2:]))]


def build(folder: Path) -> Path:
    """The wheel of this tree."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", str(folder), str(ROOT)], check=True)
    (wheel,) = folder.glob("streamtag-*.whl")
    return wheel


def tried(python: str, wheel: Path, most: float) -> str | None:
    """What is wrong with an installation, if anything; prints what was found."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            made = subprocess.run([python, "-m", "venv", str(folder / "venv")], capture_output=True, text=True)
        except OSError as error:
            return f"{python}: cannot be run: {error.strerror}"
        if made.returncode:
            return f"{python}: no environment can be made: {(made.stderr or made.stdout).strip()}"
        own = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
        install = [str(own), "-m", "pip", "--disable-pip-version-check", "-q", "install", str(wheel)]
        done = subprocess.run(install, capture_output=True, text=True, env=without_constraints())
        version = subprocess.run([str(own), "--version"], capture_output=True, text=True).stdout.strip()
        if done.returncode:
            return f"{version}: the wheel cannot be installed: {done.stderr.strip()}"
        weighed = subprocess.run([str(own), "-c", WEIGH], capture_output=True, text=True, check=True, cwd=folder)
        sizes: dict[str, float] = json.loads(weighed.stdout)
        total = sum(sizes.values())
        heaviest = sorted(sizes, key=lambda each: -sizes[each])[:5]
        told = ", ".join(f"{each} {sizes[each]:.0f}" for each in heaviest)
        print(f"{version}: {total:.0f} MB in {len(sizes)} packages ({told})", flush=True)
        make = f"KINDS = {KINDS!r}\n{MAKE_FILES}"
        subprocess.run([str(own), "-c", make], check=True, cwd=folder)
        problems = [f"{total:.0f} MB installed, more than {most:g}"] if total > most else []
        for file, _, _ in KINDS:
            run = [str(own), "-m", "streamtag", "file", file, "--format", "json"]
            done = subprocess.run(run, capture_output=True, text=True, cwd=folder)
            best = json.loads(done.stdout)["top"][:3] if not done.returncode else done.stderr.strip()
            print(f"  {file}: {best}", flush=True)
            if done.returncode:
                problems.append(f"{file} cannot be tagged")
        return f"{version}: {'; '.join(problems)}" if problems else None


def without_constraints() -> dict[str, str]:
    """The environment without what holds pip to certain versions."""
    return {name: value for name, value in os.environ.items() if name != "PIP_CONSTRAINT"}


if __name__ == "__main__":
    sys.exit(main())
