"""Which files are meant."""

from __future__ import annotations

import os
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


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def link(at: Path, to: Path) -> None:
    at.parent.mkdir(parents=True, exist_ok=True)
    try:
        at.symlink_to(to, target_is_directory=to.is_dir())
    except OSError:
        pytest.skip("this system makes no links for this user")


def names(root: Path, *given: str) -> list[str]:
    return [path.relative_to(root).as_posix() for path in find_audio([root / name for name in given])]


def test_linked_folders_are_followed_once(tmp_path: Path) -> None:
    touch(tmp_path, "lib/z/a.wav", "elsewhere/b.wav", "elsewhere/deep/c.wav")
    link(tmp_path / "lib" / "a-link", tmp_path / "lib" / "z")
    link(tmp_path / "lib" / "out", tmp_path / "elsewhere")
    link(tmp_path / "lib" / "out-again", tmp_path / "elsewhere" / "deep")
    expected = ["lib/out/b.wav", "lib/out/deep/c.wav", "lib/z/a.wav"]
    for given in ("lib", "lib/**", "lib/**/*.wav"):
        assert sorted(names(tmp_path, given)) == expected, given
    assert sorted(Path(name).name for name in names(tmp_path, "lib/*")) == ["a.wav", "b.wav", "c.wav"]
    assert names(tmp_path, "lib", "elsewhere", "lib/z/a.wav") == names(tmp_path, "lib")


def test_loops_of_links_end(tmp_path: Path) -> None:
    touch(tmp_path, "lib/a.wav", "lib/one/b.wav", "lib/two/c.wav")
    link(tmp_path / "lib" / "one" / "up", tmp_path / "lib")
    link(tmp_path / "lib" / "one" / "self", tmp_path / "lib" / "one" / "self")
    link(tmp_path / "lib" / "one" / "to-two", tmp_path / "lib" / "two")
    link(tmp_path / "lib" / "two" / "to-one", tmp_path / "lib" / "one")
    for given in ("lib", "lib/**", "lib/**/*.wav", "lib/**/**/*.wav", "lib/one/up"):
        found = [Path(name).name for name in names(tmp_path, given)]
        assert sorted(found) == ["a.wav", "b.wav", "c.wav"], given
    assert names(tmp_path, "lib") == ["lib/a.wav", "lib/one/b.wav", "lib/two/c.wav"]


def test_a_file_of_many_names_is_found_once(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav")
    link(tmp_path / "b.wav", tmp_path / "a.wav")
    assert names(tmp_path, ".") == ["a.wav"]
    assert names(tmp_path, "b.wav", "a.wav", "../" + tmp_path.name + "/a.wav") == ["b.wav"]
    link(tmp_path / "gone.wav", tmp_path / "missing.wav")
    assert names(tmp_path, ".") == ["a.wav", "gone.wav"]
    assert refusal(tmp_path / "gone.wav") == "a link to what is not there"


@pytest.mark.parametrize(
    "suffix",
    [".mkv", ".avi", ".mov", ".webm", ".m4v", ".mpg", ".flv", ".wmv", ".ogv", ".m2ts", ".M4R", ".vob", ".mpga"],
)
def test_folders_hold_what_can_be_read_when_named(tmp_path: Path, suffix: str) -> None:
    touch(tmp_path, f"x{suffix}", "x.txt", "x.srt", "x.jpg")
    assert names(tmp_path, ".") == names(tmp_path, "*") == names(tmp_path, "**") == [f"x{suffix}"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_film_and_a_program_have_one_extension(tmp_path: Path) -> None:
    (tmp_path / "film.ts").write_bytes(b"\x47" + bytes(187))
    (tmp_path / "program.ts").write_text("export const x = 1;")
    os.mkfifo(tmp_path / "pipe.ts")
    assert names(tmp_path, ".") == ["film.ts", "pipe.ts"]
    assert names(tmp_path, "program.ts") == ["program.ts"]
