"""The frames of one stream, and which of its windows is next: what predictors of musicnn and its relatives share."""

from __future__ import annotations

from collections import deque

import numpy as np

from streamtag.dsp.params import N_MELS
from streamtag.errors import FeedError, OptionError
from streamtag.inference.base import repeated
from streamtag.inference.sliding.arena import Floats


class FrameStream:
    """Keeps frames until the windows that need them are predicted or skipped.

    Parameters
    ----------
    window_frames : int
        Frames of a window, at least 1.
    hop_frames : int
        Frames between the starts of two windows, at least 1.

    Raises
    ------
    OptionError
        A window or hop below 1.
    """

    def __init__(self, window_frames: int, hop_frames: int) -> None:
        if window_frames < 1 or hop_frames < 1:
            raise OptionError(f"window and hop are at least 1 frame, not {window_frames} and {hop_frames}")
        self.window_frames = window_frames
        self.hop_frames = hop_frames
        self.reset()

    def complete(self) -> None:
        """Nothing: what fills no window is left out."""

    def reset(self) -> None:
        """Discard all frames; the next one is frame 0 again."""
        self._pending: deque[Floats] = deque()
        self._pushed = 0  # frames that have come
        self._oldest = 0  # number of the first frame in _pending
        self._done = 0  # frames gone through: the end of the last window that was predicted
        self._next = 0  # window

    @property
    def due(self) -> int:
        """Windows that are complete and neither predicted nor skipped."""
        return max(0, (self._pushed - self.window_frames) // self.hop_frames + 1 - self._next)

    def push(self, frames: Floats) -> None:
        """Take frames: float32 (n, 96) log-mel, any n from 0.

        Raises
        ------
        FeedError
            Frames of another shape.
        """
        if frames.ndim != 2 or frames.shape[1] != N_MELS:  # the kernels do not check
            raise FeedError(f"frames have shape {frames.shape}, and (n, {N_MELS}) is needed")
        if len(frames):
            self._pending.append(np.array(frames, np.float32, order="C"))
            self._pushed += len(frames)
            self._forget(self._next * self.hop_frames)

    def skip(self, windows: int) -> None:
        """Give up the oldest `windows` of those that are due."""
        self._next += windows
        self._forget(self._next * self.hop_frames)

    def repeat_to_window(self) -> bool:
        """With less than one window taken, repeat its frames until one is due (musicnn's repeat-pad)."""
        if self._next or self.due or not self._pushed:
            return False
        frames = np.concatenate(self._pending)
        self.reset()
        self.push(repeated(frames, self.window_frames))
        return True

    def _frames(self, begin: int, end: int) -> Floats:
        """Pending frames by their numbers."""
        parts, number = [], self._oldest
        for chunk in self._pending:
            if number >= end:
                break
            parts.append(chunk[max(begin - number, 0) : end - number])
            number += len(chunk)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _predicted(self, windows: int, end: int) -> None:
        """The next windows are done, and with them the frames before `end`."""
        self._done = end
        self._next += windows
        self._forget(max(end, self._next * self.hop_frames))

    def _forget(self, before: int) -> None:
        """Discard pending frames that no window needs any more."""
        while self._pending and self._oldest < before:
            chunk = self._pending.popleft()
            gone = min(before - self._oldest, len(chunk))
            if gone < len(chunk):
                self._pending.appendleft(chunk[gone:])
            self._oldest += gone
