"""MP3 and AAC without a container, as radio stations and encoders send it: known by a few frames in a row.

FFmpeg wants to see 64 KB of such a stream before it believes that it is MP3, of some tones four times as much: seconds,
where it comes in real time. Told which it is, it begins with the first frame.
"""

from __future__ import annotations

from collections.abc import Iterator

ENOUGH = 8192
"""Bytes to tell by: five frames of the longest."""
ROW = 4
"""Frames in a row that are no accident: each must begin where the one before ends."""
KILOBITS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
KILOBITS_LOW = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
"""Of layer III, by the number in a header, of MPEG 1 and of the lower rates. Source: ISO 11172-3, 13818-3."""
HERTZ = (44_100, 48_000, 32_000)


def bare_format(data: bytes) -> str | None:
    """What FFmpeg calls the format of bare frames: ``mp3``, ``aac``; None for anything else.

    Parameters
    ----------
    data : bytes
        Some of it, from anywhere.

    Returns
    -------
    str or None
        The format.
    """
    for begin in _syncs(data):
        for name, length_of in (("mp3", _mp3_frame), ("aac", _aac_frame)):
            at, frames = begin, 0
            while frames < ROW and (length := length_of(data, at)):
                at, frames = at + length, frames + 1
            if frames == ROW:
                return name
    return None


def may_be_bare(data: bytes) -> bool:
    """Whether a beginning is that of a frame."""
    return next(_syncs(data[:2]), None) == 0


def _syncs(data: bytes) -> Iterator[int]:
    """Where frames may begin: eleven bits that are set."""
    at = data.find(b"\xff")
    while 0 <= at < len(data) - 1:
        if data[at + 1] >= 0xE0:
            yield at
        at = data.find(b"\xff", at + 1)


def _mp3_frame(data: bytes, at: int) -> int:
    """Length of the frame of layer III that begins there; 0 if none does."""
    if at + 4 > len(data) or data[at] != 0xFF or data[at + 1] & 0xE6 != 0xE2:
        return 0
    version, rate, kilobits = data[at + 1] >> 3 & 3, data[at + 2] >> 2 & 3, data[at + 2] >> 4
    if version == 1 or rate == 3 or not 0 < kilobits < 15:
        return 0
    whole = version == 3
    bits = 1000 * (KILOBITS if whole else KILOBITS_LOW)[kilobits]
    hertz = HERTZ[rate] // {3: 1, 2: 2, 0: 4}[version]
    return (144 if whole else 72) * bits // hertz + (data[at + 2] >> 1 & 1)


def _aac_frame(data: bytes, at: int) -> int:
    """Length of the ADTS frame that begins there; 0 if none does. Source: ISO 14496-3, 1.A.2."""
    if at + 6 > len(data) or data[at] != 0xFF or data[at + 1] & 0xF6 != 0xF0 or data[at + 2] >> 2 & 15 > 12:
        return 0
    length = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
    return length if length > 7 else 0
