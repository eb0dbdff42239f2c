"""Headers that say less than there is: all is read, and said; headers that are right are left alone."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import numpy as np
import pytest

from streamtag.decoding.decode import open_audio
from streamtag.decoding.headers import as_it_is
from streamtag.decoding.part import Part
from streamtag.decoding.reader import RefusedError
from tests.support.recordings import id3, noisy, read, refusal, wav_header, write

RATE, SECONDS = 48_000, 6.0
LIST = b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + struct.pack("<I", 14) + b"Lavf58.29.100\0"


def says(data: bytes, kind: str, size: int) -> bytes:
    """A file whose header names another number of bytes of sound."""
    where, layout, more = {
        "WAV": (data.find(b"data") + 4, "<I", 0),
        "WAVEX": (data.find(b"data") + 4, "<I", 0),
        "RF64": (data.find(b"ds64") + 16, "<Q", 0),
        "W64": (data.find(b"data") + 16, "<Q", 24),
        "AIFF": (data.find(b"SSND") + 4, ">I", 8),
        "CAF": (data.find(b"data") + 4, ">Q", 4),
        "AU": (8, ">I", 0),
    }[kind]
    new = struct.pack(layout, size + more)
    return data[:where] + new + data[where + len(new) :]


@pytest.mark.parametrize(
    ("kind", "subtype", "width"),
    [
        ("WAV", "PCM_16", 2),
        ("WAV", "PCM_24", 3),
        ("WAV", "FLOAT", 4),
        ("WAV", "ULAW", 1),
        ("WAVEX", "PCM_16", 2),
        ("RF64", "PCM_16", 2),
        ("W64", "PCM_16", 2),
        ("AIFF", "PCM_16", 2),
        ("CAF", "PCM_16", 2),
        ("AU", "PCM_16", 2),
    ],
)
def test_more_than_the_header_says(tmp_path: Path, kind: str, subtype: str, width: int) -> None:
    path = write(tmp_path / "x", noisy(2, SECONDS), RATE, kind, subtype)
    whole, _, note = read(path)
    assert note is None
    right = path.read_bytes()
    path.write_bytes(says(right, kind, 2 * RATE * 2 * width))
    got, rate, note = read(path)
    assert rate == RATE
    np.testing.assert_array_equal(got[: len(whole)], whole)
    assert len(got) - len(whole) < 0.1 * RATE  # what follows the samples may be taken for some
    assert note is not None
    assert note.startswith("its header says 2.00 s, but there are 6.")
    assert path.read_bytes() == says(right, kind, 2 * RATE * 2 * width)  # and the file stays as it is


def test_less_than_the_header_says(tmp_path: Path) -> None:
    for kind in ("WAV", "RF64", "W64", "AIFF", "CAF", "AU"):
        path = write(tmp_path / "x", noisy(2, SECONDS), RATE, kind, "PCM_16")
        path.write_bytes(says(path.read_bytes(), kind, round(2 * SECONDS) * RATE * 4))
        got, _, note = read(path)
        assert len(got) == round(SECONDS * RATE)
        assert note is not None, kind
        assert "ends early" in note


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0xFFFFFFFF - 36, 0x7FFFFFFF, 0x7FFFF000])
def test_a_length_that_was_not_known(tmp_path: Path, size: int) -> None:
    samples = (noisy(1, 2.0) * 32_767).astype("<i2").tobytes()
    for riff in (0, size, min(size + 36, 0xFFFFFFFF)):
        (tmp_path / "x").write_bytes(wav_header(size, RATE, 1, 16, riff=riff) + samples)
        got, _, note = read(tmp_path / "x")
        assert (len(got), note) == (2 * RATE, None)


BEHIND = {
    "a list": LIST,
    "two lists": LIST * 2,
    "tags": id3((b"APIC", b"z" * 9_000)),
    "a chunk of tags": b"id3 " + struct.pack("<I", 9_000) + b"\x90" * 9_000,
    "zeros": bytes(400_000),
    "a few bytes": b"\x80\x90" * 1_000,
}


@pytest.mark.parametrize("behind", BEHIND.values(), ids=BEHIND)
def test_what_is_no_sound_stays_outside(tmp_path: Path, behind: bytes) -> None:
    path = write(tmp_path / "x", noisy(2, 2.0), RATE, "WAV", "PCM_16")
    whole, _, _ = read(path)
    path.write_bytes(path.read_bytes() + behind)
    got, _, note = read(path)
    np.testing.assert_array_equal(got, whole)
    assert note is None
    with open_audio(path) as reader:
        assert reader.library == "libsndfile"


FOUR_GIB = 2**32
RIGHT, WRAPPED, GREATEST = "RF64", "modulo", "greatest"


@pytest.mark.parametrize("said", [RIGHT, WRAPPED, GREATEST])
@pytest.mark.parametrize("behind", [b"", LIST], ids=["", "list"])
def test_more_than_four_gib(tmp_path: Path, said: str, behind: bytes) -> None:
    rate, channels = 192_000, 8
    size = FOUR_GIB + 100_000 * channels * 4
    header = wav_header(size % FOUR_GIB, rate, channels, 32, riff=0xFFFFFFFF)
    if said == GREATEST:
        header = wav_header(0xFFFFFFFF, rate, channels, 32, riff=0xFFFFFFFF)
    elif said == RIGHT:
        ds64 = b"ds64" + struct.pack("<IQQQI", 28, size + 72, size, size // 32, 0)
        header = b"RF64\xff\xff\xff\xffWAVE" + ds64 + header[12:36] + b"data\xff\xff\xff\xff"
    path = tmp_path / "x.wav"
    with path.open("wb") as file:  # takes no room on most file systems
        file.write(header)
        file.seek(len(header) + size - 12_000)
        file.write(b"\1\2\3\4" * 3_000 + behind)
    (part,), note = as_it_is(Part(path))
    assert part.is_whole == (said == RIGHT)
    assert (note is None) == (said == RIGHT)
    with open_audio(path) as reader:
        assert reader.duration is not None
        assert reader.duration == pytest.approx(size / 32 / rate, abs=0.001)
    path.unlink()


@pytest.mark.slow
def test_the_end_of_more_than_four_gib_is_read(tmp_path: Path) -> None:
    rate, channels = 384_000, 1  # the fewest samples that take so many bytes
    frame = channels * 8
    size = (FOUR_GIB // frame + 5_000) * frame
    path = tmp_path / "x.wav"
    with path.open("wb") as file:
        file.write(wav_header(size % FOUR_GIB, rate, channels, 64, kind=3, riff=(size + 36) % FOUR_GIB))
        file.seek(44 + size - 100 * frame)
        file.write(np.full(100 * channels, 0.25).astype("<f8").tobytes())
    with open_audio(path) as reader:
        count, last = 0, np.empty((0, channels), np.float32)
        for block in reader.blocks():
            count += len(block)
            last = block
    assert count == size // frame
    assert (last[-100:] == 0.25).all()
    path.unlink()


def test_headers_that_are_cut_or_mad_do_no_harm(tmp_path: Path) -> None:
    for kind in ("WAV", "RF64", "W64", "AIFF", "CAF", "AU"):
        data = write(tmp_path / "x", noisy(1, 0.2), RATE, kind, "PCM_16").read_bytes()
        for size in range(4, 120, 3):
            for mad in (data[:size], data[:size] + b"\xff" * 40 + data[size + 40 :]):
                (tmp_path / "x").write_bytes(mad)
                with contextlib.suppress(RefusedError):
                    as_it_is(Part(tmp_path / "x"))


HOLLOW = {
    "WAV": b"RIFF\0\0\0\1WAVE",
    "WAV with a format": wav_header(0)[:36],
    "RF64": b"RF64\xff\xff\xff\xffWAVE",
    "AIFF": b"FORM\1\0\0\0AIFF",
    "CAF": b"caff\0\1\0\0",
    "AVI": b"RIFF\0\0\0\1AVI ",
    "AU": b".snd",
}


@pytest.mark.parametrize("header", HOLLOW.values(), ids=HOLLOW)
def test_room_that_was_made_and_not_written_is_refused_at_once(tmp_path: Path, header: bytes) -> None:
    with (tmp_path / "x").open("wb") as file:
        file.write(header)
        file.truncate(2**28)  # libraries would go through it chunk by chunk, for minutes
    reason = refusal(tmp_path / "x")
    assert "nothing but zeros" in reason or "begins as AU" in reason


def test_room_behind_a_whole_header_is_silence(tmp_path: Path) -> None:
    for size in (0, 2**22):
        with (tmp_path / "x").open("wb") as file:
            file.write(wav_header(size, RATE, 2, 16))
            file.truncate(44 + 2**22)
        got, _, note = read(tmp_path / "x")
        assert len(got) == 2**20
        assert note is not None
        assert "silent" in note
