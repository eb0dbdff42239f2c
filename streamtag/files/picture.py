"""A taggram as a picture: a row for each tag, time from left to right, as musicnn's notebooks show it.

One drawing for both formats: a list of texts, lines and one image, which is written as SVG (without any library; every
browser shows it) or as PNG (by Pillow).
"""

from __future__ import annotations

import base64
import io
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from streamtag.errors import MissingExtraError, OptionError
from streamtag.files.offline import FileTags
from streamtag.files.outputs import replacing
from streamtag.files.timeline import STEPS, clock, printable

FORMATS = (".svg", ".png")
WIDTH, LEFT, ROW, TOP, BOTTOM, RIGHT = 1000, 170, 15, 44, 34, 30
"""Pixels: of the time axis, to the left of it, of a row, above the first, below the last, to the right."""
MOST_COLUMNS = 4000
"""Beyond that many patches, means of several are drawn: a screen shows no more, and browsers refuse long images."""
INK, QUIET = "#1a1a1a", "#666666"
STOPS = ((0, 0, 4), (59, 15, 112), (140, 41, 129), (222, 73, 104), (254, 159, 109), (252, 253, 191))
"""Of magma (Smith, van der Walt & Firing 2015): its brightness rises evenly, so it is read without colours, too."""


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text: where its baseline begins, ends or has its middle."""

    x: float
    y: float
    text: str
    anchor: Literal["start", "middle", "end"] = "start"
    colour: str = INK
    size: int = 12


@dataclass(frozen=True, slots=True)
class Line:
    """An upright line."""

    x: float
    top: float
    bottom: float


@dataclass(frozen=True, slots=True)
class Picture:
    """What is drawn.

    Attributes
    ----------
    height : int
        Pixels.
    texts : tuple of Text
        All that is written.
    lines : tuple of Line
        Marks of time.
    pixels : ndarray of uint8, shape (tags, columns, 3)
        The taggram, stretched to `WIDTH` times `ROW` pixels a tag.
    """

    height: int
    texts: tuple[Text, ...]
    lines: tuple[Line, ...]
    pixels: NDArray[np.uint8]


def check_picture(target: Path) -> None:
    """Refuse what cannot be drawn, before any long work.

    Raises
    ------
    OptionError
        An ending that is none of `FORMATS`.
    MissingExtraError
        PNG without Pillow.
    """
    if target.suffix not in FORMATS:
        raise OptionError(f"cannot write {target}: a picture is .svg or .png, by the ending of its name")
    if target.suffix == ".png":
        try:
            import PIL.ImageFont  # noqa: F401
        except ImportError as error:
            raise MissingExtraError(f"a picture as PNG ({error})", "plot") from error


def picture_names(target: Path, files: Iterable[Path]) -> list[Path]:
    """Where the picture of each file goes.

    Parameters
    ----------
    target : Path
        As it was asked for.
    files : iterable of Path
        What is tagged.

    Returns
    -------
    list of Path
        The target for one file; for several, ``target-song.svg`` beside it, numbered where names are the same.
    """
    files = list(files)
    if len(files) == 1:
        return [target]
    names: list[Path] = []
    taken: set[str] = set()
    for file in files:
        name, count = f"{target.stem}-{file.stem}{target.suffix}", 1
        while name.casefold() in taken:  # also where the system does not tell a and A apart
            count += 1
            name = f"{target.stem}-{file.stem}-{count}{target.suffix}"
        taken.add(name.casefold())
        names.append(target.with_name(name))
    return names


def draw(tags: FileTags) -> Picture:
    """The taggram of a file."""
    hop = float(tags.starts[1] - tags.starts[0]) if len(tags.starts) > 1 else max(tags.seconds, 1e-3)
    seconds = hop * len(tags.starts)
    bottom = TOP + ROW * len(tags.labels)
    texts = [Text(10, 18, printable(str(tags.path)), size=13)]
    lines = []
    step = next((step for step in STEPS if step * WIDTH / seconds >= 50), STEPS[-1])
    for mark in range(0, int(seconds) + 1, step):
        x = LEFT + mark * WIDTH / seconds
        lines.append(Line(x, bottom, bottom + 5))
        texts.append(Text(x, bottom + 19, clock(mark, 0), "middle", QUIET))
    texts += [
        Text(LEFT - 8, TOP + ROW * place + 12, printable(label), "end") for place, label in enumerate(tags.labels)
    ]
    best = ", ".join(f"{tag} {score:.2f}" for tag, score in tags.top(5))
    texts.append(Text(LEFT, 36, printable(best), colour=QUIET))
    return Picture(bottom + BOTTOM, tuple(texts), tuple(lines), _coloured(tags.taggram))


def write_picture(target: Path, tags: FileTags) -> None:
    """Draw the taggram of a file in the format that the ending of the name says.

    Parameters
    ----------
    target : Path
        .svg or .png.
    tags : FileTags
        What was heard.

    Raises
    ------
    SinkError
        If it cannot be written.
    """
    picture = draw(tags)
    data = _svg(picture) if target.suffix == ".svg" else _png(picture)
    with replacing(target) as file:
        file.write(data)


def _coloured(taggram: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """(patches, tags) of 0..1 as (tags, columns, 3) of colours."""
    if len(taggram) > MOST_COLUMNS:
        edges = np.linspace(0, len(taggram), MOST_COLUMNS, endpoint=False).astype(int)
        taggram = np.add.reduceat(taggram, edges) / np.diff(edges, append=len(taggram))[:, None]
    places = np.linspace(0, 1, len(STOPS))
    channels = [np.interp(taggram.T, places, [stop[channel] for stop in STOPS]) for channel in range(3)]
    return np.round(np.stack(channels, axis=-1)).astype(np.uint8)


# --- SVG ----------------------------------------------------------------------------------------------------------


def _svg(picture: Picture) -> bytes:
    width = LEFT + WIDTH + RIGHT
    image = base64.b64encode(_packed(picture.pixels)).decode()
    rows = ROW * len(picture.pixels)
    parts = [
        f'<image x="{LEFT}" y="{TOP}" width="{WIDTH}" height="{rows}" preserveAspectRatio="none" '
        f'style="image-rendering:pixelated" href="data:image/png;base64,{image}"/>'
    ]
    for line in picture.lines:
        at = f'x1="{line.x:.1f}" x2="{line.x:.1f}" y1="{line.top:.1f}" y2="{line.bottom:.1f}"'
        parts.append(f'<line {at} stroke="{QUIET}"/>')
    for text in picture.texts:
        style = f'text-anchor="{text.anchor}" fill="{text.colour}" font-size="{text.size}"'
        parts.append(f'<text x="{text.x:.1f}" y="{text.y:.1f}" {style}>{escape(text.text)}</text>')
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{picture.height}" '
        f'font-family="system-ui, sans-serif">\n<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    ).encode()


def _packed(pixels: NDArray[np.uint8]) -> bytes:
    """Pixels as PNG: signature, header, one stream of rows that each begin with filter type 0 (RFC 2083)."""
    height, width, _ = pixels.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits, RGB, not interlaced
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


# --- PNG ----------------------------------------------------------------------------------------------------------

ANCHORS = {"start": "ls", "middle": "ms", "end": "rs"}
SCALE = 2
"""Pixels of the file for one of the drawing, for screens that are fine."""


def _png(picture: Picture) -> bytes:
    from PIL import Image, ImageDraw, ImageFont

    width = LEFT + WIDTH + RIGHT
    image = Image.new("RGB", (width * SCALE, picture.height * SCALE), "white")
    rows = (WIDTH * SCALE, ROW * SCALE * len(picture.pixels))
    image.paste(Image.fromarray(picture.pixels).resize(rows, Image.Resampling.NEAREST), (LEFT * SCALE, TOP * SCALE))
    pen = ImageDraw.Draw(image)
    for line in picture.lines:
        pen.line([line.x * SCALE, line.top * SCALE, line.x * SCALE, line.bottom * SCALE], fill=QUIET, width=SCALE)
    for text in picture.texts:
        font = ImageFont.load_default(text.size * SCALE)
        pen.text((text.x * SCALE, text.y * SCALE), text.text, text.colour, font, ANCHORS[text.anchor])
    written = io.BytesIO()
    image.save(written, "PNG")
    return written.getvalue()
