"""Where files of sound lie one behind the other in one file, as `cat` and recorders of streams put them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from streamtag.decoding.kinds import beginnings, begins_at
from streamtag.decoding.ogg import BEGINS, pages
from streamtag.decoding.part import Part, PartFile


def links(part: Part, kind: str | None) -> list[Part]:
    """The files in a file, up to the first of another kind: one alone if it is no chain.

    Parameters
    ----------
    part : Part
        The file.
    kind : str or None
        What it begins as.

    Returns
    -------
    list of Part
        Each of them, in order.
    """
    find = {"Ogg": _ogg, "FLAC": _flac, "MP4": _mp4, "frames": _frames}.get(kind or "")
    if find is None:
        return [part]
    with part.open() as file:
        starts = [0, *(at for at in find(file) if at)]
        stops = [*starts[1:], file.size]
    if len(starts) == 1:
        return [part]
    return [Part(part.path, part.start + start, part.start + stop) for start, stop in zip(starts, stops, strict=True)]


def _ogg(file: PartFile) -> Iterator[int]:
    began = True
    end = 0
    for at, flags, size in pages(file):
        if at > end and begins_at(file, end):
            yield end
            return
        begins = bool(flags & BEGINS)
        if begins and not began:  # pages that begin streams follow each other where streams are interleaved
            yield at
        began, end = begins, at + size
    if begins_at(file, end):
        yield end


def _flac(file: PartFile) -> Iterator[int]:
    for at, is_flac in beginnings(file, frames=True):
        yield at
        if not is_flac:
            return


def _frames(file: PartFile) -> Iterator[int]:
    return itertools.islice((at for at, _ in beginnings(file, frames=False)), 1)


def _mp4(file: PartFile) -> Iterator[int]:
    held = False  # whether there was anything to hear since the last one began
    for at, _, name in mp4_boxes(file):
        if name == b"ftyp" and held:
            yield at
        elif held and begins_at(file, at):
            yield at
            return
        held = (held or name in (b"mdat", b"moov")) and name != b"ftyp"


def mp4_boxes(file: PartFile) -> Iterator[tuple[int, int, bytes]]:
    """Place, size and name of each box of an MP4 file."""
    at = 0
    while at + 8 <= file.size:
        file.seek(at)
        head = file.read(16)
        length = int.from_bytes(head[:4])
        if length == 1:
            length = int.from_bytes(head[8:])
        elif length == 0:  # to the end
            length = file.size - at
        if length < 8:
            return
        yield at, length, head[4:8]
        at += length
