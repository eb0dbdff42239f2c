"""When the learning rate is halved, and which epoch is the best: musicnn-training's rule, with its order of things."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf


@dataclass(slots=True)
class Schedule:
    """Follows the validation cost, epoch by epoch.

    An epoch that is no better than the best is counted. When as many as `patience` have been counted, the rate is
    halved and counting begins anew: at the end of the *next* epoch, and whatever that one's result. An improvement does
    not reset the count. All of this is as published.

    Attributes
    ----------
    learning_rate : float
        For the next epoch.
    patience : int
        Epochs without improvement before the rate is halved; 0: it never is.
    counted : int
        Of these, since the rate was last halved.
    best : float
        Least cost so far.
    since_best : int
        Epochs since then, for who wants to stop early (the published code never does).
    """

    learning_rate: float
    patience: int
    counted: int = 0
    best: float = inf
    since_best: int = 0

    def take(self, cost: float) -> bool:
        """Take an epoch's validation cost.

        Parameters
        ----------
        cost : float
            Of an epoch; no NaN.

        Returns
        -------
        bool
            Whether it is the best so far, and its network to be kept.
        """
        if self.patience and self.counted >= self.patience:
            self.learning_rate /= 2
            self.counted = 0
        if cost >= self.best:
            self.counted += 1
            self.since_best += 1
            return False
        self.best, self.since_best = cost, 0
        return True
