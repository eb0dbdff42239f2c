"""Which files are meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamtag.decoding.find import find_audio
from tests.support.recordings import refusal


def test_find_audio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [
        "b.wav",
        "a.MP3",
        "notes.txt",
        ".hidden.wav",
        "deep/er/c.flac",
        ".git/d.wav",
        "deep/cover.jpg",
        "x [1].ogg",
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "none").mkdir()

    def found(*paths: str) -> list[str]:
        return [path.relative_to(tmp_path).as_posix() for path in find_audio([tmp_path / path for path in paths])]

    assert found(".") == ["a.MP3", "b.wav", "deep/er/c.flac", "x [1].ogg"]
    assert found("b.wav", ".", "*.wav") == ["b.wav", "a.MP3", "deep/er/c.flac", "x [1].ogg"]
    assert found("notes.txt", ".hidden.wav") == ["notes.txt", ".hidden.wav"]  # asked for by name
    assert found("*.wav") == ["b.wav"]
    assert found("**/*.flac") == ["deep/er/c.flac"]
    assert found("**") == found("*") == found(".")
    assert found("*.txt") == ["notes.txt"]
    assert found("x [1].ogg") == ["x [1].ogg"]  # a name before a pattern
    for lost in ("missing.wav", "*.aiff", "none"):
        assert found(lost) == [lost]
        assert refusal(tmp_path / lost)
    monkeypatch.chdir(tmp_path)
    assert find_audio(["*.wav"]) == [Path("b.wav")]
    assert find_audio([]) == []
    for strange in ("x" * 5_000, "x\0y", "*\0", "[", "/dev/null"):
        assert find_audio([strange]) == [Path(strange)]
        assert refusal(strange)
