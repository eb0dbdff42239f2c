"""Coded sound that is stored as samples is noticed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamtag.decoding.disguise import coded
from tests.support.recordings import encode, noisy, read, refusal, sound, wav_header, write

DTS = {
    "16 bits": b"\xfe\x7f\x01\x80",
    "16 bits, swapped": b"\x7f\xfe\x80\x01",
    "14 bits": b"\xff\x1f\x00\xe8\xf1\x07",
    "14 bits, swapped": b"\x1f\xff\xe8\x00\x07\xf1",
}


def packets(begin: bytes, size: int = 2_048, count: int = 40) -> bytes:
    """What a surround CD holds: packets that begin alike, of a length."""
    rng = np.random.default_rng(1)
    return b"".join((begin + rng.bytes(size - len(begin))) for _ in range(count))


def as_samples(data: bytes) -> np.ndarray:
    return np.frombuffer(data[: len(data) // 4 * 4], "<i2").reshape(-1, 2) / np.float32(2**15)


@pytest.mark.parametrize("begin", DTS.values(), ids=DTS)
@pytest.mark.parametrize(("kind", "silence"), [("FLAC", 0), ("WAV", 0), ("WAV", 200_000), ("AIFF", 0), ("W64", 0)])
def test_dts_is_never_heard_as_music(tmp_path: Path, begin: bytes, kind: str, silence: int) -> None:
    x = np.concatenate([np.zeros((silence, 2), np.float32), as_samples(packets(begin))])
    reason = refusal_or_reading(write(tmp_path / "x", x, 44_100, kind, "PCM_16"))
    assert "DTS" in reason or "can be decoded" in reason, (
        reason
    )  # FFmpeg looks into WAV, too, and these are no real ones


def refusal_or_reading(path: Path) -> str:
    """Why it is refused, when it is opened or on the way."""
    from streamtag.decoding.decode import open_audio
    from streamtag.errors import AudioFileError

    with pytest.raises(AudioFileError) as caught, open_audio(path) as reader:
        for _ in reader.blocks():
            pass
    return caught.value.reason


@pytest.mark.parametrize("container", ["ac3", "spdif"])
def test_ac3_in_a_wav_file_is_decoded_and_elsewhere_refused(tmp_path: Path, container: str) -> None:
    x = sound(48_000, 2, 3)
    data = encode(tmp_path / "x", x, 48_000, "ac3", container).read_bytes()
    path = tmp_path / "x.wav"
    path.write_bytes(wav_header(len(data), 48_000, 2, 16) + data)
    got, rate, note = read(path)
    assert (rate, got.shape[1]) == (48_000, 2)
    assert "AC3: decoded" in str(note)
    assert abs(len(got) - len(x)) < 10_000
    likeness = max(np.corrcoef(got[by : by + 100_000, 0], x[:100_000, 0])[0, 1] for by in range(200, 300))
    assert likeness > 0.9
    assert "AC-3" in refusal(write(tmp_path / "y", as_samples(data), 48_000, "FLAC", "PCM_16"))


def test_sound_is_not_taken_for_it() -> None:
    t = np.arange(2**15)
    square = np.where(t // 100 % 2, -32_767, 32_766)
    for x in (
        noisy(2, 1.0),
        np.round(noisy(2, 1.0) * 2**15) / 2**15,
        sound(44_100, 2, 1),
        np.zeros((2**15, 2)),
        np.stack([square, square], axis=1) / 2**15,
        np.full((2**15, 2), np.nan),
        np.full((2**15, 2), 1e30),
    ):
        assert coded(x.astype(np.float32)) is None
    assert coded(as_samples(packets(DTS["16 bits"], 64))) == "DTS"
