"""Frames and counters as an engine would give them, made up for tests of what takes them."""

from __future__ import annotations

from typing import Any

import numpy as np

from streamtag.inference.networks.specs import SPECS
from streamtag.results import HeadFrame, State, Stats, TagFrame
from streamtag.sinks.base import SessionInfo

LABELS = SPECS["MSD_musicnn"].labels
INFO = SessionInfo("MSD_musicnn", LABELS, 200, "Scarlett", 48_000, 0.064, 2.992, "full patch")


def make_frame(index: int = 0, **changes: Any) -> TagFrame:
    values: dict[str, Any] = {
        "index": index,
        "time": 3.008 + 0.064 * index,
        "raw": np.zeros(50, np.float32),
        "scores": np.linspace(0, 1, 50, dtype=np.float32),
        "top": (("rock", 0.43219), ("female vocalists", 0.3), ("pop", 0.05)),
        "switched": (),
        "on": frozenset({"rock"}),
        "embedding": np.linspace(-1, 1, 200, dtype=np.float32),
        "level_dbfs": -18.249,
        "captured": 10.0,
        "predicted": 10.0314,
    }
    return TagFrame(**{**values, **changes})


def make_head(name: str = "mood", **changes: Any) -> HeadFrame:
    values: dict[str, Any] = {
        "name": name,
        "raw": np.array([0.9, 0.1], np.float32),
        "scores": np.array([0.8, 0.2], np.float32),
        "top": (("calm", 0.8), ("wild", 0.2)),
        "switched": (),
        "on": frozenset({"calm"}),
        "features": np.zeros(3, np.float32),
    }
    return HeadFrame(**{**values, **changes})


def make_stats(**changes: Any) -> Stats:
    """Every counter, so that one that is new to `Stats` has to be given a value here, and nowhere else."""
    values: dict[str, Any] = {
        "state": State.RUNNING,
        "trouble": None,
        "hop": INFO.hop,
        "samplerate": INFO.samplerate,
        "seconds": 83.5,
        "samples_captured": 13,
        "samples_in": 1,
        "samples_lost": 12,
        "overflows": 3,
        "clock_jumps": 0,
        "nonfinite": 0,
        "gaps": 0,
        "gap_seconds": 0.0,
        "hops": 9,
        "hops_gated": 0,
        "hops_skipped": 4,
        "hops_lost": 0,
        "gate_closed": False,
        "level_dbfs": -20.0,
        "warnings": {},
        "frame_drops": 0,
        "sink_drops": {},
        "sink_errors": {},
        "sink_trouble": {},
        "control_commands": 0,
        "control_last_ignored": None,
        "control_ignored": 0,
        "load": 0.42,
        "latency_p50": 31.0,
        "latency_p99": 47.0,
        "latency_p999": 59.0,
        "added_p50": 5.0,
        "added_p99": 9.0,
        "added_p999": 14.0,
        "corrections": 0,
        "clock_ppm": None,
        "title": None,
    }
    return Stats(**{**values, **changes})
