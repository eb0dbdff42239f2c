"""When the rate is halved and which epoch is kept, against the published loop on made-up costs."""

from __future__ import annotations

import numpy as np
import pytest

from streamtag.train.schedule import Schedule
from tests.support.oracle import figures, needs_oracle

RUNS = [
    *(f"plain/patience{patience}" for patience in (3, 1, 0)),
    "random_model_best/patience3",
    "always_worse/patience3",
]


@needs_oracle
@pytest.mark.parametrize("run", RUNS)
def test_as_published(run: str) -> None:
    published = figures("schedule")
    costs, rates = published[f"{run}/cost"], published[f"{run}/logged_learning_rate"]
    schedule = Schedule(float(rates[0]), int(run[-1]))
    used, saved = [], []
    for epoch, cost in enumerate(costs, start=1):
        used.append(schedule.learning_rate)
        if schedule.take(float(cost)):
            saved.append(epoch)
    np.testing.assert_allclose(used, rates, rtol=1e-5)  # logged with six digits
    assert saved == published[f"{run}/saved_after_epoch"].tolist()
    assert schedule.best == min(costs)
    assert schedule.since_best == len(costs) - saved[-1]


def test_without_patience_the_rate_stays() -> None:
    schedule = Schedule(1e-3, 0)
    for cost in range(20):
        schedule.take(float(cost))
    assert schedule.learning_rate == 1e-3
    assert schedule.since_best == 19
