"""What every network that stands in for a real one has in common."""

from __future__ import annotations

import numpy as np


class PlainNetwork:
    """What `PatchPredictor` asks of a network, but for the judging: nothing to warm up, and no pools."""

    def warm_up(self) -> None:
        pass

    def with_pools(self, patches: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        raise NotImplementedError("a network that stands in for another has no pools")
