"""MP3 and AAC without a container are known by their frames, from anywhere on; nothing else is taken for them."""

from __future__ import annotations

import io
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamtag.decoding.bare import ENOUGH, bare_format, may_be_bare
from streamtag.decoding.stream import FFmpegStream


def encoded(codec: str, format: str, rate: int, kilobits: int, layout: str = "mono", seconds: float = 6) -> bytes:
    out = io.BytesIO()
    options = {"write_xing": "0", "id3v2_version": "0"} if format == "mp3" else {}
    with av.open(out, "w", format=format, options=options) as container:
        stream: Any = container.add_stream(codec, rate=rate, layout=layout)
        stream.bit_rate = 1000 * kilobits
        stream.open()
        time = np.arange(int(seconds * rate)) / rate
        samples = 0.25 * np.sin(2 * np.pi * 1000 * time)[None].repeat(2 if layout == "stereo" else 1, 0)
        frame = av.AudioFrame.from_ndarray(samples.astype(np.float32), "fltp", layout)
        frame.sample_rate = rate
        resampler = av.AudioResampler(stream.format.name, layout, rate, frame_size=stream.frame_size)
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return out.getvalue()


@pytest.mark.parametrize("layout", ["mono", "stereo"])
@pytest.mark.parametrize(("rate", "kilobits"), [(48_000, 320), (44_100, 64), (22_050, 32), (16_000, 64), (8_000, 16)])
def test_mp3_from_anywhere(rate: int, kilobits: int, layout: str) -> None:
    data = encoded("mp3", "mp3", rate, kilobits, layout)
    assert may_be_bare(data)
    for begin in range(0, 3000, 37):
        assert bare_format(data[begin : begin + ENOUGH]) == "mp3"


@pytest.mark.parametrize(("rate", "kilobits"), [(48_000, 192), (44_100, 64), (16_000, 32)])
def test_aac_from_anywhere(rate: int, kilobits: int) -> None:
    data = encoded("aac", "adts", rate, kilobits, seconds=12)
    assert may_be_bare(data)
    for begin in range(0, 3000, 37):
        assert bare_format(data[begin : begin + ENOUGH]) == "aac"


@pytest.mark.parametrize(
    ("codec", "format"), [("flac", "flac"), ("libopus", "ogg"), ("pcm_s16le", "wav"), ("aac", "mpegts"), ("mp2", "mp2")]
)
def test_other_streams_are_left_to_ffmpeg(codec: str, format: str) -> None:
    data = encoded(codec, format, 48_000, 128)
    for begin in range(0, 20_000, 997):
        assert bare_format(data[begin : begin + ENOUGH]) is None


@given(st.binary(max_size=400), st.integers(0, 399))
def test_noise_is_nothing_and_fails_nowhere(data: bytes, at: int) -> None:
    assert bare_format(data) is None
    assert bare_format(data[:at] + b"\xff\xfb\x90\xc0" + data[at:]) is None


def test_as_much_is_read_as_is_needed() -> None:
    """FFmpeg alone wants 256 KB of this one, which is half a minute of it."""
    data, read = encoded("mp3", "mp3", 48_000, 64, seconds=60), 0

    def give(size: int) -> bytes:
        nonlocal read
        size = min(size, 1024)
        read += size
        return data[read - size : read]

    stream = FFmpegStream(give, {}, bare=True)
    assert read < 16_384
    first = next(stream.blocks())
    assert first.shape[1] == 1
    stream.close()
