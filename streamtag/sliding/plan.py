"""Which frames and windows are worked on at once."""

from __future__ import annotations

from typing import NamedTuple


class Block(NamedTuple):
    """A few windows that are judged together, in frames of the stream.

    Attributes
    ----------
    window, hop : frames of a window, and from one window's start to the next's.
    capacity : frames that the rings hold.
    slots : windows whose left edges are kept.
    at_once : windows of a block at most.
    done : frames that earlier blocks have gone through: the end of the last window that was judged.
    first : number of the block's first window.
    start : its first frame.
    windows : how many there are.
    end : frame after the last window's last.
    """

    window: int
    hop: int
    capacity: int
    slots: int
    at_once: int
    done: int
    first: int
    start: int
    windows: int
    end: int
