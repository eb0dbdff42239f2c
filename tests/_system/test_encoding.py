"""Text in encodings that cannot take it: something is written for every character."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from streamtag._system.encoding import INSTEAD, never_fail_to_encode, writable

TEXT = "█▌▏ → ← … · é 日 \udce9 ⠋ \U0001f3b5"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "cp437", "utf-8", "utf-16", "koi8-r", "shift_jis"])
def test_every_character_becomes_something(encoding: str) -> None:
    written = TEXT.encode(encoding, INSTEAD).decode(encoding)
    assert written == writable(TEXT, encoding)
    for own, instead in zip(TEXT.split(" "), written.split(" "), strict=True):
        assert instead
        assert all(character in own or character.isascii() for character in instead)
    assert r"\xe9" in written
    assert "\udce9" not in written


def test_in_ascii_bars_stay_bars() -> None:
    assert writable(TEXT, "ascii") == r"##- -> <- ... - \xe9 \u65e5 \xe9 * \U0001f3b5"
    assert writable("plain", None) == "plain"
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("utf-8", INSTEAD)


@pytest.mark.parametrize("errors", ["strict", "surrogateescape", "backslashreplace"])
def test_a_stream_takes_all(errors: str) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="cp1252", errors=errors)
    never_fail_to_encode(stream)
    stream.write(TEXT)
    stream.flush()
    assert raw.getvalue().startswith(b"##- -> <- \x85 \xb7 \xe9 ")


def test_what_the_user_chose_and_what_is_no_stream_stay() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="replace")
    never_fail_to_encode(stream)
    assert stream.errors == "replace"
    never_fail_to_encode(io.StringIO())
    never_fail_to_encode(None)


def run(*arguments: object, encoding: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "streamtag", *map(str, arguments)],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1", "utf-8"])
def test_a_batch_in_any_encoding_is_done_to_its_end(tmp_path: Path, music: Path, encoding: str) -> None:
    samples, rate = soundfile.read(music, frames=3 * 44_100)
    names = [b"a.wav", "\u65e5\u672c.wav".encode(), b"caf\xe9.wav", b"z.wav"]
    if sys.platform == "win32":
        names.pop(2)
    for name in names:
        path = tmp_path / os.fsdecode(name)
        try:
            soundfile.write(str(tmp_path / "x"), samples, rate, format="WAV")
            (tmp_path / "x").replace(path)
        except OSError:
            pytest.skip("this file system does not take such a name")
    (tmp_path / os.fsdecode(b"not\xe9.mp3" if sys.platform != "win32" else b"note.mp3")).write_text("no music")
    saved, scores = tmp_path / "out.tags", tmp_path / "out.npz"
    outcome = run("file", tmp_path, "--save", saved, "--taggram", scores, encoding=encoding)
    assert outcome.returncode == 1  # of the one that is no music
    said = outcome.stderr.decode(encoding)
    assert said.count("streamtag: ") == 1, said
    assert "not audio" in said
    text = outcome.stdout.decode(encoding)
    assert text.count("1 patch)") == len(names)
    assert ("█" if encoding == "utf-8" else "#") in text
    lines = saved.read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(names)
    assert str(tmp_path / "日本.wav") in "".join(lines)
    assert scores.stat().st_size


@pytest.mark.slow
def test_help_in_ascii() -> None:
    outcome = run("file", "--help", encoding="ascii")
    assert outcome.returncode == 0
    assert b"Usage" in outcome.stdout
