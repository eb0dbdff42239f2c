"""Tracks that are encrypted: FFmpeg gives them to the decoder as they are, and what comes out is noise or nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping

from streamtag.decoding.links import mp4_boxes
from streamtag.decoding.part import PartFile

ENCRYPTED = "encrypted {}: only its seller's own player can play it"
LARGEST_INDEX = 1 << 26
APPLE, AUDIBLE, COMMON = "by Apple's FairPlay", "by Audible", "by Common Encryption (cenc, cbcs)"
_MP4 = {b"drms": APPLE, b"aavd": AUDIBLE, b"aavx": AUDIBLE, b"enca": COMMON}
_MP4_CLEAR = {
    b"mp4a",
    b"alac",
    b"Opus",
    b"fLaC",
    b"ac-3",
    b"ec-3",
    b"ac-4",
    b".mp3",
    b"samr",
    b"sawb",
    b"lpcm",
    b"twos",
}
_ASF = ("FBB3112223BDD211B4B700A0C955FC6E", "14E68A292226174CB935DAE07EE9289C")
"""Of an ASF file's header: Content Encryption Object, Extended Content Encryption Object."""


def encryption(file: PartFile, container: str, metadata: Mapping[str, str]) -> str | None:
    """How the sound of a file is encrypted.

    Parameters
    ----------
    file : PartFile
        The file; left at some other place.
    container : str
        FFmpeg's name of the container.
    metadata : mapping of {str: str}
        The audio track's, as FFmpeg gives it.

    Returns
    -------
    str or None
        In words, to follow "encrypted"; empty where it is not known; None if it is not encrypted.
    """
    file.seek(0)
    if container == "mov":
        kinds = set(re.findall(rb"(?s)stsd.{4}\0\0..\0\0..(.{4})", _mp4_index(file)))
        found = [how for kind, how in _MP4.items() if kind in kinds]
        return found[0] if found and not kinds & _MP4_CLEAR else None
    if container == "asf":
        header = file.read(2**16)
        return "by Windows Media DRM" if any(bytes.fromhex(guid) in header for guid in _ASF) else None
    if container == "matroska":
        return "" if "enc_key_id" in metadata else None
    if container == "mpegts":
        packets = [head for head in _ts_packets(file.read(188 * 4_096)) if head[1] & 0x1F or head[2]]
        return "for a set-top box" if sum(head[3] >> 7 for head in packets) > len(packets) / 2 else None
    return None


def mp4_without_index(file: PartFile) -> str | None:
    """Why an MP4 file whose index was cut off cannot be read; None where it has one."""
    names = {name for _, _, name in mp4_boxes(file)}
    if names & {b"moov", b"moof"}:
        return None
    file.seek(8)
    if file.read(4) in (b"aax ", b"aaxc"):
        return ENCRYPTED.format(AUDIBLE)
    return "its index (the moov box) is missing: the end of the file was cut off, or it was never finished"


def _mp4_index(file: PartFile) -> bytes:
    """The moov box."""
    for at, size, name in mp4_boxes(file):
        if name == b"moov":
            file.seek(at)
            return file.read(min(size, LARGEST_INDEX))
    return b""


def _ts_packets(data: bytes) -> list[bytes]:
    """Headers of a transport stream's packets."""
    return [data[at : at + 4] for at in range(0, len(data) - 3, 188) if data[at] == 0x47]
