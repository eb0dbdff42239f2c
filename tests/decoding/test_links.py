"""Files behind each other in one file: all of them are heard, each as if it were alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamtag.decoding.decode import open_audio
from tests.support.recordings import encode, id3, noisy, read, refusal, sound, write


def made(path: Path, seconds: float, codec: str, container: str, seed: int = 1) -> bytes:
    rate = 48_000
    x = np.random.default_rng(seed).uniform(-0.3, 0.3, (round(rate * seconds), 2))
    written = write(path, x, rate, container, codec) if container.isupper() else encode(path, x, rate, codec, container)
    return written.read_bytes()


@pytest.mark.parametrize(
    ("codec", "container"),
    [
        ("VORBIS", "OGG"),
        ("OPUS", "OGG"),
        ("flac", "ogg"),
        ("PCM_16", "FLAC"),
        ("PCM_16", "WAV"),
        ("PCM_16", "AIFF"),
        ("PCM_16", "W64"),
        ("aac", "ipod"),
        ("alac", "ipod"),
    ],
)
def test_all_links_are_heard_as_if_alone(tmp_path: Path, codec: str, container: str) -> None:
    links = [made(tmp_path / "x", seconds, codec, container) for seconds in (1, 1.5, 0.7)]
    alone = []
    for link in [links[0], *links]:
        (tmp_path / "x").write_bytes(link)
        alone.append(read(tmp_path / "x")[0])
    (tmp_path / "y").write_bytes(links[0] + b"".join(links))  # the first twice: the same stream numbers again
    got, _, note = read(tmp_path / "y")
    np.testing.assert_array_equal(got, np.concatenate(alone))
    assert note is None


def test_links_of_other_codecs(tmp_path: Path) -> None:
    kinds = [("VORBIS", "OGG"), ("OPUS", "OGG"), ("flac", "ogg")]
    (tmp_path / "y").write_bytes(b"".join(made(tmp_path / "x", 1, *kind) for kind in kinds))
    got, _, note = read(tmp_path / "y")
    assert len(got) == 3 * 48_000
    assert note is None


KINDS = {
    "mp3": ("mp3", "mp3"),
    "flac": ("PCM_16", "FLAC"),
    "ogg": ("VORBIS", "OGG"),
    "ogg flac": ("flac", "ogg"),
    "wav": ("PCM_16", "WAV"),
    "m4a": ("aac", "ipod"),
}


@pytest.mark.slow
@pytest.mark.parametrize("first", KINDS)
def test_files_of_different_kinds(tmp_path: Path, first: str) -> None:
    links = [made(tmp_path / "x", 1, *kind) for kind in (KINDS[first], *KINDS.values())]
    alone = []
    for link in links:
        (tmp_path / "x").write_bytes(link)
        alone.append(read(tmp_path / "x")[0])
    kept = [0, *(n for n in range(1, len(links)) if links[n] != links[0] or first != "mp3")]  # MP3 twice is one stream
    (tmp_path / "y").write_bytes(b"".join(links[n] for n in kept))
    got, _, note = read(tmp_path / "y")
    np.testing.assert_array_equal(got, np.concatenate([alone[n] for n in kept]))
    assert note is None


def test_a_link_wherever_it_is(tmp_path: Path) -> None:
    flac = made(tmp_path / "x", 1, "PCM_16", "FLAC")
    for at in range(2**20 - 70, 2**20 + 10, 13):
        block = b"\x01" + (at - len(flac) - 4).to_bytes(3, "big") + bytes(at - len(flac) - 4)  # padding
        (tmp_path / "y").write_bytes(flac[:42] + block + flac[42:] + flac)
        got, _, note = read(tmp_path / "y")
        assert (len(got), note) == (96_000, None)


def test_what_only_looks_like_a_link(tmp_path: Path) -> None:
    wav = made(tmp_path / "x", 0.1, "PCM_16", "WAV")
    flac = made(tmp_path / "x", 1, "PCM_16", "FLAC")
    for body in (b"riff" + wav[:12], wav[:12]):  # as flac --keep-foreign-metadata stores the header of a WAV
        block = b"\x02" + len(body).to_bytes(3, "big") + body
        (tmp_path / "y").write_bytes(flac[:42] + block + flac[42:])
        got, _, note = read(tmp_path / "y")
        assert (len(got), note) == (48_000, None)
    tag = id3((b"TIT2", b"\0title"))
    for codec, container in KINDS.values():
        data = made(tmp_path / "x", 1, codec, container)
        alone = read(tmp_path / "x")[0]
        (tmp_path / "x").write_bytes(data + tag)
        got, _, note = read(tmp_path / "x")
        np.testing.assert_array_equal(got, alone)
        assert note is None


def test_a_link_that_is_cut_or_damaged_does_not_hide_the_others(tmp_path: Path) -> None:
    whole = made(tmp_path / "x", 3, "VORBIS", "OGG")
    (tmp_path / "y").write_bytes(whole[: len(whole) * 6 // 10] + whole)
    got, _, note = read(tmp_path / "y")
    assert len(got) > 1.3 * 3 * 48_000
    assert "part 1: ends early" in str(note)
    headless = whole[58:]  # where it says what it is
    (tmp_path / "y").write_bytes(whole[:58].replace(b"vorbis", b"vodoo ") + headless + whole)
    got, _, note = read(tmp_path / "y")
    assert len(got) == 3 * 48_000
    assert "part 1 of 2 cannot be read" in str(note)
    (tmp_path / "y").write_bytes((whole[:58].replace(b"vorbis", b"vodoo ") + headless) * 2)
    assert "part 2 of 2 cannot be read" in refusal(tmp_path / "y")


@pytest.mark.slow
def test_a_recording_of_a_stream_with_many_links(tmp_path: Path) -> None:
    links = [made(tmp_path / "x", 0.9, "VORBIS", "OGG", seed) for seed in range(4)]
    (tmp_path / "y").write_bytes(b"".join(links) * 20)
    with open_audio(tmp_path / "y") as reader:
        assert sum(map(len, reader.blocks())) == 80 * 43_200
        assert reader.note is None
    cut = [link[: len(link) * 9 // 10] for link in links]
    (tmp_path / "y").write_bytes(b"".join(cut) * 20)
    note = read(tmp_path / "y")[2]
    assert note is not None
    assert len(note) < 500  # not 200 times the same


def test_one_file_is_no_chain(tmp_path: Path) -> None:
    for kind, subtype in [("OGG", "VORBIS"), ("FLAC", "PCM_16"), ("WAV", "PCM_16")]:
        with open_audio(write(tmp_path / "x", noisy(), 48_000, kind, subtype)) as reader:
            assert "chain" not in reader.decoder
    data = write(tmp_path / "x", sound(48_000, 2), 48_000, "OGG", "VORBIS").read_bytes()
    (tmp_path / "x").write_bytes(id3((b"TIT2", b"\0title")) + data)
    got, _, note = read(tmp_path / "x")
    assert (len(got), note) == (24_000, None)
