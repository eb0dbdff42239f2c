"""What a file of sound begins with."""

from __future__ import annotations

import re
from collections.abc import Iterator

from streamtag.decoding.part import PartFile
from streamtag.decoding.tags import ID3_HEAD, behind_tags, id3_length

HEAD = 64
"""Bytes by which a beginning is known."""
LEAST = 4_096
"""Bytes behind the end of a file that are not made much of, if fewer."""
READ = 1 << 20

_KINDS = {
    "WAV": rb"RIF[FX]....WAVE",
    "RF64": rb"RF64....WAVE",
    "BW64": rb"BW64....WAVE",
    "AIFF": rb"FORM....AIF[FC]",
    "AVI": rb"RIFF....AVI ",
    "W64": rb"riff\x2e\x91\xcf\x11",
    "AU": rb"\.snd|dns\.",
    "CAF": rb"caff",
    "Ogg": rb"OggS",
    "FLAC": rb"fLaC",
    "MP4": rb"....ftyp",
    "frames": rb"\xff[\xe2-\xff]",  # MP3 and its like, AAC: without any header
}
_KNOWN = re.compile(rb"(?s)" + rb"|".join(b"(?P<%s>%s)" % (name.encode(), how) for name, how in _KINDS.items()))

_Sure = tuple[bytes, int, re.Pattern[bytes]]
_SURE: tuple[_Sure, ...] = (  # a word in it, bytes before that, and enough of it that no sound has it by chance
    (b"WAVE", 8, re.compile(rb"(?s)(?:RIF[FX]|RF64|BW64)....WAVE(?:fmt |JUNK|bext|LIST|ds64)")),
    (b"AIF", 8, re.compile(rb"(?s)FORM....AIF[FC](?:COMM|FVER|COMT|NAME)")),
    (b"ftyp", 4, re.compile(rb"(?s)\0\0\0.ftyp[ -~]{4}\0")),
    (b"OggS", 0, re.compile(rb"OggS\0\x02\0{8}")),
    (b"fLaC", 0, re.compile(rb"fLaC[\0\x80]\0\0\x22")),  # its first block is always as long
)
_SURE_FRAMES: tuple[_Sure, ...] = (
    (b"ID3", 0, re.compile(rb"ID3[\x02-\x04]\0[\0-\xf0][\0-\x7f]{4}[A-Z][A-Z0-9]{2,3}\0")),
    *(
        (word, before, re.compile(rb"(?s)\xff[\xe2-\xff].{%d}(?:Xing|Info)\0\0\0" % (before - 2)))
        for before in (13, 21, 36)
        for word in (b"Xing", b"Info")
    ),
)


def kind_of(head: bytes) -> str | None:
    """What begins with some bytes: the name of the kind; None if none is known."""
    found = _KNOWN.match(head)
    return found.lastgroup if found else None


def beginning(file: PartFile) -> int:
    """Where the sound begins, tags in front left out; the file is left at some other place."""
    start, measured = behind_tags(file)
    if measured:
        return start
    # A size that leads out of the file says nothing: what is sure, or whatever FFmpeg finds behind the tag's head.
    file.seek(start + ID3_HEAD)
    return next((at for at, _ in beginnings(file, frames=True)), start + ID3_HEAD)


def begins_at(file: PartFile, at: int, frames: bool = True) -> bool:
    """Whether a file of sound begins at a place where another has ended.

    Parameters
    ----------
    file : PartFile
        The file; left at some other place.
    at : int
        The place.
    frames : bool
        Whether it may be one without a header (MP3, AAC), which takes two bytes to look like.

    Returns
    -------
    bool
        Whether it does.
    """
    file.seek(at)
    head = file.read(HEAD)
    if head.startswith(b"ID3"):
        return _is_in_front(head, file.size - at)
    kind = kind_of(head)
    return kind is not None and (kind != "frames" or (frames and file.size - at >= LEAST))


def beginnings(file: PartFile, frames: bool) -> Iterator[tuple[int, bool]]:
    """Look for files of sound inside of another, from where it is read on.

    Parameters
    ----------
    file : PartFile
        The file.
    frames : bool
        Whether to look for MP3, too, as far as it begins with a tag or with what encoders write first.

    Yields
    ------
    (int, bool)
        The place of each, and whether it is FLAC.
    """
    sure = (*_SURE, *(_SURE_FRAMES if frames else ()))
    at, kept, last = file.tell(), b"", -1
    while data := file.read(READ):
        kept += data
        found: dict[int, bool] = {}
        for word, before, whole in sure:
            place = kept.find(word, before)
            while place >= 0:
                start = place - before
                if whole.match(kept, start) and (word != b"ID3" or _is_in_front(kept[start:], file.size - at - start)):
                    found[at + start] = word == b"fLaC"
                place = kept.find(word, place + 1)
        for start, is_flac in sorted(found.items()):
            if start > last:  # what is kept is looked through twice
                yield start, is_flac
                last = start
        at += max(0, len(kept) - HEAD)
        kept = kept[-HEAD:]


def _is_in_front(tag: bytes, size: int) -> bool:
    """Whether something follows an ID3 tag, which else belongs to what has ended."""
    return len(tag) >= ID3_HEAD and size >= id3_length(tag) + LEAST
