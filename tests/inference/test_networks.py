"""The architectures, their weights, and the other Keras backends."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from streamtag.dsp.front_end import MUSICNN
from streamtag.errors import OptionError, UnknownModelError, WeightsDamagedError
from streamtag.inference.networks.catalogue import find_spec, installed_models, load_weights
from streamtag.inference.networks.network import Network, build, layer_shapes
from streamtag.inference.networks.specs import SPECS
from streamtag.inference.networks.weights import Weights

pytestmark = pytest.mark.tensorflow

GOLDEN = Path(__file__).parents[1] / "golden"

PROBE = """
import sys
import keras  # as a program may have done before
import numpy as np
from streamtag.files.offline import FileTagger
golden = sys.argv[1]
figures = np.load(golden + "/figures.npz")
for model in ("MTT_musicnn", "MSD_musicnn", "MTT_vgg", "MSD_vgg"):
    tagger = FileTagger(model, engine="tensorflow")  # that is, Keras
    taggram = tagger.tag(golden + "/clip16.flac").taggram
    print(tagger.engine, np.abs(taggram - figures[f"clip16/{model}/taggram32"]).max())
assert "tensorflow" not in sys.modules, "the other backend needs TensorFlow"
if "jax" in sys.modules:  # on a GPU, it would compute in TensorFloat-32
    assert sys.modules["jax"].config.jax_default_matmul_precision == "highest"
if "torch" in sys.modules:
    assert not sys.modules["torch"].backends.cudnn.allow_tf32
"""


@pytest.mark.parametrize("name", SPECS)
def test_parameters_as_published(name: str) -> None:
    assert sum(int(np.prod(shape)) for shape in layer_shapes(SPECS[name]).values()) == SPECS[name].parameters


def test_what_is_installed() -> None:
    assert set(installed_models()) == set(SPECS) - {"MSD_musicnn_big"}


def test_big_runs_at_any_length() -> None:
    spec = SPECS["MSD_musicnn_big"]
    for frames in (1, 62, 187):
        outputs = build(spec, frames).predict_on_batch(np.zeros((2, frames, 96), np.float32))
        assert outputs["taggram"].shape == (2, 50)
        assert outputs["penultimate"].shape == (2, 500)
        assert outputs["cnn1"].shape == (2, frames, 512)


def test_weights_that_do_not_fit() -> None:
    weights = load_weights("MSD_vgg")
    for change, message in (
        ({"tags/bias": np.zeros(51, np.float32)}, "tags/bias has shape"),
        ({"more/kernel": np.zeros(1, np.float32)}, "left over"),
    ):
        wrong = Weights(weights.spec, {**weights.tensors, **change}, weights.metadata, weights.path)
        with pytest.raises(WeightsDamagedError, match=message):
            Network(wrong, 187)
    missing = {key: value for key, value in weights.tensors.items() if key != "tags/kernel"}
    with pytest.raises(WeightsDamagedError, match="tags/kernel is missing"):
        Network(Weights(weights.spec, missing, weights.metadata, weights.path), 187)


def test_seconds_to_frames() -> None:
    """As librosa 0.7's time_to_frames with n_fft=512, which musicnn uses."""
    assert [MUSICNN.frames_in(seconds) for seconds in (3, 1, 0.032, 3.1, 10)] == [187, 62, 2, 193, 625]
    assert [MUSICNN.frames_between(seconds) for seconds in (0.5, 1, 3)] == [30, 61, 186]
    with pytest.raises(OptionError, match="shorter than one frame"):
        MUSICNN.frames_in(0.001)


def test_unknown_model_names_the_near_ones() -> None:
    with pytest.raises(UnknownModelError, match="Did you mean MSD_musicnn"):
        find_spec("msd_musicn")
    with pytest.raises(OptionError, match="3 s only"):
        Network.load("MTT_vgg", 62)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends(backend: str) -> None:
    """The same file runs on Keras's other backends, without TensorFlow, with the same numbers."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed (torch: a CUDA build of 3 GB where pip has no CPU wheel)")
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(GOLDEN)],
        env={**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        assert line.split()[0] == backend, line
        assert float(line.split()[1]) < 5e-6, line
    assert len(done.stdout.splitlines()) == 4
