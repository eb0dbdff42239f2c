"""The default hop for a minute on a real sound server: PulseAudio with a null sink, no hardware."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.sound_server import PROGRAMS, sound_server


def measure(wav: Path, seconds: int) -> dict[str, float] | None:
    """Play `wav` into the null sink and listen to its monitor with the defaults; the session's own counters."""
    if not can_be_measured():
        return None
    with sound_server() as server, server.playing(wav):
        done = subprocess.run(
            [sys.executable, "-m", "bench.listen", str(seconds)],
            env=os.environ | server.env,
            capture_output=True,
            text=True,
            check=True,
        )
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def can_be_measured() -> bool:
    """Whether there is a sound server; if not, says so."""
    if all(shutil.which(program) for program in PROGRAMS):
        return True
    print("(not measured: PulseAudio is missing)")
    return False
