"""Listen to the PulseAudio source that the environment names and print the counters as JSON (run by the benches)."""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from contextlib import nullcontext

import streamtag
from tests.support.busy import python_held


def main() -> None:
    """Listen for so many seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--window", type=float, default=3.0)
    parser.add_argument("--held", action="store_true")
    given = parser.parse_args()
    sink = streamtag.OscSink("127.0.0.1", given.port)
    session = streamtag.live("MSD_musicnn", input="pulse", sinks=[sink], hop=0.016, window=given.window, gate=None)
    with session, python_held() if given.held else nullcontext():
        began, used = time.monotonic(), time.process_time()
        session.wait(given.seconds)
        processor = (time.process_time() - used) / (time.monotonic() - began)
    stats = dataclasses.asdict(session.stats)
    counters = {name: value for name, value in stats.items() if isinstance(value, int | float)}
    print(json.dumps(counters | {"processor": processor}))


if __name__ == "__main__":
    main()
