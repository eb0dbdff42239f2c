"""OpenL3 against its architecture in Keras and its spectrogram by librosa, with weights made from seeds.

The published weights are a user's to get. The files here are written by Keras itself, in the form of theirs.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pytest
import soundfile

from streamtag.errors import CheckpointError, WeightsDamagedError, WeightsMissingError
from streamtag.files.offline import FileTagger
from streamtag.inference.networks.openl3 import SPECTROGRAMS, Openl3Network, shapes
from streamtag.inference.networks.openl3_file import import_openl3, read_openl3
from streamtag.inference.networks.published import OPENL3_SPECS
from streamtag.inference.networks.weights import Weights
from streamtag.tagging.tagger import Tagger
from tests.support.program import run_cli

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]
RATE = 48_000
SOUND = np.random.default_rng(12).normal(0, 0.1, 5 * RATE // 2).astype(np.float32) * np.repeat(
    np.array([1, 0.1, 0.5, 0, 0.3], np.float32), RATE // 2
)


def made(seed: int = 0) -> dict[str, np.ndarray]:
    """Weights that let something through."""
    generator = np.random.default_rng(seed)
    found: dict[str, np.ndarray] = {}
    for name, shape in shapes().items():
        if name.endswith("kernel"):
            value = generator.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape)
        elif name.endswith(("gamma", "variance")):
            value = generator.uniform(0.5, 1.5, shape)
            if name == "input_norm/moving_variance":
                value = np.array([400.0])
        else:
            value = generator.normal(0, 0.1, shape) - (40 if name == "input_norm/moving_mean" else 0)
        found[name] = value.astype(np.float32)
    return found


def in_keras(representation: str, weights: dict[str, np.ndarray]) -> Any:
    """The published construction, layer by layer, of a picture (bands, frames, 1)."""
    keras = pytest.importorskip("keras")
    layers = keras.layers
    bands, frames = {"linear": (257, 197), "mel128": (128, 199), "mel256": (256, 199)}[representation]
    picture = keras.Input((bands, frames, 1))
    y = layers.BatchNormalization()(picture)
    for block, filters in enumerate((64, 128, 256, 512)):
        y = layers.Conv2D(filters, 3, padding="same")(y)
        y = layers.Activation("relu")(layers.BatchNormalization()(y))
        y = layers.Conv2D(filters, 3, padding="same")(y)
        if block < 3:
            y = layers.Activation("relu")(layers.BatchNormalization()(y))
            y = layers.MaxPooling2D((2, 2), strides=2)(y)
    model = keras.Model(picture, y)
    model.set_weights(list(weights.values()))
    return model


def picture_by_librosa(samples: np.ndarray, representation: str) -> np.ndarray:
    """The published spectrogram: magnitudes, decibels below the maximum, 80 at the most."""
    if representation == "linear":
        magnitude = np.abs(librosa.stft(samples, n_fft=512, hop_length=242, center=False))
    else:
        padded = np.pad(samples, (0, 198 * 242 + 2048 - len(samples)))
        spectrum = np.abs(librosa.stft(padded, n_fft=2048, hop_length=242, center=False))
        magnitude = librosa.filters.mel(sr=RATE, n_fft=2048, n_mels=int(representation[3:])) @ spectrum
    decibels = 10 * np.log10(np.maximum(magnitude, 1e-10))
    return np.maximum(decibels - decibels.max(), -80)


def network(representation: str, size: int, seed: int = 0) -> Openl3Network:
    name = f"OpenL3_music_{representation}_{size}"
    return Openl3Network(Weights(OPENL3_SPECS[name], made(seed), {"model": name}, Path("seeds")))


@pytest.mark.parametrize("representation", SPECTROGRAMS)
def test_the_picture_is_the_published_one(representation: str) -> None:
    found = network(representation, 512).picture(SOUND[:RATE])
    expected = picture_by_librosa(SOUND[:RATE], representation)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-3)
    silent = network(representation, 512).picture(np.zeros(RATE, np.float32))
    np.testing.assert_array_equal(silent, 0)


@pytest.mark.parametrize("representation", SPECTROGRAMS)
def test_the_network_is_the_published_construction(representation: str) -> None:
    keras = pytest.importorskip("keras")
    ours = {size: network(representation, size) for size in (6144, 512)}
    picture = ours[512].picture(SOUND[:RATE])
    whole = in_keras(representation, made())(picture[None, ..., None])
    for size, one in ours.items():
        pool = SPECTROGRAMS[representation].pools[size == 512]
        expected = np.asarray(keras.layers.Flatten()(keras.layers.MaxPooling2D(pool, padding="same")(whole)))
        _, found = one(SOUND[:RATE].reshape(1, 100, 480))
        assert found.shape == expected.shape == (1, size)
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-4 * np.abs(expected).max())


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as the published ones are."""
    h5py = pytest.importorskip("h5py")
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    path = tmp_path_factory.mktemp("openl3") / "openl3_audio_mel128_env.h5"
    with h5py.File(path, "w") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Keras' own, to NumPy
        save_weights_to_hdf5_group(file, in_keras("mel128", made()))
    return path


