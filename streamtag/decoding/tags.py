"""Tags around the sound of a file, and in the middle of what was joined: ID3, APE, Lyrics3."""

from __future__ import annotations

from streamtag.decoding.part import PartFile

MOST_TAGS = 100
ID3_HEAD = 10
BEGINNINGS = (b"ID3", b"TAG", b"LYRICSBEGIN", b"APETAGEX")


def id3_length(head: bytes) -> int:
    """Length of an ID3v2 tag, by its first ten bytes."""
    size = sum(byte % 128 << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    return ID3_HEAD + size + (10 if head[5] & 0x10 else 0)


def behind_tags(file: PartFile) -> tuple[int, bool]:
    """Where the sound begins: behind tags of MP3 (ID3v2, with cover art) or APE, which are met before anything.

    Returns
    -------
    int
        The place; that of a tag whose size leads out of the file, if there is one.
    bool
        Whether there is none.
    """
    start = 0
    for _ in range(MOST_TAGS):
        file.seek(start)
        head = file.read(32)
        if head.startswith(b"ID3") and len(head) == 32:
            length = id3_length(head)
        elif head.startswith(b"APETAGEX") and len(head) == 32 and head[23] & 0x20:
            length = 32 + int.from_bytes(head[12:16], "little")
        else:
            return start, True
        if start + length >= file.size:
            return start, False
        start += length
    return 0, True


def tag_length(data: bytes) -> int:
    """How long the tag is that lies between frames of sound; 0 if it is none.

    It may be longer than what is given. An APE tag may have its name at its end only.
    """
    if data.startswith(b"ID3") and len(data) >= ID3_HEAD:
        return id3_length(data)
    return len(data) if data.startswith(BEGINNINGS) or b"APETAGEX" in data else 0
