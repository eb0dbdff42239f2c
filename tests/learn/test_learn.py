"""From labelled files to a head: what it is learned from, how good it is said to be, and the commands."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from streamtag.errors import DataError
from streamtag.heads.file import load_head
from streamtag.inference.base import feature_sizes
from streamtag.inference.networks.network import shared_network
from streamtag.inference.networks.specs import SPECS
from streamtag.labelled.data import read_labelled
from streamtag.labelled.rows import parse_labels
from streamtag.learn.features import Extraction, FeatureCache, FileFeatures, extract
from streamtag.learn.metrics import calibration_error
from tests.support.musicnn import all_features
from tests.support.onnx_files import MEL, three_bands, write
from tests.support.program import Outcome, run_cli

pytestmark = pytest.mark.slow

# --- what it is learned from --------------------------------------------------------------------------------------


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())


def test_a_folder_of_class_folders(tmp_path: Path) -> None:
    touch(tmp_path, "Drop/a.wav", "Drop/deeper/b.mp3", "build up/c.flac", "none/d.wav", ".hidden/e.wav", "readme.txt")
    data = read_labelled(tmp_path)
    assert data.labels == ("build up", "Drop", "none")
    assert data.exclusive
    assert [(clip.path.name, clip.labels) for clip in data.clips] == [
        ("a.wav", ("Drop",)),
        ("b.mp3", ("Drop",)),
        ("c.flac", ("build up",)),
        ("d.wav", ("none",)),
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "path,label,artist\nx/a.wav,drop,A\nb.wav,none,\n"),
        ("t.csv", "\ufeffx/a.wav,drop,A\nb.wav,none\n"),
        ("t.tsv", "artist\tlabel\tfilename\nA\tdrop\tx/a.wav\n\tnone\tb.wav\n"),
        ("t.txt", "x/a.wav\tdrop\tA\r\n\r\nb.wav\tnone\t\r\n"),
    ],
)
def test_tables(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    first, second = read_labelled(tmp_path / name).clips
    assert (first.path, first.labels, first.group) == (tmp_path / "x/a.wav", ("drop",), "A")
    assert (second.labels, second.group) == (("none",), None)


def test_several_labels_a_file(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("path,labels\na,drop|vocals\nb,\"['vocals', 'live']\"\nc,none\nd,drop\nd,live\n")
    data = read_labelled(table)
    assert not data.exclusive
    assert data.labels == ("drop", "live", "vocals")
    assert [clip.labels for clip in data.clips] == [("drop", "vocals"), ("vocals", "live"), (), ("drop", "live")]


@given(st.text(max_size=30))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_whatever_stands_in_a_label_is_text(text: str) -> None:
    assert all(isinstance(label, str) and label for label in parse_labels(text))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "has no folders"),
        (lambda folder: touch(folder, "drop/a.wav"), "one class alone"),
        (lambda folder: touch(folder, "drop/readme.txt", "none/readme.txt"), "no audio files"),
    ],
)
def test_folders_that_teach_nothing_are_refused(tmp_path: Path, make: Callable[[Path], object], message: str) -> None:
    make(tmp_path)
    with pytest.raises(DataError, match=message):
        read_labelled(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [("a.wav\n", "no label"), ("", "no audio files"), ("path,label\na,x\nb,x\n", "one class alone")],
)
def test_tables_that_teach_nothing_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_labelled(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"t\.csv"):
        read_labelled(tmp_path / "t.csv")
    with pytest.raises(DataError, match="no such"):
        read_labelled(tmp_path / "nowhere")


# --- features -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["MSD_musicnn", "MSD_vgg"])
def test_features_are_the_extractors(model: str, music: Path) -> None:
    extraction = Extraction(model, hop_frames=187)
    (result,) = extract([music], extraction, FeatureCache(None), jobs=1)
    assert isinstance(result, FileFeatures)
    taggram, _, features = all_features(music, model=model)
    features |= {"taggram": taggram}
    if model == "MSD_vgg":  # musicnn joins the patch axis with the next; pool5 has two rows a patch
        features["pool5"] = features["pool5"].reshape(len(taggram), -1)
    for name, size in feature_sizes(SPECS[model]).items():
        assert result.features[name].shape == (10, size)
        np.testing.assert_allclose(result.features[name], features[name].reshape(10, size), rtol=1e-4, atol=1e-4)


def test_a_file_is_heard_once_whatever_it_is_called(
    tmp_path: Path, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = FeatureCache(tmp_path / "cache")
    first = clips / "drop" / "0.flac"
    (before,) = extract([first], Extraction(), cache)
    assert isinstance(before, FileFeatures)
    shutil.copy(first, tmp_path / "renamed.flac")
    monkeypatch.setattr(Extraction, "of_file", lambda *_: pytest.fail("heard again"))
    (after,) = extract([tmp_path / "renamed.flac"], Extraction(), cache)
    assert isinstance(after, FileFeatures)
    assert after.sha256 == before.sha256
    assert all((after.features[name] == before.features[name]).all() for name in before.features)


def test_a_damaged_cache_is_not_believed(tmp_path: Path, clips: Path) -> None:
    cache, first = FeatureCache(tmp_path / "cache"), clips / "drop" / "0.flac"
    (before,) = extract([first], Extraction(), cache)
    assert isinstance(before, FileFeatures)
    assert cache.folder is not None
    (kept,) = cache.folder.iterdir()
    good, sizes = kept.read_bytes(), {name: value.shape[1] for name, value in before.features.items()}
    numbers, words = bytearray(good), bytearray(good)
    numbers[-100] ^= 1
    words[good.index(before.sound.sha256.encode())] ^= 1
    for damage in (b"", good[:1000], numbers, words):
        kept.write_bytes(damage)
        (after,) = extract([first], Extraction(), cache)
        assert isinstance(after, FileFeatures)
        assert after.sound.sha256 == before.sound.sha256
        assert (after.sound.outline == before.sound.outline).all()
        for name in before.features:
            np.testing.assert_allclose(after.features[name], before.features[name], atol=1e-6)
        assert cache.get(kept.stem, sizes) is not None, "it is written anew"
    kept.rename(kept.with_stem("0" * 64))
    assert cache.get("0" * 64, sizes) is None, "another file's"


# --- the figures --------------------------------------------------------------------------------------------------


def test_the_calibration_error_is_what_it_says() -> None:
    confidence = np.array([0.95, 0.95, 0.95, 0.95, 0.55, 0.55])
    right = np.array([True, True, True, False, True, False])
    assert calibration_error(confidence, right) == pytest.approx((4 * 0.2 + 2 * 0.05) / 6)
    assert calibration_error(np.array([1.0]), np.array([True])) == 0


# --- the commands -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def learned(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """A head of the clips, with a folder of trouble among them."""
    folder = tmp_path_factory.mktemp("learned")
    shutil.copytree(clips, folder / "clips")
    (folder / "clips" / "drop" / "broken.mp3").write_text("not sound")
    (folder / "clips" / "once").mkdir()
    rng = np.random.default_rng(0)
    soundfile.write(folder / "clips" / "once" / "a.wav", 0.5 * rng.uniform(-1, 1, 40_000), 16_000)
    done = run_cli("learn", folder / "clips", "--out", folder / "cues.head", "--report", folder / "cues.html")
    assert done.status == 0, done.stderr
    return folder / "cues.head", done


def test_learning_says_how_good_it_is_and_names_what_is_amiss(learned: tuple[Path, Outcome]) -> None:
    said = learned[1].stdout
    assert "features chosen by cross-validation" in said
    assert "accuracy of single windows" in said
    assert "expected calibration error" in said
    assert "broken.mp3" in said
    assert "once: one file only" in said
    (row,) = [line for line in said.splitlines() if line.startswith("once ")][:1]
    assert row.split()[:3] == ["once", "1", "0"]


def test_the_head_knows_what_it_was_learned_from(learned: tuple[Path, Outcome]) -> None:
    head = load_head(learned[0])
    assert head.name == "cues"
    assert head.labels == ("breakdown", "drop", "once", "none")
    assert head.facts["files"] == {"breakdown": 8, "drop": 8, "once": 1, "none": 8}
    assert head.facts["figures"]["accuracy"] > 0.9
    assert set(head.facts["versions"]) == {"streamtag", "scikit-learn", "numpy"}


def test_the_page_is_whole_and_loads_nothing(learned: tuple[Path, Outcome]) -> None:
    page = learned[0].with_suffix(".html").read_text()
    assert "<script" not in page
    assert "http" not in page
    assert page.count("<table") == 2
    assert "broken.mp3" in page


def test_the_same_clips_give_the_same_head_without_hearing_them_again(
    learned: tuple[Path, Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Extraction, "predictor", lambda *_: pytest.fail("heard again"))
    done = run_cli("learn", learned[0].parent / "clips", "--out", tmp_path / "cues.head")
    assert done.status == 0
    first, second = load_head(learned[0]), load_head(tmp_path / "cues.head")
    assert first.facts == second.facts
    assert all((first.decision.arrays[key] == value).all() for key, value in second.decision.arrays.items())


@pytest.mark.parametrize(
    "options",
    [
        ("--classifier", "logistic", "--features", "taggram+penultimate"),
        ("--classifier", "knn", "--statistic", "patches", "--features", "max_pool"),
        ("--classifier", "linear-svm", "--pca", "0", "--features", "taggram", "--folds", "2"),
    ],
)
def test_every_way_of_learning_leads_to_a_head(clips: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    done = run_cli("learn", clips, "--out", tmp_path / "a.head", *options)
    assert done.status == 0, done.stderr
    assert load_head(tmp_path / "a.head").facts["figures"]["accuracy"] > 0.9


def test_several_labels_and_groups(clips: Path, tmp_path: Path) -> None:
    rows = ["path,label,group"]
    for number in range(8):
        rows += [
            f"{clips}/drop/{number}.flac,loud|beat,set {number // 2}",
            f"{clips}/breakdown/{number}.flac,soft,set {number // 2}",
            f"{clips}/none/{number}.flac,none,set {number // 2}",
        ]
    (tmp_path / "t.csv").write_text("\n".join([*rows, "missing.wav,soft,set 1"]))
    done = run_cli("learn", tmp_path / "t.csv", "--out", tmp_path / "two.head", "--features", "penultimate")
    assert done.status == 0, done.stderr
    assert "missing.wav" in done.stdout
    assert "of labels" in done.stdout
    done = run_cli("file", "--head", tmp_path / "two.head", clips / "drop" / "3.flac", "--format", "json")
    said = dict(done.json[0]["heads"]["two"])
    assert said["loud"] > 0.5 < said["beat"]
    assert said["soft"] < 0.5


def test_one_file_a_class_is_learned_and_said_to_be_untested(clips: Path, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"{clips}/drop/0.flac,drop\n{clips}/none/0.flac,none\n")
    done = run_cli("learn", tmp_path / "t.csv", "--out", tmp_path / "a.head")
    assert done.status == 0, done.stderr
    assert "how good this is cannot be said" in done.stdout
    assert "rough guess" in done.stdout
    done = run_cli("file", clips / "drop" / "1.flac", "--head", tmp_path / "a.head", "--format", "json")
    assert done.json[0]["heads"]["a"][0][0] == "drop"


def test_ctrl_c_gives_up_at_once(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Extraction, "of_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        extract(sorted(clips.rglob("*.flac")), Extraction(), FeatureCache(tmp_path), jobs=2)


def test_a_stranger_artist_is_what_groups_test(clips: Path, tmp_path: Path) -> None:
    """All drops of one artist: leaving it out leaves nothing to learn, and that is said."""
    rows = [f"{clips}/drop/{n}.flac,drop,one" for n in range(4)] + [f"{clips}/none/{n}.flac,none,{n}" for n in range(4)]
    (tmp_path / "t.csv").write_text("path,label,group\n" + "\n".join(rows))
    done = run_cli("learn", tmp_path / "t.csv", "--out", tmp_path / "a.head", "--features", "taggram")
    assert done.status == 0, done.stderr
    assert "drop: files of one group only" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("nowhere", "--out", "a.head"), 1, "no such folder"),
        (("", "--out", "a.head"), 2, "an empty name"),
        (("CLIPS", "--out", "nowhere/a.head"), 2, "does not exist"),
        (("CLIPS", "--out", "a.head", "--features", "pool5"), 2, "taggram"),
        (("CLIPS", "--out", "a.head", "--model", "MSD_vgg", "--window", "2"), 2, "3 s only"),
        (("CLIPS", "--out", "a.head", "--model", "MSD"), 2, "Did you mean"),
        (("CLIPS", "--out", "a.head", "--name", "a\nb"), 1, "printable"),
        (("CLIPS", "--out", "a.head", "--seed", str(2**32)), 2, "less than or equal to"),
        (("CLIPS/drop", "--out", "a.head"), 1, "no folders"),
    ],
)
def test_what_cannot_be_is_said(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], status: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run_cli("learn", *(argument.replace("CLIPS", str(clips)) for argument in arguments))
    assert done.status == status
    assert message in done.message
    assert not (tmp_path / "a.head").exists()


def test_features_for_those_who_train_elsewhere(clips: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.wav").write_text("not sound")
    done = run_cli("features", clips / "drop", tmp_path / "broken.wav", "--out", tmp_path / "f.npz")
    assert done.status == 1
    assert "broken.wav" in done.message
    with np.load(tmp_path / "f.npz") as file:
        assert len(file["files"]) == 8
        rows = len(file["file_index"])
        for name, size in feature_sizes(SPECS["MSD_musicnn"]).items():
            assert file[name].shape == (rows, size)
        assert file["start"][1] == pytest.approx(0.992)
        taggram = file["taggram"]
    pytest.importorskip("pyarrow")
    import pyarrow.parquet

    assert run_cli("features", clips / "drop", "--out", tmp_path / "f.parquet").status == 0
    table = pyarrow.parquet.read_table(tmp_path / "f.parquet")
    np.testing.assert_array_equal(np.stack(table["taggram"].to_numpy()), taggram)
    assert table.column_names[:3] == ["path", "sha256", "start"]
    assert run_cli("features", clips / "drop", "--out", tmp_path / "f.csv").status == 2


def test_pools_come_from_the_same_network(clips: Path) -> None:
    network = shared_network("MSD_musicnn", 187)
    patches = np.random.default_rng(0).normal(1, 1, (2, 187, 96)).astype(np.float32)
    named = network.features(patches)
    for name, value in zip(
        ("taggram", "penultimate", "max_pool", "mean_pool"), network.with_pools(patches), strict=True
    ):
        np.testing.assert_allclose(value, named[name], atol=1e-5)


def test_json_of_a_report_is_json(learned: tuple[Path, Outcome]) -> None:
    assert json.loads(json.dumps(load_head(learned[0]).facts)) == load_head(learned[0]).facts


@pytest.mark.parametrize(("kind", "feature"), [("tags", "taggram"), ("embedding", "embedding")])
def test_a_model_of_others_that_has_only_one_of_them(kind: str, feature: str, clips: Path, tmp_path: Path) -> None:
    only = {
        "tags": MEL[: MEL.index("[embedding]")],
        "embedding": MEL.replace(MEL[MEL.index("[tags]") : MEL.index("[embedding]")], ""),
    }
    network = write(tmp_path, three_bands(), only[kind])
    outcome = run_cli("learn", clips, "--model", network, "--out", tmp_path / "cue.head", "--folds", 2)
    assert outcome.status == 0, outcome.stderr
    head = load_head(str(tmp_path / "cue.head"))
    assert (head.model, head.features) == (str(network), (feature,))
    refused = run_cli(
        "learn", clips, "--model", network, "--out", tmp_path / "b.head", "--features", "taggram+embedding"
    )
    assert f"has {feature};" in refused.message
    heard = run_cli(
        "file",
        next(path for path in sorted(clips.rglob("*")) if path.is_file()),
        "--head",
        tmp_path / "cue.head",
        "--format",
        "json",
    )
    assert heard.json[0]["heads"]["cue"]
