"""Draw docs/sliding-*.svg: what depends on a window's edges, and how one running sum serves all of them.

python scripts/draw_sliding.py [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

from streamtag.dsp.params import PATCH_FRAMES
from streamtag.inference.sliding.musicnn import geometry

SHARED, EDGE, OUTSIDE, INK = "#9ec5e8", "#e8924a", "#eeeeee", "#222222"
FONT = 'font-family="sans-serif" font-size="12"'


def main() -> None:
    """Write both pictures."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent / "docs")
    (folder / "sliding-edges.svg").write_text(edges())
    (folder / "sliding-sums.svg").write_text(sums())


def svg(width: int, height: int, parts: list[str]) -> str:
    """A picture of these parts on white."""
    start = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
    return "\n".join([start, f'<rect width="{width}" height="{height}" fill="white"/>', *parts, "</svg>", ""])


def box(x: float, y: float, width: float, height: float, colour: str) -> str:
    """A rectangle."""
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" fill="{colour}" stroke="white"/>'


def text(x: float, y: float, words: str, anchor: str = "start") -> str:
    """Words that end or begin at x."""
    return f'<text x="{x:g}" y="{y:g}" {FONT} fill="{INK}" text-anchor="{anchor}">{words}</text>'


def edges() -> str:
    """Each level's rows over the time of a window: those that feel an edge, and those that all windows share."""
    names = ["timbral", *(f"temporal {frames}" for frames in geometry.TEMPORAL)]
    levels = list(zip(names, geometry.groups(PATCH_FRAMES), strict=True))
    levels += list(zip(("layer 1", "layer 2", "layer 3"), geometry.midend(PATCH_FRAMES)[-3:], strict=True))
    scale, left = 3.0, 110
    parts = [text(left, 18, f"a window of {PATCH_FRAMES} frames (3 s)")]
    for row, (name, level) in enumerate(levels):
        y = 28 + 26 * row
        inside = PATCH_FRAMES - level.before - level.after
        right = left + scale * (level.before + inside)
        parts += [
            text(left - 8, y + 15, name, "end"),
            box(left, y, scale * level.before, 20, EDGE),
            box(left + scale * level.before, y, scale * inside, 20, SHARED),
            box(right, y, scale * level.after, 20, EDGE),
            text(left + scale * (level.before + inside / 2), y + 15, f"{inside}", "middle"),
        ]
        for x, count in (
            (left + scale * level.before / 2, level.before),
            (right + scale * level.after / 2, level.after),
        ):
            if count > 8:
                parts.append(text(x, y + 15, f"{count}", "middle"))
    y = 28 + 26 * len(levels) + 14
    parts += [
        box(left, y - 11, 14, 14, SHARED),
        text(left + 20, y, "the same in every window: computed once a frame"),
        box(left + 345, y - 11, 14, 14, EDGE),
        text(left + 365, y, "feels an edge: this window's own"),
    ]
    return svg(left + round(scale * PATCH_FRAMES) + 30, y + 14, parts)


def sums() -> str:
    """A filter of 8 taps at one frame: the left-cut sums in the order in which one running sum passes them."""
    taps, back, size, left = 8, 3, 30, 270
    parts = [text(left, 20, "taps of a filter of 8 frames; the row is at tap 3")]
    for row in range(back + 1):
        y = 34 + 36 * row
        cut = back - row
        parts += [box(left + size * tap, y, size, 24, OUTSIDE if tap < cut else SHARED) for tap in range(taps)]
        parts += [text(left + size * (tap + 0.5), y + 17, str(tap), "middle") for tap in range(cut, taps)]
        begins = "at this frame" if row == 0 else f"{row} frame{'s' if row > 1 else ''} earlier"
        parts.append(text(left - 10, y + 17, f"of the window that begins {begins}", "end"))
        added = "taps 3 to 7" if row == 0 else f"plus tap {cut}"
        whole = ": whole, shared by all others" if row == back else ""
        parts.append(text(left + size * taps + 12, y + 17, f"{added}{whole}"))
    return svg(left + size * taps + 250, 34 + 36 * (back + 1) + 6, parts)


if __name__ == "__main__":
    main()
