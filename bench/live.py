"""The default hop for a minute on a real sound server: PulseAudio with a null sink, no hardware."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PLAYER, SERVER = "paplay", "pulseaudio"


@contextmanager
def null_sink() -> Iterator[dict[str, str]]:
    """A private PulseAudio with one null sink, `music`; gives the environment that reaches it."""
    with tempfile.TemporaryDirectory() as home:
        env = {**os.environ, "XDG_RUNTIME_DIR": home, "HOME": home, "PULSE_SOURCE": "music.monitor"}
        modules = ("module-null-sink sink_name=music rate=44100 channels=2", "module-native-protocol-unix")
        options = [part for module in modules for part in ("-L", module)]
        server = subprocess.Popen(
            [SERVER, "-n", "--daemonize=no", "--exit-idle-time=-1", *options], env=env, stderr=subprocess.DEVNULL
        )
        try:
            for _ in range(100):
                if subprocess.run(["pactl", "info"], env=env, capture_output=True).returncode == 0:
                    break
                time.sleep(0.1)
            yield env
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()


def measure(wav: Path, seconds: int) -> dict[str, float] | None:
    """Play `wav` into the null sink and listen to its monitor with the defaults; the session's own counters."""
    if not all(shutil.which(program) for program in (PLAYER, SERVER, "pactl")):
        print("(live: not measured, PulseAudio is missing)")
        return None
    with null_sink() as env:
        player = subprocess.Popen(
            f"while :; do {PLAYER} --device=music '{wav}' || exit; done", shell=True, env=env, start_new_session=True
        )
        try:
            done = subprocess.run(
                [sys.executable, "-m", "bench.listen", str(seconds)],
                env=env,
                capture_output=True,
                text=True,
                check=True,
            )
        finally:
            os.killpg(player.pid, signal.SIGTERM)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures
