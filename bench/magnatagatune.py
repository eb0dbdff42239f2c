"""The published training on MagnaTagATune, from audio to the published table: python -m bench.magnatagatune INDEX AUDIO

INDEX is the folder ``data/index/mtt`` of https://github.com/jordipons/musicnn-training, AUDIO the folder that the clips
of MagnaTagATune were unpacked into (0/ to f/). Interrupted, it goes on. Anything behind ``--`` goes to `train run`:
``-- --epochs 50``, ``-- --model vgg128``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

STREAMTAG = [sys.executable, "-m", "streamtag", "train"]


def main() -> None:
    """Prepare, train, evaluate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("audio", type=Path)
    parser.add_argument("--work", type=Path, default=Path("mtt"), help="folder for what is made (6 GB)")
    parser.add_argument("options", nargs="*", help="for `train run`")
    given = parser.parse_args()
    tables = {part: given.index / f"{part}_gt_mtt.tsv" for part in ("train", "val", "test")}
    data, model = given.work / "data", given.work / "model.safetensors"
    given.work.mkdir(parents=True, exist_ok=True)
    prepare = [given.index / "index_mtt.tsv", "--audio", given.audio, "--out", data, "--dtype", "float16"]
    # three clips of the index are missing or damaged in MagnaTagATune itself: they are listed, and are in no table
    subprocess.run([*STREAMTAG, "prepare", *map(str, prepare)], check=False)
    resume = ["--resume"] if model.with_suffix(".state").is_file() else []
    run = [data, "--truth", tables["train"], "--validation", tables["val"], "--labels", "MTT", "--out", model]
    subprocess.run([*STREAMTAG, "run", *map(str, run), *resume, *given.options], check=True)
    evaluate = [model, data, "--truth", tables["test"], "--per-tag"]
    subprocess.run([*STREAMTAG, "evaluate", *map(str, evaluate)], check=True)


if __name__ == "__main__":
    main()
