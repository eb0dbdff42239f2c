"""Each window predicted whole, whatever it shares with the one before."""

from __future__ import annotations

import numpy as np

from streamtag.inference.base import Array, PatchNetwork, Prediction, StreamNetwork, completed, repeated


class PatchPredictor:
    """Predicts each window whole, whatever it shares with the one before.

    Parameters
    ----------
    network : PatchNetwork
        Predicts patches.
    hop_frames : int
        Frames between the starts of two windows, at least 1.
    name : str
        Its human-readable name.
    pools : bool
        Whether predictions hold musicnn's pools too.
    """

    def __init__(self, network: PatchNetwork, hop_frames: int, name: str = "full patch", pools: bool = False) -> None:
        self.spec = network.spec
        self.window_frames = network.window_frames
        self.hop_frames = hop_frames
        self.name = name
        self._network = network
        self._pools = pools
        self.reset()

    def reset(self) -> None:
        """Discard all frames; the next one is frame 0 again."""
        self._frames: Array = np.empty((0, self.spec.bands), np.float32)
        self._ahead = 0  # frames of the gap before the next window that have not come yet (hop > window)
        self._next = 0

    @property
    def due(self) -> int:
        """Windows that are complete and neither predicted nor skipped."""
        if self._ahead:
            return 0
        return max(0, (len(self._frames) - self.window_frames) // self.hop_frames + 1)

    def push(self, frames: Array) -> None:
        """Take frames: float32 (n, bands)."""
        self._frames = np.concatenate((self._frames, frames))
        self._drop(0)

    def skip(self, windows: int) -> None:
        """Give up the oldest `windows` of those that are due."""
        self._next += windows
        self._drop(windows * self.hop_frames)

    def take(self, limit: int) -> Prediction:
        """Predict the oldest windows that are due, `limit` of them at the most."""
        count = min(limit, self.due)
        if not count:  # not every backend takes an empty batch
            tags, units = len(self.spec.labels), self.spec.embedding_size
            return Prediction(self._next, np.empty((0, tags), np.float32), np.empty((0, units), np.float32))
        starts = range(0, count * self.hop_frames, self.hop_frames)
        patches = np.empty((count, self.window_frames, self.spec.bands), np.float32)
        for patch, start in zip(patches, starts, strict=True):
            patch[:] = self._frames[start : start + self.window_frames]
        first = self._next
        outputs = self._network.with_pools(patches) if self._pools else self._network(patches)
        self.skip(count)
        return Prediction(first, *outputs)

    def repeat_to_window(self) -> bool:
        """With less than one window taken, repeat its frames until one is due (musicnn's repeat-pad)."""
        if self._next or self.due or not len(self._frames):
            return False
        self._frames = repeated(self._frames, self.window_frames)
        return True

    def complete(self) -> None:
        """The stream has ended: complete its end with silence, where the model wants that."""
        if not self._ahead:
            self._frames = completed(self._frames, self.spec, self.window_frames, self.hop_frames)

    def warm_up(self) -> None:
        """Make the first window a quick one."""
        self._network.warm_up()
        if self._pools:
            self._network.with_pools(np.zeros((1, self.window_frames, self.spec.bands), np.float32))

    def _drop(self, frames: int) -> None:
        """Discard frames before the next window, also of those that are still to come."""
        gone = min(self._ahead + frames, len(self._frames))
        self._ahead += frames - gone
        self._frames = self._frames[gone:]


class StatefulPredictor(PatchPredictor):
    """As `PatchPredictor`, for a network that may keep something from patch to patch, of this stream.

    Patches that are skipped, the network never hears: it goes on with what it has kept.

    Parameters
    ----------
    network : StreamNetwork
        Predicts patches.
    hop_frames : int
        Frames between the starts of two windows, at least 1.
    name : str
        Its human-readable name.
    """

    def __init__(self, network: StreamNetwork, hop_frames: int, name: str = "full patch") -> None:
        self._of_stream = network
        super().__init__(network, hop_frames, name)

    def reset(self) -> None:
        """Discard all frames, and what the network has kept."""
        super().reset()
        self._of_stream.reset()
