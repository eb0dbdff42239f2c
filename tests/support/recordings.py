"""Files of sound, made for a test, and read."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from streamtag.decoding.decode import open_audio
from streamtag.errors import AudioFileError


def sound(rate: int, channels: int = 1, seconds: float = 0.5) -> np.ndarray:
    """A sweep, another one in each channel, faded in and out: only one alignment fits. (n, channels)."""
    t = np.arange(round(rate * seconds)) / rate
    top = min(rate / 5, 3000)
    sweeps = [np.sin(2 * np.pi * (60 + 20 * c + top / (2 * seconds) * t) * t) for c in range(channels)]
    return 0.6 * np.hanning(len(t))[:, None] * np.stack(sweeps, axis=1)


def write(path: Path, samples: np.ndarray, rate: int, kind: str, subtype: str) -> Path:
    soundfile.write(path, samples, rate, format=kind, subtype=subtype)
    return path


LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1", 16: "hexadecagonal"}


def encode(path: Path, samples: np.ndarray | None, rate: int, codec: str, container: str, video: bool = False) -> Path:
    """Write with FFmpeg; without samples, video alone."""
    with av.open(str(path), "w", format=container) as out:
        pictures = out.add_stream("mpeg4", rate=25, width=32, height=32, pix_fmt="yuv420p") if video else None
        packets: list[av.Packet] = []
        if samples is not None:
            layout = LAYOUTS[samples.shape[1]]
            stream = out.add_stream(codec, rate=rate, layout=layout, bit_rate=64_000 * samples.shape[1])
            assert isinstance(stream, av.AudioStream)
            frame = av.AudioFrame.from_ndarray(samples.astype(np.float32).reshape(1, -1), "flt", layout)
            frame.sample_rate = rate
            frame.pts = 0
            fit = av.AudioResampler(stream.format, layout, rate, frame_size=stream.codec_context.frame_size)
            for part in [*fit.resample(frame), *fit.resample(None), None]:
                packets += stream.encode(part)
        if pictures is not None:
            for number in range(10):
                picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 20 * number, np.uint8), "rgb24")
                picture.pts = number
                packets += pictures.encode(picture)
            packets += pictures.encode(None)
        for packet in packets:
            out.mux(packet)
    return path


def read(path: Path, frames: int = 65_536) -> tuple[np.ndarray, int, str | None]:
    with open_audio(path) as reader:
        blocks = list(reader.blocks(frames))
        assert all(b.dtype == np.float32 and b.flags.c_contiguous and b.shape[1] == reader.channels for b in blocks)
        assert all(len(b) == frames for b in blocks[:-1])
        assert 0 < len(blocks[-1]) <= frames
        return np.concatenate(blocks), reader.samplerate, reader.note


def refusal(path: str | Path) -> str:
    with pytest.raises(AudioFileError) as caught:
        open_audio(path).close()
    assert caught.value.path == str(path)
    assert "\n" not in caught.value.reason
    return caught.value.reason


def png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(4))) + chunk(b"IEND", b"")


def id3(*frames: tuple[bytes, bytes]) -> bytes:
    body = b"".join(name + struct.pack(">IH", len(data), 0) + data for name, data in frames)
    return b"ID3\x03\0\0" + bytes(len(body) >> shift & 127 for shift in (21, 14, 7, 0)) + body


PICTURE = (b"APIC", b"\0image/png\0\3\0" + png())


def wav_header(
    size: int, rate: int = 24_000, channels: int = 1, bits: int = 8, riff: int | None = None, kind: int = 1
) -> bytes:
    frame = channels * bits // 8
    form = struct.pack("<HHIIHH", kind, channels, rate, rate * frame, frame, bits)
    riff = size + 36 if riff is None else riff
    return struct.pack("<4sI4s4sI", b"RIFF", riff, b"WAVE", b"fmt ", 16) + form + struct.pack("<4sI", b"data", size)


def noisy(channels: int = 2, seconds: float = 3.0) -> np.ndarray:
    """Not compressed away."""
    return np.random.default_rng(1).uniform(-0.3, 0.3, (round(48_000 * seconds), channels))
