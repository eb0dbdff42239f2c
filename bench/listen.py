"""Listen to the PulseAudio source that the environment names and print the counters as JSON (run by bench.live)."""

from __future__ import annotations

import dataclasses
import json
import sys

import streamtag


def main() -> None:
    """Listen for so many seconds."""
    sink = streamtag.OscSink("127.0.0.1", 9000)
    with streamtag.live("MSD_musicnn", input="pulse", sinks=[sink]) as session:
        session.wait(float(sys.argv[1]))
    stats = dataclasses.asdict(session.stats)
    print(json.dumps({name: value for name, value in stats.items() if isinstance(value, int | float)}))


if __name__ == "__main__":
    main()
