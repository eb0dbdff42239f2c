"""From a burst of a tone to the datagram that tells of it, through a real sound server: ``python -m bench.latency``.

A process plays bursts into the null sink at known moments, streamtag listens to its monitor in another, and a plain
socket in a third notes when the level and the embedding move. The window is half a second here, so that each burst
finds the embedding at rest; what is measured does not depend on its length.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from tests.support.sound_server import sound_server

WINDOW = 0.5
LOUD_DBFS = -40.0
TOO_LATE = 0.6
"""Seconds; a burst that nothing tells of by then is counted as missed."""
LEVEL, EMBEDDING = b"/streamtag/frame", b"/streamtag/embedding"


@dataclass
class Heard:
    """When the level became loud, and when the embedding moved, in seconds of `time.monotonic()`.

    Attributes
    ----------
    began, ended : when the first and the last datagram came.
    """

    level: list[float] = field(default_factory=list)
    embedding: list[float] = field(default_factory=list)
    began: float = 0.0
    ended: float = 0.0
    _loud: bool = False
    _last: bytes = b""
    _still: int = 0

    def take(self, datagram: bytes, now: float) -> None:
        """Note what a datagram tells."""
        self.began, self.ended = self.began or now, now
        at = datagram.find(LEVEL)
        if at >= 0:
            # address, type tags, then int index, float seconds, float latency, float level
            level = float(np.frombuffer(datagram, ">f4", 1, at + len(LEVEL) + 4 + 8 + 12)[0])
            loud = level > LOUD_DBFS
            if loud and not self._loud:
                self.level.append(now)
            self._loud = loud
        elif datagram.startswith(EMBEDDING):
            numbers = datagram[-200 * 4 :]
            if numbers == self._last:
                self._still += 1
            else:
                if self._still > 5:  # it was at rest
                    self.embedding.append(now)
                self._still, self._last = 0, numbers


def measure(seconds: float, held: bool) -> dict[str, Any]:
    """Latencies in ms, of all bursts, and the session's own account."""
    with sound_server() as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        cache = {"NUMBA_CACHE_DIR": os.environ.get("NUMBA_CACHE_DIR", str(user_cache_path("streamtag")))}
        env = os.environ | server.env | cache
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**22)
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(0.5)
        port = str(receiver.getsockname()[1])
        listen = [sys.executable, "-m", "bench.listen", str(seconds), "--port", port, "--window", str(WINDOW)]
        listener = subprocess.Popen(
            [*listen, *(["--held"] if held else [])], env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        played: list[float] = []
        player = subprocess.Popen(
            [sys.executable, "-m", "bench.bursts", str(seconds)],
            env=env | {"PULSE_SINK": "music"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

        def note() -> None:
            assert player.stdout is not None
            played.extend(float(line) for line in player.stdout)

        reader = threading.Thread(target=note, daemon=True)
        reader.start()
        heard = Heard()
        while listener.poll() is None:
            try:
                datagram = receiver.recv(2048)
            except TimeoutError:
                continue
            heard.take(datagram, time.monotonic())
        assert listener.stdout is not None
        stats = json.loads(listener.stdout.read().splitlines()[-1])
        player.kill()
        player.wait()
        reader.join()
    # those that were played while both were there; the last may have been cut off by the player's end
    bursts = [burst for burst in played[:-1] if heard.began + TOO_LATE < burst < heard.ended - TOO_LATE]
    return {
        "stats": stats,
        "bursts": len(bursts),
        "level": delays(bursts, heard.level),
        "embedding": delays(bursts, heard.embedding),
    }


def delays(bursts: list[float], told: list[float]) -> NDArray[np.float64]:
    """Milliseconds from each burst to the first that was told after it; infinite if nothing was in time."""
    after = np.array([*told, np.inf])
    found = after[np.searchsorted(after, bursts)] - np.array(bursts)
    return np.where(found < TOO_LATE, found, np.inf) * 1e3


def table(seconds: float) -> list[list[str]]:
    """Rows for idle and for a Python that is held.

    In the latter, results are too rare for the embedding to come to rest between two bursts; and the level is that of
    the newest hop, so that a burst which falls between two results is missed.
    """
    rows = []
    for name, held in (("idle", False), ("Python held in slices of 50 ms", True)):
        figures = measure(seconds, held)
        for what in ("level",) if held else ("level", "embedding"):
            values = figures[what]
            told = np.percentile(values, [50, 99, 99.9], method="inverted_cdf")
            missed = int(np.isinf(values).sum())
            rows.append([name, f"burst to {what} ({len(values)} bursts, {missed} missed)", *(f"{v:.1f}" for v in told)])
        stats = figures["stats"]
        for what, key in (("capture to datagram", "latency"), ("added by streamtag", "added")):
            rows.append(
                [
                    name,
                    f"{what} ({stats['hops']} hops)",
                    *(f"{stats[f'{key}_{p}']:.1f}" for p in ("p50", "p99", "p999")),
                ]
            )
    return rows


HEAD = ["", "milliseconds", "p50", "p99", "p99.9"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    given = parser.parse_args()
    for row in (HEAD, ["---"] * len(HEAD), *table(given.minutes * 60)):
        print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
