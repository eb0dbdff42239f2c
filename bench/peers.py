"""The peers, where they can be set up: the published musicnn 0.1.0 (Python 3.7, TensorFlow 1.15) and Essentia.

Their set-up scripts lie in the folder that $STREAMTAG_PEERS names, by default ../shared/peers beside the checkout.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ.get("STREAMTAG_PEERS", Path(__file__).resolve().parents[2] / "shared" / "peers"))
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}

# Run by musicnn's own Python. Arguments: a JSON list of {file, model, length, overlap}; prints a JSON list.
MUSICNN_PROBE = """
import contextlib, io, json, os, sys, time, warnings
warnings.filterwarnings("ignore")
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
with contextlib.redirect_stdout(io.StringIO()):
    from musicnn.extractor import extractor
results = []
for job in json.loads(sys.argv[1]):
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        taggram = extractor(job["file"], model=job["model"], input_length=job.get("length", 3),
                            input_overlap=job.get("overlap", False), extract_features=False)[0]
    results.append({"seconds": time.perf_counter() - start, "taggram": taggram.tolist()})
print(json.dumps(results))
"""


@cache
def python_of(peer: str) -> str | None:
    """The interpreter that a peer runs in, set up on first use; None if that is not possible here."""
    script = FOLDER / f"{peer}_env.sh"
    if not script.is_file():
        print(f"({peer}: not measured, no {script.name} in {FOLDER.name}/)")
        return None
    done = subprocess.run(["bash", str(script)], cwd=FOLDER, capture_output=True, text=True)
    if done.returncode:
        print(f"({peer}: not measured, its set-up failed: {done.stderr.strip()[-200:]})")
        return None
    return done.stdout.split()[-1]


def musicnn(jobs: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """Run the published extractor in one process: [{file, model, length?, overlap?}] to [{seconds, taggram}]."""
    python = python_of("musicnn")
    if python is None:
        return None
    done = subprocess.run(
        [python, "-c", MUSICNN_PROBE, json.dumps(jobs)], capture_output=True, text=True, env={**os.environ, **QUIET}
    )
    if done.returncode:
        print(f"(musicnn: failed: {done.stderr.strip()[-200:]})", file=sys.stderr)
        return None
    results: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return results


def pinned(command: list[str]) -> list[str]:
    """The same command on one processor, where the system can do that."""
    return ["taskset", "-c", "0", *command] if shutil.which("taskset") else command


def essentia_ms(wav: Path, hops: list[int], work: Path) -> dict[int, float] | None:
    """Essentia's milliseconds for each vector of MSD_musicnn tags, by hop in frames; on one thread."""
    python, maker = python_of("essentia"), python_of("musicnn")
    if python is None or maker is None:
        return None
    graph = work / "MSD_musicnn.pb"
    env = {**os.environ, **QUIET}
    made = subprocess.run(
        [maker, str(FOLDER / "freeze_musicnn.py"), "MSD_musicnn", str(graph)], capture_output=True, text=True, env=env
    )
    if made.returncode:
        print(f"(Essentia: not measured, no graph: {made.stderr.strip()[-200:]})")
        return None
    done = subprocess.run(
        pinned([python, str(FOLDER / "essentia_bench.py"), str(graph), str(wav), ",".join(map(str, hops))]),
        capture_output=True,
        text=True,
        env={**env, "OMP_NUM_THREADS": "1"},
    )
    if done.returncode:
        print(f"(Essentia: failed: {done.stderr.strip()[-200:]})")
        return None
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {line["hop"]: line["ms_per_vector"] for line in lines}
