"""Pages that are run as they are written: with folders of the source, and `python` and `streamtag` at hand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def blocks_of(page: str) -> list[str]:
    """The commands of a page of docs/, block by block."""
    return re.findall(r"^```sh\n(.*?)^```$", (ROOT / "docs" / page).read_text(), re.MULTILINE | re.DOTALL)


class Shell:
    """Runs blocks in a folder.

    Parameters
    ----------
    folder : where.
    linked : folders of the source that the page uses.
    """

    def __init__(self, folder: Path, *linked: str) -> None:
        self.folder = folder
        for name in linked:
            (folder / name).symlink_to(ROOT / name)
        programs = folder / "bin"
        programs.mkdir()
        for name, command in (("python", ""), ("streamtag", " -m streamtag")):
            (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{command} "$@"\n')
            (programs / name).chmod(0o755)
        self.env = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}

    def __call__(self, block: str) -> subprocess.CompletedProcess[str]:
        """Run one, which must be well."""
        done = subprocess.run(
            ["sh", "-e", "-c", block], cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=900
        )
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        return done
