"""What is double: files of one content, and one recording in several encodings."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import soundfile

from streamtag.library.copies import Copies, copies
from streamtag.library.store import Store
from streamtag.sources.opening import demo_clip
from tests.support.libraries import tagged, write_encoded, write_music
from tests.support.program import run_cli


@pytest.mark.slow
def test_copies_and_other_encodings_are_found(tmp_path: Path) -> None:
    music = write_music(tmp_path / "music", 6)
    samples, rate = soundfile.read(demo_clip(), always_2d=True)
    mono = samples.mean(1)
    soundfile.write(music / "song.wav", mono, rate)
    write_encoded(music / "song.mp3", "mp3", mono, rate)
    soundfile.write(music / "half.wav", mono[: len(mono) // 2], rate)
    shutil.copy(music / "song.wav", music / "again.wav")
    tagged(music, tmp_path / "store")
    found = copies(Store(tmp_path / "store"))
    exact, alike = found
    assert exact == Copies(True, (str(music / "again.wav"), str(music / "song.wav")))
    assert not alike.exact
    assert str(music / "song.mp3") in alike.paths
    assert len(alike.paths) == 2
    lines = run_cli("library", "duplicates", tmp_path / "store").stdout.splitlines()
    assert lines == ["the same content:", *(f"  {path}" for path in exact.paths), "the same sound:"] + [
        f"  {path}" for path in alike.paths
    ]
    as_json = run_cli("library", "duplicates", tmp_path / "store", "--format", "json").json
    assert as_json == [
        {"same": "content", "paths": list(exact.paths)},
        {"same": "sound", "paths": list(alike.paths)},
    ]
