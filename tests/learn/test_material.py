"""What is learned from, and what is told of it: copies, silence, damage, folders without sound."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from streamtag.heads.file import load_head
from streamtag.labelled.data import Clip, Labelled, read_labelled
from streamtag.learn.copies import same_sounds
from streamtag.learn.features import Extraction, FeatureCache, FileFeatures, copies_among, extract
from streamtag.learn.material import material_of
from tests.support.program import run_cli

pytestmark = pytest.mark.slow
RATE = 22_050


def noise(seed: int, seconds: float = 4) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.4, 0.4, int(seconds * RATE)).round(3)


def as_mp3(path: Path, samples: np.ndarray, title: str, rate: int = RATE) -> None:
    with av.open(str(path), "w") as container:
        container.metadata["title"] = title
        stream = container.add_stream("mp3", rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray((samples * 32767).astype(np.int16)[None], "s16", "mono")
        frame.sample_rate = rate
        container.mux([*stream.encode(frame), *stream.encode(None)])


def write_copies(folder: Path, samples: np.ndarray) -> list[Path]:
    """One sound in seven files, no two of them of the same bytes."""
    whole = (samples * 32767).astype(np.int16)
    double = np.stack([whole, whole], axis=1)
    padded = np.concatenate([np.zeros(500, np.int16), whole, np.zeros(900, np.int16)])
    paths = [folder / name for name in ("a.wav", "b.flac", "c.aiff", "d.wav", "e.wav", "f.w64", "g.wav")]
    for path, written, subtype in zip(
        paths,
        (whole, whole, whole, double, whole, whole, padded),
        ("PCM_16", "PCM_16", "PCM_16", "PCM_16", "FLOAT", "PCM_24", "PCM_16"),
        strict=True,
    ):
        soundfile.write(path, np.divide(written, 2**15) if subtype == "FLOAT" else written, RATE, subtype=subtype)
    return paths


def heard(paths: list[Path]) -> list[FileFeatures]:
    results = extract(paths, Extraction(), FeatureCache(None))
    found = [result for result in results if isinstance(result, FileFeatures)]
    assert len(found) == len(paths), results
    return found


# --- copies -------------------------------------------------------------------------------------------------------


def test_the_same_sound_is_known_in_any_file(tmp_path: Path) -> None:
    copies = heard(write_copies(tmp_path, noise(0)))
    assert len({file.sha256 for file in copies}) == 7
    assert len({file.sound.sha256 for file in copies}) == 1
    for title in ("One", "Another"):
        as_mp3(tmp_path / f"{title}.mp3", noise(0), title)
    soundfile.write(tmp_path / "other.wav", noise(1), RATE)
    one, another, other = heard([tmp_path / "One.mp3", tmp_path / "Another.mp3", tmp_path / "other.wav"])
    assert one.sha256 != another.sha256
    assert one.sound.sha256 == another.sound.sha256
    assert len({one.sound.sha256, other.sound.sha256, copies[0].sound.sha256}) == 3


def test_copies_are_never_on_both_sides_and_are_told(tmp_path: Path) -> None:
    """Noise says nothing of its class: whoever is better than chance has heard the copies."""
    for seed, label in ((10, "x"), (20, "y")):
        (tmp_path / label).mkdir()
        for number in range(6):
            samples = noise(seed + number)
            as_mp3(tmp_path / label / f"{number}.mp3", samples, "title")
            as_mp3(tmp_path / label / f"{number} again.mp3", samples, "another title")
    labelled = read_labelled(tmp_path)
    material, skipped, notes = material_of(labelled, heard([clip.path for clip in labelled.clips]))
    assert not skipped
    assert len(np.unique(material.groups)) == 12
    groups = dict(
        zip((clip.path.stem.split()[0] + clip.labels[0] for clip in labelled.clips), material.groups, strict=True)
    )
    assert len(groups) == 12
    assert any(note.startswith("12 of the 24 files are copies of others") for note in notes)
    assert sum(note.startswith("the same sound: ") for note in notes) == 11
    assert notes[-1] == "the same sound: 2 sets of files more"


def test_artists_that_share_a_sound_are_one_group(tmp_path: Path) -> None:
    for name, seed in (("a1", 1), ("a2", 2), ("b1", 1), ("b2", 3), ("c1", 4), ("none", 5)):
        samples = (noise(seed) * 32767).astype(np.int16)
        soundfile.write(tmp_path / f"{name}.wav", samples, RATE, subtype="PCM_24" if name == "b1" else "PCM_16")
    rows = ["a1.wav,x,A", "a2.wav,x,A", "b1.wav,x,B", "b2.wav,y,B", "c1.wav,y,C", "none.wav,y,"]
    (tmp_path / "t.csv").write_text("path,label,artist\n" + "\n".join(rows))
    labelled = read_labelled(tmp_path / "t.csv")
    material, _, _ = material_of(labelled, heard([clip.path for clip in labelled.clips]))
    assert len(set(material.groups[:4])) == 1
    assert len(set(material.groups)) == 3


def test_copies_with_different_labels_are_told(tmp_path: Path) -> None:
    for label in ("x", "y"):
        (tmp_path / label).mkdir()
        soundfile.write(tmp_path / label / "own.wav", noise(len(label) + ord(label)), RATE)
    write_copies(tmp_path / "x", noise(0))
    shutil.move(tmp_path / "x" / "b.flac", tmp_path / "y" / "b.flac")
    done = run_cli("learn", tmp_path, "--out", tmp_path / "a.head", "--features", "taggram")
    assert done.status == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if "with different labels" in line]
    assert "b.flac" in line
    assert "a.wav" in line


def test_copies_through_lossy_encoders_and_at_another_level_are_known(clips: Path, music: Path, tmp_path: Path) -> None:
    """And clips of one making, or pieces of one song, are not taken for copies."""
    originals = [clips / label / f"{number}.flac" for label in ("drop", "none") for number in range(4)]
    song, rate = soundfile.read(music, always_2d=True)
    for part in range(3):
        originals.append(tmp_path / f"song {part}.wav")
        soundfile.write(originals[-1], song[part * 10 * rate : (part + 1) * 10 * rate], rate)
    files, truth = list(originals), list(range(len(originals)))
    for number, path in enumerate(originals):
        samples, rate = soundfile.read(path, always_2d=True)
        mono = samples.mean(axis=1)
        soundfile.write(tmp_path / f"{number}.ogg", samples, rate)
        soundfile.write(tmp_path / f"{number} quiet.wav", samples / 2, rate)
        as_mp3(tmp_path / f"{number}.mp3", mono, "title", rate)
        with av.open(str(tmp_path / f"{number}.mp3")) as source, av.open(str(tmp_path / f"{number}.mkv"), "w") as film:
            stream = film.add_stream_from_template(source.streams.audio[0])
            for packet in source.demux(source.streams.audio[0]):
                if packet.size:
                    packet.stream = stream
                    film.mux(packet)
        names = (f"{number}.ogg", f"{number} quiet.wav", f"{number}.mp3", f"{number}.mkv")
        files += [tmp_path / name for name in names]
        truth += [number] * len(names)
    clipped = tuple(
        Clip(path, ("x", "y")[number % 2 : number % 2 + 1]) for number, path in zip(truth, files, strict=True)
    )
    material, _, _ = material_of(Labelled(clipped, ("x", "y"), exclusive=True), heard(files))
    pairs = set(zip(truth, material.groups.tolist(), strict=True))
    odd = [
        (path.name, group)
        for path, group in zip(files, material.groups.tolist(), strict=True)
        if group >= len(originals)
    ]
    assert len(pairs) == len(originals) == len(np.unique(material.groups)), odd


def test_copies_that_are_cut_elsewhere_are_known(music: Path, tmp_path: Path) -> None:
    """Too far for an outline, which must lie on the other to half a second."""
    song, rate = soundfile.read(music)
    song = song.mean(axis=1) if song.ndim > 1 else song
    paths = [tmp_path / name for name in ("whole.wav", "cut.wav", "quiet.ogg")]
    soundfile.write(paths[0], song, rate)
    soundfile.write(paths[1], song[int(2.3 * rate) :], rate)
    soundfile.write(paths[2], 0.25 * song[int(1.1 * rate) : -int(3.7 * rate)], rate)
    results = extract(paths, Extraction(level="auto"), FeatureCache(None))
    found = [result for result in results if isinstance(result, FileFeatures)]
    checksums, outlines = [file.sound.sha256 for file in found], [file.sound.outline for file in found]
    assert not list(same_sounds(checksums, outlines, []))
    pairs = list(copies_among(found))
    assert len(pairs) == 2
    assert set().union(*pairs) == {0, 1, 2}


def test_hiss_is_no_copy_of_other_hiss(tmp_path: Path) -> None:
    paths = [tmp_path / f"{seed}.wav" for seed in range(4)]
    for seed, path in enumerate(paths):
        soundfile.write(path, noise(seed, 12), RATE)
    assert not list(copies_among(heard(paths)))


@pytest.mark.parametrize("seconds", [4, 12])
def test_single_notes_and_beats_are_not_taken_for_copies(tmp_path: Path, seconds: int) -> None:
    time = np.arange(seconds * RATE) / RATE
    paths = []
    for number, pitch in enumerate((110, 123.5, 220, 246, 262, 440, 880)):
        decays = [np.exp(-time * (1 + 0.3 * h)) * np.sin(2 * np.pi * pitch * h * time + h) / h for h in range(1, 8)]
        beats = np.exp(-60 * (time % 0.5)) * np.sin(2 * np.pi * 5 * pitch * time)
        for name, samples in (("note", 0.2 * sum(decays)), ("beat", 0.5 * beats)):
            paths.append(tmp_path / f"{name} {number}.wav")
            soundfile.write(paths[-1], samples, RATE)
    found = heard(paths)
    assert not list(copies_among(found))


# --- what is wrong with files -------------------------------------------------------------------------------------


@pytest.fixture
def trouble(clips: Path, tmp_path: Path) -> Path:
    """The clips, and among the drops one of each kind of trouble."""
    shutil.copytree(clips, tmp_path / "clips")
    drop = tmp_path / "clips" / "drop"
    samples = noise(0).astype(np.float32)
    hiss = np.random.default_rng(1).normal(0, 1, len(samples)).astype(np.float32)
    soundfile.write(drop / "silent.wav", np.zeros(2 * RATE), RATE)
    soundfile.write(drop / "nan.wav", np.full(2 * RATE, np.nan, np.float32), RATE, subtype="FLOAT")
    soundfile.write(drop / "upside-down.wav", np.stack([samples, -samples], axis=1), RATE)
    soundfile.write(drop / "clipped.wav", np.clip(hiss, -1, 1), RATE)
    soundfile.write(drop / "integers.wav", samples * 29_000, RATE, subtype="FLOAT")
    (drop / "cut.flac").write_bytes((drop / "7.flac").read_bytes()[:-40_000])
    (drop / "empty.mp3").touch()
    if hasattr(os, "mkfifo"):
        os.mkfifo(drop / "pipe.wav")
    return tmp_path / "clips"


def test_what_is_wrong_with_clips_is_told_and_nothing_is_learned_of_silence(trouble: Path) -> None:
    out = trouble.parent / "a.head"
    for again in (False, True):  # from the cache, too
        done = run_cli("learn", trouble, "--out", out, "--features", "taggram", "--report", out.with_suffix(".html"))
        assert done.status == 0, done.stderr
        lines = [line for line in done.stdout.splitlines() if ".wav" in line or ".flac" in line or ".mp3" in line]
        told = {next(part for part in line.split("/")[-1].split(":")): line for line in lines}
        assert "nothing to learn from" in told["silent.wav"], again
        assert "nothing to learn from" in told["nan.wav"]
        assert "nothing to learn from" in told["upside-down.wav"]
        assert "clipped" in told["clipped.wav"]
        assert "times full scale" in told["integers.wav"]
        assert "ends early" in told["cut.flac"]
        assert "empty file" in told["empty.mp3"]
        left_out = 4 + hasattr(os, "mkfifo")
        assert f"left out, {left_out} files:" in done.stdout
        assert "3 of the 27 files were learned from, but are not as they should be" in done.stdout
    assert load_head(out).facts["files"] == {"breakdown": 8, "drop": 11, "none": 8}
    page = out.with_suffix(".html").read_text()
    assert all(name in page for name in told)


def test_features_tell_the_same(trouble: Path) -> None:
    done = run_cli("features", trouble / "drop", "--out", trouble.parent / "f.npz")
    assert done.status == 1
    for name, what in (
        ("silent.wav", "silent"),
        ("nan.wav", "is a number"),
        ("upside-down.wav", "cancel each other"),
        ("clipped.wav", "clipped"),
        ("integers.wav", "times full scale"),
        ("cut.flac", "ends early"),
        ("empty.mp3", "empty file"),
    ):
        assert any(name in line and what in line for line in done.message.splitlines()), name
    (copies,) = [line for line in done.message.splitlines() if "the same sound" in line]
    assert "7.flac" in copies
    assert "cut.flac" in copies  # most of it
    with np.load(trouble.parent / "f.npz") as file:
        notes = dict(zip((Path(str(name)).name for name in file["files"]), file["notes"], strict=True))
        assert notes["0.flac"] == ""
        assert "ends early" in notes["cut.flac"]
        assert len(file["sound_sha256"]) == len(notes) == 14


def test_a_class_of_silence_is_refused_with_the_reason(clips: Path, tmp_path: Path) -> None:
    shutil.copytree(clips, tmp_path / "clips")
    (tmp_path / "clips" / "pause").mkdir()
    soundfile.write(tmp_path / "clips" / "pause" / "a.wav", np.zeros(2 * RATE), RATE)
    done = run_cli("learn", tmp_path / "clips", "--out", tmp_path / "a.head")
    assert done.status == 1
    assert "no file to learn pause from" in done.message
    assert "a.wav" in done.message
    assert "silent" in done.message


def test_a_class_whose_files_are_missing_is_refused_before_anything_is_heard(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Extraction, "predictor", lambda *_: pytest.fail("heard"))
    rows = [*(f"{path},drop" for path in (clips / "drop").iterdir()), "elsewhere/a.wav,pause", "elsewhere/b.wav,pause"]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    done = run_cli("learn", tmp_path / "t.csv", "--out", tmp_path / "a.head", "--no-cache")
    assert done.status == 1
    assert "none of the 2 files of pause can be read" in done.message
    assert f"{tmp_path / 'elsewhere/a.wav'}: no such file" in done.message
    assert "table's folder" in done.message


# --- folders ------------------------------------------------------------------------------------------------------


def test_class_folders_without_sound_and_files_beside_them_are_told(tmp_path: Path) -> None:
    for name in ("drop/a.wav", "none/b.wav", "none/cover.jpg", "none/in/notes.txt", "pics/a.jpg", "c.wav", "list.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "later").mkdir()
    data = read_labelled(tmp_path)
    assert data.labels == ("drop", "none")
    assert data.notes == (
        "later: empty, so it is no class",
        "pics: no files of sound in it, but 1 file of other types (.jpg 1), so it is no class",
        "in no class folder, and so left aside: c.wav",
        "left aside in the class folders: 2 files of other types (.jpg 1, .txt 1)",
    )


def test_linked_class_folders_and_folders_linked_within_are_followed(tmp_path: Path) -> None:
    library = tmp_path / "library"
    for name in ("techno/a.wav", "rock/deep/b.wav", "more/c.wav"):
        (library / name).parent.mkdir(parents=True, exist_ok=True)
        (library / name).touch()
    (tmp_path / "clips" / "rock").mkdir(parents=True)
    (tmp_path / "clips" / "drop").symlink_to(library / "techno")
    (tmp_path / "clips" / "rock" / "linked").symlink_to(library / "more")
    (tmp_path / "clips" / "rock" / "loop").symlink_to(tmp_path / "clips" / "rock")
    (tmp_path / "clips" / "rock" / "own.wav").touch()
    found = [(clip.path.name, clip.labels) for clip in read_labelled(tmp_path / "clips").clips]
    assert ("a.wav", ("drop",)) in found
    assert ("c.wav", ("rock",)) in found
    assert len([name for name, labels in found if labels == ("rock",) and name == "own.wav"]) == 1


def test_everything_that_can_be_named_is_found_in_folders(tmp_path: Path) -> None:
    for number, kind in enumerate(("wav", "mkv", "avi", "ts", "mov", "wmv", "m4v", "flv", "mpg")):
        folder = tmp_path / ("x" if number % 2 else "y")
        folder.mkdir(exist_ok=True)
        (folder / f"a.{kind}").touch()
    assert len(read_labelled(tmp_path).clips) == 9
