"""`streamtag models`, importing published checkpoints, and weights that are missing or damaged."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from safetensors.numpy import save_file

from streamtag.inference import factory
from streamtag.inference.networks import network
from streamtag.inference.networks.catalogue import find_weights, load_weights
from streamtag.inference.networks.checkpoint import import_models, published_names
from streamtag.inference.networks.specs import SPECS
from streamtag.inference.networks.weights import read_metadata
from tests.support.program import run_cli

BIG = SPECS["MSD_musicnn_big"]
Variables = dict[str, np.ndarray]


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user's own folder of models, with nothing in it; nothing is kept in memory before and after."""
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("STREAMTAG_MODELS", str(folder))
    caches = (network._shared_network, factory._prepared)
    for cache in caches:
        cache.cache_clear()
    yield folder
    for cache in caches:
        cache.cache_clear()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory, music: Path) -> Path:
    """Three seconds of music."""
    path = tmp_path_factory.mktemp("sound") / "music.wav"
    samples, rate = soundfile.read(music, frames=3 * 44_100 + 400)
    soundfile.write(path, samples, rate)
    return path


# --- what is installed --------------------------------------------------------------------------------------------


def test_the_list_says_all_there_is_to_know(models: Path) -> None:
    outcome = run_cli("models")
    assert outcome.status == 0
    parts = dict(part.split("  ", 1) for part in outcome.stdout.replace("\n  ", "  ").splitlines())
    assert list(parts) == [*SPECS, "VGGish", "OpenL3"]
    vggish, openl3 = parts.pop("VGGish"), parts.pop("OpenL3")
    assert "not installed: get openl3_audio_mel256_music.h5" in openl3
    for words in ("an embedding of 128", "64 mel bands every 10 ms", "not installed: get vggish_model.ckpt"):
        assert words in vggish
    for name, part in parts.items():
        spec = SPECS[name]
        assert f"50 tags of the {spec.dataset}, {spec.parameters:,} parameters" in part
        assert f"ROC-AUC {spec.roc_auc:.4f}, PR-AUC {spec.pr_auc:.4f}" in part
        if name == BIG.name:
            assert "not installed" in part
            assert "streamtag models import PATH/TO/musicnn/MSD_musicnn_big" in part
        else:
            metadata = load_weights(name).metadata
            for known in ("source", "source_sha256", "licence", "tensors_sha256"):
                assert metadata[known] in part
            assert str(find_weights(name)) in part


