"""Labels as parts of OSC addresses: lower case, ASCII, readable, and distinct within a list.

OSC allows printable ASCII but for what it reserves. Accents go (`café` is `cafe`), Cyrillic and Greek letters are
written in Latin ones (`рок` is `rok`), others by the last word of their Unicode name (`ロ` is `ro`, `한` is `han`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

INPUT_NAME = "[A-Za-z0-9][A-Za-z0-9_-]{0,31}"
"""A pattern of what one of several inputs may be called: as it is, it is a part of addresses and topics."""
_LATIN = {
    **dict(zip("абвгдезийклмнопрстуфхыэ", "abvgdezijklmnoprstufhye", strict=True)),
    **dict(zip("αβγδεζηικλμνξοπρσςτυφω", "abgdeziiklmnxoprsstyfo", strict=True)),
    **{"ё": "yo", "ж": "zh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "shch", "ъ": "", "ь": "", "ю": "yu", "я": "ya"},
    **{"є": "ye", "і": "i", "ї": "yi", "ґ": "g", "ў": "w", "ђ": "dj", "ј": "j", "љ": "lj", "њ": "nj", "ћ": "c"},
    **{"џ": "dz", "θ": "th", "χ": "ch", "ψ": "ps", "ß": "ss", "æ": "ae", "ø": "o", "œ": "oe", "ł": "l", "đ": "d"},
    **{"ð": "d", "þ": "th", "ı": "i"},
}
_RESERVED = re.compile(r"[^!-~]|[#*,/?\[\]{}]")


def slug(label: str) -> str:
    """A label as the last part of an OSC address: lower case, Latin letters, ``_`` for spaces and what OSC reserves."""
    return "".join(map(_latin, unicodedata.normalize("NFC", label.lower()))) or "_"


def slugs(labels: Iterable[str]) -> dict[str, str]:
    """Each label's `slug`, distinct: of labels that have the same, all but the first end in ``_2``, ``_3`` and so on.

    Parameters
    ----------
    labels : iterable of str
        Labels, distinct, in their order.

    Returns
    -------
    dict of {str: str}
        Slugs by label.
    """
    found = {label: slug(label) for label in labels}
    free = set(found.values())  # what a label has by itself is not taken by another's number
    taken: set[str] = set()
    for label, plain in found.items():
        made, number = plain, 1
        while made in taken or (number > 1 and made in free):
            number += 1
            made = f"{plain}_{number}"
        taken.add(made)
        found[label] = made
    return found


def find_label(name: str, labels: Sequence[str]) -> int | None:
    """Where a label is, by its name or by how OSC addresses have it, whatever the case; None if there is none such."""
    if name in labels:
        return labels.index(name)
    spelled = {**{label.lower(): label for label in labels}, **{slug: label for label, slug in slugs(labels).items()}}
    found = spelled.get(name.lower())
    return None if found is None else labels.index(found)


def _latin(letter: str) -> str:
    if letter.isascii():
        return _RESERVED.sub("_", letter)
    if letter in _LATIN:
        return _LATIN[letter]
    plain = "".join(mark for mark in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(mark))
    if plain != letter and all(mark.isascii() or mark in _LATIN for mark in plain):
        return "".join(map(_latin, plain))
    return _named(letter)


def _named(letter: str) -> str:
    """The last word of a letter's Unicode name; the whole name of a picture."""
    kind, name = unicodedata.category(letter), unicodedata.name(letter, "_").lower()
    if kind == "So":
        return name.replace(" ", "_")
    return name.split()[-1].removeprefix("ideograph-") if kind[0] == "L" else "_" * (kind[0] != "M")
