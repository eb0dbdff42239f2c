"""Seconds a step of training takes, ours and the published code's in one run: python -m bench.train_step PUBLISHED

PUBLISHED is a checkout of https://github.com/jordipons/musicnn-training. Batches of 32 patches of 187 frames, Adam, the
published cost. Both take turns on the same processors.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from bench import peers
from streamtag.inference.networks.architectures import find_architecture

ARCHITECTURES = ("musicnn", "vgg32", "attention")
OURS = """
import json, sys, time
import numpy as np
from streamtag.inference.networks.network import build, import_keras
from streamtag.inference.networks.architectures import find_architecture
keras = import_keras()
from streamtag.train.network import Trainee
from streamtag.train.optimizers import make_optimizer
name, steps = sys.argv[1], int(sys.argv[2])
network = Trainee(build(find_architecture(name).spec(tuple(map(str, range(50)))), 187))
compiled = "auto" if keras.backend.backend() == "jax" else False
network.compile(optimizer=make_optimizer("adam", 1e-3), jit_compile=compiled)
step = network.train_on_batch
"""
PUBLISHED = """
import json, os, sys, time
sys.path.insert(0, os.path.join(sys.argv[3], "src"))
import numpy as np
import tensorflow as tf
tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.ERROR)
import models
number, steps = int(sys.argv[1]), int(sys.argv[2])
config = {"model_number": number, "xInput": 187, "yInput": 96, "num_classes_dataset": 50, "audio_rep": {"n_mels": 96}}
x = tf.compat.v1.placeholder(tf.float32, [None, 187, 96])
y = tf.compat.v1.placeholder(tf.float32, [None, 50])
training = tf.compat.v1.placeholder(tf.bool)
with tf.name_scope("model"):
    logits = models.model_number(x, training, config)
kernels = [v for v in tf.compat.v1.trainable_variables() if "kernel" in v.name]
cost = tf.compat.v1.losses.sigmoid_cross_entropy(y, logits) + 1e-5 * tf.add_n([tf.nn.l2_loss(v) for v in kernels])
with tf.control_dependencies(tf.compat.v1.get_collection(tf.compat.v1.GraphKeys.UPDATE_OPS)):
    train = tf.compat.v1.train.AdamOptimizer(1e-3).minimize(cost)
session = tf.compat.v1.Session()
session.run(tf.compat.v1.global_variables_initializer())
def step(a, b):
    session.run([cost, train], {x: a, y: b, training: True})
"""
TIMED = """
rng = np.random.RandomState(0)
a = (4 * rng.rand(32, 187, 96)).astype(np.float32)
b = (rng.rand(32, 50) < 0.1).astype(np.float32)
step(a, b)
found = []
for _ in range(steps):
    wall, cpu = time.time(), time.process_time() if sys.version_info > (3, 3) else 0
    step(a, b)
    found.append((time.time() - wall, time.process_time() - cpu))
print(json.dumps(found))
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("published", type=Path)
    parser.add_argument("--steps", type=int, default=3, help="timed of each, per turn")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--architecture", nargs="*", default=list(ARCHITECTURES))
    given = parser.parse_args()
    python = peers.python_of("musicnn")
    if python is None:
        raise SystemExit(1)
    print("| step of 32 patches | ours: s, CPU s | published: s, CPU s | ratio of s, of CPU s |\n|---|---|---|---|")
    for name in given.architecture:
        number = str(find_architecture(name).number)
        ours: list[list[float]] = []
        theirs: list[list[float]] = []
        for _ in range(given.turns):
            ours += _run([sys.executable, "-c", OURS + TIMED, name, str(given.steps)])
            theirs += _run([python, "-c", PUBLISHED + TIMED, number, str(given.steps), str(given.published)])
        (wall, cpu), (peer_wall, peer_cpu) = (
            [statistics.median(column) for column in zip(*rows, strict=True)] for rows in (ours, theirs)
        )
        print(
            f"| {name} ({number}) | {wall:.2f}, {cpu:.2f} | {peer_wall:.2f}, {peer_cpu:.2f} | "
            f"**{peer_wall / wall:.2f}**, {peer_cpu / cpu:.2f} |",
            flush=True,
        )


def _run(command: list[str]) -> list[list[float]]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    found: list[list[float]] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
