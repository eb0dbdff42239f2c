"""Which window comes next: frames into a predictor whose hop may change, past gaps, and after a fresh start."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from streamtag.errors import OptionError
from streamtag.inference.base import Prediction, Predictor

Array = NDArray[np.float32]


class Windows:
    """The windows of one stream, each predicted, skipped or lost. For one thread at a time.

    A predictor numbers frames and windows from its own start. This counts them from the stream's: a predictor may be
    replaced (another hop), begin anew (what was heard is to count no more), or be spared the silence of a long gap.

    Parameters
    ----------
    predictor : Predictor
        Does the work.
    remake : callable or None
        Makes another for a given number of frames a hop; None where the predictor was given, and keeps its hop.

    Attributes
    ----------
    frames : int
        Number of the next frame of the stream.
    """

    def __init__(self, predictor: Predictor, remake: Callable[[int], Predictor] | None = None) -> None:
        self.predictor = predictor
        self._remake = remake
        self.reset()

    def reset(self) -> None:
        """Start a new stream."""
        self.predictor.reset()
        self.frames = 0
        self._first_frame = 0  # numbers of the predictor's first frame and window,
        self._first_index = 0
        self._done = 0  # and how many of its windows are done with
        self._ahead = 0  # frames to come that lie before the predictor's first
        self._done_before: int | None = None  # first frame of the last window of the predictor before
        self._history: Array = self._silence(0)  # the newest frames, as many as a window has

    @property
    def due(self) -> int:
        """Windows that are complete and not done with."""
        return self.predictor.due

    @property
    def hop(self) -> int:
        """Frames between two windows."""
        return self.predictor.hop_frames

    @property
    def length(self) -> int:
        """Frames of a window."""
        return self.predictor.window_frames

    @property
    def next_index(self) -> int:
        """Number of the next window; as many are done with."""
        return self._first_index + self._done

    @property
    def end(self) -> int:
        """The frame after the next window."""
        return self._first_frame + self._done * self.hop + self.length

    @property
    def oldest_frame(self) -> int:
        """The oldest frame that the next window may still ask about."""
        return min(self.end, self.frames) - self.length

    def push(self, logmel: Array) -> None:
        """Take frames: float32 (n, 96)."""
        if len(logmel):
            self.predictor.push(logmel[self._ahead :])
            self._ahead = max(0, self._ahead - len(logmel))
            self._history = np.concatenate((self._history, logmel))[-self.length :]
            self.frames += len(logmel)

    def take(self, limit: int) -> Prediction:
        """Predict the oldest windows that are due; `advance` is then to be called for each."""
        return self.predictor.take(limit)

    def advance(self) -> int:
        """Be done with a window that was predicted; its number."""
        self._done += 1
        return self.next_index - 1

    def skip(self, count: int) -> None:
        """Be done with the oldest windows that are due, unpredicted."""
        self.predictor.skip(count)
        self._done += count

    def pass_silence(self, frames: int) -> int:
        """Take frames of silence. Windows in which there is nothing else are not made; their number."""
        jumped = max(0, frames - self.length) // self.hop
        self.push(self._silence(frames - jumped * self.hop))
        self._first_frame += jumped * self.hop
        self._first_index += jumped
        self.frames += jumped * self.hop
        return jumped

    def complete(self) -> None:
        """The stream has ended: complete its end with silence, where the model wants that."""
        self.predictor.complete()

    def repeat_short(self) -> None:
        """Repeat a stream that is shorter than a window to its length, as musicnn's training did."""
        self.predictor.repeat_to_window()

    def reset_history(self) -> None:
        """Go on as if silence had come before; windows that are due stay due, and hear nothing."""
        done = self._newest_done()
        start = self._first_frame if done is None else done + self.hop
        self._history = self._silence(max(0, self.frames - start))
        self.predictor.reset()
        self._begin_at(start)

    def check_hop(self) -> None:
        """Refuse another hop where the predictor was given; may be called from any thread.

        Raises
        ------
        OptionError
            If it was.
        """
        if self._remake is None:
            raise OptionError("this tagger was given its predictor, whose hop is fixed")

    def set_hop(self, frames: int) -> None:
        """Change the frames between two windows; the next comes that many after the last.

        Raises
        ------
        OptionError
            If the predictor was given, and keeps its hop.
        """
        self.check_hop()
        assert self._remake is not None
        done = self._newest_done()
        start = self._first_frame if done is None else done + frames
        start = max(start, self.frames - len(self._history))  # so long ago that it is due already
        predictor = self._remake(frames)
        predictor.warm_up()
        self._begin_at(start, predictor)

    def _silence(self, frames: int) -> Array:
        """Frames of silence."""
        front_end = self.predictor.spec.front_end
        return np.full((frames, front_end.width), front_end.silence, np.float32)

    def _newest_done(self) -> int | None:
        """Number of the first frame of the newest window that is done with, if there is one."""
        if not self._done:
            return self._done_before
        return self._first_frame + (self._done - 1) * self.hop

    def _begin_at(self, frame: int, predictor: Predictor | None = None) -> None:
        """Let a predictor that has no frames begin with this one: out of the history, or when it comes."""
        self._done_before = self._newest_done()
        self.predictor = predictor or self.predictor
        self._first_frame, self._first_index = frame, self.next_index
        self._done = 0
        wanted = self.frames - frame
        self._ahead = max(0, -wanted)
        if wanted > 0:
            self.predictor.push(self._history[-wanted:])
