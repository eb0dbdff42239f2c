"""Ogg's pages: where they are, and whether the last one is there."""

from __future__ import annotations

from collections.abc import Iterator

from streamtag.decoding.part import Part, PartFile

BEGINS, ENDS = 2, 4
"""Flags of a page: the first of a stream, the last."""
LARGEST_PAGE = 65_307


def ogg_ends(part: Part) -> tuple[bool, bool]:
    """Whether the last page is of another stream than the first, and whether it is whole and marked as the last."""
    with part.open() as file:
        serial = file.read(18)[14:]
        file.seek(max(0, file.size - 2**17))
        tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    if not page.startswith(b"OggS") or len(page) < 27:
        return False, False
    size = 27 + page[26] + sum(page[27 : 27 + page[26]])
    return page[14:18] != serial, bool(page[5] & ENDS) and len(page) >= size


def pages(file: PartFile) -> Iterator[tuple[int, int, int]]:
    """Position, flags and size of each page; what is no page is passed over, and so is one that is cut."""
    at = last = 0
    while True:
        file.seek(at)
        head = file.read(27 + 255)
        if len(head) < 27:
            return
        if head.startswith(b"OggS\0") and head[5] < 8:
            size = 27 + head[26] + sum(head[27 : 27 + head[26]])
            yield at, head[5], size
            last, at = at, at + size
            continue
        # Perhaps the last one was cut, and the next begins inside of what should have been its body.
        at = last = last + 1
        file.seek(at)
        kept = b""
        while (found := (kept := kept[-3:] + file.read(LARGEST_PAGE)).find(b"OggS")) < 0:
            if file.tell() == file.size:
                return
        at = last = file.tell() - len(kept) + found
