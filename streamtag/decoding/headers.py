"""Lengths in headers that say something else than there is.

A recorder that was cut off has written the length of its first moments; what is longer than 4 GiB does not fit into
the 32 bits that WAV has for it, and is written modulo 2**32, or as the greatest number. Both leave sound behind the end
that the header names, which libraries do not read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from streamtag.decoding.kinds import LEAST, begins_at, kind_of
from streamtag.decoding.part import Part, PartFile
from streamtag.decoding.reader import ENDS_EARLY, RefusedError
from streamtag.decoding.tags import BEGINNINGS

MOST_CHUNKS = 1_000
MOST_HOLLOW = 500
"""Chunks without a name, one after the other, that a header may have."""
UNCODED = (1, 3, 0xFFFE)
"""How a WAV says that its samples are numbers."""
LEAST_SECONDS = 0.05
LONGEST_PADDING = 1 << 26
"""After as many zeros nothing more is looked for."""


@dataclass(frozen=True, slots=True)
class Data:
    """Where the header of a file says that its samples are.

    Attributes
    ----------
    start, size : int
        First byte, and bytes.
    field_at : int
        Where the size is written.
    field : str
        How (`struct`).
    more : int
        By how much what is written there is greater than `size`.
    rate : float
        Bytes a second; 0 if unknown.
    chunks : str
        How sizes are written in the chunks that may follow (`struct`); empty where none may.
    """

    start: int
    size: int
    field_at: int
    field: str
    more: int
    rate: float
    chunks: str


def as_it_is(part: Part) -> tuple[list[Part], str | None]:
    """Compare what the header says with what there is.

    Parameters
    ----------
    part : Part
        A file that begins with the header of a WAV, RF64, BW64, W64, AIFF, CAF or AU.

    Returns
    -------
    list of Part
        The file itself; or, where there is more than its header says, with another header; or, where another file
        begins behind the end, all of them, one after the other.
    str or None
        What to tell.

    Raises
    ------
    RefusedError
        Nothing but zeros behind the header, or no channels in it.
    """
    files: list[Part] = []
    while True:
        with part.open() as file:
            data = _find_data(file, file.size)
            end = file.size if data is None else _end(file, data)
            another = None if data is None else _another(file, data)
            size = file.size
        if another is None:
            break
        files.append(Part(part.path, part.start, part.start + another))
        part = Part(part.path, part.start + another, part.stop)
    if files or data is None or not data.rate:
        return [*files, part], None
    said, found = data.size / data.rate, (end - data.start) / data.rate
    if end <= data.start + data.size:
        return [part], _cut(size - data.start, data)
    there = min(end - data.start + data.more, 2 ** (8 * struct.calcsize(data.field)) - 1)
    patches = {part.start + data.field_at: struct.pack(data.field, there)}
    longer = Part(part.path, part.start, part.start + end if end < size else part.stop, patches)
    if not data.size:  # it did not know
        return [longer], None
    return [longer], f"its header says {said:.2f} s, but there are {found:.2f} s: all of it is read"


def _cut(there: int, data: Data) -> str | None:
    """What to tell of a file that holds less than its header says."""
    unknown = (data.size + 2**13) % 2**31 < 2**13 or data.size >= 2**62  # as recorders write that do not know it yet
    if unknown or data.size - there <= 0.001 * data.rate:
        return None
    return ENDS_EARLY.format(there / data.rate, data.size / data.rate)


def _end(file: PartFile, data: Data) -> int:
    """Where the sound ends: where the header says, or behind it."""
    said = data.start + data.size
    if file.size - said < max(LEAST, LEAST_SECONDS * data.rate):
        return said
    ends = range(said, file.size + 1, 2 ** (8 * struct.calcsize(data.field)))
    return next((at for at in ends if _may_end(file, at, data.chunks)), file.size)


def _another(file: PartFile, data: Data) -> int | None:
    """Where another file begins behind the end."""
    file.seek(0)
    head = file.read(24)
    said = data.start + data.size
    whole = {
        b"RIFF": 8 + int.from_bytes(head[4:8], "little"),
        b"FORM": 8 + int.from_bytes(head[4:8]),
        b"riff": int.from_bytes(head[16:24], "little"),
    }.get(head[:4], said)
    for at in dict.fromkeys((said, said + said % 2, said + -said % 8, whole, whole + whole % 2)):
        if max(said, data.start) <= at < file.size and begins_at(file, at, frames=False):
            return at
    return None


def _may_end(file: PartFile, at: int, chunks: str) -> bool:
    """Whether what begins there is no sound: the end, a chunk, tags, or padding."""
    if file.size - at < 2:
        return True
    file.seek(at)
    head = file.read(32)
    if head.startswith(BEGINNINGS):
        return True
    if chunks:
        width = 8 if chunks == "<Q" else 2  # what a chunk's place is a multiple of
        for behind in {-at % width, 0}:
            here = head[behind:].ljust(24, b"\0")
            name, length = here[:4], struct.unpack_from(chunks, here, 16 if chunks == "<Q" else 4)[0]
            named = all(0x20 <= letter < 0x7F for letter in name) and kind_of(head[behind:]) is None
            if named and at + behind + length <= file.size:
                return True
    # In what is too long for its header, silence that goes on is silence.
    return file.size < 2**32 and _is_padding(file, at)


def _is_padding(file: PartFile, at: int) -> bool:
    """Whether nothing but zeros follows."""
    file.seek(at)
    while (data := file.read(2**20)) and file.tell() - at <= LONGEST_PADDING:
        if data.count(0) < len(data):
            return False
    return True


def _find_data(file: PartFile, size: int) -> Data | None:
    file.seek(0)
    head = file.read(40)
    try:
        if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE":
            return _in_riff(file, ">" if head[:4] == b"RIFX" else "<", size)
        if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
            any(name == b"movi" for name, _, _ in _chunks(file, 12, size, "<I"))  # only looked through
        if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
            return _in_aiff(file, size)
        if head[:4] == b"riff":
            return _in_w64(file, size)
        if head[:4] in (b".snd", b"dns."):
            return _in_au(head)
        if head[:4] == b"caff":
            return _in_caf(file)
    except struct.error:  # it ends in the middle of its header
        pass
    return None


def _chunks(file: PartFile, at: int, size: int, kind: str) -> Iterator[tuple[bytes, int, int]]:
    """Name, first byte and size of each chunk."""
    hollow = 0
    for _ in range(MOST_CHUNKS):
        if at >= size:
            return
        file.seek(at)
        head = struct.Struct(f"{kind[0]}4s{kind[1]}")
        name, length = head.unpack(file.read(head.size))
        hollow = hollow + 1 if name == bytes(4) else 0
        if hollow == MOST_HOLLOW:  # libraries would go through all of it, chunk by chunk, for minutes
            raise RefusedError("nothing but zeros behind its header: room was made, but nothing written", plain=True)
        at += head.size
        yield name, at, length
        at += length + (length & 1 if kind[1] == "I" else 0)


def _in_riff(file: PartFile, order: str, size: int) -> Data | None:
    rate = 0
    large: tuple[int, int] | None = None  # where RF64 says the size, and the size
    for name, at, length in _chunks(file, 12, size, f"{order}I"):
        file.seek(at)
        if name == b"ds64":
            large = at + 8, struct.unpack("<8xQ", file.read(16))[0]
        elif name == b"fmt ":
            kind, channels, samplerate, rate, width = struct.unpack(f"{order}HHIIH", file.read(14))
            _check_channels(channels if kind in UNCODED else 1)
            rate = rate or samplerate * width
        elif name == b"data":
            if large is not None and length == 0xFFFFFFFF:
                return Data(at, large[1], large[0], "<Q", 0, rate, f"{order}I")
            return Data(at, length, at - 4, f"{order}I", 0, rate, f"{order}I")
    return None


def _in_aiff(file: PartFile, size: int) -> Data | None:
    rate = 0.0
    for name, at, length in _chunks(file, 12, size, ">I"):
        file.seek(at)
        if name == b"COMM":
            channels, bits, exponent, mantissa = struct.unpack(">h4xhHQ", file.read(18))
            _check_channels(channels)
            power = (exponent & 0x7FFF) - 16_383 - 63
            rate = channels * bits / 8 * mantissa * 2.0**power if abs(power) < 100 else 0
        elif name == b"SSND":
            return Data(at + 8, max(0, length - 8), at - 4, ">I", 8, rate, ">I")
    return None


def _check_channels(channels: int) -> None:
    if not channels:
        raise RefusedError("its header says that it has 0 channels", plain=True)


def _in_w64(file: PartFile, size: int) -> Data | None:
    rate, at = 0, 40
    for _ in range(MOST_CHUNKS):
        if at >= size:
            break
        file.seek(at)
        name, length = struct.unpack("<4s12xQ", file.read(24))
        if name == b"fmt ":
            rate = struct.unpack("<8xI", file.read(12))[0]
        elif name == b"data":
            return Data(at + 24, max(0, length - 24), at + 16, "<Q", 24, rate, "<Q")
        at += max(24, length + -length % 8)
    return None


def _in_caf(file: PartFile) -> Data | None:
    rate = 0.0
    for name, at, length in _chunks(file, 8, file.size, ">Q"):
        file.seek(at)
        if name == b"desc":
            rate, width, frames = struct.unpack(">d8xII", file.read(24))
            rate = rate * width / frames if frames else 0
        elif name == b"data":  # it counts edits first; 2**64 - 1 bytes are an unknown number
            return Data(at + 4, max(0, length - 4), at - 8, ">Q", 4, rate, ">Q")
    return None


def _in_au(head: bytes) -> Data | None:
    order = ">" if head[:4] == b".snd" else "<"
    start, size, coding, rate, channels = struct.unpack(f"{order}4x5I", head[:24])
    width = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}.get(coding, 0)
    return (
        None if size == 0xFFFFFFFF or start < 24 else Data(start, size, 8, f"{order}I", 0, rate * channels * width, "")
    )
