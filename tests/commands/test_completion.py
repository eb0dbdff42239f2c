"""What the shell offers after <Tab>: the program itself answers, as Typer's completion scripts ask it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from streamtag.commands.completion import complete_input
from streamtag.errors import DeviceError
from streamtag.inference.networks.specs import SPECS
from streamtag.sources.names import Device
from tests.support.program import START_SECONDS


def offered(*words: str, folder: Path) -> list[str]:
    """What is offered for the last of these words."""
    asked = {"COMP_WORDS": " ".join(("streamtag", *words)), "COMP_CWORD": str(len(words))}
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv[0] = 'streamtag'; from streamtag.__main__ import main; main()"],
        env={**os.environ, **asked, "_STREAMTAG_COMPLETE": "complete_bash", "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=True,
    )
    return done.stdout.split("\n")[:-1]


@pytest.mark.slow
@pytest.mark.parametrize("command", [("live",), ("file",), ("features",), ("learn",), ("evaluate",), ("calibrate",)])
def test_models_are_offered(command: tuple[str, ...], tmp_path: Path) -> None:
    assert offered(*command, "--model", "M", folder=tmp_path) == list(SPECS)
    assert offered(*command, "--model", "MTT_v", folder=tmp_path) == ["MTT_vgg"]


@pytest.mark.slow
def test_heads_and_folders_that_may_hold_some_are_offered(tmp_path: Path) -> None:
    for name in ("drop.head", "droning.wav"):
        (tmp_path / name).touch()
    (tmp_path / "drums").mkdir()
    (tmp_path / "drums" / "kick.head").touch()
    assert offered("live", "--head", "dr", folder=tmp_path) == ["drop.head", "drums/"]
    assert offered("file", "--head", "drums/", folder=tmp_path) == ["drums/kick.head"]
    assert not any(offered("file", "--head", "nowhere/", folder=tmp_path))
    assert not any(offered("file", "--head", "~no-such-user/dr", folder=tmp_path))


@pytest.mark.slow
def test_inputs_are_offered(tmp_path: Path) -> None:
    for name in ("deep song.mp3", "desk.txt", ".den.wav"):
        (tmp_path / name).touch()
    (tmp_path / "decks").mkdir()
    assert offered("live", "--input", "de", folder=tmp_path) == ["default", "demo", "decks/", r"deep\ song.mp3"]
    assert offered("live", "--input", "dem", folder=tmp_path) == ["demo"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("streamtag\nlive\n--input\nMon", r"Monitor\ of\ A\ \(B\)"),
        ('streamtag\nlive\n--input\n"Mon', "Monitor of A (B)"),
    ],
)
def test_bash_is_given_names_that_it_takes_as_one_word(
    words: str, expected: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monitor = Device(3, "Monitor of A (B)", "ALSA", 2, 48_000, False)
    monkeypatch.setattr("streamtag.sources.listing.devices", lambda: [monitor])
    monkeypatch.chdir(tmp_path)
    assert complete_input("Mon") == ["Monitor of A (B)"]
    monkeypatch.setenv("_STREAMTAG_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    assert complete_input("Mon") == [expected]


def test_without_a_sound_system_files_are_offered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail() -> list[Device]:
        raise DeviceError("PortAudio is missing")

    monkeypatch.setattr("streamtag.sources.listing.devices", fail)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "song.flac").touch()
    assert complete_input("") == ["default", "demo", "song.flac"]
