"""VGGish against the published graph, with weights made from seeds: the published ones are 280 MB, and a user's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from safetensors.numpy import load_file

from streamtag.errors import CheckpointError, OptionError, WeightsDamagedError, WeightsMissingError
from streamtag.files.offline import FileTagger
from streamtag.inference.factory import make_predictor
from streamtag.inference.networks import vggish_checkpoint
from streamtag.inference.networks.catalogue import models
from streamtag.inference.networks.published import VGGISH_SPEC
from streamtag.inference.networks.vggish import Principal, VggishNetwork, postprocessed
from streamtag.inference.networks.weights import Weights, write_weights
from streamtag.tagging.tagger import Tagger
from tests.support.oracle import needs_oracle, vggish_figures, vggish_weights
from tests.support.program import run_cli

pytestmark = [needs_oracle, pytest.mark.slow]
SEEDS = {"source": "seeds", "source_sha256": "0", "licence": "none"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of models with VGGish in it."""
    folder = tmp_path_factory.mktemp("models")
    write_weights(folder, VGGISH_SPEC, vggish_weights(), SEEDS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STREAMTAG_MODELS", str(folder))
        yield folder


@pytest.fixture(scope="module")
def network() -> VggishNetwork:
    return VggishNetwork(Weights(VGGISH_SPEC, vggish_weights(), SEEDS, Path("seeds")))


def patches() -> np.ndarray:
    return np.concatenate((vggish_figures()["examples/16000"], vggish_figures()["examples/44100"]))


def test_the_graph_is_the_published_one(network: VggishNetwork) -> None:
    figures = vggish_figures()
    tags, embedding = network(patches())
    assert tags.shape == (6, 0)
    np.testing.assert_allclose(embedding, figures["embedding"], rtol=0, atol=1e-5 * figures["embedding"].max())
    for place, patch in enumerate(patches()):
        for name, value in network.layers(patch).items():
            if name.startswith("pool"):
                np.testing.assert_allclose((value.mean(), value.std()), figures[name][place], rtol=1e-5)


def test_a_patch_depends_on_no_other(network: VggishNetwork) -> None:
    together = network(patches())[1]
    for place in (0, 4):
        np.testing.assert_array_equal(network(patches()[place : place + 1])[1][0], together[place])


def test_live_in_chunks_and_files_are_the_published_code(installed: Path, tmp_path: Path) -> None:
    figures = vggish_figures()
    sound = figures["audio/16000"] / np.float32(2**15)
    tagger = Tagger("VGGish", hop=0.96)
    frames = [frame for start in range(0, len(sound), 777) for frame in tagger.push(sound[start : start + 777], 16_000)]
    expected = figures["embedding"][:3]
    np.testing.assert_allclose([frame.embedding for frame in frames], expected, rtol=0, atol=1e-4)
    assert [frame.top for frame in frames] == [()] * 3
    soundfile.write(tmp_path / "sound.wav", sound, 16_000, subtype="FLOAT")
    found = FileTagger("VGGish").tag(tmp_path / "sound.wav")
    np.testing.assert_array_equal(found.embeddings, [frame.embedding for frame in frames])
    np.testing.assert_allclose(found.starts, [0, 0.96, 1.92])
    assert "VGGish" in [spec.name for spec in models()]


def test_the_command_line_says_that_there_are_no_tags(installed: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "sound.wav", vggish_figures()["audio/16000"], 16_000)
    said = run_cli("file", tmp_path / "sound.wav", "--model", "VGGish")
    assert "no tags of its own: an embedding of 128" in said.stdout
    live = run_cli("live", "--input", tmp_path / "sound.wav", "--model", "VGGish")
    assert "embedding of 128, length" in live.stdout
    assert "embedding of 128" in run_cli("models").stdout
    path = tmp_path / "sound.wav"
    for arguments, words in (
        (("file", path, "--plot", tmp_path / "a.svg"), "--plot draws scores of tags"),
        (("calibrate", path, "--out", tmp_path / "a.cal"), "no scales of tags"),
        (
            ("train", "run", tmp_path, "--truth", path, "--validation", path, "--out", tmp_path / "a.safetensors"),
            "store",
        ),
    ):
        option = "--from" if "run" in arguments else "--model"
        assert words in run_cli(*arguments, option, "VGGish").message


def test_what_it_cannot_do_is_said(installed: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"takes patches of 0\.96 s only"):
        Tagger("VGGish", window=2)
    with pytest.raises(OptionError, match="in one way only"):
        make_predictor("VGGish", 96, 96, "tensorflow")
    monkeypatch.setenv("STREAMTAG_MODELS", str(tmp_path))
    with pytest.raises(WeightsMissingError, match=r"vggish_model\.ckpt.*streamtag models import"):
        Tagger("VGGish")


def test_weights_of_another_shape_are_refused() -> None:
    wrong = dict(vggish_weights()) | {"fc2/biases": np.zeros(127, np.float32)}
    with pytest.raises(WeightsDamagedError, match=r"fc2/biases is \(127,\)"):
        VggishNetwork(Weights(VGGISH_SPEC, wrong, SEEDS, Path("seeds")))


def test_post_processing_is_the_published_formula() -> None:
    generator = np.random.default_rng(5)
    principal = Principal(generator.normal(0, 0.2, (128, 128)), generator.normal(0, 1, (128, 1)))
    embedding = np.maximum(generator.normal(0, 2, (7, 128)), 0).astype(np.float32)
    expected = np.empty((7, 128), np.uint8)
    for row, column in np.ndindex(expected.shape):
        component = sum(principal.axes[column, k] * (embedding[row, k] - principal.means[k, 0]) for k in range(128))
        expected[row, column] = int((min(2.0, max(-2.0, component)) + 2) * 255 / 4)
    np.testing.assert_array_equal(postprocessed(embedding, principal), expected)
    with pytest.raises(OptionError, match="axes"):
        postprocessed(embedding, Principal(principal.axes[:5], principal.means))


@pytest.mark.tensorflow
@pytest.mark.parametrize("version", [1, 2])
def test_checkpoints_of_either_kind_are_read(version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of smaller variables by the same names: 280 MB take half a minute."""
    tensorflow = pytest.importorskip("tensorflow").compat.v1
    small = {name: value[..., :3].copy() for name, value in vggish_weights().items()}
    shapes = {name: value.shape for name, value in small.items()}
    monkeypatch.setattr(vggish_checkpoint, "SHAPES", shapes)
    path = tmp_path / "vggish_model.ckpt"
    with tensorflow.Graph().as_default(), tensorflow.Session() as session:
        for name, value in small.items():
            tensorflow.get_variable(f"vggish/{name}", initializer=value)
        session.run(tensorflow.global_variables_initializer())
        tensorflow.train.Saver(write_version=version).save(session, str(path), write_meta_graph=False)
    done = run_cli("models", "import", path, "--to", tmp_path / "models")
    assert "VGGish: written to" in done.stdout
    found = load_file(tmp_path / "models" / "VGGish.safetensors")
    assert found.keys() == small.keys()
    for name, value in small.items():
        np.testing.assert_array_equal(found[name], value)
    monkeypatch.setattr(vggish_checkpoint, "SHAPES", shapes | {"fc2/biases": (4,)})
    assert "vggish/fc2/biases has shape (3,), and (4,) is needed" in run_cli("models", "import", path).message


@pytest.mark.tensorflow
def test_what_is_no_such_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        vggish_checkpoint.read_vggish(tmp_path / "vggish_model.ckpt")
    (tmp_path / "vggish_model.ckpt").write_bytes(b"not one" * 100)
    with pytest.raises(CheckpointError, match="damaged"):
        vggish_checkpoint.read_vggish(tmp_path / "vggish_model.ckpt")
