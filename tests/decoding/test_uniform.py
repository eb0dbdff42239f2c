"""Rate and channels that change on the way: all is heard, as the mean of the channels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamtag.decoding.uniform import Uniform
from tests.support.recordings import encode, read, sound, write


def tone(rate: int, seconds: float, hertz: float = 440) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype(np.float32)[:, None]


def test_what_is_like_the_beginning_stays_to_the_bit() -> None:
    uniform = Uniform(44_100, 2)
    x = np.random.default_rng(0).uniform(-1, 1, (5_000, 2)).astype(np.float32)
    np.testing.assert_array_equal(uniform.push(x, 44_100), x)
    assert uniform.flush().shape == (0, 2)
    assert (uniform.changes, uniform.note) == (0, None)


def test_other_channels_become_their_mean_on_each() -> None:
    uniform = Uniform(44_100, 2)
    x = np.random.default_rng(0).uniform(-1, 1, (500, 6)).astype(np.float32)
    got = uniform.push(x, 44_100)
    np.testing.assert_allclose(got, np.repeat(x.mean(axis=1, keepdims=True), 2, axis=1), atol=1e-6)
    got = uniform.push(x[:, :1], 44_100)
    np.testing.assert_array_equal(got, np.repeat(x[:, :1], 2, axis=1))
    assert uniform.changes == 2


@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000, 96_000])
def test_another_rate_is_converted_in_place(rate: int) -> None:
    uniform = Uniform(44_100, 1)
    whole = tone(rate, 2)
    parts = [uniform.push(tone(44_100, 1), 44_100)]
    parts += [uniform.push(whole[at : at + 1_000], rate) for at in range(0, len(whole), 1_000)]
    parts += [uniform.push(tone(44_100, 1), 44_100), uniform.flush()]
    got = np.concatenate(parts)
    assert abs(len(got) - 4 * 44_100) < 50
    expected = tone(44_100, 2)[5_000:80_000]
    assert np.abs(got[44_100 + 5_000 : 44_100 + 80_000] - expected).max() < 0.02
    assert uniform.note is not None
    assert f"changes after 1.00 s from 44100 Hz, mono, to {rate} Hz, mono, and 1 more" in uniform.note


CHANGES = [
    [(44_100, 1), (44_100, 2)],  # a jingle before a song
    [(44_100, 2), (44_100, 1)],
    [(44_100, 2), (22_050, 1)],
    [(22_050, 1), (48_000, 2), (44_100, 2)],
]


@pytest.mark.slow
@pytest.mark.parametrize("parts", CHANGES, ids=str)
@pytest.mark.parametrize(
    ("codec", "container"),
    [
        ("MPEG_LAYER_III", "MP3"),
        ("PCM_16", "FLAC"),
        ("VORBIS", "OGG"),
        ("PCM_16", "WAV"),
        ("aac", "adts"),
        ("aac", "ipod"),
        ("mp2", "mp2"),
    ],
)
def test_files_one_behind_the_other(tmp_path: Path, codec: str, container: str, parts: list[tuple[int, int]]) -> None:
    data = b""
    for rate, channels in parts:
        path, x = tmp_path / "x", sound(rate, channels, 2)
        written = (
            write(path, x, rate, container, codec) if container.isupper() else encode(path, x, rate, codec, container)
        )
        data += written.read_bytes()
    (tmp_path / "y").write_bytes(data)
    got, rate, note = read(tmp_path / "y")
    assert (rate, got.shape[1]) == parts[0]
    assert abs(len(got) - 2 * len(parts) * rate) < 0.1 * len(parts) * rate
    mean = got.mean(axis=1)
    for number in range(len(parts)):  # each is heard as loud as it is
        middle = mean[round((2 * number + 0.7) * rate) : round((2 * number + 1.3) * rate)]
        assert np.sqrt(np.mean(middle**2)) > 0.15, number
    assert note is not None
    assert note.startswith("changes after 2.0")
    assert "damaged" not in note


def test_another_precision(tmp_path: Path) -> None:
    x = sound(44_100, 2, 2)
    data = [write(tmp_path / "x", x, 44_100, "FLAC", subtype).read_bytes() for subtype in ("PCM_16", "PCM_24")]
    (tmp_path / "y").write_bytes(b"".join(data))
    got, _, note = read(tmp_path / "y")
    assert note is None
    assert np.abs(got - np.concatenate([x, x])).max() < 2**-14