def test_their_files_are_read(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMTAG_MODELS", str(tmp_path / "models"))
    assert "openl3_audio_mel256_music.h5 from" in run_cli("models").stdout
    with pytest.raises(WeightsMissingError, match=r"Get openl3_audio_mel128_env\.h5.*streamtag models import"):
        Tagger("OpenL3_env_mel128_512")
    said = run_cli("models", "import", published).stdout.splitlines()
    assert [line.partition(":")[0] for line in said] == ["OpenL3_env_mel128_6144", "OpenL3_env_mel128_512"]
    assert "OpenL3_env_mel128_512  an embedding of 512, 4,689,860 parameters" in run_cli("models").stdout
    for name, value in read_openl3(published).items():
        np.testing.assert_array_equal(value, made()[name])


def test_live_and_files_begin_in_the_middle_of_a_patch_and_end_with_silence(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_openl3(published, tmp_path)
    monkeypatch.setenv("STREAMTAG_MODELS", str(tmp_path))
    soundfile.write(tmp_path / "sound.wav", SOUND, RATE, subtype="FLOAT")
    tagger = Tagger("OpenL3_env_mel128_512")
    frames = [frame for start in range(0, len(SOUND), 9999) for frame in tagger.push(SOUND[start : start + 9999], RATE)]
    frames += tagger.flush()
    padded = np.concatenate((np.zeros(RATE // 2, np.float32), SOUND, np.zeros(RATE, np.float32)))
    one = network("mel128", 512)
    expected = np.concatenate([one(padded[k * RATE : (k + 1) * RATE].reshape(1, 100, 480))[1] for k in range(3)])
    np.testing.assert_allclose([frame.embedding for frame in frames], expected, rtol=0, atol=1e-4)
    found = FileTagger("OpenL3_env_mel128_512").tag(tmp_path / "sound.wav")
    np.testing.assert_array_equal(found.embeddings, [frame.embedding for frame in frames])
    np.testing.assert_allclose(found.starts, [0, 0.5, 1.5])


def test_what_is_no_such_file_is_refused(published: Path, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with pytest.raises(CheckpointError, match="expected a name as"):
        import_openl3(tmp_path / "weights.h5", tmp_path)
    path = tmp_path / published.name
    with pytest.raises(CheckpointError, match="no such file"):
        import_openl3(path, tmp_path)
    path.write_bytes(b"no HDF5" * 100)
    with pytest.raises(CheckpointError, match="damaged"):
        import_openl3(path, tmp_path)
    path.write_bytes(published.read_bytes()[: 10**6])
    with pytest.raises(CheckpointError, match="damaged"):
        import_openl3(path, tmp_path)
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = []
    with pytest.raises(CheckpointError, match="0 arrays, which are not those"):
        import_openl3(path, tmp_path)
    assert run_cli("models", "import", path, "--to", tmp_path).status == 1
    wrong = made() | {"conv1_1/bias": np.zeros(3, np.float32)}
    with pytest.raises(WeightsDamagedError, match="conv1_1/bias"):
        Openl3Network(
            Weights(OPENL3_SPECS["OpenL3_music_mel128_512"], wrong, {"model": "OpenL3_music_mel128_512"}, path)
        )