def test_listing_and_loading_need_no_tensorflow() -> None:
    code = (
        "import sys\n"
        "from streamtag.cli import main\n"
        "from streamtag.inference.networks.catalogue import load_weights\n"
        "load_weights('MTT_vgg')\n"
        "sys.argv = ['streamtag', 'models']\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "print(sorted({'tensorflow', 'keras', 'jax', 'torch', 'numba', 'sounddevice'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_labels_are_printed_one_a_line() -> None:
    assert tuple(run_cli("models", "--labels", "MSD_vgg").stdout.splitlines()) == SPECS["MSD_vgg"].labels
    unknown = run_cli("models", "--labels", "MSD_vg")
    assert (unknown.status, unknown.stdout) == (2, "")
    assert "Did you mean MSD_vgg" in unknown.message


@pytest.mark.parametrize("name", [name for name in SPECS if name != BIG.name])
def test_shipped_weights_carry_their_origin(name: str) -> None:
    weights = load_weights(name)
    spec = SPECS[name]
    assert sum(tensor.size for tensor in weights.tensors.values()) == spec.parameters
    check_metadata(weights.metadata, name)
    assert "Music Technology Group" in weights.metadata["licence"]


def check_metadata(metadata: dict[str, str], name: str) -> None:
    spec = SPECS[name]
    assert metadata["model"] == name
    assert tuple(json.loads(metadata["labels"])) == spec.labels
    architecture = json.loads(metadata["architecture"])
    assert architecture == {"family": spec.family, "filters": spec.filters, "embedding_size": spec.embedding_size}
    assert metadata["parameters"] == str(spec.parameters)
    assert (float(metadata["roc_auc"]), float(metadata["pr_auc"])) == (spec.roc_auc, spec.pr_auc)
    assert metadata["dataset"] == spec.dataset
    for digest in ("source_sha256", "tensors_sha256"):
        assert len(bytes.fromhex(metadata[digest])) == 32
    assert name in metadata["source"]
    assert metadata["licence"].startswith("ISC")


# --- missing and damaged weights ----------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["live", "file"])
def test_a_model_that_is_not_installed_says_how_to_import_it(command: str, models: Path, sound: Path) -> None:
    given = ["--input", sound] if command == "live" else [sound]
    outcome = run_cli(command, *given, "--model", BIG.name)
    assert outcome.status == 1
    assert len(outcome.message.splitlines()) == 1
    for part in (BIG.name, str(models), "streamtag models import", "MTT_musicnn, MSD_musicnn, MTT_vgg, MSD_vgg"):
        assert part in outcome.message


def installed_weights(name: str) -> Path:
    path = find_weights(name)
    assert path is not None
    return path


def flip_a_byte(good: bytes) -> bytes:
    return good[:-1000] + bytes([good[-1000] ^ 0xFF]) + good[-999:]


DAMAGE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "a flipped byte": (flip_a_byte, "checksum"),
    "cut short": (lambda good: good[: len(good) // 2], "not readable as safetensors"),
    "empty": (lambda good: b"", "not readable as safetensors"),
    "something else": (lambda good: b"PK\3\4" + b"weights" * 1000, "not readable as safetensors"),
    "another model's": (
        lambda good: installed_weights("MSD_musicnn").read_bytes(),
        "holds MSD_musicnn, not MTT_musicnn",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_weights_are_named_with_the_reason(damage: str, models: Path, sound: Path) -> None:
    change, reason = DAMAGE[damage]
    path = models / "MTT_musicnn.safetensors"
    path.write_bytes(change(installed_weights("MTT_musicnn").read_bytes()))
    outcome = run_cli("file", sound)
    assert (outcome.status, outcome.stdout) == (1, "")
    assert outcome.message.startswith(f"streamtag: {path}: ")
    assert reason in outcome.message
    shown = run_cli("models")
    assert shown.status == 0
    assert f"damaged: {path}: " in shown.stdout
    assert shown.stdout.count("licence:") == 3, "the others are listed as ever"


def test_weights_that_do_not_say_what_they_are_of_are_refused(models: Path) -> None:
    path, good = models / "MTT_musicnn.safetensors", installed_weights("MTT_musicnn").read_bytes()
    for key in (b"licence", b"source_sha256", b"tensors_sha256"):
        path.write_bytes(good.replace(b'"' + key + b'"', b'"' + key[:-1] + b'x"', 1))
        shown = run_cli("models")
        assert shown.status == 0
        assert f"damaged: {path}: does not say its {key.decode()}" in shown.stdout


def test_safetensors_that_are_not_ours_are_refused(models: Path, sound: Path) -> None:
    path = models / "MTT_musicnn.safetensors"
    save_file({"a": np.zeros(3, np.float32)}, path)
    outcome = run_cli("file", sound)
    assert outcome.status == 1
    assert outcome.message.startswith(f"streamtag: {path}: a safetensors file, but not streamtag's")


# --- importing ----------------------------------------------------------------------------------------------------


def published_shape(ours: tuple[int, ...], name: str) -> tuple[int, ...]:
    """Musicnn kept an axis of length 1 in the kernels of its mid-end."""
    return (*ours[:2], 1, ours[2]) if name.startswith("conv2d") and len(ours) == 3 else ours


@pytest.fixture(scope="module")
def variables() -> Variables:
    """What a checkpoint of the big model holds: variables of the right shapes, optimiser slots, and a counter."""
    rng = np.random.default_rng(8)
    names = published_names(BIG)
    made: Variables = {}
    for key, shape in network.layer_shapes(BIG).items():
        value = rng.normal(0, 0.02, published_shape(shape, names[key])).astype(np.float32)
        if names[key].endswith(("moving_variance", "gamma")):
            value = np.abs(value) + 1
        made[names[key]] = value
    made["dense/kernel/Adam"] = np.zeros((3, 3), np.float32)
    made["beta1_power"] = np.array(0.9, np.float32)
    made["global_step"] = np.array(12, np.int64)
    return made


def write_checkpoint(folder: Path, variables: Variables) -> Path:
    """As TensorFlow 1 wrote them under the prefix ``FOLDER/``: ``.index`` and ``.data-00000-of-00001``."""
    tf = network.import_tensorflow()
    folder.mkdir(parents=True, exist_ok=True)
    names = sorted(variables)
    tf.raw_ops.SaveV2(
        prefix=f"{folder}/",
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[tf.constant(variables[name]) for name in names],
    )
    assert {path.name for path in folder.iterdir()} == {".index", ".data-00000-of-00001"}
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, variables: Variables) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("published") / BIG.name, variables)


@pytest.mark.slow
def test_a_published_checkpoint_is_imported_and_used(
    models: Path, checkpoint: Path, variables: Variables, sound: Path
) -> None:
    outcome = run_cli("models", "import", checkpoint)
    assert outcome.status == 0, outcome.stderr
    target = models / f"{BIG.name}.safetensors"
    assert outcome.stdout == f"{BIG.name}: written to {target}\n"
    assert [path.name for path in models.iterdir()] == [target.name]

    weights = load_weights(BIG.name)
    assert sum(tensor.size for tensor in weights.tensors.values()) == BIG.parameters == 7_993_819
    for key, published in published_names(BIG).items():
        np.testing.assert_array_equal(weights.tensors[key].ravel(), variables[published].ravel())
    assert set(weights.tensors) == set(published_names(BIG)), "no optimiser slots, no counters"
    check_metadata(read_metadata(target), BIG.name)
    assert "PATH/TO/musicnn" not in run_cli("models").stdout

    used = [
        run_cli("file", sound, "--model", BIG.name, "--format", "json", "--engine", engine)
        for engine in ("tensorflow", "sliding")
    ]
    for outcome in used:
        assert outcome.status == 0, outcome.stderr
        assert {tag for tag, _ in outcome.json[0]["top"]} <= set(BIG.labels)
    scores = [dict(outcome.json[0]["top"]) for outcome in used]
    assert scores[0] == pytest.approx(scores[1], abs=2e-4)


def test_a_folder_of_checkpoints_a_renamed_one_and_a_wheel(models: Path, checkpoint: Path, tmp_path: Path) -> None:
    renamed = tmp_path / "my checkpoint"
    shutil.copytree(checkpoint, renamed)
    wheel = tmp_path / "musicnn-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        for path in checkpoint.iterdir():
            file.write(path, f"musicnn/{BIG.name}/{path.name}")
        file.writestr("musicnn/extractor.py", "import this")
    here = tmp_path / "here"
    for arguments in ([checkpoint.parent], [renamed, "--model", BIG.name], [wheel]):
        outcome = run_cli("models", "import", *arguments, "--to", here)
        assert outcome.status == 0, outcome.stderr
        assert [path.name for path in here.iterdir()] == [f"{BIG.name}.safetensors"]
        (here / f"{BIG.name}.safetensors").unlink()
    assert list(models.iterdir()) == []


def refused(path: Path, *options: str) -> str:
    """The message with which an import is refused; nothing is written."""
    outcome = run_cli("models", "import", path, *options)
    assert (outcome.status, outcome.stdout) == (1, "")
    assert outcome.message.startswith("streamtag: ")
    assert len(outcome.message.splitlines()) == 1
    assert list(Path(os.environ["STREAMTAG_MODELS"]).iterdir()) == []
    return outcome.message


def test_what_is_no_checkpoint_is_refused(models: Path, tmp_path: Path, sound: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert f"{tmp_path / 'missing'}: no such file; expected" in refused(tmp_path / "missing")
    assert f"{sound}: neither a folder nor a readable wheel" in refused(sound)
    assert f"{empty}: no checkpoint of MTT_musicnn, MSD_musicnn" in refused(empty)
    assert "no checkpoint of MTT_vgg in it" in refused(empty, "--model", "MTT_vgg")
    wheel = tmp_path / "other.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("other/__init__.py", "")
    assert f"{wheel}: no checkpoint" in refused(wheel)
    half = wheel.read_bytes()
    entry = half.find(b"PK\1\2")
    for offset, local, value in ((8, 6, 1), (10, 8, 99)):  # encrypted; packed in a way that nobody knows
        other = bytearray(half)
        other[entry + offset] = other[local] = value
        wheel.write_bytes(bytes(other).replace(b"other/__init__.py", b"MTT_vgg/.index\0\0\0"))
        assert f"{wheel}: neither a folder nor a readable wheel" in refused(wheel)
    wheel.write_bytes(half[: len(half) // 2])
    assert f"{wheel}: neither a folder nor a readable wheel" in refused(wheel)
    assert run_cli("models", "import", empty, "--model", "VGG").status == 2


def test_a_checkpoint_of_another_shape_is_refused_by_name_and_shape(
    models: Path, variables: Variables, tmp_path: Path
) -> None:
    name = published_names(BIG)["penultimate_dense/kernel"]
    wrong = {**variables, name: variables[name][:, :200].copy()}
    message = refused(write_checkpoint(tmp_path / BIG.name, wrong))
    rows = variables[name].shape[0]
    assert f"{name} has shape ({rows}, 200), and ({rows}, 500) is needed" in message
    assert str(tmp_path / BIG.name) in message


def test_a_checkpoint_that_lacks_a_variable_is_refused_by_name(
    models: Path, variables: Variables, tmp_path: Path
) -> None:
    name = published_names(BIG)["midend_2_norm/moving_mean"]
    less = {key: value for key, value in variables.items() if key != name}
    assert f"the variable {name} is missing" in refused(write_checkpoint(tmp_path / BIG.name, less))


def test_a_checkpoint_with_not_a_number_in_it_is_refused_by_name(
    models: Path, variables: Variables, tmp_path: Path
) -> None:
    name = published_names(BIG)["tags/bias"]
    bad = variables[name].copy()
    bad[3] = np.nan
    message = refused(write_checkpoint(tmp_path / BIG.name, {**variables, name: bad}))
    assert f"{name} holds NaN" in message


@pytest.mark.parametrize("part", [".index", ".data-00000-of-00001"])
@pytest.mark.parametrize("damage", ["cut", "a flipped byte", "missing"])
def test_a_damaged_checkpoint_is_refused(
    part: str, damage: str, models: Path, checkpoint: Path, tmp_path: Path
) -> None:
    folder = tmp_path / BIG.name
    shutil.copytree(checkpoint, folder)
    good = (folder / part).read_bytes()
    if damage == "missing":
        (folder / part).unlink()
    elif damage == "cut":
        (folder / part).write_bytes(good[: len(good) // 3])
    else:
        (folder / part).write_bytes(good[:1000] + bytes([good[1000] ^ 0xFF]) + good[1001:])
    message = refused(folder)
    assert str(folder) in message


def test_a_full_disk_while_importing_leaves_no_half_file(
    models: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(tensors: object, path: Path, metadata: object) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("streamtag.inference.networks.weights.save_file", full)
    assert "No space left on device" in refused(checkpoint)


def test_importing_from_python_gives_the_paths(checkpoint: Path, tmp_path: Path) -> None:
    assert import_models(checkpoint, tmp_path / "out") == [tmp_path / "out" / f"{BIG.name}.safetensors"]
