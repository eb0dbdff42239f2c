"""A process that may have little: it says so, or keeps within it; it never hangs."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from streamtag.commands.limits import ADDRESS_SPACE, plainly

LIVE = ["live", "--input", "demo", "--duration", "0.2", "--format", "text"]


def limited(kind: int, value: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command that may have only so much of something."""
    return subprocess.run(
        [sys.executable, "-m", "streamtag", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(kind, (value, value)),
    )


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "option"), [(resource.RLIMIT_AS, "-v"), (resource.RLIMIT_DATA, "-d")])
@pytest.mark.parametrize("command", [LIVE, ["devices"], ["file", "a.wav"]])
def test_too_little_memory_is_refused_with_the_limit_named(kind: int, option: str, command: list[str]) -> None:
    done = limited(kind, 400_000_000, *command)
    assert done.returncode == 1
    assert "only 400 MB" in done.stderr
    assert f"(ulimit {option})" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("kind", [resource.RLIMIT_AS, resource.RLIMIT_DATA])
def test_with_what_it_needs_it_runs(kind: int) -> None:
    done = limited(kind, ADDRESS_SPACE + 30_000_000, *LIVE)
    assert done.returncode == 0, done.stderr
    assert "s heard" in done.stderr


def test_a_working_directory_that_is_gone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    with pytest.raises(FileNotFoundError) as caught:
        Path.cwd()
    assert plainly(caught.value) == "the working directory is gone: start it in another"
    monkeypatch.undo()
    with pytest.raises(FileNotFoundError) as caught:
        (tmp_path / "other").open()
    assert plainly(caught.value) is None


def test_help_needs_little() -> None:
    assert limited(resource.RLIMIT_AS, 400_000_000, "--help").returncode == 0


@pytest.mark.slow
@pytest.mark.usefixtures("compiled")
def test_with_few_open_files_it_runs() -> None:
    done = limited(resource.RLIMIT_NOFILE, 12, *LIVE)
    assert done.returncode == 0, done.stderr
