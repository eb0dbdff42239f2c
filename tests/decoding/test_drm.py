"""Encrypted tracks are called encrypted."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import pytest

from tests.support.recordings import encode, noisy, read, refusal, sound

KEY = "00112233445566778899aabbccddeeff"


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An MP4 as a shop sends it: cenc."""
    clear = encode(tmp_path_factory.mktemp("drm") / "x.m4a", sound(44_100, 2, 3), 44_100, "aac", "ipod")
    path = clear.with_name("y.mp4")
    options = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": KEY, "encryption_kid": KEY}
    with av.open(str(clear)) as source, av.open(str(path), "w", format="mp4", options=options) as target:
        stream = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("kind", "said"),
    [(b"enca", "Common Encryption"), (b"drms", "FairPlay"), (b"aavd", "Audible")],
)
def test_mp4(tmp_path: Path, encrypted: bytes, kind: bytes, said: str) -> None:
    assert b"enca" in encrypted
    (tmp_path / "x.m4a").write_bytes(encrypted.replace(b"enca", kind))
    reason = refusal(tmp_path / "x.m4a")
    assert reason.startswith("encrypted ")
    assert said in reason


def test_cut_off_before_its_index(tmp_path: Path) -> None:
    for brand, said in ((b"aax ", "encrypted by Audible"), (b"aaxc", "encrypted by Audible"), (b"M4A ", "cut off")):
        head = struct.pack(">I4s4sI", 16, b"ftyp", brand, 0) + struct.pack(">I4s", 10**8, b"mdat")
        (tmp_path / "x").write_bytes(head + noisy(1, 1).tobytes())
        assert said in refusal(tmp_path / "x")


def test_asf_and_transport_streams(tmp_path: Path) -> None:
    data = encode(tmp_path / "x", sound(44_100, 2, 1), 44_100, "wmav2", "asf").read_bytes()
    box = bytes.fromhex("FBB3112223BDD211B4B700A0C955FC6E") + struct.pack("<Q", 40) + bytes(16)
    size, count = struct.unpack_from("<QI", data, 16)
    (tmp_path / "x").write_bytes(data[:16] + struct.pack("<QI", size + 40, count + 1) + data[28:30] + box + data[30:])
    assert refusal(tmp_path / "x").startswith("encrypted by Windows Media DRM")
    data = encode(tmp_path / "x", sound(44_100, 2, 3), 44_100, "aac", "mpegts").read_bytes()
    assert read(tmp_path / "x")[2] is None
    scrambled = bytearray(data)
    for at in range(0, len(data), 188):
        if data[at + 1 : at + 3] == b"\x41\x00" or data[at + 1 : at + 3] == b"\x01\x00":
            scrambled[at + 3] |= 0x80
    (tmp_path / "x").write_bytes(scrambled)
    assert "encrypted" in refusal(tmp_path / "x")


def test_what_is_damaged_is_not_called_encrypted(tmp_path: Path) -> None:
    path = encode(tmp_path / "x", sound(44_100, 2, 3), 44_100, "aac", "ipod")
    data = path.read_bytes()
    path.write_bytes(data[:60] + bytes(len(data) // 2) + data[60 + len(data) // 2 :])
    assert "encrypted" not in str(read(path)[2])
