"""`streamtag file -`: stdin, whole, is a file like any other."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from streamtag.errors import OptionError
from streamtag.files.stdin import with_stdin

pytestmark = pytest.mark.slow


def tagged(*paths: str, given: bytes) -> tuple[int, list[dict[str, object]], str]:
    command = [sys.executable, "-m", "streamtag", "file", *paths, "--format", "json"]
    done = subprocess.run(command, input=given, capture_output=True, timeout=180)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr.decode()


def test_stdin_is_tagged_as_the_file_would_be(music: Path, tmp_path: Path) -> None:
    samples, rate = soundfile.read(music, frames=4 * 44_100)
    path = tmp_path / "song.wav"
    soundfile.write(path, samples, rate, subtype="PCM_16")
    data = bytearray(path.read_bytes())
    data[4:8] = b"\xff\xff\xff\xff"  # as a program writes that does not know the length yet
    place = data.index(b"data") + 4
    data[place : place + 4] = b"\xff\xff\xff\xff"
    saved = tmp_path / "out.tags"
    status, lines, said = tagged("-", str(path), "--save", str(saved), given=bytes(data))
    assert status == 0, said
    assert [line["file"] for line in lines] == ["stdin", str(path)]
    assert [line.split(",")[0] for line in saved.read_text().splitlines()] == ["stdin", str(path)]
    assert lines[0]["top"] == lines[1]["top"]
    assert lines[0]["seconds"] == lines[1]["seconds"]


def test_nothing_in_stdin_is_said() -> None:
    status, lines, said = tagged("-", given=b"")
    assert status == 1
    assert "empty file" in said
    assert lines[0]["file"] == "stdin"


def test_there_is_one_stdin() -> None:
    with pytest.raises(OptionError, match="of which there is one"), with_stdin(["-", "-"]):
        pass
