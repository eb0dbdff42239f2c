"""Make tests/golden/front_ends.npz: what Essentia's front-ends give for noise that is our own.

Run by a Python that has essentia-tensorflow (2.1b6.dev1389)::

    PYTHON scripts/make_front_end_figures.py
"""

import pathlib

import essentia.standard
import numpy as np

TARGET = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden" / "front_ends.npz"
FRONT_ENDS = {
    "essentia-musicnn": (essentia.standard.TensorflowInputMusiCNN(), 512, 256),
    "essentia-vggish": (essentia.standard.TensorflowInputVGGish(), 400, 160),
    "essentia-tempocnn": (essentia.standard.TensorflowInputTempoCNN(), 1024, 512),
}
FRAMES = 12


def main() -> None:
    """Write the figures."""
    noise = np.random.default_rng(3).normal(0, 0.1, 8000).astype(np.float32)
    figures = {}
    for name, (frame_of, window, hop) in FRONT_ENDS.items():
        figures[name] = np.stack([frame_of(noise[k * hop : k * hop + window]) for k in range(FRAMES)])
    np.savez_compressed(TARGET, noise=noise, **figures)


if __name__ == "__main__":
    main()
